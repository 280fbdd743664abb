"""The stages of an evaluation, in order; the only place that knows them all."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.bars import Bars
from ffm_core.errors import SampleError
from ffm_core.evaluate.arms import (
    Exits,
    Slice,
    drop_void,
    entry_trades,
    everything,
    gather_slices,
    predicted_results,
    random_picks,
)
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.fit import (
    ControlTask,
    FoldAnswer,
    FoldData,
    RealTask,
    fit_control,
    fit_real,
)
from ffm_core.evaluate.lineage import day_fingerprints, days_by_instrument
from ffm_core.evaluate.plan import Prepared, Seal, ledger_seal, prepare
from ffm_core.evaluate.pool import Results
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.shuffle import ShuffleArms
from ffm_core.evaluate.streams import Source
from ffm_core.evaluate.trades import mean_r, trades_of
from ffm_core.labels.policies import DYNAMIC_TARGET
from ffm_core.records import (
    CheckResult,
    Control,
    Evidence,
    Learner,
    ShuffleResult,
    Trades,
    Verdict,
    VerdictCheck,
)
from ffm_core.ruler.arms import draw_means
from ffm_core.ruler.classic import CLASSIC
from ffm_core.ruler.registry import prereg
from ffm_core.ruler.sharpe import effective_trials
from ffm_core.ruler.verdict import decide
from ffm_core.runs.cache import Cache
from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger, Ticket
from ffm_core.runs.lineage import DaysTested
from ffm_core.runs.record import NUMERICS, versions
from ffm_core.types import Bool, Int64

NUMERIC_LIBRARIES = ("numpy", "numba", "xgboost", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything an evaluation needs, found and opened.

    ``checks`` is the pre-registered set, ``tightening`` are checks of extensions.
    ``strategy`` and ``data`` are facts for the run record.
    """

    config: EvalConfig
    bars: Sequence[Bars]
    source: Source
    learner: Learner | None
    controls: Sequence[Control]
    checks: Sequence[VerdictCheck]
    tightening: Sequence[VerdictCheck]
    strategy: dict[str, Any]
    data: Sequence[dict[str, Any]]
    code_hash: str
    home: Path
    jobs: int
    qualifier: str = ""
    redact: Any = None  # a Redactor when a private labeler is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the evaluation found; :mod:`ffm_core.evaluate.record` writes it down."""

    job: Job
    prereg: dict[str, Any]
    prepared: Prepared
    ticket: Ticket | None  # None when refused before anything was judged
    evidence: Evidence | None
    verdict: Verdict
    test: Slice | None
    results: Results | None
    picks: Int64 | None
    classic: tuple[CheckResult, ...] = ()
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    seconds: float = 0.0
    cache: dict[str, int] = field(default_factory=dict)


