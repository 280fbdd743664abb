"""What a block of columns adds: the same model without it, on the same days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.finding import Job
from ffm_core.evaluate.fit import FoldViews, fit_real
from ffm_core.evaluate.pick import pick
from ffm_core.evaluate.plan import Prepared
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.selector import Selector
from ffm_core.evaluate.trades import hold, trades_of
from ffm_core.records import Design, Outcomes, Trades, View

PREFIX = "without "


def ablations(
    job: Job,
    prepared: Prepared,
    folds: Sequence[FoldViews],
    outcomes: Outcomes,
    progress: Progress,
) -> Mapping[str, Trades]:
    """Return the arm ``without <block>`` for every block that is to be left out.

    The model is fitted as REAL is: same folds, labels, seeds, share taken, exits and
    predicted targets. Only the columns of the block are missing.

    Returns
    -------
    mapping of str to Trades
        Empty without a learner or without ``--ablate``.
    """
    if job.learner is None or not job.config.ablate:
        return {}
    stage = progress.stage("ablation", len(job.config.ablate))
    fit = partial(
        fit_real,
        learner=job.learner,
        seeds=tuple(job.config.seed + i for i in range(job.config.n_seeds)),
        share=job.config.top_share,
        answers=frozenset({"score"}),
    )
    executor: Executor[FoldViews, bytes] = Executor(job.jobs)
    pool, found = prepared.pool, {}
    for block in job.config.ablate:
        less = [_without(fold, block) for fold in folds]
        selectors = [Selector.of(data, job.learner) for data in executor.run(fit, less)]
        test, _ = pick(prepared.folds, less, selectors)
        rows = hold(test.row[test.picked], pool.table.stream, outcomes, job.config.overlap)
        found[PREFIX + block] = trades_of(pool, rows, outcomes)
        stage.advance()
    return found


def _without(fold: FoldViews, block: str) -> FoldViews:
    return replace(
        fold,
        train=_drop(fold.train, block),
        validation=_drop(fold.validation, block),
        test=_drop(fold.test, block),
    )


def _drop(view: View, block: str) -> View:
    names = view.design.names
    kept = [i for i, name in enumerate(names) if not name.startswith(f"{block}/")]
    x = np.ascontiguousarray(view.design.x[:, kept])
    return replace(view, design=Design(x=x, names=tuple(names[i] for i in kept)))
