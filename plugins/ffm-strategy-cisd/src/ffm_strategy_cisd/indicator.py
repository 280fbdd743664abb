"""Changes in state of delivery in one pass over the bars.

The rule is written once, for the bullish side; the bearish side is the same pass
over prices with their signs turned, which makes the two exact mirrors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffm_core.bars.primitives import frozen, last_swing, swing_highs, swing_lows
from ffm_core.jit import kernel
from ffm_core.types import Float64, Int8, Int64


class Changes(NamedTuple):
    """Signals in order of bar; all (N,).

    ``bar`` closed beyond ``level``, the open of the first bar of the run from
    ``run_start`` to ``run_end`` whose far end is ``extreme``; ``swing`` is the
    pivot bar known before the run (−1 for none). Prices in points.
    """

    bar: Int64
    side: Int8
    level: Float64
    extreme: Float64
    run_start: Int64
    run_end: Int64
    swing: Int64


def changes(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    *,
    min_run: int = 1,
    require_sweep: bool = True,
    swing_order: int = 5,
) -> Changes:
    """Find every change in state of delivery; each is known at its bar's close.

    Parameters
    ----------
    open_, high, low, close : float64 (T,)
        Prices in points, oldest first.
    min_run : int
        Bars of one colour that make a run.
    require_sweep : bool
        Whether the run must go beyond the last confirmed swing.
    swing_order : int
        Bars on each side of a swing point.
    """
    lows = last_swing(swing_lows(low, swing_order), swing_order)
    highs = last_swing(swing_highs(high, swing_order), swing_order)
    up = _half(open_, low, close, lows, min_run, require_sweep)
    down = _half(-open_, -high, -close, highs, min_run, require_sweep)
    sides = np.repeat(np.array([1, -1], dtype=np.int8), (len(up.bar), len(down.bar)))
    bar = np.concatenate((up.bar, down.bar))
    order = np.lexsort((sides, bar))
    return Changes(
        bar=bar[order],
        side=sides[order],
        level=np.concatenate((up.level, -down.level))[order],
        extreme=np.concatenate((up.extreme, -down.extreme))[order],
        run_start=np.concatenate((up.run_start, down.run_start))[order],
        run_end=np.concatenate((up.run_end, down.run_end))[order],
        swing=np.concatenate((up.swing, down.swing))[order],
    )


def _half(
    open_: Float64,
    low: Float64,
    close: Float64,
    swings: Int64,
    min_run: int,
    require_sweep: bool,
) -> Changes:
    whole, price = _bullish(
        frozen(open_), frozen(low), frozen(close), swings, min_run, require_sweep
    )
    return Changes(
        bar=whole[0],
        side=np.ones(len(whole[0]), dtype=np.int8),
        level=price[0],
        extreme=price[1],
        run_start=whole[1],
        run_end=whole[2],
        swing=whole[3],
    )


@kernel
def _bullish(
    open_: Float64, low: Float64, close: Float64, swings: Int64, min_run: int, require_sweep: bool
) -> tuple[Int64, Float64]:
    bars = len(close)
    whole = np.empty((4, bars), dtype=np.int64)  # bar, start and end of the run, swing
    price = np.empty((2, bars))  # level, extreme
    found = 0
    run = -1  # first bar of the current falling run
    run_low = np.inf
    waiting = False
    level = extreme = np.inf
    start = end = swing = -1
    used_swing = -1  # swing of the last signal, and how far it had been swept
    used_low = np.inf
    for t in range(bars):
        if waiting and close[t] > level:
            whole[0, found] = t
            whole[1, found] = start
            whole[2, found] = end
            whole[3, found] = swing
            price[0, found] = level
            price[1, found] = extreme
            found += 1
            waiting = False
            used_swing = swing
            used_low = extreme
            run = -1
            continue
        if close[t] >= open_[t]:
            run = -1
            continue
        if run < 0:
            run = t
            run_low = low[t]
        run_low = min(run_low, low[t])
        if t - run + 1 < min_run or close[t] > open_[run]:
            continue
        if waiting and run != start and run_low >= extreme:
            continue
        known = swings[run]
        if require_sweep:
            if known < 0 or run_low >= low[known]:
                continue
            if known == used_swing and run_low >= used_low:
                continue
        waiting = True
        level = open_[run]
        extreme = run_low
        start = run
        end = t
        swing = known
    return whole[:, :found].copy(), price[:, :found].copy()
