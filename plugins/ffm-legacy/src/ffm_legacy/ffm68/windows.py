"""Legacy features of recent bars: anatomy, returns, volume, volatility, candles.

Every kernel reads the windows kept in ``f``; ``now`` is the place of the current
bar in the first of them, so that window ``s`` ends at ``s * SPAN + now``.
"""

from __future__ import annotations

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64
from ffm_legacy.ffm68.layout import (
    ATR,
    BOTTOM,
    CLOSE,
    DELTA,
    HIGH,
    LOW,
    RANGE,
    RETURN,
    RING,
    SIGN,
    SPAN,
    TOP,
    TRUE,
    VOLUME,
)


@kernel
def sign(value: float) -> float:
    """Return −1, 0 or 1; 0 for NaN."""
    if value > 0.0:
        return 1.0
    return -1.0 if value < 0.0 else 0.0


@kernel
def clip(value: float, low: float, high: float, missing: float) -> float:
    """Return the value within bounds, ``missing`` for NaN."""
    if value != value:
        return missing
    return low if value < low else (high if value > high else value)


@kernel
def put(f: Float64, series: int, now: int, value: float) -> None:
    """Write the current bar into a window, at both of its places."""
    f[series * SPAN + now] = value
    f[series * SPAN + now - RING] = value


@kernel
def mean(f: Float64, series: int, now: int, window: int) -> float:
    """Return the mean of the last ``window`` bars, NaN where one is missing."""
    last = series * SPAN + now
    total = 0.0
    for at in range(last - window + 1, last + 1):
        total += f[at]
    return total / window


@kernel
def deviation(f: Float64, series: int, now: int, window: int) -> float:
    """Return the sample standard deviation; exactly 0 for equal values."""
    last = series * SPAN + now
    middle = mean(f, series, now, window)
    square = 0.0
    flat = True
    for at in range(last - window + 1, last + 1):
        square += (f[at] - middle) * (f[at] - middle)
        flat = flat and f[at] == f[last]
    return 0.0 if flat else float(np.sqrt(square / (window - 1)))


@kernel
def highest(f: Float64, series: int, now: int, window: int) -> float:
    """Return the largest of the last ``window`` bars, all of them present."""
    last = series * SPAN + now
    top = f[last]
    for at in range(last - window + 1, last):
        top = max(top, f[at])
    return float(top)


@kernel
def lowest(f: Float64, series: int, now: int, window: int) -> float:
    """Return the smallest of the last ``window`` bars, all of them present."""
    last = series * SPAN + now
    bottom = f[last]
    for at in range(last - window + 1, last):
        bottom = min(bottom, f[at])
    return float(bottom)


@kernel
def remember(
    o: float, h: float, low: float, c: float, v: float, f: Float64, now: int, seen: int
) -> None:
    """Write the bar, its true range, return, signed volume and mean range."""
    put(f, HIGH, now, h)
    put(f, LOW, now, low)
    put(f, CLOSE, now, c)
    put(f, RANGE, now, h - low)
    put(f, VOLUME, now, v)
    put(f, TOP, now, max(o, c))
    put(f, BOTTOM, now, min(o, c))
    put(f, SIGN, now, sign(c - o))
    place = (c - low) / (h - low) if h > low else 0.5
    put(f, DELTA, now, (place - 0.5) * v)
    true_range = h - low
    if seen > 0:
        before = f[CLOSE * SPAN + now - 1]
        true_range = max(true_range, abs(h - before), abs(low - before))
        put(f, RETURN, now, c / before - 1.0)
    else:
        put(f, RETURN, now, np.nan)
    put(f, TRUE, now, true_range)
    put(f, ATR, now, mean(f, TRUE, now, 14) if seen >= 13 else np.nan)


@kernel
def write_anatomy(
    o: float, h: float, low: float, c: float, scale: float, out: Float32, at: int
) -> None:
    """Write columns 1 to 8."""
    spread, body = h - low, c - o
    above, below = h - max(o, c), min(o, c) - low
    out[at] = spread / scale
    out[at + 1] = body / scale
    out[at + 2] = above / scale
    out[at + 3] = below / scale
    out[at + 4] = abs(body) / spread if spread > 0.0 else 0.0
    out[at + 5] = above / spread if spread > 0.0 else 0.0
    out[at + 6] = below / spread if spread > 0.0 else 0.0
    out[at + 7] = sign(body)


@kernel
def write_returns(o: float, c: float, f: Float64, now: int, out: Float32, at: int) -> None:
    """Write columns 9 to 16."""
    last = CLOSE * SPAN + now
    out[at + 8] = c / f[last - 1] - 1.0
    out[at + 9] = c / f[last - 3] - 1.0
    out[at + 10] = c / f[last - 5] - 1.0
    out[at + 11] = (c - o) / o
    five = 5.0 * mean(f, RETURN, now, 5)
    out[at + 12] = five
    out[at + 13] = 10.0 * mean(f, RETURN, now, 10)
    out[at + 14] = 20.0 * mean(f, RETURN, now, 20)
    out[at + 15] = five - 5.0 * mean(f, RETURN, now - 5, 5)


