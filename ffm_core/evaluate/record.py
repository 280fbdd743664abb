"""From a finding to the run record: its result, its envelope, and the tables beside it.

Everything a report shows is computed here, so that a report computes nothing.
"""

from __future__ import annotations

import datetime as dt
import platform
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from ffm_core.embed.cutoff import cut_offs
from ffm_core.embed.stamp import stamp_of
from ffm_core.evaluate.arms import WITHOUT, Holdings, with_tie
from ffm_core.evaluate.embedding import EmbeddedBlock
from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.pool import Folded, Pool
from ffm_core.evaluate.run_tables import decisions_frame, trades_frame
from ffm_core.evaluate.tails import far_trades, opened_tail
from ffm_core.evaluate.trades import (
    cost_table,
    daily_r,
    hour_table,
    month_table,
    overlap_share,
    side_table,
)
from ffm_core.evaluate.trial import lock_of
from ffm_core.hookspecs import HOOK_API
from ffm_core.labels.step import TIES
from ffm_core.records import VOIDS, Evidence, Trades
from ffm_core.ruler.bootstrap import equity_band
from ffm_core.ruler.calibration import calibrate
from ffm_core.ruler.folds import Fold
from ffm_core.ruler.intervals import SAMPLING
from ffm_core.ruler.judging import FEWEST_DRAWS, difference_of
from ffm_core.ruler.metrics import summarise_arm
from ffm_core.ruler.verdict import months_needed, trigger_evidence
from ffm_core.runs.canonical import jsonable, sha256_json
from ffm_core.runs.keyed import keyed_hash
from ffm_core.runs.record import SCHEMA, run_id, versions
from ffm_core.types import Float64

CALIBRATION_BINS = 10


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


def record(
    finding: Finding, result: Any, command: str, started: dt.datetime, clock: float
) -> Evaluation:
    """Return the run record of a finding, and its tables.

    Parameters
    ----------
    finding : Finding
        What the evaluation found; its trial is closed.
    result : dict
        From :func:`result_of`.
    command : str
        How to repeat the run.
    started, clock
        When the run began, as a time and as ``time.perf_counter()``.
    """
    envelope = _envelope(finding, command, started, time.perf_counter() - clock)
    if finding.job.redact is not None:
        envelope = finding.job.redact.value(envelope)
    return Evaluation(
        record={
            "schema": SCHEMA,
            "result": result,
            "result_hash": sha256_json(result),
            "envelope": envelope,
        },
        decisions=decisions_frame(finding),
        trades=trades_frame(finding),
    )


def _envelope(
    finding: Finding, command: str, started: dt.datetime, seconds: float
) -> dict[str, Any]:
    job, ticket = finding.job, finding.ticket
    identity = lock_of(job, finding.promise) if ticket is None else ticket.identity
    events = job.ledger.events()
    return {
        "run_id": run_id(started, identity),
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(seconds, 3),
        "command": command,
        "jobs": job.executor.jobs,
        "cache": {"hits": job.cache.hits, "misses": job.cache.misses},
        **_embedded(finding),
        **_hidden_settings(job),
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "trial": None if ticket is None else ticket.trial_id,
        "trial_count_today": None if ticket is None else ticket.n_trials_now,
        "repeat": bool(ticket and ticket.is_repeat),
        "ledger_head": events[-1].hash if events else "",
        "ledger_since": events[0].time if events else "",
    }


def _hidden_settings(job: Job) -> dict[str, Any]:
    """Return a keyed hash of what a private package hides, so that runs can be compared."""
    if job.redact is None:
        return {}
    constants = {check.name: dict(check.constants) for check in (*job.checks, *job.tightening)}
    hidden = {"params": dict(job.terms.params), "exit": job.terms.exit.name,
              "exit_params": dict(job.terms.exit_params), "checks": constants}  # fmt: skip
    return {"private_settings": keyed_hash(job.home, hidden)}


