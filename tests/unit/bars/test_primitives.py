from __future__ import annotations

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.bars.primitives import atr_wilder, last_swing, swing_highs, swing_lows, true_range
from ffm_core.errors import ConfigError


def wave():
    """High, low and close of the closed-form series the fixtures were computed on."""
    i = np.arange(1500)
    x = (0.6 * np.sin(i / 7) + 0.9 * np.sin(i / 23 + 1) + 1.7 * np.sin(i / 91 + 2)
         + 0.25 * (((i * 7919) % 101) / 50 - 1))  # fmt: skip
    close = 5000 + 10 * x
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + 0.25 * (1 + (31 * i % 17) / 4)
    low = np.minimum(open_, close) - 0.25 * (1 + (17 * i % 13) / 4)
    return high, low, close


def walk(seed, rows=600):
    rng = np.random.default_rng(seed)
    close = 1000 + np.cumsum(rng.normal(0, 2, rows))
    spread = rng.exponential(1.5, (2, rows))
    return close + spread[0], close - spread[1], close


def plain_atr(high, low, close, n):
    """Wilder's recursion, one bar after the other."""
    out, ranges = [], []
    for t in range(len(close)):
        previous = close[t - 1] if t else close[t]
        ranges.append(max(high[t] - low[t], abs(high[t] - previous), abs(low[t] - previous))
                      if t else high[t] - low[t])  # fmt: skip
        if t < n - 1:
            out.append(np.nan)
        elif t == n - 1:
            out.append(sum(ranges) / n)
        else:
            out.append((out[-1] * (n - 1) + ranges[-1]) / n)
    return np.array(out)


def test_atr_matches_the_published_rows():
    found = atr_wilder(*wave(), 14)
    assert np.isnan(found[:13]).all()
    np.testing.assert_allclose(
        found[[13, 14, 777]], [3.77247755, 3.71403439, 3.68328095], atol=1e-8
    )


@pytest.mark.parametrize("n", [2, 10, 14, 50])
def test_atr_agrees_with_ta_lib_after_its_other_seed_is_forgotten(n):
    # TA-Lib leaves the first bar's range out of the seed; after 25 n bars both are one.
    high, low, close = walk(5, 40 * n + 100)
    ours, theirs = atr_wilder(high, low, close, n), talib.ATR(high, low, close, timeperiod=n)
    np.testing.assert_allclose(ours[25 * n :], theirs[25 * n :], rtol=1e-9)
    assert abs(ours[n] - theirs[n]) > 1e-6  # the seeds do differ


@pytest.mark.parametrize("n", [1, 3, 14])
def test_atr_equals_the_plain_recursion(n):
    prices = walk(7)
    np.testing.assert_allclose(atr_wilder(*prices, n), plain_atr(*prices, n), rtol=1e-12)


def test_true_range_counts_the_gap_from_the_previous_close():
    high, low = np.array([10.0, 15.0, 9.0]), np.array([9.0, 14.0, 8.0])
    close = np.array([9.5, 14.5, 8.5])
    assert true_range(high, low, close).tolist() == [1.0, 5.5, 6.5]
    assert true_range(high[:0], low[:0], close[:0]).tolist() == []


def test_inputs_stay_untouched_and_writable():
    high, low, close = walk(1)
    before = high.copy()
    atr_wilder(high, low, close, 14)
    assert high.flags.writeable
    np.testing.assert_array_equal(high, before)


def test_swings_match_the_published_pivots():
    high, low, _ = wave()
    highs, lows = np.flatnonzero(swing_highs(high, 10)), np.flatnonzero(swing_lows(low, 10))
    assert (len(highs), len(lows)) == (34, 34)
    assert highs[:8].tolist() == [12, 49, 97, 145, 182, 229, 278, 320]
    assert lows[:8].tolist() == [38, 80, 122, 171, 213, 250, 297, 341]


def test_an_equal_neighbour_makes_no_swing():
    assert not swing_highs(np.array([1.0, 3.0, 3.0, 1.0]), 1).any()
    assert np.flatnonzero(swing_highs(np.array([1.0, 3.0, 2.0, 1.0]), 1)).tolist() == [1]
    assert np.flatnonzero(swing_lows(np.array([3.0, 1.0, 2.0, 2.0]), 1)).tolist() == [1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 5))
def test_swings_equal_a_search_of_every_window(values, order):
    values = np.array(values, dtype=float)
    expected = [
        order <= t < len(values) - order
        and values[t] > max(np.delete(values[t - order : t + order + 1], order))
        for t in range(len(values))
    ]
    assert swing_highs(values, order).tolist() == expected


def test_the_last_swing_is_known_only_after_its_confirmation():
    pivots = np.zeros(12, dtype=bool)
    pivots[[2, 5, 11]] = True
    assert last_swing(pivots, 3).tolist() == [-1] * 5 + [2] * 3 + [5] * 4


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(20, 199))
def test_what_is_known_at_a_bar_survives_cutting_the_future(seed, order, cut):
    high, _, _ = walk(seed, 200)
    whole = last_swing(swing_highs(high, order), order)
    part = last_swing(swing_highs(high[:cut], order), order)
    np.testing.assert_array_equal(part, whole[:cut])
    # the mark at the pivot bar itself, used without its confirmation, would fail this
    marks = swing_highs(high, order)[:cut]
    assert not swing_highs(high[:cut], order)[cut - order :].any()
    assert marks[: cut - order].tolist() == swing_highs(high[:cut], order)[: cut - order].tolist()


@pytest.mark.parametrize(
    "call", [lambda: atr_wilder(*walk(1), 0), lambda: swing_highs(walk(1)[0], 0)]
)
def test_a_window_below_one_is_refused(call):
    with pytest.raises(ConfigError, match="must be at least 1, got 0"):
        call()
