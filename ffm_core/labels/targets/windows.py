"""Trailing windows of a series; every window is counted anew, never carried on.

A missing member (NaN) is left out, and a window with fewer than ``least`` members
has no value. To read **ahead**, take the trailing window of a later bar.
"""

from __future__ import annotations

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Float64, Int32

# A spread below this (log return or simple return) is rounding, not movement: the
# logarithm of a price is stored to about 1e-15, and a tick is never below 1e-9.
NO_SPREAD = 1e-12

_BLOCK = 16
_LOST = 1e-6  # share of the squares that must be spread, or six digits are gone


@kernel
def _two_pass_sd(values: Float64, first: int, stop: int) -> float:
    count = 0
    total = 0.0
    for k in range(first, stop):
        if values[k] == values[k]:
            count += 1
            total += values[k]
    mean = total / count
    square = 0.0
    for k in range(first, stop):
        if values[k] == values[k]:
            square += (values[k] - mean) * (values[k] - mean)
    return float(np.sqrt(square / (count - 1)))


@kernel
def rolling_sd(values: Float64, window: int) -> Float64:
    """Return the sample SD of the last ``window`` values, (T,); NaN when one is missing.

    A spread below ``NO_SPREAD`` is 0.
    """
    bars = len(values)
    out = np.full(bars, np.nan)
    even = window // 2 * 2  # two sums at a time: an addition waits for the one before it
    for t in range(window - 1, bars):
        first = t - window + 1
        total = values[t] if even < window else 0.0
        other = 0.0
        for k in range(first, first + even, 2):
            total += values[k]
            other += values[k + 1]
        mean = (total + other) / window
        square = (values[t] - mean) * (values[t] - mean) if even < window else 0.0
        other = 0.0
        for k in range(first, first + even, 2):
            square += (values[k] - mean) * (values[k] - mean)
            other += (values[k + 1] - mean) * (values[k + 1] - mean)
        square += other
        sd = np.sqrt(square / (window - 1))
        out[t] = 0.0 if sd <= NO_SPREAD else sd
    return out


@kernel
def rolling_sd_of_known(values: Float64, window: int, least: int) -> Float64:
    """Return the sample SD of the members of the last ``window`` that exist, (T,).

    NaN with fewer than ``least`` of them; 0 below ``NO_SPREAD``. Whole blocks inside
    a window are summed once for all windows; a window whose mean dwarfs its spread,
    where that would cost digits, is counted again in two passes.
    """
    bars = len(values)
    out = np.full(bars, np.nan)
    sums = np.zeros((bars // _BLOCK + 1, 3))
    for t in range(bars):
        if values[t] == values[t]:
            sums[t // _BLOCK, 0] += 1.0
            sums[t // _BLOCK, 1] += values[t]
            sums[t // _BLOCK, 2] += values[t] * values[t]
    for t in range(bars):
        first = max(0, t - window + 1)
        stop = t + 1
        count = total = square = 0.0
        head = min((first + _BLOCK - 1) // _BLOCK * _BLOCK, stop)
        tail = max(stop // _BLOCK * _BLOCK, head)
        for k in range(first, head):
            if values[k] == values[k]:
                count += 1.0
                total += values[k]
                square += values[k] * values[k]
        for block in range(head // _BLOCK, tail // _BLOCK):
            count += sums[block, 0]
            total += sums[block, 1]
            square += sums[block, 2]
        for k in range(tail, stop):
            if values[k] == values[k]:
                count += 1.0
                total += values[k]
                square += values[k] * values[k]
        if count < max(least, 2):
            continue
        spread = square - total * total / count
        if spread > _LOST * square:
            sd = np.sqrt(spread / (count - 1.0))
        else:
            sd = _two_pass_sd(values, first, stop)
        out[t] = 0.0 if sd <= NO_SPREAD else sd
    return out


@kernel
def rolling_sum(values: Float64, window: int) -> Float64:
    """Return the sum of the last ``window`` values, (T,); NaN when one is missing."""
    bars = len(values)
    out = np.full(bars, np.nan)
    for t in range(window - 1, bars):
        total = 0.0
        for k in range(t - window + 1, t + 1):
            total += values[k]
        out[t] = total
    return out


@kernel
def _place(ordered: Float64, size: int, x: float) -> int:
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def rolling_median(values: Float64, window: int, least: int) -> Float64:
    """Return the median of the last ``window`` members, (T,)."""
    bars = len(values)
    out = np.full(bars, np.nan)
    ordered = np.empty(window + 1)
    size = 0
    for t in range(bars):
        new = values[t]
        old = values[t - window] if t >= window else np.nan
        if old == old:
            # Close the hole up to where the new value goes, and no further.
            hole = _place(ordered, size, old)
            target = _place(ordered, size, new) if new == new else size
            while hole + 1 < target:
                ordered[hole] = ordered[hole + 1]
                hole += 1
            while hole > target:
                ordered[hole] = ordered[hole - 1]
                hole -= 1
            if new == new:
                ordered[hole] = new
            else:
                size -= 1
        elif new == new:
            hole = size
            target = _place(ordered, size, new)
            while hole > target:
                ordered[hole] = ordered[hole - 1]
                hole -= 1
            ordered[hole] = new
            size += 1
        if size >= max(least, 1):
            half = size // 2
            out[t] = ordered[half] if size % 2 else (ordered[half - 1] + ordered[half]) / 2.0
    return out


@kernel
def rolling_extremes(high: Float64, low: Float64, window: int) -> tuple[Float64, Float64]:
    """Return the largest ``high`` and the smallest ``low`` of the last ``window`` bars."""
    bars = len(high)
    top = np.full(bars, np.nan)
    bottom = np.full(bars, np.nan)
    for t in range(window - 1, bars):
        most = high[t]
        least = low[t]
        for k in range(t - window + 1, t):
            most = max(most, high[k])
            least = min(least, low[k])
        top[t] = most
        bottom[t] = least
    return top, bottom


@kernel
def rolling_rank(values: Float64, probe: Float64, window: int) -> tuple[Int32, Int32, Int32]:
    """Place ``probe[t]`` among the last ``window`` values.

    Returns
    -------
    tuple of int32 (T,)
        How many are strictly smaller, how many equal, and how many there are.
    """
    bars = len(values)
    less = np.empty(bars, dtype=np.int32)
    equal = np.empty(bars, dtype=np.int32)
    known = np.empty(bars, dtype=np.int32)
    there = 0
    for t in range(bars):
        x = probe[t]
        smaller = same = np.int32(0)  # half the width of int64, twice the lanes
        for value in values[max(0, t - window + 1) : t + 1]:
            smaller += np.int32(value < x)
            same += np.int32(value == x)
        there += values[t] == values[t]
        if t >= window:
            there -= values[t - window] == values[t - window]
        less[t] = smaller
        equal[t] = same
        known[t] = there
    return less, equal, known
