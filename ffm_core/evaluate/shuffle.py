"""The SHUFFLE arms: refits on permuted labels, stopped when the answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ffm_core.evaluate.fit import FoldViews, Shuffle, fit_shuffled, fit_versions
from ffm_core.records import Learner, ShuffleResult
from ffm_core.ruler.arms import can_reach
from ffm_core.runs.ledger import Ticket
from ffm_core.types import Bool

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.progress import Progress

KINDS: tuple[Shuffle, ...] = ("full", "block")
_CHUNK = 8  # permutations per round once the first few did not end the test


def _active(test: ShuffleResult) -> bool:
    return not test.stopped and len(test.draws) < test.planned


def one_more(test: ShuffleResult, value: float) -> ShuffleResult:
    """Return a test with one more draw, or as it is once p cannot become small enough."""
    if not _active(test):
        return test
    draws = np.append(test.draws, value)
    last = len(draws) == test.planned
    stopped = not last and not can_reach(test.real, draws, test.planned)
    return replace(test, draws=draws, stopped=stopped)


def permutation_tests(
    job: Job,
    learner: Learner,
    views: Sequence[FoldViews],
    ticket: Ticket,
    *,
    real: float,
    mean_of: Callable[[Sequence[Bool]], float],
    progress: Progress,
) -> dict[str, ShuffleResult]:
    """Run both permutation tests over all folds.

    Draws run in index order, whatever the workers; a finished one is found again under
    the trial's identity.

    Parameters
    ----------
    real : float
        Mean net R of REAL with one seed.
    mean_of : callable
        What each fold's picked test rows (bool arrays) come to: mean net R of what is held.
    """
    planned = job.config.permutations
    none = ShuffleResult(real=real, draws=np.empty(0), planned=planned, stopped=False)
    tests: dict[str, ShuffleResult] = dict.fromkeys(KINDS, none)
    values = _Values(job, learner, views, ticket, mean_of)
    stage = progress.stage("shuffled labels", planned * len(KINDS))
    size = 1
    while any(map(_active, tests.values())):
        wanted = [
            (kind, draw)
            for kind in KINDS
            if _active(tests[kind])
            for draw in range(len(tests[kind].draws), min(len(tests[kind].draws) + size, planned))
        ]
        for (kind, _), value in zip(wanted, values.of(wanted), strict=True):
            before, tests[kind] = tests[kind], one_more(tests[kind], value)
            stage.advance(len(tests[kind].draws) - len(before.draws))
        size = min(2 * size, _CHUNK)
    for test in tests.values():
        stage.advance(planned - len(test.draws))
    return tests


class _Values:
    """Mean R per draw, fitted once and kept."""

    def __init__(
        self,
        job: Job,
        learner: Learner,
        views: Sequence[FoldViews],
        ticket: Ticket,
        mean_of: Callable[[Sequence[Bool]], float],
    ) -> None:
        self._job, self._learner, self._views, self._mean_of = job, learner, views, mean_of
        self._identity = job.cache.key(ticket.identity, fit_versions())

    def of(self, wanted: list[tuple[Shuffle, int]]) -> list[float]:
        cache = self._job.cache
        keys = {draw: cache.key("shuffle", self._identity, *draw) for draw in wanted}
        known = {draw: cache.get_json(key) for draw, key in keys.items()}
        missing = tuple(draw for draw in wanted if known[draw] is None)
        if missing:
            for draw, value in self._fit(missing).items():
                known[draw] = {"mean_r": value}
                cache.put_json(keys[draw], known[draw])
        return [float(known[draw]["mean_r"]) for draw in wanted]

    def _fit(self, draws: tuple[tuple[Shuffle, int], ...]) -> dict[tuple[Shuffle, int], float]:
        config = self._job.config
        fit = partial(
            fit_shuffled, learner=self._learner, seed=config.seed, share=config.top_share,
            draws=draws,
        )  # fmt: skip
        picked = list(self._job.executor.run(fit, self._views))  # by fold, then by draw
        return {draw: self._mean_of([fold[i] for fold in picked]) for i, draw in enumerate(draws)}
