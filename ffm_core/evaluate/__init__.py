"""The pipeline behind ``ffm eval``: every stage in order, nothing reaches back."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffm_core.errors import FFMError
from ffm_core.evaluate.ablation import PREFIX
from ffm_core.evaluate.finding import Finding, Job
from ffm_core.evaluate.frames import decisions_frame, trades_frame
from ffm_core.evaluate.job import direct_job, job_of
from ffm_core.evaluate.progress import Progress, Silent
from ffm_core.evaluate.record import daily_of, result_of
from ffm_core.evaluate.run import lock_of, run
from ffm_core.runs.canonical import jsonable, sha256_json
from ffm_core.runs.ledger import Ledger, Ticket
from ffm_core.runs.record import SCHEMA, run_id, versions

if TYPE_CHECKING:
    import polars as pl

    from ffm_core.bars import Bars
    from ffm_core.records import Labeler
    from ffm_core.runs.config import EvalConfig

__all__ = ["Evaluation", "Job", "evaluate", "evaluate_bars", "job_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A judged strategy: the record and the tables stored beside it."""

    record: dict[str, Any]  # schema, result, result_hash, envelope
    decisions: pl.DataFrame
    trades: pl.DataFrame

    @property
    def decision(self) -> str:
        """PASS, FAIL, INCONCLUSIVE or REFUSED."""
        return str(self.record["result"]["verdict"]["decision"])

    @property
    def qualifier(self) -> str:
        """Why a PASS is a qualified one, or nothing."""
        return str(self.record["result"]["verdict"]["qualifier"])


def evaluate(job: Job, progress: Progress | None = None, *, command: str = "") -> Evaluation:
    """Judge a job, close its trial in the ledger, and return the record.

    Parameters
    ----------
    job : Job
        From :func:`job_of`.
    progress : Progress, optional
        Hears about the stages.
    command : str
        How to repeat the run; base names only.

    Raises
    ------
    FFMError
        For faults of data, plug-ins or configuration.
    """
    ledger = Ledger(job.home)
    with _accounted(ledger):
        return _evaluated(job, progress or Silent(), ledger, command)


@contextmanager
def _accounted(ledger: Ledger) -> Iterator[None]:
    """Note trials that were opened and did not come to a result, whatever the reason."""
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with suppress(FFMError):  # the next opening notes it, once this process is gone
            ledger.abort_own("interrupted" if interrupted else type(error).__name__)
        raise


def _evaluated(job: Job, progress: Progress, ledger: Ledger, command: str) -> Evaluation:
    finding = run(job, progress)
    result = jsonable(result_of(finding))
    if job.redact is not None:
        result = job.redact.value(result)
    result_hash = sha256_json(result)
    if finding.ticket is not None:
        _close(ledger, finding, finding.ticket, result_hash, progress)
    envelope = _envelope(finding, ledger, command)
    if job.redact is not None:
        envelope = job.redact.value(envelope)
    record = {
        "schema": SCHEMA,
        "result": result,
        "result_hash": result_hash,
        "envelope": envelope,
    }
    return Evaluation(
        record=record, decisions=decisions_frame(finding), trades=trades_frame(finding)
    )


def _close(
    ledger: Ledger, finding: Finding, ticket: Ticket, result_hash: str, progress: Progress
) -> None:
    days, values, found = daily_of(finding)
    agrees = ledger.close_trial(
        ticket,
        decision=finding.verdict.decision,
        days=days,
        daily_r=values,
        moments=found,
        result_hash=result_hash,
    )
    if not agrees:
        progress.note(
            "warning: an earlier run of this trial found another result: something here is "
            "not deterministic (a library was changed, or the strategy draws at random)"
        )
    _close_ablations(ledger, finding)


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


def _close_ablations(ledger: Ledger, finding: Finding) -> None:
    """Close the trials of ``--ablate``; they were compared with REAL and judged by no check."""
    for block, ticket in finding.ablated.items():
        days, values, found = daily_of(finding, PREFIX + block)
        ledger.close_trial(
            ticket, decision="NONE", days=days, daily_r=values, moments=found,
            result_hash=sha256_json({"days": days, "daily_r": values}),
        )  # fmt: skip


def _embedded(finding: Finding) -> dict[str, Any]:
    """Return how many windows were computed and how many were known already."""
    blocks = finding.prepared.embedded
    if not blocks:
        return {}
    return {
        "embedded": {
            block.embedder.name: {"windows": block.windows, "computed": block.computed}
            for block in blocks
        }
    }


def _envelope(finding: Finding, ledger: Ledger, command: str) -> dict[str, Any]:
    ticket = finding.ticket
    identity = ticket.identity if ticket is not None else lock_of(finding.job, finding.prereg)
    return {
        "run_id": run_id(finding.started, identity),
        "started": finding.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(finding.seconds, 3),
        "command": command,
        "jobs": finding.job.jobs,
        "cache": finding.cache,
        **_embedded(finding),
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "trial": None if ticket is None else ticket.trial_id,
        "trial_count_today": None if ticket is None else ticket.n_trials_now,
        "repeat": bool(ticket and ticket.is_repeat),
        "ledger_head": ledger.head(),
    }