@kernel
def write_volume(
    o: float, h: float, low: float, c: float, v: float, f: Float64, now: int, out: Float32, at: int
) -> None:
    """Write columns 17 to 22 and 65 to 68."""
    spread, body = h - low, abs(c - o)
    ratio = v / mean(f, VOLUME, now, 5)
    out[at + 16] = ratio
    out[at + 17] = v / mean(f, VOLUME, now, 10)
    out[at + 18] = v / mean(f, VOLUME, now, 20)
    out[at + 19] = v / f[VOLUME * SPAN + now - 1] - 1.0
    out[at + 20] = (c - low) / spread if spread > 0.0 else 0.5
    out[at + 21] = f[DELTA * SPAN + now]
    five = mean(f, DELTA, now, 5) / mean(f, VOLUME, now, 5)
    twenty = mean(f, DELTA, now, 20) / mean(f, VOLUME, now, 20)
    out[at + 64] = clip(five, -0.5, 0.5, 0.0)
    out[at + 65] = clip(twenty, -0.5, 0.5, 0.0)
    filled = body / spread if spread > 0.0 else 0.0
    out[at + 66] = clip(ratio * (1.0 - filled), 0.0, 5.0, 1.0)
    excess = 0.0 if ratio != ratio else ratio - 1.0
    out[at + 67] = clip(sign(5.0 * mean(f, RETURN, now, 5)) * excess, -3.0, 3.0, 0.0)


@kernel
def write_volatility(f: Float64, now: int, out: Float32, at: int) -> None:
    """Write columns 23 to 28."""
    atr, spread = f[ATR * SPAN + now], f[RANGE * SPAN + now]
    out[at + 22] = (atr - mean(f, ATR, now, 50)) / deviation(f, ATR, now, 50)
    out[at + 23] = spread / mean(f, RANGE, now, 5)
    out[at + 24] = spread / mean(f, RANGE, now, 20)
    out[at + 25] = deviation(f, ATR, now, 14) / mean(f, ATR, now, 14)
    out[at + 26] = deviation(f, RETURN, now, 10)
    out[at + 27] = deviation(f, RETURN, now, 20)


@kernel
def write_extremes(
    c: float, scale: float, f: Float64, now: int, seen: int, out: Float32, at: int
) -> None:
    """Write columns 37 to 42."""
    for window, column in ((10, at + 36), (20, at + 39)):
        if seen + 1 < window:
            out[column] = np.nan
            out[column + 1] = np.nan
            out[column + 2] = 0.5
            continue
        top, bottom = highest(f, HIGH, now, window), lowest(f, LOW, now, window)
        out[column] = (c - top) / scale
        out[column + 1] = (c - bottom) / scale
        out[column + 2] = (c - bottom) / (top - bottom) if top > bottom else 0.5


@kernel
def momentum_speed(f: Float64, now: int) -> float:
    """Return impulse speed over retrace speed of the 20 closes before the bar."""
    first = CLOSE * SPAN + now - 20
    peak, trough = 0, 0
    for k in range(1, 20):
        if f[first + k] > f[first + peak]:
            peak = k
        if f[first + k] < f[first + trough]:
            trough = k
    impulse = f[first + peak] - f[first + trough]
    if impulse <= 0.0:
        return 1.0
    later = max(peak, trough)
    retrace = abs(f[first + 19] - f[first + later]) / max(1, 19 - later)
    speed = impulse / max(1, abs(peak - trough))
    return clip(speed / (retrace + 1e-9), 0.0, 10.0, 1.0)


@kernel
def write_candles(
    o: float,
    h: float,
    low: float,
    c: float,
    f: Float64,
    now: int,
    seen: int,
    out: Float32,
    at: int,
) -> None:
    """Write columns 53 to 56."""
    top, bottom = max(o, c), min(o, c)
    engulfed, agreeing = 0, 1
    body = sign(c - o)
    for back in range(1, min(seen, 5) + 1):
        earlier = TOP * SPAN + now - back
        if f[earlier] <= top and f[earlier + (BOTTOM - TOP) * SPAN] >= bottom:
            engulfed += 1
        if back < 5 and f[SIGN * SPAN + now - back] == body:
            agreeing += 1
    out[at + 52] = engulfed
    out[at + 53] = momentum_speed(f, now) if seen >= 20 else 1.0
    out[at + 54] = clip(((bottom - low) - (h - top)) / (h - low + 1e-9), -1.0, 1.0, 0.0)
    out[at + 55] = agreeing / min(seen + 1, 5) if body != 0.0 else 0.5
