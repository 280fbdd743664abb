"""The falsifier on a real task: ``ffm68`` and SuperTrend on 100,000 bars.

The time is absolute and has a budget of twenty seconds on two cores; the ratio is the
budget over the time. Both plug-ins are clean, so a failure here is a false alarm.
Run it alone: ``python -m benchmarks.bench_causal``.
"""

from __future__ import annotations

import json
import sys
import time

from ffm_strategy_supertrend import labeler as supertrend

from benchmarks.tools import peak_mb
from ffm_core.bars.simulate import market
from ffm_core.causal import falsify
from ffm_core.causal.subjects.base import FeatureSubject, LabelerSubject
from ffm_core.features import ffm68

BARS = 100_000
BUDGET_S = 20.0


def run() -> list[dict]:
    """Prove both on one stream, after a short one that compiles what is called."""
    bars = market("A", seed=3, months=24)[:BARS]
    splice = market("B", seed=3, months=24)[:BARS]
    labeler = supertrend.LABELER
    subjects = [
        LabelerSubject(labeler, labeler.defaults(), None),
        FeatureSubject(ffm68.FFM68, None),
    ]
    falsify(subjects, bars[:3_000], seed=0, max_cuts=310)
    start = time.perf_counter()
    found = falsify(subjects, bars, seed=1, others=[splice])
    seconds = time.perf_counter() - start
    cuts = sum(certificate.cuts for certificate in found)
    proven = [certificate.proven_bars for certificate in found]
    return [
        {
            "name": "falsifier_100k_bars",
            "ours": seconds,
            "ref": BUDGET_S,
            "ratio": round(BUDGET_S / seconds, 2),
            "gate": 1.0,
            "absolute": f"{seconds:.1f} s of {BUDGET_S:.0f} s, {cuts} cuts, "
            f"{max(proven):,} bars proven one by one",
            "parity": all(certificate.status == "clean" for certificate in found),
            "peak_rss_mb": round(peak_mb()),
        }
    ]


if __name__ == "__main__":
    results = run()
    for result in results:
        print(json.dumps(result))
    sys.exit(0 if all(r["ratio"] >= r["gate"] and r["parity"] for r in results) else 1)
