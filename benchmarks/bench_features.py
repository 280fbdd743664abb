"""Speed of ``ffm68``: against pandas, with size, in memory, bar by bar, in threads.

Ratios gate; bars per second are reported. Candidates take turns on the same bars,
because others may use the machine too. Run it alone: ``python -m
benchmarks.bench_features``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.reference.ffm68_pandas import derive
from benchmarks.tools import peak_mb
from ffm_core.bars.instruments import lookup
from ffm_core.bars.simulate import market
from ffm_core.bars.table import Bars
from ffm_core.features.ffm68 import FFM68
from ffm_core.features.library import find_set
from ffm_core.types import Float64

MILLION = 1_000_000
PARITY_BARS = 200_000
PANDAS_GATE, SPEED_GOAL = 10.0, 2e6  # bars per second on one core
SLOWDOWN = 1.3  # most that a bar of ten million may cost against one of a million
MEMORY = 1.5  # most extra memory as a multiple of the result
UPDATE_US = 20.0
THREADS_GATE = 1.7
QE150_S = 60.0
# The C library keeps freed memory, so that a page is touched first only once: the first
# touch is the system's work, and ten times the memory may cost it far more than tenfold.
KEEP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
RELATIVE, ABSOLUTE = 1e-5, 1e-6  # what float32 and another order of sums may differ by


def bars_of(rows: int, symbol: str = "ES") -> Bars:
    """Return simulated 5-minute bars: one market laid end to end until it is long enough."""
    piece = market("A", seed=1, months=24).frame.drop("contract")
    week = 7 * 86_400_000_000
    span = int((piece["ts"][-1] - piece["ts"][0]).total_seconds() * 1e6) // week * week + week
    parts = [
        piece.with_columns(pl.col("ts") + pl.duration(microseconds=k * span))
        for k in range(-(-rows // len(piece)))
    ]
    frame = pl.concat(parts).head(rows).rechunk()
    return Bars(frame, lookup(symbol), market("A", seed=1, months=1).timeframe)


def in_turns(*calls: Callable[[], object], rounds: int, clock=time.process_time) -> list[Float64]:
    """Return the seconds of each call in every round; the calls take turns."""
    times = np.empty((len(calls), rounds))
    for k in range(rounds):
        for at, call in enumerate(calls):
            start = clock()
            call()
            times[at, k] = clock() - start
    return list(times)


def row(name: str, ours: float, ref: float, gate: float | None, absolute: str, **more) -> dict:
    return {
        "name": name,
        "ours": ours,
        "ref": ref,
        "ratio": round(ref / ours, 2),
        "gate": gate,
        "absolute": absolute,
        "peak_rss_mb": round(peak_mb()),
        "parity": True,
        **more,
    }


def agree(bars: Bars) -> bool:
    """Whether the kernel and pandas give the same values and the same NaN."""
    return bool(
        np.allclose(FFM68.batch(bars), derive(bars), rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    )


def against_pandas(bars: Bars) -> dict:
    """All 68 columns on one core; medians, as a long call meets more disturbance."""
    parity = agree(bars[:PARITY_BARS])
    ours, plain = in_turns(lambda: FFM68.batch(bars), lambda: derive(bars), rounds=3)
    speed = len(bars) / ours.min() / 1e6
    words = f"{speed:.2f}M bars/s on one core (goal {SPEED_GOAL / 1e6:g}M)"
    each = np.median(ours) / len(bars), np.median(plain) / len(bars)
    return row("ffm68_against_pandas", *each, PANDAS_GATE, words, parity=parity)


def linearity(bars: Bars) -> dict:
    """Ten million bars in one call against ten calls of one million."""
    parts = [bars[first : first + MILLION] for first in range(0, len(bars), MILLION)]
    parts = [Bars(part.frame.rechunk(), part.instrument, part.timeframe) for part in parts]

    def piecewise() -> None:
        for part in parts:
            FFM68.batch(part)

    whole, pieces = in_turns(lambda: FFM68.batch(bars), piecewise, rounds=3)
    ours, plain = whole.min() / len(bars), pieces.min() / len(bars)
    words = f"{1e9 * ours:.0f} ns a bar of 10M, {1e9 * plain:.0f} of 1M"
    return row("ffm68_linear_to_10M", ours, plain, round(1 / SLOWDOWN, 3), words)


def qe150(bars: Bars) -> dict:
    """Compute the 150 features of a million bars on one core."""
    batch = find_set("qe150").batch
    batch(bars[:1_000])  # compiles
    (seconds,) = in_turns(lambda: batch(bars), rounds=3)
    words = f"{seconds.min():.1f} s for {len(bars):,} bars (at most {QE150_S:g})"
    return row("qe150_million_bars", seconds.min(), QE150_S, 1.0, words)


def apart(what: str, **environment: str) -> Any:
    """Return what ``what`` measures in a fresh process."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_features", what],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout)


