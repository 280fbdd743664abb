"""Intervals against published tables, against other libraries, and against the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from arch.bootstrap import StationaryBootstrap

from benchmarks import coverage
from ffm_core.keyed import keyed
from ffm_core.ruler.bootstrap import DaySums
from ffm_core.ruler.intervals import (
    SAMPLING,
    critical_value,
    day_draws,
    difference_estimate,
    influence,
    lag_of,
    mean_block,
    mean_estimate,
    outer_ends,
    standard_error,
)


def random_arm(seed: int, n_days: int = 300, phi: float = 0.0) -> DaySums:
    rng = np.random.default_rng(seed)
    weight = rng.poisson(3.0, n_days).astype(float)
    noise = rng.normal(0, 1, n_days)
    for i in range(1, n_days):
        noise[i] += phi * noise[i - 1]
    return DaySums(total=weight * (0.1 + noise), weight=weight)


def days_of(totals, weight=None) -> DaySums:
    totals = np.asarray(totals, float)
    return DaySums(total=totals, weight=np.ones(len(totals)) if weight is None else weight)


class TestCriticalValues:
    @pytest.mark.parametrize(
        ("level", "at_a_tenth", "at_one"),
        # Kiefer and Vogelsang (2005), Bartlett: normal value, c1, c2 and c3 of table 1 added up.
        [(0.80, 1.4168, 2.7605), (0.90, 1.8663, 3.8023), (0.95, 2.2606, 4.8130),
         (0.98, 2.7470, 6.1189)],
    )  # fmt: skip
    def test_published_ones(self, level, at_a_tenth, at_one):
        assert critical_value(0.1, level) == pytest.approx(at_a_tenth, abs=2e-3)
        assert critical_value(1.0, level) == pytest.approx(at_one, abs=2e-3)

    @pytest.mark.parametrize("level", [0.80, 0.90, 0.95, 0.98, 0.99])
    @pytest.mark.parametrize("lag", [20, 80])
    def test_simulated_ones(self, level, lag):
        rng, n = np.random.default_rng(1), 400
        t = [abs(x.mean()) / standard_error(x, lag) for x in rng.normal(size=(6000, n))]
        assert critical_value(lag / n, level) == pytest.approx(np.quantile(t, level), rel=0.05)

    def test_no_lag_is_the_normal_value_and_more_is_wider(self):
        assert critical_value(0.0, 0.95) == pytest.approx(1.95996, abs=1e-4)
        for level in (0.80, 0.85, 0.93, 0.97, 0.99):
            found = [critical_value(b, level) for b in np.linspace(0, 1, 11)]
            assert found == sorted(found)


class TestStandardError:
    @pytest.mark.parametrize("lag", [1, 2, 7, 30])
    def test_agrees_with_statsmodels(self, lag):
        x = random_arm(3, phi=0.6).total
        model = sm.OLS(x, np.ones(len(x))).fit(
            cov_type="HAC", cov_kwds={"maxlags": lag - 1, "use_correction": False}
        )
        assert standard_error(x, lag) == pytest.approx(float(model.bse[0]), rel=1e-10)

    def test_plain_sum_of_weighted_covariances(self):
        x = random_arm(4, n_days=50).total
        off, lag = x - x.mean(), 6
        total = off @ off + 2 * sum((1 - k / lag) * (off[k:] @ off[:-k]) for k in range(1, lag))
        assert standard_error(x, lag) == pytest.approx(math.sqrt(total) / 50)


class TestBootstrap:
    def test_plain_python_reference(self):
        """The kernel's t are those of a slow walk over the same days."""
        arm = random_arm(9, n_days=23)
        off, block, lag = influence(arm), 4.0, 5
        draws = keyed(1, "bootstrap", 23).random((600, 23))
        t = []
        for row in draws:
            place, walk = 0, []
            for i, u in enumerate(row):
                if i == 0:
                    place = int(u * 23)
                elif u < 0.25:
                    place = int(u / 0.25 * 23)
                else:
                    place = (place + 1) % 23
                walk.append(place)
            t.append(off[walk].mean() / standard_error(off[walk], lag))
        t, se = np.sort(t), standard_error(off, lag)
        found = outer_ends(off, day_draws(23, 600, 1), block=block, lag=lag, level=0.95)
        fixed = critical_value(lag / 23, 0.95)
        assert found == pytest.approx((-max(t[585], fixed) * se, -min(t[14], -fixed) * se))

    @pytest.mark.parametrize("phi", [0.0, 0.5])
    def test_its_t_has_the_law_that_arch_draws(self, phi):
        """With a level of which the fixed-b value lies inside, both ends are the bootstrap's."""
        arm = random_arm(1, n_days=120, phi=phi)
        arm = DaySums(total=np.where(arm.total > 4.0, 30.0, arm.total), weight=arm.weight)
        off, lag = influence(arm), 14
        found = outer_ends(off, day_draws(120, 4000, 3), block=10.0, lag=lag, level=0.95)
        theirs = StationaryBootstrap(10, off, seed=7).apply(
            lambda x: np.array([x.mean() / standard_error(np.ascontiguousarray(x), lag)]), 4000
        )[:, 0]
        se, fixed = standard_error(off, lag), critical_value(lag / 120, 0.95)
        high, low = np.quantile(theirs, (0.975, 0.025))
        assert found[0] / se == pytest.approx(-max(high, fixed), rel=0.08)
        assert found[1] / se == pytest.approx(-min(low, -fixed), rel=0.08)

    def test_lengths_of_blocks_and_lags(self):
        assert [mean_block(n, 10.0) for n in (5, 60, 126, 440)] == [1.0, 6.0, 10.0, 10.0]
        assert [lag_of(n, 1.3) for n in (1, 60, 126, 440)] == [1, 10, 15, 27]


