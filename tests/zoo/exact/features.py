"""Features whose leak is small, early or rare: exact comparison and every row find them."""

from __future__ import annotations

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.types import Float32, Float64
from zoo.making import faults_of, matrix, move, sessions

fault = faults_of(__file__)
HOUR_BARS = 12


def average(bars: Bars, span: int = 50) -> Float64:
    """Return the close over its exponential mean, which never ends."""
    mean = pl.col("close").ewm_mean(span=span, adjust=False)
    return bars.frame.select(pl.col("close") / mean).to_series().to_numpy().copy()


def last_bit(bars: Bars) -> Float32:
    """Return an average whose last bit says where the next close lies."""
    value = matrix(average(bars))
    up = np.append(np.diff(bars.close) > 0, False)[: len(bars)]  # fault: last-bit
    value[up] = np.nextafter(value[up], np.float32(np.inf))
    return value


def last_bit_of_a_window(bars: Bars) -> Float32:
    """Return the same under a declared history, where recursions may drift."""
    value = matrix(average(bars, span=20))
    up = np.append(np.diff(bars.close) > 0, False)[: len(bars)]  # fault: last-bit-window
    value[up] = np.nextafter(value[up], np.float32(np.inf))
    return value


def ninth_digit(bars: Bars) -> Float32:
    """Return the average in points, moved by a hundred-millionth of itself."""
    hint = 1.0 + 6e-8 * np.sign(np.append(np.diff(bars.close), 0.0)[: len(bars)])  # fault: digits
    return matrix(1e3 * average(bars) * hint)


def early_rows(bars: Bars) -> Float32:
    """Return the next move on the first forty rows, which are called warm-up."""
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: warm-up-rows
    value = np.nan_to_num(move(bars))
    value[:40] = ahead[:40]
    return matrix(value)


def long_warm_up(bars: Bars) -> Float32:
    """Return the next move under a warm-up that outlasts any file."""
    return matrix(np.append(np.diff(bars.close), 0.0)[: len(bars)])  # fault: long-warm-up


def seeded_by_the_file(bars: Bars) -> Float32:
    """Return an average that starts from the mean of the file; the start is forgotten."""
    level = float(bars.close.mean()) if len(bars) else 0.0  # fault: seeded-by-file
    out = np.empty(len(bars))
    for i, close in enumerate(bars.close.tolist()):
        level += 0.05 * (close - level)
        out[i] = close / level
    return matrix(out)


def grid_from_the_end(bars: Bars) -> Float32:
    """Return the place in blocks of an hour that are counted back from the session's end."""
    session = sessions(bars)
    last = np.searchsorted(session, session, side="right") - 1  # fault: grid-from-session-end
    return matrix(((last - np.arange(len(bars))) % HOUR_BARS).astype(np.float64))


def one_row(bars: Bars) -> Float32:
    """Return moves, and the next one on a single bar of the file."""
    value = np.nan_to_num(move(bars))
    at = np.flatnonzero(bars.ts_us[:-1] == 1_709_906_400_000_000)  # 2024-03-08 14:00 UTC
    value[at] = (bars.close[1:] - bars.close[:-1])[at]  # fault: one-row
    return matrix(value)


FAULTS = (
    fault("last-bit", "the next direction in the last bit of an average", last_bit,
          memory="recursive"),
    fault("last-bit-window", "the same under a declared history", last_bit_of_a_window,
          memory="recursive", history_bars=500),
    fault("digits", "the next direction in the eighth digit of an average", ninth_digit,
          memory="recursive"),
    fault("warm-up-rows", "the next move on rows of the warm-up alone", early_rows,
          warmup_bars=50),
    fault("long-warm-up", "the next move under a warm-up of ten million bars", long_warm_up,
          warmup_bars=10**7),
    fault("seeded-by-file", "an average that starts from the file's mean", seeded_by_the_file,
          warmup_bars=700, memory="recursive"),
    fault("grid-from-session-end", "blocks counted back from the session's end",
          grid_from_the_end, memory="event"),
    fault("one-row", "the next move on one row of the file", one_row, warmup_bars=1),
)  # fmt: skip
