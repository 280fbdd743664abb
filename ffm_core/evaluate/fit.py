"""The fits of one fold: REAL over its seeds, and permuted refits.

These functions run in worker processes. They see labels of train and
validation rows only; what became of test rows enters after scoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ffm_core.keyed import keyed
from ffm_core.records import Control, Learner, View
from ffm_core.ruler.arms import permute_block, permute_full
from ffm_core.ruler.operating import operating_point
from ffm_core.types import Bool, Float64, Int64

Shuffle = Literal["full", "block"]
US_PER_WEEK = 7 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldData:
    """One fold's rows; ``test`` carries no label.

    ``group_*`` are the exclusion groups of the rows, -1 where there is none.
    """

    index: int
    train: View
    validation: View
    test: View
    group_validation: Int64
    group_test: Int64
    top_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldAnswer:
    """REAL's plan on a fold: averages over the seeds, and the first seed alone."""

    score_validation: Float64
    score_test: Float64
    probability_validation: Float64
    probability_test: Float64
    predicted_validation: Float64  # NaN without a risk head
    predicted_test: Float64
    taken_validation: Bool
    taken_test: Bool
    taken_test_one_seed: Bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTask:
    """Fit REAL on a fold."""

    learner: Learner
    data: FoldData
    seeds: tuple[int, ...]
    signal_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleTask:
    """Refit the signal head of a fold on permuted labels."""

    learner: Learner
    data: FoldData
    seed: int
    draws: tuple[tuple[Shuffle, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTask:
    """Refit on a fold as an extra control changes it."""

    learner: Learner
    data: FoldData
    seed: int
    control: Control


def take_rows(data: FoldData, score_validation: Float64, score_test: Float64) -> tuple[Bool, Bool]:
    """Apply the operating point fixed on validation to both slices.

    Of rows that exclude one another only the best score is taken.

    Returns
    -------
    taken_validation, taken_test : bool arrays
    """
    point = operating_point(score_validation, data.validation.stream, share=data.top_share)
    taken_validation = point.take(score_validation, data.validation.stream)
    taken_test = point.take(score_test, data.test.stream)
    return (
        _best_of_group(taken_validation, score_validation, data.group_validation),
        _best_of_group(taken_test, score_test, data.group_test),
    )


def _best_of_group(taken: Bool, score: Float64, group: Int64) -> Bool:
    if (group < 0).all():
        return taken
    order = np.lexsort((np.arange(len(score)), -score))
    seen: set[int] = set()
    out = taken.copy()
    for row in order:
        if not taken[row] or group[row] < 0:
            continue
        if int(group[row]) in seen:
            out[row] = False
        seen.add(int(group[row]))
    return out


def fit_real(task: RealTask) -> FoldAnswer:
    """Fit every seed, average the plans, and fix the operating point."""
    data = task.data
    handle = task.learner.prepare(data.train)
    plans = []
    for number, seed in enumerate(task.seeds):
        model = task.learner.fit(
            handle,
            data.train,
            data.validation,
            seed=seed,
            signal_only=task.signal_only or number > 0,
        )
        plans.append((model.plan(_blind(data.validation)), model.plan(data.test)))
    score_validation = np.mean([v.score for v, _ in plans], axis=0)
    score_test = np.mean([t.score for _, t in plans], axis=0)
    taken_validation, taken_test = take_rows(data, score_validation, score_test)
    _, one_seed = take_rows(data, plans[0][0].score, plans[0][1].score)
    return FoldAnswer(
        score_validation=score_validation,
        score_test=score_test,
        probability_validation=_mean_probability([v.probability for v, _ in plans]),
        probability_test=_mean_probability([t.probability for _, t in plans]),
        predicted_validation=_first(plans[0][0].predicted_r, len(data.validation)),
        predicted_test=_first(plans[0][1].predicted_r, len(data.test)),
        taken_validation=taken_validation,
        taken_test=taken_test,
        taken_test_one_seed=one_seed,
    )


def _mean_probability(values: Sequence[Float64 | None]) -> Float64:
    known = [value for value in values if value is not None]
    return np.asarray(np.mean(known, axis=0)) if len(known) == len(values) else np.empty(0)


def _first(value: Float64 | None, n: int) -> Float64:
    return np.full(n, np.nan) if value is None else value


def _blind(view: View) -> View:
    nothing = np.empty(0)
    return replace(view, label=nothing.astype(np.int8), r_net=nothing, peak_r=nothing)


def fit_shuffles(task: ShuffleTask) -> list[Bool]:
    """Return, per permutation asked for, which test rows it would have taken."""
    data = task.data
    handle = task.learner.prepare(data.train)
    taken = []
    for kind, draw in task.draws:
        rng = keyed(task.seed, "shuffle", kind, data.index, draw)
        label = (
            permute_full(data.train.label, rng)
            if kind == "full"
            else permute_block(
                data.train.label, data.train.stream, data.train.t_us // US_PER_WEEK, rng
            )
        )
        taken.append(_refit(task.learner, handle, data.train.with_label(label), data, task.seed))
    return taken


def fit_control(task: ControlTask) -> Bool:
    """Return which test rows an extra control would have taken."""
    data = task.data
    rng = keyed(task.seed, "control", task.control.name, data.index)
    train = task.control.change(data.train, rng)
    handle = task.learner.prepare(train)
    return _refit(task.learner, handle, train, data, task.seed)


def _refit(learner: Learner, handle: object, train: View, data: FoldData, seed: int) -> Bool:
    model = learner.fit(handle, train, data.validation, seed=seed, signal_only=True)
    score_validation = model.plan(_blind(data.validation)).score
    return take_rows(data, score_validation, model.plan(data.test).score)[1]
