"""The stages of an evaluation, in order; the only place that knows them all."""

from __future__ import annotations

import datetime as dt
import inspect
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ffm_core.bars import Instrument
from ffm_core.embed.cutoff import cut_offs
from ffm_core.errors import StrategyError
from ffm_core.evaluate.evidence import Fitted, certificate_of, gather_evidence
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.finding import Finding, Job
from ffm_core.evaluate.lineage import day_fingerprints, days_by_instrument
from ffm_core.evaluate.plan import Prepared, Seal, SealOf, ledger_seal, prepare
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.proofs import prove
from ffm_core.records import (
    CheckResult,
    Evidence,
    Failure,
    Verdict,
    VerdictCheck,
)
from ffm_core.ruler.classic import CLASSIC
from ffm_core.ruler.preregistration import prereg
from ffm_core.ruler.sharpe import effective_trials
from ffm_core.ruler.verdict import decide
from ffm_core.runs.cache import Cache
from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.ledger import Ledger, Ticket
from ffm_core.runs.lineage import DaysTested
from ffm_core.runs.record import NUMERICS

DECISION_FIELDS = ("bar", "side", "risk", "stop_price", "target_r", "horizon_bars", "group",
                   "decision")  # fmt: skip


def preregister(job: Job) -> dict[str, Any]:
    """Return the pre-registration of a job: claim, checks, constants, settings."""
    names = (
        "train_months", "validation_months", "test_months", "embargo_days", "top_share", "n_seeds",
        "permutations", "random_draws", "entry_draws", "resamples", "overlap",
        "flat_at_session_end", "learner", "features", "exit", "slippage_ticks", "accept_overlap",
    )  # fmt: skip
    identity = job.config.identity()
    return prereg(
        job.config.resolved_claim,
        [*job.checks, *job.tightening],
        {name: identity[name] for name in names if name in identity},
    )


def prepare_job(job: Job, promised: dict[str, Any], progress: Progress, *, write: bool) -> Prepared:
    """Prepare streams and folds; with ``write`` the seal is fixed in the ledger."""
    ledger = Ledger(job.home)
    seal_of = ledger_seal(ledger, dry=not write)
    if job.config.unseal and write:
        seal_of = _unsealing(ledger, job, lock_of(job, promised))
    return prepare(
        job.config,
        job.bars,
        job.source,
        code_hash=job.code_hash,
        home=job.home,
        executor=Executor(job.jobs),
        progress=progress,
        seal_of=seal_of,
        prove=partial(prove, job) if write else None,
    )


def lock_of(job: Job, promised: dict[str, Any]) -> str:
    """Hash everything an unsealing is locked to: promise, code and configuration."""
    return sha256_json(
        {
            "prereg": promised["hash"],
            "code": job.code_hash,
            "numerics": NUMERICS,
            "config": job.config.identity(),
        }
    )


def _unsealing(ledger: Ledger, job: Job, prereg_hash: str) -> SealOf:
    from ffm_core.bars.sessions import day_grid

    newest: dict[str, int] = {}
    for bars in job.bars:
        last = int(day_grid(bars)[0][-1])
        symbol = bars.instrument.symbol
        newest[symbol] = max(last, newest.get(symbol, last))

    def seal_of(proposed: dict[str, int], *, write: bool) -> Seal:
        opening = ledger.unseal if write else ledger.would_unseal
        opened = opening(newest, prereg_hash=prereg_hash)
        return Seal(
            day=min(opened.seal_from.values()), opened=True, by_instrument=dict(opened.seal_from)
        )

    return seal_of


def run(job: Job, progress: Progress) -> Finding:
    """Judge a strategy; the trial is in the ledger before any result is seen.

    Raises
    ------
    FFMError
        For data, plug-in and configuration faults; nothing is counted then.
    """
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    promised = preregister(job)
    prepared = prepare_job(job, promised, progress, write=True)
    cache = Cache(job.home)
    certificate = certificate_of(prepared)
    if certificate.status == "broken":
        finding = _refused(job, promised, prepared)
    else:
        for sentence in overlaps_of(prepared):
            accepted = "accepted: " if job.config.accept_overlap else ""
            progress.note(f"warning: {accepted}{sentence}")
        ledger = Ledger(job.home)
        identity = identity_of(job, promised, prepared.seal)
        ticket = _open(ledger, job, prepared, promised, identity)
        ablated = _open_ablations(ledger, job, prepared, promised, identity)
        finding = _judge(job, promised, prepared, ticket, cache, identity, progress)
        finding = replace(finding, ablated=ablated)
    return replace(
        finding,
        started=started,
        seconds=time.perf_counter() - clock,
        cache={"hits": cache.hits, "misses": cache.misses},
    )


