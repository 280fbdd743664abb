"""From prepared folds to the evidence a verdict rests on: fits, arms, permutations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ffm_core.causal.falsify import merge
from ffm_core.errors import SampleError
from ffm_core.evaluate.ablation import ablations
from ffm_core.evaluate.arms import (
    Exits,
    entry_trades,
    held_picks,
    predicted_outcomes,
    random_rows,
)
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.finding import Job
from ffm_core.evaluate.fit import FoldViews, fit_control, fit_real
from ffm_core.evaluate.pick import Picks, everything, pick
from ffm_core.evaluate.plan import Prepared
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.selector import SCHEMA, Selector
from ffm_core.evaluate.shuffle import ShuffleArms
from ffm_core.evaluate.trades import hold, mean_r, trades_of
from ffm_core.labels.policies import DYNAMIC_TARGET
from ffm_core.records import (
    ANSWERS,
    Answer,
    Certificate,
    Evidence,
    Learner,
    Outcomes,
    ShuffleResult,
    Trades,
)
from ffm_core.ruler.arms import draw_means
from ffm_core.ruler.folds import Fold
from ffm_core.runs.cache import Cache
from ffm_core.runs.ledger import Ticket
from ffm_core.runs.record import versions
from ffm_core.types import Bool, Int64

NUMERIC_LIBRARIES = ("numpy", "numba", "xgboost", "scikit-learn")


def certificate_of(prepared: Prepared) -> Certificate:
    """Return the certificate over all streams, the learner and the folds."""
    proofs = [stream.certificate for stream in prepared.pool.streams]
    return merge([*proofs, prepared.proof] if prepared.proof is not None else proofs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """REAL over all folds, and what its trades became."""

    folds: tuple[FoldViews, ...]
    test: Picks
    outcomes: Outcomes
    validation: Trades | None

    @classmethod
    def of(
        cls, job: Job, prepared: Prepared, cache: Cache, identity: str, progress: Progress
    ) -> Fitted:
        """Fit REAL on every fold, or take every decision when there is no learner."""
        pool, plan = prepared.pool, prepared.folds
        if job.learner is None:
            test = held_picks(pool, everything(plan), pool.outcomes, job.config.overlap)
            return cls(folds=(), test=test, outcomes=pool.outcomes, validation=None)
        folds = fold_views(pool, plan.folds, job.learner)
        selectors = fit_all(job, job.learner, folds, cache, identity, progress)
        test, validation = pick(plan, folds, selectors)
        outcomes, seen = pool.outcomes, pool.outcomes
        if prepared.parts.run_policy.kind == "predicted":
            exits = exits_of(prepared)
            outcomes = predicted_outcomes(pool, test, exits)
            seen = predicted_outcomes(pool, validation, exits)
        test = held_picks(pool, test, outcomes, job.config.overlap)
        validation = held_picks(pool, validation, seen, job.config.overlap)
        # A validation month serves one fold, so its rows are unique.
        chosen = trades_of(pool, validation.row[validation.taken], seen)
        return cls(folds=folds, test=test, outcomes=outcomes, validation=chosen)


def fold_views(pool: Pool, folds: Sequence[Fold], learner: Learner) -> tuple[FoldViews, ...]:
    """Return what the learner sees of every fold; test rows carry no outcome."""
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


def fit_all(
    job: Job,
    learner: Learner,
    folds: Sequence[FoldViews],
    cache: Cache,
    identity: str,
    progress: Progress,
) -> list[Selector]:
    """Fit REAL on every fold; fitted folds come from the cache.

    A selector goes through its bytes whether it was fitted now or before, so that a
    resumed run cannot differ from one that was not interrupted.
    """
    keys = [cache.key(SCHEMA, identity, fit_versions(), fold.index) for fold in folds]
    known = [cache.get(key) for key in keys]
    missing = [i for i, stored in enumerate(known) if stored is None]
    stage = progress.stage("fits (REAL)", len(folds))
    stage.advance(len(folds) - len(missing))
    fit = partial(
        fit_real,
        learner=learner,
        seeds=tuple(job.config.seed + i for i in range(job.config.n_seeds)),
        share=job.config.top_share,
        answers=answers_of(job),
    )
    executor: Executor[FoldViews, bytes] = Executor(job.jobs)
    for i, fitted in zip(missing, executor.run(fit, [folds[i] for i in missing]), strict=True):
        known[i] = fitted
        cache.put(keys[i], fitted)
        stage.advance()
    return [Selector.of(data, learner) for data in known if isinstance(data, bytes)]


def fit_versions() -> dict[str, str]:
    """Versions of the libraries whose change may change a fit; part of cache keys."""
    found = versions()
    return {name: found.get(name, "") for name in NUMERIC_LIBRARIES}


def answers_of(job: Job) -> frozenset[Answer]:
    """Return what REAL's models are asked; targets only where something reads them."""
    predicts = job.source.open().run_policy.kind == "predicted" or job.config.checks == "classic"
    return frozenset(ANSWERS if predicts else ("score", "probability"))


def exits_of(prepared: Prepared) -> Exits:
    """Return how the run's exits are simulated again."""
    return Exits(policy=prepared.parts.run_policy, params=prepared.run_params, tasks=prepared.tasks)


