"""An evaluation from top to bottom: every stage in order, nothing reaches back."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ffm_core.causal.falsify import merge
from ffm_core.embed.cutoff import cut_offs
from ffm_core.errors import FFMError
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
    count_again,
    open_ablations,
    open_trial,
    preregister,
)
from ffm_core.host.boundary import is_strict
from ffm_core.records import (
    Certificate,
    CheckResult,
    Decisions,
    Evidence,
    Failure,
    Reason,
    Verdict,
    VerdictCheck,
    answers,
    because,
)
from ffm_core.ruler.tradable import held_by_data
from ffm_core.ruler.verdict import decide, held_back, refused, unsteady
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
        finding = refuse(job, promise, decisions, certificate)
        return record(finding, result_of(finding), command, started, clock)

    # What became of the decisions, what was known at them, and the months they are judged on.
    streams, embedded = embed_streams(job, prepare(job, decisions, progress), progress)
    folded = fold(job, promise, streams, embedded)
    certificate = merge([certificate, certify_folds(job, folded)])
    if certificate.status == "broken":
        finding = refuse(job, promise, decisions, certificate, folded)
        return record(finding, result_of(finding), command, started, clock)
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
        folded=folded, ticket=ticket, evidence=evidence, real=real,
    )  # fmt: skip

    result = result_of(finding)
    found = sha256_json(result)
    if not close_trial(job, ticket, evidence, verdict, found):
        count_again(job, promise, folded, ticket, evidence, found)
        finding = replace(finding, verdict=unsteady(verdict))
        result = result_of(finding)
    close_ablations(job, ablated, evidence)
    return record(finding, result, command, started, clock)


def judge(job: Job, folded: Folded, evidence: Evidence) -> Verdict:
    """Ask every check of the pre-registration, those of extensions too, and decide."""
    private = job.redact is not None
    checks = [replace(c, judge=partial(_judged, c, private=private)) for c in job.checks]
    tightening = [
        _judged(check, evidence, private=private)
        for check in job.tightening
        if evidence.claim in check.claims
    ]
    verdict = decide(evidence, checks, qualifier=job.qualifier, tightening=tightening)
    verdict = held_by_data(verdict, folded.pool.table.void[folded.test_rows])
    return held_back(verdict, overlaps_of(job, folded), accepted=job.config.accept_overlap)


def _judged(check: VerdictCheck, evidence: Evidence, *, private: bool) -> CheckResult:
    """Ask a check; a plug-in's that fails to answer holds the verdict back.

    The results have been seen, so the trial counts and is closed with all the others say.
    """
    try:
        return answers.check_result(check, check.judge(evidence))
    except FFMError as error:
        if is_strict():
            raise
        said = re.sub("0x[0-9a-f]+", "0x…", error.problem)  # a place in memory differs each time
        reason = because("check_raised", **({} if private else {"error": said}))
        return CheckResult(name=check.name, outcome="inconclusive", reason=reason)


def warn_of_overlap(job: Job, folded: Folded, progress: Progress) -> None:
    """Warn of every model that may have been fitted to the test months."""
    overlaps = overlaps_of(job, folded)
    if overlaps and job.config.accept_overlap:
        progress.note(because("overlap_accepted"))
    for overlap in overlaps:
        progress.note(overlap)


def overlaps_of(job: Job, folded: Folded) -> tuple[Reason, ...]:
    """Return a reason for every model that may have been fitted to the test months."""
    begins = folded.first_test_us
    cuts = cut_offs(job.parts.blocks)
    return tuple(cut.reason(begins) for cut in cuts if cut.overlaps(begins))


def refuse(
    job: Job,
    promise: dict[str, Any],
    decisions: Sequence[Decisions],
    certificate: Certificate,
    folded: Folded | None = None,
) -> Finding:
    """Return the finding of a broken certificate; no trial was opened for it."""
    verdict = refused(certificate)
    if (place := _where(job, certificate.failures[0])) is not None:
        verdict = replace(verdict, reasons=(*verdict.reasons, place))
    return Finding(
        job=job, promise=promise, decisions=decisions, certificate=certificate, verdict=verdict,
        folded=folded,
    )  # fmt: skip


def _where(job: Job, failure: Failure) -> Reason | None:
    """Return where to start looking when no line is known, unless the code is private."""
    if job.strategy["private"] or failure.line or failure.subject.kind != "labeler":
        return None
    code = getattr(inspect.unwrap(job.parts.labeler.decide), "__code__", None)
    if code is None:
        return None
    file = Path(code.co_filename).name
    return because("start_looking", function=code.co_name, file=file, line=code.co_firstlineno)
