"""Whether a predicted probability means what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ffm_core.statistics import (
    Bin,
    bins_of_equal_mass,
    calibration_error,
    is_calibrated,
    logistic_line,
)
from ffm_core.types import Float64, Int8

_CLIP = 1e-6


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
        return is_calibrated(self.ece, self.slope)

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
    groups = bins_of_equal_mass(p, y, bins)
    inside = np.clip(p, _CLIP, 1.0 - _CLIP)
    nll = -float(np.mean(y * np.log(inside) + (1.0 - y) * np.log1p(-inside)))
    slope, intercept = logistic_line(np.log(inside) - np.log1p(-inside), y)
    return Calibration(
        n=len(p), brier=float(np.mean((p - y) ** 2)), nll=nll,
        ece=calibration_error(groups), slope=slope, intercept=intercept, bins=groups,
    )  # fmt: skip
