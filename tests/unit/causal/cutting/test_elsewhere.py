"""The same bars at another time, and another walk at the same time."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.validate import validate
from ffm_core.causal.cutting.elsewhere import WEEK_US, moved, walked
from ffm_core.records import Input
from ffm_core.testing import make_bars
from ffm_core.testing.outside import with_made_inputs

BARS = with_made_inputs(make_bars("rolls", rows=1_200, seed=7), [Input(name="v", columns=("c",))])


def test_moved_bars_keep_all_but_their_time():
    there = moved(BARS, 1_461)
    np.testing.assert_array_equal(there.ts_us, BARS.ts_us + 1_461 * WEEK_US)
    assert there.frame.drop("ts").equals(BARS.frame.drop("ts"))
    np.testing.assert_array_equal(there.inputs["v"]["c"], BARS.inputs["v"]["c"])


def test_a_walk_keeps_the_stamps_and_goes_on_behind_them():
    other = walked(BARS, 100, 600, np.random.default_rng(0))
    assert len(other) == len(BARS) + 600
    np.testing.assert_array_equal(other.ts_us[:1_100], BARS.ts_us[100:])
    assert (np.diff(other.ts_us) > 0).all()
    frame, dropped = validate(other.frame, name="walk", where=str, policy="error")
    assert frame.height == len(other)
    assert not dropped
    ticks = other.close / other.instrument.tick_size
    np.testing.assert_allclose(ticks, np.round(ticks))
    assert (other.close[:1_100] != BARS.close[100:]).mean() > 0.9
    assert other.inputs["v"]["c"].shape == (len(other),)