def _embedded(finding: Finding) -> dict[str, Any]:
    """Return how many windows were computed and how many were known already."""
    blocks = finding.folded.embedded if finding.folded is not None else ()
    found = {
        block.embedder.name: {"windows": block.windows, "computed": block.computed}
        for block in blocks
    }
    return {"embedded": found} if found else {}


def result_of(finding: Finding) -> Any:
    """Return the ``result`` part as JSON types, redacted; it depends on inputs alone."""
    result = jsonable(_result(finding))
    redact = finding.job.redact
    return result if redact is None else redact.value(result)


def _result(finding: Finding) -> dict[str, Any]:
    job, evidence, folded = finding.job, finding.evidence, finding.folded
    terms = job.terms
    result: dict[str, Any] = {
        "strategy": {
            **job.strategy,
            "code_hash": job.code_hash,
            "hook_api": HOOK_API,
            "params": dict(terms.params),
            "exit": {"name": terms.exit.name, "params": dict(terms.exit_params)},
        },
        "data": list(job.data),
        **({"inputs": list(job.inputs)} if job.inputs else {}),
        "config": job.config.identity(),
        "prereg": finding.promise,
        "certificate": asdict(finding.certificate),
        "decisions": _decisions(finding),
        "folds": {} if folded is None else _folds(folded),
        "arms": {},
        "intrabar": {},
        "checks": [asdict(check) for check in finding.verdict.checks],
        "verdict": {
            "decision": finding.verdict.decision,
            "reasons": list(finding.verdict.reasons),
            "qualifier": finding.verdict.qualifier,
            "months_needed": months_needed(finding.verdict),
        },
        "positions": {},
        "far_trades": {},
        "opened_tail": {},
        "trigger": {},
        "ablation": [],
        "trials": {},
        "plots": {},
        **_models(finding),
    }
    if evidence is not None and folded is not None and finding.real is not None:
        result["arms"] = _arms(finding, evidence)
        result["intrabar"] = _intrabar(job, folded.pool, evidence, finding.real)
        result["positions"] = _positions(job, evidence, finding.real)
        result["far_trades"] = far_trades(evidence)
        result["opened_tail"] = opened_tail(folded, evidence)
        result["trigger"] = trigger_evidence(evidence).record()
        result["ablation"] = _ablation(evidence)
        result["trials"] = {
            "n": evidence.trial.n_trials,
            "effective_n": evidence.trial.effective_n,
            "sharpe_variance": evidence.trial.sharpe_variance,
        }
        result["plots"] = _plots(job, folded, evidence, finding.real)
    return result


def _models(finding: Finding) -> dict[str, Any]:
    """Return embedders and cut-offs; absent where a run has none, as in records before them."""
    job, folded = finding.job, finding.folded
    found = {block.embedder.name: block for block in (folded.embedded if folded else ())}
    models: dict[str, Any] = {}
    if embedders := job.parts.embedders:
        models["embedders"] = [stamp_of(one) | _use(found.get(one.name)) for one in embedders]
    if cuts := cut_offs(job.parts.blocks):
        models["cut_offs"] = [
            {
                "name": cut.name,
                "fit_cutoff": cut.fit_cutoff,
                "released": cut.released,
                "overlaps": None if folded is None else cut.overlaps(folded.first_test_us),
                "accepted": job.config.accept_overlap,
            }
            for cut in cuts
        ]
    return models


def _use(block: EmbeddedBlock | None) -> dict[str, Any]:
    """Return what became of the decision bars; null in a refused run, which embeds nothing."""
    if block is None:
        return {"bars": None, "windows": None, "unusable": {}}
    unusable = {name: block.flaws[name] for name in sorted(block.flaws)}
    return {"bars": block.bars, "windows": block.windows, "unusable": unusable}


