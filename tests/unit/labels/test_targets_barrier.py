from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ffm_core.errors import ConfigError
from ffm_core.labels.targets import target
from ffm_core.labels.targets.barrier import LONG, NONE, SHORT

STRICT, OLD = target("barrier/direction"), target("barrier-legacy/direction")
ZONE = ZoneInfo("America/New_York")
# New York minutes: from, to, target and stop in ATR, minutes a trade may last
TABLE = [(570, 660, 2.0, 1.25, 60), (660, 840, 1.25, 1.0, 40), (840, 930, 1.5, 1.0, 30)]


def us(stamp):
    return int(stamp.timestamp()) * 1_000_000


def local(us_):
    return datetime.fromtimestamp(us_ / 1e6, tz=UTC).astimezone(ZONE)


@pytest.fixture(scope="module")
def walk_of(make_bars, es):
    """Bars of ES around the change of clocks, whole sessions, with a few bars missing."""

    def make(seed, minutes=5, first=datetime(2024, 3, 6, tzinfo=UTC), days=9, step=2.0):
        rng = np.random.default_rng(seed)
        stamps = []
        at = first
        while at < first + timedelta(days=days):
            there = at.astimezone(ZONE)
            evening = there.hour >= 18
            shut = there.hour == 17 or there.weekday() == 5
            shut |= (there.weekday() == 4 and evening) or (there.weekday() == 6 and not evening)
            if not shut and rng.random() > 0.003:
                stamps.append(us(at))
            at += timedelta(minutes=minutes)
        n = len(stamps)
        body = rng.normal(0, step, n)
        gap = rng.normal(0, 1.0, n) * (rng.random(n) < 0.3)
        close = 5000 + np.cumsum(body + gap)
        open_ = close - body
        high = np.maximum(open_, close) + rng.exponential(0.5, n)
        low = np.minimum(open_, close) - rng.exponential(0.5, n)
        prices = [np.round(x * 4) / 4 for x in (open_, high, low, close)]
        return make_bars(*prices, ts_us=np.array(stamps), instrument=es, minutes=minutes)

    return make


def true_range(bars, t):
    before = bars.close[t - 1] if t else bars.close[t]
    spans = bars.high[t] - bars.low[t], abs(bars.high[t] - before), abs(bars.low[t] - before)
    return max(spans) if t else spans[0]


