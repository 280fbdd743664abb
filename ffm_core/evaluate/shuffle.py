"""The SHUFFLE arms: refits on permuted labels, stopped when the answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.fit import FoldViews, Shuffle, fit_shuffled
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.streams import load_json, save_json
from ffm_core.records import Learner, ShuffleResult
from ffm_core.ruler.arms import can_reach
from ffm_core.runs.cache import Cache
from ffm_core.types import Bool

KINDS: tuple[Shuffle, ...] = ("full", "block")
_CHUNK = 8  # permutations per round once the first few did not end the test


@dataclass(slots=True)
class _Run:
    """One permutation test under way."""

    real: float
    planned: int
    draws: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def active(self) -> bool:
        return not self.stopped and len(self.draws) < self.planned

    def add(self, value: float) -> int:
        """Take one more draw, or none once p cannot become small enough; return how many."""
        if not self.active:
            return 0
        self.draws.append(value)
        last = len(self.draws) == self.planned
        draws = np.array(self.draws)
        self.stopped = not last and not can_reach(self.real, draws, self.planned)
        return 1

    def result(self) -> ShuffleResult:
        draws = np.array(self.draws, dtype=np.float64)
        return ShuffleResult(
            real=self.real, draws=draws, planned=self.planned, stopped=self.stopped
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleArms:
    """Runs both permutation tests over all folds.

    Parameters
    ----------
    mean_of : callable
        What each fold's picked test rows (bool arrays) come to: mean net R of what is held.
    identity : str
        Hash of the trial; a finished draw is found again under it.
    """

    learner: Learner
    folds: Sequence[FoldViews]
    mean_of: Callable[[Sequence[Bool]], float]
    seed: int
    share: float
    planned: int
    identity: str
    cache: Cache
    executor: Executor[FoldViews, list[Bool]]

    def run(self, real: float, progress: Progress) -> dict[str, ShuffleResult]:
        """Return the two tests; draws run in index order, whatever the workers."""
        runs = {kind: _Run(real, self.planned) for kind in KINDS}
        stage = progress.stage("shuffled labels", self.planned * len(KINDS))
        size = 1
        while any(run.active for run in runs.values()):
            wanted = [
                (kind, draw)
                for kind, run in runs.items()
                if run.active
                for draw in range(len(run.draws), min(len(run.draws) + size, self.planned))
            ]
            for (kind, _), value in zip(wanted, self._values(wanted), strict=True):
                stage.advance(runs[kind].add(value))
            size = min(2 * size, _CHUNK)
        for run in runs.values():
            stage.advance(self.planned - len(run.draws))
        return {kind: run.result() for kind, run in runs.items()}

    def _values(self, wanted: list[tuple[Shuffle, int]]) -> list[float]:
        """Return mean R per draw, from the cache where it is known."""
        keys = {draw: self.cache.key("shuffle", self.identity, *draw) for draw in wanted}
        known = {draw: load_json(self.cache, key) for draw, key in keys.items()}
        missing = tuple(draw for draw in wanted if known[draw] is None)
        if missing:
            for draw, value in self._fit(missing).items():
                known[draw] = {"mean_r": value}
                save_json(self.cache, keys[draw], known[draw])
        return [float(known[draw]["mean_r"]) for draw in wanted]

    def _fit(self, draws: tuple[tuple[Shuffle, int], ...]) -> dict[tuple[Shuffle, int], float]:
        fit = partial(
            fit_shuffled, learner=self.learner, seed=self.seed, share=self.share, draws=draws
        )
        picked = list(self.executor.run(fit, self.folds))  # by fold, then by draw
        return {draw: self.mean_of([fold[i] for fold in picked]) for i, draw in enumerate(draws)}
