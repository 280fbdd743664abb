"""Every constant of the heads, named once.

The tree settings answer a measurement: on folds of about a thousand rows few,
shallow, strongly regularised trees keep far more of a weak signal than the
usual two hundred trees of depth four.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

TreeParams: TypeAlias = dict[str, float | int | str]

TUNED_ROWS = 900  # training rows of the folds the settings were chosen on


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Settings of one boosted ensemble.

    Parameters
    ----------
    rounds : int
        Largest number of trees.
    depth : int
        Depth of each tree.
    patience : int
        Rounds without improvement on the inner watch rows before stopping;
        0 switches early stopping off.
    """

    rounds: int
    depth: int
    learning_rate: float = 0.05
    min_child_weight: float = 20.0
    reg_lambda: float = 5.0
    subsample: float = 0.8
    colsample: float = 0.8
    max_bin: int = 64
    patience: int = 20
    objective: str = "binary:logistic"

    def params(self, seed: int, n_rows: int = TUNED_ROWS) -> TreeParams:
        """Return the booster's parameters for one seed, single-threaded.

        A fold smaller than the one the settings were chosen on asks for
        proportionally less weight in a leaf; otherwise no split would be possible.
        """
        share = min(1.0, n_rows / TUNED_ROWS)
        return {
            "objective": self.objective,
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "min_child_weight": self.min_child_weight * share,
            "lambda": self.reg_lambda,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "max_bin": self.max_bin,
            "tree_method": "hist",
            "nthread": 1,
            "verbosity": 0,
            "seed": seed,
        }


SIGNAL = Trees(rounds=200, depth=2)
CLASSIC = Trees(rounds=200, depth=4, min_child_weight=1.0, reg_lambda=1.0, patience=0)
RISK = Trees(
    rounds=500,
    depth=5,
    min_child_weight=1.0,
    reg_lambda=1.0,
    patience=0,
    objective="reg:pseudohubererror",
)

# As the reference fitted its context heads, but with 64 bins a column instead of 256.
CONTEXT = Trees(
    rounds=400,
    depth=5,
    min_child_weight=1.0,
    reg_lambda=1.0,
    patience=40,
)

INNER_WATCH_SHARE = 0.25  # newest part of train that decides the number of trees
MIN_ROUNDS = 10  # below this a ranking has only a handful of distinct scores
LINEAR_C = 0.05  # inverse strength of the L1 penalty, on the log-loss summed over TUNED_ROWS
CLIP_Z = 3.0  # z-scores beyond this say no more than this
RISK_CAP_R = 15.0  # largest predicted excursion, R
MIN_CALIBRATION_ROWS = 20


def linear_c(n_rows: int) -> float:
    """Return the inverse L1 strength for a fold of ``n_rows``.

    The gradient that noise alone gives grows with the square root of the rows, so
    the penalty that keeps noise out does too.
    """
    return LINEAR_C * max(1.0, math.sqrt(TUNED_ROWS / max(n_rows, 1)))
