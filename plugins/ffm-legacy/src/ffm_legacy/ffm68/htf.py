"""Legacy features of longer bars: sweeps of the last hour and context of the running one.

A stamp belongs to the longer bar that ends at or after it, as if it were the
close of its bar; a longer bar counts once a bar with a later label has come.
"""

from __future__ import annotations

from ffm_core.features.clock import DAY_US, HOUR_US
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_legacy.ffm68.layout import (
    CLOCK,
    CLOCK_SIZE,
    CLOSE_,
    COUNTDOWN,
    DONE,
    HIGH_,
    HTF,
    HTF_ATR,
    HTF_SIZE,
    LABEL,
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    LOW_,
    MAGNITUDE,
    OPEN_,
    RANGES,
    TURN,
)
from ffm_legacy.ffm68.windows import clip, sign

_TINY = 1e-6  # stands in for a mean range that is missing or smaller


@kernel
def _complete(f: Float64, i: Int64, own: int, clock: int, expiry: int) -> None:
    """Take the finished longer bar: range, direction, sweeps, levels."""
    high, low, close = f[own + HIGH_], f[own + LOW_], f[own + CLOSE_]
    done = i[clock + DONE]
    true_range = high - low
    if done > 0:
        before = f[own + LAST_CLOSE]
        true_range = max(true_range, abs(high - before), abs(low - before))
        f[own + TURN] = f[own + TURN + 1]
        f[own + TURN + 1] = f[own + TURN + 2]
        f[own + TURN + 2] = sign(close - before)
    f[own + RANGES + done % HTF_ATR] = true_range
    if done > 0:
        _sweep(f, i, own, clock, expiry)
    f[own + LAST_HIGH], f[own + LAST_LOW], f[own + LAST_CLOSE] = high, low, close
    i[clock + DONE] = done + 1


@kernel
def _sweep(f: Float64, i: Int64, own: int, clock: int, expiry: int) -> None:
    scale = _TINY
    done = i[clock + DONE]
    if done + 1 >= HTF_ATR:
        total = 0.0
        for back in range(HTF_ATR - 1, -1, -1):
            total += f[own + RANGES + (done - back) % HTF_ATR]
        scale = max(total / HTF_ATR, _TINY)
    below = f[own + LAST_LOW] - f[own + LOW_]
    if below > 0.0 and f[own + CLOSE_] > f[own + LAST_LOW]:
        i[clock + COUNTDOWN] = expiry
        f[own + MAGNITUDE] = clip(below / scale, 0.0, 3.0, 0.0)
    above = f[own + HIGH_] - f[own + LAST_HIGH]
    if above > 0.0 and f[own + CLOSE_] < f[own + LAST_HIGH]:
        i[clock + COUNTDOWN + 1] = expiry
        f[own + MAGNITUDE + 1] = clip(above / scale, 0.0, 3.0, 0.0)


@kernel
def longer_bar(
    ts: int,
    o: float,
    h: float,
    low: float,
    c: float,
    f: Float64,
    i: Int64,
    which: int,
    length_us: int,
    expiry: int,
) -> None:
    """Add the bar to the running longer bar, or complete that and begin another."""
    own = HTF + which * HTF_SIZE
    clock = CLOCK + which * CLOCK_SIZE
    label = -(-ts // length_us)
    for side in range(2):
        i[clock + COUNTDOWN + side] = max(0, i[clock + COUNTDOWN + side] - 1)
    begun = f[own + OPEN_] == f[own + OPEN_]
    if begun and i[clock + LABEL] == label:
        f[own + HIGH_] = max(f[own + HIGH_], h)
        f[own + LOW_] = min(f[own + LOW_], low)
        f[own + CLOSE_] = c
        return
    if begun:
        _complete(f, i, own, clock, expiry)
    i[clock + LABEL] = label
    f[own + OPEN_], f[own + HIGH_], f[own + LOW_], f[own + CLOSE_] = o, h, low, c


@kernel
def longer_bars(
    ts: int, o: float, h: float, low: float, c: float, f: Float64, i: Int64, n: Int64
) -> None:
    """Bring the hour, the four hours and the UTC day up to the current bar."""
    longer_bar(ts, o, h, low, c, f, i, 0, HOUR_US, n[0])
    longer_bar(ts, o, h, low, c, f, i, 1, 4 * HOUR_US, n[1])
    longer_bar(ts, o, h, low, c, f, i, 2, DAY_US, 0)


@kernel
def write_sweeps(f: Float64, i: Int64, n: Int64, out: Float32, at: int) -> None:
    """Write columns 43 to 52."""
    direction = 0
    for which in range(2):
        own = HTF + which * HTF_SIZE
        clock = CLOCK + which * CLOCK_SIZE + COUNTDOWN
        bull, bear = i[clock], i[clock + 1]
        column = at + 42 + 4 * which
        out[column] = 1.0 if bull > 0 else 0.0
        out[column + 1] = 1.0 if bear > 0 else 0.0
        out[column + 2] = 1.0 - max(bull, bear) / n[which]
        largest = 0.0
        if bull > 0:
            largest = f[own + MAGNITUDE]
        if bear > 0:
            largest = max(largest, f[own + MAGNITUDE + 1])
        out[column + 3] = largest
        direction += (1 if bull > 0 else 0) - (1 if bear > 0 else 0)
    out[at + 50] = sign(float(direction))
    out[at + 51] = out[at + 50]


@kernel
def _structure(f: Float64, i: Int64, which: int) -> float:
    if i[CLOCK + which * CLOCK_SIZE + DONE] < 4:
        return 0.0
    turn = HTF + which * HTF_SIZE + TURN
    total = f[turn] + f[turn + 1] + f[turn + 2]
    return sign(total) if abs(total) >= 2.0 else 0.0


@kernel
def write_context(c: float, scale: float, f: Float64, i: Int64, out: Float32, at: int) -> None:
    """Write columns 58 to 64."""
    direction = 1.0
    for which in range(2):
        own = HTF + which * HTF_SIZE
        high, low = f[own + HIGH_], f[own + LOW_]
        column = at + 57 + 2 * which
        out[column] = clip((c - low) / (high - low), 0.0, 1.0, 0.5)
        change = (c - f[own + OPEN_]) / scale
        out[column + 1] = 0.0 if change != change else change
        direction *= sign(change)
    out[at + 61] = direction
    out[at + 62] = _structure(f, i, 0)
    out[at + 63] = _structure(f, i, 2)
