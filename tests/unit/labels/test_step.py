"""Every driver of the one step, on the ten cases of the fill rules and on random bars."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.bars.primitives import frozen
from ffm_core.labels.entries import Entries
from ffm_core.labels.kernels import (
    fill_barriers,
    fill_columns,
    next_flat,
    on_ticks,
    peak_excursion,
)
from ffm_core.labels.lanes import advance, advance_lanes, opened, start_lanes
from ffm_core.labels.step import (
    DATA_END,
    HOLD,
    SESSION_END,
    STOP_FIRST,
    TIES,
    TIMEOUT,
    Bar,
    Order,
    Rules,
    rules_on,
)
from ffm_core.labels.trails import WALKS, atr_trail
from ffm_core.records import REASONS
from ffm_core.testing.fill_cases import FILL_CASES

LONG, SHORT = 1, -1
NAN = float("nan")


class Trade(NamedTuple):
    """A trade on bars, with the orders of every close; row t holds from bar t + 1."""

    entry_bar: int
    side: int
    risk: float
    target_r: float
    horizon: int
    flat: np.ndarray
    stop: np.ndarray
    target: np.ndarray
    leave: np.ndarray


def levels_of(trade: Trade, rows: int) -> np.ndarray:
    levels = np.full((rows, 6), NAN)
    at = 0 if trade.side > 0 else 1
    levels[:, at], levels[:, 2 + at], levels[:, 4 + at] = trade.stop, trade.target, trade.leave
    return levels


def arrays(bars, trade):
    """The trade as the walks over arrays take it, from the session ends to the horizon."""
    entry = bars.open[trade.entry_bar]
    levels = entry - trade.side * trade.risk, entry + trade.side * trade.target_r * trade.risk
    return (
        next_flat(trade.flat), np.array([trade.entry_bar]), np.array([trade.side], dtype=np.int8),
        *(np.array([value]) for value in (*levels, trade.risk)),
        np.array([trade.horizon], dtype=np.int32),
    )  # fmt: skip


def over_arrays(bars, trade, rules):
    prices = (frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close))
    found = fill_columns(*prices, *arrays(bars, trade), rules, levels_of(trade, len(bars)), False)
    bar, price, reason, best, worst = (values[0] for values in found)
    return REASONS[reason], int(bar), float(price), float(best), float(worst)


def excursions(side, entry, top, bottom, risk):
    up, down = (top - entry) / risk, (entry - bottom) / risk
    return (up, down) if side > 0 else (down, up)


def in_lanes(bars, trade, rules):
    flat_at, bar, side, stop, target, risk, horizon = arrays(bars, trade)
    entries = Entries(
        bar=bar, price=bars.open[bar], side=side, risk=risk, stop=stop, target=target,
        target_r=np.array([trade.target_r]), horizon_bars=horizon, atr=np.array([NAN]),
        flat_at=flat_at,
    )  # fmt: skip
    lanes = start_lanes(bars, entries)
    known = trade.entry_bar - 1
    while lanes.open.any():
        later = known >= trade.entry_bar
        advance_lanes(
            lanes, bars, rules, stop=trade.stop[[known]], target=trade.target[[known]],
            leave=trade.leave[[known]] & later,
        )  # fmt: skip
        known += 1
    f, i = lanes.f[0], lanes.i[0]
    ends = excursions(trade.side, f[1], f[4], f[5], trade.risk)
    return REASONS[i[4]], int(lanes.exit_bar[0]), float(f[6]), *map(float, ends)


def bar_by_bar(bars, trade, rules):
    e, s = trade.entry_bar, trade.side
    entry = float(bars.open[e])
    stop, target = entry - s * trade.risk, entry + s * trade.target_r * trade.risk
    position, j = opened(s, entry, stop, target), e
    while True:
        order = Order(trade.stop[j - 1], trade.target[j - 1], bool(trade.leave[j - 1]) and j > e)
        bar = Bar(*bars_at(bars, j))
        ends = 0
        if trade.flat[j]:
            ends = SESSION_END
        elif j == e + trade.horizon - 1:
            ends = TIMEOUT
        elif j == len(bars) - 1:
            ends = DATA_END
        position = advance(position, bar, order, ends, rules)
        if position.reason:
            break
        j += 1
    ends = excursions(s, entry, position.top, position.bottom, trade.risk)
    return REASONS[position.reason], j, float(position.price), *map(float, ends)


def ticked(price, upward, rules):
    """The first price on the grid at or beyond ``price``."""
    if rules.tick == 0 or np.isnan(price):
        return price
    ticks = price / rules.tick
    near = round(ticks)
    if abs(ticks - near) > 1e-6:
        near = math.ceil(ticks) if upward else math.floor(ticks)
    return near * rules.tick


def plainly(bars, trade, rules):
    """The rules as they are told, over plain numbers."""
    e, s = trade.entry_bar, trade.side
    o, high, low, close = (v.tolist() for v in (bars.open, bars.high, bars.low, bars.close))
    entry = o[e]
    stop, target, moved = entry - s * trade.risk, entry + s * trade.target_r * trade.risk, False
    best = worst = 0.0

    def end(reason, price):
        at_best, at_worst = max(best, s * (price - entry)), max(worst, s * (entry - price))
        return reason, j, price, at_best / trade.risk + 0.0, at_worst / trade.risk + 0.0

    for j in range(e, len(o)):
        level = ticked(trade.stop[j - 1], s < 0, rules)
        if s * (level - stop) > 0:
            stop, moved = level, True
        if not np.isnan(trade.target[j - 1]):
            target = ticked(trade.target[j - 1], s > 0, rules)
        against, along = (low[j], high[j]) if s > 0 else (high[j], low[j])
        if s * (o[j] - stop) <= 0:
            return end("trail" if moved else "stop_gap", o[j])
        if s * (o[j] - target) >= 0:
            return end("target_gap", o[j] if rules.gap_at_open else target)
        if trade.leave[j - 1] and j > e:
            return end("ordered", o[j])
        hit_stop, hit_target = s * (against - stop) <= 0, s * (along - target) >= 0
        if hit_stop and hit_target and TIES[rules.tie] == "skip":
            return "skipped", j, NAN, NAN, NAN
        if hit_stop and not (hit_target and TIES[rules.tie] == "target_first"):
            return end("trail" if moved else "stop", stop)
        if hit_target:
            worst = max(worst, min(s * (entry - against), s * (entry - stop)))
            return end("target", target)
        best, worst = max(best, s * (along - entry)), max(worst, s * (entry - against))
        if trade.flat[j]:
            return end("session_end", close[j])
        if j == e + trade.horizon - 1:
            return end("timeout", close[j])
    return end("data_end", close[j])


DRIVERS = [over_arrays, in_lanes, bar_by_bar]


@pytest.mark.parametrize("driver", [*DRIVERS, plainly])
@pytest.mark.parametrize("case", FILL_CASES, ids=lambda case: case.name)
def test_every_driver_gives_the_answer_of_the_page(driver, case, make_bars):
    before = (100.0, 100.5, 99.5, 100.0)  # the bar of the decision
    bars = make_bars(*zip(before, *case.bars, strict=True))
    count, entry = len(bars), case.bars[0][0]
    flat = np.zeros(count, dtype=np.bool_)
    if case.session_end is not None:
        flat[1 + case.session_end] = True
    stop, target = np.full(count, NAN), np.full(count, NAN)
    leave = np.zeros(count, dtype=np.bool_)
    for at, order in case.orders.items():
        stop[1 + at], target[1 + at], leave[1 + at] = order
    risk = case.side * (entry - case.stop)
    reward = case.side * (case.target - entry) / risk
    trade = Trade(1, case.side, risk, reward, case.horizon_bars, flat, stop, target, leave)
    reason, bar, price, *_ = driver(bars, trade, STOP_FIRST)
    assert (reason, bar - 1, price) == (case.reason, case.exit_bar, case.exit_price)


def test_the_page_has_ten_cases_of_ten_names():
    assert len(FILL_CASES) == len({case.name for case in FILL_CASES}) == 10


@st.composite
def trades(draw):
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed + 1)
    e, s = draw(st.integers(1, 118)), draw(st.sampled_from([LONG, SHORT]))
    often = draw(st.sampled_from([0.0, 0.1, 0.5]))
    near = 100.0 + rng.normal(0, 6, (2, 120)).round(2)
    stop, target = np.where(rng.random((2, 120)) < often, near, NAN)
    return seed, Trade(
        entry_bar=e,
        side=s,
        risk=draw(st.sampled_from([0.5, 1.1, 2.5, 6.0])),
        target_r=draw(st.sampled_from([1.0, 1.7, 3.0, np.inf])),
        horizon=draw(st.integers(1, 60)),
        flat=rng.random(120) < 0.03,
        stop=stop,
        target=target,
        leave=rng.random(120) < 0.3 * often,
    )


@settings(deadline=None, max_examples=400)
@given(trades(), st.sampled_from(TIES), st.booleans(), st.booleans())
def test_all_drivers_give_the_same_bits(walk, drawn, tie, at_open, on_grid):
    seed, trade = drawn
    bars, rules = walk(seed), Rules(TIES.index(tie), at_open, 0.0, 0.0)
    if on_grid:
        rules = rules_on(0.25, tie=tie, gap_at_open=at_open)
    told = plainly(bars, trade, rules)
    for driver in DRIVERS:
        found = driver(bars, trade, rules)
        assert found[:2] == told[:2]
        if told[0] == "skipped":
            assert np.isnan(found[2])
        else:
            assert found[2:] == told[2:]


@settings(deadline=None, max_examples=100)
@given(trades(), st.sampled_from(TIES), st.booleans())
def test_walks_without_orders_are_the_same_walk(walk, drawn, tie, at_open):
    seed, trade = drawn
    never = np.full(120, NAN)
    trade = trade._replace(stop=never, target=never, leave=np.zeros(120, dtype=np.bool_))
    bars, rules = walk(seed), Rules(TIES.index(tie), at_open, 0.0, 0.0)
    prices = (frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close))
    levels, given = levels_of(trade, 120), arrays(bars, trade)
    one = fill_barriers(*prices, *given, rules)
    other = fill_columns(*prices, *given, rules, levels, False)
    for a, b in zip(one, other, strict=True):
        assert a.tobytes() == b.tobytes()
    # a trail that is never armed is a stop without a target, and its best is the peak
    given = arrays(bars, trade._replace(target_r=np.inf))
    flat_at, entry, side, stop, _, risk, horizon = given
    state = np.zeros(1), np.zeros(0, dtype=np.int64), frozen(np.array([1.0, np.inf]))
    far = WALKS[atr_trail](
        *prices, frozen(bars.volume), *given[:-1], np.ones(1), horizon, rules,
        frozen(np.zeros((120, 0))), *state,
    )  # fmt: skip
    plain = fill_barriers(*prices, *given, rules)
    for a, b in zip(far, plain, strict=True):
        assert a.tobytes() == b.tobytes()
    peak = peak_excursion(*prices[:3], flat_at, entry, side, stop, risk, horizon)
    assert peak.tobytes() == plain.best.tobytes()


def test_an_open_beyond_a_level_comes_before_an_ordered_exit(make_bars):
    bars = make_bars([100, 97], [100.5, 97.5], [99.5, 96.5], [100, 97])
    position = opened(LONG, 100.0, 98.0, 104.0)
    position = advance(position, Bar(*bars_at(bars, 0)), HOLD, 0, STOP_FIRST)
    gone = advance(position, Bar(*bars_at(bars, 1)), Order(NAN, NAN, True), 0, STOP_FIRST)
    assert (REASONS[gone.reason], gone.price) == ("stop_gap", 97.0)
    at_target = Rules(STOP_FIRST.tie, False, 0.0, 0.0)
    up = Bar(105.0, 106.0, 104.5, 105.0, 1.0)
    gone = advance(position, up, Order(NAN, NAN, True), 0, at_target)
    assert (REASONS[gone.reason], gone.price) == ("target_gap", 104.0)


def bars_at(bars, j):
    return bars.open[j], bars.high[j], bars.low[j], bars.close[j], 1.0


def test_levels_beyond_the_entry_open_fill_at_it(make_bars):
    bars = make_bars([100, 100], [100.5, 105], [99.5, 95], [100, 100])
    stop, nothing = np.array([101.0, NAN]), np.full(2, NAN)
    no, never = np.zeros(2, dtype=np.bool_), np.zeros(2, dtype=np.bool_)
    trade = Trade(1, LONG, 2.0, 2.0, 5, no, stop, nothing, never)
    for driver in DRIVERS:
        assert driver(bars, trade, STOP_FIRST)[:3] == ("trail", 1, 100.0)
        below = trade._replace(stop=nothing, target=np.array([99.0, NAN]))
        assert driver(bars, below, STOP_FIRST)[:3] == ("target_gap", 1, 100.0)


# --- ticks --------------------------------------------------------------------------------

TICKS = ("0.25", "0.01", "0.1", "0.005", "0.05", "0.00005", "0.0000005", "0.03125", "0.5", "1",
         "2.5", "5", "0.3")  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(TICKS), st.integers(-200_000, 2_000_000), st.floats(0.01, 0.99),
       st.floats(-1e-9, 1e-9))  # fmt: skip
def test_levels_go_to_the_first_tick_at_or_beyond_them(tick, ticks, between, noise):
    grid, rules = Decimal(tick), rules_on(float(tick))
    at, above = float(ticks * grid), float((ticks + 1) * grid)
    inside = float((ticks + Fraction(between)) * Fraction(grid))
    on_it = at + noise * float(tick)
    prices = np.array([at, at, on_it, on_it, inside, inside])
    found = on_ticks(prices, np.array([False, True] * 3), rules)
    if Decimal(1) % grid == 0 or grid >= 1:
        # the very doubles that the decimals parse to
        assert found.tolist() == [at, at, at, at, at, above]
    else:
        np.testing.assert_allclose(found, [at, at, at, at, at, above], rtol=1e-12)


def test_no_level_moves_where_there_is_no_tick_or_no_level():
    prices = np.array([100.1234, np.inf, -np.inf, np.nan])
    up = np.ones(4, dtype=np.bool_)
    np.testing.assert_array_equal(on_ticks(prices, up, STOP_FIRST), prices)
    np.testing.assert_array_equal(on_ticks(prices, up, rules_on(0.25))[1:], prices[1:])


def test_a_moved_stop_is_rounded_away_from_the_price_and_a_target_beyond_what_was_asked(make_bars):
    bars = make_bars([100, 100, 101], [100.5, 103.0, 103.0], [99.5, 99.75, 100.5], [100, 102, 101])
    levels = np.array([NAN, 100.9, NAN]), np.array([NAN, 102.6, NAN])
    no = np.zeros(3, dtype=np.bool_)
    long = Trade(1, LONG, 2.0, 9.0, 5, no, *levels, no)
    rules = rules_on(0.25)
    for driver in DRIVERS:
        assert driver(bars, long, rules)[:3] == ("trail", 2, 100.75)
        far = long._replace(stop=np.full(3, NAN))
        assert driver(bars, far, rules)[:3] == ("target", 2, 102.75)
