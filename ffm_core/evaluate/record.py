"""From a finding to the ``result`` of a run record and its tables.

Everything a report shows is computed here, so that a report computes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from ffm_core.embed.cutoff import cut_offs
from ffm_core.embed.stamp import stamp_of
from ffm_core.evaluate.ablation import PREFIX
from ffm_core.evaluate.embedding import EmbeddedBlock
from ffm_core.evaluate.evidence import certificate_of
from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.trades import (
    cost_table,
    daily_r,
    hour_table,
    month_table,
    overlap_share,
    side_table,
)
from ffm_core.hookspecs import HOOK_API
from ffm_core.records import VOIDS, Evidence, Trades
from ffm_core.ruler.bootstrap import equity_band
from ffm_core.ruler.calibration import calibrate
from ffm_core.ruler.folds import Fold
from ffm_core.ruler.judging import SAMPLING, difference_of
from ffm_core.ruler.metrics import summarise_arm
from ffm_core.ruler.sharpe import moments
from ffm_core.ruler.verdict import months_needed, trigger_evidence
from ffm_core.types import Float64

CALIBRATION_BINS = 10


def result_of(finding: Finding) -> dict[str, Any]:
    """Return the ``result`` part: it depends on inputs alone."""
    job, prepared = finding.job, finding.prepared
    evidence = finding.evidence
    result: dict[str, Any] = {
        "strategy": {
            **job.strategy,
            "code_hash": job.code_hash,
            "hook_api": HOOK_API,
            "params": dict(prepared.params),
            "exit": {"name": prepared.parts.run_policy.name, "params": dict(prepared.run_params)},
        },
        "data": list(job.data),
        "config": job.config.identity(),
        "prereg": finding.prereg,
        "certificate": _certificate(finding),
        "decisions": _decisions(finding),
        "folds": _folds(finding),
        "arms": {},
        "checks": [asdict(check) for check in finding.verdict.checks],
        "classic": [asdict(check) for check in finding.classic],
        "verdict": {
            "decision": finding.verdict.decision,
            "reasons": list(finding.verdict.reasons),
            "qualifier": finding.verdict.qualifier,
            "months_needed": months_needed(finding.verdict),
        },
        "positions": {},
        "trigger": {},
        "ablation": [],
        "trials": {},
        "plots": {},
        **_models(finding),
    }
    if evidence is not None and finding.ticket is not None:
        context = finding.ticket.context
        result["arms"] = _arms(finding, evidence)
        result["positions"] = _positions(finding, evidence)
        result["trigger"] = trigger_evidence(evidence).record()
        result["ablation"] = _ablation(evidence)
        result["trials"] = {
            "n": context.n_trials,
            "effective_n": context.effective_n,
            "sharpe_variance": context.sharpe_variance,
            "ledger_since": context.ledger_since,
        }
        result["plots"] = _plots(finding, evidence)
    return result


def _models(finding: Finding) -> dict[str, Any]:
    """Return embedders and cut-offs; absent where a run has none, as in records before them."""
    parts, found = finding.prepared.parts, {block.embedder.name: block
                                            for block in finding.prepared.embedded}  # fmt: skip
    models: dict[str, Any] = {}
    if embedders := finding.job.embedders:
        models["embedders"] = [stamp_of(one) | _use(found.get(one.name)) for one in embedders]
    if cuts := cut_offs(parts.blocks):
        begins = finding.prepared.first_test_us
        models["cut_offs"] = [
            {
                "name": cut.name,
                "fit_cutoff": cut.fit_cutoff,
                "released": cut.released,
                "overlaps": None if begins is None else cut.overlaps(begins),
                "accepted": finding.job.config.accept_overlap,
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
        if name.startswith(PREFIX):
            added = difference_of(evidence, real, trades, SAMPLING)
            block = name.removeprefix(PREFIX)
            found.append(
                {"block": block, "adds_r": added.value, "interval": [added.low, added.high]}
            )
    return found


def _certificate(finding: Finding) -> dict[str, Any]:
    found = asdict(certificate_of(finding.prepared))
    found["subjects"] = list(found["subjects"])
    found["failures"] = list(found["failures"])
    return found


def _decisions(finding: Finding) -> dict[str, Any]:
    pool = finding.prepared.pool
    seen = ~finding.prepared.sealed  # outcomes of the sealed tail are not even counted
    void = Counter(VOIDS[code] for code in pool.outcomes.void_reason[seen] if code)
    valid = np.flatnonzero(pool.table.valid & seen)
    names = [pool.table.streams[s] for s in pool.table.stream]
    return {
        "n": len(pool),
        "void": dict(sorted(void.items())),
        "n_valid": len(valid),
        "overlap_share": overlap_share(pool, valid),
        "per_stream": dict(sorted(Counter(names).items())),
    }


def _folds(finding: Finding) -> dict[str, Any]:
    plan, seal = finding.prepared.folds, finding.prepared.seal
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


def _positions(finding: Finding, evidence: Evidence) -> dict[str, Any]:
    """Return how many picks of an arm were held under the overlap rule."""
    test = finding.test
    assert test is not None
    picked = {"REAL": int(test.picked.sum()), "NAIVE": len(test)}
    return {
        "overlap": finding.job.config.overlap,
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
    low, high = np.quantile(known, (0.025, 0.975))
    return {
        "n_trades": n,
        "n_draws": len(known),
        "mean_r": float(known.mean()),
        "mean_interval": [float(low), float(high)],
        "total_r": float(known.mean() * n),
    }


def _plots(finding: Finding, evidence: Evidence) -> dict[str, Any]:
    test, outcomes = finding.test, finding.outcomes
    assert test is not None
    assert outcomes is not None
    pool = finding.prepared.pool
    real = evidence.trades["REAL"]
    taken = {name: evidence.trades[name].row for name in ("REAL", "NAIVE")}
    return {
        "equity": _equity(finding, evidence),
        "nulls": _nulls(evidence),
        "months": month_table(real, np.unique(evidence.month_days), evidence.streams),
        "side": side_table(real),
        "hours": hour_table(real, pool.table.hour[real.row]),
        "calibration": _calibration(finding),
        "costs": cost_table(outcomes, taken),
    }


def _equity(finding: Finding, evidence: Evidence) -> dict[str, Any]:
    curves = {
        name: np.cumsum(daily_r(trades, evidence.days)).tolist()
        for name, trades in evidence.trades.items()
    }
    if finding.job.learner is not None:
        curves["RANDOM"] = _random_curve(finding, evidence)
    seed = finding.job.config.seed
    low, high = equity_band(daily_r(evidence.trades["REAL"], evidence.days), seed=seed)
    return {
        "days": [iso(int(day)) for day in evidence.days],
        "arms": curves,
        "band": {"arm": "REAL", "low": low.tolist(), "high": high.tolist()},
    }


def _random_curve(finding: Finding, evidence: Evidence) -> list[float]:
    """Return the mean cumulative R over the RANDOM draws."""
    assert finding.outcomes is not None
    assert finding.random is not None
    rows = np.concatenate(finding.random)
    day = np.searchsorted(evidence.days, finding.prepared.pool.table.day[rows])
    r = finding.outcomes.r_net[rows]
    total = np.bincount(day, weights=r, minlength=len(evidence.days)) / len(finding.random)
    curve: list[float] = np.cumsum(total).tolist()
    return curve


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


def _calibration(finding: Finding) -> dict[str, Any] | None:
    test, pool = finding.test, finding.prepared.pool
    if finding.job.learner is None or test is None:
        return None
    found = calibrate(test.probability, pool.labels.label[test.row])
    shown = calibrate(test.probability, pool.labels.label[test.row], bins=CALIBRATION_BINS)
    if found is None or shown is None:
        return None
    return {
        "bins": [asdict(item) for item in shown.bins],
        "ece": found.ece,
        "brier": found.brier,
        "slope": found.slope,
        "intercept": found.intercept,
    }


def daily_of(
    finding: Finding, arm: str = "REAL"
) -> tuple[list[int], list[float], dict[str, float]]:
    """Return days, daily net R of an arm, and its moments, for the ledger."""
    evidence = finding.evidence
    assert evidence is not None
    values = daily_r(evidence.trades[arm], evidence.days)
    found = moments(values)
    stored = {
        name: value
        for name, value in asdict(found).items()
        if isinstance(value, float) and np.isfinite(value)
    }
    return evidence.days.tolist(), values.tolist(), stored


def iso(day: int) -> str:
    """Return days since 1970 as ``YYYY-MM-DD``."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=int(day))).isoformat()