def identity_of(job: Job, promised: dict[str, Any], seal: Seal) -> str:
    """Return the trial's identity: lock, data, and the seal its folds end at."""
    return sha256_json(
        {
            "lock": lock_of(job, promised),
            "data": [[b.stream, b.sha256, _terms(b.instrument)] for b in job.bars],
            "seal": {"opened": seal.opened, "from": seal.by_instrument},
        }
    )


def _terms(instrument: Instrument) -> dict[str, Any]:
    """Return what a declared instrument may change in a result, costs above all."""
    words = ("name", "exchange", "group", "source")
    return {key: value for key, value in asdict(instrument).items() if key not in words}


def _open_ablations(
    ledger: Ledger, job: Job, prepared: Prepared, promised: dict[str, Any], identity: str
) -> dict[str, Ticket]:
    """Open a trial for every block that is to be left out.

    A refit without a block is another model whose result is seen, and may be preferred
    for it. It is opened behind the trial it belongs to, so it counts for every later one.
    """
    if job.learner is None:
        return {}
    return {
        block: _open(
            ledger, job, prepared, promised,
            sha256_json({"of": identity, "without": block}), extra={"without": block},
        )
        for block in job.config.ablate
    }  # fmt: skip


def _open(
    ledger: Ledger,
    job: Job,
    prepared: Prepared,
    promised: dict[str, Any],
    identity: str,
    extra: dict[str, Any] | None = None,
) -> Ticket:
    days = prepared.folds.test_days
    streams = prepared.pool.streams
    prints: dict[str, set[str]] = {}
    for stream in streams:
        found = day_fingerprints(stream, days)
        prints.setdefault(stream.bars.instrument.symbol, set()).update(found)
    return ledger.open_trial(
        identity,
        strategy=job.strategy["name"],
        claim=job.config.resolved_claim,
        tested=DaysTested(
            days=days_by_instrument(streams, days),
            fingerprints={symbol: sorted(values) for symbol, values in prints.items()},
        ),
        prereg_hash=promised["hash"],
        effective=effective_trials,
        extra={"code_hash": job.code_hash, **(extra or {})},
    )


def _refused(job: Job, promised: dict[str, Any], prepared: Prepared) -> Finding:
    certificate = certificate_of(prepared)
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
            *_where(job, prepared, first),
        ),
        checks=(check,),
    )
    return Finding(
        job=job, prereg=promised, prepared=prepared, ticket=None, evidence=None, verdict=verdict,
        test=None, outcomes=None, random=None,
    )  # fmt: skip


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


def _where(job: Job, prepared: Prepared, failure: Failure) -> tuple[str, ...]:
    """Return the file and line at which to start looking, unless the code is private."""
    if job.strategy["private"]:
        return ()
    if failure.line:
        return (f"look at {failure.line}",)
    if not failure.subject.startswith("labeler"):
        return ()
    code = getattr(inspect.unwrap(prepared.parts.labeler.decide), "__code__", None)
    if code is None:
        return ()
    place = f"{code.co_name}() in {Path(code.co_filename).name}, line {code.co_firstlineno}"
    usual = "[t + 1], shift(-1), roll(-1) and totals over the whole series"
    return (f"start looking at {place}; the usual ways are {usual}",)


def overlaps_of(prepared: Prepared) -> tuple[str, ...]:
    """Return a sentence for every model that may have been fitted to the test months."""
    begins = prepared.first_test_us
    if begins is None:
        return ()
    cuts = cut_offs(prepared.parts.blocks)
    return tuple(cut.sentence(begins) for cut in cuts if cut.overlaps(begins))


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


def _tightened(check: VerdictCheck, evidence: Evidence) -> CheckResult:
    found: object = check.judge(evidence)
    if not isinstance(found, CheckResult):
        raise StrategyError(
            f"verdict check {check.name!r} returned {type(found).__name__}, expected a CheckResult",
            fix="return ffm_core.records.CheckResult(name=..., outcome=...)",
        )
    return found


def _judge(
    job: Job,
    promised: dict[str, Any],
    prepared: Prepared,
    ticket: Ticket,
    cache: Cache,
    identity: str,
    progress: Progress,
) -> Finding:
    fitted = Fitted.of(job, prepared, cache, identity, progress)
    evidence, random = gather_evidence(job, prepared, ticket, fitted, cache, identity, progress)
    tightening = [
        _tightened(check, evidence) for check in job.tightening if evidence.claim in check.claims
    ]
    verdict = decide(evidence, job.checks, qualifier=job.qualifier, tightening=tightening)
    verdict = held_back(verdict, overlaps_of(prepared), accepted=job.config.accept_overlap)
    compared = () if job.config.checks == "classic" else CLASSIC
    classic = tuple(check.judge(evidence) for check in compared if evidence.claim in check.claims)
    return Finding(
        job=job, prereg=promised, prepared=prepared, ticket=ticket, evidence=evidence,
        verdict=verdict, test=fitted.test, outcomes=fitted.outcomes, random=random,
        classic=classic,
    )  # fmt: skip
