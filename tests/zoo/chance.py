"""Features that depend on when, where and by how many threads they are computed."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.types import Float32
from zoo.making import faults_of, matrix, move

fault = faults_of(__file__)


def age(bars: Bars) -> Float32:
    """Return how long ago a bar was, in years."""
    now = datetime.now(UTC).timestamp()  # fault: clock
    return matrix(np.asarray((now * 1e6 - bars.ts_us) / 3.15e7 % 1.0, dtype=np.float64))


def noise(bars: Bars) -> Float32:
    """Return the move with a little noise from the shared generator."""
    drawn = np.random.standard_normal(len(bars))  # noqa: NPY002  # fault: global-random
    return matrix(move(bars) + drawn)


def unseeded(bars: Bars) -> Float32:
    """Return the move with a little noise from a generator of its own."""
    rng = np.random.default_rng()  # fault: unseeded
    return matrix(move(bars) + rng.standard_normal(len(bars)))


def by_hash(bars: Bars) -> Float32:
    """Return the move times a weight that comes from a text."""
    weight = hash("momentum") % 1_000 / 1_000 + 0.5  # fault: hash-seed
    return matrix(move(bars) * weight)


def by_set_order(bars: Bars) -> Float32:
    """Return spans weighed in the order in which a set gives them."""
    total = np.zeros(len(bars))
    for place, name in enumerate({"close", "open", "high", "low", "volume"}):  # fault: set-order
        total += (place + 1) * bars[name]
    return matrix(total)


def race(bars: Bars) -> Float32:
    """Return a sum of four parts, added up as threads finish."""
    done: list[float] = []

    def work(part: int) -> None:
        time.sleep(int.from_bytes(os.urandom(1)) / 2**17)
        done.append(0.1 * 3.0**part)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    weight = sum(value / (place + 1) for place, value in enumerate(done))  # fault: thread-race
    return matrix(move(bars) * weight)


def by_threads(bars: Bars) -> Float32:
    """Return the close over means of as many parts as there are threads."""
    parts = pl.thread_pool_size() + 1  # fault: thread-count
    weight = sum(1.0 / (part + 3) for part in range(parts)) / parts
    return matrix(move(bars) * weight)


def by_process(bars: Bars) -> Float32:
    """Return the move with a little noise, seeded by the number of the process."""
    rng = np.random.default_rng(os.getpid())  # fault: process-id
    return matrix(move(bars) + rng.standard_normal(len(bars)))


FAULTS = (
    fault("clock", "datetime.now in a feature", age),
    fault("global-random", "numpy's shared generator", noise),
    fault("unseeded", "a generator without a seed", unseeded),
    fault("hash-seed", "hash() of a text", by_hash, warmup_bars=1),
    fault("set-order", "the order of a set of texts", by_set_order),
    fault("thread-race", "a sum in the order in which threads finish", race, warmup_bars=1),
    fault("thread-count", "as many parts as there are threads", by_threads, warmup_bars=1),
    fault("process-id", "a seed from the number of the process", by_process, warmup_bars=1),
)
