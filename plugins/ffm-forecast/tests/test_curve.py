"""Quantile functions against SciPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ffm_forecast import curve
from ffm_forecast.errors import ForecastError
from scipy import integrate, stats

LEVELS = np.arange(1, 10) / 10
NORMAL = stats.norm(3.0, 2.0)
WANTED = np.array([0.001, 0.02, 0.05, 0.15, 0.5, 0.77, 0.9, 0.99])


def normal_quantiles():
    return NORMAL.ppf(LEVELS)[None]


def test_the_mean_below_follows_the_density_of_student():
    for nu in (3.0, 4.5, 30.0, 200.0):
        tail = curve.StudentTail(centre=np.zeros(1), scale=np.ones(1), nu=np.array([nu]))
        exact, _ = integrate.quad(lambda x, nu=nu: x * stats.t.pdf(x, nu), -np.inf, -1.5)
        assert tail.partial_mean(stats.t.cdf(-1.5, nu))[0] == pytest.approx(exact, rel=1e-8)


def test_a_normal_known_at_nine_levels_is_known_everywhere():
    q = normal_quantiles()
    found = curve.quantiles_at(q, LEVELS, WANTED, "normal")
    assert found[0] == pytest.approx(NORMAL.ppf(WANTED), abs=1e-9)
    x = np.array([-4.0, 0.0, 3.0, 3.9, 8.0])
    cdf = curve.cdf_at(np.repeat(q, 5, axis=0), LEVELS, x, "normal")
    assert cdf == pytest.approx(NORMAL.cdf(x), abs=1e-12)
    mean, std = curve.moments(q, LEVELS)
    assert (mean[0], std[0]) == pytest.approx((3.0, 2.0), abs=1e-12)


def test_moments_keep_a_small_spread_at_a_large_level():
    q = 1e4 + 1e-5 * normal_quantiles()
    assert curve.moments(q, LEVELS)[1][0] == pytest.approx(2e-5, rel=1e-6)


def test_moments_of_a_skewed_curve_are_its_integrals():
    q = np.array([[-3.0, -1.0, -0.5, 0.0, 0.1, 0.4, 0.9, 2.0, 5.0]])

    def value(z):
        slope = np.interp(z, stats.norm.ppf(LEVELS), q[0])
        if z < stats.norm.ppf(0.1) or z > stats.norm.ppf(0.9):
            return float(curve.quantiles_at(q, LEVELS, stats.norm.cdf([z]), "normal")[0, 0])
        return float(slope)

    knots = [-8.0, *stats.norm.ppf(LEVELS).tolist(), 8.0]

    def integral(function):
        return sum(integrate.quad(lambda z: function(value(z)) * stats.norm.pdf(z), a, b)[0]
                   for a, b in pairwise(knots))  # fmt: skip

    mean, std = curve.moments(q, LEVELS)
    assert mean[0] == pytest.approx(integral(lambda v: v), abs=1e-6)
    assert std[0] ** 2 == pytest.approx(integral(lambda v: v**2) - mean[0] ** 2, abs=1e-5)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.25, 0.01])
def test_mean_below_is_the_integral_of_the_tail(level):
    z = stats.norm.ppf(LEVELS)[None]
    exact = -stats.norm.pdf(stats.norm.ppf(level)) / level
    found = curve.mean_below(z, LEVELS, level, "normal")[0]
    assert found == pytest.approx(exact, rel=1e-10)
    t = stats.t(4)
    x = t.ppf(level)
    exact = -t.pdf(x) * (4 + x * x) / 3 / level
    found = curve.mean_below(t.ppf(LEVELS)[None], LEVELS, level, "student_t")[0]
    assert found == pytest.approx(exact, rel=4e-3)


def test_students_tail_finds_the_degrees_of_freedom_and_is_continuous():
    for nu in (3.0, 4.0, 7.0, 30.0):
        q = 1.0 + 0.5 * stats.t.ppf(LEVELS, nu)[None]
        for lower in (True, False):
            tail = curve.student_tail(q, LEVELS, lower=lower)
            assert tail.nu[0] == pytest.approx(nu, rel=0.01)
        low = curve.quantiles_at(q, LEVELS, np.array([0.01]), "student_t")[0, 0]
        high = curve.quantiles_at(q, LEVELS, np.array([0.99]), "student_t")[0, 0]
        assert low == pytest.approx(1.0 + 0.5 * stats.t.ppf(0.01, nu), rel=2e-3)
        assert high == pytest.approx(2.0 - low)
        just_out = curve.quantiles_at(q, LEVELS, np.array([0.1 - 1e-9]), "student_t")
        assert just_out[0, 0] == pytest.approx(q[0, 0], abs=1e-6)
        x = np.array([low])
        assert curve.cdf_at(q, LEVELS, x, "student_t")[0] == pytest.approx(0.01, abs=1e-9)
        assert curve.cdf_at(q, LEVELS, -x + 2.0, "student_t")[0] == pytest.approx(0.99, abs=1e-9)


def test_without_a_tail_nothing_is_said_beyond_the_levels():
    q = normal_quantiles()
    with pytest.raises(ForecastError, match=r"level 0.05 is outside .* 0.1 to 0.9"):
        curve.quantiles_at(q, LEVELS, np.array([0.05]), None)
    with pytest.raises(ForecastError, match="nothing"):
        curve.mean_below(q, LEVELS, 0.2, None)
    assert np.isnan(curve.cdf_at(q, LEVELS, np.array([-9.0]), None)).all()
    assert curve.cdf_at(q, LEVELS, q[:, -1], None)[0] == pytest.approx(0.9)
    assert curve.cdf_at(q, LEVELS, q[:, 0], None)[0] == pytest.approx(0.1)


def test_a_flat_stretch_is_a_jump_of_the_distribution_function():
    q = np.array([[0.0, 1.0, 1.0, 1.0, 2.0]])
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    assert curve.cdf_at(q, levels, np.array([1.0]), None)[0] == pytest.approx(0.7)
    flat = np.zeros((1, 5))
    for tail in ("normal", "student_t"):
        assert curve.cdf_at(flat, levels, np.array([-1.0]), tail)[0] == 0.0
        assert curve.cdf_at(flat, levels, np.array([1.0]), tail)[0] == 1.0
    assert curve.moments(flat, levels)[1][0] == 0.0


def test_crps_of_a_normal_is_the_closed_form():
    z = stats.norm.ppf(LEVELS)[None]
    for y in (-2.5, 0.0, 0.3, 4.0):
        exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert curve.crps(z, LEVELS, np.array([y]))[0] == pytest.approx(exact, rel=2e-3)


def test_crps_rewards_the_truth():
    """A red twin: too narrow, too wide and shifted all score worse than the truth."""
    y = np.random.default_rng(0).normal(size=4000)
    z = stats.norm.ppf(LEVELS)

    def score(q):
        return float(curve.crps(np.repeat(q[None], 4000, axis=0), LEVELS, y).mean())

    assert score(z) < min(score(0.6 * z), score(1.6 * z), score(z + 0.4), score(z - 0.4))


@pytest.mark.parametrize("levels", [[0.5], [0.5, 0.4], [0.0, 0.5], [0.5, 1.0], [0.1, 0.1, 0.5]])
def test_odd_levels_are_refused(levels):
    with pytest.raises(ForecastError, match="cannot be used"):
        curve.checked_levels(np.array(levels))


def test_student_needs_two_levels_on_each_side():
    levels = np.array([0.1, 0.5, 0.9])
    with pytest.raises(ForecastError, match="two levels on each side"):
        curve.student_tail(np.array([[-1.0, 0.0, 1.0]]), levels, lower=True)
