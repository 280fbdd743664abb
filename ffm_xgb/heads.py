"""The signal heads: boosted trees, a sparse linear head, and their rank mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ffm_core.container import numbers, spelled
from ffm_core.records import View
from ffm_core.types import Float64, Int8
from ffm_xgb.matrix import FoldMatrix, Standardiser
from ffm_xgb.settings import MIN_ROUNDS, Trees, linear_c
from ffm_xgb.storing import booster_bytes, booster_of


class Scorer(Protocol):
    """A fitted signal head: higher scores are better, only their order counts."""

    def score(self, view: View) -> Float64:
        """Return one score per row, shape (N,)."""
        ...

    def stored(self, blocks: dict[str, bytes]) -> dict[str, Any]:
        """Return the head as JSON types; trees go to ``blocks`` under a name of their own."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The answer when training labels hold a single class: no ranking at all."""

    def score(self, view: View) -> Float64:
        """Return zeros, shape (N,)."""
        return np.zeros(len(view))

    def stored(self, blocks: dict[str, bytes]) -> dict[str, Any]:
        """Return its kind."""
        return {"kind": "constant"}


@dataclass(frozen=True, slots=True)
class TreeScorer:
    """A fitted booster, scored by its margin (log-odds)."""

    booster: Any

    def score(self, view: View) -> Float64:
        """Return log-odds, shape (N,)."""
        margin = self.booster.inplace_predict(
            np.ascontiguousarray(view.design.x), predict_type="margin"
        )
        return np.asarray(margin, dtype=np.float64).reshape(-1)

    def stored(self, blocks: dict[str, bytes]) -> dict[str, Any]:
        """Return the name of the block that holds the trees."""
        name = f"trees {len(blocks)}"
        blocks[name] = booster_bytes(self.booster)
        return {"kind": "trees", "block": name}


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """Weights on clipped z-scores, scored by log-odds."""

    weights: Float64
    standardiser: Standardiser

    def score(self, view: View) -> Float64:
        """Return log-odds without the intercept, shape (N,)."""
        z = self.standardiser.apply(view.design.x, view.stream)
        # Row by row: a matrix product adds in an order that depends on how many rows
        # there are, and the last digit decides the rank of rows that tie.
        return np.asarray((z * self.weights).sum(axis=1))

    def stored(self, blocks: dict[str, bytes]) -> dict[str, Any]:
        """Return weights and normalisation."""
        return {
            "kind": "linear",
            "weights": spelled(self.weights),
            "normalisation": self.standardiser.stored(),
        }


@dataclass(frozen=True, slots=True)
class BlendScorer:
    """Mean of the parts' ranks, each rank read off that part's training scores.

    Ranks come from the training distribution, never from the rows being scored:
    ranking test rows among themselves would use scores of later rows.
    """

    parts: tuple[Scorer, ...]
    references: tuple[Float64, ...]  # sorted training scores of each part

    def score(self, view: View) -> Float64:
        """Return mean mid-ranks in [0, 1], shape (N,)."""
        ranks = [
            _mid_rank(part.score(view), reference)
            for part, reference in zip(self.parts, self.references, strict=True)
        ]
        return np.asarray(np.mean(ranks, axis=0), dtype=np.float64)

    def stored(self, blocks: dict[str, bytes]) -> dict[str, Any]:
        """Return the parts and the training scores their ranks are read off."""
        return {
            "kind": "blend",
            "parts": [part.stored(blocks) for part in self.parts],
            "references": [spelled(reference) for reference in self.references],
        }


def _mid_rank(score: Float64, reference: Float64) -> Float64:
    below = np.searchsorted(reference, score, side="left")
    upto = np.searchsorted(reference, score, side="right")
    return (below + upto) / (2.0 * max(len(reference), 1))


def fit_trees(matrix: FoldMatrix, label: Int8, settings: Trees, seed: int) -> Scorer:
    """Fit boosted trees; their number comes from the newest part of train."""
    import xgboost as xgb

    if len(np.unique(label)) < 2:
        return Constant()
    rounds = settings.rounds
    params = settings.params(seed, len(label))
    early = label[matrix.early_rows]
    if settings.patience and matrix.early is not None and len(np.unique(early)) == 2:
        matrix.early.set_label(early)
        matrix.late.set_label(label[matrix.late_rows])
        trial = xgb.train(
            params,
            matrix.early,
            settings.rounds,
            evals=[(matrix.late, "late")],
            early_stopping_rounds=settings.patience,
            verbose_eval=False,
        )
        rounds = max(MIN_ROUNDS, trial.best_iteration + 1)
    matrix.whole.set_label(label)
    return TreeScorer(xgb.train(params, matrix.whole, rounds, verbose_eval=False))


def fit_linear(matrix: FoldMatrix, label: Int8) -> Scorer:
    """Fit an L1 logistic regression on clipped z-scores; the same for every seed."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(label)) < 2:
        return Constant()
    model = LogisticRegression(
        l1_ratio=1.0,
        solver="liblinear",
        C=linear_c(len(label)),
        intercept_scaling=10.0,
        random_state=0,
    )
    model.fit(matrix.z, label)
    return LinearScorer(np.asarray(model.coef_, dtype=np.float64).reshape(-1), matrix.standardiser)


def scorer_of(stored: Mapping[str, Any], blocks: Mapping[str, bytes]) -> Scorer:
    """Read back what :meth:`Scorer.stored` gave.

    Raises
    ------
    KeyError
        When a part is missing or of an unknown kind.
    ModelError
        When a block holds no trees.
    """
    kind = stored["kind"]
    if kind == "constant":
        return Constant()
    if kind == "trees":
        return TreeScorer(booster_of(blocks[stored["block"]]))
    if kind == "linear":
        standardiser = Standardiser.of(stored["normalisation"])
        return LinearScorer(numbers(stored["weights"]), standardiser)
    if kind == "blend":
        parts = tuple(scorer_of(part, blocks) for part in stored["parts"])
        return BlendScorer(parts, tuple(numbers(scores) for scores in stored["references"]))
    raise KeyError(f"a head of kind {kind!r}")


def blend(parts: tuple[Scorer, ...], train: View) -> BlendScorer:
    """Combine fitted heads by the mean of their training ranks."""
    return BlendScorer(parts, tuple(np.sort(part.score(train)) for part in parts))
