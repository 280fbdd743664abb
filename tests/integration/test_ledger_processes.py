"""The ledger and the cache under races and ``kill -9``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffm_core.runs.ledger import Ledger
from helpers.processes import was_killed

WORKER = Path(__file__).with_name("ledger_worker.py")


@pytest.fixture
def work(tmp_path):
    def start(job, *arguments):
        command = [sys.executable, str(WORKER), job, str(tmp_path), *map(str, arguments)]
        environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120,
                              check=False)  # fmt: skip
        if job == "leave" and was_killed(done.returncode):
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return start


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


def kinds(ledger):
    return [event.kind for event in ledger.events()]


def test_one_identity_in_many_processes_is_one_trial(work, ledger):
    answers = work("same", 6)
    assert sorted(answer["repeat"] for answer in answers) == [False] + [True] * 5
    assert {answer["n"] for answer in answers} == {1}
    assert ledger.verify().ok
    assert sorted(kinds(ledger)) == sorted(["genesis", "opened", "closed"] + ["repeated"] * 5)


def test_different_identities_are_all_counted_in_some_order(work, ledger):
    answers = work("different", 4, 6)
    assert sorted(n for counts in answers for n in counts) == list(range(1, 25))
    assert all(counts == sorted(counts) for counts in answers)
    report = ledger.verify()
    assert report.ok
    assert report.trials == {"open": 0, "closed": 24, "aborted": 0}
    assert report.rows == 1 + 2 * 24


def test_many_proposals_make_one_seal(work, ledger):
    answers = work("seal", 6)
    assert len(set(answers)) == 1
    assert kinds(ledger) == ["genesis", "sealed"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_ledger(work, ledger):
    found = work("kill", 20, 4)
    assert all(one["ok"] for one in found), found
    rows = [one["rows"] for one in found]
    assert rows == sorted(rows), "nothing written is ever lost"
    assert rows[-1] >= 1 + 10, "every other kill waits for a first trial"
    opened = [e.payload["identity"] for e in ledger.events() if e.kind == "opened"]
    assert len(opened) == len(set(opened)) == len(ledger.trials())
    # At most one trial was cut off per kill, and later openings closed the books on it.
    assert kinds(ledger).count("aborted") <= 20
    assert found[-1]["trials"]["open"] <= 1


def test_a_trial_whose_process_was_killed_is_aborted_and_its_repeat_not_counted(work, ledger):
    assert work("leave", "same") is None
    assert ledger.trials()[0].state == "open"
    (answer,) = work("same", 1)
    assert answer == {"repeat": True, "n": 1}
    assert kinds(ledger) == ["genesis", "opened", "aborted", "repeated", "closed"]
    assert ledger.verify().trials == {"open": 0, "closed": 1, "aborted": 0}


def test_a_killed_trial_counts_for_the_next_one(work, ledger):
    assert work("leave", "lost") is None
    (answer,) = work("same", 1)
    assert answer == {"repeat": False, "n": 2}
    assert ledger.verify().trials == {"open": 0, "closed": 1, "aborted": 1}


def test_a_cache_writer_killed_at_any_moment_leaves_no_wrong_entry(work):
    found = work("cache", 15, 5)
    assert found["wrong"] == 0
    assert found["read"] > 0
