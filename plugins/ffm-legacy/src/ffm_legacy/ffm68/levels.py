"""Legacy features that remember an event: sessions of the UTC day and swings."""

from __future__ import annotations

from ffm_core.features.clock import DAY_US, HOUR_US
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_legacy.ffm68.layout import (
    DATE,
    HIGH,
    LOW,
    SESSION,
    SESSION_SIZE,
    SESSIONS,
    SPAN,
    SWING,
    VWAP,
)
from ffm_legacy.ffm68.windows import highest, lowest, sign

_REACH = 10  # bars on each side of a swing


@kernel
def session_of(ts: int) -> int:
    """Return the session of a stamp by its UTC hour: 3 to 8, 8 to 12, 12 to 16, else 0."""
    hour = ts % DAY_US // HOUR_US
    if hour < 3 or hour >= 16:
        return 0
    return 1 if hour < 8 else (2 if hour < 12 else 3)


@kernel
def write_session(
    ts: int,
    o: float,
    h: float,
    low: float,
    c: float,
    v: float,
    scale: float,
    f: Float64,
    i: Int64,
    k: Float64,
    out: Float32,
    at: int,
) -> None:
    """Write columns 29 to 33 and 57.

    Sessions are kept by (UTC date, session), so the evening continues the
    session 0 that the first three hours of the date have begun.
    """
    if i[DATE] != ts // DAY_US:
        i[DATE] = ts // DAY_US
        f[VWAP] = 0.0
        f[VWAP + 1] = 0.0
        for slot in range(SESSIONS):
            f[SESSION + slot * SESSION_SIZE + 4] = 0.0
    session = session_of(ts)
    own = SESSION + session * SESSION_SIZE
    if f[own + 4] == 0.0:
        f[own] = o
        f[own + 1] = h
        f[own + 2] = low
        f[own + 3] = 0.0
    f[own + 1] = max(f[own + 1], h)
    f[own + 2] = min(f[own + 2], low)
    f[own + 3] += h - low
    f[own + 4] += 1.0
    f[VWAP] += (h + low + c) / 3.0 * v
    f[VWAP + 1] += v
    out[at + 28] = min((f[own + 4] - 1.0) / k[session], 1.0)
    out[at + 29] = (c - f[own]) / scale
    out[at + 30] = (c - f[own + 1]) / scale
    out[at + 31] = (c - f[own + 2]) / scale
    out[at + 32] = (c - f[VWAP] / f[VWAP + 1]) / scale
    average = f[own + 3] / f[own + 4]
    out[at + 56] = (h - low) / average if average > 0.0 else 1.0


@kernel
def write_swings(
    c: float, scale: float, f: Float64, now: int, seen: int, out: Float32, at: int
) -> None:
    """Write columns 34 to 36; a swing is published ten bars after its bar."""
    if seen >= 2 * _REACH:
        window = 2 * _REACH + 1
        top, bottom = f[HIGH * SPAN + now - _REACH], f[LOW * SPAN + now - _REACH]
        if top == highest(f, HIGH, now, window):
            f[SWING + 2] = top - f[SWING]
            f[SWING] = top
        if bottom == lowest(f, LOW, now, window):
            f[SWING + 3] = bottom - f[SWING + 1]
            f[SWING + 1] = bottom
    out[at + 33] = (c - f[SWING]) / scale
    out[at + 34] = (c - f[SWING + 1]) / scale
    highs, lows = sign(f[SWING + 2]), sign(f[SWING + 3])
    out[at + 35] = highs if highs == lows else 0.0
