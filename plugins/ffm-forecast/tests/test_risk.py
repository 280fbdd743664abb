"""VaR, ES and their backtests against published and independent numbers."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_forecast.distribution import forecasts_of
from ffm_forecast.errors import ForecastError
from ffm_forecast.risk import (
    backtest,
    christoffersen,
    kupiec,
    risk,
    units,
)
from scipy import stats

from ffm_core.errors import ConfigError, SampleError

LEVELS = np.arange(1, 10) / 10


def returns_of(distribution, tail="normal", scale=1.0):
    raw = scale * distribution.ppf(LEVELS)[None, None]
    return forecasts_of(raw, LEVELS, space="simple_return", reference=np.zeros(1),
                        provenance={}).one(0, tail)  # fmt: skip


@pytest.mark.parametrize(("level", "var", "es"), [(0.05, 1.6449, 2.0627), (0.01, 2.3263, 2.6652)])
def test_the_normal_has_its_published_figures(level, var, es):
    for side in ("long", "short"):
        found = risk(returns_of(stats.norm), level, side)
        assert found.var[0] == pytest.approx(var, abs=5e-5)
        assert found.es[0] == pytest.approx(es, abs=5e-5)
        assert found.tail == "normal"


@pytest.mark.parametrize("tail", ["normal", "student_t"])
def test_invariants(tail):
    for distribution in (stats.norm(0.2, 1), stats.t(3), stats.skewnorm(-4), stats.t(30)):
        forecast = returns_of(distribution, tail, scale=1e-3)
        wide = returns_of(distribution, tail, scale=3e-3)
        for side in ("long", "short"):
            found = [risk(forecast, level, side) for level in (0.01, 0.05, 0.1, 0.2, 0.4)]
            var, es = [float(f.var[0]) for f in found], [float(f.es[0]) for f in found]
            assert all(e >= v for v, e in zip(var, es, strict=True))
            assert var == sorted(var, reverse=True)
            assert es == sorted(es, reverse=True)
            assert risk(wide, 0.05, side).es[0] == pytest.approx(3 * es[1], rel=1e-9)


def test_fat_tails_cost_more_under_student_than_under_the_normal():
    heavy = stats.t(3)
    student, normal = (risk(returns_of(heavy, tail), 0.01) for tail in ("student_t", "normal"))
    exact = -heavy.ppf(0.01)
    assert student.var[0] == pytest.approx(exact, rel=0.01)
    assert normal.var[0] < 0.8 * exact
    assert student.es[0] > normal.es[0]


def test_log_prices_become_simple_returns():
    raw = np.log(5000.0) + 0.3 * stats.norm.ppf(LEVELS)[None, None]
    forecast = forecasts_of(raw, LEVELS, space="log_price", reference=np.array([np.log(5000.0)]),
                            provenance={}).one(0)  # fmt: skip
    assert risk(forecast, 0.1).var[0] == pytest.approx(1 - np.exp(-0.3 * 1.2815516), rel=1e-6)
    assert risk(forecast, 0.1, "short").var[0] == pytest.approx(
        np.exp(0.3 * 1.2815516) - 1, rel=1e-6
    )


def test_without_a_tail_there_is_no_shortfall_and_no_deep_level():
    forecast = returns_of(stats.norm, tail=None)
    assert risk(forecast, 0.1).es is None
    assert risk(forecast, 0.1).var[0] == pytest.approx(1.28155, abs=1e-4)
    with pytest.raises(ForecastError, match="choose a tail"):
        risk(forecast, 0.05)
    with pytest.raises(ConfigError, match=r"between 0 and 0\.5"):
        risk(forecast, 0.5)


def test_units_follow_the_budget_and_the_cap():
    size = {"budget": 0.01, "equity": 100_000.0, "es": 0.01, "price": 5000.0, "point_value": 5.0}
    assert units(**size, most=100.0) == pytest.approx(4.0)
    assert units(**size, most=3.0) == 3.0
    assert units(**(size | {"es": -0.01}), most=3.0) == 3.0
    for odd in ({"equity": 0.0}, {"budget": 2.0}, {"es": float("nan")}):
        with pytest.raises(ConfigError):
            units(**(size | odd), most=3.0)


def test_kupiec_is_the_likelihood_ratio_of_the_binomial():
    beyond = np.zeros(1000, dtype=bool)
    beyond[::14] = True
    n, x, level = 1000, int(beyond.sum()), 0.05
    logs = [stats.binom.logpmf(x, n, share) for share in (level, x / n)]
    found = kupiec(beyond, level)
    assert found.statistic == pytest.approx(-2 * (logs[0] - logs[1]))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))
    # Published: Kupiec (1995), 255 days at 5 %: 6 < x < 21 is accepted at 95 %.
    accepted = []
    for x in range(1, 40):
        beyond = np.arange(255) < x
        if kupiec(beyond, 0.05).p_value > 0.05:
            accepted.append(x)
    assert (accepted[0], accepted[-1]) == (7, 20)
    assert kupiec(np.zeros(300, dtype=bool), 0.05).p_value < 0.001


def test_christoffersen_is_the_g_test_of_the_transitions():
    rng = np.random.default_rng(3)
    beyond = rng.random(2000) < 0.05
    beyond[500:520] = True
    before, after = beyond[:-1], beyond[1:]
    table = [[np.sum((before == a) & (after == b)) for b in (False, True)] for a in (False, True)]
    g = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    found = christoffersen(beyond)
    assert found.statistic == pytest.approx(g.statistic)
    assert found.p_value == pytest.approx(g.pvalue)
    assert found.p_value < 0.001
    assert christoffersen(rng.random(2000) < 0.05).p_value > 0.01
    assert np.isnan(christoffersen(np.zeros(100, dtype=bool)).p_value)


def test_a_backtest_accepts_the_truth_and_rejects_half_of_it():
    returns = np.random.default_rng(8).normal(0.0, 1.0, 4000)
    var, es = np.full(4000, 1.6448536), np.full(4000, 2.0627128)
    good = backtest(returns, var, es, 0.05)
    assert good.kupiec.p_value > 0.05
    assert good.coverage.p_value > 0.05
    assert good.z2 == pytest.approx(0.0, abs=0.15)
    assert good.z2_rejects is False
    bad = backtest(returns, 0.5 * var, 0.5 * es, 0.05)
    assert bad.kupiec.p_value < 1e-6
    assert bad.z2 < -2.0
    assert bad.z2_rejects is True
    assert backtest(returns, var, None, 0.05).z2 is None


def test_a_backtest_needs_250_forecasts():
    some = np.zeros(249)
    with pytest.raises(SampleError, match="250 forecasts, got 249"):
        backtest(some, some, None, 0.05)
    with pytest.raises(ConfigError, match="one return"):
        backtest(np.zeros(300), np.zeros(299), None, 0.05)
