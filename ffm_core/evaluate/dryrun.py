"""What an evaluation would do and could see, before it does anything.

No outcome is looked at, no trial is opened and no seal is fixed.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ffm_core.embed.stamp import line_of, stamp_of
from ffm_core.evaluate.certify import certify
from ffm_core.evaluate.folding import fold
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.record import iso
from ffm_core.evaluate.run import overlaps_of
from ffm_core.evaluate.streams import decide_all, prepare
from ffm_core.evaluate.trial import preregister
from ffm_core.ruler.power import smallest_edge


def dry_run(job: Job, progress: Progress) -> dict[str, Any]:
    """Return folds, counts, costs and the smallest edge the run could detect.

    Returns
    -------
    dict
        JSON types; ``lines`` says the same in words.

    Raises
    ------
    SampleError
        When no fold can be laid; that is found out before causality, which takes longest.
    """
    promise = preregister(job)
    decisions = decide_all(job, progress)
    folded = fold(job, promise, prepare(job, decisions, progress))
    plan, pool = folded.plan, folded.pool
    certificate = certify(job, decisions, progress)
    n_test = sum(len(fold.test) for fold in plan.folds)
    share = 1.0 if job.learner is None else job.config.top_share
    n_trades = round(n_test * share)
    target = float(np.median(pool.outcomes.target_r[np.concatenate([f.test for f in plan.folds])]))
    edge = smallest_edge(n_trades, len(plan.test_days), target, take_rate=share)
    found: dict[str, Any] = {
        "prereg": promise,
        "certificate": certificate.word,
        "failures": [asdict(failure) for failure in certificate.failures],
        "decisions": {
            "n": len(pool),
            "per_stream": {
                name: int((pool.table.stream == i).sum())
                for i, name in enumerate(pool.table.streams)
            },
            "test": n_test,
            "expected_trades": n_trades,
        },
        "folds": {
            "multiplier": plan.multiplier,
            "months": list(plan.lengths),
            "used": len(plan.folds),
            "skipped": [f"{iso(f.test_days[0])}: {f.skipped}" for f in plan.skipped],
            "test": [[iso(f.test_days[0]), iso(f.test_days[1])] for f in plan.folds],
            "seal_from": iso(folded.seal.day),
        },
        "costs": [_costs(job, i) for i in range(len(job.bars))],
        "smallest_edge_r": edge,
        "qualifier": job.qualifier,
    }
    if job.parts.embedders:
        stamps = [stamp_of(embedder) for embedder in job.parts.embedders]
        found["embedders"] = stamps if job.redact is None else job.redact.value(stamps)
    if job.redact is not None:
        found["failures"] = job.redact.value(found["failures"])
    if overlaps := overlaps_of(job, folded):
        found["overlaps"] = [asdict(overlap) for overlap in overlaps]
    return {**found, "lines": _lines(found)}


def _costs(job: Job, i: int) -> dict[str, Any]:
    bars, instrument = job.bars[i], job.bars[i].instrument
    points = instrument.cost_points(job.config.slippage_ticks, price=float(bars.close[-1]))
    return {
        "stream": bars.stream,
        "round_trip_points": points,
        "round_trip_money": instrument.money(points),
        "currency": instrument.currency,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    folds, decisions = found["folds"], found["decisions"]
    train, validation, test = folds["months"]
    streams = ", ".join(f"{name} {n}" for name, n in decisions["per_stream"].items())
    expected = f"{decisions['test']} in test months, about {decisions['expected_trades']} trades"
    lengths = f"{folds['used']} of {train} + {validation} + {test} months (train, validation, test)"
    lines = [
        "Dry run: no outcome was read, no trial opened, no seal fixed.",
        f"decisions   {decisions['n']} ({streams}); {expected}",
        f"folds       {lengths}; sealed from {folds['seal_from']}",
        f"causality   {found['certificate']}",
    ]
    lines += [f"skipped     {text}" for text in folds["skipped"]]
    lines += [
        f"costs       {c['stream']}: {c['round_trip_points']:g} points, "
        f"{c['round_trip_money']:.2f} {c['currency']} a round trip"
        for c in found["costs"]
    ]
    edge = found["smallest_edge_r"]
    lines.append(
        f"power       a mean of {edge['independent']:+.3f} R per trade would be seen in 80 of 100 "
        f"runs if trades were independent, {edge['day_bound']:+.3f} R if those of a day were one"
    )
    lines += [line_of(stamp) for stamp in found.get("embedders", [])]
    if found["qualifier"]:
        lines.append(f"qualifier   a PASS would be a qualified one: {found['qualifier']}")
    lines.append(f"prereg      {found['prereg']['hash'][:16]} ({found['prereg']['claim']})")
    return lines
