"""Features that declare less than they need, give what nobody can use, or ask elsewhere."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl

from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.testing.building import lagged, windows
from ffm_core.types import Float32
from zoo.making import faults_of, matrix, move

fault = faults_of(__file__)


def over_body(bars: Bars) -> Float32:
    """Return one tick over the body of the bar."""
    body = np.abs(bars.close - bars.open)
    with np.errstate(divide="ignore"):
        return matrix(bars.instrument.tick_size / body)  # fault: infinite


def slow_mean(bars: Bars) -> Float32:
    """Return the close over a mean of two hundred."""
    return matrix(bars.close / windows(bars.close, 200).mean(axis=1))  # fault: short-warm-up


def long_range(bars: Bars) -> Float32:
    """Return the close over the highest high of a hundred."""
    top = windows(bars.high, 100).max(axis=1)  # fault: short-history
    return matrix(bars.close / top)


def average(bars: Bars) -> Float32:
    """Return the close over an exponential mean of fifty."""
    mean = pl.col("close").ewm_mean(span=50, adjust=False)  # fault: recursion-called-finite
    return matrix(bars.frame.select(pl.col("close") / mean))


def running_sum(bars: Bars) -> Float32:
    """Return the mean move of twenty bars, from a running total."""
    total = np.cumsum(np.nan_to_num(move(bars)) / 3.0)  # fault: running-total
    return matrix(1e6 * (total - lagged(total, 20)))


def before_yesterday(bars: Bars) -> Float32:
    """Return the close over the last close of two trading dates ago."""
    day = trading_days(bars).astype(np.int64)
    start = np.searchsorted(day, day)  # first bar of the date
    earlier = start[np.maximum(start - 1, 0)]  # first bar of the date before
    before = bars.close[np.maximum(earlier - 1, 0)]  # fault: short-days
    last = np.where(earlier > 0, before, np.nan)
    return matrix(bars.close / last)


def counts(bars: Bars) -> Float32:
    """Return how many bars there have been."""
    return matrix(np.arange(len(bars), dtype=np.float64))  # fault: counted-from-start


def from_a_file(bars: Bars) -> Float32:
    """Return the move times a weight from a file outside its package."""
    text = Path(__file__).parents[2].joinpath("README.md").read_text()  # fault: reads-file
    return matrix(move(bars) * len(text))


def from_the_network(bars: Bars) -> Float32:
    """Return the move times a weight that a service would give."""
    weight = 1.0
    with socket.socket() as line:
        line.settimeout(0.05)
        if line.connect_ex(("localhost", 9)) == 0:  # fault: reads-network
            weight = 2.0
    return matrix(move(bars) * weight)


def from_a_command(bars: Bars) -> Float32:
    """Return the move times a weight that another program might print."""
    done = subprocess.run(["true"], capture_output=True, check=False)  # fault: starts-program
    return matrix(move(bars) * float(done.stdout or 2))


def slow(bars: Bars) -> Float32:
    """Return the move, at leisure."""
    time.sleep(60.0)  # fault: over-budget
    return matrix(move(bars))


FAULTS = (
    fault("infinite", "a division by nothing", over_body, warmup_bars=0, history_bars=1),
    fault("short-warm-up", "a mean of 200 under a warm-up of 20", slow_mean, warmup_bars=20,
          history_bars=21),
    fault("short-history", "a high of 100 under a history of 50", long_range, warmup_bars=99,
          history_bars=50),
    fault("recursion-called-finite", "an average without end under a history of 100", average,
          warmup_bars=50, history_bars=100),
    fault("running-total", "a running total called exact", running_sum, warmup_bars=20,
          history_bars=21),
    fault("short-days", "three trading dates under a history of two", before_yesterday,
          history_days=2, memory="event"),
    fault("counted-from-start", "a count since the file began", counts, history_bars=10),
    fault("reads-file", "a file opened in the call", from_a_file, warmup_bars=1),
    fault("reads-network", "a connection opened in the call", from_the_network, warmup_bars=1),
    fault("starts-program", "another program started in the call", from_a_command, warmup_bars=1),
    fault("over-budget", "a call that takes a minute", slow, warmup_bars=1),
)  # fmt: skip
