"""SuperTrend in one pass over the bars.

The bands are the bar's middle ± ``multiplier`` × ATR (Wilder, seeded with the
mean of the first true ranges). A band only tightens, unless the previous close
was beyond it. The direction turns when a close crosses the **current** band.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.jit import kernel
from ffm_core.types import Float64, Int8


class SuperTrend(NamedTuple):
    """Bands and direction; all (T,).

    ``upper`` and ``lower`` are points, NaN until the ATR exists; ``direction`` is
    +1 or −1 and starts at +1.
    """

    upper: Float64
    lower: Float64
    direction: Int8


def supertrend(
    high: Float64, low: Float64, close: Float64, *, atr_period: int, multiplier: float
) -> SuperTrend:
    """Compute SuperTrend; value ``t`` uses bars up to and including ``t``.

    Parameters
    ----------
    high, low, close : float64 (T,)
        Prices in points, oldest first.
    atr_period : int
        Bars of Wilder's smoothing.
    multiplier : float
        Half width of the band, ATR.
    """
    return SuperTrend(
        *_supertrend(frozen(high), frozen(low), frozen(close), atr_period, multiplier)
    )


@kernel
def _supertrend(
    high: Float64, low: Float64, close: Float64, n: int, multiplier: float
) -> tuple[Float64, Float64, Int8]:
    bars = len(close)
    uppers = np.full(bars, np.nan)
    lowers = np.full(bars, np.nan)
    directions = np.ones(bars, dtype=np.int8)
    total = 0.0
    atr = 0.0
    upper = np.inf
    lower = -np.inf
    previous = close[0] if bars else 0.0
    direction = 1
    for t in range(bars):
        tr = max(high[t], previous) - min(low[t], previous) if t else high[t] - low[t]
        if t < n:
            total += tr
            atr = total / n
        else:
            atr = (atr * (n - 1) + tr) / n
        if t >= n - 1:
            middle = (high[t] + low[t]) / 2.0
            raw_upper = middle + multiplier * atr
            raw_lower = middle - multiplier * atr
            upper = raw_upper if raw_upper < upper or previous > upper else upper
            lower = raw_lower if raw_lower > lower or previous < lower else lower
            if direction > 0 and close[t] < lower:
                direction = -1
            elif direction < 0 and close[t] > upper:
                direction = 1
            uppers[t] = upper
            lowers[t] = lower
        directions[t] = direction
        previous = close[t]
    return uppers, lowers, directions
