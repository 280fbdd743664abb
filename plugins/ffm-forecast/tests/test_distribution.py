"""The probabilistic contract of a forecast."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_forecast.distribution import forecasts_of
from ffm_forecast.errors import ForecastError
from scipy import stats

LEVELS = np.arange(1, 10) / 10
Z = stats.norm.ppf(LEVELS)
LAST = np.log(5000.0)


def made(raw=None, space="log_price", reference=LAST):
    if raw is None:
        raw = LAST + 1e-3 * np.sqrt(np.arange(1, 6))[:, None] * Z
    return forecasts_of(
        np.asarray(raw)[None], LEVELS, space=space, reference=np.array([reference]),
        provenance={"model": "made", "weights_sha256": "ab", "context": 128, "horizon": 5},
    ).one(0)  # fmt: skip


def test_everything_follows_from_the_quantiles():
    forecast = made()
    spread = 1e-3 * np.sqrt(np.arange(1, 6))
    assert forecast.horizon == 5
    assert forecast.point == pytest.approx(LAST)
    assert forecast.mean == pytest.approx(LAST)
    assert forecast.std == pytest.approx(spread)
    low, high = forecast.interval(0.8)
    assert low == pytest.approx(forecast.quantiles[:, 0])
    assert high == pytest.approx(forecast.quantiles[:, -1])
    narrow = forecast.interval(0.5)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 0.67449 * spread, rel=1e-4)
    assert forecast.prob_up() == pytest.approx(0.5)
    expected = 1 - stats.norm.cdf(5e-4 / spread)
    assert forecast.prob_up(LAST + 5e-4) == pytest.approx(expected, abs=1e-9)
    assert forecast.provenance["weights_sha256"] == "ab"


def test_crossings_are_sorted_and_counted():
    raw = np.tile(LAST + 1e-3 * Z, (5, 1))
    raw[2, [3, 4]] = raw[2, [4, 3]]
    raw[4, [0, 8]] = raw[4, [8, 0]]
    forecast = made(raw)
    assert forecast.crossings == 3
    assert np.all(np.diff(forecast.quantiles, axis=1) >= 0)
    assert made().crossings == 0


def test_beyond_the_levels_only_with_a_tail():
    forecast = made()
    with pytest.raises(ForecastError, match="outside the levels"):
        forecast.interval(0.95)
    with pytest.raises(ForecastError, match="outside the quantiles of step 1"):
        forecast.cdf(LAST - 0.01)
    low, high = forecast.cdf_bounds(LAST - 0.01)
    assert low.tolist() == [0.0] * 5
    assert high == pytest.approx(0.1)
    with_tail = forecast.with_tail("normal")
    assert with_tail.interval(0.95)[0] == pytest.approx(
        LAST - 1.95996e-3 * np.sqrt(np.arange(1, 6)), abs=1e-8
    )
    assert with_tail.cdf(LAST - 0.01)[0] == pytest.approx(stats.norm.cdf(-10), abs=1e-20)


def test_moves_between_spaces_are_exact_in_the_quantiles():
    forecast = made()
    price = forecast.to("price")
    assert price.reference == pytest.approx(5000.0)
    assert price.quantiles == pytest.approx(np.exp(forecast.quantiles))
    assert price.to("log_price").quantiles == pytest.approx(forecast.quantiles)
    change = forecast.to("log_return")
    assert (change.reference, change.point[0]) == (0.0, pytest.approx(0.0, abs=1e-12))
    assert change.to("simple_return").quantiles == pytest.approx(np.expm1(change.quantiles))
    assert price.to("simple_return").quantiles == pytest.approx(
        price.quantiles / 5000.0 - 1.0, abs=1e-12
    )
    assert price.to("simple_return").to("log_return").quantiles == pytest.approx(change.quantiles)
    # The mean of a price lies above its median: it is worked out anew.
    wide = made(LAST + 0.2 * np.tile(Z, (5, 1))).to("price")
    assert wide.mean[0] > wide.point[0] * 1.01


def test_moves_that_mean_nothing_are_refused():
    with pytest.raises(ForecastError, match="cannot be converted to a price"):
        made().to("log_return").to("price")
    with pytest.raises(ForecastError, match="cannot be converted"):
        made(space="value").to("price")
    with pytest.raises(ForecastError, match="zero or less"):
        made(np.tile(Z, (5, 1)), space="price", reference=1.0).to("log_price")


def test_what_a_model_returns_is_checked():
    raw = np.tile(Z, (5, 1))
    raw[3, 2] = np.nan
    with pytest.raises(ForecastError, match=r"origin 0, step 4, level 0\.3"):
        made(raw)
    with pytest.raises(ForecastError, match="shape"):
        made(np.tile(Z[:4], (5, 1)))


def test_facts_say_that_steps_are_no_paths_and_how_the_mean_was_made():
    facts = made().facts()
    assert facts["paths"] is False
    assert facts["moments_tail"] == "normal"
    assert facts["prob_up"][0] == pytest.approx([0.5, 0.5])
    assert facts["crossings"] == 0


def test_losses_of_one_forecast():
    forecast = made()
    actual = np.full(5, LAST)
    assert forecast.pinball(actual)[:, 4] == pytest.approx(0.0, abs=1e-12)
    spread = 1e-3 * np.sqrt(np.arange(1, 6))
    exact = spread * (2 * stats.norm.pdf(0) - 1 / np.sqrt(np.pi))
    assert forecast.crps(actual) == pytest.approx(exact, rel=3e-3)
