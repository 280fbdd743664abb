"""An evaluation from top to bottom: every stage in order, nothing reaches back."""

from __future__ import annotations

import datetime as dt
import inspect
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ffm_core.causal.falsify import merge
from ffm_core.embed.cutoff import cut_offs
from ffm_core.errors import StrategyError
from ffm_core.evaluate.arms import hold_positions
from ffm_core.evaluate.certify import certify, certify_folds
from ffm_core.evaluate.embedding import embed_streams
from ffm_core.evaluate.evidence import gather_evidence
from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.fit import fit, fold_views
from ffm_core.evaluate.folding import fix_seal, fold
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.pick import pick
from ffm_core.evaluate.pool import Folded
from ffm_core.evaluate.progress import Progress, Silent
from ffm_core.evaluate.record import Evaluation, record, result_of
from ffm_core.evaluate.streams import decide_all, prepare
from ffm_core.evaluate.trial import (
    accounted,
    close_ablations,
    close_trial,
    open_ablations,
    open_trial,
    preregister,
)
from ffm_core.records import (
    Certificate,
    CheckResult,
    Decisions,
    Evidence,
    Failure,
    Verdict,
    VerdictCheck,
)
from ffm_core.ruler.classic import CLASSIC
from ffm_core.ruler.verdict import decide
from ffm_core.runs.canonical import sha256_json


def evaluate(job: Job, progress: Progress | None = None, *, command: str = "") -> Evaluation:
    """Judge a job, close its trial in the ledger, and return the record.

    Parameters
    ----------
    job : Job
        From :func:`~ffm_core.evaluate.job.job_of`.
    progress : Progress, optional
        Hears about the stages.
    command : str
        How to repeat the run; base names only.

    Raises
    ------
    FFMError
        For faults of data, plug-ins or configuration.
    """
    with accounted(job.ledger):
        return run(job, progress or Silent(), command)


def run(job: Job, progress: Progress, command: str = "") -> Evaluation:
    """Judge a strategy; the trial is in the ledger before any result is seen."""
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    promise = preregister(job)

    # What is judged, and the proof that none of it reads the future.
    decisions = decide_all(job, progress)
    certificate = certify(job, decisions, progress)
    if certificate.status == "broken":
        refused = refuse(job, promise, decisions, certificate)
        return record(refused, result_of(refused), command, started, clock)

    # What became of the decisions, what was known at them, and the months they are judged on.
    streams, embedded = embed_streams(job, prepare(job, decisions, progress), progress)
    folded = fold(job, promise, streams, embedded)
    certificate = merge([certificate, certify_folds(job, folded)])
    if certificate.status == "broken":
        refused = refuse(job, promise, decisions, certificate, folded)
        return record(refused, result_of(refused), command, started, clock)
    warn_of_overlap(job, folded, progress)

    # From here on results are seen: the trial counts, whatever comes of it.
    folded = fix_seal(job, promise, folded)
    ticket = open_trial(job, promise, folded)
    ablated = open_ablations(job, promise, folded, ticket)

    # The model is fitted on train, picks at its operating point, and holds what is free.
    views = fold_views(folded.pool, folded.plan.folds, job.learner)
    selectors = fit(job, views, ticket, progress)
    test, validation = pick(folded.plan, views, selectors)
    real = hold_positions(job, folded.pool, test, validation)

    # Every other arm, on the same rows, exits, costs and positions; then the verdict.
    evidence = gather_evidence(job, folded, views, real, certificate, ticket, progress)
    verdict = judge(job, folded, evidence)
    finding = Finding(
        job=job, promise=promise, decisions=decisions, certificate=certificate, verdict=verdict,
        folded=folded, ticket=ticket, evidence=evidence, real=real, classic=compare(job, evidence),
    )  # fmt: skip

    result = result_of(finding)
    if not close_trial(job, ticket, evidence, verdict, sha256_json(result)):
        progress.note(
            "warning: an earlier run of this trial found another result: something here is "
            "not deterministic (a library was changed, or the strategy draws at random)"
        )
    close_ablations(job, ablated, evidence)
    return record(finding, result, command, started, clock)


def judge(job: Job, folded: Folded, evidence: Evidence) -> Verdict:
    """Ask every check of the pre-registration, those of extensions too, and decide."""
    tightening = [
        _tightened(check, evidence) for check in job.tightening if evidence.claim in check.claims
    ]
    verdict = decide(evidence, job.checks, qualifier=job.qualifier, tightening=tightening)
    return held_back(verdict, overlaps_of(job, folded), accepted=job.config.accept_overlap)


def _tightened(check: VerdictCheck, evidence: Evidence) -> CheckResult:
    found: object = check.judge(evidence)
    if not isinstance(found, CheckResult):
        raise StrategyError(
            f"verdict check {check.name!r} returned {type(found).__name__}, expected a CheckResult",
            fix="return ffm_core.records.CheckResult(name=..., outcome=...)",
        )
    return found


