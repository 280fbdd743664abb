"""The falsifier alone: prove a strategy causal on bars, judge nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ffm_core.causal.falsify import merge
from ffm_core.evaluate.embedding import certify_embedders
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.finding import Job
from ffm_core.evaluate.plan import tasks_of
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.streams import StreamTask, certify_stream, decide
from ffm_core.records import Certificate


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
    parts = job.source.open()
    tasks = tasks_of(
        job.config, job.bars, job.source, parts, code_hash=job.code_hash, home=job.home
    )
    stage = progress.stage("causality", len(tasks))
    executor: Executor[StreamTask, Checked] = Executor(job.jobs)
    found = []
    for answer in executor.run(_check_stream, tasks):
        found.append(answer)
        stage.advance()
    if parts.embedders:
        most = max(range(len(tasks)), key=lambda i: len(tasks[i].bars))
        proofs = certify_embedders(tasks[most], parts, decide(tasks[most], parts))
        merged = merge([found[most].certificate, *proofs])
        found[most] = replace(found[most], certificate=merged)
    return tuple(found)


def _check_stream(task: StreamTask) -> Checked:
    parts = task.source.open()
    decisions = decide(task, parts)
    return Checked(
        stream=task.bars.stream,
        bars=len(task.bars),
        decisions=len(decisions),
        certificate=certify_stream(task, parts, decisions),
    )


def redacted(job: Job, found: tuple[Checked, ...]) -> tuple[Checked, ...]:
    """Take a private strategy's names out of what was found."""
    if job.redact is None:
        return found
    hide = job.redact.text
    return tuple(
        replace(
            item,
            certificate=replace(
                item.certificate,
                failures=tuple(
                    replace(
                        failure,
                        **{
                            name: hide(value)
                            for name in failure.__dataclass_fields__
                            if isinstance(value := getattr(failure, name), str)
                        },
                    )
                    for failure in item.certificate.failures
                ),
            ),
        )
        for item in found
    )
