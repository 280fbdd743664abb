"""Volatility of ``qe150``: estimators of it, bands, and the shape of returns."""

from __future__ import annotations

import math

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.steps import Program, State
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.periods import bars_per_year
from ffm_features_qe150.rings import (
    SMALL,
    SMOOTHER,
    clip,
    ema,
    fresh,
    guarded,
    log_ratio,
    push,
    smooth,
    true_range,
    wilder,
    window_max,
    window_mean,
    window_min,
    window_rank,
    window_sd,
    window_sum,
)
from ffm_features_qe150.volatility_columns import COLUMNS

# Rings: first cell of each, its size behind it.
_CLOSE = 0  # 20
_HIGH = _CLOSE + 2 * 20  # 20
_LOW = _HIGH + 2 * 20  # 20
_RETURN = _LOW + 2 * 20  # 60
_RV10 = _RETURN + 2 * 60  # 20
_RV20 = _RV10 + 2 * 20  # 250
_SPREAD = _RV20 + 2 * 250  # 20, ln(H/L)²
_GARMAN = _SPREAD + 2 * 20  # 20
_ROGERS = _GARMAN + 2 * 20  # 20
_OVERNIGHT = _ROGERS + 2 * 20  # 20, ln(O/C[1])
_BODY = _OVERNIGHT + 2 * 20  # 20, ln(C/O)
_WIDTH = _BODY + 2 * 20  # 100
_TRUE = _WIDTH + 2 * 100  # 20
_PAIR = _TRUE + 2 * 20  # 20, |r| |r[1]|
_RANGE = _PAIR + 2 * 20  # 10
_PLAIN = _RANGE + 2 * 10
# Smoothers.
_ATR7, _ATR14, _ATR20, _ATR28, _EMA20, _EWMA = (_PLAIN + SMOOTHER * j for j in range(6))
_END = _PLAIN + SMOOTHER * 6

_GARMAN_BODY = 2.0 * math.log(2.0) - 1.0
_PARKINSON = 4.0 * math.log(2.0)
_YANG_ZHANG = 0.34 / (1.34 + 21.0 / 19.0)
_FLOOR = 1e-8  # smallest deviation of either side in the ratio of both


@kernel
def _realised(f: Float64, bar: int, stop: int, root: float, out: Float32, at: int) -> None:
    """Write columns 70 to 73, 78 and 79: realised volatility, its rank and variation."""
    rv10 = window_sd(f, stop, 10, window_mean(f, stop, 10)) * root
    rv20 = window_sd(f, stop, 20, window_mean(f, stop, 20)) * root
    rv60 = window_sd(f, stop, 60, window_mean(f, stop, 60)) * root
    out[at + 4] = rv10
    out[at + 5] = rv20
    out[at + 6] = rv60
    out[at + 7] = guarded(rv10, rv60, 1.0)
    out[at + 12] = window_rank(f, push(f, _RV20, 250, bar, rv20), 250)
    end = push(f, _RV10, 20, bar, rv10)
    mean = window_mean(f, end, 20)
    out[at + 13] = guarded(window_sd(f, end, 20, mean), mean, 0.0)


@kernel
def _ranges(
    f: Float64,
    bar: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    before: float,
    year: float,
    out: Float32,
    at: int,
) -> None:
    """Write columns 74 to 77: Parkinson, Garman-Klass, Rogers-Satchell, Yang-Zhang."""
    spread = log_ratio(high, low)
    body = log_ratio(close, open_)
    up = log_ratio(high, close) * log_ratio(high, open_)
    rogers = up + log_ratio(low, close) * log_ratio(low, open_)
    garman = 0.5 * spread * spread - _GARMAN_BODY * body * body
    parkinson = window_sum(f, push(f, _SPREAD, 20, bar, spread * spread), 20) / 20.0
    garman = window_sum(f, push(f, _GARMAN, 20, bar, garman), 20) / 20.0
    rogers = window_sum(f, push(f, _ROGERS, 20, bar, rogers), 20) / 20.0
    out[at + 8] = np.sqrt(year * parkinson / _PARKINSON)
    out[at + 9] = _root(year * garman)
    out[at + 10] = _root(year * rogers)
    gap = push(f, _OVERNIGHT, 20, bar, log_ratio(open_, before))
    gap_sd = window_sd(f, gap, 20, window_mean(f, gap, 20))
    end = push(f, _BODY, 20, bar, body)
    body_sd = window_sd(f, end, 20, window_mean(f, end, 20))
    variance = gap_sd * gap_sd + _YANG_ZHANG * body_sd * body_sd + (1.0 - _YANG_ZHANG) * rogers
    out[at + 11] = _root(year * variance)


@kernel
def _root(value: float) -> float:
    """Return the square root, 0 of what rounding made negative; NaN stays NaN."""
    return 0.0 if value < 0.0 else float(np.sqrt(value))


@kernel
def _bands(
    f: Float64, i: Int64, bar: int, stop: int, true: float, atr: float, out: Float32, at: int
) -> None:
    """Write columns 80 to 86: Bollinger bands, Keltner channel, squeeze."""
    close = f[stop - 1]
    mean = window_mean(f, stop, 20)
    sigma = window_sd(f, stop, 20, mean)
    width = guarded(4.0 * sigma, mean, 0.0)
    out[at + 14] = guarded(close - (mean - 2.0 * sigma), 4.0 * sigma, 0.5)
    out[at + 15] = width
    out[at + 16] = window_rank(f, push(f, _WIDTH, 100, bar, width), 100)
    atr20 = wilder(f, _ATR20, 20, true)
    middle = ema(f, _EMA20, 20, close)
    out[at + 17] = guarded(close - middle, 2.0 * atr20, 0.0)
    out[at + 18] = guarded(4.0 * atr20, middle, 0.0)
    # An ATR that has faded out in a flat market is none; it would squeeze for ever.
    squeeze = atr20 > SMALL and 2.0 * sigma < 1.5 * atr20
    i[1] = min(i[1] + 1, 50) if squeeze else 0
    out[at + 19] = 1.0 if squeeze else 0.0
    out[at + 20] = i[1] / 50.0


