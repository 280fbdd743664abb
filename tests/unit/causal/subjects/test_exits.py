"""The falsifier on exit policies: ours are clean, and what could still leak is found."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ffm_core.bars.primitives import swing_lows
from ffm_core.causal.subjects import exits
from ffm_core.causal.subjects.exits import prove_step
from ffm_core.errors import StrategyError
from ffm_core.labels.entries import entries_of
from ffm_core.labels.exits import exit_columns
from ffm_core.labels.policies import ATR_TRAIL, EXIT_POLICIES, FIXED_RR, RS_TRAIL
from ffm_core.records import Column, Examined, ExitPolicy
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars
from ffm_core.testing.building import windows
from ffm_core.testing.specimens import CLEAN_LABELER
from helpers.exit_proofs import falsify_exit_policy

BARS = make_bars("random", rows=1_500, seed=3)
FEW = 120  # cuts


def entries_on(bars, policy, params=None):
    decisions = CLEAN_LABELER.decide(bars, {})
    found, void = entries_of(bars, decisions, policy, params or {}, horizon_bars=40)
    return found.take(np.flatnonzero(void == 0))


def falsify(policy, bars=BARS, params=None):
    entries = entries_on(bars, policy, params)
    return falsify_exit_policy(policy, bars, entries, params or {}, seed=0, max_cuts=FEW)


def managed(batch, column="stop_long", **given):
    columns = (Column(name=column, unit="points"),)
    return ExitPolicy(name="own", kind="managed", columns=columns, batch=batch, **given)


def stepping(step, **given):
    return ExitPolicy(name="own", kind="managed", step=step, **given)


def checks(found) -> set[str]:
    return {failure.check for failure in found.failures}


# --- clean --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("built_in", EXIT_POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("kind", ["random", "gappy"])
def test_the_built_in_policies_are_clean(built_in, kind):
    bars = make_bars(kind, rows=900, seed=5)
    found = falsify(built_in, bars)
    assert found.failures == ()
    assert set(found.subjects) == {Examined("exit", built_in.name, bars.stream)}


def test_a_policy_that_computes_nothing_has_nothing_to_prove():
    found = falsify(FIXED_RR)
    assert (found.cuts, found.detection_bound) == (0, 0.0)


def test_a_step_is_proven_at_every_bar_of_its_trades():
    found = falsify(ATR_TRAIL)
    assert found.detection_bound == 0.0
    assert 0 < found.proven_bars <= len(BARS)
    assert found.rows_compared >= found.proven_bars


@pytest.mark.slow
def test_columns_are_proven_like_features():
    found = falsify(RS_TRAIL)
    assert found.sampled["random"] == FEW
    assert found.decision_bound == 0.0  # the row of every trade was replayed besides
    assert 0.0 < found.detection_bound < 1.0


# --- what cannot be written, or is refused ------------------------------------------------


@pytest.mark.slow
def test_leaving_at_the_open_of_the_bar_whose_close_says_so_is_refused():
    def break_now(bars, params):
        flag = np.zeros((len(bars), 1))
        flag[:-1, 0] = (bars.close < windows(bars.close, 20).mean(axis=1))[1:]
        return flag

    found = falsify(managed(break_now, "leave_long"))
    assert checks(found) >= {"prefix"}
    assert "flag[:-1, 0] = (bars.close" in found.failures[0].line


def test_leaving_at_the_high_of_a_bar_is_refused_as_a_target_and_impossible_in_a_step():
    def at_the_high(bars, params):
        target = np.full((len(bars), 1), np.nan)
        target[:-1, 0] = bars.high[1:]
        return target

    assert "prefix" in checks(falsify(managed(at_the_high, "target_long")))

    def step(trade, bar, row, f, i, k):
        return np.nan, bar.high, False  # a target for the next bar: the bar shown is over

    assert falsify(stepping(step)).failures == ()


def test_a_trail_from_a_pivot_that_is_confirmed_later_is_refused():
    def early(bars, params):
        last = np.maximum.accumulate(np.where(swing_lows(bars.low, 2), np.arange(len(bars)), -1))
        return np.where(last >= 0, bars.low[last], np.nan).reshape(-1, 1)

    found = falsify(managed(early))
    assert "prefix" in checks(found)
    assert "swing_lows" in found.failures[0].line


@pytest.mark.slow
def test_an_exit_that_reads_a_file_is_refused_wherever_it_reads(tmp_path):
    place = tmp_path / "later.txt"
    place.write_text("1.0")
    name = str(place)

    def columns(bars, params):
        size = float(Path(name).read_text())
        return (bars.close - size).reshape(-1, 1)

    def start(params):
        return np.zeros(0), np.zeros(0, np.int64), np.array([float(Path(name).read_text())])

    def targets(predicted_r, params):
        return 1.0 + predicted_r * float(Path(name).read_text())

    def hold(trade, bar, row, f, i, k):
        return np.nan, np.nan, False

    for policy in (
        managed(columns),
        stepping(hold, start=start),
        ExitPolicy(name="own", kind="predicted", target_of=targets),
    ):
        found = falsify(policy)
        assert checks(found) == {"access"}
        assert "later.txt" in told(found.failures[0].reason)


@pytest.mark.slow
def test_state_that_hangs_on_the_clock_or_on_earlier_calls_is_found():
    kept = []

    def by_the_clock(params):
        return np.zeros(0), np.zeros(0, np.int64), np.array([time.time()])

    def counts(predicted_r, params):
        kept.append(1)
        return 2.0 + predicted_r * (len(kept) > 60)

    def by_the_process(params):
        return np.zeros(0), np.zeros(0, np.int64), np.array([float(os.getpid())])

    def hold(trade, bar, row, f, i, k):
        return np.nan, np.nan, False

    assert checks(falsify(stepping(hold, start=by_the_clock))) & {"purity", "determinism"}
    assert checks(falsify(stepping(hold, start=by_the_process))) == {"determinism"}
    counting = ExitPolicy(name="own", kind="predicted", target_of=counts)
    assert checks(falsify(counting)) & {"purity", "determinism"}


def test_targets_that_depend_on_one_another_are_refused():
    def crowd(predicted_r, params):
        return 1.0 + predicted_r / predicted_r.mean()

    with pytest.raises(StrategyError, match="one by one"):
        falsify(ExitPolicy(name="own", kind="predicted", target_of=crowd))


# --- the step against its trades ----------------------------------------------------------


def test_a_step_that_answers_otherwise_in_another_order_is_found(monkeypatch):
    # No step that compiles can; so one walk is bent here.
    entries = entries_on(BARS, ATR_TRAIL)
    plain = exits.fill

    def bent(bars, given, *rest):
        walked = plain(bars, given, *rest)
        return walked if given is entries else walked._replace(exit_bar=walked.exit_bar + 1)

    monkeypatch.setattr(exits, "fill", bent)
    found = prove_step(ATR_TRAIL, BARS, entries, {}, None, seed=0)
    assert checks(found) == {"purity"}
    assert "asked twice" in told(found.failures[0].reason)


def test_a_walk_that_is_not_the_step_bar_by_bar_is_found(monkeypatch):
    entries = entries_on(BARS, ATR_TRAIL)
    plain = exits.follow

    def bent(*given):
        bar, price, reason, best, worst = plain(*given)
        return bar, price, reason, best + 1e-12, worst

    monkeypatch.setattr(exits, "follow", bent)
    found = prove_step(ATR_TRAIL, BARS, entries, {}, None, seed=0)
    assert "bar by bar" in told(found.failures[0].reason)


def test_without_trades_a_step_has_nothing_to_prove():
    entries = entries_on(BARS, ATR_TRAIL).take(np.empty(0, np.int64))
    assert prove_step(ATR_TRAIL, BARS, entries, {}, None, seed=0).status == "clean"


# --- one clear line -----------------------------------------------------------------------

TABLE = np.arange(9.0)
SEEN: list[float] = []
SETTINGS = {"distance": 2.0}


def reads_a_table(trade, bar, row, f, i, k):
    return TABLE[trade.age], np.nan, False


def keeps_a_list(trade, bar, row, f, i, k):
    SEEN.append(bar.close)
    return np.nan, np.nan, False


def reads_settings(trade, bar, row, f, i, k):
    return bar.close - SETTINGS["distance"], np.nan, False


def opens_a_file(trade, bar, row, f, i, k):
    return float(open("x").read()), np.nan, False  # noqa: PTH123


def draws(trade, bar, row, f, i, k):
    return bar.low, np.nan, np.random.random() < 0.1  # noqa: NPY002


def misspells(trade, bar, row, f, i, k):
    return bar.lowest, np.nan, False


def orders_two(trade, bar, row, f, i, k):
    return bar.low, np.nan


def forgets_to_answer(trade, bar, row, f, i, k):
    if bar.close > trade.entry:
        return None
    return bar.low, np.nan, False


def changes_constants(trade, bar, row, f, i, k):
    k[0] = bar.close
    return k[0], np.nan, False


def looks_beyond_its_row(trade, bar, row, f, i, k):
    return row[1], np.nan, False


def takes_fewer(trade, bar):
    return bar.low, np.nan, False


def has_a_default(trade, bar, row, f, i, k, table=TABLE):
    return table[0], np.nan, False


def helped(x):
    return TABLE[0] + x


def asks_a_helper(trade, bar, row, f, i, k):
    return helped(bar.low), np.nan, False


def one_constant(params):
    return np.zeros(0), np.zeros(0, np.int64), np.ones(1)


FAULTY = {
    reads_a_table: "reads 'TABLE', an array outside it",
    keeps_a_list: "reads 'SEEN', a list outside it",
    reads_settings: "reads 'SETTINGS', a dict outside it",
    opens_a_file: "cannot be compiled: Untyped global name 'open'",
    draws: "draws random numbers",
    misspells: "Unknown attribute 'lowest'",
    orders_two: r"returns .* instead of \(stop, target, leave\)",
    forgets_to_answer: "returns None on some way through it",
    changes_constants: "writes to 'k', which is read-only",
    looks_beyond_its_row: "raises IndexError: index is out of bounds",
    takes_fewer: "too many arguments: expected 2, got 6",
    has_a_default: "reads a default, an array outside it",
    asks_a_helper: "reads 'TABLE', an array outside it",
}


@pytest.mark.parametrize("step", FAULTY, ids=lambda step: step.__name__)
def test_a_faulty_step_gets_one_clear_line_with_its_place(step):
    with pytest.raises(StrategyError, match=FAULTY[step]) as caught:
        falsify(stepping(step, start=one_constant))
    assert "\n" not in caught.value.problem
    assert caught.value.problem.startswith("exit policy 'own': the step ")
    assert "test_exits.py:" in caught.value.problem
    assert caught.value.fix


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "static", "simulate": len}, "fills its own trades with 'simulate'"),
        ({"kind": "trailing"}, "is of kind 'trailing'"),
        ({"kind": "predicted"}, "is 'predicted' without 'target_of'"),
        ({"kind": "static", "step": misspells}, "has a step and is 'static'"),
        ({"kind": "managed"}, "is managed and gives no orders"),
        ({"kind": "managed", "batch": len}, "a batch without columns"),
        ({"kind": "managed", "batch": len, "columns": (Column(name="stop", unit="points"),)},
         "column 'stop' that orders nothing"),
        ({"kind": "static", "batch": len, "columns": (Column(name="leave_long", unit="flag"),)},
         "column 'leave_long' that orders nothing"),
        ({"kind": "static", "start": len}, "has a start without a step"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_named(given, says):
    with pytest.raises(StrategyError, match=says) as caught:
        ExitPolicy(name="own", **given)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (lambda bars, params: bars.close.astype(np.float32).reshape(-1, 1), "returned float32"),
        (lambda bars, params: bars.close, "returned shape"),
        (lambda bars, params: None, "returned NoneType"),
        (lambda bars, params: np.full((len(bars), 1), 3.0), "leave_long is 3 at bar 0"),
    ],
)
def test_columns_of_another_form_are_named(batch, says):
    with pytest.raises(StrategyError, match=says):
        exit_columns(managed(batch, "leave_long"), BARS, {})


def test_an_exit_that_raises_is_named():
    with pytest.raises(StrategyError, match="exit own raised ZeroDivisionError"):
        falsify(managed(lambda bars, params: 1 // 0))


def test_a_compiled_step_of_a_plug_in_is_compiled_again_with_bounds_checked():
    import numba

    fast = numba.njit(looks_beyond_its_row)
    with pytest.raises(StrategyError, match="IndexError"):
        falsify(replace(stepping(fast), start=one_constant))
