from __future__ import annotations

import numpy as np
import pytest
from ffm_strategy_supertrend.indicator import supertrend
from hypothesis import given, settings
from hypothesis import strategies as st

FLIPS = [25, 96, 158, 263, 333, 362, 382, 394, 466, 531, 599, 704]


def flips(bars, period=10, multiplier=3.0):
    trend = supertrend(bars.high, bars.low, bars.close, atr_period=period, multiplier=multiplier)
    return (np.flatnonzero(np.diff(trend.direction)) + 1).tolist()


def plain_supertrend(high, low, close, period, multiplier, *, against_previous=False):
    """The textbook rule, one bar after the other."""
    atr, ranges = np.nan, []
    upper, lower, direction = np.nan, np.nan, 1
    out = []
    for t in range(len(close)):
        before = close[t - 1] if t else close[t]
        span = max(high[t] - low[t], abs(high[t] - before), abs(low[t] - before))
        ranges.append(span if t else high[t] - low[t])
        if t == period - 1:
            atr = sum(ranges) / period
        elif t >= period:
            atr = (atr * (period - 1) + ranges[-1]) / period
        if t >= period - 1:
            middle = (high[t] + low[t]) / 2
            basic_upper, basic_lower = middle + multiplier * atr, middle - multiplier * atr
            old_upper, old_lower = upper, lower
            if np.isnan(upper) or basic_upper < upper or before > upper:
                upper = basic_upper
            if np.isnan(lower) or basic_lower > lower or before < lower:
                lower = basic_lower
            top, bottom = (old_upper, old_lower) if against_previous else (upper, lower)
            if direction == 1 and close[t] < bottom:
                direction = -1
            elif direction == -1 and close[t] > top:
                direction = 1
        out.append((upper, lower, direction))
    return tuple(np.array(values) for values in zip(*out, strict=True))


def test_flips_match_the_published_fixture(wave):
    found = flips(wave)
    assert len(found) == 25
    assert found[: len(FLIPS)] == FLIPS


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([0.5, 1.7, 3.0]))
def test_bands_and_direction_equal_the_plain_rule(walk, seed, period, multiplier):
    bars = walk(seed, 300)
    found = supertrend(bars.high, bars.low, bars.close, atr_period=period, multiplier=multiplier)
    plain = plain_supertrend(bars.high, bars.low, bars.close, period, multiplier)
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_rule_against_the_previous_band_is_another_one(walk):
    # Guards the comparison above: it would notice the other family of flips.
    found = [flips(walk(seed, 300), 5, 0.3) for seed in range(20)]
    other = [
        plain_supertrend(b.high, b.low, b.close, 5, 0.3, against_previous=True)[2]
        for b in (walk(seed, 300) for seed in range(20))
    ]
    assert any(
        mine != (np.flatnonzero(np.diff(theirs)) + 1).tolist()
        for mine, theirs in zip(found, other, strict=True)
    )


@pytest.mark.parametrize("cut", [9, 10, 100, 777])
def test_cutting_the_future_changes_nothing(wave, cut):
    whole = supertrend(wave.high, wave.low, wave.close, atr_period=10, multiplier=3.0)
    part = wave[:cut]
    found = supertrend(part.high, part.low, part.close, atr_period=10, multiplier=3.0)
    for ours, theirs in zip(found, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs[:cut])


def test_bands_are_unknown_until_the_atr_is(wave):
    found = supertrend(wave.high, wave.low, wave.close, atr_period=10, multiplier=3.0)
    assert np.isnan(found.upper[:9]).all()
    assert np.isfinite(found.upper[9:]).all()
    assert (found.direction[:9] == 1).all()


def test_no_bars_give_no_trend(wave):
    empty = wave[:0]
    assert len(flips(empty)) == 0
