from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from ffm_core.errors import ConfigError
from ffm_core.labels.targets import target
from ffm_core.labels.targets.barrier import LONG, NONE, SHORT
from helpers.barrier_by_hand import STILL, ZONE, local, morning, plain, us

DIRECTION = target("barrier/direction")


@pytest.mark.parametrize("minutes", [3, 5])
def test_directions_equal_the_plain_walk(walk_of, minutes):
    bars = walk_of(21, minutes)
    assert local(bars.ts_us[0]).utcoffset() != local(bars.ts_us[-1]).utcoffset()
    value, end = plain(bars, strict=True, minutes=minutes)
    found = DIRECTION.compute(bars)
    np.testing.assert_array_equal(found.value, value.astype(np.float32))
    np.testing.assert_array_equal(found.end_bar, end)
    for code in (LONG, SHORT, NONE):
        assert (value == code).sum() > 40


def test_other_bar_lengths(walk_of):
    for minutes, bars_in in ((1, (60, 40, 30)), (15, (4, 2, 2)), (30, (2, 1, 1))):
        bars = walk_of(23, minutes, days=2)
        value, end = plain(bars, strict=True, minutes=minutes)
        found = DIRECTION.compute(bars)
        np.testing.assert_array_equal(found.value, value.astype(np.float32))
        np.testing.assert_array_equal(found.end_bar, end)
        assert max(bars_in) * minutes == 60
        assert (
            (found.end_bar - np.arange(len(bars))).max() <= max(bars_in) <= DIRECTION.horizon_bars
        )


def test_a_bar_length_it_is_not_made_for_is_refused(make_bars):
    price = np.full(20, 100.0)
    with pytest.raises(ConfigError, match="1 to 30 whole minutes"):
        DIRECTION.compute(make_bars(price, price + 1, price - 1, price, minutes=60))


def test_one_label_by_hand(make_bars, es):
    # 09:30, ATR 1: target 2.00, stop 1.25, twelve bars. Entry at the open of 101.
    up = (101.0, 103.0, 100.0, 102.0)
    bars = morning(make_bars, es, [up] + [STILL] * 12)
    found = DIRECTION.compute(bars)
    assert (found.value[29], found.end_bar[29]) == (LONG, 30)
    lower = morning(make_bars, es, [(101.0, 102.75, 100.0, 102.0)] + [STILL] * 12)
    # From the open at 101 the target is 103: not met, and 99.5 is below the stop at 99.75.
    assert (DIRECTION.compute(lower).value[29], DIRECTION.compute(lower).end_bar[29]) == (NONE, 31)


def test_a_bar_that_touches_both_levels_has_no_direction(make_bars, es):
    bars = morning(make_bars, es, [(100.0, 103.0, 97.0, 100.0)] + [STILL] * 12)
    assert DIRECTION.compute(bars).value[29] == NONE


def test_a_gap_beyond_the_target_is_a_win(make_bars, es):
    gap = (103.0, 103.5, 96.0, 100.0)  # opens beyond the target, falls through the stop
    bars = morning(make_bars, es, [STILL, gap] + [STILL] * 12)
    assert (DIRECTION.compute(bars).value[29], DIRECTION.compute(bars).end_bar[29]) == (LONG, 31)


def test_nothing_is_said_outside_the_hours(make_bars, es):
    for start, inside in [("09:25", False), ("09:30", True), ("15:25", True), ("15:30", False)]:
        bars = morning(make_bars, es, [STILL] * 13, start=f"2024-07-01T{start}")
        assert np.isnan(DIRECTION.compute(bars).value[29]) != inside


def test_an_undecided_trade_at_the_end_of_the_data_has_no_label(make_bars, es):
    for rows in (0, 1, 11):
        assert np.isnan(DIRECTION.compute(morning(make_bars, es, [STILL] * rows)).value[29])
    assert DIRECTION.compute(morning(make_bars, es, [STILL] * 12)).value[29] == NONE
    decided = morning(make_bars, es, [(100.0, 102.0, 99.5, 102.0)])
    assert DIRECTION.compute(decided).value[29] == LONG


def test_the_session_end_ends_the_trade(make_bars, es):
    # 2024-07-03 closes at 13:15; the bar of 13:00 would have eight bars, and has two.
    rows = [STILL] * 2 + [(110.0, 110.5, 109.5, 110.0)] * 10
    start = us(datetime(2024, 7, 3, 13, 0, tzinfo=ZONE))
    reopening = us(datetime(2024, 7, 3, 18, 0, tzinfo=ZONE))
    stamps = [start + 300_000_000 * k for k in range(-29, 3)]
    stamps += [reopening + 300_000_000 * k for k in range(10)]
    bars = morning(make_bars, es, rows, stamps=stamps)
    found = DIRECTION.compute(bars)
    assert (found.value[29], found.end_bar[29]) == (NONE, 31)


def test_a_roll_or_a_gap_leaves_no_label(make_bars, es):
    after = [STILL] * 3 + [(104.0, 104.5, 103.5, 104.0)] * 20
    names = ["ESM24"] * 33 + ["ESU24"] * 50
    rolled = DIRECTION.compute(morning(make_bars, es, after + after[-1:] * 30, contract=names))
    assert np.isnan(rolled.value[29])
    # Until the ATR has fourteen ranges of the new contract, the first of which reaches
    # back to its first close, there is no label either.
    assert np.flatnonzero(~np.isnan(rolled.value[33:]))[0] == 14
    first = us(datetime(2024, 7, 1, 9, 30, tzinfo=ZONE))
    stamps = [first + 300_000_000 * (k + 21 * (k > 3)) for k in range(-29, 24)]
    assert np.isnan(DIRECTION.compute(morning(make_bars, es, after, stamps=stamps)).value[29])
    stamps = [first + 300_000_000 * (k + 20 * (k > 3)) for k in range(-29, 24)]
    assert DIRECTION.compute(morning(make_bars, es, after, stamps=stamps)).value[29] == LONG
