from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffm_core.ruler.bootstrap import day_sums
from ffm_core.ruler.intervals import mean_estimate
from ffm_core.ruler.metrics import (
    cumulative,
    daily_sharpe,
    max_drawdown,
    mean_of_middle,
    mean_without_best,
    profit_factor,
    summarise_arm,
    weighted_median,
)

finite = st.lists(st.floats(-10, 10), min_size=1, max_size=60)


def one(n: int) -> np.ndarray:
    return np.ones(n)


class TestProfitFactor:
    @pytest.mark.parametrize(
        ("r", "expected"),
        [([], 0.0), ([1.0, 2.0], math.inf), ([-1.0], 0.0), ([0.0], 0.0), ([3.0, -1.0, -1.0], 1.5)],
    )
    def test_cases(self, r, expected):
        assert profit_factor(np.array(r, float)) == expected

    def test_weights(self):
        assert profit_factor(np.array([3.0, -1.0]), np.array([1.0, 2.0])) == 1.5


class TestDrawdown:
    @pytest.mark.parametrize(
        ("r", "expected"),
        [([-2.0, 1.0], 2.0), ([1.0, 1.0], 0.0), ([3.0, -1.0, -1.0, 5.0, -0.5], 2.0), ([], 0.0)],
    )
    def test_the_start_counts_as_a_peak(self, r, expected):
        assert max_drawdown(np.array(r, float)) == expected

    @given(finite)
    def test_matches_pandas(self, values):
        curve = pd.concat([pd.Series([0.0]), pd.Series(values).cumsum()], ignore_index=True)
        assert max_drawdown(np.array(values)) == pytest.approx((curve.cummax() - curve).max())


class TestRatios:
    VECTOR = np.array([0.01, -0.02, 0.03, -0.01, 0.0])

    def test_sharpe(self):
        expected = pd.Series(self.VECTOR).mean() / pd.Series(self.VECTOR).std()
        assert daily_sharpe(self.VECTOR) == pytest.approx(expected)
        assert daily_sharpe(np.zeros(9)) == 0.0
        assert daily_sharpe(np.array([1.0])) == 0.0


class TestMedianAndTrimming:
    @given(finite)
    def test_equal_weights_give_the_plain_median(self, values):
        r = np.array(values)
        assert weighted_median(r, one(len(r))) == pytest.approx(np.median(r))
        assert weighted_median(r, np.full(len(r), 0.05)) == pytest.approx(np.median(r))

    def test_weights_count(self):
        assert weighted_median(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 5.0])) == 3.0
        assert math.isnan(weighted_median(np.empty(0), np.empty(0)))

    def test_best_trades_are_removed(self):
        r = np.concatenate([np.full(99, -1.0), [200.0]])
        assert r.mean() > 1
        assert mean_without_best(r, one(100), 0.01) == -1.0

    def test_part_of_a_trade(self):
        r = np.array([4.0, 0.0])
        assert mean_without_best(r, one(2), 0.25) == pytest.approx(2.0 / 1.5)

    def test_splitting_weights_changes_nothing(self):
        r = np.array([5.0, 1.0, -2.0, 0.5])
        a = mean_without_best(r, one(4), 0.3)
        b = mean_without_best(np.repeat(r, 20), np.full(80, 0.05), 0.3)
        assert a == pytest.approx(b)
        assert math.isnan(mean_without_best(np.empty(0), np.empty(0), 0.01))


class TestSummary:
    DAYS = np.arange(100, 140, dtype=np.int32)
    MONTHS = np.repeat(np.array([24000, 24001], np.int32), 20)

    def test_figures_of_a_small_arm(self, trades):
        arm = trades([100, 100, 105, 125, 126], [3.0, -1.0, -1.0, -1.0, 0.0])
        found = summarise_arm(arm, self.DAYS, self.MONTHS)
        assert found.n_trades == 5
        assert found.mean_r == 0.0
        assert found.median_r == -1.0
        assert found.profit_factor == 1.0
        assert found.win_rate == pytest.approx(0.2)  # a zero is no win
        assert found.total_r == 0.0
        assert found.max_drawdown_r == 2.0
        assert (found.n_days, found.positive_months, found.n_months) == (4, 1, 2)
        assert found.top1_removed_mean_r < 0
        assert np.isnan(found.mean_interval).all()  # four days tell nothing

    def test_the_interval_is_the_one_that_judges(self, trades):
        arm = trades(np.tile(self.DAYS, 3), np.random.default_rng(0).normal(0.2, 1.0, 120))
        found = mean_estimate(day_sums(arm, self.DAYS))
        assert summarise_arm(arm, self.DAYS, self.MONTHS).mean_interval == (found.low, found.high)

    def test_averaged_draws_count_like_one(self, trades):
        rng = np.random.default_rng(0)
        day, r = rng.integers(100, 140, 60), rng.choice([3.0, -1.0], 60)
        plain = summarise_arm(trades(day, r), self.DAYS, self.MONTHS).record()
        twenty = trades(np.tile(day, 20), np.tile(r, 20), weight=np.full(1200, 0.05))
        averaged = summarise_arm(twenty, self.DAYS, self.MONTHS).record()
        assert averaged.pop("mean_interval") == pytest.approx(plain.pop("mean_interval"))
        assert averaged == pytest.approx(plain)
        assert type(averaged["n_trades"]) is int

    def test_no_trade_is_null_not_a_number(self, trades):
        record = summarise_arm(trades([], []), self.DAYS, self.MONTHS).record()
        assert record["n_trades"] == record["n_days"] == record["positive_months"] == 0
        assert record["mean_r"] is record["median_r"] is record["win_rate"] is None
        assert record["mean_interval"] == [None, None]
        json.dumps(record, allow_nan=False)

    def test_no_loss_has_no_profit_factor(self, trades):
        record = summarise_arm(trades([100], [1.0]), self.DAYS, self.MONTHS).record()
        assert record["profit_factor"] is None

    def test_keys_of_the_run_record(self, trades):
        record = summarise_arm(trades([100], [1.0]), self.DAYS, self.MONTHS).record()
        assert set(record) == {
            "n_trades", "mean_r", "mean_interval", "median_r", "profit_factor", "win_rate",
            "total_r", "max_drawdown_r", "n_days", "sharpe_daily", "positive_months", "n_months",
            "top1_removed_mean_r", "top5_removed_mean_r",
        }  # fmt: skip


def test_cumulative(trades):
    sums = day_sums(trades([1, 3], [1.0, -2.0]), np.array([1, 2, 3], np.int32))
    assert cumulative(sums).tolist() == [1.0, 1.0, -1.0]


def test_the_mean_of_the_middle_leaves_out_both_ends_by_weight():
    values = np.array([-50.0, 1.0, 1.0, 3.0, 90.0])
    assert mean_of_middle(values, np.ones(5), 0.2) == pytest.approx(5 / 3)
    assert mean_of_middle(values, np.ones(5), 0.0) == pytest.approx(values.mean())
    assert mean_of_middle(values[:4], np.ones(4), 0.125) == pytest.approx((-25 + 1 + 1 + 1.5) / 3)
    assert math.isnan(mean_of_middle(values[:0], np.ones(0), 0.01))
