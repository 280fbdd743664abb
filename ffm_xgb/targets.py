"""Boosted trees for context targets: a value, or the probability of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ffm_core.errors import ModelError
from ffm_core.types import Float32, Float64
from ffm_xgb.settings import CONTEXT, Trees
from ffm_xgb.storing import booster_bytes, booster_of

_OBJECTIVES = {"regression": "reg:squarederror", "binary": "binary:logistic"}


@dataclass(frozen=True, slots=True)
class TreeTarget:
    """A fitted booster, read as a value or as P(class 1)."""

    booster: Any

    def predict(self, x: Float32) -> Float64:
        """Return one number per row, shape (N,)."""
        if len(x) == 0:
            return np.empty(0)
        found = self.booster.inplace_predict(np.ascontiguousarray(x))
        return np.asarray(found, dtype=np.float64).reshape(-1)

    def to_bytes(self) -> bytes:
        """Return the booster as universal binary JSON."""
        return booster_bytes(self.booster)


def fit_target_trees(
    x: Float32,
    y: Float64,
    *,
    kind: Literal["regression", "binary"],
    x_validation: Float32 | None = None,
    y_validation: Float64 | None = None,
    weight: Float64 | None = None,
    seed: int = 0,
    rounds: int | None = None,
    settings: Trees = CONTEXT,
) -> TreeTarget:
    """Fit trees on one thread; missing values stay missing.

    Parameters
    ----------
    x : float32 (N, F)
        Columns, NaN where missing.
    y : float64 (N,)
        Values, or 0 and 1.
    kind : {"regression", "binary"}
        Squared error, or log-loss.
    x_validation, y_validation : arrays, optional
        Later rows on which the number of trees is chosen.
    weight : float64 (N,), optional
        Weights of the training rows.
    rounds : int, optional
        Largest number of trees; default 400.
    """
    import xgboost as xgb

    params = settings.params(seed) | {"objective": _OBJECTIVES[kind]}
    trees = settings.rounds if rounds is None else rounds
    options = {"max_bin": settings.max_bin, "nthread": 1, "missing": np.nan}
    train = xgb.QuantileDMatrix(np.ascontiguousarray(x), label=y, weight=weight, **options)
    if x_validation is None or y_validation is None:
        return TreeTarget(xgb.train(params, train, trees, verbose_eval=False))
    watch = xgb.QuantileDMatrix(
        np.ascontiguousarray(x_validation), label=y_validation, ref=train, **options
    )
    booster = xgb.train(
        params, train, trees, evals=[(watch, "later")],
        early_stopping_rounds=settings.patience, verbose_eval=False,
    )  # fmt: skip
    return TreeTarget(booster[: booster.best_iteration + 1])


def load_target_trees(data: bytes) -> TreeTarget:
    """Read a booster back.

    Raises
    ------
    ModelError
        When the bytes hold no booster.
    """
    try:
        return TreeTarget(booster_of(data))
    except ModelError as error:
        raise ModelError(
            "a context head cannot be read by xgboost", fix="fit it again with 'ffm context train'"
        ) from error
