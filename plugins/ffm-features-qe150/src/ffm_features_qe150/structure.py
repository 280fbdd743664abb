"""Structure of ``qe150``: ranges, swings, trend, levels of days and weeks, gaps, round prices."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.clock import wall_us
from ffm_core.features.steps import Program, State
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.days import (
    EXTRA_AT,
    INTRADAY,
    NO_DAY,
    ZONE_AT,
    day_table,
    rth_open_us,
    trading_date,
)
from ffm_features_qe150.rings import (
    SMALL,
    SMOOTHER,
    clip,
    fresh,
    guarded,
    push,
    true_range,
    wilder,
    window_max,
    window_mean,
    window_min,
)
from ffm_features_qe150.structure_columns import COLUMNS
from ffm_features_qe150.structure_events import (
    CISD_F,
    CISD_I,
    FADE_BARS,
    GAP_F,
    SWING_F,
    SWING_I,
    delivery_turn,
    gap_below,
    swing_columns,
    swing_high,
)

_N = len(COLUMNS)
_DAYS = 20  # trading dates of the mean range

# Round steps that traders use where it is not 100 ticks.
_ROUND_STEPS = {
    "NQ": 100.0, "MNQ": 100.0, "ZN": 1.0, "ZB": 1.0, "ZF": 1.0, "XAUUSD": 10.0, "EURUSD": 0.005,
}  # fmt: skip
_ROUND_TICKS = 100

# Rings: first cell of each, its size behind it.
_HIGH = 0  # 100
_LOW = _HIGH + 2 * 100  # 100
_LOGS = _LOW + 2 * 100  # 101
_DAY_RANGES = _LOGS + 2 * 101  # 20
_PLAIN = _DAY_RANGES + 2 * _DAYS
# Smoothers.
_ATR, _UP_MOVE, _DOWN_MOVE, _TRUE, _ADX = (_PLAIN + SMOOTHER * j for j in range(5))
# Levels.
_CLOSE = _PLAIN + SMOOTHER * 5  # the bar before; NaN before the first
_PERIODS = _CLOSE + 1
(_DAY_OPEN, _DAY_HIGH, _DAY_LOW, _PRIOR_HIGH, _PRIOR_LOW, _PRIOR_CLOSE, _NIGHT_HIGH, _NIGHT_LOW,
 _WEEK_HIGH, _WEEK_LOW, _LAST_WEEK_HIGH, _LAST_WEEK_LOW) = range(
    _PERIODS, _PERIODS + 12
)  # fmt: skip
_SWING_UP = _PERIODS + 12
_SWING_DOWN = _SWING_UP + SWING_F
_RUN_DOWN = _SWING_DOWN + SWING_F  # falling run, whose turn is bullish
_RUN_UP = _RUN_DOWN + CISD_F
_GAPS_BELOW = _RUN_UP + CISD_F
_GAPS_ABOVE = _GAPS_BELOW + GAP_F
_END = _GAPS_ABOVE + GAP_F

# Cells of the integer state.
_BAR, _DATE, _DATES, _WEEK, _TURN_BAR, _TURN_SIDE, _N_BELOW, _N_ABOVE = range(8)
_SWING_UP_I = 8
_SWING_DOWN_I = _SWING_UP_I + SWING_I
_RUN_DOWN_I = _SWING_DOWN_I + SWING_I
_RUN_UP_I = _RUN_DOWN_I + CISD_I
_END_I = _RUN_UP_I + CISD_I


@kernel
def _ranges(f: Float64, hs: int, ls: int, close: float, out: Float32, at: int) -> None:
    """Write columns 1 to 5 and 30 to 31: place in ranges, age of extremes, sweeps."""
    for j, n in enumerate((20, 100)):
        low = window_min(f, ls, n)
        out[at + j] = guarded(close - low, window_max(f, hs, n) - low, 0.5)
    top, bottom = window_max(f, hs, 50), window_min(f, ls, 50)
    out[at + 2] = guarded(top - close, top - bottom, 0.0)
    out[at + 3] = _age(f, hs, top) / 50.0
    out[at + 4] = _age(f, ls, bottom) / 50.0
    before = window_max(f, hs - 1, 20)
    out[at + 29] = 1.0 if f[hs - 1] > before > close else 0.0
    before = window_min(f, ls - 1, 20)
    out[at + 30] = 1.0 if f[ls - 1] < before < close else 0.0


@kernel
def _age(f: Float64, stop: int, value: float) -> int:
    for k in range(50):
        if f[stop - 1 - k] == value:
            return k
    return 0


@kernel
def _trend(f: Float64, hs: int, ls: int, true: float, out: Float32, at: int) -> None:
    """Write columns 13, 14, 26 and 27: directional movement, inside and outside bars."""
    up, down = f[hs - 1] - f[hs - 2], f[ls - 2] - f[ls - 1]
    if up != up:
        return
    plus = wilder(f, _UP_MOVE, 14, up if up > down and up > 0.0 else 0.0)
    minus = wilder(f, _DOWN_MOVE, 14, down if down > up and down > 0.0 else 0.0)
    size = wilder(f, _TRUE, 14, true)
    plus, minus = guarded(plus, size, 0.0), guarded(minus, size, 0.0)
    side = guarded(plus - minus, plus + minus, 0.0)
    out[at + 12] = wilder(f, _ADX, 14, abs(side))
    out[at + 13] = side
    out[at + 25] = 1.0 if up < 0.0 and down < 0.0 else 0.0
    out[at + 26] = 1.0 if up > 0.0 and down > 0.0 else 0.0


@kernel
def _turn_periods(f: Float64, i: Int64, date: int, open_: float) -> None:
    """Begin another trading date, and another week when it is in one."""
    if i[_DATES] > 0:
        f[_PRIOR_HIGH], f[_PRIOR_LOW] = f[_DAY_HIGH], f[_DAY_LOW]
        f[_PRIOR_CLOSE] = f[_CLOSE]
        push(f, _DAY_RANGES, _DAYS, i[_DATES] - 1, f[_DAY_HIGH] - f[_DAY_LOW])
    week = (date + 3) // 7  # weeks begin on Monday; 1970-01-01 was a Thursday
    if week != i[_WEEK]:
        f[_LAST_WEEK_HIGH], f[_LAST_WEEK_LOW] = f[_WEEK_HIGH], f[_WEEK_LOW]
        f[_WEEK_HIGH] = f[_WEEK_LOW] = np.nan
        i[_WEEK] = week
    i[_DATES] += 1
    i[_DATE] = date
    f[_DAY_OPEN] = open_
    f[_DAY_HIGH] = f[_DAY_LOW] = f[_NIGHT_HIGH] = f[_NIGHT_LOW] = np.nan


@kernel
def _grow(f: Float64, high_cell: int, high: float, low: float) -> None:
    """Widen the range whose high stands at ``high_cell`` and whose low behind it."""
    if not f[high_cell] >= high:
        f[high_cell] = high
    if not f[high_cell + 1] <= low:
        f[high_cell + 1] = low


@kernel
def _levels(
    f: Float64, dates: int, close: float, atr: float, out: Float32, at: int
) -> None:  # fmt: skip
    """Write columns 15 to 25: levels of dates, nights and weeks."""
    high, low = f[_DAY_HIGH], f[_DAY_LOW]
    for j, cell in enumerate((_PRIOR_HIGH, _PRIOR_LOW, _PRIOR_CLOSE)):
        out[at + 14 + j] = clip(guarded(close - f[cell], atr, 0.0), -50.0, 50.0)
    out[at + 17] = guarded(close - f[_DAY_OPEN], atr, 0.0)
    out[at + 18] = guarded(close - low, high - low, 0.5)
    if dates > _DAYS:
        stop = _DAY_RANGES + (dates - 2) % _DAYS + _DAYS + 1
        out[at + 19] = guarded(high - low, window_mean(f, stop, _DAYS), np.nan)
    out[at + 20] = guarded(close - f[_NIGHT_HIGH], atr, 0.0)
    out[at + 21] = guarded(close - f[_NIGHT_LOW], atr, 0.0)
    out[at + 22] = clip(guarded(close - f[_LAST_WEEK_HIGH], atr, 0.0), -100.0, 100.0)
    out[at + 23] = clip(guarded(close - f[_LAST_WEEK_LOW], atr, 0.0), -100.0, 100.0)
    pivot = (f[_PRIOR_HIGH] + f[_PRIOR_LOW] + f[_PRIOR_CLOSE]) / 3.0
    out[at + 24] = guarded(close - pivot, atr, 0.0)


@kernel
def _gaps(
    f: Float64, i: Int64, hs: int, ls: int, close: float, atr: float, out: Float32, at: int
) -> None:  # fmt: skip
    """Write columns 28 and 29: nearest fair value gaps."""
    high, low = f[hs - 1], f[ls - 1]
    out[at + 27] = gap_below(f, _GAPS_BELOW, i, _N_BELOW, f[hs - 3], low, close, atr)
    out[at + 28] = gap_below(f, _GAPS_ABOVE, i, _N_ABOVE, -f[ls - 3], -high, -close, atr)


@kernel
def _memory_of_returns(f: Float64, stop: int, out: Float32, at: int) -> None:
    """Write columns 33 and 34: variance ratio of 100 and autocorrelation of 50 returns."""
    n, q = 100, 5
    mean = (f[stop - 1] - f[stop - 1 - n]) / n
    one, many = 0.0, 0.0
    for t in range(stop - n, stop):
        away = f[t] - f[t - 1] - mean
        one += away * away
    for t in range(stop - 1 - n + q, stop):
        away = f[t] - f[t - q] - q * mean
        many += away * away
    one /= n - 1
    many /= q * (n - q + 1) * (1.0 - q / n)
    out[at + 32] = _per_variance(many, one, 1.0) - 1.0
    n = 50
    mean = (f[stop - 1] - f[stop - 1 - n]) / n
    one, many = 0.0, 0.0
    for t in range(stop - n, stop):
        away = f[t] - f[t - 1] - mean
        one += away * away
        if t > stop - n:
            many += away * (f[t - 1] - f[t - 2] - mean)
    out[at + 33] = _per_variance(many / n, one / n, 0.0)


@kernel
def _per_variance(a: float, variance: float, default: float) -> float:
    """Return ``a / variance``, or ``default`` where its root is 1e-12 or less."""
    if variance <= SMALL * SMALL:
        return default
    return a / variance


@kernel
def _delivery(
    f: Float64, i: Int64, open_: float, high: float, low: float, close: float, bar: int
) -> float:
    """Return column 35: the last change in state of delivery."""
    up = delivery_turn(f, _RUN_DOWN, i, _RUN_DOWN_I, open_, low, close)
    down = delivery_turn(f, _RUN_UP, i, _RUN_UP_I, -open_, -high, -close)
    side = int(up) - int(down) if up != down else int(np.sign(close - open_))
    if (up or down) and side != 0:
        i[_TURN_BAR] = bar
        i[_TURN_SIDE] = side
    return float(i[_TURN_SIDE] * np.exp((i[_TURN_BAR] - bar) / FADE_BARS))


@kernel
def _periods(
    ts: int, open_: float, high: float, low: float, f: Float64, i: Int64, n: Int64
) -> None:  # fmt: skip
    date = trading_date(wall_us(ts, n, n[ZONE_AT]), n)
    if date != i[_DATE]:
        _turn_periods(f, i, date, open_)
    _grow(f, _DAY_HIGH, high, low)
    _grow(f, _WEEK_HIGH, high, low)
    if n[INTRADAY] == 1 and ts < rth_open_us(date, n):
        _grow(f, _NIGHT_HIGH, high, low)


@kernel
def _step(
    ts: int, open_: float, high: float, low: float, close: float, volume: float,
    f: Float64, i: Int64, k: Float64, n: Int64, out: Float32, at: int,
) -> None:  # fmt: skip
    bar = i[_BAR]
    i[_BAR] = bar + 1
    for column in range(_N):
        out[at + column] = np.nan
    hs, ls = push(f, _HIGH, 100, bar, high), push(f, _LOW, 100, bar, low)
    true = true_range(high, low, f[_CLOSE])
    atr = wilder(f, _ATR, 14, true)
    _ranges(f, hs, ls, close, out, at)
    swing_high(f, _SWING_UP, i, _SWING_UP_I, f, hs, 1.0, close, bar)
    swing_high(f, _SWING_DOWN, i, _SWING_DOWN_I, f, ls, -1.0, close, bar)
    swing_columns(
        f, _SWING_UP, _SWING_DOWN, i, _SWING_UP_I, _SWING_DOWN_I, close, atr, bar, out, at + 5
    )
    _trend(f, hs, ls, true, out, at)
    _periods(ts, open_, high, low, f, i, n)
    _levels(f, i[_DATES], close, atr, out, at)
    _gaps(f, i, hs, ls, close, atr, out, at)
    away = abs(close - np.rint(close / k[0]) * k[0])
    out[at + 31] = min(guarded(away, atr, 0.0), 10.0)
    stop = push(f, _LOGS, 101, bar, np.log(close) if close > 0.0 else np.nan)
    _memory_of_returns(f, stop, out, at)
    out[at + 34] = _delivery(f, i, open_, high, low, close, bar)
    f[_CLOSE] = close
    for column in range(_N):
        if bar < n[n[EXTRA_AT] + column]:
            out[at + column] = np.nan


def round_step(instrument: Instrument) -> float:
    """Return the distance of round prices, in points: 100 ticks for most contracts."""
    return _ROUND_STEPS.get(instrument.symbol, _ROUND_TICKS * instrument.tick_size)


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    warmup = np.array([column.warmup_bars or 0 for column in COLUMNS], dtype=np.int64)
    f = fresh(_PLAIN, _END - _PLAIN)
    f[_CLOSE:_SWING_UP] = np.nan
    i = np.zeros(_END_I, dtype=np.int64)
    i[_DATE] = i[_WEEK] = NO_DAY
    i[_SWING_UP_I + SWING_I - 1] = i[_SWING_DOWN_I + SWING_I - 1] = -1  # no break yet
    return State(
        f=f,
        i=i,
        k=np.array([round_step(instrument)]),
        n=day_table(instrument, timeframe, warmup),
    )


STRUCTURE = Program(columns=COLUMNS, start=_start, step=_step)
