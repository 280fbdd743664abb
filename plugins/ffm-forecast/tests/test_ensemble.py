"""Ensembles: who was used, how far members disagree, what the pool says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ffm_forecast.ensemble import (
    combine,
    common_levels,
    linear_pool,
    shares,
)
from ffm_forecast.errors import EnsembleError
from ffm_forecast.forecasters import control
from scipy import optimize, stats

from ffm_core.errors import ConfigError, UnavailableError

LEVELS = np.arange(1, 10) / 10


def two(walks):
    members = {name: control(name) for name in ("naive_last", "drift")}
    return members, dict.fromkeys(members, walks[:1])


def test_point_spread_and_disagreement_follow_the_law_of_total_variance(walks):
    members, contexts = two(walks)
    weights = {"naive_last": 3.0, "drift": 1.0}
    found = combine(members, contexts, 12, weights=weights)
    one, other = (m.forecast(walks[:1], 12).one(0) for m in members.values())
    assert found.used == {"naive_last": 0.75, "drift": 0.25}
    assert found.point == pytest.approx(0.75 * one.point + 0.25 * other.point)
    apart = np.sqrt(0.75 * 0.25) * np.abs(one.mean - other.mean)
    assert found.disagreement == pytest.approx(apart)
    assert found.disagreement_unweighted == pytest.approx(np.abs(one.mean - other.mean) / 2)
    total = np.sqrt(0.75 * one.std**2 + 0.25 * other.std**2 + apart**2)
    assert found.std == pytest.approx(total)
    seed = combine(members, contexts, 12, weights=weights, variance="seed")
    assert np.all(seed.std <= found.std + 1e-15)
    assert found.normal_approx[1] - found.point == pytest.approx(1.645 * total)
    assert found.confidence == pytest.approx(1 / (1 + apart / one.std))


def test_the_linear_pool_is_the_mixture():
    parts = [stats.norm(0.0, 1.0), stats.norm(2.0, 0.5)]
    weights = np.array([0.3, 0.7])
    members = [(part.ppf(LEVELS)[None], LEVELS) for part in parts]
    found = linear_pool(members, weights, LEVELS, "normal")[0]
    for level, value in zip(LEVELS, found, strict=True):
        exact = optimize.brentq(
            lambda x, level=level: weights @ [p.cdf(x) for p in parts] - level, -9, 9
        )
        assert value == pytest.approx(exact, abs=1e-9)


def test_pooling_distributions_is_wider_than_averaging_quantiles(walks):
    """A red twin: averaging quantiles hides that the members disagree."""
    members, contexts = two(walks)
    members["drift"] = replace(
        members["drift"], predict=lambda v, h, at, _: control("drift").predict(v, h, at, None) + 0.1
    )
    pooled = combine(members, contexts, 5).forecast
    averaged = combine(members, contexts, 5, pooling="vincent").forecast
    wide, narrow = (np.ptp(f.quantiles, axis=1) for f in (pooled, averaged))
    assert np.all(wide > 5 * narrow)


def test_one_member_is_itself(walks):
    alone = control("naive_last")
    found = combine({"naive_last": alone}, {"naive_last": walks[:1]}, 6)
    assert found.forecast.quantiles == pytest.approx(
        alone.forecast(walks[:1], 6).quantiles[0], abs=1e-12
    )
    assert found.disagreement == pytest.approx(0.0, abs=1e-15)


def test_a_member_that_fails_is_named_and_the_rest_share_its_weight(walks):
    members, contexts = two(walks)

    def fail(*_):
        raise ValueError("out of\nmemory")

    members["ets"] = replace(control("ets"), predict=fail)
    contexts["ets"] = walks[:1]
    weights = {"naive_last": 0.2, "drift": 0.3, "ets": 0.5}
    found = combine(members, contexts, 4, weights=weights)
    assert found.failed == {"ets": "out of memory"}
    assert found.used == pytest.approx({"naive_last": 0.4, "drift": 0.6})
    broken = {"ets": members["ets"]}
    with pytest.raises(EnsembleError, match=r"no member could make a forecast .*out of memory"):
        combine(broken, contexts, 4)


def test_an_absent_member_is_an_error_unless_allowed(walks):
    members, contexts = two(walks)
    members["chronos-bolt-tiny"] = UnavailableError("not on this machine", fix="ffm backbone add x")
    with pytest.raises(EnsembleError, match=r"missing: not on this machine\n  fix: ffm backbone"):
        combine(members, contexts, 4)
    found = combine(members, contexts, 4, allow_partial=True)
    assert found.absent == {"chronos-bolt-tiny": "not on this machine"}
    assert sum(found.used.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "weights", [{"c": 1.0}, {"a": -1.0}, {"a": 0.0, "b": 0.0}, {"a": float("nan")}]
)
def test_weights_that_cannot_be_used(weights):
    with pytest.raises(ConfigError):
        shares(["a", "b"], weights)


def test_shares_are_equal_unless_said():
    assert shares(["a", "b"], None) == {"a": 0.5, "b": 0.5}
    assert shares(["a", "b"], {"a": 2.0}) == {"a": 1.0, "b": 0.0}
    with pytest.raises(ConfigError, match="each listed once"):
        shares(["a", "a"], None)


def test_common_levels_stay_within_every_members_range():
    found = common_levels([LEVELS, np.array([0.05, 0.25, 0.5, 0.75, 0.95])])
    assert found[[0, -1]].tolist() == [0.1, 0.9]
    assert 0.25 in found
    with pytest.raises(EnsembleError, match="no levels in common"):
        common_levels([np.array([0.1, 0.2]), np.array([0.8, 0.9])])
