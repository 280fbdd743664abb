"""Windows from blocks: equal to numpy, and to themselves from any start."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.features import windows as w
from ffm_core.jit import kernel

WIDTH = 16
SUMS, SPREAD, HIGHS = 0, w.LEVELS, w.LEVELS + w.SPREADS
SIZES = {"sum5": 5, "sum10": 10, "sum14": 14, "sum20": 20, "sd10": 10, "sd14": 14, "sd20": 20}


@kernel
def _walk(values, width, sums, spread, highs):
    f = np.full(32 * width, np.nan)
    out = np.full((len(values), 8), np.nan)
    for t in range(len(values)):
        w.push_sums(f, t, width, sums, values[t])
        w.push_spreads(f, t, width, sums, spread)
        out[t, 0] = w.sum5(f, t, width, sums)
        out[t, 1] = w.sum10(f, t, width, sums)
        out[t, 2] = w.sum14(f, t, width, sums)
        out[t, 3] = w.sum20(f, t, width, sums)
        out[t, 4] = w.sd10(f, t, width, sums, spread)
        out[t, 5] = w.sd14(f, t, width, sums, spread)
        out[t, 6] = w.sd20(f, t, width, sums, spread)
        out[t, 7] = w.push_highest(f, t, width, highs, values[t])
    return out


@kernel
def _lowest(values, width):
    f = np.full(32 * width, np.nan)
    out = np.empty(len(values))
    for t in range(len(values)):
        out[t] = w.push_lowest(f, t, width, 0, values[t])
    return out


def walk(values):
    return _walk(np.asarray(values, float), WIDTH, SUMS, SPREAD, HIGHS)


def rolling(values, size, function):
    out = np.full(len(values), np.nan)
    for t in range(size - 1, len(values)):
        out[t] = function(values[t - size + 1 : t + 1])
    return out


@pytest.fixture(scope="module")
def values():
    return 5_000.0 + np.cumsum(np.random.default_rng(0).normal(size=300))


@pytest.mark.parametrize("name", SIZES)
def test_windows_equal_numpy_and_are_missing_until_full(values, name):
    found = walk(values)[:, list(SIZES).index(name)]
    function = np.sum if name.startswith("sum") else lambda part: np.std(part, ddof=1)
    expected = rolling(values, SIZES[name], function)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_extremes_equal_numpy_and_are_missing_until_full(values):
    np.testing.assert_array_equal(walk(values)[:, 7], rolling(values, 10, np.max))
    np.testing.assert_array_equal(_lowest(values, WIDTH), rolling(values, 10, np.min))


@pytest.mark.parametrize("start", [1, 7, 31, 32, 33, 64, 200])
def test_a_window_has_the_same_bits_from_any_start(values, start):
    whole, part = walk(values)[start:], walk(values[start:])
    full = np.arange(len(part))[:, None] >= np.array([*SIZES.values(), 10]) - 1
    assert full.any()
    assert (whole == part)[full].all()
    assert np.isnan(part[~full]).all()


@pytest.mark.parametrize("level", [0.1, 1e-7, 123_456.789])
def test_equal_values_deviate_by_nothing_at_all(level):
    found = walk(np.full(60, level))
    assert (found[20:, 4:7] == 0.0).all()


def test_a_huge_value_leaves_no_trace_once_it_is_out_of_the_window():
    values = np.random.default_rng(1).normal(size=100)
    spoilt = values.copy()
    spoilt[30] = 1e17
    np.testing.assert_array_equal(walk(spoilt)[51:], walk(values)[51:])


def test_small_helpers():
    assert [w.sign(x) for x in (-3.0, 0.0, 2.0)] == [-1.0, 0.0, 1.0]
    assert [w.clip(x, -1.0, 1.0) for x in (-3.0, 0.5, 2.0)] == [-1.0, 0.5, 1.0]
    assert w.ratio(1.0, 0.0, 0.5) == 0.5
    assert w.ratio(1.0, 4.0, 0.5) == 0.25
    for missing in (w.sign(np.nan), w.clip(np.nan, 0.0, 1.0), w.ratio(1.0, np.nan, 0.5)):
        assert np.isnan(missing)
    assert np.isnan(w.higher(1.0, np.nan))
    assert np.isnan(w.lower(1.0, np.nan))
