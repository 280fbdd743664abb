"""Deflated Sharpe: published vectors, two other libraries, and the rule for trials."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from purgedcv import deflated_sharpe_ratio as purgedcv_dsr
from purgedcv import probabilistic_sharpe_ratio as purgedcv_psr
from skfolio.measures import deflated_sharpe_ratio as skfolio_dsr
from skfolio.measures import probabilistic_sharpe_ratio as skfolio_psr

from ffm_core.records import TrialContext
from ffm_core.ruler.sharpe import (
    Moments,
    benchmark_sharpe,
    deflated,
    effective_trials,
    expected_max_sharpe,
    moments,
    probabilistic_sharpe,
)
from ffm_core.runs.lineage import DaysTested, Trial, context_of, daily_sharpe


def context(n=1, variance=0.0, effective=None) -> TrialContext:
    return TrialContext(
        n_trials=n, sharpe_variance=variance, effective_n=effective or float(n), ledger_since=""
    )


PAPER = Moments(n=1250, sharpe=2.5 / math.sqrt(250), skew=-3.0, kurtosis=10.0)


@pytest.mark.parametrize(("trials", "sr0", "dsr"), [(100, 0.11317, 0.9004), (46, 0.1004, 0.9505)])
def test_published_example_of_the_deflated_ratio(trials, sr0, dsr):
    benchmark = expected_max_sharpe(trials, 0.5 / 250)
    assert benchmark == pytest.approx(sr0, abs=5e-5)
    assert probabilistic_sharpe(PAPER, benchmark) == pytest.approx(dsr, abs=5e-5)


@pytest.mark.parametrize(("skew", "kurtosis", "psr"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
def test_published_example_of_the_probabilistic_ratio(skew, kurtosis, psr):
    found = probabilistic_sharpe(Moments(n=24, sharpe=0.458, skew=skew, kurtosis=kurtosis))
    assert found == pytest.approx(psr, abs=5e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("law", ["normal", "t", "skewed"])
def test_parity_with_other_libraries(seed, law):
    rng = np.random.default_rng(seed)
    noise = {
        "normal": lambda: rng.normal(0, 1, 3000),
        "t": lambda: rng.standard_t(5, 3000),
        "skewed": lambda: rng.exponential(1, 3000) - 1,
    }[law]()
    r = 0.08 + noise
    n, variance = 25, 0.002
    ours = probabilistic_sharpe(moments(r), 0.03)
    assert ours == pytest.approx(purgedcv_psr(r, 0.03), abs=5e-4)
    assert ours == pytest.approx(skfolio_psr(r, benchmark_sharpe_ratio=0.03), abs=1e-9)
    dsr = deflated(r, context(n, variance, effective=1.0))
    # purgedcv divides by the population deviation, a difference of order 1 / T.
    assert dsr.value == pytest.approx(purgedcv_dsr(r, n, variance), abs=5e-4)
    trials = rng.normal(0, 1, n)
    trials = trials / trials.std(ddof=1) * math.sqrt(variance)
    theirs = skfolio_dsr(r, trials)
    assert dsr.value == pytest.approx(theirs, abs=1e-7)


class TestBenchmark:
    def test_one_trial_is_not_deflated(self):
        assert benchmark_sharpe(context(1, variance=9.0), 500) == 0.0
        r = np.random.default_rng(0).normal(0.05, 1, 500)
        assert deflated(r, context(1)).value == probabilistic_sharpe(moments(r))

    def test_the_stricter_of_two_counts(self):
        counted = expected_max_sharpe(100, 0.01)
        assert benchmark_sharpe(context(100, 0.01, effective=5.0), 500) == counted
        noise = expected_max_sharpe(80.0, 1 / 500)
        assert benchmark_sharpe(context(100, 1e-6, effective=80.0), 500) == noise
        assert noise > expected_max_sharpe(100, 1e-6)

    def test_unknown_variance_still_deflates(self):
        found = benchmark_sharpe(context(10, math.nan, effective=10.0), 400)
        assert found == expected_max_sharpe(10.0, 1 / 400) > 0

    def test_more_trials_are_stricter(self):
        found = [expected_max_sharpe(n, 0.01) for n in (1, 2, 5, 10, 100, 1000)]
        assert found == sorted(found)
        assert found[0] == 0.0

    @pytest.mark.parametrize("n", [0.0, 1.0, 1.0001, 1.1, 1.5])
    def test_hardly_more_than_one_trial_never_lowers_the_bar(self, n):
        assert expected_max_sharpe(n, 0.01) >= 0.0

    def test_the_maximum_of_normals(self):
        rng = np.random.default_rng(1)
        best = rng.normal(0, 0.1, (4000, 50)).max(axis=1).mean()
        assert expected_max_sharpe(50, 0.01) == pytest.approx(best, rel=0.02)


def test_best_of_many_noise_trials_is_not_passed():
    """The point of it all: counting trials stops luck, not counting them lets it through."""
    rng = np.random.default_rng(2)
    plain = counted = 0
    for _ in range(60):
        r = rng.standard_t(5, (100, 250))
        sharpes = r.mean(axis=1) / r.std(axis=1, ddof=1)
        best = r[int(np.argmax(sharpes))]
        variance = float(np.var(sharpes, ddof=1))
        plain += deflated(best, context(1)).value >= 0.95
        counted += deflated(best, context(100, variance, 100.0)).value >= 0.95
    assert plain >= 55
    assert counted <= 1


class TestNoTrialLowersTheBar:
    DAYS = range(300)

    def others(self, results) -> list[Trial]:
        days = DaysTested(days={"ES": self.DAYS}).payload()
        return [
            Trial(trial_id=str(i), identity=str(i), opened=days, opened_seq=i, closed={
                "days": list(self.DAYS), "daily_r": r.tolist(), "sharpe": daily_sharpe(r)})
            for i, r in enumerate(results)
        ]  # fmt: skip

    def bar(self, results) -> float:
        found = context_of(self.others(results), since="", effective=effective_trials)
        return benchmark_sharpe(found, len(self.DAYS))

    def tries(self, n, seed=5):
        return list(np.random.default_rng(seed).normal(0.05, 1.0, (n, len(self.DAYS))))

    @pytest.mark.parametrize("nearly", [0.0, 0.05], ids=["equal", "nearly equal"])
    def test_copies_of_a_trial_do_not_raise_the_deflated_sharpe(self, nearly):
        tries, rng = self.tries(6), np.random.default_rng(1)
        candidate = np.random.default_rng(7).normal(0.2, 1.0, len(self.DAYS))
        copies = [tries[2] + nearly * rng.normal(size=len(self.DAYS)) for _ in range(40)]
        known = [
            context_of(self.others(results), since="", effective=effective_trials)
            for results in (tries, tries + copies)
        ]
        before, after = (deflated(candidate, trial).value for trial in known)
        assert 0.05 < before < 0.95
        assert after <= before
        assert known[1].n_trials == 47
        assert known[1].sharpe_variance == pytest.approx(known[0].sharpe_variance)
        assert known[1].effective_n == pytest.approx(known[0].effective_n)

    def test_trials_without_a_trade_are_copies_of_one_another(self):
        flat = [np.zeros(len(self.DAYS)) for _ in range(30)]
        found = context_of(self.others([*self.tries(3), *flat]), since="",
                           effective=effective_trials)  # fmt: skip
        assert found.effective_n < 3 + 1 + 1 + 0.1

    @pytest.mark.parametrize("seed", range(5))
    def test_whatever_is_tried_next_the_bar_stays_or_rises(self, seed):
        rng = np.random.default_rng(seed)
        results = [rng.choice([-2.0, 2.0]) + r for r in self.tries(2, seed)]  # far apart at first
        bars = [self.bar(results)]
        for _ in range(25):
            kind = rng.integers(3)
            base = results[rng.integers(len(results))]
            noise = rng.normal(0, 1, len(self.DAYS))
            results.append([base, 0.9 * base + 0.4 * noise, noise][kind])
            bars.append(self.bar(results))
        assert (np.diff(bars) >= 0).all()

    def test_what_was_known_earlier_is_kept_where_it_asks_for_more(self):
        far = [r + shift for r, shift in zip(self.tries(2), (-3.0, 3.0), strict=True)]
        found = context_of(self.others(far + self.tries(30)), since="", effective=effective_trials)
        assert len(found.earlier) > 0
        alone = replace(found, earlier=())
        assert benchmark_sharpe(found, 300) > benchmark_sharpe(alone, 300)


class TestDegenerate:
    @pytest.mark.parametrize("r", [[], [1.0], [0.2] * 50, [0.0] * 50, [1e9] * 5])
    def test_no_ratio(self, r):
        found = deflated(np.array(r, float), context(5, 0.01))
        assert math.isnan(found.value)
        assert math.isnan(found.moments.sharpe)

    def test_moments_are_the_plain_ones(self):
        found = moments(np.random.default_rng(0).normal(0, 1, 200_000))
        assert found.kurtosis == pytest.approx(3.0, abs=0.05)
        assert found.skew == pytest.approx(0.0, abs=0.02)

    def test_spread_is_never_negative(self):
        r = np.array([-1.0] * 2 + [50.0])
        assert moments(r).se > 0


class TestEffectiveTrials:
    def test_independent_and_identical(self):
        assert effective_trials(np.eye(7)).tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert effective_trials(np.ones((7, 7))) == pytest.approx(np.ones(7))
        assert effective_trials(np.zeros((0, 0))).tolist() == []

    def test_two_families(self):
        block = np.kron(np.eye(2), np.ones((5, 5)))
        found = effective_trials(block)
        assert found[-1] == pytest.approx(2.0)
        for size in range(1, 11):
            part = block[:size, :size]
            assert found[size - 1] == pytest.approx(size**2 / np.sum(np.linalg.eigvalsh(part) ** 2))

    def test_unknown_counts_as_independent(self):
        unknown = np.full((3, 3), np.nan)
        assert effective_trials(unknown)[-1] == 3.0

    def test_the_input_is_left_alone(self):
        given = np.zeros((3, 3))
        effective_trials(given)
        assert (given == 0).all()
