from __future__ import annotations

import numpy as np
import pytest

from ffm_core.errors import ConfigError, StrategyError
from ffm_core.labels.entries import entries_of
from ffm_core.labels.exits import exit_columns, fill
from ffm_core.labels.lanes import follow
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import (
    ATR_TRAIL,
    DYNAMIC_TARGET,
    EXIT_POLICIES,
    FIXED_RR,
    RS_TRAIL,
    SESSION_END,
    setting,
)
from ffm_core.labels.step import Bar, OpenTrade
from ffm_core.labels.trails import rs_atr, rs_columns, rs_trail
from ffm_core.records import REASONS, Column, Decisions, ExitPolicy, Param
from ffm_core.testing import make_bars as market

LONG, SHORT = 1, -1


def levels(*names):
    return tuple(Column(name=name, unit="points") for name in names)


def decisions(*rows, **more):
    bar, side = np.array(rows).T
    return Decisions(bar=bar, side=side, **more)


def test_the_policies_and_their_kinds():
    assert {p.name: p.kind for p in EXIT_POLICIES} == {
        "fixed_rr": "static", "dynamic_target": "predicted", "session_end": "static",
        "atr_trail": "managed", "rs_trail": "managed",
    }  # fmt: skip
    assert all(policy.summary for policy in EXIT_POLICIES)


def test_every_parameter_has_a_default_within_its_own_bounds():
    for policy in EXIT_POLICIES:
        for param in policy.params:
            assert setting(policy, {}, param.name) == param.default


def test_the_dynamic_target_is_a_clipped_share_of_the_prediction():
    predicted = np.array([0.5, 1.875, 5.0, 10.0, 40.0])
    assert DYNAMIC_TARGET.target_of(predicted, {}).tolist() == [1.5, 1.5, 4.0, 8.0, 8.0]
    other = {"fraction": 0.5, "floor_r": 1.0, "cap_r": 3.0}
    assert DYNAMIC_TARGET.target_of(predicted, other).tolist() == [1.0, 1.0, 2.5, 3.0, 3.0]


def test_the_trail_distance_is_the_atr_of_the_signal_bar(make_bars):
    # Every range is 2, so ATR is 2; the entry bar runs to 110 and must not widen it.
    high = [101.0] * 30
    high[21] = 110.0
    bars = make_bars([100.0] * 30, high, [99.0] * 30, [100.0] * 30)
    rows = decisions((20, LONG), risk=np.array([3.0]))
    found = outcomes(bars, rows, ATR_TRAIL, {"trail_atr": 5.25}, horizon_bars=5)
    assert (REASONS[found.reason[0]], found.exit_bar[0]) == ("trail", 22)
    assert found.exit_price[0] == pytest.approx(110 - 5.25 * 2)


def test_the_session_end_has_no_target_and_needs_no_setting_of_the_run():
    bars = market("trend", rows=900, seed=2)
    rows = decisions(*((bar, LONG) for bar in range(40, 600, 55)), risk=np.full(11, 500.0))
    found = outcomes(bars, rows, SESSION_END, horizon_bars=700)
    assert {REASONS[code] for code in found.reason} == {"session_end"}
    flat = outcomes(bars, rows, FIXED_RR, horizon_bars=700, flat_at_session_end=True)
    np.testing.assert_array_equal(found.exit_bar, flat.exit_bar)


# --- the Rogers-Satchell trail ------------------------------------------------------------


def test_the_volatility_is_the_published_sum(make_bars):
    bars = make_bars([100.0, 101.0], [102.0, 103.0], [99.0, 100.5], [101.0, 101.5])
    found = rs_atr(bars.open, bars.high, bars.low, bars.close)
    rs = [
        np.log(h / c) * np.log(h / o) + np.log(low / c) * np.log(low / o)
        for o, h, low, c in zip(bars.open, bars.high, bars.low, bars.close, strict=True)
    ]
    np.testing.assert_allclose(found, [np.sqrt(rs[0]) * 101.0, np.sqrt(np.mean(rs)) * 101.5])
    still = make_bars([100.0] * 30, [100.0] * 30, [100.0] * 30, [100.0] * 30)
    assert rs_atr(still.open, still.high, still.low, still.close).tolist() == [0.0] * 30


def test_its_columns_know_swings_when_they_are_confirmed():
    bars = market("random", rows=400, seed=5)
    whole = rs_columns(bars)
    for cut in (57, 133, 290):
        np.testing.assert_array_equal(rs_columns(bars[:cut]), whole[:cut])
    low = next(t for t in range(2, 300) if whole[t, 2] != whole[t - 1, 2] and t > 20)
    assert whole[low, 2] == bars.low[low - 2]
    assert bars.low[low - 2] < min(bars.low[[low - 4, low - 3, low - 1, low]])