def preregister(job: Job) -> dict[str, Any]:
    """Return the pre-registration of a job: claim, checks, constants, settings."""
    names = (
        "train_months", "validation_months", "test_months", "embargo_days", "top_share", "n_seeds",
        "permutations", "random_draws", "entry_draws", "resamples", "overlap",
        "flat_at_session_end", "learner", "features", "exit", "slippage_ticks",
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
    seal_of = ledger_seal(ledger, write=write)
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


def _unsealing(ledger: Ledger, job: Job, prereg_hash: str) -> Any:
    from ffm_core.bars.sessions import day_grid

    newest: dict[str, int] = {}
    for bars in job.bars:
        last = int(day_grid(bars)[0][-1])
        symbol = bars.instrument.symbol
        newest[symbol] = max(last, newest.get(symbol, last))

    def seal_of(proposed: dict[str, int]) -> Seal:
        opened = ledger.unseal(newest, prereg_hash=prereg_hash)
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
    certificate = _certificate(prepared)
    if certificate.status == "broken":
        finding = _refused(job, promised, prepared)
    else:
        ledger = Ledger(job.home)
        identity = identity_of(job, promised, prepared.seal)
        ticket = _open(ledger, job, prepared, promised, identity)
        try:
            finding = _judge(job, promised, prepared, ticket, cache, identity, progress)
        except BaseException as error:
            ledger.abort_trial(ticket, _why(error))
            raise
    return replace(
        finding,
        started=started,
        seconds=time.perf_counter() - clock,
        cache={"hits": cache.hits, "misses": cache.misses},
    )


def _why(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__


def identity_of(job: Job, promised: dict[str, Any], seal: Seal) -> str:
    """Return the trial's identity: lock, data, and the seal its folds end at."""
    return sha256_json(
        {
            "lock": lock_of(job, promised),
            "data": sorted([b.stream, b.sha256] for b in job.bars),
            "seal": {"opened": seal.opened, "from": seal.by_instrument},
        }
    )


def _certificate(prepared: Prepared) -> Any:
    from ffm_core.causal.falsify import merge

    return merge([stream.certificate for stream in prepared.pool.streams])


def _open(
    ledger: Ledger, job: Job, prepared: Prepared, promised: dict[str, Any], identity: str
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
        extra={"code_hash": job.code_hash},
    )


def _refused(job: Job, promised: dict[str, Any], prepared: Prepared) -> Finding:
    certificate = _certificate(prepared)
    first = certificate.failures[0]
    check = CheckResult(
        name="certificate",
        outcome="refused",
        value=float(len(certificate.failures)),
        threshold=0.0,
        reason=f"{first.subject}: {first.message}",
    )
    verdict = Verdict(
        decision="REFUSED",
        reasons=(
            "the strategy or a feature reads the future; nothing else was computed",
            *(f"{f.subject}: {f.message}" for f in certificate.failures[:5]),
            *((first.fix,) if first.fix else ()),
        ),
        checks=(check,),
    )
    return Finding(
        job=job, prereg=promised, prepared=prepared, ticket=None, evidence=None, verdict=verdict,
        test=None, results=None, picks=None,
    )  # fmt: skip


def _judge(
    job: Job,
    promised: dict[str, Any],
    prepared: Prepared,
    ticket: Ticket,
    cache: Cache,
    identity: str,
    progress: Progress,
) -> Finding:
    fitted = _Fitted.of(job, prepared, cache, identity, progress)
    evidence, picks = _evidence(job, prepared, ticket, fitted, cache, identity, progress)
    tightening = [
        check.judge(evidence) for check in job.tightening if evidence.claim in check.claims
    ]
    verdict = decide(evidence, job.checks, qualifier=job.qualifier, tightening=tightening)
    compared = () if job.config.checks == "classic" else CLASSIC
    classic = tuple(check.judge(evidence) for check in compared if evidence.claim in check.claims)
    return Finding(
        job=job, prereg=promised, prepared=prepared, ticket=ticket, evidence=evidence,
        verdict=verdict, test=fitted.test, results=fitted.results, picks=picks, classic=classic,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    """REAL over all folds, and what its trades became."""

    data: tuple[FoldData, ...]
    test: Slice
    results: Results
    validation: Trades | None

    @classmethod
    def of(
        cls, job: Job, prepared: Prepared, cache: Cache, identity: str, progress: Progress
    ) -> _Fitted:
        pool, folds = prepared.pool, prepared.folds
        if job.learner is None:
            test = drop_void(everything(folds), pool.results)
            return cls(data=(), test=test, results=pool.results, validation=None)
        data = tuple(_fold_data(prepared, fold, job.config.top_share) for fold in folds.folds)
        answers = _fit_all(job, data, cache, identity, progress)
        test, validation = gather_slices(folds, data, answers)
        results, seen = pool.results, pool.results
        if prepared.parts.run_policy.kind == "predicted":
            exits = exits_of(prepared)
            results = predicted_results(pool, test, exits)
            seen = predicted_results(pool, validation, exits)
        test, validation = drop_void(test, results), drop_void(validation, seen)
        # A validation month serves one fold, so its rows are unique.
        chosen = trades_of(pool, validation.rows[validation.taken], seen)
        return cls(data=data, test=test, results=results, validation=chosen)


def _fold_data(prepared: Prepared, fold: Any, top_share: float) -> FoldData:
    pool = prepared.pool
    train = fold.train[pool.trainable[fold.train]]
    return FoldData(
        index=fold.index,
        train=pool.view(train, labels=True),
        validation=pool.view(fold.validation, labels=True),
        test=pool.view(fold.test, labels=False),
        group_validation=pool.group[fold.validation],
        group_test=pool.group[fold.test],
        week_train=pool.week[train],
        top_share=top_share,
    )


def _fit_all(
    job: Job, data: Sequence[FoldData], cache: Cache, identity: str, progress: Progress
) -> list[FoldAnswer]:
    """Fit REAL on every fold; finished folds come from the cache."""
    assert job.learner is not None
    seeds = tuple(job.config.seed + i for i in range(job.config.n_seeds))
    keys = [cache.key("real", identity, fit_versions(), fold.index) for fold in data]
    known = [cache.arrays(key) for key in keys]
    stage = progress.stage("fits (REAL)", len(data))
    stage.advance(sum(stored is not None for stored in known))
    missing = [i for i, stored in enumerate(known) if stored is None]
    tasks = [
        RealTask(learner=job.learner, data=data[i], seeds=seeds, signal_only=not needs_risk(job))
        for i in missing
    ]
    answers = {i: FoldAnswer(**stored) for i, stored in enumerate(known) if stored is not None}
    executor: Executor[RealTask, FoldAnswer] = Executor(job.jobs)
    for i, answer in zip(missing, executor.run(fit_real, tasks), strict=True):
        answers[i] = answer
        cache.put(keys[i], {n: getattr(answer, n) for n in FoldAnswer.__dataclass_fields__})
        stage.advance()
    return [answers[i] for i in range(len(data))]


def fit_versions() -> dict[str, str]:
    """Versions of the libraries whose change may change a fit; part of cache keys."""
    found = versions()
    return {name: found.get(name, "") for name in NUMERIC_LIBRARIES}


def needs_risk(job: Job) -> bool:
    """Whether the risk head is needed: predicted targets, or the classic checks."""
    return job.source.open().run_policy.kind == "predicted" or job.config.checks == "classic"


def exits_of(prepared: Prepared) -> Exits:
    """Return how the run's exits are simulated again."""
    return Exits(policy=prepared.parts.run_policy, params=prepared.run_params, tasks=prepared.tasks)


def _evidence(
    job: Job,
    prepared: Prepared,
    ticket: Ticket,
    fitted: _Fitted,
    cache: Cache,
    identity: str,
    progress: Progress,
) -> tuple[Evidence, Int64]:
    config, pool, test, results = job.config, prepared.pool, fitted.test, fitted.results
    if len(test.rows) == 0:
        raise SampleError("no test decision has an outcome", fix="bring a longer span of data")
    stage = progress.stage("control arms", 2)
    entry = entry_trades(
        pool, test.rows, results, exits_of(prepared), draws=config.entry_draws, seed=config.seed
    )
    stage.advance()
    picks = random_picks(pool, test, draws=config.random_draws, seed=config.seed)
    stage.advance()
    trades = {
        "REAL": trades_of(pool, test.rows[test.taken], results),
        "NAIVE": trades_of(pool, test.rows, results),
        "ENTRY": entry,
    }
    shuffle: dict[str, ShuffleResult] = {}
    if job.learner is not None:
        one_seed = trades_of(pool, test.rows[test.one_seed], results)
        shuffle = _shuffle(job, prepared, fitted, cache, identity, progress, real=mean_r(one_seed))
        trades |= _controls(job, prepared, fitted, progress)
    days = prepared.folds.test_days
    evidence = Evidence(
        claim=config.resolved_claim,
        certificate=_certificate(prepared),
        days=days,
        n_test_months=prepared.folds.n_test_months,
        trades=trades,
        take_rate=float(test.taken.mean()),
        random_means=draw_means(results.r_net, picks),
        shuffle=shuffle,
        validation_mean_r=float("nan") if fitted.validation is None else mean_r(fitted.validation),
        validation_trades=fitted.validation,
        trial=ticket.context,
        streams=tuple(s.bars.stream for s in pool.streams),
        currencies=tuple(s.bars.instrument.currency for s in pool.streams),
        month_days=prepared.folds.month_days,
        settings={"seed": float(config.seed)},
        extra=_extra(prepared, fitted),
    )
    return evidence, picks


def _extra(prepared: Prepared, fitted: _Fitted) -> dict[str, Any]:
    """Return what the ``classic`` checks read, where the risk head was fitted."""
    test = fitted.test
    if not np.isfinite(test.predicted_r).any():
        return {}
    exits = replace(exits_of(prepared), policy=DYNAMIC_TARGET, params={})
    dynamic = predicted_results(prepared.pool, test, exits)
    return {
        "classic": {
            "probability": test.probability,
            "r_dynamic": dynamic.r_net[test.rows],
            "predicted_r": test.predicted_r,
            "peak_r": fitted.results.peak_r[test.rows],
        }
    }


def _shuffle(
    job: Job,
    prepared: Prepared,
    fitted: _Fitted,
    cache: Cache,
    identity: str,
    progress: Progress,
    *,
    real: float,
) -> dict[str, ShuffleResult]:
    assert job.learner is not None
    results = fitted.results
    arms = ShuffleArms(
        learner=job.learner,
        folds=fitted.data,
        test_r=[results.r_net[fold.test] for fold in prepared.folds.folds],
        seed=job.config.seed,
        planned=job.config.permutations,
        identity=cache.key(identity, fit_versions()),
        cache=cache,
        executor=Executor(job.jobs),
    )
    return arms.run(real, progress)


def _controls(
    job: Job, prepared: Prepared, fitted: _Fitted, progress: Progress
) -> dict[str, Trades]:
    """Fit the extra controls of extensions; they are reported and gate nothing."""
    if not job.controls or job.learner is None:
        return {}
    found = {}
    stage = progress.stage("extra controls", len(job.controls))
    for control in job.controls:
        tasks = [
            ControlTask(learner=job.learner, data=data, seed=job.config.seed, control=control)
            for data in fitted.data
        ]
        executor: Executor[ControlTask, Bool] = Executor(job.jobs)
        taken = list(executor.run(fit_control, tasks))
        rows = np.concatenate(
            [fold.test[t] for fold, t in zip(prepared.folds.folds, taken, strict=True)]
        )
        live = rows[fitted.results.void_reason[rows] == 0]
        found[control.name] = trades_of(prepared.pool, live, fitted.results)
        stage.advance()
    return found
