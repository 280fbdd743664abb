"""Which known swing level breaks first."""

from __future__ import annotations

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Bool, Float64, Int64


@kernel
def first_break(
    close: Float64, highs: Bool, lows: Bool, rolled: Int64, order: int, horizon: int
) -> Float64:
    """Return +1, -1 or 0 for a break with the trend, against it, or neither.

    Parameters
    ----------
    close : float64 (T,)
        Points.
    highs, lows : bool (T,)
        Pivot bars of the closes; each counts from ``order`` bars later on.
    rolled : int64 (T,)
        Rolls up to each bar; levels do not outlive a roll, and a pivot whose
        window holds one is none.
    order : int
        Bars on each side of a pivot.
    horizon : int
        Closes, after the bar, in which a level may break.

    Returns
    -------
    float64 (T,)
        NaN while fewer than two highs and two lows are known, and in the last
        ``horizon`` bars. A trend is up when the last high and the last low are
        both above the ones before, down when both are below; the levels are the
        last high and low. A close beyond both at once counts as up.
    """
    bars = len(close)
    out = np.full(bars, np.nan)
    high = high_before = low = low_before = np.nan
    for t in range(bars):
        if t > 0 and rolled[t] != rolled[t - 1]:
            high = high_before = low = low_before = np.nan
        pivot = t - order
        if pivot >= order and rolled[pivot - order] == rolled[t]:
            if highs[pivot]:
                high_before, high = high, close[pivot]
            if lows[pivot]:
                low_before, low = low, close[pivot]
        if np.isnan(high_before) or np.isnan(low_before) or t + horizon >= bars:
            continue
        trend = 0.0
        if high > high_before and low > low_before:
            trend = 1.0
        elif high < high_before and low < low_before:
            trend = -1.0
        out[t] = 0.0
        if trend == 0.0:
            continue
        for k in range(t + 1, t + horizon + 1):
            if close[k] > high:
                out[t] = trend
                break
            if close[k] < low:
                out[t] = -trend
                break
    return out
