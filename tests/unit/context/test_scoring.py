from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ffm_core.context.scoring import (
    auc,
    auc_samples,
    day_counts,
    interval,
    pearson,
    pearson_samples,
)


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=400), 1)  # with ties
    y = 0.5 * x + rng.normal(size=400)
    day = np.repeat(np.arange(40), 10)
    return x, y, day


def test_scores_equal_the_textbook(sample):
    x, y, _ = sample
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
    assert auc(x, (y > 0).astype(float)) == pytest.approx(roc_auc_score(y > 0, x), abs=1e-12)


def test_a_resample_equals_repeating_its_days(sample):
    x, y, day = sample
    counts = day_counts(40, resamples=20, seed=3)
    label = (y > 0).astype(float)
    r, area = pearson_samples(x, y, day, counts), auc_samples(x, label, day, counts)
    for b in range(20):
        rows = np.repeat(np.arange(400), counts[b][day])
        assert r[b] == pytest.approx(pearson(x[rows], y[rows]), abs=1e-10)
        assert area[b] == pytest.approx(roc_auc_score(label[rows], x[rows]), abs=1e-12)


def test_days_are_drawn_in_blocks_and_none_is_lost():
    counts = day_counts(200, resamples=500, block_days=5.0)
    assert (counts.sum(axis=1) == 200).all()
    assert counts.mean() == 1.0
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.25)
    beside = np.mean([np.corrcoef(row[:-1], row[1:])[0, 1] for row in counts])
    alone = day_counts(200, resamples=500, block_days=1.0)
    apart = np.mean([np.corrcoef(row[:-1], row[1:])[0, 1] for row in alone])
    assert beside > 0.6
    assert abs(apart) < 0.05
    np.testing.assert_array_equal(counts, day_counts(200, resamples=500, block_days=5.0))


def test_the_interval_covers_what_independent_samples_give():
    rng, found = np.random.default_rng(1), []
    for seed in range(60):
        day = np.repeat(np.arange(60), 8)
        shared = rng.normal(size=60)[day]  # rows of a day move together
        x = shared + rng.normal(size=480)
        y = 0.4 * x + rng.normal(size=60)[day] + rng.normal(size=480)
        counts = day_counts(60, resamples=300, seed=seed)
        found.append(interval(pearson(x, y), pearson_samples(x, y, day, counts)))
    truth = 0.8 / np.sqrt(2.0 * (0.16 * 2.0 + 2.0))
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.85 <= covered <= 1.0


@pytest.mark.parametrize("score", [np.zeros(50), np.arange(50.0)])
def test_without_variation_a_score_is_chance(score):
    same, day = np.ones(50), np.zeros(50, dtype=np.int64)
    counts = np.ones((2, 1), dtype=np.int32)
    assert pearson(score, same) == 0.0
    assert auc(score, same) == 0.5
    np.testing.assert_array_equal(pearson_samples(score, same, day, counts), 0.0)
    np.testing.assert_array_equal(auc_samples(score, same, day, counts), 0.5)