def _ablation(evidence: Evidence) -> list[dict[str, Any]]:
    """Return what each block that was left out adds to REAL, mean R per trade, paired by day."""
    real = evidence.trades["REAL"]
    found = []
    for name, trades in evidence.trades.items():
        if name.startswith(WITHOUT):
            added = difference_of(evidence, real, trades, SAMPLING)
            block = name.removeprefix(WITHOUT)
            found.append(
                {"block": block, "adds_r": added.value, "interval": [added.low, added.high]}
            )
    return found


def _decisions(finding: Finding) -> dict[str, Any]:
    """Count decisions; of a refused run, and of the sealed tail, no outcome is even counted."""
    streams = [bars.stream for bars in finding.job.bars]
    counts = {name: len(d) for name, d in zip(streams, finding.decisions, strict=True) if len(d)}
    found = {
        "n": sum(counts.values()),
        "void": {},
        "n_valid": 0,
        "overlap_share": 0.0,
        "per_stream": dict(sorted(counts.items())),
    }
    if finding.folded is None:
        return found
    pool, seen = finding.folded.pool, ~finding.folded.sealed
    void = Counter(VOIDS[code] for code in pool.outcomes.void_reason[seen] if code)
    valid = np.flatnonzero(pool.table.valid & seen)
    return found | {
        "void": dict(sorted(void.items())),
        "n_valid": len(valid),
        "overlap_share": overlap_share(pool, valid),
    }


def _folds(folded: Folded) -> dict[str, Any]:
    plan, seal = folded.plan, folded.seal
    train, validation, test = plan.lengths
    items = sorted((*plan.folds, *plan.skipped), key=lambda fold: fold.index)
    return {
        "multiplier": plan.multiplier,
        "train_months": train,
        "validation_months": validation,
        "test_months": test,
        "embargo_days": plan.settings.embargo_days,
        "span": [iso(day) for day in plan.span],
        "seal": {"from": iso(seal.day), "opened": seal.opened, "n_decisions": plan.n_sealed},
        "items": [_fold(fold) for fold in items],
    }


def _fold(fold: Fold) -> dict[str, Any]:
    return {
        "index": fold.index,
        "train": [iso(day) for day in fold.train_days],
        "validation": [iso(day) for day in fold.validation_days],
        "test": [iso(day) for day in fold.test_days],
        "n_train": len(fold.train),
        "n_validation": len(fold.validation),
        "n_test": len(fold.test),
        "n_purged": fold.n_purged,
        "skipped": fold.skipped,
    }


def _arms(finding: Finding, evidence: Evidence) -> dict[str, Any]:
    config = finding.job.config
    arms: dict[str, Any] = {
        name: summarise_arm(
            trades,
            evidence.days,
            evidence.month_days,
            resamples=config.resamples,
            seed=config.seed,
        ).record()
        for name, trades in evidence.trades.items()
    }
    if finding.job.learner is not None:
        arms["RANDOM"] = _draws(evidence.random_means, _n_real(evidence))
        for kind, test in evidence.shuffle.items():
            name = "SHUFFLE" if kind == "full" else f"SHUFFLE {kind}"
            arms[name] = _draws(test.draws, _n_real(evidence))
    return arms


def _positions(job: Job, evidence: Evidence, real: Holdings) -> dict[str, Any]:
    """Return how many picks of an arm were held under the overlap rule."""
    picked = {"REAL": int(real.test.picked.sum()), "NAIVE": len(real.test)}
    return {
        "overlap": job.terms.overlap,
        "arms": {
            name: {"picked": n, "held": len(evidence.trades[name])} for name, n in picked.items()
        },
    }


def _n_real(evidence: Evidence) -> int:
    return len(evidence.trades["REAL"])


