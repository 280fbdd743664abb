"""The bootstrap against arch, against theory, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.keyed import keyed
from ffm_core.records import Trades
from ffm_core.ruler.bootstrap import (
    DaySums,
    day_sums,
    equity_band,
    mean_estimate,
    resample_means,
    summarise,
)


def make_trades(day, r, weight=None) -> Trades:
    n = len(day)
    r = np.asarray(r, float)
    zero = np.zeros(n)
    return Trades(
        row=np.arange(n), day=np.asarray(day, np.int32), stream=np.zeros(n, np.int16),
        side=np.ones(n, np.int8), quantity=np.ones(n), t_entry=np.arange(n),
        t_exit=np.arange(n) + 1, entry_price=zero, exit_price=zero, risk=np.ones(n),
        point_value=np.ones(n), currency=np.full(n, "USD"), r_net=r, r_gross=r,
        worst_r=zero, best_r=zero,
        weight=np.ones(n) if weight is None else np.asarray(weight, float),
    )  # fmt: skip


def random_arm(seed: int, n_days: int = 300, phi: float = 0.0) -> DaySums:
    rng = np.random.default_rng(seed)
    weight = rng.poisson(3.0, n_days).astype(float)
    noise = rng.normal(0, 1, n_days)
    for i in range(1, n_days):
        noise[i] += phi * noise[i - 1]
    return DaySums(total=weight * (0.1 + noise), weight=weight)


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_distribution_matches_arch(phi):
    arm = random_arm(1, phi=phi)
    ours = resample_means([arm], resamples=4000, seed=3)[0]
    theirs_maker = StationaryBootstrap(5, arm.total, arm.weight, seed=7)
    theirs = theirs_maker.apply(lambda r, w: r.sum() / w.sum(), 4000)[:, 0]
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.06)
    spread = np.std(theirs)
    for q in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.quantile(ours, q) == pytest.approx(np.quantile(theirs, q), abs=0.12 * spread)


def test_longer_blocks_matter_for_dependent_days():
    arm = random_arm(2, n_days=800, phi=0.8)
    short = mean_estimate(arm, block_days=1.0)
    long = mean_estimate(arm, block_days=10.0)
    assert long.se > 1.5 * short.se


def test_standard_error_of_independent_days_matches_theory():
    rng = np.random.default_rng(5)
    arm = DaySums(total=rng.normal(0.2, 1.0, 500), weight=np.ones(500))
    found = mean_estimate(arm, block_days=1.0, resamples=4000)
    assert found.se == pytest.approx(np.std(arm.total) / np.sqrt(500), rel=0.05)
    assert found.value == pytest.approx(arm.total.mean())
    assert (found.low + found.high) / 2 == pytest.approx(found.value, abs=0.1 * found.se)


def test_clusters_of_a_day_stay_together():
    rng = np.random.default_rng(6)
    days = np.repeat(np.arange(200), 10)
    together = make_trades(days, np.repeat(rng.normal(0, 1, 200), 10))
    apart = make_trades(days, rng.normal(0, 1, 2000))
    grid = np.arange(200, dtype=np.int32)
    assert (
        mean_estimate(day_sums(together, grid)).se > 2.5 * mean_estimate(day_sums(apart, grid)).se
    )


def test_pairing_makes_a_difference_sharp():
    arm = random_arm(8)
    shifted = DaySums(total=arm.total + 0.1 * arm.weight, weight=arm.weight)
    samples = resample_means([shifted, arm])
    found = summarise(shifted.mean - arm.mean, samples[0] - samples[1])
    assert found.value == pytest.approx(0.1)
    assert found.se < 1e-12
    assert found.low == pytest.approx(0.1)


def test_same_seed_same_bytes_and_arms_do_not_disturb_one_another():
    a, b = random_arm(1), random_arm(2)
    both = resample_means([a, b], seed=4)
    assert (resample_means([a], seed=4)[0] == both[0]).all()
    assert (resample_means([b], seed=4)[0] == both[1]).all()
    assert (resample_means([a], seed=5)[0] != both[0]).any()
    assert (resample_means([a], resamples=100, seed=4)[0] == both[0][:100]).all()


def test_plain_python_reference():
    """The kernel sums what a slow walk over the same days sums."""
    arm = random_arm(9, n_days=23)
    draws = keyed(1, "bootstrap", 23).random((600, 23))
    ours = resample_means([arm], resamples=600, block_days=4.0, seed=1)[0]
    for b in (0, 1, 255, 256, 599):
        place, walk = 0, []
        for i, u in enumerate(draws[b]):
            if i == 0:
                place = int(u * 23)
            elif u < 0.25:
                place = int(u / 0.25 * 23)
            else:
                place = (place + 1) % 23
            walk.append(place)
        assert ours[b] == pytest.approx(arm.total[walk].sum() / arm.weight[walk].sum())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-3, 3), st.floats(0.01, 2)), max_size=40))
def test_day_sums_match_a_plain_loop(rows):
    rows.sort()
    trades = make_trades([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    sums = day_sums(trades, np.arange(10, dtype=np.int32))
    for day in range(10):
        assert sums.total[day] == pytest.approx(sum(r * w for d, r, w in rows if d == day))
        assert sums.weight[day] == pytest.approx(sum(w for d, _, w in rows if d == day))


class TestEdges:
    def test_a_trade_outside_the_grid_is_a_bug(self):
        with pytest.raises(ValueError, match="outside the grid"):
            day_sums(make_trades([5], [1.0]), np.array([1, 2, 3], np.int32))
        with pytest.raises(ValueError, match="outside the grid"):
            day_sums(make_trades([2], [1.0]), np.array([1, 3], np.int32))

    def test_nan_r_is_a_bug(self):
        with pytest.raises(ValueError, match="finite"):
            day_sums(make_trades([1], [np.nan]), np.array([1], np.int32))

    def test_no_trade_no_interval(self):
        found = mean_estimate(day_sums(make_trades([], []), np.arange(50, dtype=np.int32)))
        assert np.isnan([found.value, found.low, found.high, found.se]).all()

    def test_no_day(self):
        found = mean_estimate(day_sums(make_trades([], []), np.array([], np.int32)))
        assert np.isnan(found.value)

    def test_mostly_empty_resamples_give_no_interval(self):
        sums = day_sums(make_trades([0], [1.0]), np.arange(400, dtype=np.int32))
        samples = resample_means([sums], block_days=400.0)[0]
        assert np.isnan(samples).any()
        found = summarise(1.0, np.where(np.arange(2000) < 1200, np.nan, samples))
        assert np.isnan(found.low)


def test_equity_band_holds_the_curve_and_widens():
    rng = np.random.default_rng(3)
    daily = rng.normal(0.1, 1, 250)
    low, high = equity_band(daily)
    assert low.shape == high.shape == (250,)
    assert high[-1] - low[-1] > 3 * (high[5] - low[5])
    assert low[-1] < daily.sum() < high[-1]
    end = np.array([equity_band(daily, resamples=400, seed=s)[0][-1] for s in range(3)])
    assert np.ptp(end) > 0  # the seed matters
    assert equity_band(np.empty(0))[0].shape == (0,)
