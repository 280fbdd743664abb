"""The falsifier on exit policies: ours are clean, each fault is caught by its detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.bars.sessions import session_end_mask
from ffm_core.bars.table import Bars
from ffm_core.causal.subjects.exits import falsify_exit_policy
from ffm_core.causal.subjects.fills import take
from ffm_core.errors import StrategyError
from ffm_core.labels.outcomes import prepare_orders
from ffm_core.labels.policies import ATR_TRAIL, DYNAMIC_TARGET, FIXED_RR
from ffm_core.records import REASONS, Decisions, ExitPolicy, Fills, Orders, Param
from ffm_core.testing import make_bars
from ffm_core.testing.specimens import CLEAN_LABELER

BARS = make_bars("random", rows=1_500, seed=3)
DATA_END, SKIPPED = REASONS.index("data_end"), REASONS.index("skipped")


def orders_of(bars: Bars, decisions: Decisions, *, flat: bool = False, rr: float = 2.0) -> Orders:
    orders, void = prepare_orders(
        bars, decisions, default_rr=rr, default_horizon=40, with_atr=True,
        flat=session_end_mask(bars) if flat else None,
    )  # fmt: skip
    return take(orders, np.flatnonzero(void == 0))


ORDERS = orders_of(BARS, CLEAN_LABELER.decide(BARS, {}))


def honest(bars: Bars, orders: Orders) -> Fills:
    return FIXED_RR.simulate(bars, orders, {})


def policy(simulate, **given) -> ExitPolicy:
    return ExitPolicy(**({"name": "own", "kind": "static", "simulate": simulate} | given))


def falsify(simulate, *, orders=ORDERS, **given):
    return falsify_exit_policy(policy(simulate, **given), BARS, orders, {}, seed=0)


def left_at(orders: Orders, fills: Fills, bar, price) -> Fills:
    gross = orders.side * (price - fills.entry_price) / orders.risk + 0.0
    return replace(fills, exit_bar=bar, exit_price=price, r_gross=gross)


def checks(found) -> set[str]:
    return {failure.check for failure in found.failures}


# --- clean --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built_in", "params"),
    [
        (FIXED_RR, {}),
        (FIXED_RR, {"tie": "skip", "target_gap": "target"}),
        (FIXED_RR, {"tie": "target_first", "rr": 1.0}),
        (DYNAMIC_TARGET, {}),
        (ATR_TRAIL, {}),
        (ATR_TRAIL, {"trail_atr": 0.5, "activate_r": 0.0}),
    ],
)
@pytest.mark.parametrize("kind", ["random", "gappy"])
def test_the_built_in_policies_are_clean(built_in, params, kind):
    bars = make_bars(kind, rows=800, seed=5)
    orders = orders_of(bars, CLEAN_LABELER.decide(bars, {}), flat=kind == "gappy", rr=1.0)
    found = falsify_exit_policy(built_in, bars, orders, params, seed=1)
    assert found.failures == ()
    assert found.cuts > 60
    assert found.rows_compared > found.cuts
    assert found.detection_bound == pytest.approx(1.0 / len(orders.entry_bar))


def test_what_was_done_depends_on_the_seed_alone():
    assert falsify(FIXED_RR.simulate) == falsify(FIXED_RR.simulate)


def test_many_orders_are_sampled_and_the_bound_says_so():
    rows = np.arange(20, 1_480)
    decisions = Decisions(bar=rows, side=np.ones(len(rows), np.int8), risk=np.full(len(rows), 9.0))
    found = falsify(FIXED_RR.simulate, orders=orders_of(BARS, decisions))
    assert found.status == "clean"
    assert found.detection_bound == pytest.approx(1.0 - 0.01 ** (1.0 / 300))


def test_no_order_proves_nothing():
    found = falsify(FIXED_RR.simulate, orders=take(ORDERS, np.empty(0, np.int64)))
    assert (found.status, found.cuts, found.detection_bound) == ("clean", 0, 1.0)


def test_a_managed_policy_may_read_the_past_before_the_entry():
    def below_the_record(bars: Bars, orders: Orders, params) -> Fills:
        # Leaves at the close of the first bar that falls from the highest close so far.
        fills = honest(bars, orders)
        top = np.maximum.accumulate(bars.close)
        bar, reason = fills.exit_bar.copy(), fills.reason.copy()
        for i, (first, last) in enumerate(zip(orders.entry_bar, fills.exit_bar, strict=True)):
            unstopped = fills.reason[i] in (DATA_END, REASONS.index("timeout"))
            held = np.arange(first, last + unstopped)
            out = held[bars.close[held] < 0.995 * top[held]]
            if len(out):
                bar[i], reason[i] = out[0], REASONS.index("trail")
        moved = bar != fills.exit_bar
        price = np.where(moved, bars.close[bar], fills.exit_price)
        best, worst = extremes(bars, orders, bar, price)
        whole = replace(fills, reason=reason, mfe_r=best, mae_r=worst)
        return left_at(orders, whole, bar, price)

    found = falsify(below_the_record, kind="managed")
    assert found.failures == ()


def extremes(bars, orders, bar, price):
    """Return the excursions of trades held to the close of ``bar``."""
    best, worst = np.empty(len(bar)), np.empty(len(bar))
    for i, (first, last) in enumerate(zip(orders.entry_bar, bar, strict=True)):
        entry, side = bars.open[first], int(orders.side[i])
        highs = np.append(bars.high[first:last], [entry, price[i]])
        lows = np.append(bars.low[first:last], [entry, price[i]])
        top, bottom = (highs.max() - entry), (entry - lows.min())
        best[i], worst[i] = (top, bottom) if side > 0 else (bottom, top)
    return best / orders.risk, worst / orders.risk


# --- later bars ---------------------------------------------------------------------------


def test_an_exit_that_knows_the_next_bar_is_caught_with_that_bar():
    def better_of_two(bars, orders, params):
        fills = honest(bars, orders)
        nxt = np.minimum(fills.exit_bar + 1, len(bars) - 1)
        close = np.where(
            orders.side * (bars.close[nxt] - bars.close[fills.exit_bar]) > 0,
            bars.close[fills.exit_bar],
            bars.low[fills.exit_bar],
        )
        return left_at(
            orders, replace(fills, mfe_r=np.full(len(close), 99.0)), fills.exit_bar, close
        )

    found = falsify(better_of_two)
    assert "horizon" in checks(found)
    failure = found.failures[0]
    assert failure.check == "horizon"
    assert failure.first_future_bar is not None
    assert failure.stamp.endswith("Z")
    assert failure.line.startswith("test_exits.py:")
    assert "nxt = np.minimum(fills.exit_bar + 1" in failure.line


def test_leaving_one_bar_before_the_stop_is_hindsight():
    def before_the_fall(bars, orders, params):
        fills = honest(bars, orders)
        stopped = (fills.reason == REASONS.index("stop")) & (fills.exit_bar > fills.entry_bar)
        bar = np.where(stopped, fills.exit_bar - 1, fills.exit_bar)
        return left_at(orders, fills, bar, np.where(stopped, bars.close[bar], fills.exit_price))

    failure = falsify(before_the_fall).failures[0]
    assert failure.check == "horizon"
    assert failure.first_future_bar - failure.bar <= 40
    assert "bar = np.where(stopped, fills.exit_bar - 1" in failure.line


def test_an_open_trade_may_not_close_at_the_end_of_the_data():
    def closes(bars, orders, params):
        fills = honest(bars, orders)
        reason = np.where(fills.reason == DATA_END, REASONS.index("timeout"), fills.reason)
        return replace(fills, reason=reason.astype(np.int8))

    failure = falsify(closes).failures[0]
    assert failure.check == "horizon"
    assert "is open until bar" in failure.message
    assert "data_end" in failure.fix


def test_a_condition_met_only_in_changed_bars_is_found_by_changing_them():
    def cautious(bars, orders, params):
        # Nothing in these data moves by a tenth within fifty bars; a changed future may.
        fills = honest(bars, orders)
        ahead = np.minimum(fills.exit_bar + 50, len(bars) - 1)
        wild = np.abs(bars.close[ahead] / bars.close[fills.exit_bar] - 1.0) > 0.1
        return left_at(
            orders, fills, fills.exit_bar, np.where(wild, fills.entry_price, fills.exit_price)
        )

    failure = falsify(cautious).failures[0]
    assert failure.check == "horizon"
    assert "are changed (" in failure.message
    assert "ahead = np.minimum(fills.exit_bar + 50" in failure.line or "wild" in failure.line


def test_trades_held_past_their_horizon_or_the_session_are_named():
    def patient(bars, orders, params):
        return honest(bars, replace(orders, horizon_bars=3 * orders.horizon_bars))

    def sleepless(bars, orders, params):
        return honest(bars, replace(orders, flat=None))

    (failure,) = falsify(patient).failures
    assert (failure.check, failure.column) == ("horizon", "exit_bar")
    flat = orders_of(BARS, CLEAN_LABELER.decide(BARS, {}), flat=True)
    assert falsify(FIXED_RR.simulate, orders=flat).status == "clean"
    (failure,) = falsify(sleepless, orders=flat).failures
    assert "past its horizon or the session's end" in failure.message


# --- left out -----------------------------------------------------------------------------


def test_losers_declared_void_are_a_failure_of_completeness():
    def voids(bars, orders, params):
        fills = honest(bars, orders)
        reason = np.where(fills.r_gross < 0, SKIPPED, fills.reason)
        return replace(fills, reason=reason.astype(np.int8))

    (failure,) = falsify(voids).failures
    assert (failure.check, failure.column) == ("completeness", "reason")
    assert "reason = np.where(fills.r_gross < 0" in failure.line
    tie = Param(name="tie", default="skip", choices=("stop_first", "skip"))
    (failure,) = falsify(voids, params=(tie,)).failures
    assert failure.check == "completeness"  # declaring a tie policy is no licence to void others


def test_losers_left_without_a_price_are_a_failure_of_completeness():
    def silent(bars, orders, params):
        fills = honest(bars, orders)
        return replace(fills, r_gross=np.where(fills.r_gross < 0, np.nan, fills.r_gross))

    assert "completeness" in checks(falsify(silent))


def test_losers_voided_as_the_end_of_the_data_are_found():
    def ends(bars, orders, params):
        fills = honest(bars, orders)
        reason = np.where(fills.r_gross < 0, DATA_END, fills.reason)
        return replace(fills, reason=reason.astype(np.int8))

    assert checks(falsify(ends)) & {"completeness", "horizon"}


def test_fewer_answers_than_orders_are_a_failure_of_completeness():
    def drops(bars, orders, params):
        fills = honest(bars, orders)
        won = fills.r_gross > 0
        return Fills(**{name: getattr(fills, name)[won] for name in Fills.__dataclass_fields__})

    (failure,) = falsify(drops).failures
    assert failure.check == "completeness"
    assert f"{len(ORDERS.entry_bar)} orders" in failure.message


# --- others, arithmetic, purity -----------------------------------------------------------


def test_a_fill_that_depends_on_other_orders_is_a_failure_of_rows():
    def crowd(bars, orders, params):
        mean = orders.risk.mean()
        return honest(bars, replace(orders, target_r=np.maximum(1.0, 2.0 * mean / orders.risk)))

    (failure,) = falsify(crowd).failures
    assert failure.check == "rows"
    assert failure.line.endswith("mean = orders.risk.mean()")


def test_one_position_at_a_time_is_a_failure_of_rows():
    def alone(bars, orders, params):
        fills = honest(bars, orders)
        busy = np.maximum.accumulate(np.append(-1, fills.exit_bar[:-1])) >= orders.entry_bar
        bar = np.where(busy, orders.entry_bar, fills.exit_bar)
        return left_at(orders, fills, bar, np.where(busy, bars.close[bar], fills.exit_price))

    assert "rows" in checks(falsify(alone))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda f: {"exit_price": f.exit_price + 1e3}, "exit_price"),
        (lambda f: {"r_gross": f.r_gross - 0.01}, "r_gross"),
        (lambda f: {"entry_price": f.entry_price - 0.25}, "entry_price"),
        (lambda f: {"entry_bar": f.entry_bar - 1}, "entry_price"),
        (lambda f: {"mfe_r": f.mfe_r + 5.0}, "mfe_r"),
        (lambda f: {"mfe_r": f.mfe_r * 0.0}, "mfe_r"),
        (lambda f: {"mae_r": f.mae_r * 0.0}, "mae_r"),
        (lambda f: {"mae_r": -f.mae_r - 1.0}, "mae_r"),
    ],
)
def test_arithmetic_that_no_bar_allows_is_a_failure_of_values(change, column):
    def wrong(bars, orders, params):
        fills = honest(bars, orders)
        return replace(fills, **change(fills))

    found = falsify(wrong, orders=orders_of(BARS, CLEAN_LABELER.decide(BARS, {}), rr=1.0))
    assert ("values", column) in {(f.check, f.column) for f in found.failures}
    assert checks(found) == {"values"}


def test_chance_state_and_edits_are_failures_of_purity():
    calls = []

    def lucky(bars, orders, params):
        fills = honest(bars, orders)
        slip = -np.abs(np.random.default_rng().normal(size=len(orders.risk))) * orders.side
        return left_at(orders, fills, fills.exit_bar, fills.exit_price + slip)

    def tires(bars, orders, params):
        calls.append(1)
        return honest(bars, replace(orders, target_r=orders.target_r + (len(calls) > 50)))

    def edits(bars, orders, params):
        orders.risk[:] = orders.risk * 2
        return honest(bars, orders)

    failure = falsify(lucky).failures[0]
    assert failure.check == "purity"
    assert "default_rng()" in failure.line
    assert checks(falsify(tires)) == {"purity"}
    assert "edits orders.risk" in falsify(edits).failures[0].message


def test_answers_remembered_from_the_longest_series_are_found():
    known: dict[tuple[int, int], tuple[int, Fills, Orders]] = {}

    def remembers(bars, orders, params):
        # Lets the next bar decide, and hides it by repeating what it once said.
        key = (int(bars.ts_us[0]), len(orders.entry_bar))
        fills = honest(bars, orders)
        nxt = bars.close[np.minimum(fills.exit_bar + 1, len(bars) - 1)]
        price = np.where(nxt > fills.exit_price, bars.low[fills.exit_bar], fills.exit_price)
        own = left_at(orders, fills, fills.exit_bar, price)
        if key not in known or known[key][0] < len(bars):
            known[key] = (len(bars), own, orders)
        stop, said, asked = known[key]
        same = stop > len(bars) and np.array_equal(asked.entry_bar, orders.entry_bar)
        closed = said.exit_bar < len(bars) - 1
        return replace(own, exit_price=np.where(closed, said.exit_price, own.exit_price)) if same \
            else own  # fmt: skip

    assert checks(falsify(remembers)) & {"purity", "horizon", "rows"}


def test_something_else_than_fills_breaks_the_contract():
    with pytest.raises(StrategyError, match="expected Fills"):
        falsify(lambda bars, orders, params: None)
    with pytest.raises(StrategyError, match="ZeroDivisionError"):
        falsify(lambda bars, orders, params: 1 // 0)
