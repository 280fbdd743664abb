"""Walks over arrays: what becomes of entries, each walked to its end by the one step.

All are at raw prices and without costs. The rules of a fill stand in
:mod:`ffm_core.labels.step` and nowhere else; a walk brings the bars, the last bar a
trade may see, and orders.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffm_core.jit import inlined, kernel
from ffm_core.labels.step import (
    DATA_END,
    SESSION_END,
    TIMEOUT,
    Bar,
    Order,
    Position,
    Rules,
    entered,
    obeyed,
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


@inlined
def _unwalked(n: int) -> Walked:
    return Walked(np.empty(n, dtype=np.int64), np.empty(n), np.empty(n, dtype=np.int8),
                  np.empty(n), np.empty(n))  # fmt: skip


@inlined
def _write(walked: Walked, i: int, j: int, risk: float, position: Position) -> None:
    walked.exit_bar[i] = j
    walked.exit_price[i] = position.price
    walked.reason[i] = position.reason
    up = (position.top - position.entry) / risk
    down = (position.entry - position.bottom) / risk
    walked.best[i] = up if position.side > 0 else down
    walked.worst[i] = down if position.side > 0 else up


@kernel
def fill_barriers(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    risk: Float64,
    target_r: Float64,
    horizon: Int32,
    tie: int,
    gap_at_open: bool,
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
    risk : float64 (N,)
        Points from entry to stop, positive.
    target_r : float64 (N,)
        Target as a multiple of risk, at least 1.
    horizon : int32 (N,)
        Bars a trade may last, counting the entry bar.
    tie : int
        Index into ``TIES``: who wins when one bar touches both levels.
    gap_at_open : bool
        Whether an open beyond the target fills there or at the target.

    Returns
    -------
    tuple
        Exit bar, exit price, reason (index into ``REASONS``), and the best and
        worst excursion in R, both non-negative. Of the exit bar itself only what
        is certain counts as best (the fill), and everything up to the fill as
        worst.
    """
    n = len(entry_bar)
    walked = _unwalked(n)
    rules = Rules(tie, gap_at_open)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        entry = open_[e]
        position = entered(s, entry, entry - s * risk[i], entry + s * target_r[i] * risk[i])
        last, why = last_bar(e, horizon[i], len(open_), flat_at)
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], close[j], 0.0)
            position = step(position, bar, False, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        _write(walked, i, j, risk[i], position)
    return walked


@kernel
def peak_excursion(
    open_: Float64,
    high: Float64,
    low: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    risk: Float64,
    horizon: Int32,
) -> Float64:
    """Return the best excursion in R before the stop, as if there were no target.

    Bars from the entry bar to the last one before the stop is touched count, up
    to the horizon, the session end or the data end. The bar that touches the
    stop does not, because the stop may have come first. Never negative.
    Parameters are those of :func:`fill_barriers`.
    """
    n = len(entry_bar)
    peak = np.empty(n)
    rules = Rules(0, True)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        entry = open_[e]
        position = entered(s, entry, entry - s * risk[i], s * np.inf)
        last, why = last_bar(e, horizon[i], len(open_), flat_at)
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], entry, 0.0)
            position = step(position, bar, False, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        best = position.top - entry if s > 0 else entry - position.bottom
        peak[i] = best / risk[i]
    return peak


@kernel
def fill_trail(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    risk: Float64,
    distance: Float64,
    horizon: Int32,
    activate_r: float,
) -> Walked:
    """Walk each entry behind a stop that follows the best price.

    In every bar, in this order: a gap beyond the stop fills at the open, the stop
    is tested, a session end closes; only then the extreme is updated, the trail
    armed and the stop moved, all for the **next** bar. The stop never moves back.

    Parameters
    ----------
    distance : float64 (N,)
        Points between the extreme and the stop once armed.
    activate_r : float
        Excursion in R that arms the trail.

    Other parameters and the returns are those of :func:`fill_barriers`. Reason
    ``trail`` means an exit at a stop that had moved, by touch or by gap.
    """
    n = len(entry_bar)
    walked = _unwalked(n)
    rules = Rules(0, True)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        entry = open_[e]
        position = entered(s, entry, entry - s * risk[i], s * np.inf)
        last, why = last_bar(e, horizon[i], len(open_), flat_at)
        j = e
        while True:
            bar = Bar(open_[j], high[j], low[j], close[j], 0.0)
            position = step(position, bar, False, why if j == last else 0, rules)
            if position.reason != 0:
                break
            extreme = position.top if s > 0 else position.bottom
            if s * (extreme - entry) >= activate_r * risk[i]:
                position = obeyed(position, Order(extreme - s * distance[i], np.nan, False))
            j += 1
        _write(walked, i, j, risk[i], position)
    return walked


@kernel
def fill_columns(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    risk: Float64,
    target_r: Float64,
    horizon: Int32,
    tie: int,
    gap_at_open: bool,
    levels: Float64,
) -> Walked:
    """Walk each entry under levels and exit flags that are known bar by bar.

    Parameters
    ----------
    target_r : float64 (N,)
        Target at entry as a multiple of risk; ``inf`` for none.
    levels : float64 (T, 6)
        Stop, target and whether to leave, each for longs and shorts; row ``t`` is known
        at the close of bar ``t`` and holds from the next open. The levels of the
        decision bar hold on the entry bar; its exit flag means nothing. NaN: unchanged.

    Other parameters and the returns are those of :func:`fill_barriers`.
    """
    n = len(entry_bar)
    walked = _unwalked(n)
    rules = Rules(tie, gap_at_open)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        at = 0 if s > 0 else 1
        entry = open_[e]
        position = entered(s, entry, entry - s * risk[i], entry + s * target_r[i] * risk[i])
        last, why = last_bar(e, horizon[i], len(open_), flat_at)
        j = e
        while True:
            row = levels[j - 1]
            position = obeyed(position, Order(row[at], row[2 + at], False))
            bar = Bar(open_[j], high[j], low[j], close[j], 0.0)
            leave = j > e and row[4 + at] > 0.0
            position = step(position, bar, leave, why if j == last else 0, rules)
            if position.reason != 0:
                break
            j += 1
        _write(walked, i, j, risk[i], position)
    return walked