def _draws(means: Float64, n: int) -> dict[str, Any]:
    """Summarise an arm of many draws by the spread of its means."""
    known = means[np.isfinite(means)]
    if len(known) == 0:
        return {"n_trades": n, "n_draws": 0, "mean_r": None, "mean_interval": [None, None]}
    ends: list[float] | list[None] = [None, None]
    if len(known) >= FEWEST_DRAWS:
        ends = np.quantile(known, (0.025, 0.975)).tolist()
    return {
        "n_trades": n,
        "n_draws": len(known),
        "mean_r": float(known.mean()),
        "mean_interval": ends,
        "total_r": float(known.mean() * n),
    }


def _intrabar(job: Job, pool: Pool, evidence: Evidence, real: Holdings) -> dict[str, Any]:
    """Return what hangs on the unknown order of events inside a bar, for REAL's trades."""
    rows, tie = np.sort(evidence.trades["REAL"].row), job.terms.tie
    other = TIES[0] if tie == TIES[1] else TIES[1]
    told = real.outcomes.r_net[rows]
    turned = with_tie(pool, rows, real.outcomes, job.terms, other).r_net
    turned = np.where(np.isfinite(turned), turned, told)
    hangs = np.flatnonzero(told != turned)
    return {
        "counted": tie,
        "trades": len(hangs),
        "total_r": float(told[hangs].sum()),
        "total_r_other": float(turned[hangs].sum()),
        "mean_r": float(told.mean()) if len(rows) else None,
        "mean_r_other": float(turned.mean()) if len(rows) else None,
    }


def _plots(job: Job, folded: Folded, evidence: Evidence, held: Holdings) -> dict[str, Any]:
    real, table = evidence.trades["REAL"], folded.pool.table
    taken = {name: evidence.trades[name].row for name in ("REAL", "NAIVE")}
    return {
        "equity": _equity(job, evidence),
        "nulls": _nulls(evidence),
        "months": month_table(real, np.unique(evidence.month_days), evidence.streams),
        "side": side_table(real),
        "hours": hour_table(real, table.hour[real.row]),
        "calibration": _calibration(folded.pool, held) if job.learner is not None else None,
        "costs": cost_table(held.outcomes, taken),
    }


def _equity(job: Job, evidence: Evidence) -> dict[str, Any]:
    curves = {
        name: np.cumsum(daily_r(trades, evidence.days)).tolist()
        for name, trades in evidence.trades.items()
    }
    if job.learner is not None and evidence.random_daily is not None:
        curves["RANDOM"] = np.cumsum(evidence.random_daily).tolist()
    real = daily_r(evidence.trades["REAL"], evidence.days)
    low, high = equity_band(real, seed=job.config.seed)
    return {
        "days": [iso(int(day)) for day in evidence.days],
        "arms": curves,
        "band": {"arm": "REAL", "low": low.tolist(), "high": high.tolist()},
    }


def _nulls(evidence: Evidence) -> dict[str, Any]:
    real = evidence.trades["REAL"]
    nulls: dict[str, Any] = {}
    if evidence.shuffle:
        nulls["random"] = {
            "real": _mean(real),
            "draws": evidence.random_means.tolist(),
            "planned": len(evidence.random_means),
            "stopped": False,
        }
    for kind, test in evidence.shuffle.items():
        nulls[f"shuffle_{kind}"] = {
            "real": test.real,
            "draws": test.draws.tolist(),
            "planned": test.planned,
            "stopped": test.stopped,
        }
    return nulls


def _mean(trades: Trades) -> float | None:
    return float(trades.r_net.mean()) if len(trades) else None


def _calibration(pool: Pool, real: Holdings) -> dict[str, Any] | None:
    label = pool.labels.label[real.test.row]
    found = calibrate(real.test.probability, label)
    shown = calibrate(real.test.probability, label, bins=CALIBRATION_BINS)
    if found is None or shown is None:
        return None
    return {
        "bins": [asdict(item) for item in shown.bins],
        "ece": found.ece,
        "brier": found.brier,
        "slope": found.slope,
        "intercept": found.intercept,
    }


def iso(day: int) -> str:
    """Return days since 1970 as ``YYYY-MM-DD``."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=int(day))).isoformat()
