"""A stored run is held to the ledger's own hashes, not only to those inside the record."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest

from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.lineage import DaysTested
from ffm_core.runs.record import read_record, verify_run
from ffm_core.runs.verifying import Book

NAME = "20240701T120000000Z-abababab"


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "home")


def open_trial(ledger, name="a"):
    return ledger.open_trial(
        hashlib.sha256(name.encode()).hexdigest(), strategy=name, claim="selection",
        tested=DaysTested(days={"SIMA1": [1, 2]}), prereg_hash="p", effective=len,
    )  # fmt: skip


@pytest.fixture
def run(store, ledger):
    """Return the folder of a run that the ledger knows as an evaluation makes it."""
    ticket = open_trial(ledger)
    folder = store(envelope={"trial": ticket.trial_id, "ledger_since": ledger.since()})
    ledger.close_trial(ticket, decision="FAIL", days=[], daily_r=[], moments={},
                       result_hash=read_record(folder).result_hash)  # fmt: skip
    return folder


def record(ledger, folder):
    names = ("run.json", "decisions.parquet", "trades.parquet")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    envelope = read_record(folder).envelope
    ledger.record_run(envelope["run_id"], trial=envelope["trial"], files=files)


def edit(folder, change):
    path = folder / "run.json"
    found = json.loads(path.read_text())
    change(found)
    found["result_hash"] = sha256_json(found["result"])
    path.write_text(json.dumps(found))


def pass_it(found):
    found["result"]["verdict"]["decision"] = "PASS"
    found["result"]["arms"]["REAL"]["mean_r"] = 0.6


def rename(found):
    found["envelope"]["run_id"] = "20240701T120000001Z-abababab"


def checked(ledger, folder):
    return Book(ledger.events()).verified(folder)


def test_what_is_whole_is_held_to_files_and_result(ledger, run):
    record(ledger, run)
    found = checked(ledger, run)
    assert (found.ok, found.held, found.run_id) == (True, "files", NAME)


def test_a_record_edited_and_hashed_again_is_found(ledger, run):
    record(ledger, run)
    edit(run, pass_it)
    assert verify_run(run).ok, "it agrees with itself"
    assert "run.json is not what the ledger says" in checked(ledger, run).problems[0]


def test_a_table_edited_and_hashed_again_is_found(ledger, run):
    record(ledger, run)
    pl.DataFrame({"arm": ["REAL"], "r_net": [9.0]}).write_parquet(run / "trades.parquet")
    new = hashlib.sha256((run / "trades.parquet").read_bytes()).hexdigest()
    edit(run, lambda found: found["envelope"]["files"].update({"trades.parquet": new}))
    assert verify_run(run).ok
    assert any("trades.parquet is not what" in text for text in checked(ledger, run).problems)


def test_a_table_taken_off_the_list_is_found(ledger, run):
    record(ledger, run)
    (run / "trades.parquet").unlink()
    edit(run, lambda found: found["envelope"]["files"].pop("trades.parquet"))
    assert "trades.parquet is missing" in checked(ledger, run).problems


@pytest.mark.parametrize("change", [pass_it, lambda found: None])
def test_another_name_hides_nothing(ledger, run, change):
    record(ledger, run)
    edit(run, lambda found: (rename(found), change(found)))
    assert not checked(ledger, run).ok


def test_an_older_run_is_held_to_its_result_alone(ledger, run):
    found = checked(ledger, run)
    assert (found.ok, found.held) == (True, "result")
    edit(run, pass_it)
    assert checked(ledger, run).problems == (
        "the ledger holds another result of trial-0001-ca978112",
    )


def test_a_run_without_a_row_among_runs_that_have_one_is_found(ledger, run, store):
    record(ledger, run)
    late = store(envelope={"ledger_since": ledger.since(), "started": "2999-01-01T00:00:00Z"})
    assert "does not know" in checked(ledger, late).problems[0]


def test_a_run_of_another_ledger_is_unknown_not_whole(ledger, run, tmp_path):
    found = checked(Ledger(tmp_path / "other"), run)
    assert (found.ok, found.held) == (True, "nothing")


@pytest.mark.parametrize("trial", [None, ["x"], {"a": 1}, 7])
def test_a_strange_envelope_is_no_crash(ledger, store, trial):
    folder = store(envelope={"trial": trial, "ledger_head": [1], "started": None})
    open_trial(ledger)
    assert checked(ledger, folder).held == "nothing"
