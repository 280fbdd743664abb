"""The plain strategy that every specimen is a twin of."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions
from ffm_core.types import Float64, Int64

SPAN = 20  # bars of the plain strategy's window
HISTORY = 60


def hourly(bars: Bars) -> Int64:
    """Return the bars that open a UTC hour and have a full window behind them."""
    rows = np.flatnonzero(bars.ts_us // bars.timeframe.us % 12 == 0)
    return rows[rows >= SPAN].astype(np.int64)


def lagged(values: Float64, bars: int) -> Float64:
    """Return ``values`` of ``bars`` bars ago; NaN before."""
    moved = np.full(len(values), np.nan)
    if bars < len(values):
        moved[bars:] = values[: len(values) - bars]
    return moved


def windows(values: Float64, span: int) -> Float64:
    """Return the trailing windows of ``values``, shape (T, span); NaN before."""
    if len(values) == 0:
        return np.empty((0, span))
    padded = np.concatenate([np.full(span - 1, np.nan), values])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, span))


def range_of(bars: Bars, span: int) -> Float64:
    """Return the range of the last ``span`` bars in points; NaN before; shape (T,)."""
    size = windows(bars.high, span).max(axis=1) - windows(bars.low, span).min(axis=1)
    return np.asarray(size)


def typical(bars: Bars) -> Float64:
    """Return the move of the last twenty bars over their range, 0 where nothing moved."""
    size = range_of(bars, SPAN)
    move = bars.close - lagged(bars.close, SPAN - 1)
    return np.where(size > 0, move / np.where(size > 0, size, 1.0), 0.0)


def build(bars: Bars, rows: Int64, value: Float64) -> Decisions:
    """Return decisions at ``rows`` in the direction of the window, with one column."""
    side = np.where(typical(bars)[rows] >= 0, 1, -1).astype(np.int8)
    size = np.nan_to_num(range_of(bars, SPAN)[rows])
    risk = np.maximum(size, 8 * bars.instrument.tick_size)
    return Decisions(bar=rows, side=side, risk=risk, columns={"value": value[rows]})
