"""Totals of days against a plain loop, and the band of an equity curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.records import Trades
from ffm_core.ruler.bootstrap import day_sums, equity_band


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
