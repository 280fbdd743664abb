"""Totals of trading days: what an arm earned each day, and how far its equity could stray.

A day carries all trades of all streams, so trades that move together stay
together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ffm_core.keyed import keyed
from ffm_core.records import Trades
from ffm_core.types import Float64, Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """Per-day totals of one arm: ``total`` Σ R·w and ``weight`` Σ w, both (D,)."""

    total: Float64
    weight: Float64

    @property
    def mean(self) -> float:
        """Mean R per trade, NaN without a trade."""
        weight = float(self.weight.sum())
        return float(self.total.sum()) / weight if weight > 0 else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean or a difference of means in R, with its 95 % interval and standard error.

    ``se`` is that of a normal interval of the same width. ``low``, ``high`` and ``se`` are NaN
    where they cannot be computed.
    """

    value: float
    low: float
    high: float
    se: float


def day_sums(trades: Trades, days: Int32) -> DaySums:
    """Total net R and weight per day of the grid.

    Parameters
    ----------
    trades : Trades
        Trades of one arm; every ``day`` lies in ``days``.
    days : int32 (D,)
        Ascending grid of trading days, empty ones too.

    Raises
    ------
    ValueError
        When a trade lies outside the grid or its R or weight is not finite.
    """
    place = np.searchsorted(days, trades.day)
    inside = place < len(days)
    if not inside.all() or (len(trades) and (days[place] != trades.day).any()):
        raise ValueError("a trade lies on a day outside the grid of test days")
    if not (np.isfinite(trades.r_net).all() and np.isfinite(trades.weight).all()):
        raise ValueError("a trade has no finite R or weight; void decisions must not be traded")
    size = len(days)
    total = np.bincount(place, weights=trades.r_net * trades.weight, minlength=size)
    weight = np.bincount(place, weights=trades.weight, minlength=size)
    return DaySums(total=total.astype(np.float64), weight=weight.astype(np.float64))


def equity_band(
    daily_r: Float64,
    *,
    resamples: int = 500,
    block_days: float = 5.0,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Float64, Float64]:
    """Pointwise band of the cumulative R curve under resampled days.

    Parameters
    ----------
    daily_r : float64 (D,)
        Total R per trading day, 0 on empty days.

    Returns
    -------
    low, high : float64 (D,)
        Quantiles of cumulative R at each day over the resampled histories.
    """
    n_days = len(daily_r)
    if n_days == 0:
        return np.empty(0), np.empty(0)
    draws = keyed(seed, "equity band", n_days).random((resamples, n_days))
    draws[:, 1:] *= block_days  # below 1: a new block, at that share of the days
    starts = np.minimum((draws * n_days).astype(np.int64), n_days - 1)
    steps = np.arange(n_days)
    opened = np.maximum.accumulate(np.where(draws < 1.0, steps, 0), axis=1)
    place = (np.take_along_axis(starts, opened, axis=1) + steps - opened) % n_days
    paths = np.cumsum(daily_r[place], axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(paths, (tail, 1.0 - tail), axis=0)
    return low, high
