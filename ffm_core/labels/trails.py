"""Compiled steps of the trailing exits the core offers, and the columns they read.

A step is asked at the close of every bar of an open trade; the stop it returns holds
from the next open and never loosens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ffm_core.bars.primitives import frozen, last_swing, swing_highs, swing_lows
from ffm_core.bars.table import Bars
from ffm_core.jit import inlined, kernel
from ffm_core.labels.kernels import Walked, fill_steps
from ffm_core.labels.step import Bar, OpenTrade, Rules
from ffm_core.records import Column
from ffm_core.types import Float64, Int8, Int32, Int64

RS_BARS = 10  # Rogers-Satchell variances that are averaged
FRACTAL_BARS = 2  # on either side of a swing; it is known that many bars later

Ordered: TypeAlias = tuple[float, float, bool]

RS_COLUMNS = (
    Column(
        name="rs_atr", unit="points",
        description="Rogers-Satchell volatility of the last 10 bars, times the close",
    ),
    Column(name="rs_atr_before", unit="points", description="rs_atr of the bar before"),
    Column(name="swing_low", unit="points", description="the last swing low that is confirmed"),
    Column(name="swing_high", unit="points", description="the last swing high that is confirmed"),
)  # fmt: skip


def rs_columns(bars: Bars) -> Float64:
    """Return what the Rogers-Satchell trail reads, float64 (T, 4); see ``RS_COLUMNS``."""
    now = rs_atr(frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close))
    found = [now, np.concatenate((np.full(min(len(now), 1), np.nan), now[:-1]))]
    for values, pivots in (
        (bars.low, swing_lows(bars.low, FRACTAL_BARS)),
        (bars.high, swing_highs(bars.high, FRACTAL_BARS)),
    ):
        at = last_swing(pivots, FRACTAL_BARS)
        found.append(np.where(at >= 0, values[np.maximum(at, 0)], np.nan))
    return np.ascontiguousarray(np.column_stack(found))


@kernel
def rs_atr(open_: Float64, high: Float64, low: Float64, close: Float64) -> Float64:
    """Return the Rogers-Satchell volatility in points, (T,).

    The square root of the mean of ``ln(H/C) ln(H/O) + ln(L/C) ln(L/O)`` over the last
    ``RS_BARS`` bars, fewer at the start, times the close.

    References
    ----------
    Rogers and Satchell (1991), *Estimating variance from high, low and closing prices*.
    """
    out = np.empty(len(close))
    variance = np.empty(len(close))
    for t in range(len(close)):
        up = np.log(high[t] / close[t]) * np.log(high[t] / open_[t])
        down = np.log(low[t] / close[t]) * np.log(low[t] / open_[t])
        value = up + down
        variance[t] = value if np.isfinite(value) else 0.0
        first = max(t - RS_BARS + 1, 0)
        total = 0.0
        for j in range(first, t + 1):
            total += variance[j]
        out[t] = np.sqrt(max(total / (t - first + 1), 0.0)) * close[t]
    return out


@inlined
def atr_trail(
    trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64
) -> Ordered:
    """Follow the best price at ``k[0]`` ATR once it is ``k[1]`` R away; ``f[0]`` is that price."""
    if trade.age == 1:
        f[0] = trade.entry
    f[0] = max(f[0], bar.high) if trade.side > 0 else min(f[0], bar.low)
    if trade.side * (f[0] - trade.entry) >= k[1] * trade.risk:
        return f[0] - trade.side * (k[0] * trade.atr), np.nan, False
    return np.nan, np.nan, False


@inlined
def rs_trail(trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64) -> Ordered:
    """Follow the best price in Rogers-Satchell units, or the last swing if that is tighter.

    ``k``: how far the stop may lie from the entry, excursion that arms the trail, its
    distance, room beyond a swing; all in ``rs_atr``, the first two in that of the signal
    bar. ``f``: best price, stop so far, ``rs_atr`` of the signal bar. ``i[0]``: whether
    the trail is armed.
    """
    s = trade.side
    if trade.age == 1:
        f[0], f[2] = trade.entry, row[1]
        f[1] = s * max(s * (trade.entry - s * trade.risk), s * (trade.entry - s * k[0] * f[2]))
    f[0] = max(f[0], bar.high) if s > 0 else min(f[0], bar.low)
    if trade.age > 1 and s * (f[0] - trade.entry) >= k[1] * f[2]:
        i[0] = 1
    trail = f[0] - s * k[2] * row[0] if i[0] == 1 else f[1]
    swing, reached = (row[2], bar.low) if s > 0 else (row[3], bar.high)
    if s * (reached - swing) > 0.0:
        structure = swing - s * k[3] * row[0]
        if s * (structure - f[1]) > 0.0 and s * (structure - trail) > 0.0:
            trail = structure
            i[0] = 1
    if s * (trail - f[1]) > 0.0:
        f[1] = trail
    return f[1], np.nan, False


# Written out for each step, so that the machine code is kept between sessions.
@kernel
def _walk_atr_trail(
    open_: Float64, high: Float64, low: Float64, close: Float64, volume: Float64, flat_at: Int64,
    entry_bar: Int64, side: Int8, stop: Float64, target: Float64, risk: Float64, atr: Float64,
    horizon: Int32, rules: Rules, rows: Float64, f: Float64, i: Int64, k: Float64,
) -> Walked:  # fmt: skip
    return fill_steps(
        atr_trail, open_, high, low, close, volume, flat_at, entry_bar, side, stop, target, risk,
        atr, horizon, rules, rows, f, i, k,
    )  # fmt: skip


@kernel
def _walk_rs_trail(
    open_: Float64, high: Float64, low: Float64, close: Float64, volume: Float64, flat_at: Int64,
    entry_bar: Int64, side: Int8, stop: Float64, target: Float64, risk: Float64, atr: Float64,
    horizon: Int32, rules: Rules, rows: Float64, f: Float64, i: Int64, k: Float64,
) -> Walked:  # fmt: skip
    return fill_steps(
        rs_trail, open_, high, low, close, volume, flat_at, entry_bar, side, stop, target, risk,
        atr, horizon, rules, rows, f, i, k,
    )  # fmt: skip


WALKS: Mapping[Any, Callable[..., Walked]] = {atr_trail: _walk_atr_trail, rs_trail: _walk_rs_trail}
