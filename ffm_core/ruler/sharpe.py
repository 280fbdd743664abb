"""Sharpe ratios that know how short the record is and how many were tried.

Everything is per trading day, never annualised. Skewness and kurtosis are the
population moments, kurtosis plain (3 for a normal law); the Sharpe ratio uses
the sample deviation (``ddof=1``).

Source: Bailey and López de Prado (2012, 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ffm_core.records import Luck, TrialContext
from ffm_core.types import Float64

_NORMAL = NormalDist()
_EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What the deflated Sharpe ratio needs of a return series of length ``n``."""

    n: int
    sharpe: float
    skew: float
    kurtosis: float

    @property
    def se(self) -> float:
        """Standard error of the Sharpe ratio under these moments."""
        if self.n < 2 or not math.isfinite(self.sharpe):
            return math.nan
        return math.sqrt(self._spread / (self.n - 1))

    @property
    def _spread(self) -> float:
        spread = 1.0 - self.skew * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2
        return max(spread, 1e-12)  # never negative, since kurtosis ≥ 1 + skew²


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflated:
    """A deflated Sharpe ratio and what went into it."""

    value: float  # probability that the true Sharpe ratio exceeds ``benchmark``
    benchmark: float  # SR₀, the best of N skill-less trials
    moments: Moments


def moments(returns: Float64) -> Moments:
    """Return length, Sharpe ratio, skewness and kurtosis of a series (T,).

    A constant series, or one with fewer than two values, has no Sharpe ratio:
    the figures are NaN.
    """
    n = len(returns)
    centred = returns - returns.mean() if n else returns
    variance = float(np.mean(centred**2)) if n else 0.0
    if n < 2 or variance <= 1e-24 * max(1.0, float(np.max(np.abs(returns))) ** 2):
        return Moments(n=n, sharpe=math.nan, skew=math.nan, kurtosis=math.nan)
    sharpe = float(returns.mean() / returns.std(ddof=1))
    skew = float(np.mean(centred**3) / variance**1.5)
    kurtosis = float(np.mean(centred**4) / variance**2)
    return Moments(n=n, sharpe=sharpe, skew=skew, kurtosis=kurtosis)


def probabilistic_sharpe(of: Moments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark``, NaN without one."""
    if not math.isfinite(of.se):
        return math.nan
    return _NORMAL.cdf((of.sharpe - benchmark) / of.se)


def expected_max_sharpe(n_trials: float, variance: float) -> float:
    """Return the expected best Sharpe ratio of ``n_trials`` skill-less trials.

    Parameters
    ----------
    n_trials : float
        Number of trials; fractions are allowed. One trial or fewer gives 0.
    variance : float
        Variance of the trials' Sharpe ratios; NaN counts as 0.
    """
    if n_trials <= 1.0 or not variance > 0.0:
        return 0.0
    low = _NORMAL.inv_cdf(1.0 - 1.0 / n_trials)
    high = _NORMAL.inv_cdf(1.0 - 1.0 / (n_trials * math.e))
    return max(0.0, math.sqrt(variance) * ((1.0 - _EULER) * low + _EULER * high))


def benchmark_sharpe(trial: TrialContext, n_days: int) -> float:
    """Return SR₀ of a trial judged on ``n_days`` days.

    One trial has nothing to be deflated by. With more, the larger of two figures
    counts: all trials with their own variance, and the effective number of
    trials with at least the variance that noise alone would have. It is never less than
    after any earlier trial, so no trial can lower the bar.
    """
    if n_days < 1:
        return 0.0
    now = (float(trial.n_trials), trial.sharpe_variance, trial.effective_n)
    return max(_luck(step, n_days) for step in (now, *trial.earlier))


def _luck(step: Luck, n_days: int) -> float:
    n_trials, variance, effective = step
    if n_trials <= 1:
        return 0.0
    variance = variance if math.isfinite(variance) else 0.0
    counted = expected_max_sharpe(n_trials, variance)
    return max(counted, expected_max_sharpe(effective, max(variance, 1.0 / n_days)))


def deflated(daily_r: Float64, trial: TrialContext) -> Deflated:
    """Deflated Sharpe ratio of daily R, empty days included as 0.

    Parameters
    ----------
    daily_r : float64 (D,)
        Net R per trading day over every test day.
    trial : TrialContext
        Trials counted when this one was first opened, itself included.
    """
    found = moments(daily_r)
    benchmark = benchmark_sharpe(trial, len(daily_r))
    value = probabilistic_sharpe(found, benchmark)
    return Deflated(value=value, benchmark=benchmark, moments=found)


def effective_trials(correlation: Float64) -> Float64:
    """Effective numbers of independent trials behind a correlation matrix (N, N).

    Returns
    -------
    float64 (N,)
        Among the first 1, 2, … N trials: the participation ratio of their eigenvalues,
        ``N² / Σ ρ²``, which is N for independent trials and 1 when all are the same. NaN
        entries count as no correlation, which can only raise the number.
    """
    size = len(correlation)
    filled = np.clip(np.nan_to_num(correlation, nan=0.0), -1.0, 1.0)
    np.fill_diagonal(filled, 1.0)
    added = 2.0 * np.tril(filled**2, -1).sum(axis=1) + 1.0
    return np.asarray(np.arange(1, size + 1) ** 2 / np.cumsum(added), np.float64)
