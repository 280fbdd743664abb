"""Stationary block bootstrap over trading days, paired across arms.

A day carries all trades of all streams, so trades that move together stay
together; blocks of a mean of five days keep what carries over from day to day.
Every arm is resampled with the same days, which makes differences sharp. The
statistic is mean R per trade: ``Σ R·w / Σ w`` over the resampled days.

Source: Politis and Romano (1994), The Stationary Bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.jit import kernel
from ffm_core.keyed import keyed
from ffm_core.records import Trades
from ffm_core.statistics import next_day
from ffm_core.types import Float64, Int32

_CHUNK = 256  # resamples drawn at once, to bound memory; draws do not depend on it


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

    ``low``, ``high`` and ``se`` are NaN where they cannot be computed.
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


@kernel
def _resample(
    table: Float64, draws: Float64, chance: float, out: Float64
) -> None:  # pragma: no cover - compiled
    """Fill ``out`` (A, b) with mean R per arm; ``table`` (D, 2A) alternates total and weight.

    One uniform draw per day serves twice: below ``chance`` a new block begins,
    and the same draw, stretched to [0, 1), says where.
    """
    n_days, width = table.shape
    n_arms = width // 2
    sums = np.zeros(width)
    for b in range(draws.shape[0]):
        sums[:] = 0.0
        place = 0
        for i in range(n_days):
            draw = draws[b, i] if i == 0 else draws[b, i] / chance
            place = next_day(place, draw, n_days)
            for k in range(width):
                sums[k] += table[place, k]
        for a in range(n_arms):
            weight = sums[2 * a + 1]
            out[a, b] = sums[2 * a] / weight if weight > 0.0 else np.nan


def resample_means(
    arms: Sequence[DaySums],
    *,
    resamples: int = 2000,
    block_days: float = 5.0,
    seed: int = 0,
) -> Float64:
    """Return resampled means of R, the same days for every arm.

    Parameters
    ----------
    arms : sequence of DaySums, length A
        Arms on one grid of D days.
    resamples : int
        Number of resamples B.
    block_days : float
        Mean block length in trading days; blocks wrap round the end.
    seed : int
        Draws depend on it and on D alone, so two calls with the same grid use
        the same days.

    Returns
    -------
    float64 (A, B)
        NaN where a resample holds no trade of the arm.
    """
    n_days = len(arms[0].total)
    out = np.full((len(arms), resamples), np.nan)
    if n_days == 0:
        return out
    columns = [part for arm in arms for part in (arm.total, arm.weight)]
    table = np.ascontiguousarray(np.column_stack(columns))
    rng = keyed(seed, "bootstrap", n_days)
    chance = 1.0 / block_days
    for first in range(0, resamples, _CHUNK):
        draws = rng.random((min(_CHUNK, resamples - first), n_days))
        part = np.empty((len(arms), len(draws)))
        _resample(table, draws, chance, part)
        out[:, first : first + len(draws)] = part
    return out


def summarise(value: float, samples: Float64, *, level: float = 0.95) -> Estimate:
    """Return value, percentile interval and standard error from resamples (B,).

    Resamples without a trade are left out; fewer than half usable ones give no
    interval at all.
    """
    usable = samples[np.isfinite(samples)]
    if not np.isfinite(value) or len(usable) < 2 or 2 * len(usable) < len(samples):
        return Estimate(value=value, low=np.nan, high=np.nan, se=np.nan)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(usable, (tail, 1.0 - tail))
    se = float(np.std(usable, ddof=1))
    return Estimate(value=value, low=float(low), high=float(high), se=se)


def mean_estimate(
    arm: DaySums,
    *,
    resamples: int = 2000,
    block_days: float = 5.0,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean R per trade of one arm with its interval."""
    samples = resample_means([arm], resamples=resamples, block_days=block_days, seed=seed)
    return summarise(arm.mean, samples[0], level=level)


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
