"""The fill kernels: what becomes of an entry, bar by bar.

Labels, economics and replays all call these two functions, at raw prices and
without costs. The entry bar counts. A bar that opens beyond the stop (or the
target) fills at its open; this is asked only of bars after the entry bar, whose
open is the entry itself. When one bar touches both levels the tie policy decides.

Both kernels rest on one fact: a bar that touches neither level changes nothing
but the extremes, whichever side the trade is on. So the walk compares low and
high with two levels and looks at the rest only on the bar that touches one.
"""

from __future__ import annotations

import numpy as np

from ffm_core.jit import kernel
from ffm_core.records import REASONS
from ffm_core.types import Bool, Float64, Int8, Int32, Int64

STOP = REASONS.index("stop")
STOP_GAP = REASONS.index("stop_gap")
TARGET = REASONS.index("target")
TARGET_GAP = REASONS.index("target_gap")
TIMEOUT = REASONS.index("timeout")
SESSION_END = REASONS.index("session_end")
TRAIL = REASONS.index("trail")
DATA_END = REASONS.index("data_end")
SKIPPED = REASONS.index("skipped")

TIES = ("stop_first", "target_first", "skip")
_TARGET_FIRST = TIES.index("target_first")
_SKIP = TIES.index("skip")

Walked = tuple[Int64, Float64, Int8, Float64, Float64]


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
def _last_bar(e: int, horizon: int, bars: int, flat_at: Int64) -> tuple[int, int]:
    # Last bar a trade may see and why it ends there: the earliest of horizon,
    # session end and data end. On one bar the session end names the reason.
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
    bars = len(open_)
    exit_bar = np.empty(n, dtype=np.int64)
    exit_price = np.empty(n)
    reasons = np.empty(n, dtype=np.int8)
    best = np.empty(n)
    worst = np.empty(n)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        entry = open_[e]
        stop = entry - s * risk[i]
        target = entry + s * target_r[i] * risk[i]
        lower = min(stop, target)
        upper = max(stop, target)
        last, reason = _last_bar(e, horizon[i], bars, flat_at)
        top = entry
        bottom = entry
        j = e
        while j <= last:
            hi = high[j]
            lo = low[j]
            if lo <= lower or hi >= upper:
                break
            top = max(top, hi)
            bottom = min(bottom, lo)
            j += 1
        if j > last:
            j = last
            price = close[j]
        else:
            first = open_[j]
            hit_stop = low[j] <= stop if s > 0 else high[j] >= stop
            hit_target = high[j] >= target if s > 0 else low[j] <= target
            if j > e and s * (first - stop) <= 0.0:
                reason = STOP_GAP
                price = first
            elif j > e and s * (first - target) >= 0.0:
                reason = TARGET_GAP
                price = first if gap_at_open else target
            elif hit_stop and hit_target and tie == _SKIP:
                reason = SKIPPED
                price = np.nan
            elif hit_stop and not (hit_target and tie == _TARGET_FIRST):
                reason = STOP
                price = stop
            else:
                reason = TARGET
                price = target
                # the bar's own dip came before the target for all we know
                if s > 0:
                    bottom = max(min(bottom, low[j]), stop)
                else:
                    top = min(max(top, high[j]), stop)
            top = max(top, price)
            bottom = min(bottom, price)
        exit_bar[i] = j
        exit_price[i] = price
        reasons[i] = reason
        up = (top - entry) / risk[i]
        down = (entry - bottom) / risk[i]
        best[i] = up if s > 0 else down
        worst[i] = down if s > 0 else up
    return exit_bar, exit_price, reasons, best, worst


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
    bars = len(open_)
    peak = np.empty(n)
    for i in range(n):
        e = entry_bar[i]
        entry = open_[e]
        last, _ = _last_bar(e, horizon[i], bars, flat_at)
        extreme = entry
        if side[i] > 0:
            stop = entry - risk[i]
            j = e
            while j <= last and low[j] > stop:
                extreme = max(extreme, high[j])
                j += 1
            peak[i] = (extreme - entry) / risk[i]
        else:
            stop = entry + risk[i]
            j = e
            while j <= last and high[j] < stop:
                extreme = min(extreme, low[j])
                j += 1
            peak[i] = (entry - extreme) / risk[i]
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
    bars = len(open_)
    exit_bar = np.empty(n, dtype=np.int64)
    exit_price = np.empty(n)
    reasons = np.empty(n, dtype=np.int8)
    best = np.empty(n)
    worst = np.empty(n)
    for i in range(n):
        e = entry_bar[i]
        s = float(side[i])
        entry = open_[e]
        stop = entry - s * risk[i]
        moved = False
        last, reason = _last_bar(e, horizon[i], bars, flat_at)
        extreme = entry
        adverse = entry
        j = e
        price = close[last]
        while j <= last:
            dip = low[j] if s > 0 else high[j]
            if j > e and s * (open_[j] - stop) <= 0.0:
                price = open_[j]
                reason = TRAIL if moved else STOP_GAP
                break
            if s * (dip - stop) <= 0.0:
                price = stop
                reason = TRAIL if moved else STOP
                break
            adverse = min(adverse, dip) if s > 0 else max(adverse, dip)
            extreme = max(extreme, high[j]) if s > 0 else min(extreme, low[j])
            if s * (extreme - entry) >= activate_r * risk[i]:
                level = extreme - s * distance[i]
                if s * (level - stop) > 0.0:
                    stop = level
                    moved = True
            j += 1
        exit_bar[i] = min(j, last)
        exit_price[i] = price
        reasons[i] = reason
        best[i] = max(s * (extreme - entry), s * (price - entry)) / risk[i] + 0.0  # no −0
        worst[i] = max(s * (entry - adverse), s * (entry - price)) / risk[i] + 0.0
    return exit_bar, exit_price, reasons, best, worst