def compare(job: Job, evidence: Evidence) -> tuple[CheckResult, ...]:
    """Return the reference's checks for comparison, unless they are the ones that judge."""
    compared = () if job.config.checks == "classic" else CLASSIC
    return tuple(check.judge(evidence) for check in compared if evidence.claim in check.claims)


def warn_of_overlap(job: Job, folded: Folded, progress: Progress) -> None:
    """Warn of every model that may have been fitted to the test months."""
    for sentence in overlaps_of(job, folded):
        accepted = "accepted: " if job.config.accept_overlap else ""
        progress.note(f"warning: {accepted}{sentence}")


def overlaps_of(job: Job, folded: Folded) -> tuple[str, ...]:
    """Return a sentence for every model that may have been fitted to the test months."""
    begins = folded.first_test_us
    cuts = cut_offs(job.parts.blocks)
    return tuple(cut.sentence(begins) for cut in cuts if cut.overlaps(begins))


def refuse(
    job: Job,
    promise: dict[str, Any],
    decisions: Sequence[Decisions],
    certificate: Certificate,
    folded: Folded | None = None,
) -> Finding:
    """Return the finding of a broken certificate; no trial was opened for it."""
    first = certificate.failures[0]
    check = CheckResult(
        name="certificate",
        outcome="refused",
        value=float(len(certificate.failures)),
        threshold=0.0,
        reason=_found(first),
    )
    verdict = Verdict(
        decision="REFUSED",
        reasons=(
            f"{_charge(first)}; nothing else was computed",
            *(_found(failure) for failure in certificate.failures[:5]),
            *((first.fix,) if first.fix else ()),
            *_where(job, first),
        ),
        checks=(check,),
    )
    return Finding(
        job=job, promise=promise, decisions=decisions, certificate=certificate, verdict=verdict,
        folded=folded,
    )  # fmt: skip


DECISION_FIELDS = ("bar", "side", "risk", "stop_price", "target_r", "horizon_bars", "group",
                   "decision")  # fmt: skip
# Failures that need not be look-ahead.
_UNKEPT = ("access", "budget", "determinism", "history", "purity", "stream", "values")
UNSEEN = "unseen"  # what a verdict is held back by where a model may have seen the test months
_OVERLAP_FIX = (
    "judge it on later months (--from DATE), choose a model that is older or has seen no market, "
    "or take the risk with --accept-overlap"
)


def _charge(failure: Failure) -> str:
    """Say in general what is wrong."""
    kind = failure.subject.partition(" ")[0]
    charges = {
        "exit": "the exit policy answers with more than a trader could know",
        "learner": "the learner's answers depend on more than the row it is asked about",
        "embedder": "the embedder's vectors depend on more than the window it is asked about",
        "fold": "labels reach across the edge of a fold",
    }
    if kind not in ("exit", "learner", "fold") and failure.check in _UNKEPT:
        return "the strategy or a feature does not do what it promises"
    return charges.get(kind, "the strategy or a feature reads the future")


def _found(failure: Failure) -> str:
    """Say what was found and in which value; declared columns as ``labeler/<column>``."""
    column = failure.column
    if column and failure.subject.startswith("labeler") and column not in DECISION_FIELDS:
        column = f"labeler/{column}"
    return f"{failure.subject}{f', {column}' if column else ''}: {failure.message}"


def _where(job: Job, failure: Failure) -> tuple[str, ...]:
    """Return the file and line at which to start looking, unless the code is private."""
    if job.strategy["private"]:
        return ()
    if failure.line:
        return (f"look at {failure.line}",)
    if not failure.subject.startswith("labeler"):
        return ()
    code = getattr(inspect.unwrap(job.parts.labeler.decide), "__code__", None)
    if code is None:
        return ()
    place = f"{code.co_name}() in {Path(code.co_filename).name}, line {code.co_firstlineno}"
    usual = "[t + 1], shift(-1), roll(-1) and totals over the whole series"
    return (f"start looking at {place}; the usual ways are {usual}",)


def held_back(verdict: Verdict, overlaps: tuple[str, ...], *, accepted: bool) -> Verdict:
    """Return the verdict that is left when a model may have seen the test months.

    Neither a PASS nor a FAIL can rest on them then: it is INCONCLUSIVE, unless the overlap
    was accepted, which is said as a reason and qualifies a PASS.
    """
    if not overlaps or verdict.decision == "REFUSED":
        return verdict
    if accepted:
        told = tuple(f"accepted by --accept-overlap: {sentence}" for sentence in overlaps)
        return replace(verdict, reasons=(*told, *verdict.reasons))
    check = CheckResult(
        name=UNSEEN, outcome="inconclusive", value=float(len(overlaps)), threshold=0.0,
        reason=overlaps[0],
    )  # fmt: skip
    kept = verdict.reasons if verdict.decision == "INCONCLUSIVE" else ()
    return replace(
        verdict,
        decision="INCONCLUSIVE",
        reasons=(*overlaps, _OVERLAP_FIX, *kept),
        checks=(*verdict.checks, check),
    )
