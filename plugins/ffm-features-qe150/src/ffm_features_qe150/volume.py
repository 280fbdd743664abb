"""Volume of ``qe150``: pace, money flow, volume-weighted prices, times of day.

Where a column's window holds no volume at all the column is NaN: that says the
source has none. Only the volume-weighted prices outlast a short run of bars
without volume; they fall back on plain means of the typical price.
"""

from __future__ import annotations

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.clock import DAY_US, wall_us
from ffm_core.features.steps import Program, State
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.days import (
    EXTRA_AT,
    INTRADAY,
    NO_DAY,
    STEP,
    ZONE_AT,
    day_table,
    since_open_us,
    trading_date,
)
from ffm_features_qe150.rings import (
    SMALL,
    SMOOTHER,
    clip,
    ema,
    fresh,
    guarded,
    log_ratio,
    push,
    true_range,
    wilder,
    window_mean,
    window_rank,
    window_sd,
    window_sum,
)
from ffm_features_qe150.volume_columns import COLUMNS, QUIET_BARS

DAYS = 20  # trading dates that times of day are compared with
_N = len(COLUMNS)
_ROWS = DAYS + 1  # those and the current one

# Rings: first cell of each, its size behind it.
_VOLUME = 0  # 100
_CLOSE = _VOLUME + 2 * 100  # 2
_MONEY = _CLOSE + 2 * 2  # 25: TP·V
_TYPICAL = _MONEY + 2 * 25  # 25
_PLACED = _TYPICAL + 2 * 25  # 20: clv·V
_LOG = _PLACED + 2 * 20  # 20: ln(1 + V)
_SIDED = _LOG + 2 * 20  # 20: sign(C − C[1])·V
_RISEN = _SIDED + 2 * 20  # 20: V of rising bars
_RETURN = _RISEN + 2 * 20  # 20
_CHANGE = _RETURN + 2 * 20  # 20: change of ln(1 + V)
_IMPACT = _CHANGE + 2 * 20  # 20: |r| per money
_GAIN = _IMPACT + 2 * 20  # 14: money flow up
_LOSS = _GAIN + 2 * 14  # 14: money flow down
_EASE = _LOSS + 2 * 14  # 14
_MIDDLE = _EASE + 2 * 14  # 2
_DAY_SUMS = _MIDDLE + 2 * 2  # 20
_PLAIN = _DAY_SUMS + 2 * DAYS
_ATR = _PLAIN
_FORCE = _ATR + SMOOTHER
_DAY_MONEY = _FORCE + SMOOTHER  # of the trading date so far
_DAY_VOLUME = _DAY_MONEY + 1
_SLOTS = _DAY_VOLUME + 1  # volume by time of session and date: rows of _ROWS dates

# Cells of the integer state.
_BAR, _DATE, _DATES, _ROW, _QUIET = range(5)
_NEVER = 1 << 40
_WARMUP = EXTRA_AT


@kernel
def _pace(f: Float64, bar: int, stop: int, out: Float32, at: int) -> float:
    """Write columns 1 to 7; return the relative volume of 20 bars."""
    volume = f[stop - 1]
    for j, n in enumerate((10, 20, 50)):
        out[at + j] = min(_per_mean(f, stop, n), 20.0)
    relative = min(_per_mean(f, stop, 20), 20.0)
    some20 = _some(f, stop, 20)
    end = push(f, _LOG, 20, bar, np.log(1.0 + volume))
    mean = window_mean(f, end, 20)
    out[at + 3] = some20 * guarded(f[end - 1] - mean, window_sd(f, end, 20, mean), 0.0)
    now, before = window_sum(f, stop, 5), window_sum(f, stop - 5, 5)
    ratio = guarded(now, before, 1.0)
    out[at + 4] = _some(f, stop, 10) * (0.0 if ratio <= 0.0 else np.log(ratio))
    out[at + 5] = some20 * guarded(now / 5.0, window_mean(f, stop, 20), 1.0)
    out[at + 6] = _some(f, stop, 100) * window_rank(f, stop, 100)
    return relative


@kernel
def _some(f: Float64, stop: int, n: int) -> float:
    """Return 1 where the last ``n`` volumes are not all zero, else NaN."""
    total = window_sum(f, stop, n)
    return 1.0 if total > SMALL else np.nan


@kernel
def _per_mean(f: Float64, stop: int, n: int) -> float:
    return guarded(f[stop - 1], window_mean(f, stop, n), np.nan)


