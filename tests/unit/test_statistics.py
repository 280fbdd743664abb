"""Bins, lines and blocks of days, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ffm_core.statistics import (
    bins_of_equal_mass,
    calibration_error,
    is_calibrated,
    logistic_line,
    next_day,
    ols_line,
)


def test_bins_by_hand():
    predicted, observed = np.array([0.9, 0.1, 0.5, 0.3]), np.array([1.0, 0.0, 1.0, 0.0])
    found = bins_of_equal_mass(predicted, observed, 10)
    assert [(one.predicted, one.observed, one.n) for one in found] == [
        (0.1, 0.0, 1), (0.3, 0.0, 1), (0.5, 1.0, 1), (0.9, 1.0, 1),
    ]  # fmt: skip
    assert calibration_error(found) == pytest.approx((0.1 + 0.3 + 0.5 + 0.1) / 4)
    many = bins_of_equal_mass(np.arange(101.0), np.arange(101.0), 10)
    assert [one.n for one in many] == [11] + [10] * 9


@pytest.mark.parametrize(
    ("error", "slope", "yes"),
    [(0.03, 0.8, True), (0.0, 1.25, True), (0.031, 1.0, False), (0.0, np.nan, False)],
)
def test_when_the_word_calibrated_may_be_printed(error, slope, yes):
    assert is_calibrated(error, slope) is yes


def test_lines_equal_the_textbook():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=500)
    y = (rng.random(500) < 1 / (1 + np.exp(-(0.7 * x - 1)))).astype(float)
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    expected = (model.coef_[0, 0], model.intercept_[0])
    np.testing.assert_allclose(logistic_line(x, y), expected, rtol=1e-4)
    np.testing.assert_allclose(ols_line(x, 3 * x - 2), (3, -2), atol=1e-12)


def test_lines_that_do_not_exist_are_nan():
    x, y = np.arange(10.0), (np.arange(10) > 4).astype(float)
    assert np.isnan(logistic_line(x, y)).all()  # a threshold separates the labels
    assert np.isnan(logistic_line(np.ones(10), y)).all()
    assert np.isnan(ols_line(np.ones(10), y)).all()


def test_a_block_goes_on_and_wraps_round_the_end():
    assert [next_day(3, draw, 5) for draw in (1.0, 7.0, 0.0, 0.39, 0.999999)] == [4, 4, 0, 1, 4]
    assert next_day(4, 2.0, 5) == 0
