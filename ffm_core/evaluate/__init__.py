"""The pipeline behind ``ffm eval``: every stage in order, nothing reaches back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffm_core.evaluate.job import Job, direct_job, job_of
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.record import Evaluation
from ffm_core.evaluate.run import evaluate

if TYPE_CHECKING:
    from ffm_core.bars import Bars
    from ffm_core.records import Labeler
    from ffm_core.runs.config import EvalConfig

__all__ = ["Evaluation", "Job", "evaluate", "evaluate_bars", "job_of"]


def evaluate_bars(
    bars: Sequence[Bars],
    *,
    labeler: Labeler,
    config: EvalConfig,
    home: Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a labeler on bars held in memory, as worlds and tests do.

    Returns
    -------
    dict
        The run record. Nothing but ledger and cache under ``home`` is written.
    """
    from ffm_core.host.loading import open_host

    learner = None
    if config.learner != "none":
        name = config.learner if config.head is None else f"{config.learner}:{config.head}"
        learner = open_host().learner(name).record
    return evaluate(direct_job(bars, labeler, config, home, learner), progress).record