def follow_worked_example(side):
    """The published example: entry 20000, volatility 10 at the signal, live values after it."""
    f, i = np.zeros(3), np.zeros(1, dtype=np.int64)
    k = np.array([3.0, 0.5, 0.5, 0.1])
    stops = []
    highs, live = (20004, 20008, 20014, 20019, 20020), (10, 9.5, 7.5, 6.5, 11)
    for age, (high, now) in enumerate(zip(highs, live, strict=True), start=1):
        best, other = 20_000 + side * (high - 20_000), 20_000.0 - side * 1.0
        top, bottom = max(best, other), min(best, other)
        bar = Bar(20_000.0, top, bottom, 20_000.0, 1.0)
        row = np.array([now, 10.0, np.nan, np.nan])
        trade = OpenTrade(float(side), 20_000.0, 50.0, 10.0, age)
        stop, target, leave = rs_trail(trade, bar, row, f, i, k)
        assert np.isnan(target)
        assert not leave
        stops.append(20_000 + side * (stop - 20_000))
    return stops


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_the_trail_is_the_worked_example(side):
    # Armed on the second bar, whose stop already holds for the third; never loosens.
    assert follow_worked_example(side) == [19_970.0, 20_003.25, 20_010.25, 20_015.75, 20_015.75]


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_swing_that_is_tighter_wins_and_arms_the_trail(side):
    f, i, k = np.zeros(3), np.zeros(1, dtype=np.int64), np.array([3.0, 0.5, 0.5, 0.1])
    low, high = (99.0, 100.2) if side > 0 else (99.8, 101.0)
    swing = 100.0 - side * 2.0
    row = np.array([1.0, 1.0, swing, swing])
    trade = OpenTrade(float(side), 100.0, 5.0, 1.0, 1)
    stop, _, _ = rs_trail(trade, Bar(100.0, high, low, 100.0, 1.0), row, f, i, k)
    assert stop == swing - side * 0.1
    assert i[0] == 1
    # a swing that the bar has gone through says nothing any more
    f, i = np.zeros(3), np.zeros(1, dtype=np.int64)
    row = np.array([1.0, 1.0, 100.0 - side * 0.5, 100.0 - side * 0.5])
    stop, _, _ = rs_trail(trade, Bar(100.0, high, low, 100.0, 1.0), row, f, i, k)
    assert stop == 100.0 - side * 3.0
    assert i[0] == 0


def test_it_leaves_the_worked_trade_where_the_stop_was_put(make_bars):
    # rises of one size and a fall; the exact stop is the step's, on the tick below
    close = np.concatenate((np.full(30, 100.0), 100.0 + np.arange(1, 9), np.full(5, 100.0)))
    open_ = np.concatenate(([100.0], close[:-1]))
    bars = make_bars(open_, np.maximum(open_, close) + 1.0, np.minimum(open_, close) - 1.0, close)
    rows = decisions((29, LONG), risk=np.array([20.0]))
    found = outcomes(bars, rows, RS_TRAIL, horizon_bars=13)
    assert REASONS[found.reason[0]] == "trail"
    assert found.exit_price[0] % 0.25 == 0.0
    assert found.exit_price[0] > 100.0


# --- any policy, over arrays and bar by bar -----------------------------------------------


def mean_levels(bars, params):
    mean = bars.frame["close"].rolling_mean(9).to_numpy()
    below, above = bars.close < mean - 2.0, bars.close > mean + 2.0
    return np.column_stack(
        [mean - 3.0, mean + 3.0, mean + 9.0, mean - 9.0, below.astype(float), above.astype(float)]
    )


def pull(trade, bar, row, f, i, k):
    i[0] += 1
    f[0] = 0.5 * f[0] + 0.5 * bar.close
    return f[0] - trade.side * k[0], row[0] + trade.side * k[1], i[0] >= 17


def pull_start(params):
    return np.array([100.0]), np.zeros(1, np.int64), np.array([2.0, float(params["far"])])


