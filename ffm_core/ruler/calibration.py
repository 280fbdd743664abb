"""Whether a predicted probability means what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ffm_core.types import Float64, Int8

_CLIP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One group of decisions with similar predictions."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Brier score, log loss, expected calibration error and the reliability line.

    ``slope`` and ``intercept`` come from a logistic regression of the label on
    the logit of the prediction: 1 and 0 when perfectly calibrated; NaN when the
    regression has no finite answer. ``calibrated`` says whether the word may be
    printed: ECE ≤ 0.03 and a slope of 0.8 to 1.25.
    """

    n: int
    brier: float
    nll: float
    ece: float
    slope: float
    intercept: float
    bins: tuple[Bin, ...]

    @property
    def calibrated(self) -> bool:
        """Whether the error and the slope are within the allowed bounds."""
        return self.ece <= 0.03 and 0.8 <= self.slope <= 1.25

    def record(self) -> dict[str, object]:
        """Return the ``calibration`` block of a run record."""
        figures = {"ece": self.ece, "brier": self.brier, "slope": self.slope,
                   "intercept": self.intercept}  # fmt: skip
        return {
            "bins": [
                {"predicted": b.predicted, "observed": b.observed, "n": b.n} for b in self.bins
            ],
            **{key: value if math.isfinite(value) else None for key, value in figures.items()},
        }


def calibrate(probability: Float64, label: Int8, *, bins: int = 15) -> Calibration | None:
    """Compare predicted probabilities with what happened.

    Parameters
    ----------
    probability : float64 (N,)
        Predicted P(label = 1); rows with NaN are left out.
    label : int8 (N,)
        0 or 1.
    bins : int
        Bins of equal mass for the calibration error.

    Returns
    -------
    Calibration or None
        None without a single prediction.
    """
    known = np.isfinite(probability)
    p, y = probability[known], label[known].astype(np.float64)
    if len(p) == 0:
        return None
    groups = _equal_mass(p, y, bins)
    ece = sum(b.n * abs(b.predicted - b.observed) for b in groups) / len(p)
    inside = np.clip(p, _CLIP, 1.0 - _CLIP)
    nll = -float(np.mean(y * np.log(inside) + (1.0 - y) * np.log1p(-inside)))
    slope, intercept = logistic_line(np.log(inside) - np.log1p(-inside), y)
    return Calibration(
        n=len(p), brier=float(np.mean((p - y) ** 2)), nll=nll, ece=ece, slope=slope,
        intercept=intercept, bins=groups,
    )  # fmt: skip


def _equal_mass(p: Float64, y: Float64, bins: int) -> tuple[Bin, ...]:
    """Cut the sorted predictions into bins of equal size; fewer rows give fewer bins."""
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(bins, len(p)))
    return tuple(
        Bin(predicted=float(p[rows].mean()), observed=float(y[rows].mean()), n=len(rows))
        for rows in parts
    )


def logistic_line(x: Float64, y: Float64, *, steps: int = 50) -> tuple[float, float]:
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
    for _ in range(steps):
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
