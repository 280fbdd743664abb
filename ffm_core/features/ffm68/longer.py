"""Columns of longer bars: sweeps of their extremes, and where the running one stands."""

from __future__ import annotations

import numpy as np

from ffm_core.features.ffm68.layout import (
    BEAR_ROWS,
    BEAR_SIZE,
    BULL_ROWS,
    BULL_SIZE,
    CLOSE_,
    COMPLETE,
    DAY,
    EXPIRY,
    FOUR_HOURS,
    FOUR_HOURS_I,
    HIGH_,
    HOUR,
    HOUR_I,
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    LOW_,
    MEAN_RANGE_BARS,
    OPEN_,
    RANGES,
    RUNNING,
    START,
)
from ffm_core.features.windows import clip, ratio, sign
from ffm_core.jit import inlined, kernel
from ffm_core.types import Float32, Float64, Int64


@inlined
def follow(
    clock: int,
    o: float,
    h: float,
    low: float,
    c: float,
    f: Float64,
    own: int,
    i: Int64,
    at: int,
    length: int,
    bar_us: int,
    expiry: int,
) -> None:
    """Add a bar to a longer bar of ``length`` and complete what has ended."""
    i[at + BULL_ROWS] = max(i[at + BULL_ROWS] - 1, 0)
    i[at + BEAR_ROWS] = max(i[at + BEAR_ROWS] - 1, 0)
    running = i[at + RUNNING] == 1
    if running and not i[at + START] <= clock < i[at + START] + length:
        _complete(f, own, i, at, expiry)  # its last bar never came
        running = False
    if running:
        f[own + HIGH_] = max(f[own + HIGH_], h)
        f[own + LOW_] = min(f[own + LOW_], low)
    else:
        i[at + START] = clock // length * length
        i[at + RUNNING] = 1
        f[own + OPEN_], f[own + HIGH_], f[own + LOW_] = o, h, low
    f[own + CLOSE_] = c
    if clock + bar_us >= i[at + START] + length:
        _complete(f, own, i, at, expiry)
        i[at + RUNNING] = 0


@kernel
def _complete(f: Float64, own: int, i: Int64, at: int, expiry: int) -> None:
    high, low, close = f[own + HIGH_], f[own + LOW_], f[own + CLOSE_]
    complete = i[at + COMPLETE]
    span = high - low
    if complete > 0:
        before = f[own + LAST_CLOSE]
        span = max(span, abs(high - before), abs(low - before))
    f[own + RANGES + complete % MEAN_RANGE_BARS] = span
    complete += 1
    i[at + COMPLETE] = complete
    if complete > 1:
        _sweep(high, low, close, f, own, i, at, expiry)
    f[own + LAST_HIGH] = high
    f[own + LAST_LOW] = low
    for k in range(3, 0, -1):
        f[own + LAST_CLOSE + k] = f[own + LAST_CLOSE + k - 1]
    f[own + LAST_CLOSE] = close


@kernel
def _sweep(
    high: float,
    low: float,
    close: float,
    f: Float64,
    own: int,
    i: Int64,
    at: int,
    expiry: int,
) -> None:
    past_high, past_low = f[own + LAST_HIGH], f[own + LAST_LOW]
    bull = low < past_low and close > past_low
    bear = high > past_high and close < past_high
    if not (bull or bear):
        return
    total = 0.0  # oldest first; NaN until there are 14
    for k in range(MEAN_RANGE_BARS):
        total += f[own + RANGES + (i[at + COMPLETE] + k) % MEAN_RANGE_BARS]
    mean_range = total / MEAN_RANGE_BARS
    if bull:
        i[at + BULL_ROWS] = expiry
        f[own + BULL_SIZE] = clip((past_low - low) / mean_range, 0.0, 3.0)
    if bear:
        i[at + BEAR_ROWS] = expiry
        f[own + BEAR_SIZE] = clip((high - past_high) / mean_range, 0.0, 3.0)


@kernel
def _write_sweeps(
    f: Float64, own: int, i: Int64, state: int, expiry: int, out: Float32, at: int
) -> tuple[float, float, float]:
    """Write the four columns of one length; return balance, bull and bear magnitude."""
    bull_rows, bear_rows = i[state + BULL_ROWS], i[state + BEAR_ROWS]
    bull = f[own + BULL_SIZE] if bull_rows > 0 else 0.0
    bear = f[own + BEAR_SIZE] if bear_rows > 0 else 0.0
    if i[state + COMPLETE] < MEAN_RANGE_BARS:
        bull = bear = np.nan
    balance = np.nan
    if i[state + COMPLETE] < 2:
        out[at] = out[at + 1] = out[at + 2] = np.nan
    else:
        out[at] = 1.0 if bull_rows > 0 else 0.0
        out[at + 1] = 1.0 if bear_rows > 0 else 0.0
        out[at + 2] = 1.0 - max(bull_rows, bear_rows) / expiry
        balance = float((bull_rows > 0) - (bear_rows > 0))
    larger = bull if bull > bear else bear
    out[at + 3] = larger + (bull + bear) * 0.0  # NaN when either is
    return balance, bull, bear


@inlined
def write_sweeps(f: Float64, i: Int64, n: Int64, out: Float32, at: int) -> None:
    """Write columns 43 to 52."""
    hour = _write_sweeps(f, HOUR, i, HOUR_I, n[EXPIRY], out, at)
    four = _write_sweeps(f, FOUR_HOURS, i, FOUR_HOURS_I, n[EXPIRY + 1], out, at + 4)
    out[at + 8] = sign(hour[0] + four[0])
    bull, bear = hour[1] + four[1], hour[2] + four[2]
    out[at + 9] = ratio(bull - bear, bull + bear, 0.0)


@inlined
def write_context(c: float, per_atr: float, f: Float64, i: Int64, out: Float32, at: int) -> None:
    """Write columns 58 to 64."""
    hour = (c - f[HOUR + OPEN_]) * per_atr
    four = (c - f[FOUR_HOURS + OPEN_]) * per_atr
    out[at] = ratio(c - f[HOUR + LOW_], f[HOUR + HIGH_] - f[HOUR + LOW_], 0.5)
    out[at + 1] = hour
    out[at + 2] = ratio(c - f[FOUR_HOURS + LOW_], f[FOUR_HOURS + HIGH_] - f[FOUR_HOURS + LOW_], 0.5)
    out[at + 3] = four
    out[at + 4] = sign(hour) * sign(four)
    out[at + 5] = _turns(f, HOUR)
    out[at + 6] = _turns(f, DAY)


@kernel
def _turns(f: Float64, own: int) -> float:
    """Return the direction of the last four complete closes, NaN until there are four."""
    total = 0.0
    for k in range(3):
        total += sign(f[own + LAST_CLOSE + k] - f[own + LAST_CLOSE + k + 1])
    if total >= 2.0:
        return 1.0
    return -1.0 if total <= -2.0 else total * 0.0
