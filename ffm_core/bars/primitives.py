"""Price primitives that several rooms share: true range, ATR, swings.

Every value at bar ``t`` uses bars up to and including ``t``. Functions take
plain arrays, so that plug-ins and oracles can call them without ``Bars``.
"""

from __future__ import annotations

import numpy as np

from ffm_core.errors import ConfigError
from ffm_core.jit import kernel
from ffm_core.types import Bool, Float64, Int64


def frozen(values: Float64) -> Float64:
    """Return a contiguous read-only float64 view.

    Kernels are compiled per array type, and a read-only array is a type of its
    own; one form for every caller means one compilation.
    """
    view = np.ascontiguousarray(values, dtype=np.float64).view()
    view.setflags(write=False)
    return view


def true_range(high: Float64, low: Float64, close: Float64) -> Float64:
    """Return the true range of every bar.

    Parameters
    ----------
    high, low, close : float64 (T,)
        Prices in points, oldest first.

    Returns
    -------
    float64 (T,)
        Points: the largest of high − low, |high − previous close| and
        |low − previous close|; the first bar has only its own range.
    """
    previous = np.concatenate((close[:1], close[:-1]))
    spread = np.maximum(np.abs(high - previous), np.abs(low - previous))
    ranges = np.maximum(high - low, spread)
    if len(ranges):
        ranges[0] = high[0] - low[0]
    return ranges


def atr_wilder(high: Float64, low: Float64, close: Float64, window_bars: int) -> Float64:
    """Return the average true range with Wilder's smoothing.

    Parameters
    ----------
    high, low, close : float64 (T,)
        Prices in points, oldest first.
    window_bars : int
        Smoothing length ``n``, at least 1.

    Returns
    -------
    float64 (T,)
        Points. NaN for the first ``n − 1`` bars, then seeded with the plain
        mean of the first ``n`` true ranges. The memory is recursive: a start
        ``h`` bars earlier moves a value by about ``(1 − 1/n)^h`` of itself.

    Raises
    ------
    ConfigError
        When ``window_bars`` is below 1.

    References
    ----------
    Wilder (1978), *New Concepts in Technical Trading Systems*.
    """
    _check_window("window_bars", window_bars)
    return _atr_wilder(frozen(high), frozen(low), frozen(close), window_bars)


@kernel
def _atr_wilder(high: Float64, low: Float64, close: Float64, n: int) -> Float64:
    bars = len(high)
    out = np.full(bars, np.nan)
    total = 0.0
    value = np.nan
    for t in range(bars):
        tr = high[t] - low[t]
        if t > 0:
            tr = max(tr, abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1]))
        if t < n:
            total += tr
            if t == n - 1:
                value = total / n
        else:
            value = (value * (n - 1) + tr) / n
        out[t] = value
    return out


def atr_simple(high: Float64, low: Float64, close: Float64, window_bars: int) -> Float64:
    """Return the plain mean of the last ``window_bars`` true ranges.

    Parameters
    ----------
    high, low, close : float64 (T,)
        Prices in points, oldest first.
    window_bars : int
        Bars averaged, at least 1.

    Returns
    -------
    float64 (T,)
        Points; NaN for the first ``window_bars - 1`` bars. The oldest range of a
        window reaches back to the close before it.

    Raises
    ------
    ConfigError
        When ``window_bars`` is below 1.
    """
    _check_window("window_bars", window_bars)
    out = np.full(len(close), np.nan)
    if len(close) >= window_bars:
        ranges = true_range(high, low, close)
        windows = np.lib.stride_tricks.sliding_window_view(ranges, window_bars)
        out[window_bars - 1 :] = windows.mean(axis=1)
    return out


def swing_highs(high: Float64, order: int) -> Bool:
    """Mark the bars that are a swing high of ``order``.

    Parameters
    ----------
    high : float64 (T,)
        Highs in points.
    order : int
        Bars on each side that must be strictly lower, at least 1.

    Returns
    -------
    bool (T,)
        True at the pivot bar itself, which is **known only** ``order`` bars
        later; use :func:`last_swing` for what was known at each bar.
    """
    _check_window("order", order)
    return _swings(frozen(high), order)


def swing_lows(low: Float64, order: int) -> Bool:
    """Mark the bars that are a swing low of ``order``; see :func:`swing_highs`."""
    _check_window("order", order)
    return _swings(frozen(-np.asarray(low)), order)


@kernel
def _swings(values: Float64, order: int) -> Bool:
    bars = len(values)
    out = np.zeros(bars, dtype=np.bool_)
    for t in range(order, bars - order):
        top = values[t]
        is_swing = True
        for k in range(1, order + 1):
            if values[t - k] >= top or values[t + k] >= top:
                is_swing = False
                break
        out[t] = is_swing
    return out


def last_swing(pivots: Bool, order: int) -> Int64:
    """Return the most recent pivot that was already confirmed at each bar.

    Parameters
    ----------
    pivots : bool (T,)
        From :func:`swing_highs` or :func:`swing_lows`.
    order : int
        The order they were made with.

    Returns
    -------
    int64 (T,)
        Index of the pivot bar, or −1 while none is confirmed. A pivot at ``i``
        appears from bar ``i + order`` on.
    """
    _check_window("order", order)
    bars = len(pivots)
    known = np.full(bars, -1, dtype=np.int64)
    at = np.flatnonzero(pivots)
    at = at[at + order < bars]
    known[at + order] = at
    return np.maximum.accumulate(known) if bars else known


def _check_window(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}")