def settings_of(bars, t, minutes):
    stamp = local(bars.ts_us[t])
    at = stamp.hour * 60 + stamp.minute
    for begin, end, goal, stop, length in TABLE:
        if begin <= at < end:
            return goal, stop, max(1, length // minutes)
    return None


def one_side(bars, t, side, entry, stop, goal, length, *, strict):
    """What becomes of a trade from bar t + 1 on, and the bar at which that is settled."""
    for j in range(t + 1, t + length + 1):
        if j >= len(bars):
            return None, None
        first = bars.open[j] if strict and j > t + 1 else entry
        against, along = (bars.low[j], bars.high[j]) if side > 0 else (bars.high[j], bars.low[j])
        if side * (first - entry) <= -stop or side * (against - entry) <= -stop:
            if strict and side * (first - entry) >= goal:
                return True, j
            return False, j
        if side * (along - entry) >= goal:
            return True, j
    return False, t + length


def plain(bars, *, strict, minutes=5):
    value = np.full(len(bars), np.nan)
    end = np.full(len(bars), -1)
    for t in range(len(bars)):
        rules = settings_of(bars, t, minutes)
        if rules is None:
            if not strict:
                value[t], end[t] = NONE, t
            continue
        if t < 13 or t + 1 >= len(bars):
            continue
        atr = sum(true_range(bars, k) for k in range(t - 13, t + 1)) / 14
        goal, stop, length = rules[0] * atr, rules[1] * atr, rules[2]
        entry = bars.open[t + 1] if strict else bars.close[t]
        (up, at_up), (down, at_down) = (
            one_side(bars, t, side, entry, stop, goal, length, strict=strict) for side in (1, -1)
        )
        if up is None or down is None:
            continue
        value[t], end[t] = (LONG if up else SHORT if down else NONE), max(at_up, at_down)
    return value, end


@pytest.mark.parametrize("minutes", [3, 5])
@pytest.mark.parametrize("rule", [STRICT, OLD])
def test_directions_equal_the_plain_walk(walk_of, rule, minutes):
    bars = walk_of(21, minutes)
    assert local(bars.ts_us[0]).utcoffset() != local(bars.ts_us[-1]).utcoffset()
    value, end = plain(bars, strict=rule is STRICT, minutes=minutes)
    found = rule.compute(bars)
    np.testing.assert_array_equal(found.value, value.astype(np.float32))
    np.testing.assert_array_equal(found.end_bar, end)
    for code in (LONG, SHORT, NONE):
        assert (value == code).sum() > 40


def test_the_two_readings_differ_only_in_their_entry_and_gaps(walk_of):
    bars = walk_of(22)
    new, old = STRICT.compute(bars).value, OLD.compute(bars).value
    inside = ~np.isnan(new)
    assert 0.01 < (new[inside] != old[inside]).mean() < 0.5
    assert (old[~inside][:-1] == NONE).mean() > 0.99


def test_other_bar_lengths(walk_of):
    for minutes, bars_in in ((1, (60, 40, 30)), (15, (4, 2, 2)), (30, (2, 1, 1))):
        bars = walk_of(23, minutes, days=2)
        value, end = plain(bars, strict=True, minutes=minutes)
        found = STRICT.compute(bars)
        np.testing.assert_array_equal(found.value, value.astype(np.float32))
        np.testing.assert_array_equal(found.end_bar, end)
        assert max(bars_in) * minutes == 60
        assert (found.end_bar - np.arange(len(bars))).max() <= max(bars_in) <= STRICT.horizon_bars


@pytest.mark.parametrize(
    ("rule", "minutes", "fix"),
    [(STRICT, 60, "1 to 30 whole minutes"), (OLD, 15, "use barrier/direction")],
)
def test_a_bar_length_it_is_not_made_for_is_refused(make_bars, rule, minutes, fix):
    price = np.full(20, 100.0)
    with pytest.raises(ConfigError, match=fix):
        rule.compute(make_bars(price, price + 1, price - 1, price, minutes=minutes))


def morning(make_bars, es, after, *, quiet=30, start="2024-07-01T09:30", **more):
    """Quiet bars with a range of 1, then the given (open, high, low, close) bars."""
    rows = [(100.0, 100.5, 99.5, 100.0)] * quiet + after
    first = datetime.fromisoformat(start).replace(tzinfo=ZONE) - timedelta(minutes=5 * (quiet - 1))
    stamps = [us(first) + 300_000_000 * k for k in range(len(rows))]
    stamps = np.array(more.pop("stamps", stamps))
    return make_bars(*map(list, zip(*rows, strict=True)), ts_us=stamps, instrument=es, **more)


STILL = (100.0, 100.5, 99.5, 100.0)


def test_one_label_by_hand(make_bars, es):
    # 09:30, ATR 1: target 2.00, stop 1.25, twelve bars. Entry at the open of 101.
    up = (101.0, 103.0, 100.0, 102.0)
    bars = morning(make_bars, es, [up] + [STILL] * 12)
    found = STRICT.compute(bars)
    assert (found.value[29], found.end_bar[29]) == (LONG, 30)
    # From the close of 100 the short's stop (101.25) goes too, and the target (102) is met.
    assert OLD.compute(bars).value[29] == LONG
    lower = morning(make_bars, es, [(101.0, 102.75, 100.0, 102.0)] + [STILL] * 12)
    assert OLD.compute(lower).value[29] == LONG
    # From the open at 101 the target is 103: not met, and 99.5 is below the stop at 99.75.
    assert (STRICT.compute(lower).value[29], STRICT.compute(lower).end_bar[29]) == (NONE, 31)


def test_a_bar_that_touches_both_levels_has_no_direction(make_bars, es):
    bars = morning(make_bars, es, [(100.0, 103.0, 97.0, 100.0)] + [STILL] * 12)
    assert (STRICT.compute(bars).value[29], OLD.compute(bars).value[29]) == (NONE, NONE)


def test_a_gap_beyond_the_target_is_a_win(make_bars, es):
    gap = (103.0, 103.5, 96.0, 100.0)  # opens beyond the target, falls through the stop
    bars = morning(make_bars, es, [STILL, gap] + [STILL] * 12)
    assert (STRICT.compute(bars).value[29], STRICT.compute(bars).end_bar[29]) == (LONG, 31)
    assert OLD.compute(bars).value[29] == NONE


def test_nothing_is_said_outside_the_hours(make_bars, es):
    for start, inside in [("09:25", False), ("09:30", True), ("15:25", True), ("15:30", False)]:
        bars = morning(make_bars, es, [STILL] * 13, start=f"2024-07-01T{start}")
        assert np.isnan(STRICT.compute(bars).value[29]) != inside
        assert OLD.compute(bars).value[29] == NONE


def test_an_undecided_trade_at_the_end_of_the_data_has_no_label(make_bars, es):
    for rows in (0, 1, 11):
        assert np.isnan(STRICT.compute(morning(make_bars, es, [STILL] * rows)).value[29])
    assert STRICT.compute(morning(make_bars, es, [STILL] * 12)).value[29] == NONE
    decided = morning(make_bars, es, [(100.0, 102.0, 99.5, 102.0)])
    assert STRICT.compute(decided).value[29] == LONG


def test_the_session_end_ends_the_trade(make_bars, es):
    # 2024-07-03 closes at 13:15; the bar of 13:00 would have eight bars, and has two.
    rows = [STILL] * 2 + [(110.0, 110.5, 109.5, 110.0)] * 10
    start = us(datetime(2024, 7, 3, 13, 0, tzinfo=ZONE))
    reopening = us(datetime(2024, 7, 3, 18, 0, tzinfo=ZONE))
    stamps = [start + 300_000_000 * k for k in range(-29, 3)]
    stamps += [reopening + 300_000_000 * k for k in range(10)]
    bars = morning(make_bars, es, rows, stamps=stamps)
    found = STRICT.compute(bars)
    assert (found.value[29], found.end_bar[29]) == (NONE, 31)
    assert OLD.compute(bars).value[29] == LONG


def test_a_roll_or_a_gap_leaves_no_label(make_bars, es):
    after = [STILL] * 3 + [(104.0, 104.5, 103.5, 104.0)] * 20
    names = ["ESM24"] * 33 + ["ESU24"] * 50
    rolled = STRICT.compute(morning(make_bars, es, after + after[-1:] * 30, contract=names))
    assert np.isnan(rolled.value[29])
    # Until the ATR has fourteen ranges of the new contract, the first of which reaches
    # back to its first close, there is no label either.
    assert np.flatnonzero(~np.isnan(rolled.value[33:]))[0] == 14
    first = us(datetime(2024, 7, 1, 9, 30, tzinfo=ZONE))
    stamps = [first + 300_000_000 * (k + 21 * (k > 3)) for k in range(-29, 24)]
    assert np.isnan(STRICT.compute(morning(make_bars, es, after, stamps=stamps)).value[29])
    stamps = [first + 300_000_000 * (k + 20 * (k > 3)) for k in range(-29, 24)]
    assert STRICT.compute(morning(make_bars, es, after, stamps=stamps)).value[29] == LONG