def gather_evidence(
    job: Job,
    prepared: Prepared,
    ticket: Ticket,
    fitted: Fitted,
    cache: Cache,
    identity: str,
    progress: Progress,
) -> tuple[Evidence, list[Int64]]:
    """Run every arm and return the evidence, with the pooled rows each RANDOM draw holds.

    Raises
    ------
    SampleError
        When no test decision has an outcome.
    """
    config, pool, test, outcomes = job.config, prepared.pool, fitted.test, fitted.outcomes
    if len(test.row) == 0:
        raise SampleError("no test decision has an outcome", fix="bring a longer span of data")
    stage = progress.stage("control arms", 2)
    held = partial(hold, stream=pool.table.stream, outcomes=outcomes, overlap=config.overlap)
    entry = entry_trades(
        pool, test.row, outcomes, exits_of(prepared), draws=config.entry_draws,
        seed=config.seed, overlap=config.overlap,
    )  # fmt: skip
    stage.advance()
    drawn = random_rows(
        pool, test, outcomes, draws=config.random_draws, seed=config.seed, overlap=config.overlap
    )
    stage.advance()
    trades = {
        "REAL": trades_of(pool, test.row[test.taken], outcomes),
        "NAIVE": trades_of(pool, held(test.row), outcomes),
        "ENTRY": entry,
    }
    shuffle: dict[str, ShuffleResult] = {}
    if job.learner is not None:
        one_seed = trades_of(pool, held(test.row[test.one_seed]), outcomes)
        shuffle = _shuffle(job, prepared, fitted, cache, identity, progress, real=mean_r(one_seed))
        trades |= _controls(job, prepared, fitted, progress)
        trades |= ablations(job, prepared, fitted.folds, fitted.outcomes, progress)
    days = prepared.folds.test_days
    evidence = Evidence(
        claim=config.resolved_claim,
        certificate=certificate_of(prepared),
        days=days,
        n_test_months=prepared.folds.n_test_months,
        trades=trades,
        take_rate=float(test.picked.mean()),
        random_means=draw_means(outcomes.r_net, drawn),
        shuffle=shuffle,
        validation_mean_r=float("nan") if fitted.validation is None else mean_r(fitted.validation),
        validation_trades=fitted.validation,
        trial=ticket.context,
        streams=tuple(s.bars.stream for s in pool.streams),
        currencies=tuple(s.bars.instrument.currency for s in pool.streams),
        month_days=prepared.folds.month_days,
        settings={"seed": float(config.seed)},
        extra=_extra(prepared, fitted),
    )
    return evidence, drawn


def _extra(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Return what the ``classic`` checks read, where the risk head was fitted."""
    test = fitted.test
    if not np.isfinite(test.predicted_r).any():
        return {}
    exits = replace(exits_of(prepared), policy=DYNAMIC_TARGET, params={})
    dynamic = predicted_outcomes(prepared.pool, test, exits)
    return {
        "classic": {
            "probability": test.probability,
            "r_dynamic": dynamic.r_net[test.row],
            "predicted_r": test.predicted_r,
            "peak_r": fitted.outcomes.peak_r[test.row],
        }
    }


def _shuffle(
    job: Job,
    prepared: Prepared,
    fitted: Fitted,
    cache: Cache,
    identity: str,
    progress: Progress,
    *,
    real: float,
) -> dict[str, ShuffleResult]:
    assert job.learner is not None
    outcomes = fitted.outcomes
    arms = ShuffleArms(
        learner=job.learner,
        folds=fitted.folds,
        mean_of=partial(_mean_held, job, prepared, outcomes),
        seed=job.config.seed,
        share=job.config.top_share,
        planned=job.config.permutations,
        identity=cache.key(identity, fit_versions()),
        cache=cache,
        executor=Executor(job.jobs),
    )
    return arms.run(real, progress)


def _mean_held(job: Job, prepared: Prepared, outcomes: Outcomes, picked: Sequence[Bool]) -> float:
    """Return mean net R of what is held of each fold's picked test rows, 0 without any."""
    folds, r = prepared.folds.folds, outcomes.r_net
    rows = np.concatenate([fold.test[one] for fold, one in zip(folds, picked, strict=True)])
    held = hold(rows, prepared.pool.table.stream, outcomes, job.config.overlap)
    total = sum(float(r[np.intersect1d(fold.test, held)].sum()) for fold in folds)
    return total / len(held) if len(held) else 0.0


def _controls(
    job: Job, prepared: Prepared, fitted: Fitted, progress: Progress
) -> dict[str, Trades]:
    """Fit the extra controls of extensions; they are reported and gate nothing."""
    if not job.controls or job.learner is None:
        return {}
    found = {}
    stage = progress.stage("extra controls", len(job.controls))
    for control in job.controls:
        fit = partial(
            fit_control, learner=job.learner, seed=job.config.seed, share=job.config.top_share,
            control=control,
        )  # fmt: skip
        executor: Executor[FoldViews, Bool] = Executor(job.jobs)
        taken = list(executor.run(fit, fitted.folds))
        rows = np.concatenate(
            [fold.test[t] for fold, t in zip(prepared.folds.folds, taken, strict=True)]
        )
        pool = prepared.pool
        held = hold(rows, pool.table.stream, fitted.outcomes, job.config.overlap)
        found[control.name] = trades_of(pool, held, fitted.outcomes)
        stage.advance()
    return found
