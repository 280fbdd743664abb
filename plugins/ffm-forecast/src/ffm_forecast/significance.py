"""Intervals of shares, and whether one forecaster beats another by more than chance.

Sources: Wilson (1927); Diebold and Mariano (1995), with the correction of Harvey,
Leybourne and Newbold (1997), *International Journal of Forecasting* 13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ffm_core.types import Float64

Z95 = float(special.ndtri(0.975))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of ``n`` with its 95 % interval; NaN when there was nothing to count."""

    share: float
    low: float
    high: float
    n: int


def wilson(share: float, n: int) -> Share:
    """Return a share with Wilson's interval.

    Parameters
    ----------
    share : float
        From 0 to 1.
    n : int
        Independent trials behind it.
    """
    if n == 0:
        return Share(share=math.nan, low=math.nan, high=math.nan, n=0)
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Share(share=share, low=centre - half, high=centre + half, n=n)


def binomial(hits: int, n: int) -> Share:
    """Return a share with the interval ``± 1.96 √(p (1 − p) / n)``."""
    if n == 0:
        return Share(share=math.nan, low=math.nan, high=math.nan, n=0)
    share = hits / n
    half = Z95 * math.sqrt(share * (1 - share) / n)
    return Share(share=share, low=share - half, high=share + half, n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDifference:
    """Whether losses differ: below zero the first forecaster is better.

    NaN when the losses are the same everywhere or too few.
    """

    difference: float
    statistic: float
    p_value: float


def diebold_mariano(loss: Float64, other: Float64, *, lag: int = 0) -> MeanDifference:
    """Test whether two series of losses have the same mean.

    Parameters
    ----------
    loss, other : float64 (N,)
        Losses of the same windows in order of time.
    lag : int
        Windows whose targets overlap: horizon − 1 when every bar is an origin, 0 when
        targets do not meet.

    Returns
    -------
    MeanDifference
        Two-sided p-value of Student's t with N − 1 degrees. The variance counts
        autocovariances up to the lag with equal weights, or with falling ones
        (Bartlett) where equal ones leave no variance.
    """
    gap = np.asarray(loss) - np.asarray(other)
    n, mean = len(gap), float(gap.mean()) if len(gap) else math.nan
    if n <= lag + 2 or np.ptp(gap) == 0.0:
        return MeanDifference(difference=mean, statistic=math.nan, p_value=math.nan)
    off = gap - mean
    covariances = np.array([float(off[k:] @ off[: n - k]) / n for k in range(lag + 1)])
    flat = np.full(lag, 2.0)
    falling = 2.0 * (1.0 - np.arange(1, lag + 1) / (lag + 1))
    variance = covariances[0] + float(flat @ covariances[1:])
    if variance <= 0.0:
        variance = covariances[0] + float(falling @ covariances[1:])
    h = lag + 1
    correction = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = correction * mean / math.sqrt(variance / n)
    p_value = 2.0 * float(special.stdtr(n - 1, -abs(statistic)))
    return MeanDifference(difference=mean, statistic=statistic, p_value=p_value)
