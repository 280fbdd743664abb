"""Price action of ``qe150``: returns, bodies, distances to averages, oscillators, trend."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.steps import Program, State
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.price_columns import COLUMNS
from ffm_features_qe150.rings import (
    SMOOTHER,
    clip,
    ema,
    fresh,
    guarded,
    log_ratio,
    push,
    true_range,
    wilder,
    window_max,
    window_mean,
    window_min,
    window_sd,
    window_sum,
)

# Rings: first cell of each, its size behind it.
_CLOSE = 0  # 200
_RETURN = _CLOSE + 2 * 200  # 20
_RISE = _RETURN + 2 * 20  # 20
_PATH = _RISE + 2 * 20  # 10
_HIGH = _PATH + 2 * 10  # 14
_LOW = _HIGH + 2 * 14  # 14
_STOCH = _LOW + 2 * 14  # 3
_TYPICAL = _STOCH + 2 * 3  # 20
_SMA50 = _TYPICAL + 2 * 20  # 11
_EMA21 = _SMA50 + 2 * 11  # 6
_PLAIN = _EMA21 + 2 * 6
# Smoothers.
_ATR = _PLAIN
_E9, _E12, _E21, _E26, _E50, _SIGNAL = (_PLAIN + SMOOTHER * j for j in range(1, 7))
_GAINS = _PLAIN + SMOOTHER * 7  # gain and loss for each of three lengths
_ATR_BEFORE = _GAINS + SMOOTHER * 6
_END = _ATR_BEFORE + 1

_TREND_SXX = 665.0  # Σ (j − 9.5)² over 0 … 19


@kernel
def _returns(f: Float64, bar: int, stop: int, out: Float32, at: int) -> None:
    """Write columns 1 to 8, 39 and 40: log returns, their z-score, streak and share of rises."""
    close = f[stop - 1]
    for j, lag in enumerate((1, 2, 3, 5, 10, 20, 60)):
        out[at + j] = log_ratio(close, f[stop - 1 - lag])
    change = log_ratio(close, f[stop - 2])
    end = push(f, _RETURN, 20, bar, change)
    mean = window_mean(f, end, 20)
    out[at + 7] = guarded(change - mean, window_sd(f, end, 20, mean), 0.0)
    out[at + 38] = _streak(f, end) / 10.0
    rise = np.nan if change != change else (1.0 if change > 0.0 else 0.0)
    out[at + 39] = window_sum(f, push(f, _RISE, 20, bar, rise), 20) / 20.0


@kernel
def _streak(f: Float64, end: int) -> float:
    """Return the signed length, at most 10, of the run of returns of one sign."""
    newest = f[end - 1]
    if newest == 0.0 or newest != newest:
        return float(newest)
    sign = 1.0 if newest > 0.0 else -1.0
    run = 1.0
    while run < 10.0 and f[end - 1 - int(run)] * sign > 0.0:
        run += 1.0
    return run * sign


@kernel
def _bar_shape(
    open_: float, high: float, low: float, close: float, atr: float, out: Float32, at: int
) -> None:
    """Write columns 9 to 14: body, range, wicks, place of the close."""
    spread = high - low
    out[at + 8] = guarded(close - open_, atr, 0.0)
    out[at + 9] = guarded(spread, atr, 0.0)
    out[at + 10] = guarded(close - open_, spread, 0.0)
    out[at + 11] = guarded(high - max(open_, close), spread, 0.0)
    out[at + 12] = guarded(min(open_, close) - low, spread, 0.0)
    out[at + 13] = guarded((close - low) - (high - close), spread, 0.0)


@kernel
def _averages(f: Float64, bar: int, stop: int, atr: float, out: Float32, at: int) -> None:
    """Write columns 16 to 26 and 33 to 35: distances to averages, their slopes, MACD."""
    close = f[stop - 1]
    for j, n in enumerate((10, 20, 50, 200)):
        mean = window_mean(f, stop, n)
        out[at + 15 + j] = guarded(close - mean, atr, 0.0)
        if n == 50:
            end = push(f, _SMA50, 11, bar, mean)
            out[at + 25] = guarded(mean - f[end - 11], 10.0 * atr, 0.0)
    e9 = ema(f, _E9, 9, close)
    e21 = ema(f, _E21, 21, close)
    e50 = ema(f, _E50, 50, close)
    out[at + 19] = guarded(close - e9, atr, 0.0)
    out[at + 20] = guarded(close - e21, atr, 0.0)
    out[at + 21] = guarded(close - e50, atr, 0.0)
    out[at + 22] = guarded(e9 - e21, atr, 0.0)
    out[at + 23] = guarded(e21 - e50, atr, 0.0)
    end = push(f, _EMA21, 6, bar, e21)
    out[at + 24] = guarded(e21 - f[end - 6], 5.0 * atr, 0.0)
    macd = guarded(ema(f, _E12, 12, close) - ema(f, _E26, 26, close), atr, 0.0)
    signal = ema(f, _SIGNAL, 9, macd)
    out[at + 32] = macd
    out[at + 33] = signal
    out[at + 34] = macd - signal


@kernel
def _oscillators(
    f: Float64, bar: int, stop: int, high: float, low: float, out: Float32, at: int
) -> None:
    """Write columns 27 to 32: RSI, stochastic, CCI."""
    close = f[stop - 1]
    change = close - f[stop - 2]
    for j, n in enumerate((7, 14, 21)):
        cell = _GAINS + 2 * SMOOTHER * j
        gain = wilder(f, cell, n, np.nan if change != change else max(change, 0.0))
        loss = wilder(f, cell + SMOOTHER, n, np.nan if change != change else max(-change, 0.0))
        out[at + 26 + j] = guarded(gain, gain + loss, 0.5)
    top = window_max(f, push(f, _HIGH, 14, bar, high), 14)
    bottom = window_min(f, push(f, _LOW, 14, bar, low), 14)
    stoch = guarded(close - bottom, top - bottom, 0.5)
    out[at + 29] = stoch
    out[at + 30] = window_mean(f, push(f, _STOCH, 3, bar, stoch), 3)
    typical = (high + low + close) / 3.0
    end = push(f, _TYPICAL, 20, bar, typical)
    mean = window_mean(f, end, 20)
    spread = 0.0
    for t in range(end - 20, end):
        spread += abs(f[t] - mean)
    cci = guarded(typical - mean, 0.015 * (spread / 20.0), 0.0)
    out[at + 31] = clip(cci / 100.0, -5.0, 5.0)


@kernel
def _trend(f: Float64, bar: int, stop: int, atr: float, out: Float32, at: int) -> None:
    """Write columns 36 to 38: slope and R² of a straight line, efficiency of the path."""
    mean = window_mean(f, stop, 20)
    sxy, syy = 0.0, 0.0
    for j in range(20):
        away = f[stop - 20 + j] - mean
        sxy += (j - 9.5) * away
        syy += away * away
    out[at + 35] = guarded(sxy / _TREND_SXX, atr, 0.0)
    out[at + 36] = 0.0 if syy == 0.0 else min(sxy / syy * (sxy / _TREND_SXX), 1.0)
    path = window_sum(f, push(f, _PATH, 10, bar, abs(f[stop - 1] - f[stop - 2])), 10)
    out[at + 37] = guarded(abs(f[stop - 1] - f[stop - 11]), path, 0.0)


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
    stop = push(f, _CLOSE, 200, bar, close)
    before = f[stop - 2]
    atr = wilder(f, _ATR, 14, true_range(high, low, before))
    _returns(f, bar, stop, out, at)
    _bar_shape(open_, high, low, close, atr, out, at)
    out[at + 14] = guarded(open_ - before, f[_ATR_BEFORE], 0.0)
    f[_ATR_BEFORE] = atr
    _averages(f, bar, stop, atr, out, at)
    _oscillators(f, bar, stop, high, low, out, at)
    _trend(f, bar, stop, atr, out, at)
    for j in range(len(n)):
        if bar < n[j]:
            out[at + j] = np.nan


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    """Return the state before the first bar; ``n`` holds the warm-up of each column."""
    warmup = [column.warmup_bars or 0 for column in COLUMNS]
    return State(
        f=fresh(_PLAIN, _END - _PLAIN),
        i=np.zeros(1, dtype=np.int64),
        k=np.zeros(0),
        n=np.array(warmup, dtype=np.int64),
    )


PRICE = Program(columns=COLUMNS, start=_start, step=_step)