@kernel
def _flows(
    f: Float64, bar: int, stop: int, high: float, low: float, close: float, atr: float,
    out: Float32, at: int,
) -> None:  # fmt: skip
    """Write columns 8 to 11, 15 and 17: on-balance volume, money flows, force."""
    volume = f[stop - 1]
    before = f[_close_stop(bar) - 2]
    rise = close - before
    total = window_sum(f, stop, 20)
    some20 = _some(f, stop, 20)
    clv = guarded((close - low) - (high - close), high - low, 0.0)
    end = push(f, _PLACED, 20, bar, clv * volume)
    out[at + 8] = some20 * guarded(window_sum(f, end, 20), total, 0.0)
    out[at + 16] = _some(f, stop, 10) * guarded(
        window_sum(f, end, 10), window_sum(f, stop, 10), 0.0
    )
    sided = np.nan if rise != rise else np.sign(rise) * volume
    end = push(f, _SIDED, 20, bar, sided)
    out[at + 7] = some20 * guarded(window_sum(f, end, 20), total, 0.0)
    force = ema(f, _FORCE, 13, rise * volume)
    out[at + 10] = some20 * guarded(force, atr * window_mean(f, stop, 20), 0.0)
    r = log_ratio(close, before)
    end = push(f, _RISEN, 20, bar, r if r != r else (volume if r > 0.0 else 0.0))
    out[at + 14] = some20 * guarded(window_sum(f, end, 20), total, 0.5)


@kernel
def _close_stop(bar: int) -> int:
    """Return the stop of the closes' windows, as :func:`push` gave it for this bar."""
    return _CLOSE + bar % 2 + 3


@kernel
def _money_flow(f: Float64, bar: int, stop: int, typical_stop: int, out: Float32, at: int) -> None:
    """Write column 10: the money flow index."""
    typical, before = f[typical_stop - 1], f[typical_stop - 2]
    flow = typical * f[stop - 1] if typical > 0.0 and before > 0.0 else np.nan
    gain = push(f, _GAIN, 14, bar, flow if typical > before else 0.0 * flow)
    loss = push(f, _LOSS, 14, bar, flow if typical < before else 0.0 * flow)
    up = window_sum(f, gain, 14)
    value = guarded(up, up + window_sum(f, loss, 14), 0.5)
    out[at + 9] = _some(f, stop, 14) * value


@kernel
def _weighted(f: Float64, money_stop: int, typical_stop: int, volume_stop: int) -> float:
    """Return the volume-weighted mean price of 20 bars, the plain mean without volume."""
    plain = window_mean(f, typical_stop, 20)
    return guarded(window_sum(f, money_stop, 20), window_sum(f, volume_stop, 20), plain)


@kernel
def _prices(
    f: Float64, i: Int64, bar: int, stop: int, typical: float, close: float, atr: float,
    out: Float32, at: int,
) -> None:  # fmt: skip
    """Write columns 12 to 14: distances to volume-weighted prices and their slope."""
    volume = f[stop - 1]
    money_stop = push(f, _MONEY, 25, bar, typical * volume)
    typical_stop = push(f, _TYPICAL, 25, bar, typical)
    _money_flow(f, bar, stop, typical_stop, out, at)
    f[_DAY_MONEY] += typical * volume
    f[_DAY_VOLUME] += volume
    i[_QUIET] = i[_QUIET] + 1 if volume <= 0.0 else 0
    if i[_QUIET] >= QUIET_BARS:
        return
    now = _weighted(f, money_stop, typical_stop, stop)
    before = _weighted(f, money_stop - 5, typical_stop - 5, stop - 5)
    session = guarded(f[_DAY_MONEY], f[_DAY_VOLUME], typical)
    out[at + 11] = guarded(close - now, atr, 0.0)
    out[at + 12] = guarded(close - session, atr, 0.0)
    out[at + 13] = guarded(now - before, 5.0 * atr, 0.0)


@kernel
def _correlation(f: Float64, a: int, b: int, n: int) -> float:
    """Return the correlation of two windows that stop at ``a`` and ``b``; 0 for a constant."""
    mean_a, mean_b = window_mean(f, a, n), window_mean(f, b, n)
    sd_a, sd_b = window_sd(f, a, n, mean_a), window_sd(f, b, n, mean_b)
    total = 0.0
    for j in range(1, n + 1):
        total += (f[a - j] - mean_a) * (f[b - j] - mean_b)
    if sd_a <= SMALL or sd_b <= SMALL:
        return total * 0.0
    return clip(total / (n - 1) / sd_a / sd_b, -1.0, 1.0)


@kernel
def _returns(
    f: Float64, bar: int, stop: int, close: float, point_value: float, out: Float32, at: int
) -> None:
    """Write columns 18 and 22: correlation of price and volume, price move per money."""
    volume = f[stop - 1]
    r = log_ratio(close, f[_close_stop(bar) - 2])
    change = np.log(1.0 + volume) - np.log(1.0 + f[stop - 2])
    a, b = push(f, _RETURN, 20, bar, r), push(f, _CHANGE, 20, bar, change)
    out[at + 17] = _some(f, stop, 21) * _correlation(f, a, b, 20)
    end = push(f, _IMPACT, 20, bar, guarded(abs(r), volume * close * point_value, np.nan))
    total, count = 0.0, 0
    for t in range(end - 20, end):
        if f[t] == f[t]:
            total += f[t]
            count += 1
    if count > 0:
        out[at + 21] = np.log(1.0 + 1e9 * (total / count))


