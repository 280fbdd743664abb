"""Stored runs and ledgers that are missing, damaged or edited."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffm_core.runs.canonical import sha256_json

READERS = {
    "show": ("runs", "show", "latest"),
    "compare": ("runs", "compare", "latest", "latest"),
    "explain": ("explain", "latest", "--decision", "5"),
    "report": ("report", "latest"),
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_no_run_of_that_name(refused, stored, words):
    asked = [word.replace("latest", "20240101T") for word in words]
    says = "no run '20240101T' in ffm-runs"
    refused(*asked, code=2, says=says, fix="ffm runs list")
    refused(*words, "--out", "elsewhere", code=2, says="no run 'latest' in elsewhere", fix="list")


def test_a_name_nobody_could_give(refused, stored):
    for name in ("", "x" * 5_000, "../../etc"):
        refused("runs", "show", name, code=2, says="no run '", fix="ffm runs list", json=False)


@pytest.mark.parametrize(
    ("decision", "says", "fix"),
    [
        ("99999", r"has no decision 99999; its decisions run from 0 to \d+", "decisions.parquet"),
        ("-1", "has no decision -1; its decisions run from 0", "decisions.parquet"),
        ("last", "'last' is not a valid integer", "--help"),
    ],
)
def test_a_decision_out_of_range(refused, stored, decision, says, fix):
    refused("explain", stored, "--decision", decision, code=2, says=says, fix=fix)


def edit(folder: Path, change: Callable[[dict[str, Any]], None], *, forge: bool = False) -> None:
    """Edit a stored record; a forger mends the hash, too."""
    path = folder / "run.json"
    record = json.loads(path.read_text())
    change(record)
    if forge:
        record["result_hash"] = sha256_json(record["result"])
    path.write_text(json.dumps(record))


def to_pass(record: dict[str, Any]) -> None:
    record["result"]["verdict"]["decision"] = "PASS"


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_an_edited_run_is_not_shown(refused, stored, words):
    edit(stored, to_pass)
    says = f"{stored.name}/run.json: the result does not match its hash: it was edited"
    refused(*words, code=4, says=says, fix="run the evaluation again")


DAMAGES = {
    "half": (lambda path: path.write_bytes(path.read_bytes()[:900]), "is not valid JSON"),
    "binary": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not valid JSON"),
    "another schema": (
        lambda path: path.write_text('{"schema": "ffm-run/9"}'),
        "not a run record of",
    ),
    "a list": (lambda path: path.write_text("[]"), "not a run record of schema"),
    "too little": (
        lambda path: path.write_text('{"schema": "ffm-run/2"}'),
        "is missing result, envel",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_a_damaged_record(refused, stored, words, damage):
    spoil, says = DAMAGES[damage]
    spoil(stored / "run.json")
    refused(*words, code=4, says=f"{stored.name}/run.json.* {says}", fix="run the evaluation again")


FORGERIES = {"arms": 5, "checks": 7, "data": [3], "strategy": [], "verdict": {"decision": 1}}


@pytest.mark.parametrize("part", FORGERIES)
def test_a_forged_record_of_another_shape(refused, stored, part):
    edit(stored, lambda record: record["result"].update({part: FORGERIES[part]}), forge=True)
    for words in READERS.values():
        refused(*words, code=4, says=f"run.json is missing {part}", fix="run the evaluation again")


@pytest.mark.parametrize(
    "words", [READERS["explain"], READERS["report"]], ids=["explain", "report"]
)
def test_a_damaged_table(refused, stored, words):
    for name in ("decisions", "trades"):
        path = stored / f"{name}.parquet"
        path.write_bytes(path.read_bytes()[:-20])
    says = r"(decisions|trades)\.parquet"
    refused(*words, code=4, says=says, fix="run the evaluation again")


def verified(desk, *words: str) -> tuple[int, dict[str, Any], str]:
    with desk.untouched():
        answer = desk.run("runs", "verify", *words, "--json")
        said = desk.run("runs", "verify", *words)
    assert "Traceback" not in answer.err
    assert answer.err == said.err
    assert said.code == answer.code
    assert ("BROKEN" in said.out) == (answer.code != 0)
    return answer.code, answer.document, answer.err


def test_verify_finds_nothing_wrong_with_what_is_whole(desk, stored):
    code, document, err = verified(desk)
    assert (code, err) == (0, "")
    assert document["ledger"]["ok"]
    assert [run["ok"] for run in document["runs"]] == [True]


EDITS = {
    "result": (lambda f: edit(f, to_pass), "the result does not match its hash"),
    "files": (
        lambda f: edit(f, lambda r: r["envelope"].update(files=[1])),
        "is missing the hashes",
    ),
    "trades": (lambda f: (f / "trades.parquet").write_bytes(b"PAR1"), "trades.parquet does not"),
    "lost": (lambda f: (f / "decisions.parquet").unlink(), "decisions.parquet is missing"),
    "half": (lambda f: (f / "run.json").write_text("{"), "is not valid JSON"),
}


@pytest.mark.parametrize("name", EDITS)
def test_verify_finds_an_edited_run(desk, stored, name):
    spoil, says = EDITS[name]
    spoil(stored)
    code, document, err = verified(desk)
    assert code == 4
    assert says in document["runs"][0]["problems"][0]
    assert err.startswith(f"error: 1 of 1 runs failed the check: {stored.name}")
    assert "  fix: run the evaluation again" in err


def in_the_ledger(home: Path, *statements: str) -> None:
    """Edit a ledger as somebody would who removes what keeps it whole."""
    path = home / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    for trigger in ("keep", "stay", "grow"):
        connection.execute(f"DROP TRIGGER events_{trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


LEDGERS = {
    "a row edited": ("UPDATE events SET time = '2020' WHERE seq = 2", "row 2: its content does"),
    "a payload that is no JSON": (
        "UPDATE events SET payload = '{' WHERE seq = 3",
        "row 3: its con",
    ),
    "a row removed": ("DELETE FROM events WHERE seq = 2", "row 2: the row is missing"),
}


@pytest.mark.parametrize("name", LEDGERS)
def test_an_edited_ledger(desk, stored, name):
    statement, says = LEDGERS[name]
    in_the_ledger(desk.home, statement)
    answer = desk.run("runs", "verify", "--json")
    assert answer.code == 4
    assert answer.document["ledger"]["ok"] is False
    assert f"ledger.sqlite3 was edited: {says}" in answer.err
    assert "  fix: restore it from a backup" in answer.err


@pytest.mark.parametrize("name", LEDGERS)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["eval", "dry run"])
def test_nothing_is_judged_on_an_edited_ledger(desk, refused, stored, judged, name, dry):
    statement, says = LEDGERS[name]
    in_the_ledger(desk.home, statement)
    refused(*judged, *dry, code=4, says=f"was edited: {says}", fix="restore the file from a backup")


def test_verify_finds_a_ledger_cut_off_at_its_end(desk, stored):
    in_the_ledger(desk.home, "DELETE FROM events WHERE seq >= (SELECT max(seq) FROM events) - 1")
    answer = desk.run("runs", "verify", "--json")
    assert answer.code == 4
    (run,) = answer.document["runs"]
    assert "the ledger no longer contains the event that closed this run" in run["problems"][0]


FILES = {
    "junk": lambda path: path.write_bytes(b"junk" * 1000),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_ledger(refused, desk, stored, judged, name):
    path = desk.home / "ledger.sqlite3"
    for side in desk.home.glob("ledger.sqlite3-*"):
        side.unlink()
    FILES[name](path)
    before = path.read_bytes()
    for words in (("runs", "verify"), judged, (*judged, "--dry-run")):
        answer = desk.run(*words, "--json")
        assert answer.code == 4, answer.err
        assert "cannot be read as a ledger" in answer.document["error"]["problem"]
        assert "restore the file from a backup" in answer.document["error"]["fix"]
    assert path.read_bytes() == before
    assert len(list((desk.folder / "ffm-runs").iterdir())) == 1


def test_a_list_with_a_damaged_run_goes_on(desk, stored):
    (stored / "run.json").write_text("{")
    answer = desk.run("runs", "list", "--json")
    assert answer.code == 0
    assert answer.document["runs"] == []
    assert "is not valid JSON" in answer.document["unreadable"][0]
    assert "unreadable: " in desk.run("runs", "list").err


def test_no_runs_at_all(desk):
    for place in ("ffm-runs", "nowhere"):
        assert f"no runs in {place}" in desk.run("runs", "list", "--out", place).err
        assert f"no runs in {place}" in desk.run("runs", "verify", "--out", place).err
