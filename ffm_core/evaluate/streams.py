"""One stream: its decisions, then what became of them and what was known at them.

Streams are independent of one another; these functions run in worker processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.sessions import day_grid, exchange_hours, holes, trading_days
from ffm_core.causal.cutting.series import part
from ffm_core.causal.process.access import own_line, roots_of
from ffm_core.causal.process.budget import Budget, OverBudget, limited, over_budget
from ffm_core.errors import SampleError
from ffm_core.evaluate.asking import ask
from ffm_core.evaluate.parts import Parts, Source
from ffm_core.evaluate.terms import Terms, terms_of
from ffm_core.records import Decisions, Outcomes, answers
from ffm_core.runs.config import EvalConfig
from ffm_core.types import Float32, Float64, Int8, Int32, Int64

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.progress import Progress

ATR_BARS = 14  # the yardstick of risk everywhere: Wilder's average true range
_OTHER_BARS = 4_096  # of another stream, enough for any future that is spliced in


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTask:
    """All that working on one stream needs; it travels to a worker."""

    source: Source
    config: EvalConfig
    code_hash: str
    home: Path
    bars: Bars
    other: Bars | None = None  # bars of another stream, whose future the falsifier splices in
    redact: Any = None  # what hides private names in what is kept

    @property
    def parts(self) -> Parts:
        """The records of the evaluation."""
        return self.source.parts

    @property
    def terms(self) -> Terms:
        """How decisions are executed."""
        return terms_of(self.parts, self.config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A prepared stream; per-bar arrays are (T,), per-decision ones (N,)."""

    bars: Bars
    decisions: Decisions
    labels: Outcomes  # under the static policy: what heads are trained on
    outcomes: Outcomes  # under the run's exits; for predicted targets see ``predicted_outcomes``
    exit_columns: Float64 | None  # of the run's exit, (T, K)
    holes: Int64  # up to each bar
    day: Int32
    hour: Int8
    grid_days: Int32
    grid_start_us: Int64
    atr: Float64
    features: Mapping[str, Float32]  # block name → (N, F) at the decision bars


def tasks_of(job: Job) -> tuple[StreamTask, ...]:
    """Return the work on every stream of a job, in the order of its bars."""
    return tuple(
        StreamTask(
            source=job.source,
            config=job.config,
            code_hash=job.code_hash,
            home=job.home,
            bars=bars,
            other=_other(job.bars, bars),
            redact=job.redact,
        )
        for bars in job.bars
    )


def _other(every: Sequence[Bars], bars: Bars) -> Bars | None:
    """Return the end of the next stream of another instrument, or None."""
    symbol = bars.instrument.symbol
    others = [other for other in every if other.instrument.symbol != symbol]
    later = (other for other in others if other.instrument.symbol > symbol)
    found = next(later, others[0] if others else None)
    return None if found is None else found[max(len(found) - _OTHER_BARS, 0) :]


def decide_all(job: Job, progress: Progress) -> list[Decisions]:
    """Ask the labeler for the decisions of every stream.

    Raises
    ------
    SampleError
        When there is none on any stream.
    StrategyError
        When the labeler raises, breaks its contract, or goes over its budget.
    """
    tasks = tasks_of(job)
    stage = progress.stage("decisions", len(tasks))
    found = []
    for decisions in job.executor.run(decide, tasks):
        found.append(decisions)
        stage.advance()
    if not any(len(decisions) for decisions in found):
        raise SampleError(
            f"labeler {job.parts.labeler.name!r} found no decision in {len(tasks)} stream(s)",
            fix="bring a longer span, or check the strategy's parameters",
        )
    return found


def decide(task: StreamTask) -> Decisions:
    """Ask the labeler for the decisions of a stream, within its budget.

    Raises
    ------
    StrategyError
        When it raises, breaks its contract, or goes over its budget.
    """
    budget, labeler = Budget(), task.parts.labeler
    placed = partial(own_line, roots=() if labeler.private else roots_of([labeler.decide]))
    given = part(task.bars, 0, len(task.bars))  # what it edits is no bar of ours
    try:
        with limited(budget.seconds_for(len(given)), budget.memory_bytes, placed):
            found: Decisions = task.parts.call(ask, labeler, given, task.terms.params)
    except OverBudget as over:
        raise over_budget(f"labeler {labeler.name!r}", over) from over
    return found


def prepare(job: Job, decisions: Sequence[Decisions], progress: Progress) -> list[Stream]:
    """Return every stream with what became of its decisions and what was known at them."""
    work = list(zip(tasks_of(job), decisions, strict=True))
    stage = progress.stage("outcomes and features", len(work))
    streams = []
    for stream in job.executor.run(prepare_stream, work):
        streams.append(stream)
        stage.advance()
    return streams


def prepare_stream(work: tuple[StreamTask, Decisions]) -> Stream:
    """Fill the decisions of one stream and compute its features."""
    task, decisions = work
    bars, terms = task.bars, task.terms
    broken = holes(bars)
    labels = terms.label(bars, decisions, broken=broken)
    as_labels = terms.labels_are_trades or terms.exit.kind == "predicted"
    columns = terms.columns(bars)
    grid_days, grid_start = day_grid(bars)
    return Stream(
        bars=bars,
        decisions=decisions,
        labels=labels,
        outcomes=labels
        if as_labels
        else terms.fill(bars, decisions, columns=columns, broken=broken),
        exit_columns=columns,
        holes=broken,
        day=trading_days(bars),
        hour=exchange_hours(bars),
        grid_days=grid_days,
        grid_start_us=grid_start,
        atr=atr_wilder(bars.high, bars.low, bars.close, ATR_BARS),
        features={
            chosen.name: np.ascontiguousarray(table[decisions.bar])  # (N, F)
            for chosen in task.parts.feature_sets
            for table in (answers.features(chosen, chosen.batch(bars), bars),)
        },
    )


__all__ = ["Stream", "StreamTask", "decide", "decide_all", "prepare", "prepare_stream", "tasks_of"]
