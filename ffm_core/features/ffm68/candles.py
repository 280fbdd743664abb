"""Columns that read candles one against another."""

from __future__ import annotations

import numpy as np

from ffm_core.features.ffm68.layout import BOTTOM, CLOSE, COLOUR, PEAK, TOP, TROUGH, WIDTH
from ffm_core.features.windows import ratio, row, sign
from ffm_core.jit import inlined, kernel
from ffm_core.types import Float32, Float64, Int64

_BEFORE = 5  # bodies before the current one that it may engulf
_SAME = 5  # bars whose colours are compared, the current one among them
_SWING = 20  # closes of the speed ratio


@inlined
def write_candles(
    o: float,
    h: float,
    low: float,
    c: float,
    f: Float64,
    i: Int64,
    bar: int,
    out: Float32,
    at: int,
) -> None:
    """Write columns 53 to 56."""
    now = row(bar, 0, WIDTH)
    top, bottom, colour = max(o, c), min(o, c), sign(c - o)
    f[now + TOP], f[now + BOTTOM], f[now + COLOUR] = top, bottom, colour
    inside = 0
    for back in range(1, _BEFORE + 1):
        past = row(bar, back, WIDTH)
        inside += int(f[past + TOP] <= top and f[past + BOTTOM] >= bottom)
    same = 0
    for back in range(_SAME):
        same += int(f[row(bar, back, WIDTH) + COLOUR] == colour)
    out[at] = inside if bar >= _BEFORE else np.nan
    out[at + 1] = _speed(c, f, i, bar)
    out[at + 2] = ratio((min(o, c) - low) - (h - top), h - low, 0.0)
    agreement = same / _SAME if colour != 0.0 else 0.5
    out[at + 3] = agreement if bar >= _SAME - 1 else np.nan


@inlined
def _speed(c: float, f: Float64, i: Int64, bar: int) -> float:
    """Follow first peak and first trough of the last 20 closes; return column 54."""
    first = bar - (_SWING - 1)
    if bar == 0 or c > f[row(i[PEAK], 0, WIDTH) + CLOSE]:
        i[PEAK] = bar
    elif i[PEAK] < first:
        i[PEAK] = _first_highest(f, first, bar)
    if bar == 0 or c < f[row(i[TROUGH], 0, WIDTH) + CLOSE]:
        i[TROUGH] = bar
    elif i[TROUGH] < first:
        i[TROUGH] = _first_lowest(f, first, bar)
    if first < 0:
        return np.nan
    peak, trough = i[PEAK], i[TROUGH]
    height = f[row(peak, 0, WIDTH) + CLOSE] - f[row(trough, 0, WIDTH) + CLOSE]
    if height == 0.0:
        return 1.0
    extreme = max(peak, trough)
    retraced = abs(c - f[row(extreme, 0, WIDTH) + CLOSE])
    if retraced == 0.0:
        return 10.0
    impulse = height / abs(peak - trough)
    return float(min(impulse / (retraced / (bar - extreme)), 10.0))


@kernel
def _first_highest(f: Float64, first: int, bar: int) -> int:
    best = first
    for k in range(first + 1, bar + 1):
        if f[row(k, 0, WIDTH) + CLOSE] > f[row(best, 0, WIDTH) + CLOSE]:
            best = k
    return best


@kernel
def _first_lowest(f: Float64, first: int, bar: int) -> int:
    best = first
    for k in range(first + 1, bar + 1):
        if f[row(k, 0, WIDTH) + CLOSE] < f[row(best, 0, WIDTH) + CLOSE]:
            best = k
    return best