@kernel
def _states(
    f: Float64, bar: int, stop: int, high: float, low: float, body: float, relative: float,
    atr: float, out: Float32, at: int,
) -> None:  # fmt: skip
    """Write columns 16, 19 to 21 and 25: signed volume, absorption, climax, dryness, ease."""
    volume, spread = f[stop - 1], high - low
    out[at + 15] = np.sign(body) * relative
    wide = guarded(spread, atr, 0.0)
    out[at + 18] = min(guarded(relative, max(wide, 0.05), 0.0), 10.0)
    if relative == relative:
        mean = window_mean(f, stop, 20)
        out[at + 19] = 1.0 if volume > 2.5 * mean and spread > 1.5 * atr else 0.0
        out[at + 20] = 1.0 if volume < 0.5 * mean else 0.0
    middle = (high + low) / 2.0
    end = push(f, _MIDDLE, 2, bar, middle)
    move = guarded(middle - f[end - 2], atr, 0.0) * wide
    ease = relative * 0.0 + guarded(move, relative, 0.0)
    out[at + 24] = window_mean(f, push(f, _EASE, 14, bar, ease), 14)


@kernel
def _times(f: Float64, i: Int64, n: Int64, local: int, volume: float, out: Float32,
           at: int) -> None:  # fmt: skip
    """Write columns 23 and 24: the same time of 20 dates, part of a date's volume."""
    cell = _SLOTS + since_open_us(local, n) // n[STEP] * _ROWS
    row = i[_ROW]
    f[cell + row] = volume
    if i[_DATES] <= DAYS:
        return
    total, count = 0.0, 0
    for j in range(1, _ROWS):  # oldest first, wherever it stands in the ring
        past = f[cell + (row + j) % _ROWS]
        if past == past:
            total += past
            count += 1
    if count > 0 and total + volume > SMALL:
        out[at + 22] = min(guarded(volume, total / count, 1.0), 20.0)
    stop = _DAY_SUMS + (i[_DATES] - 2) % DAYS + DAYS + 1
    out[at + 23] = guarded(f[_DAY_VOLUME], window_mean(f, stop, DAYS), np.nan)


@kernel
def _turn_date(f: Float64, i: Int64, date: int) -> None:
    """Begin another trading date; ``i[_DATES]`` counts it in."""
    if i[_DATES] > 0:
        push(f, _DAY_SUMS, DAYS, i[_DATES] - 1, f[_DAY_VOLUME])
    i[_DATES] += 1
    i[_DATE] = date
    i[_ROW] = (i[_ROW] + 1) % _ROWS
    f[_DAY_MONEY] = 0.0
    f[_DAY_VOLUME] = 0.0
    for cell in range(_SLOTS + i[_ROW], len(f), _ROWS):
        f[cell] = np.nan


@kernel
def _step(
    ts: int, open_: float, high: float, low: float, close: float, volume: float,
    f: Float64, i: Int64, k: Float64, n: Int64, out: Float32, at: int,
) -> None:  # fmt: skip
    bar = i[_BAR]
    i[_BAR] = bar + 1
    for column in range(_N):
        out[at + column] = np.nan
    local = wall_us(ts, n, n[ZONE_AT])
    date = trading_date(local, n)
    if date != i[_DATE]:
        _turn_date(f, i, date)
    stop = push(f, _VOLUME, 100, bar, volume)
    before = f[push(f, _CLOSE, 2, bar, close) - 2]
    atr = wilder(f, _ATR, 14, true_range(high, low, before))
    relative = _pace(f, bar, stop, out, at)
    _flows(f, bar, stop, high, low, close, atr, out, at)
    _prices(f, i, bar, stop, (high + low + close) / 3.0, close, atr, out, at)
    _returns(f, bar, stop, close, k[0], out, at)
    _states(f, bar, stop, high, low, close - open_, relative, atr, out, at)
    if n[INTRADAY] == 1:
        _times(f, i, n, local, volume, out, at)
    else:
        out[at + 12] = np.nan
    for column in range(_N):
        if bar < n[n[_WARMUP] + column]:
            out[at + column] = np.nan


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    warmup = np.array([column.warmup_bars or 0 for column in COLUMNS], dtype=np.int64)
    slots = -(-DAY_US // timeframe.us) if timeframe.us < DAY_US else 0
    f = np.concatenate((fresh(_PLAIN, _SLOTS - _PLAIN), np.full(slots * _ROWS, np.nan)))
    i = np.zeros(5, dtype=np.int64)
    i[_DATE] = NO_DAY
    i[_QUIET] = _NEVER
    return State(
        f=f,
        i=i,
        k=np.array([instrument.point_value]),
        n=day_table(instrument, timeframe, warmup),
    )


VOLUME = Program(columns=COLUMNS, start=_start, step=_step)
