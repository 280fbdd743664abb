"""Small kernels that the step programs of ``qe150`` share.

A ring keeps the last ``size`` values of a series in ``2 · size`` cells of the
state array ``f``: every value is written twice, ``size`` cells apart, so that any
window of up to ``size`` values lies in one piece, oldest first. :func:`push`
returns the window's ``stop``: the newest value is ``f[stop - 1]``, the value ``k``
bars ago ``f[stop - 1 - k]``, the last ``n`` values ``f[stop - n : stop]``.

Rings start as NaN (:func:`fresh`), so a window that is not full yet, or that holds
a bar without a value, answers NaN by itself. Windows are summed anew at every bar
in a fixed order, so their results are the same bits from any start of the series.

A smoother (EMA, Wilder) takes three cells that start at 0: its level, the sum of
its seed, the number of values it has seen.
"""

from __future__ import annotations

import math

import numpy as np

from ffm_core.jit import helper
from ffm_core.types import Float64

SMALL = 1e-12  # a denominator no larger than this is none
SMOOTHER = 3  # cells of a smoother


def fresh(ring_cells: int, plain_cells: int) -> Float64:
    """Return state cells before the first bar: NaN for rings, then zeros."""
    return np.concatenate((np.full(ring_cells, np.nan), np.zeros(plain_cells)))


def smoother_history(seed_bars: int, alpha: float) -> int:
    """Return the bars after which a smoother has forgotten its seed.

    Parameters
    ----------
    seed_bars : int
        Bars its first level is the mean of.
    alpha : float
        Weight of the newest value, between 0 and 1.

    Returns
    -------
    int
        Seed included; what is left of the seed's error is at most 1e-16 of it, so
        that a level which fades out in a flat market counts as 0 by then.
    """
    return seed_bars + math.ceil(math.log(1e-16) / math.log(1.0 - alpha))


@helper
def guarded(a: float, b: float, default: float) -> float:
    """Return ``a / b``, or ``default`` where ``|b|`` is 1e-12 or less; NaN stays NaN."""
    if abs(b) <= SMALL:
        return default if a == a else np.nan
    return a / b


@helper
def log_ratio(a: float, b: float) -> float:
    """Return ``ln(a / b)``; NaN unless both are positive."""
    return np.log(a / b) if a > 0.0 and b > 0.0 else np.nan


@helper
def clip(value: float, low: float, high: float) -> float:
    """Return ``value`` within ``[low, high]``; NaN stays NaN."""
    if value < low:
        return low
    return high if value > high else value


@helper
def push(f: Float64, at: int, size: int, bar: int, value: float) -> int:
    """Write the value of bar number ``bar`` (from 0) into the ring at ``at``.

    Every bar must push once. Returns the ``stop`` of the windows that end here.
    """
    cell = at + bar % size
    f[cell] = value
    f[cell + size] = value
    return cell + size + 1


@helper
def window_sum(f: Float64, stop: int, n: int) -> float:
    """Return the sum of the last ``n`` values."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    t = stop - n
    while t + 4 <= stop:
        a += f[t]
        b += f[t + 1]
        c += f[t + 2]
        d += f[t + 3]
        t += 4
    while t < stop:
        a += f[t]
        t += 1
    return float((a + b) + (c + d))


@helper
def window_mean(f: Float64, stop: int, n: int) -> float:
    """Return the mean of the last ``n`` values; exactly the value where all are equal."""
    origin = f[stop - n]
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    t = stop - n
    while t + 4 <= stop:
        a += f[t] - origin
        b += f[t + 1] - origin
        c += f[t + 2] - origin
        d += f[t + 3] - origin
        t += 4
    while t < stop:
        a += f[t] - origin
        t += 1
    return float(origin + ((a + b) + (c + d)) / n)


@helper
def window_sd(f: Float64, stop: int, n: int, mean: float) -> float:
    """Return the sample SD (n − 1) of the last ``n`` values around their ``mean``."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    t = stop - n
    while t + 4 <= stop:
        a += (f[t] - mean) * (f[t] - mean)
        b += (f[t + 1] - mean) * (f[t + 1] - mean)
        c += (f[t + 2] - mean) * (f[t + 2] - mean)
        d += (f[t + 3] - mean) * (f[t + 3] - mean)
        t += 4
    while t < stop:
        a += (f[t] - mean) * (f[t] - mean)
        t += 1
    return float(np.sqrt(((a + b) + (c + d)) / (n - 1)))


@helper
def window_max(f: Float64, stop: int, n: int) -> float:
    """Return the largest of the last ``n`` values; NaN if one of them is NaN."""
    top = f[stop - n]
    for t in range(stop - n, stop):
        if not f[t] <= top:
            if f[t] != f[t] or top != top:
                return np.nan
            top = f[t]
    return float(top)


@helper
def window_min(f: Float64, stop: int, n: int) -> float:
    """Return the smallest of the last ``n`` values; NaN if one of them is NaN."""
    bottom = f[stop - n]
    for t in range(stop - n, stop):
        if not f[t] >= bottom:
            if f[t] != f[t] or bottom != bottom:
                return np.nan
            bottom = f[t]
    return float(bottom)


@helper
def window_rank(f: Float64, stop: int, n: int) -> float:
    """Return the share of the last ``n`` values that do not exceed the newest one.

    The newest counts among them; NaN if one of them is NaN.
    """
    value = f[stop - 1]
    below = 0
    for t in range(stop - n, stop):
        if f[t] <= value:
            below += 1
        elif not f[t] > value:
            return np.nan
    return below / n


@helper
def ema(f: Float64, at: int, n: int, value: float) -> float:
    """Take one value; return the EMA (α = 2/(n+1)) seeded with the mean of the first ``n``.

    NaN until the seed is complete. A NaN value answers NaN and leaves the level
    untouched, so that one bar without a value does not end the series.
    """
    return smooth(f, at, n, 2.0 / (n + 1), value)


@helper
def wilder(f: Float64, at: int, n: int, value: float) -> float:
    """Take one value; return Wilder's average (α = 1/n), as :func:`ema` otherwise."""
    return smooth(f, at, n, 1.0 / n, value)


@helper
def smooth(f: Float64, at: int, n: int, alpha: float, value: float) -> float:
    """Take one value; return the average with weight ``alpha`` on it, as :func:`ema` otherwise."""
    if value != value:
        return np.nan
    if f[at + 2] >= n:
        f[at] += alpha * (value - f[at])
        return float(f[at])
    f[at + 1] += value
    f[at + 2] += 1.0
    if f[at + 2] < n:
        return np.nan
    f[at] = f[at + 1] / n
    return float(f[at])


@helper
def true_range(high: float, low: float, previous_close: float) -> float:
    """Return the true range; high − low where ``previous_close`` is NaN (the first bar)."""
    if previous_close != previous_close:
        return high - low
    return max(high - low, abs(high - previous_close), abs(low - previous_close))
