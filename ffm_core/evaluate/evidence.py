"""The evidence a verdict rests on: every arm, the draws and the permutations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ffm_core.errors import SampleError
from ffm_core.evaluate.arms import (
    Holdings,
    ablated_trades,
    control_trades,
    entry_trades,
    predicted_outcomes,
    random_rows,
)
from ffm_core.evaluate.fit import FoldViews
from ffm_core.evaluate.shuffle import permutation_tests
from ffm_core.evaluate.terms import Terms
from ffm_core.evaluate.trades import hold, mean_r, trades_of
from ffm_core.labels.policies import DYNAMIC_TARGET
from ffm_core.records import Certificate, Evidence, ShuffleResult, voids_told
from ffm_core.ruler.arms import draw_means
from ffm_core.runs.ledger import Ticket
from ffm_core.types import Bool, Float64, Int64

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.pool import Folded
    from ffm_core.evaluate.progress import Progress


def gather_evidence(
    job: Job,
    folded: Folded,
    views: Sequence[FoldViews],
    real: Holdings,
    certificate: Certificate,
    ticket: Ticket,
    progress: Progress,
) -> Evidence:
    """Run every arm on the same test rows, exits, costs and positions.

    Raises
    ------
    SampleError
        When no test decision has an outcome.
    """
    config, pool, terms, test = job.config, folded.pool, job.terms, real.test
    if len(test) == 0:
        rows = np.concatenate([fold.test for fold in folded.plan.folds])
        causes, mend = voids_told(real.outcomes.void_reason[rows])
        raise SampleError(f"none of {len(rows):,} test decisions can be judged: {causes}", fix=mend)
    held = partial(hold, stream=pool.table.stream, outcomes=real.outcomes, overlap=terms.overlap)
    stage = progress.stage("control arms", 2)
    entry = entry_trades(pool, real, terms, draws=config.entry_draws, seed=config.seed)
    stage.advance()
    drawn = random_rows(pool, real, terms, draws=config.random_draws, seed=config.seed)
    stage.advance()
    trades = {
        "REAL": trades_of(pool, test.row[test.taken], real.outcomes),
        "NAIVE": trades_of(pool, held(test.row), real.outcomes),
        "ENTRY": entry,
    }
    shuffle: dict[str, ShuffleResult] = {}
    if job.learner is not None:
        alone = mean_r(trades_of(pool, held(test.row[test.one_seed]), real.outcomes))
        shuffle = permutation_tests(
            job, job.learner, views, ticket, real=alone,
            mean_of=partial(_mean_held, terms, folded, real), progress=progress,
        )  # fmt: skip
        trades |= control_trades(job, folded, views, real, progress)
        trades |= ablated_trades(job, folded, views, real, progress)
    plan, seen, streams = folded.plan, real.validation, pool.streams
    return Evidence(
        claim=config.resolved_claim,
        certificate=certificate,
        days=plan.test_days,
        n_test_months=plan.n_test_months,
        trades=trades,
        take_rate=float(test.picked.mean()),
        random_means=draw_means(real.outcomes.r_net, drawn),
        random_daily=_mean_daily(folded, real, drawn),
        shuffle=shuffle,
        validation_mean_r=float("nan") if seen is None else mean_r(seen),
        validation_trades=seen,
        trial=ticket.context,
        streams=tuple(stream.bars.stream for stream in streams),
        currencies=tuple(stream.bars.instrument.currency for stream in streams),
        month_days=plan.month_days,
        settings={"seed": float(config.seed)},
        extra=_read(job, folded, real),
    )


def _mean_daily(folded: Folded, real: Holdings, drawn: Sequence[Int64]) -> Float64:
    """Return net R by test day, averaged over the RANDOM draws; shape (D,)."""
    rows, days = np.concatenate(drawn), folded.plan.test_days
    day = np.searchsorted(days, folded.pool.table.day[rows])
    r = real.outcomes.r_net[rows]
    return np.asarray(np.bincount(day, weights=r, minlength=len(days)) / len(drawn))


def _read(job: Job, folded: Folded, real: Holdings) -> dict[str, Float64]:
    """Return the columns of test decisions that the checks of this run read."""
    test = real.test
    found = {"probability": test.probability, "peak_r": real.outcomes.peak_r[test.row]}
    if job.reads and np.isfinite(test.predicted_r).any():
        dynamic = replace(job.terms, exit=DYNAMIC_TARGET, exit_params={})
        found["predicted_r"] = test.predicted_r
        found["r_dynamic"] = predicted_outcomes(folded.pool, test, dynamic).r_net[test.row]
    return {name: column for name, column in found.items() if name in job.reads}


def _mean_held(terms: Terms, folded: Folded, real: Holdings, picked: Sequence[Bool]) -> float:
    """Return mean net R of what is held of each fold's picked test rows, 0 without any."""
    folds, r = folded.plan.folds, real.outcomes.r_net
    rows = np.concatenate([fold.test[one] for fold, one in zip(folds, picked, strict=True)])
    held = hold(rows, folded.pool.table.stream, real.outcomes, terms.overlap)
    total = sum(float(r[np.intersect1d(fold.test, held)].sum()) for fold in folds)
    return total / len(held) if len(held) else 0.0
