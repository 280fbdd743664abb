from __future__ import annotations

import numpy as np
import pytest
from ffm_backbone_training.held_out import held_out
from ffm_forecast.forecasters import forecaster_of
from ffm_forecast.scoring import score


def test_synthetic_series_are_held_out_scaled_and_seeded():
    for price_like in (True, False):
        one = held_out(8, context=64, rows=20, price_like=price_like)
        two = held_out(8, context=64, rows=20, price_like=price_like)
        assert np.array_equal(one.actual, two.actual)
        assert one.contexts(64).std(axis=1) == pytest.approx(1.0)
        assert np.array_equal(one.contexts(32), one.contexts(64)[:, 32:])
        assert len(one) + one.dropped.get("constant", 0) == 20
        found = score(
            [forecaster_of("naive_last", season=None), forecaster_of("ar", season=None)], one
        )[1]
        assert found.mape is None
        assert found.low_power is True
        assert found.possibly_seen == 0
    other = held_out(8, context=64, rows=20, price_like=True, seed=78)
    assert not np.array_equal(other.actual, one.actual)
