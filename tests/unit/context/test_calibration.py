from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from ffm_core.context.calibration import (
    Band,
    Map,
    fit_band,
    fit_isotonic,
    fit_line,
    fit_platt,
    fit_probability,
    log_loss,
    logit,
)
from ffm_core.statistics import logistic_line


def overconfident(n: int = 4000, seed: int = 0):
    """Return probabilities that claim three times the log-odds they should, and labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(-true))).astype(float)
    return 1 / (1 + np.exp(-3 * true)), label


def test_the_staircase_equals_isotonic_regression_at_its_steps():
    said, label = overconfident(300)
    found = fit_isotonic(said, label)
    reference = IsotonicRegression().fit(said, label)
    values = np.clip(np.unique(reference.predict(said)), 1 / 302, 301 / 302)
    np.testing.assert_allclose(np.unique(np.round(found.y, 9)), np.unique(np.round(values, 9)))
    assert (np.diff(found.y) > 0).all()


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic, fit_probability])
def test_a_boastful_head_is_put_right(fit):
    said, label = overconfident()
    mapped = fit(said, label)
    fresh, then = overconfident(seed=1)
    assert log_loss(mapped.apply(fresh), then) < log_loss(fresh, then) - 0.05
    slope, _ = logistic_line(logit(mapped.apply(fresh)), then)
    assert 0.85 < slope < 1.15
    assert 0.2 < logistic_line(logit(fresh), then)[0] < 0.45


def test_too_little_to_fit_gives_the_base_rate():
    few = fit_probability(np.linspace(0.1, 0.9, 20), np.r_[np.zeros(15), np.ones(5)])
    np.testing.assert_allclose(few.apply(np.array([0.1, 0.9])), 6 / 22)
    label = (np.random.default_rng(0).random(200) < np.arange(200) / 200).astype(float)
    falling = fit_platt(np.linspace(0.9, 0.1, 200), label)
    assert np.ptp(falling.apply(np.array([0.1, 0.9]))) == 0.0
    assert fit_line(np.linspace(1, 0, 100), np.linspace(0, 1, 100)).slope == 0.0


def test_the_band_holds_its_share_where_the_spread_changes():
    rng = np.random.default_rng(0)
    said = rng.random(5000)
    value = said + said * rng.normal(size=5000)
    band = fit_band(said, value)
    fresh = rng.random(5000)
    low, high = band.apply(fresh)
    then = fresh + fresh * rng.normal(size=5000)
    for part in (fresh < 0.3, fresh > 0.7):
        inside = (then >= low) & (then <= high)
        assert inside[part].mean() == pytest.approx(0.8, abs=0.07)


def test_maps_and_bands_survive_a_manifest():
    said, label = overconfident(200)
    for one in (fit_platt(said, label), fit_isotonic(said, label), fit_line(said, label)):
        assert Map.of(one.record()).apply(said).tobytes() == one.apply(said).tobytes()
    band = fit_band(said, label)
    assert Band.of(band.record()) == band
