"""Trials are counted once, before their results are seen, and for ever."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import sqlite3

import numpy as np
import pytest

from ffm_core.errors import LedgerError
from ffm_core.runs import ledger as module
from ffm_core.runs.lease import current_lease
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.lineage import DaysTested

DAYS = tuple(range(19_800, 19_840))
ES = DaysTested(days={"ES": DAYS})


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "home")


def identity(name):
    return hashlib.sha256(name.encode()).hexdigest()


def open_trial(ledger, name, tested=ES, effective=lambda matrix: np.arange(1.0, len(matrix) + 1)):
    return ledger.open_trial(
        identity(name), strategy=name, claim="selection", tested=tested, prereg_hash="p" * 64,
        effective=effective, extra={"code_hash": "c"},
    )  # fmt: skip


def close_trial(ledger, ticket, seed=0, days=DAYS, result_hash="r" * 64):
    values = np.random.default_rng(seed).normal(0.1, 1.0, len(days))
    return ledger.close_trial(
        ticket, decision="FAIL", days=days, daily_r=values.tolist(),
        moments={"skew": float(values.mean())}, result_hash=result_hash,
    )  # fmt: skip


def kinds(ledger):
    return [event.kind for event in ledger.events()]


def pretend_dead(monkeypatch):
    monkeypatch.setattr(module, "is_dead", lambda lease: True)


def test_a_trial_from_opening_to_result(ledger):
    ticket = open_trial(ledger, "a")
    assert (ticket.is_repeat, ticket.previous, ticket.context.n_trials) == (False, "new", 1)
    assert close_trial(ledger, ticket)
    assert kinds(ledger) == ["genesis", "opened", "closed"]
    (trial,) = ledger.trials()
    assert trial.state == "closed"
    assert trial.closed["days"] == list(DAYS)
    assert len(trial.closed["daily_r"]) == len(DAYS)
    assert trial.opened["lease"] == dataclasses.asdict(current_lease())
    report = ledger.verify()
    assert report.ok
    assert report.trials == {"open": 0, "closed": 1, "aborted": 0}
    assert report.head == ledger.head() == ledger.events()[-1].hash
    assert report.since == ledger.since() == ticket.context.ledger_since


def test_an_absent_ledger_reads_as_empty_and_is_not_made(ledger):
    assert (ledger.head(), ledger.since(), ledger.trials(), ledger.events()) == ("", "", [], [])
    assert ledger.verify().ok
    assert ledger.n_trials(ES) == 0
    assert not ledger.path.parent.exists()


def test_each_new_trial_raises_the_count_of_the_next(ledger):
    for number, name in enumerate("abcd", start=1):
        ticket = open_trial(ledger, name)
        assert ticket.context.n_trials == ticket.n_trials_now == number
        close_trial(ledger, ticket, seed=number)
    assert ledger.n_trials(ES) == 4


def test_variance_and_effective_number_come_from_earlier_results(ledger):
    for seed, name in enumerate("abc"):
        close_trial(ledger, open_trial(ledger, name), seed=seed)
    seen = []
    context = open_trial(
        ledger, "d", effective=lambda m: seen.append(m) or np.array([1, 1, 1.5])
    ).context
    values = [np.random.default_rng(seed).normal(0.1, 1.0, len(DAYS)) for seed in range(3)]
    sharpes = [v.mean() / v.std(ddof=1) for v in values]
    assert context.sharpe_variance == pytest.approx(np.var(sharpes, ddof=1), rel=1e-12)
    assert context.effective_n == 2.5
    np.testing.assert_allclose(seen[0], np.corrcoef(values), rtol=1e-12, atol=1e-12)


def test_a_repeat_is_noted_not_counted_and_keeps_its_first_context(ledger):
    first = open_trial(ledger, "a")
    close_trial(ledger, first)
    close_trial(ledger, open_trial(ledger, "b"), seed=1)
    again = open_trial(ledger, "a")
    assert (again.is_repeat, again.previous, again.trial_id) == (True, "closed", first.trial_id)
    assert again.context == first.context
    assert again.result_hash == "r" * 64
    assert again.n_trials_now == 2
    assert close_trial(ledger, again)
    assert kinds(ledger) == ["genesis", "opened", "closed", "opened", "closed", "repeated"]
    assert ledger.verify().repeats == 1
    assert open_trial(ledger, "c").context.n_trials == 3


def test_a_repeat_with_another_result_is_told_and_recorded(ledger):
    close_trial(ledger, open_trial(ledger, "a"))
    again = open_trial(ledger, "a")
    assert not close_trial(ledger, again, result_hash="x" * 64)
    assert ledger.events()[-1].payload["agrees"] is False
    (trial,) = ledger.trials()
    assert trial.closed["result_hash"] == "r" * 64
    assert ledger.verify().repeats == 1


def test_an_aborted_trial_stays_counted_and_its_repeat_gives_the_result(ledger):
    first = open_trial(ledger, "a")
    ledger.abort_own("interrupted")
    assert ledger.trials()[0].state == "aborted"
    assert open_trial(ledger, "b").context.n_trials == 2
    again = open_trial(ledger, "a")
    assert (again.is_repeat, again.previous, again.context) == (True, "aborted", first.context)
    assert close_trial(ledger, again)
    assert ledger.trials()[0].state == "closed"
    assert ledger.n_trials(ES) == 2


def test_aborting_leaves_alone_what_has_ended(ledger):
    close_trial(ledger, open_trial(ledger, "a"))
    ledger.abort_own("too late")
    open_trial(ledger, "a")
    ledger.abort_own("repeat stopped")
    assert "aborted" not in kinds(ledger)
    assert ledger.trials()[0].state == "closed"


def test_aborting_leaves_alone_what_another_process_has_opened(ledger, monkeypatch):
    open_trial(ledger, "a")
    with monkeypatch.context() as patched:
        patched.setattr("ffm_core.runs.lease.os.getpid", lambda: 2**22 + 1)
        open_trial(ledger, "b")
    ledger.abort_own("interrupted")
    assert [trial.state for trial in ledger.trials()] == ["aborted", "open"]
    ledger.abort_own("interrupted")
    assert kinds(ledger) == ["genesis", "opened", "opened", "aborted"]


def test_a_result_stands_though_another_thread_noted_an_end(ledger):
    ticket = open_trial(ledger, "a")
    ledger.abort_own("ConfigError")
    assert close_trial(ledger, ticket)
    assert ledger.trials()[0].state == "closed"


def test_aborting_nothing_makes_no_ledger(ledger):
    ledger.abort_own("interrupted")
    assert not ledger.path.exists()


def test_a_dead_process_becomes_aborted_at_the_next_opening(ledger, monkeypatch):
    open_trial(ledger, "a")
    pretend_dead(monkeypatch)
    assert open_trial(ledger, "b").context.n_trials == 2
    assert kinds(ledger) == ["genesis", "opened", "aborted", "opened"]
    reason = ledger.events()[2].payload["reason"]
    assert "process" in reason


def test_a_dead_trial_run_again_is_a_repeat_and_counts_once(ledger, monkeypatch):
    first = open_trial(ledger, "a")
    pretend_dead(monkeypatch)
    again = open_trial(ledger, "a")
    assert (again.is_repeat, again.previous, again.context) == (True, "aborted", first.context)
    assert again.n_trials_now == 1


def test_a_live_process_is_left_alone(ledger):
    open_trial(ledger, "a")
    assert open_trial(ledger, "a").previous == "open"
    open_trial(ledger, "b")
    assert "aborted" not in kinds(ledger)


def test_lineage_knows_timeframes_names_and_seeds(ledger):
    print_one, print_two = "1" * 16, "2" * 16
    close_trial(ledger, open_trial(ledger, "5m", DaysTested(
        days={"ES": DAYS}, fingerprints={"ES": [print_one]})))  # fmt: skip
    thirty = DaysTested(days={"ES": DAYS[5:9]}, fingerprints={"ES": [print_two]})
    renamed = DaysTested(days={"MYES": DAYS}, fingerprints={"MYES": [print_one]})
    assert open_trial(ledger, "30m", thirty).context.n_trials == 2
    assert open_trial(ledger, "renamed", renamed).context.n_trials == 2
    for seed in (1, 2, 3):
        market = DaysTested(days={f"SIMA{seed}": DAYS}, fingerprints={"x": [f"{seed + 6:016x}"]})
        assert open_trial(ledger, f"sim{seed}", market).context.n_trials == 1


def test_a_refused_trial_has_no_daily_results_but_counts(ledger):
    ticket = open_trial(ledger, "a")
    ledger.close_trial(ticket, decision="REFUSED", days=[], daily_r=[], moments={}, result_hash="r")
    made = open_trial(ledger, "b").context
    assert (made.n_trials, made.sharpe_variance, made.effective_n) == (2, 0.0, 2.0)


@pytest.mark.parametrize(
    ("days", "values"), [([1, 2], [0.0]), ([2, 1], [0.0, 0.0]), ([1], [float("nan")])]
)
def test_daily_results_that_make_no_sense_are_a_bug(ledger, days, values):
    ticket = open_trial(ledger, "a")
    with pytest.raises(ValueError):
        ledger.close_trial(ticket, decision="FAIL", days=days, daily_r=values, moments={},
                           result_hash="r")  # fmt: skip
    assert ledger.trials()[0].state == "open"


def test_a_ticket_of_another_ledger(ledger, tmp_path):
    ticket = open_trial(ledger, "a")
    with pytest.raises(LedgerError, match="not in this ledger"):
        close_trial(Ledger(tmp_path / "other"), ticket)


def test_an_edited_ledger_is_reported_and_refused(ledger):
    close_trial(ledger, open_trial(ledger, "a"))
    connection = sqlite3.connect(ledger.path)
    with connection:
        connection.execute("DROP TRIGGER events_keep")
        connection.execute("UPDATE events SET payload = replace(payload, 'FAIL', 'PASS')")
    connection.close()
    report = ledger.verify()
    assert (report.ok, report.broken_row) == (False, 3)
    assert "hash" in report.reason
    with pytest.raises(LedgerError, match="row 3"):
        open_trial(ledger, "b")
    with pytest.raises(LedgerError, match="row 3"):
        ledger.abort_own("interrupted")


def test_a_ledger_travels_to_other_processes(ledger):
    ticket = open_trial(ledger, "a")
    other = pickle.loads(pickle.dumps(ledger))
    assert close_trial(other, pickle.loads(pickle.dumps(ticket)))
    assert ledger.trials()[0].state == "closed"


def test_rows_of_a_newer_version_are_kept_and_reported_as_such(ledger, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("ffm_core.runs.chain.KINDS", ("genesis", "opened", "sealed", "withdrawn"))
        with ledger._chain.write() as writer:
            writer.append("withdrawn", {"trial": "x"})
    close_trial(ledger, open_trial(ledger, "a"))
    report = ledger.verify()
    assert (report.ok, report.newer) == (True, {"withdrawn": 1})
    assert kinds(ledger) == ["genesis", "withdrawn", "opened", "closed"]
