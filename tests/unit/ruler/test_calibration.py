from __future__ import annotations

import json
import math

import numpy as np
import pytest
import statsmodels.api as sm

from ffm_core.ruler.calibration import calibrate, logistic_line


def sample(n: int = 6000, seed: int = 0, stretch: float = 1.0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-0.5, 1.0, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    return 1 / (1 + np.exp(-stretch * logit)), label


def test_honest_probabilities_are_calibrated():
    found = calibrate(*sample())
    assert found.calibrated
    assert found.slope == pytest.approx(1.0, abs=0.1)
    assert found.intercept == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(("stretch", "slope"), [(3.0, 1 / 3), (0.5, 2.0)])
def test_over_and_under_confidence_are_seen(stretch, slope):
    found = calibrate(*sample(stretch=stretch))
    assert not found.calibrated
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.ece > 0.03


def test_right_on_average_is_not_enough():
    rng = np.random.default_rng(1)
    label = (rng.random(20_000) < 0.3).astype(np.int8)
    found = calibrate(0.3 + 0.002 * rng.normal(0, 1, 20_000), label)
    assert found.ece <= 0.03
    assert not 0.8 <= found.slope <= 1.25
    assert not found.calibrated


def test_matches_scikit_learn_and_statsmodels():
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = sample(500, seed=3, stretch=1.7)
    found = calibrate(p, y)
    assert found.brier == pytest.approx(metrics.brier_score_loss(y, p))
    assert found.nll == pytest.approx(metrics.log_loss(y, p))
    logit = np.log(p / (1 - p))
    fitted = sm.Logit(y, sm.add_constant(logit)).fit(disp=0)
    assert [found.intercept, found.slope] == pytest.approx(fitted.params.tolist(), abs=1e-5)


def test_bins_have_equal_mass_and_make_the_error():
    p, y = sample(1507)
    found = calibrate(p, y)
    assert len(found.bins) == 15
    sizes = [b.n for b in found.bins]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == 1507
    predicted = [b.predicted for b in found.bins]
    assert predicted == sorted(predicted)
    ece = sum(b.n * abs(b.predicted - b.observed) for b in found.bins) / 1507
    assert found.ece == pytest.approx(ece)


class TestEdges:
    def test_nothing_to_compare(self):
        assert calibrate(np.empty(0), np.empty(0, np.int8)) is None
        assert calibrate(np.array([np.nan]), np.array([1], np.int8)) is None

    def test_nan_rows_are_left_out(self):
        p, y = sample(300)
        more = calibrate(np.append(p, np.nan), np.append(y, np.int8(1)))
        assert more == calibrate(p, y)

    def test_fewer_rows_than_bins(self):
        found = calibrate(np.array([0.2, 0.8]), np.array([0, 1], np.int8))
        assert [b.n for b in found.bins] == [1, 1]
        assert math.isnan(found.slope)

    @pytest.mark.parametrize(
        ("p", "y"),
        [([0.5] * 40, [0, 1] * 20), ([0.1, 0.9] * 20, [0, 1] * 20), ([0.1, 0.4, 0.8], [1, 1, 1])],
    )
    def test_no_line_and_no_claim_of_calibration(self, p, y):
        found = calibrate(np.array(p), np.array(y, np.int8))
        assert math.isnan(found.slope)
        assert not found.calibrated
        record = json.loads(json.dumps(found.record(), allow_nan=False))
        assert record["slope"] is None

    def test_certain_predictions_are_clipped(self):
        p, y = sample(200)
        p[:3] = [0.0, 1.0, 1.0]
        assert math.isfinite(calibrate(p, y).nll)

    def test_nearly_separated_labels_still_converge(self):
        x = np.linspace(-3, 3, 60)
        y = (x > 0).astype(float)
        y[[29, 30]] = y[[30, 29]]
        slope, intercept = logistic_line(x, y)
        fitted = sm.Logit(y, sm.add_constant(x)).fit(disp=0)
        assert [intercept, slope] == pytest.approx(fitted.params.tolist(), abs=1e-4)
