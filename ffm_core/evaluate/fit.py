"""The fits of one fold: REAL over its seeds, and refits on permuted or changed rows.

These functions run in worker processes. They see outcomes of train and validation
rows only; what became of test rows enters after picking.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.selector import SCHEMA, Selector, take
from ffm_core.keyed import keyed
from ffm_core.records import ANSWERS, Answer, Control, Learner, Model, View
from ffm_core.records.answers import as_model, changed_view
from ffm_core.ruler.arms import permute_block, permute_full
from ffm_core.ruler.folds import Fold
from ffm_core.runs.ledger import Ticket
from ffm_core.runs.record import versions
from ffm_core.types import Bool

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.progress import Progress

NUMERIC_LIBRARIES = ("numpy", "numba", "xgboost", "scikit-learn")
Shuffle = Literal["full", "block"]
US_PER_WEEK = 7 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldViews:
    """One fold's rows; ``test`` carries no outcome."""

    index: int
    train: View
    validation: View
    test: View


def fold_views(pool: Pool, folds: Sequence[Fold], learner: Learner | None) -> tuple[FoldViews, ...]:
    """Return what the learner sees of every fold; test rows carry no outcome."""
    if learner is None:
        return ()
    view = partial(pool.view, bars=learner.reads_bars)
    return tuple(
        FoldViews(
            index=fold.index,
            train=view(fold.train[pool.labels.valid[fold.train]], outcomes=True),
            validation=view(fold.validation, outcomes=True),
            test=view(fold.test, outcomes=False),
        )
        for fold in folds
    )


def fit(job: Job, views: Sequence[FoldViews], ticket: Ticket, progress: Progress) -> list[Selector]:
    """Fit REAL on every fold; fitted folds come from the cache.

    A selector goes through its bytes whether it was fitted now or before, so that a
    resumed run cannot differ from one that was not interrupted.
    """
    learner, cache = job.learner, job.cache
    if learner is None:
        return []
    keys = [cache.key(SCHEMA, ticket.identity, fit_versions(), fold.index) for fold in views]
    known = [cache.get(key) for key in keys]
    missing = [i for i, stored in enumerate(known) if stored is None]
    stage = progress.stage("fits (REAL)", len(views))
    stage.advance(len(views) - len(missing))
    fresh = job.executor.run(real_fit(job, learner, answers_of(job)), [views[i] for i in missing])
    for i, fitted in zip(missing, fresh, strict=True):
        known[i] = fitted
        cache.put(keys[i], fitted)
        stage.advance()
    return [Selector.of(data, learner) for data in known if isinstance(data, bytes)]


def real_fit(job: Job, learner: Learner, answers: Collection[Answer]) -> partial[bytes]:
    """Return the fit of one fold as REAL is fitted: all seeds, its share."""
    seeds = tuple(job.config.seed + i for i in range(job.config.n_seeds))
    share = job.config.top_share
    return partial(fit_real, learner=learner, seeds=seeds, share=share, answers=answers)


def answers_of(job: Job) -> frozenset[Answer]:
    """Return what REAL's models are asked; targets only where something reads them."""
    predicts = job.terms.exit.kind == "predicted" or job.reads & {"predicted_r", "r_dynamic"}
    return frozenset(ANSWERS if predicts else ("score", "probability"))


def fit_versions() -> dict[str, str]:
    """Versions of the libraries whose change may change a fit; part of cache keys."""
    found = versions()
    return {name: found.get(name, "") for name in NUMERIC_LIBRARIES}


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
        models.append(_fit(learner, handle, fold.train, fold.validation, seed, asked))
    selector = Selector.fitted(models, fold.validation, share=share, learner=learner.name)
    return selector.to_bytes()


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
    rng = keyed(seed, "control", control.name, fold.index)
    train = changed_view(control, control.change(fold.train, rng), fold.train)
    return _refit(fold, train, learner, learner.prepare(train), seed, share)


def _refit(
    fold: FoldViews, train: View, learner: Learner, handle: object, seed: int, share: float
) -> Bool:
    model = _fit(learner, handle, train, fold.validation, seed, {"score"})
    selector = Selector.fitted([model], fold.validation, share=share, learner=learner.name)
    return take(selector.point, fold.test, selector.plans(fold.test)[0].score)


def _fit(
    learner: Learner, handle: object, train: View, validation: View, seed: int,
    asked: Collection[Answer],
) -> Model:  # fmt: skip
    model = learner.fit(handle, train, validation, seed=seed, answers=asked)
    return as_model(learner, "fit", model)
