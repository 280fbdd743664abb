"""The falsifier alone: prove a strategy causal on bars, judge nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from ffm_core.bars import Bars
from ffm_core.causal.falsify import falsify, merge
from ffm_core.causal.subjects.functions import CUTS, FunctionSubject, default_layout
from ffm_core.evaluate.certify import certify_embedders, certify_stream
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.streams import StreamTask, decide, tasks_of
from ffm_core.records import Certificate, Decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One stream's certificate, and what it was about."""

    stream: str
    bars: int
    decisions: int
    certificate: Certificate


def check(job: Job, progress: Progress) -> tuple[Checked, ...]:
    """Falsify the labeler, feature sets, embedders and exit policy of a job on every stream.

    Embedders are shown windows of the stream with most bars; what was found of them
    stands with that stream.

    Nothing is judged: no outcome is looked at, no trial is opened, no seal is set.

    Parameters
    ----------
    job : Job
        As :func:`ffm_core.evaluate.job_of` opens it.
    progress : Progress
        Hears about every stream.

    Returns
    -------
    tuple of Checked
        One per stream, in the order of the job's bars.

    Raises
    ------
    StrategyError
        When the plug-in raises or breaks its contract.
    """
    tasks = tasks_of(job)
    stage = progress.stage("causality", len(tasks))
    found, made = [], []
    for checked, decisions in job.executor.run(_check_stream, tasks):
        found.append(checked)
        made.append(decisions)
        stage.advance()
    if job.parts.embedders:
        most = max(range(len(tasks)), key=lambda i: len(tasks[i].bars))
        proofs = certify_embedders(tasks[most], made[most])
        merged = merge([found[most].certificate, *proofs])
        found[most] = replace(found[most], certificate=merged)
    return tuple(found)


def check_function(
    function: Callable[..., object], bars: Sequence[Bars], seed: int, progress: Progress
) -> tuple[Checked, ...]:
    """Falsify a function of a frame on every stream.

    Parameters
    ----------
    function : callable
        Takes a pandas or polars frame and returns a column.
    bars : sequence of Bars
        The streams.
    seed : int
        The same seed makes the same cuts.
    progress : Progress
        Hears about every stream.

    Raises
    ------
    StrategyError
        When it raises, or returns no column of numbers.
    UnavailableError
        When it takes pandas frames and pandas is not installed.
    """
    stage, found = progress.stage("causality", len(bars)), []
    for stream in bars:
        subject = FunctionSubject(function, default_layout(function, stream))
        (proof,) = falsify([subject], stream, seed=seed, max_cuts=CUTS)
        found.append(
            Checked(stream=stream.stream, bars=len(stream), decisions=0, certificate=proof)
        )
        stage.advance()
    return tuple(found)


def _check_stream(task: StreamTask) -> tuple[Checked, Decisions]:
    decisions = decide(task)
    checked = Checked(
        stream=task.bars.stream,
        bars=len(task.bars),
        decisions=len(decisions),
        certificate=certify_stream((task, decisions)),
    )
    return checked, decisions


def redacted(job: Job, found: tuple[Checked, ...]) -> tuple[Checked, ...]:
    """Take a private strategy's names out of what was found."""
    if job.redact is None:
        return found
    hide = job.redact.value
    return tuple(
        replace(item, certificate=Certificate.read(hide(asdict(item.certificate))))
        for item in found
    )
