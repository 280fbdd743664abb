"""Targets and weights against values published for the closed-form series."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.labels.targets import target, uniqueness
from ffm_core.testing.golden import golden_bars

ROWS = [250, 777, 1000, 1234]
NAN = np.nan

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


@pytest.fixture(scope="module")
def bars():
    return golden_bars()


@pytest.mark.parametrize("name", CONTEXT)
def test_context_targets_match_the_published_values(bars, name):
    values, undefined, mean = CONTEXT[name]
    found = target(f"context/{name}").compute(bars).value.astype(np.float64)
    # published to eight decimals
    np.testing.assert_allclose(found[ROWS], values, rtol=1e-6, atol=5e-9)
    assert np.isnan(found).sum() == undefined
    assert np.nanmean(found) == pytest.approx(mean, rel=1e-6, abs=5e-9)


def test_average_uniqueness_matches_the_published_weights():
    bar, stream = np.array([0, 1, 2, 10, 0]), np.array([0, 0, 0, 0, 1])
    found = uniqueness(bar + 1, bar + 1 + 3, stream, normalise=False)
    np.testing.assert_allclose(found, [0.54166669, 0.41666666, 0.54166669, 1.0, 1.0], rtol=1e-6)
