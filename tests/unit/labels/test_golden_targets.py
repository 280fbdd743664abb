"""Targets and weights against values published for the closed-form series."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.labels.targets import target, uniqueness
from ffm_core.records import TargetValues
from ffm_core.testing.golden import golden_bars

ROWS = [250, 777, 1000, 1234]
NAN, MASK = np.nan, TargetValues.MASKED

# name: values at ROWS, rows without a value, mean of the others
CONTEXT = {
    "fwd_return": ([1.88546113, 0.26436122, 1.50171015, -0.96926088], 89, -0.00179281),
    "vol_expansion": ([0, 0, 0, 0], 89, 0.0),
    "volatility": ([0.66, 0.72, 0.83, 0.11], 119, 0.50149167),
    "structure": ([1, 0, 1, NAN], 347, 0.47875108),
    "trendiness": ([0.35588764, 0.05434531, 0.28491753, 0.20179793], 20, 0.1785872),
    "range_bound": ([1, 0, 0, 0], 29, 0.23793338),
    "quiet_persist": ([1, NAN, 1, NAN], 809, 1.0),
}
# name: values at ROWS, how often each class occurs
LEGACY = {
    "regime": ([0, 2, 0, 1], {MASK: 279, 0: 329, 1: 367, 2: 456, 3: 0}, 69),
    "volatility": ([2, 2, 2, 0], {0: 339, 1: 517, 2: 365, 3: 240}, 39),
    "structure": ([0, 1, 0, MASK], {MASK: 312, 0: 542, 1: 615}, 31),
    "range": ([3, 0, 4, 4], {0: 530, 1: 150, 2: 159, 3: 153, 4: 479}, 29),
}


@pytest.fixture(scope="module")
def bars():
    return golden_bars()


# The daily halt of twelve bars is no gap, so both readings give the published values.
@pytest.mark.parametrize("group", ["context", "context-legacy"])
@pytest.mark.parametrize("name", CONTEXT)
def test_context_targets_match_the_published_values(bars, group, name):
    values, undefined, mean = CONTEXT[name]
    found = target(f"{group}/{name}").compute(bars).value.astype(np.float64)
    # published to eight decimals
    np.testing.assert_allclose(found[ROWS], values, rtol=1e-6, atol=5e-9)
    assert np.isnan(found).sum() == undefined
    assert np.nanmean(found) == pytest.approx(mean, rel=1e-6, abs=5e-9)


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_label_sets_match_the_published_counts(bars, name):
    values, counts, undefined = LEGACY[name]
    found = target(f"legacy/{name}").compute(bars).value
    assert found[ROWS].tolist() == values
    assert {key: int((found == key).sum()) for key in counts} == counts
    assert np.isnan(found).sum() == undefined


def test_the_session_barrier_matches_the_published_counts(bars):
    found = target("barrier-legacy/direction").compute(bars).value
    assert [int((found == code).sum()) for code in (0, 1, 2)] == [149, 1278, 73]
    first = np.flatnonzero(found != 1)[:12]
    assert first.tolist() == [175, *range(182, 193)]
    assert found[first].tolist() == [2.0] + [0.0] * 11


def test_the_strict_barrier_agrees_where_bars_open_at_the_last_close(bars):
    old, new = (
        target(f"{group}/direction").compute(bars) for group in ("barrier-legacy", "barrier")
    )
    inside = ~np.isnan(new.value)
    assert inside.sum() == 360  # five mornings of 72 bars
    np.testing.assert_array_equal(new.value[inside], old.value[inside])
    np.testing.assert_array_equal(new.end_bar[inside], old.end_bar[inside])


def test_average_uniqueness_matches_the_published_weights():
    bar, stream = np.array([0, 1, 2, 10, 0]), np.array([0, 0, 0, 0, 1])
    found = uniqueness(bar + 1, bar + 1 + 3, stream, normalise=False)
    np.testing.assert_allclose(found, [0.54166669, 0.41666666, 0.54166669, 1.0, 1.0], rtol=1e-6)
