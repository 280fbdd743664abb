"""Columns of distances to levels: of the session, of swings, of the last bars."""

from __future__ import annotations

import numpy as np

from ffm_core.features.clock import DAY_US, remembered_wall_us
from ffm_core.features.ffm68.layout import (
    DATE_US,
    DEEPEST,
    HAS_SESSIONS,
    HIGH,
    LOW,
    OPENED,
    RANGES_SO_FAR,
    SESSION,
    SESSION_BARS,
    SESSION_CLOCK,
    SESSION_TABLE,
    SWING_HIGH,
    SWING_HIGH_BEFORE,
    SWING_LOW,
    SWING_LOW_BEFORE,
    TALLEST,
    TRADED,
    TRADED_VOLUME,
    WIDTH,
)
from ffm_core.features.ffm68.sessions import OFF, session_at
from ffm_core.features.windows import higher, lower, ratio, row
from ffm_core.jit import inlined, kernel
from ffm_core.types import Float32, Float64, Int64

_REACH = 10  # bars on each side of a swing


@inlined
def write_vwap(
    clock: int,
    h: float,
    low: float,
    c: float,
    v: float,
    per_atr: float,
    f: Float64,
    i: Int64,
    out: Float32,
    at: int,
) -> bool:
    """Write column 33 and say whether the bar begins a trading date."""
    begins = not i[DATE_US] <= clock < i[DATE_US] + DAY_US
    if begins:
        i[DATE_US] = clock // DAY_US * DAY_US
        f[TRADED] = 0.0
        f[TRADED_VOLUME] = 0.0
    f[TRADED] += (h + low + c) / 3 * v
    f[TRADED_VOLUME] += v
    volume = f[TRADED_VOLUME]
    gap = c - f[TRADED] / volume if volume > 0.0 else 0.0
    out[at] = gap * per_atr
    return begins


@inlined
def write_session(
    ts: int,
    o: float,
    h: float,
    low: float,
    c: float,
    per_atr: float,
    new_date: bool,
    f: Float64,
    i: Int64,
    k: Float64,
    n: Int64,
    out: Float32,
    at: int,
    size_at: int,
) -> None:
    """Write columns 29 to 32, and 57 at ``size_at``; NaN outside sessions."""
    session = OFF
    if n[HAS_SESSIONS] == 1:
        session = session_at(remembered_wall_us(ts, n, n[SESSION_TABLE], i, SESSION_CLOCK))
    if session == OFF:
        i[SESSION] = OFF
        for column in range(at, at + 4):
            out[column] = np.nan
        out[size_at] = np.nan
        return
    if new_date or session != i[SESSION]:
        i[SESSION] = session
        i[SESSION_BARS] = 0
        f[OPENED], f[TALLEST], f[DEEPEST], f[RANGES_SO_FAR] = o, h, low, 0.0
    f[TALLEST] = max(f[TALLEST], h)
    f[DEEPEST] = min(f[DEEPEST], low)
    f[RANGES_SO_FAR] += h - low
    out[at] = min(1.0, i[SESSION_BARS] / k[session])
    i[SESSION_BARS] += 1
    out[at + 1] = (c - f[OPENED]) * per_atr
    out[at + 2] = (c - f[TALLEST]) * per_atr
    out[at + 3] = (c - f[DEEPEST]) * per_atr
    out[size_at] = ratio((h - low) * i[SESSION_BARS], f[RANGES_SO_FAR], 1.0)


@inlined
def write_structure(c: float, per_atr: float, f: Float64, bar: int, out: Float32, at: int) -> None:
    """Write columns 34 to 42."""
    high10, low10 = f[row(bar, 0, WIDTH) + HIGH + 4], f[row(bar, 0, WIDTH) + LOW + 4]
    past, ago = row(bar, _REACH, WIDTH), row(bar, _REACH + 1, WIDTH)
    # The first of equal tops is the swing: none before it is as high.
    if f[past + HIGH] > f[ago + HIGH + 4] and f[past + HIGH] >= high10:
        f[SWING_HIGH_BEFORE] = f[SWING_HIGH]
        f[SWING_HIGH] = f[past + HIGH]
    if f[past + LOW] < f[ago + LOW + 4] and f[past + LOW] <= low10:
        f[SWING_LOW_BEFORE] = f[SWING_LOW]
        f[SWING_LOW] = f[past + LOW]
    highs = f[SWING_HIGH] - f[SWING_HIGH_BEFORE]
    lows = f[SWING_LOW] - f[SWING_LOW_BEFORE]
    out[at] = (c - f[SWING_HIGH]) * per_atr
    out[at + 1] = (c - f[SWING_LOW]) * per_atr
    state = (highs + lows) * 0.0  # NaN until two of each are known
    if highs > 0.0 and lows > 0.0:
        state = 1.0
    elif highs < 0.0 and lows < 0.0:
        state = -1.0
    out[at + 2] = state
    _write_range(c, high10, low10, per_atr, out, at + 3)
    high20 = higher(high10, f[past + HIGH + 4])
    low20 = lower(low10, f[past + LOW + 4])
    _write_range(c, high20, low20, per_atr, out, at + 6)


@kernel
def _write_range(c: float, high: float, low: float, per_atr: float, out: Float32, at: int) -> None:
    out[at] = (c - high) * per_atr
    out[at + 1] = (c - low) * per_atr
    out[at + 2] = ratio(c - low, high - low, 0.5)
