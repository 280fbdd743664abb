"""The fits of one fold: REAL over its seeds, and refits on permuted or changed rows.

These functions run in worker processes. They see outcomes of train and validation
rows only; what became of test rows enters after picking.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from ffm_core.evaluate.selector import Selector, take
from ffm_core.keyed import keyed
from ffm_core.records import Answer, Control, Learner, View
from ffm_core.ruler.arms import permute_block, permute_full
from ffm_core.types import Bool

Shuffle = Literal["full", "block"]
US_PER_WEEK = 7 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldViews:
    """One fold's rows; ``test`` carries no outcome."""

    index: int
    train: View
    validation: View
    test: View


def fit_real(
    fold: FoldViews,
    *,
    learner: Learner,
    seeds: Sequence[int],
    share: float,
    answers: Collection[Answer],
) -> bytes:
    """Fit every seed and fix the operating point; return the selector's bytes."""
    handle = learner.prepare(fold.train)
    models = []
    for number, seed in enumerate(seeds):
        asked = {name for name in answers if number == 0 or name != "predicted_r"}
        models.append(learner.fit(handle, fold.train, fold.validation, seed=seed, answers=asked))
    return Selector.fitted(models, fold.validation, share=share).to_bytes(learner)


def fit_shuffled(
    fold: FoldViews,
    *,
    learner: Learner,
    seed: int,
    share: float,
    draws: Sequence[tuple[Shuffle, int]],
) -> list[Bool]:
    """Return, per permutation asked for, which test rows it would pick."""
    train = fold.train
    week = train.t_us // US_PER_WEEK
    handle = learner.prepare(train)
    picked = []
    for kind, draw in draws:
        rng = keyed(seed, "shuffle", kind, fold.index, draw)
        rows = (
            permute_full(len(train), rng)
            if kind == "full"
            else permute_block(train.stream, week, rng)
        )
        picked.append(_refit(fold, train.exchanged(rows), learner, handle, seed, share))
    return picked


def fit_control(
    fold: FoldViews, *, learner: Learner, seed: int, share: float, control: Control
) -> Bool:
    """Return which test rows an extra control would pick."""
    train = control.change(fold.train, keyed(seed, "control", control.name, fold.index))
    return _refit(fold, train, learner, learner.prepare(train), seed, share)


def _refit(
    fold: FoldViews, train: View, learner: Learner, handle: object, seed: int, share: float
) -> Bool:
    model = learner.fit(handle, train, fold.validation, seed=seed, answers={"score"})
    point = Selector.fitted([model], fold.validation, share=share).point
    return take(point, fold.test, model.plan(fold.test).score)