ALL = levels("stop_long", "stop_short", "target_long", "target_short", "leave_long", "leave_short")
OWN = (
    ExitPolicy(name="columns", kind="managed", columns=ALL, batch=mean_levels),
    ExitPolicy(name="once", kind="static", columns=levels("target_long", "target_short"),
               batch=lambda bars, params: mean_levels(bars, params)[:, 2:4].copy()),
    ExitPolicy(name="pull", kind="managed", step=pull, start=pull_start,
               columns=levels("mean"), batch=lambda bars, params: mean_levels(bars, params)[:, :1],
               params=(Param(name="far", default=6.0), Param(name="rr", default=4.0),
                       Param(name="tie", default="target_first", choices=("target_first",)))),
)  # fmt: skip


@pytest.mark.parametrize("policy", [*EXIT_POLICIES, *OWN], ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_walk_over_arrays_is_the_trade_followed_bar_by_bar(policy, seed, walk):
    bars = walk(seed, 400)
    rng = np.random.default_rng(seed)
    bar = np.sort(rng.choice(np.arange(20, 390), 40, replace=False))
    rows = Decisions(bar=bar, side=rng.choice([-1, 1], 40), risk=rng.uniform(1.1, 6.0, 40))
    params = {param.name: param.default for param in policy.params}
    entries, void = entries_of(bars, rows, policy, params, horizon_bars=30)
    entries = entries.take(np.flatnonzero(void == 0))
    columns = exit_columns(policy, bars, params)
    walked = fill(bars, entries, policy, params, columns)
    for row in range(len(entries)):
        told = tuple(getattr(walked, name)[row].item() for name in walked._fields)
        assert repr(follow(bars, entries, row, policy, params, columns)) == repr(told)


def test_static_columns_are_read_at_the_decision_and_never_again(make_bars):
    def target(bars, params):
        return np.array([[np.nan], [103.0], [100.25], [100.25]])

    bars = make_bars([100] * 4, [100.5, 100.5, 101, 103.5], [99.75] * 4, [100] * 4)
    once = ExitPolicy(name="once", kind="static", columns=levels("target_long"), batch=target)
    rows = decisions((1, LONG), risk=np.array([2.0]))
    found = outcomes(bars, rows, once, horizon_bars=2)
    assert (REASONS[found.reason[0]], found.exit_bar[0]) == ("target", 3)
    managed = ExitPolicy(name="moves", kind="managed", columns=levels("target_long"), batch=target)
    found = outcomes(bars, rows, managed, horizon_bars=2)
    assert (REASONS[found.reason[0]], found.exit_bar[0]) == ("target", 3)
    assert found.exit_price[0] == 100.25  # ordered at the close of bar 2


def test_a_flag_of_the_decision_bar_means_nothing(make_bars):
    def flag(bars, params):
        return np.array([[1.0], [1.0], [0.0], [1.0], [0.0]])

    bars = make_bars([100] * 5, [101] * 5, [99] * 5, [100] * 5)
    policy = ExitPolicy(name="flag", kind="managed", columns=levels("leave_long"), batch=flag)
    found = outcomes(bars, decisions((1, LONG), risk=np.array([5.0])), policy, horizon_bars=4)
    assert (REASONS[found.reason[0]], found.exit_bar[0]) == ("ordered", 4)


def test_a_managed_policy_that_declares_rr_has_a_target_at_entry(make_bars):
    def hold(trade, bar, row, f, i, k):
        return np.nan, np.nan, False

    bars = make_bars([100] * 4, [100.5, 100.5, 104.5, 100.5], [99.5] * 4, [100] * 4)
    rows = decisions((0, LONG), risk=np.array([2.0]))
    rr = (Param(name="rr", default=2.0, minimum=1.0),)
    with_target = ExitPolicy(name="rr", kind="managed", step=hold, params=rr)
    found = outcomes(bars, rows, with_target, horizon_bars=3)
    assert (REASONS[found.reason[0]], found.r_gross[0]) == ("target", 2.0)
    plain = ExitPolicy(name="plain", kind="managed", step=hold)
    assert REASONS[outcomes(bars, rows, plain, horizon_bars=3).reason[0]] == "timeout"


def test_a_step_that_raises_in_the_middle_of_a_walk_is_named(walk):
    def late(trade, bar, row, f, i, k):
        if trade.age > 3:
            raise ValueError("too old")
        return np.nan, np.nan, False

    policy = ExitPolicy(name="late", kind="managed", step=late)
    rows = decisions((20, LONG), risk=np.array([50.0]))
    with pytest.raises(StrategyError, match="'late': the step raises ValueError: too old"):
        outcomes(walk(1), rows, policy, horizon_bars=30)


def test_a_policy_without_that_parameter_says_so():
    with pytest.raises(ConfigError, match="'fixed_rr' has no parameter 'trail_atr'"):
        setting(FIXED_RR, {}, "trail_atr")
