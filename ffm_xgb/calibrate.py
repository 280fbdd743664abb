"""Platt scaling on validation rows; ranking never uses the result."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from ffm_core.types import Float64, Int8
from ffm_xgb.settings import MIN_CALIBRATION_ROWS

_RIDGE = 1.0  # weak pull of the slope towards 0: validation folds are small


@dataclass(frozen=True, slots=True)
class Platt:
    """``P = 1 / (1 + exp(-(slope · z + intercept)))`` with z the standardised score."""

    mean: float
    scale: float
    slope: float
    intercept: float

    def apply(self, score: Float64) -> Float64:
        """Return probabilities, shape (N,)."""
        z = (score - self.mean) / self.scale
        return 1.0 / (1.0 + np.exp(-(self.slope * z + self.intercept)))

    def stored(self) -> list[float]:
        """Return mean, scale, slope and intercept; ``Platt(*stored)`` is the same."""
        return list(astuple(self))


def fit_platt(score: Float64, label: Int8) -> Platt:
    """Fit slope and intercept by Newton steps; too few rows give the base rate alone."""
    n = len(label)
    base = (label.sum() + 1.0) / (n + 2.0)
    intercept = float(np.log(base / (1.0 - base)))
    scale = float(score.std()) if n else 0.0
    if n < MIN_CALIBRATION_ROWS or scale < 1e-12 or len(np.unique(label)) < 2:
        return Platt(0.0, 1.0, 0.0, intercept)
    mean = float(score.mean())
    z = np.column_stack([(score - mean) / scale, np.ones(n)])
    w = np.array([0.0, intercept])
    penalty = np.diag([_RIDGE, 0.0])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-(z @ w)))
        gradient = z.T @ (label - p) - penalty @ w
        curvature = (z * (p * (1.0 - p))[:, None]).T @ z + penalty
        step = np.linalg.solve(curvature, gradient)
        w = w + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return Platt(mean, scale, float(w[0]), float(w[1]))