class TestEstimates:
    def test_a_mean_of_independent_days_is_near_theory(self):
        rng = np.random.default_rng(5)
        found = mean_estimate(days_of(rng.normal(0.2, 1.0, 500)))
        assert found.se == pytest.approx(1 / math.sqrt(500), rel=0.35)
        assert found.low < found.value < found.high
        assert (found.high - found.low) / (2 * 1.96) == pytest.approx(found.se, rel=1e-3)

    def test_dependent_days_tell_less(self):
        dependent, independent = (random_arm(2, n_days=800, phi=phi) for phi in (0.8, 0.0))
        scale = dependent.total.std() / independent.total.std()
        assert mean_estimate(dependent).se > 1.4 * scale * mean_estimate(independent).se

    def test_trades_of_a_day_stay_together(self):
        rng = np.random.default_rng(6)
        together = days_of(10 * rng.normal(size=200), np.full(200, 10.0))
        apart = days_of(rng.normal(size=(200, 10)).sum(axis=1), np.full(200, 10.0))
        assert mean_estimate(together).se > 2.5 * mean_estimate(apart).se

    def test_pairing_makes_a_difference_sharp(self):
        arm = random_arm(8)
        shifted = DaySums(total=arm.total + 0.1 * arm.weight, weight=arm.weight)
        found = difference_estimate(shifted, arm)
        assert found.value == pytest.approx(0.1)
        assert (found.low, found.high, found.se) == (found.value, found.value, 0.0)
        both = difference_estimate(arm, random_arm(9))
        assert both.se > 0.5 * mean_estimate(arm).se

    def test_rare_wins_reach_further_up(self):
        ratios = []
        for seed in range(20):
            arm, _ = coverage.draw(case_of("rare"), 60, np.random.default_rng(seed))
            found = mean_estimate(arm)
            ratios.append((found.high - found.value) / (found.value - found.low))
        assert np.median(ratios) > 1.2
        assert min(ratios) > 0.99

    def test_a_single_large_win_says_nothing(self):
        """Most resamples without it hold one kind of day alone: no end can be told."""
        r = np.full(60, -1.0)
        r[7] = 40.0
        found = mean_estimate(days_of(r))
        assert found.value == pytest.approx(-19 / 60)
        assert np.isnan([found.low, found.high, found.se]).all()

    def test_same_seed_same_bytes(self):
        arm = random_arm(1)
        assert mean_estimate(arm, seed=4) == mean_estimate(arm, seed=4)
        assert mean_estimate(arm, seed=4) != mean_estimate(arm, seed=5)

    def test_scale_does_not_matter(self):
        arm = random_arm(1)
        large = DaySums(total=arm.total * 1e9, weight=arm.weight)
        one, other = mean_estimate(arm), mean_estimate(large)
        assert other.low == pytest.approx(1e9 * one.low, rel=1e-9)

    @pytest.mark.parametrize("days", [0, 1, 19])
    def test_too_few_days_have_no_interval(self, days):
        totals = np.random.default_rng(0).normal(size=days)
        found = mean_estimate(days_of(np.append(totals, np.zeros(30)),
                                      np.append(np.ones(days), np.zeros(30))))  # fmt: skip
        assert np.isnan([found.low, found.high, found.se]).all()

    def test_no_day(self):
        assert np.isnan(mean_estimate(days_of([])).value)


# A dozen seconds of the table in docs/reference/validation.md; the whole of it is made by
# python -m benchmarks.coverage.
REDUCED = [("independent", 60), ("dependent-0.6", 60), ("dependent-0.6", 126), ("rare", 60),
           ("rare", 126), ("picks", 60), ("entries", 60), ("gap", 60)]  # fmt: skip
SIMS = 600


def case_of(name):
    return next(case for case in coverage.CASES if case.name == name)


class TestCoverage:
    @pytest.mark.parametrize(("name", "days"), REDUCED)
    def test_either_end_misses_as_rarely_as_promised(self, name, days):
        found = coverage.misses(case_of(name), days, SIMS, resamples=500)
        assert all(coverage.kept(share, days, SIMS) for share in found), found

    @pytest.mark.parametrize(("name", "days"), [("dependent-0.6", 60), ("rare", 60)])
    def test_the_plain_percentile_interval_does_not(self, name, days):
        found = coverage.misses(case_of(name), days, SIMS, coverage.percentile, resamples=500)
        assert not all(coverage.kept(share, days, SIMS) for share in found), found

    def test_what_is_promised_covers_what_a_verdict_prints(self):
        assert SAMPLING["level"] == 0.95
        assert {case.pair for case in coverage.CASES if case.held} == {
            "", "all", "entries", "another", "validation"}  # fmt: skip