@kernel
def _two_sides(f: Float64, stop: int, root: float, out: Float32, at: int) -> None:
    """Write columns 88 and 89: downside deviation, and the upside against it."""
    up, down = 0.0, 0.0
    for t in range(stop - 20, stop):
        up += max(f[t], 0.0) * f[t]
        down += min(f[t], 0.0) * f[t]
    up = np.sqrt(up / 20.0)
    down = np.sqrt(down / 20.0)
    out[at + 22] = down * root
    if up == up:
        ratio = np.log(max(up, _FLOOR) / max(down, _FLOOR))
        out[at + 23] = clip(ratio, -3.0, 3.0)
    else:
        out[at + 23] = np.nan


@kernel
def _moments(f: Float64, stop: int, out: Float32, at: int) -> None:
    """Write columns 90 and 91: skewness and excess kurtosis of 60 returns."""
    mean = window_mean(f, stop, 60)
    m2, m3, m4 = 0.0, 0.0, 0.0
    for t in range(stop - 60, stop):
        away = f[t] - mean
        square = away * away
        m2 += square
        m3 += square * away
        m4 += square * square
    m2, m3, m4 = m2 / 60.0, m3 / 60.0, m4 / 60.0
    if np.sqrt(m2) <= SMALL:
        out[at + 24] = 0.0
        out[at + 25] = 0.0
        return
    out[at + 24] = np.sqrt(60.0 * 59.0) / 58.0 * m3 / (m2 * np.sqrt(m2))
    kurtosis = 59.0 / (58.0 * 57.0) * (61.0 * (m4 / (m2 * m2) - 3.0) + 6.0)
    out[at + 25] = clip(kurtosis, -20.0, 20.0)


@kernel
def _activity(
    f: Float64, bar: int, stop: int, true: float, spread: float, year: float, out: Float32, at: int
) -> None:
    """Write columns 92 to 95: z of the true range, EWMA, jumps, range against its mean."""
    end = push(f, _TRUE, 20, bar, true)
    mean = window_mean(f, end, 20)
    out[at + 26] = guarded(true - mean, window_sd(f, end, 20, mean), 0.0)
    change = f[stop - 1]
    out[at + 27] = np.sqrt(year * smooth(f, _EWMA, 20, 0.06, change * change))
    pairs = window_sum(f, push(f, _PAIR, 20, bar, abs(change) * abs(f[stop - 2])), 20)
    squares = 0.0
    for t in range(stop - 20, stop):
        squares += f[t] * f[t]
    out[at + 28] = clip(1.0 - guarded(0.5 * np.pi * pairs, squares, 1.0), 0.0, 1.0)
    mean = window_mean(f, push(f, _RANGE, 10, bar, spread), 10)
    out[at + 29] = clip(guarded(spread, mean, 1.0), 0.0, 10.0)


@kernel
def _step(
    ts: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    f: Float64,
    i: Int64,
    k: Float64,
    n: Int64,
    out: Float32,
    at: int,
) -> None:
    bar = i[0]
    i[0] = bar + 1
    year, root = k[0], k[1]
    stop = push(f, _CLOSE, 20, bar, close)
    before = f[stop - 2]
    true = true_range(high, low, before)
    atr7 = wilder(f, _ATR7, 7, true)
    atr14 = wilder(f, _ATR14, 14, true)
    atr28 = wilder(f, _ATR28, 28, true)
    out[at] = atr7 / close if close > 0.0 else np.nan
    out[at + 1] = atr14 / close if close > 0.0 else np.nan
    out[at + 2] = atr28 / close if close > 0.0 else np.nan
    out[at + 3] = guarded(atr7, atr28, 1.0)
    returns = push(f, _RETURN, 60, bar, log_ratio(close, before))
    _realised(f, bar, returns, root, out, at)
    _ranges(f, bar, open_, high, low, close, before, year, out, at)
    _bands(f, i, bar, stop, true, atr14, out, at)
    top = window_max(f, push(f, _HIGH, 20, bar, high), 20)
    bottom = window_min(f, push(f, _LOW, 20, bar, low), 20)
    out[at + 21] = guarded(top - bottom, atr14, 0.0)
    _two_sides(f, returns, root, out, at)
    _moments(f, returns, out, at)
    _activity(f, bar, returns, true, high - low, year, out, at)
    for j in range(len(n)):
        if bar < n[j]:
            out[at + j] = np.nan


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    """Return the state before the first bar.

    ``k`` holds the bars of a year and their root, ``n`` the warm-up of each column.
    """
    warmup = [column.warmup_bars or 0 for column in COLUMNS]
    year = bars_per_year(instrument, timeframe)
    return State(
        f=fresh(_PLAIN, _END - _PLAIN),
        i=np.zeros(2, dtype=np.int64),
        k=np.array([year, np.sqrt(year)]),
        n=np.array(warmup, dtype=np.int64),
    )


VOLATILITY = Program(columns=COLUMNS, start=_start, step=_step)
