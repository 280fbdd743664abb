"""Walks over arrays: what becomes of entries, each walked to its end by the one step.

All are at raw prices and without costs. The rules of a fill stand in
:mod:`ffm_core.labels.step` and nowhere else; a walk brings the bars, the last bar a
trade may see, and orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ffm_core.jit import inlined, kernel
from ffm_core.labels.step import (
    DATA_END,
    SESSION_END,
    TIMEOUT,
    Bar,
    OpenTrade,
    Order,
    Position,
    Rules,
    entered,
    obeyed,
    on_tick,
    step,
)
from ffm_core.types import Bool, Float64, Int8, Int32, Int64


class Walked(NamedTuple):
    """Where each trade ended; all arrays (N,).

    ``best`` and ``worst`` are the best and worst excursion in R, both non-negative.
    """

    exit_bar: Int64
    exit_price: Float64
    reason: Int8  # index into ``REASONS``
    best: Float64
    worst: Float64


def next_flat(flat: Bool | None) -> Int64:
    """Return, per bar, the first bar at or after it that ends a session.

    Parameters
    ----------
    flat : bool (T,), optional
        Last bar of each session; None when positions may be held.

    Returns
    -------
    int64 (T,)
        ``T`` where no such bar follows; an empty array for None.
    """
    if flat is None:
        return np.empty(0, dtype=np.int64)
    bars = len(flat)
    index = np.where(flat, np.arange(bars, dtype=np.int64), bars)
    return np.ascontiguousarray(np.minimum.accumulate(index[::-1])[::-1])


@kernel
def last_bar(e: int, horizon: int, bars: int, flat_at: Int64) -> tuple[int, int]:
    """Return the last bar a trade may see and why it ends there at the latest.

    It is the earliest of horizon, session end and data end. On one bar the session end
    names the reason.
    """
    last = e + horizon - 1
    reason = TIMEOUT
    if last > bars - 1:
        last = bars - 1
        reason = DATA_END
    if len(flat_at) > 0 and flat_at[e] <= last:
        last = flat_at[e]
        reason = SESSION_END
    return last, reason


@kernel
def on_ticks(prices: Float64, upward: Bool, rules: Rules) -> Float64:
    """Return the first tradable price at or above each price, or at or below it, (N,)."""
    out = np.empty(len(prices))
    for n in range(len(prices)):
        out[n] = on_tick(prices[n], upward[n], rules)
    return out


@inlined
def _unwalked(n: int) -> Walked:
    return Walked(np.empty(n, dtype=np.int64), np.empty(n), np.empty(n, dtype=np.int8),
                  np.empty(n), np.empty(n))  # fmt: skip


@inlined
def _write(walked: Walked, n: int, j: int, risk: float, position: Position) -> None:
    walked.exit_bar[n] = j
    walked.exit_price[n] = position.price
    walked.reason[n] = position.reason
    up = (position.top - position.entry) / risk
    down = (position.entry - position.bottom) / risk
    walked.best[n] = up if position.side > 0 else down
    walked.worst[n] = down if position.side > 0 else up


@kernel
def fill_barriers(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    stop: Float64,
    target: Float64,
    risk: Float64,
    horizon: Int32,
    rules: Rules,
) -> Walked:
    """Walk each entry to its stop, target, session end, horizon or data end.

    Parameters
    ----------
    open_, high, low, close : float64 (T,)
        Raw prices in points.
    flat_at : int64 (T,) or (0,)
        From :func:`next_flat`.
    entry_bar : int64 (N,)
        Bar whose open is the entry, inside the data.
    side : int8 (N,)
        +1 long, −1 short.
    stop, target : float64 (N,)
        Levels at entry, points; an infinite target is none.
    risk : float64 (N,)
        Points that are 1 R, positive.
    horizon : int32 (N,)
        Bars a trade may last, counting the entry bar.
    rules : Rules
        How bars are read that leave the order of events open.
    """
    walked = _unwalked(len(entry_bar))
    for n in range(len(entry_bar)):
        e = entry_bar[n]
        position = entered(float(side[n]), open_[e], stop[n], target[n])
        last, why = last_bar(e, horizon[n], len(open_), flat_at)
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], close[j], 0.0)
            position = step(position, bar, False, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        _write(walked, n, j, risk[n], position)
    return walked


@kernel
def peak_excursion(
    open_: Float64,
    high: Float64,
    low: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    stop: Float64,
    risk: Float64,
    horizon: Int32,
) -> Float64:
    """Return the best excursion in R before the stop, as if there were no target.

    Bars from the entry bar to the last one before the stop is touched count, up
    to the horizon, the session end or the data end. The bar that touches the
    stop does not, because the stop may have come first. Never negative.
    Parameters are those of :func:`fill_barriers`.
    """
    peak = np.empty(len(entry_bar))
    rules = Rules(0, True, 0.0, 0.0)
    for n in range(len(entry_bar)):
        e = entry_bar[n]
        s = float(side[n])
        entry = open_[e]
        position = entered(s, entry, stop[n], s * np.inf)
        last, why = last_bar(e, horizon[n], len(open_), flat_at)
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], entry, 0.0)
            position = step(position, bar, False, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        best = position.top - entry if s > 0 else entry - position.bottom
        peak[n] = best / risk[n]
    return peak


@kernel
def fill_columns(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    stop: Float64,
    target: Float64,
    risk: Float64,
    horizon: Int32,
    rules: Rules,
    levels: Float64,
    once: bool,
) -> Walked:
    """Walk each entry under levels and exit flags that are known bar by bar.

    Parameters
    ----------
    levels : float64 (T, 6)
        In the order of ``LEVELS``; row ``t`` is known at the close of bar ``t`` and holds
        from the next open. The levels of the decision bar hold on the entry bar; its exit
        flag means nothing, since there was nothing to leave. NaN: unchanged.
    once : bool
        Read the decision bar's row and no other.

    Other parameters are those of :func:`fill_barriers`.
    """
    walked = _unwalked(len(entry_bar))
    for n in range(len(entry_bar)):
        e = entry_bar[n]
        at = 0 if side[n] > 0 else 1
        position = entered(float(side[n]), open_[e], stop[n], target[n])
        last, why = last_bar(e, horizon[n], len(open_), flat_at)
        leave = False
        j = e
        while True:
            if j == e or not once:
                order = Order(levels[j - 1, at], levels[j - 1, 2 + at], False)
                position = obeyed(position, order, rules)
                leave = j > e and levels[j - 1, 4 + at] > 0.0
            bar = Bar(open_[j], high[j], low[j], close[j], 0.0)
            position = step(position, bar, leave, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        _write(walked, n, j, risk[n], position)
    return walked


@inlined
def fill_steps(
    decide: Callable[..., Any],
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    volume: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    stop: Float64,
    target: Float64,
    risk: Float64,
    atr: Float64,
    horizon: Int32,
    rules: Rules,
    rows: Float64,
    f_start: Float64,
    i_start: Int64,
    k: Float64,
) -> Walked:
    """Walk each entry under the orders of a policy's compiled step.

    The step is asked at the close of every bar of the open trade, the entry bar first;
    every trade starts with a state of its own.

    Parameters
    ----------
    decide : kernel
        The step of an exit policy; see :class:`~ffm_core.records.ExitPolicy`.
    volume : float64 (T,)
        Of each bar.
    atr : float64 (N,)
        At the signal bar, points.
    rows : float64 (T, K)
        The policy's own columns.
    f_start, i_start, k : float64, int64, float64
        The state every trade starts with, and the constants.

    Other parameters are those of :func:`fill_barriers`.
    """
    walked = _unwalked(len(entry_bar))
    f, i = f_start.copy(), i_start.copy()
    row = np.empty(rows.shape[1])  # one of its own: nothing lies behind its end
    for n in range(len(entry_bar)):
        f[:] = f_start
        i[:] = i_start
        e = entry_bar[n]
        s = float(side[n])
        position = entered(s, open_[e], stop[n], target[n])
        last, why = last_bar(e, horizon[n], len(open_), flat_at)
        leave = False
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], close[j], volume[j])
            position = step(position, bar, leave, why if j == last else 0, rules)
            if position.reason != 0:
                break
            trade = OpenTrade(s, open_[e], risk[n], atr[n], j - e + 1)
            for c in range(len(row)):
                row[c] = rows[j, c]
            ordered = decide(trade, bar, row, f, i, k)
            leave = bool(ordered[2])
            order = Order(float(ordered[0]), float(ordered[1]), leave)
            position = obeyed(position, order, rules)
            j += 1
        _write(walked, n, j, risk[n], position)
    return walked
