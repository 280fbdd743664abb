"""Which trials looked at the same days, and how much luck that allows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ffm_core.runs.lineage import (
    DaysTested,
    Trial,
    context_of,
    correlation,
    daily_sharpe,
    lineage,
)


def trial(name, days, prints=None, closed=None, aborted=False):
    tested = DaysTested(days=days, fingerprints=prints or {})
    return Trial(trial_id=name, identity=name, opened=tested.payload(), opened_seq=1,
                 closed=closed, aborted=aborted)  # fmt: skip


def result(days, values):
    values = np.asarray(values, dtype=float)
    return {"days": list(days), "daily_r": list(values), "sharpe": daily_sharpe(values)}


def related(known, days, prints=None, identity="new"):
    tested = DaysTested(days=days, fingerprints=prints or {})
    return [t.identity for t in lineage({known.identity: known}, tested, identity=identity)]


PRINT, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_one_shared_day_of_one_instrument_is_enough():
    assert related(trial("a", {"ES": [1, 2, 3]}), {"ES": [3, 4], "CL": [9]}) == ["a"]


def test_the_same_day_of_another_instrument_is_not():
    assert related(trial("a", {"ES": [1, 2, 3]}), {"CL": [1, 2, 3]}) == []


def test_other_days_of_the_same_instrument_are_not():
    assert related(trial("a", {"ES": [1, 2, 3]}), {"ES": [4, 5]}) == []


def test_a_renamed_file_stays_the_same_market():
    known = trial("a", {"ES": [1, 2]}, {"ES": [PRINT, OTHER]})
    assert related(known, {"MINE": [1, 2]}, {"MINE": [PRINT]}) == ["a"]


def test_another_market_of_the_same_shape_is_another_one():
    known = trial("a", {"SIMA1": [1, 2]}, {"SIMA1": [PRINT]})
    assert related(known, {"SIMA2": [1, 2]}, {"SIMA2": [OTHER]}) == []


def test_days_without_a_fingerprint_link_nothing():
    known = trial("a", {"ES": [1]}, {"ES": [""]})
    assert related(known, {"CL": [1]}, {"CL": [""]}) == []


def test_a_trial_is_not_its_own_relative():
    assert related(trial("a", {"ES": [1]}), {"ES": [1]}, identity="a") == []


def context(others, effective=lambda matrix: np.arange(1.0, len(matrix) + 1)):
    return context_of(others, since="then", effective=effective)


def test_the_first_trial_stands_alone():
    alone = context([])
    assert (alone.n_trials, alone.sharpe_variance, alone.effective_n) == (1, 0.0, 1.0)
    assert alone.ledger_since == "then"


def test_variance_is_that_of_the_results_known():
    rng = np.random.default_rng(0)
    days = range(100)
    results = [result(days, rng.normal(m, 1.0, 100)) for m in (0.0, 0.1, 0.3)]
    others = [trial(str(i), {"ES": days}, closed=r) for i, r in enumerate(results)]
    others.append(trial("open", {"ES": days}))
    others.append(trial("dead", {"ES": days}, aborted=True))
    sharpes = [np.mean(r["daily_r"]) / np.std(r["daily_r"], ddof=1) for r in results]
    made = context(others)
    assert made.n_trials == 6
    assert made.sharpe_variance == pytest.approx(np.var(sharpes, ddof=1), rel=1e-12)


def test_effective_number_counts_what_is_unknown_as_independent():
    days = range(50)
    values = np.random.default_rng(1).normal(size=50)
    twins = [trial(str(i), {"ES": days}, closed=result(days, values)) for i in range(4)]
    dead = [trial("dead", {"ES": days}, aborted=True)]
    made = context([*twins, *dead])
    assert made.n_trials == 6
    assert made.effective_n == 1.0 + 1.0 + 1.0


def test_effective_number_never_exceeds_the_count():
    days = range(50)
    one = [trial("a", {"ES": days}, closed=result(days, np.arange(50.0)))]
    assert context(one, effective=lambda matrix: np.array([99.0])).effective_n == 2.0


def test_a_refused_trial_counts_but_has_no_result():
    refused = trial("a", {"ES": [1]}, closed={"days": [], "daily_r": [], "sharpe": 0.0})
    made = context([refused], effective=lambda matrix: pytest.fail("there is nothing to correlate"))
    assert (made.n_trials, made.effective_n, made.sharpe_variance) == (2, 2.0, 0.0)


def test_correlation_equals_numpy_on_equal_days():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 80))
    matrix = correlation([result(range(80), row) for row in values])
    np.testing.assert_allclose(matrix, np.corrcoef(values), rtol=1e-12, atol=1e-12)


def test_days_are_aligned_before_correlating():
    first = result([1, 2, 3, 4], [1.0, -1.0, 2.0, 0.5])
    second = result([3, 4, 5, 6], [2.0, 0.5, -1.0, 1.0])
    grid = np.array([[1.0, -1.0, 2.0, 0.5, 0, 0], [0, 0, 2.0, 0.5, -1.0, 1.0]])
    np.testing.assert_allclose(correlation([first, second]), np.corrcoef(grid), rtol=1e-12)


def test_a_flat_trial_correlates_with_nothing():
    flat, other = result(range(4), np.zeros(4)), result(range(4), [1.0, 2.0, -1.0, 0.0])
    np.testing.assert_array_equal(correlation([flat, other]), np.eye(2))


def test_the_matrix_is_positive_semidefinite_for_any_spans():
    rng = np.random.default_rng(3)
    results = [result(range(s, s + 30), rng.normal(size=30)) for s in (0, 10, 20, 25, 60)]
    assert np.linalg.eigvalsh(correlation(results)).min() > -1e-12


def test_daily_sharpe():
    values = np.array([1.0, 2.0, 4.0])
    assert daily_sharpe(values) == pytest.approx(values.mean() / math.sqrt(7 / 3))
    assert daily_sharpe(np.ones(5)) == daily_sharpe(np.ones(1)) == daily_sharpe(np.ones(0)) == 0.0
