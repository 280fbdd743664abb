"""Figures of one arm, as the run record and the report show them.

All amounts are in R (multiples of the initial risk), net of costs. Drawdowns
are non-negative. Figures that do not exist are NaN, a profit factor without a
loss is infinite; the record writes both as null.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from ffm_core.records import Trades
from ffm_core.ruler.bootstrap import DaySums, day_sums
from ffm_core.ruler.intervals import SAMPLING, mean_estimate
from ffm_core.ruler.monthly import month_totals
from ffm_core.ruler.sharpe import moments
from ffm_core.types import Float64, Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """Figures of one arm over the test days.

    ``n_trades`` is a sum of weights, so an arm that averages draws counts like
    one draw. ``sharpe_daily`` is per day, not annualised, over all days
    including empty ones. ``n_months`` counts every test month.
    """

    n_trades: float
    mean_r: float
    mean_interval: tuple[float, float]
    median_r: float
    profit_factor: float
    win_rate: float
    total_r: float
    max_drawdown_r: float
    n_days: int  # days with at least one trade
    sharpe_daily: float
    positive_months: int
    n_months: int
    top1_removed_mean_r: float
    top5_removed_mean_r: float

    def record(self) -> dict[str, object]:
        """Return the entry of this arm in a run record; NaN and infinities become None."""
        out = {key: _plain(value) for key, value in asdict(self).items()}
        if abs(self.n_trades - round(self.n_trades)) < 1e-6:
            out["n_trades"] = round(self.n_trades)
        return out


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summarise_arm(
    trades: Trades, days: Int32, month_days: Int32, *, resamples: int = 2000, seed: int = 0
) -> ArmSummary:
    """Summarise the trades of one arm.

    Parameters
    ----------
    trades : Trades
        One arm, any order.
    days, month_days : int32 (D,)
        Every test day, and its month number.
    """
    sums = day_sums(trades, days)
    estimate = mean_estimate(sums, {**SAMPLING, "resamples": resamples}, seed=seed)
    r, weight = trades.r_net, trades.weight
    _, totals = month_totals(sums.total, month_days)
    return ArmSummary(
        n_trades=float(weight.sum()),
        mean_r=sums.mean,
        mean_interval=(estimate.low, estimate.high),
        median_r=weighted_median(r, weight),
        profit_factor=profit_factor(r, weight),
        win_rate=float(weight[r > 0].sum() / weight.sum()) if len(r) else math.nan,
        total_r=float(sums.total.sum()),
        max_drawdown_r=max_drawdown(sums.total),
        n_days=int(np.count_nonzero(sums.weight)),
        sharpe_daily=daily_sharpe(sums.total),
        positive_months=int((totals > 0).sum()),
        n_months=len(totals),
        top1_removed_mean_r=mean_without_best(r, weight, 0.01),
        top5_removed_mean_r=mean_without_best(r, weight, 0.05),
    )


def profit_factor(r: Float64, weight: Float64 | None = None) -> float:
    """Sum of wins over the absolute sum of losses; infinite without a loss, 0 without a win."""
    w = np.ones(len(r)) if weight is None else weight
    wins = float((r * w)[r > 0].sum())
    losses = float(-(r * w)[r < 0].sum())
    if losses > 0:
        return wins / losses
    return math.inf if wins > 0 else 0.0


def max_drawdown(daily_r: Float64) -> float:
    """Largest fall of cumulative R from its peak; the start, 0, counts as a peak."""
    curve = np.concatenate(([0.0], np.cumsum(daily_r)))
    return float(np.max(np.maximum.accumulate(curve) - curve))


def daily_sharpe(daily_r: Float64) -> float:
    """Mean over sample deviation of daily R, not annualised; 0 when it does not vary."""
    sharpe = moments(daily_r).sharpe
    return sharpe if math.isfinite(sharpe) else 0.0


def weighted_median(values: Float64, weight: Float64) -> float:
    """Middle value by weight; the mean of the two middle ones when they tie."""
    if len(values) == 0:
        return math.nan
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order])
    half = 0.5 * cumulative[-1]
    near = 1e-9 * cumulative[-1]
    low = int(np.searchsorted(cumulative, half - near))
    high = int(np.searchsorted(cumulative, half + near))
    return 0.5 * float(values[order[low]] + values[order[min(high, len(values) - 1)]])


def mean_without_best(values: Float64, weight: Float64, share: float) -> float:
    """Mean after removing the best ``share`` of trades by weight.

    A trade on the edge is removed in part, so 1 % of 150 trades is one and a half.
    """
    if len(values) == 0:
        return math.nan
    order = np.argsort(-values, kind="stable")
    total = float(weight.sum())
    gone = np.clip(share * total - (np.cumsum(weight[order]) - weight[order]), 0.0, weight[order])
    left = weight[order] - gone
    return float((values[order] * left).sum() / left.sum()) if left.sum() > 0 else math.nan


def mean_of_middle(values: Float64, weight: Float64, share: float) -> float:
    """Mean after removing the best and the worst ``share`` of trades by weight.

    A trade on the edge is removed in part, as by :func:`mean_without_best`.
    """
    if len(values) == 0:
        return math.nan
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order])
    low, high = share * upto[-1], (1.0 - share) * upto[-1]
    left = np.clip(upto, low, high) - np.clip(upto - weight[order], low, high)
    return float((values[order] * left).sum() / left.sum())


def cumulative(sums: DaySums) -> Float64:
    """Cumulative R per day of the grid, (D,)."""
    return np.cumsum(sums.total)
