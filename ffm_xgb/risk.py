"""The risk head: how far a trade may run before its stop, in R."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ffm_core.records import View
from ffm_core.types import Float64
from ffm_xgb.matrix import FoldMatrix
from ffm_xgb.settings import RISK, RISK_CAP_R


@dataclass(frozen=True, slots=True)
class RiskHead:
    """A regressor of ``log1p(peak_r)``; without the logarithm it shrinks to the median."""

    booster: Any

    def predict(self, view: View) -> Float64:
        """Return the predicted peak excursion in R, shape (N,), within [0, 15]."""
        raw = self.booster.inplace_predict(np.ascontiguousarray(view.design.x))
        return np.clip(np.expm1(np.asarray(raw, dtype=np.float64).reshape(-1)), 0.0, RISK_CAP_R)


def fit_risk(matrix: FoldMatrix, peak_r: Float64, seed: int) -> RiskHead:
    """Fit the risk head on the fold's shared bins."""
    import xgboost as xgb

    matrix.whole.set_label(np.log1p(np.maximum(peak_r, 0.0)))
    params = RISK.params(seed) | {"huber_slope": 1.0}
    return RiskHead(xgb.train(params, matrix.whole, RISK.rounds, verbose_eval=False))
