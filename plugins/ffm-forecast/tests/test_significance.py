"""Intervals and the Diebold-Mariano test against SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from ffm_forecast.significance import binomial, diebold_mariano, wilson
from scipy import stats
from statsmodels.stats.proportion import proportion_confint


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (7, 40), (33, 250), (250, 250)])
def test_intervals_agree_with_statsmodels(hits, n):
    found = wilson(hits / n, n)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(hits, n, method="wilson"), abs=1e-9
    )
    plain = binomial(hits, n)
    low, high = proportion_confint(hits, n, method="normal")
    assert (max(plain.low, 0.0), min(plain.high, 1.0)) == pytest.approx((low, high), abs=1e-9)


def test_56_percent_needs_267_windows():
    assert binomial(round(0.56 * 10_000), 10_000).low > 0.5
    assert 0.56 - 1.959964 * np.sqrt(0.25 / 267) > 0.5 - 1e-3
    assert 0.56 - 1.959964 * np.sqrt(0.25 / 266) < 0.5


def test_nothing_counted_is_nothing_known():
    for found in (wilson(0.0, 0), binomial(0, 0)):
        assert np.isnan([found.share, found.low, found.high]).all()


def test_without_overlap_it_is_the_t_test():
    rng = np.random.default_rng(4)
    a, b = rng.normal(1.0, 0.3, 120), rng.normal(1.05, 0.3, 120)
    found = diebold_mariano(a, b)
    expected = stats.ttest_1samp(a - b, 0.0)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_with_overlap_the_variance_counts_the_lags():
    rng = np.random.default_rng(4)
    gap = np.convolve(rng.normal(0.1, 1.0, 403), np.ones(4) / 4, mode="valid")
    found = diebold_mariano(gap, np.zeros_like(gap), lag=3)
    n, h = len(gap), 4
    fit = sm.OLS(gap, np.ones(n)).fit(
        cov_type="HAC",
        cov_kwds={"maxlags": 3, "kernel": lambda lags: np.ones(lags + 1), "use_correction": False},
    )
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert found.statistic == pytest.approx(correction * fit.tvalues[0], rel=1e-9)
    # A red twin: ignoring the overlap finds what is not there.
    assert abs(diebold_mariano(gap, np.zeros_like(gap)).statistic) > 1.5 * abs(found.statistic)


def test_it_errs_at_its_rate():
    rng = np.random.default_rng(9)
    hits = sum(
        diebold_mariano(rng.standard_normal(60), rng.standard_normal(60)).p_value < 0.05
        for _ in range(600)
    )
    assert 15 <= hits <= 48


def test_a_variance_below_zero_is_taken_otherwise():
    gap = np.tile([1.0, -1.0], 20) + 0.01
    found = diebold_mariano(gap, np.zeros(40), lag=1)
    assert np.isfinite(found.statistic)


def test_equal_or_few_losses_say_nothing():
    same = diebold_mariano(np.ones(50), np.ones(50))
    assert np.isnan(same.p_value)
    assert same.difference == 0.0
    assert np.isnan(diebold_mariano(np.arange(4.0), np.zeros(4), lag=3).p_value)
