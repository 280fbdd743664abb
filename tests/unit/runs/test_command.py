"""``ffm runs`` and ``ffm explain`` as a user types them."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from ffm_core.runs.ledger import Ledger


@pytest.fixture
def ledger():
    made = Ledger(Path(os.environ["FFM_HOME"]))
    made.seal_day("SIMA1", 20_000)
    return made


def document(done):
    return json.loads(done.stdout)


def test_list(ffm, store):
    first, second = store(), store(decision="PASS")
    lines = ffm("runs", "list").stdout.splitlines()
    assert lines[0].split() == ["RUN", "STRATEGY", "CLAIM", "DATA", "VERDICT", "STARTED"]
    assert lines[1].split() == [first.name, "supertrend", "selection", "SIMA1/5m", "FAIL",
                                "2024-07-01T12:00:00Z"]  # fmt: skip
    found = document(ffm("runs", "list", "--json"))
    assert found["schema"] == "ffm-runs/1"
    assert [run["run_id"] for run in found["runs"]] == [first.name, second.name]


def test_list_without_runs(ffm):
    done = ffm("runs", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no runs in ffm-runs" in done.stderr
    assert document(ffm("runs", "list", "--json"))["runs"] == []


def test_list_says_which_runs_cannot_be_read(ffm, store):
    (store() / "run.json").write_text("{")
    done = ffm("runs", "list")
    assert done.exit_code == 0
    assert "unreadable" in done.stderr
    assert len(document(ffm("runs", "list", "--json"))["unreadable"]) == 1


def test_another_folder(ffm, store, tmp_path, monkeypatch):
    folder = store(out=tmp_path / "elsewhere")
    assert folder.name in ffm("runs", "list", "--out", "elsewhere").stdout
    monkeypatch.setenv("FFM_OUT", "elsewhere")
    assert folder.name in ffm("runs", "list").stdout


def test_show(ffm, store):
    folder = store()
    text = ffm("runs", "show", "latest").stdout
    for part in ("FAIL", "supertrend", "There is no edge worth having", "profit", "0.031", "NAIVE",
                 folder.name, "ffm eval supertrend --demo"):  # fmt: skip
        assert part in text
    found = document(ffm("runs", "show", folder.name, "--json"))
    assert found["result"] == json.loads((folder / "run.json").read_text())["result"]
    assert found["schema"] == "ffm-run/2"
    assert found["words"]["headline"].startswith("There is no edge")
    assert found["words"]["reasons"][0].startswith("Over 12 test months the data rule out")


def test_show_of_an_unknown_run(ffm, store):
    folder = store()
    done = ffm("runs", "show", folder.name[:-1] + "x")
    assert done.exit_code == 2
    assert f"did you mean '{folder.name}'" in done.stderr
    assert "fix:" in done.stderr


def test_verify_of_what_is_whole(ffm, store, ledger):
    store(envelope={"ledger_head": ledger.head()})
    done = ffm("runs", "verify")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].startswith("unknown ")
    assert "1 run unknown to this ledger" in done.stderr
    assert ledger.head() in done.stdout
    found = document(ffm("runs", "verify", "latest", "--json"))
    assert [run["ok"] for run in found["runs"]] == [True]
    assert found["ledger"]["ok"]
    assert found["ledger"]["rows"] == 2


def test_verify_without_a_ledger(ffm, store):
    store()
    done = ffm("runs", "verify")
    assert done.exit_code == 0
    assert "none yet" in done.stdout
    assert not Path(os.environ["FFM_HOME"]).exists()


def test_verify_finds_an_edited_run(ffm, store):
    whole, edited = store(), store()
    path = edited / "run.json"
    path.write_text(path.read_text().replace("0.031", "0.31"))
    done = ffm("runs", "verify")
    assert done.exit_code == 4
    assert f"BROKEN  {edited.name}" in done.stdout
    assert f"unknown {whole.name}" in done.stdout
    assert "1 of 2 runs failed" in done.stderr
    done = ffm("runs", "verify", "--json")
    assert done.exit_code == 4
    assert [run["ok"] for run in document(done)["runs"]] == [True, False]
    assert ffm("runs", "verify", whole.name).exit_code == 0


def test_verify_finds_an_unreadable_run(ffm, store):
    (store() / "run.json").write_text("{")
    assert ffm("runs", "verify").exit_code == 4


def test_verify_finds_an_edited_ledger(ffm, ledger):
    connection = sqlite3.connect(ledger.path)
    with connection:
        connection.execute("DROP TRIGGER events_keep")
        connection.execute("UPDATE events SET payload = '{}' WHERE seq = 2")
    connection.close()
    done = ffm("runs", "verify")
    assert done.exit_code == 4
    assert "BROKEN  ledger: row 2" in done.stdout
    assert "was edited: row 2" in done.stderr


def cut_tail(ledger):
    connection = sqlite3.connect(ledger.path)
    with connection:
        connection.execute("DROP TRIGGER events_stay")
        connection.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    connection.close()


@pytest.mark.parametrize("same_ledger", [True, False])
def test_a_ledger_cut_off_at_its_end_is_found_by_the_run_that_saw_more(
    ffm, store, ledger, same_ledger
):
    folder = store(envelope={"ledger_head": ledger.head()})
    path = folder / "run.json"
    if same_ledger:
        record = json.loads(path.read_text())
        record["envelope"]["ledger_since"] = ledger.since()
        path.write_text(json.dumps(record))
    assert ffm("runs", "verify").exit_code == 0
    cut_tail(ledger)
    assert ledger.verify().ok, "the chain alone cannot tell"
    assert ffm("runs", "verify").exit_code == (4 if same_ledger else 0)


def test_a_file_that_is_no_ledger(ffm):
    home = Path(os.environ["FFM_HOME"])
    home.mkdir()
    (home / "ledger.sqlite3").write_bytes(b"junk" * 500)
    done = ffm("runs", "verify")
    assert done.exit_code == 4
    assert "cannot be read as a ledger" in done.stderr


def test_compare(ffm, store):
    first, second = store(), store(seed=7, decision="PASS", mean_r=0.2)
    done = ffm("runs", "compare", first.name, "latest")
    assert done.exit_code == 0
    for part in ("results: different", "seed", "0.031", "0.2", "no difference in: data, code"):
        assert part in done.stdout
    found = document(ffm("runs", "compare", str(first), str(second), "--json"))
    assert found["schema"] == "ffm-compare/1"
    assert found["config"] == {"seed": [0, 7]}
    assert "results: identical" in ffm("runs", "compare", first.name, first.name).stdout


def test_explain(ffm, store):
    store()
    done = ffm("explain", "latest", "--decision", "1")
    assert done.exit_code == 0
    assert "101.75 by stop" in done.stdout
    found = document(ffm("explain", "latest", "--decision", "1", "--json"))
    assert found["schema"] == "ffm-explain/1"
    assert found["decision"]["r_net"] == -1.4
    assert ffm("explain", "latest", "--decision", "9").exit_code == 2
    assert ffm("explain", "latest").exit_code == 2