def memory() -> dict:
    """Peak memory of one call against the size of its result."""
    extra, result = apart("measured_memory")
    words = f"{extra / result:.2f} x the result's {result / 2**20:.0f} MiB (at most {MEMORY:g})"
    return row("ffm68_memory", extra, result * MEMORY, 1.0, words)


def measured_memory() -> tuple[int, int]:
    """Return bytes that one call adds at its peak, and the bytes of its result."""
    bars = bars_of(MILLION)
    for name in ("ts_us", "open", "high", "low", "close", "volume"):
        getattr(bars, name)  # the input's views exist already when features are asked for
    FFM68.batch(bars[:1_000])  # compiles
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status("VmRSS")
    result = FFM68.batch(bars)
    return _status("VmHWM") - before, result.nbytes


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not report {field}")


def streaming(bars: Bars) -> dict:
    """Microseconds of one update, all 68 columns, called from Python."""
    part = bars[:50_000]
    columns = [part.ts_us, part.open, part.high, part.low, part.close, part.volume]
    rows = list(zip(*(values.tolist() for values in columns), strict=True))

    def feed() -> list[np.ndarray]:
        stream = FFM68.stream(part.instrument, part.timeframe)
        return [stream.update(*values) for values in rows]

    parity = np.array(feed()).tobytes() == FFM68.batch(part).tobytes()
    (seconds,) = in_turns(feed, rounds=5)
    each = seconds.min() / len(part)
    words = f"{1e6 * each:.1f} us a bar (at most {UPDATE_US:g})"
    return row("ffm68_update", each, UPDATE_US / 1e6, 1.0, words, parity=parity)


def threads(bars: Bars) -> dict:
    """Two instruments one after the other against two threads."""
    two = [bars, Bars(bars.frame, lookup("NQ"), bars.timeframe)]
    with ThreadPoolExecutor(2) as pool:

        def in_line() -> list[np.ndarray]:
            return [FFM68.batch(each) for each in two]

        def together() -> list[np.ndarray]:
            return list(pool.map(FFM68.batch, two))

        same = all(a.tobytes() == b.tobytes() for a, b in zip(in_line(), together(), strict=True))
        times = in_turns(together, in_line, rounds=7, clock=time.perf_counter)
    ours, plain = times[0].min(), times[1].min()
    words = f"{2 * len(bars) / ours / 1e6:.2f}M bars/s on two cores"
    return row("ffm68_two_threads", ours, plain, THREADS_GATE, words, parity=same)


def scaling() -> list[dict]:
    """Measure size and threads."""
    bars = bars_of(10 * MILLION)
    FFM68.batch(bars[:1_000])  # compiles
    return [linearity(bars), threads(bars[:MILLION])]


def main() -> int:
    if sys.argv[1:] in (["measured_memory"], ["scaling"]):
        print(json.dumps(globals()[sys.argv[1]]()))
        return 0
    bars = bars_of(MILLION)
    FFM68.batch(bars[:1_000])  # compiles
    results = [
        against_pandas(bars),
        *apart("scaling", **KEEP),
        memory(),
        streaming(bars),
        qe150(bars),
    ]
    for result in results:
        print(json.dumps(result), flush=True)
    return 0 if all(r["parity"] and r["ratio"] >= (r["gate"] or 0) for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
