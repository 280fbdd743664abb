"""Statistics that several rooms share: calibration by groups, fitted lines, blocks of days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.jit import inlined
from ffm_core.types import Float64

MAX_CALIBRATION_ERROR = 0.03
CALIBRATION_SLOPES = (0.8, 1.25)
_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One group of rows with similar predictions: the means of both, and how many rows."""

    predicted: float
    observed: float
    n: int


def bins_of_equal_mass(predicted: Float64, observed: Float64, bins: int) -> tuple[Bin, ...]:
    """Cut rows, sorted by prediction, into bins of equal size; fewer rows give fewer bins."""
    order = np.argsort(predicted, kind="stable")
    return tuple(
        Bin(predicted=float(predicted[rows].mean()), observed=float(observed[rows].mean()),
            n=len(rows))
        for rows in np.array_split(order, min(bins, len(order)))
    )  # fmt: skip


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean miss of the bins, by rows."""
    return sum(b.n * abs(b.predicted - b.observed) for b in bins) / sum(b.n for b in bins)


def is_calibrated(error: float, slope: float) -> bool:
    """Whether the word may be printed: an error of at most 0.03, a slope of 0.8 to 1.25."""
    return (
        error <= MAX_CALIBRATION_ERROR and CALIBRATION_SLOPES[0] <= slope <= CALIBRATION_SLOPES[1]
    )


def ols_line(x: Float64, y: Float64) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; NaN when ``x`` does not vary."""
    if len(x) < 3 or np.ptp(x) < 1e-12:
        return math.nan, math.nan
    off = x - x.mean()
    slope = float(off @ (y - y.mean())) / float(off @ off)
    return slope, float(y.mean() - slope * x.mean())


def logistic_line(x: Float64, y: Float64) -> tuple[float, float]:
    """Fit ``P(y = 1) = σ(intercept + slope · x)`` by Newton's method.

    Returns
    -------
    slope, intercept : float
        NaN when the labels or ``x`` do not vary, or a threshold on ``x`` separates
        the labels, so that no finite maximum exists.
    """
    nan = (math.nan, math.nan)
    if len(x) < 3 or np.ptp(y) == 0 or np.ptp(x) < 1e-12 or _separated(x, y):
        return nan
    design = np.column_stack((np.ones(len(x)), x))
    beta = np.zeros(2)
    likelihood = _log_likelihood(design, y, beta)
    for _ in range(_STEPS):
        fitted = 1.0 / (1.0 + np.exp(-design @ beta))
        slope = design.T @ (y - fitted)
        curve = (design * (fitted * (1.0 - fitted))[:, None]).T @ design
        if not np.linalg.det(curve) > 0:
            return nan
        step = np.linalg.solve(curve, slope)
        scale = 1.0
        while _log_likelihood(design, y, beta + scale * step) < likelihood and scale > 1e-8:
            scale /= 2.0  # halve a step that overshoots
        beta = beta + scale * step
        likelihood = _log_likelihood(design, y, beta)
        if float(np.max(np.abs(scale * step))) < 1e-10:
            return float(beta[1]), float(beta[0])
    return nan


def _log_likelihood(design: Float64, y: Float64, beta: Float64) -> float:
    eta = design @ beta
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)))


def _separated(x: Float64, y: Float64) -> bool:
    """Whether one threshold on ``x`` splits the labels without error."""
    ones, zeros = x[y > 0.5], x[y < 0.5]
    return bool(ones.min() >= zeros.max() or zeros.min() >= ones.max())


@inlined
def next_day(place: int, draw: float, n_days: int) -> int:  # pragma: no cover - compiled
    """Return the next day of a resample by blocks that wrap round the end.

    A draw below 1 begins a new block, and says where; another goes on with the old one.
    """
    if draw < 1.0:
        found = min(int(draw * n_days), n_days - 1)
    else:
        found = place + 1
        if found == n_days:
            found = 0
    return found
