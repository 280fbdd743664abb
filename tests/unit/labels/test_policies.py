from __future__ import annotations

import numpy as np
import pytest

from ffm_core.errors import ConfigError
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import ATR_TRAIL, DYNAMIC_TARGET, EXIT_POLICIES, FIXED_RR, setting
from ffm_core.records import REASONS, Decisions


def test_the_three_policies_and_their_kinds():
    assert {p.name: p.kind for p in EXIT_POLICIES} == {
        "fixed_rr": "static", "dynamic_target": "predicted", "atr_trail": "managed",
    }  # fmt: skip
    assert all(policy.summary for policy in EXIT_POLICIES)


def test_every_parameter_has_a_default_within_its_own_bounds():
    for policy in EXIT_POLICIES:
        for param in policy.params:
            assert setting(policy, {}, param.name) == param.default


def test_the_dynamic_target_is_a_clipped_share_of_the_prediction():
    predicted = np.array([0.5, 1.875, 5.0, 10.0, 40.0])
    assert DYNAMIC_TARGET.target_of(predicted, {}).tolist() == [1.5, 1.5, 4.0, 8.0, 8.0]
    other = {"fraction": 0.5, "floor_r": 1.0, "cap_r": 3.0}
    assert DYNAMIC_TARGET.target_of(predicted, other).tolist() == [1.0, 1.0, 2.5, 3.0, 3.0]


def test_the_trail_distance_is_the_atr_of_the_signal_bar(make_bars):
    # Every range is 2, so ATR is 2; the entry bar runs to 110 and must not widen it.
    high = [101.0] * 30
    high[21] = 110.0
    bars = make_bars([100.0] * 30, high, [99.0] * 30, [100.0] * 30)
    rows = Decisions(bar=np.array([20]), side=np.array([1]), risk=np.array([3.0]))
    found = outcomes(bars, rows, ATR_TRAIL, {"trail_atr": 5.25}, horizon_bars=5)
    assert (REASONS[found.reason[0]], found.exit_bar[0]) == ("trail", 22)
    assert found.exit_price[0] == pytest.approx(110 - 5.25 * 2)


def test_a_policy_without_that_parameter_says_so():
    with pytest.raises(ConfigError, match="'fixed_rr' has no parameter 'trail_atr'"):
        setting(FIXED_RR, {}, "trail_atr")
