from __future__ import annotations

import numpy as np
import pytest
from ffm_legacy.barrier import BARRIER_LEGACY

from ffm_core.errors import ConfigError
from ffm_core.labels.targets import target
from ffm_core.labels.targets.barrier import LONG, NONE, SHORT
from helpers.barrier_by_hand import STILL, morning, plain

[OLD] = BARRIER_LEGACY
NEW = target("barrier/direction")


@pytest.mark.parametrize("minutes", [3, 5])
def test_directions_equal_the_plain_walk(walk_of, minutes):
    bars = walk_of(21, minutes)
    value, end = plain(bars, strict=False, minutes=minutes)
    found = OLD.compute(bars)
    np.testing.assert_array_equal(found.value, value.astype(np.float32))
    np.testing.assert_array_equal(found.end_bar, end)
    for code in (LONG, SHORT, NONE):
        assert (value == code).sum() > 40


def test_the_two_readings_differ_only_in_their_entry_and_gaps(walk_of):
    bars = walk_of(22)
    new, old = NEW.compute(bars).value, OLD.compute(bars).value
    inside = ~np.isnan(new)
    assert 0.01 < (new[inside] != old[inside]).mean() < 0.5
    assert (old[~inside][:-1] == NONE).mean() > 0.99


def test_other_bars_than_those_of_three_and_five_minutes_are_refused(make_bars):
    price = np.full(20, 100.0)
    with pytest.raises(ConfigError, match="use barrier/direction"):
        OLD.compute(make_bars(price, price + 1, price - 1, price, minutes=15))


def test_one_label_by_hand(make_bars, es):
    # 09:30, ATR 1, entry at the close of 100: the target is 102, the short's stop 101.25.
    up = morning(make_bars, es, [(101.0, 103.0, 100.0, 102.0)] + [STILL] * 12)
    assert OLD.compute(up).value[29] == LONG
    lower = morning(make_bars, es, [(101.0, 102.75, 100.0, 102.0)] + [STILL] * 12)
    assert OLD.compute(lower).value[29] == LONG


def test_a_gap_is_not_seen(make_bars, es):
    gap = (103.0, 103.5, 96.0, 100.0)  # opens beyond the target, falls through the stop
    bars = morning(make_bars, es, [STILL, gap] + [STILL] * 12)
    assert OLD.compute(bars).value[29] == NONE


def test_bars_outside_the_hours_have_no_direction(make_bars, es):
    for start in ("09:25", "09:30", "15:25", "15:30"):
        bars = morning(make_bars, es, [STILL] * 13, start=f"2024-07-01T{start}")
        assert OLD.compute(bars).value[29] == NONE
