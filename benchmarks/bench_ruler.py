"""The ruler's hot paths: bootstrap, control draws and folds, next to plain references.

Run with ``python benchmarks/bench_ruler.py``; exits with 1 when a budget is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from ffm_core.ruler.arms import draw_random
from ffm_core.ruler.bootstrap import DaySums
from ffm_core.ruler.intervals import difference_estimate, mean_estimate

TRADES, DAYS, RESAMPLES = 10_000, 1_250, 2_000
BUDGET_S = 2.0
BUDGET_RATIO = 5.0


def timed(work: Callable[[], object], repeats: int = 5) -> float:
    work()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def make_arm(seed: int) -> DaySums:
    rng = np.random.default_rng(seed)
    day = rng.integers(0, DAYS, TRADES)
    r = rng.choice([3.0, -1.0], TRADES, p=[0.27, 0.73])
    return DaySums(
        total=np.bincount(day, weights=r, minlength=DAYS),
        weight=np.bincount(day, minlength=DAYS).astype(float),
    )


def plain_resamples(arm: DaySums, resamples: int) -> float:
    """Walk the days in Python, as one would write it first."""
    rng = np.random.default_rng(0)
    total, weight = arm.total.tolist(), arm.weight.tolist()
    last = 0.0
    for _ in range(resamples):
        starts = rng.integers(0, DAYS, DAYS).tolist()
        jumps = (rng.random(DAYS) < 0.2).tolist()
        place, r, w = starts[0], 0.0, 0.0
        for i in range(DAYS):
            place = starts[i] if jumps[i] else (place + 1) % DAYS
            r += total[place]
            w += weight[place]
        last = r / w
    return last


def main() -> int:
    real, naive = make_arm(0), make_arm(1)
    ours = timed(lambda: mean_estimate(real))
    paired = timed(lambda: difference_estimate(real, naive))
    plain = timed(lambda: plain_resamples(real, 40), repeats=2) * RESAMPLES / 40
    rng = np.random.default_rng(2)
    keys = rng.integers(0, 2, TRADES).astype(np.int16), rng.integers(0, 60, TRADES).astype(np.int32)
    taken = rng.random(TRADES) < 0.5
    random = timed(lambda: draw_random(taken, *keys, draws=200), repeats=2)
    print(f"bootstrap {RESAMPLES} x {TRADES} trades on {DAYS} days: {ours * 1e3:8.1f} ms")
    print(f"  paired difference of two arms                : {paired * 1e3:8.1f} ms")
    print(f"  plain Python, extrapolated                   : {plain * 1e3:8.1f} ms")
    print(f"  ratio                                        : {plain / ours:8.1f} x")
    print(f"200 random draws of {TRADES} decisions           : {random * 1e3:8.1f} ms")
    kept = max(ours, paired) < BUDGET_S and plain / ours >= BUDGET_RATIO
    print("ok" if kept else f"missed: under {BUDGET_S} s and {BUDGET_RATIO} x plain Python wanted")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
