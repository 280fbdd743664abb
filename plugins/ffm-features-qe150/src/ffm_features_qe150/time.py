"""Time features: clock, date, regular hours, expiry. Prices play no part.

All describe the bar's **open** in the instrument's own calendar; what they say was
known long before the bar closed.
"""

from __future__ import annotations

import math

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.clock import DAY_US, HOUR_US, MINUTE_US, wall_us, zone_table
from ffm_core.features.steps import Program, State
from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.days import (
    EXTRA_AT,
    INTRADAY,
    LENGTH,
    NO_DAY,
    STEP,
    WEEK,
    ZONE_AT,
    day_table,
    rth_close_us,
    rth_open_us,
    since_open_us,
    trading_date,
)
from ffm_features_qe150.expiry import FIRST_DAY, LAST_DAY, days_to_last_trade, month_end
from ffm_features_qe150.time_columns import COLUMNS

_N = len(COLUMNS)
_TURN = 2.0 * math.pi
_NEW_YORK, _EXPIRY, _MONTH_END = EXTRA_AT, EXTRA_AT + 1, EXTRA_AT + 2
_FULL_EXPIRY = 66.0  # business days that count as far away: a quarter
_ROLL_DAYS = 8
_MOST_FRACTION = 1.2

# Cells of the integer state.
_STARTED, _LAST_TS, _DATE, _BARS = range(4)


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    tables = (
        zone_table("America/New_York"),
        days_to_last_trade(instrument),
        month_end(instrument),
    )
    i = np.zeros(4, dtype=np.int64)
    i[_DATE] = NO_DAY
    return State(
        f=np.zeros(1), i=i, k=np.zeros(1), n=day_table(instrument, timeframe, *tables)
    )  # fmt: skip


@kernel
def _step(
    ts: int, open_: float, high: float, low: float, close: float, volume: float,
    f: Float64, i: Int64, k: Float64, n: Int64, out: Float32, at: int,
) -> None:  # fmt: skip
    for column in range(_N):
        out[at + column] = np.nan
    local = wall_us(ts, n, n[ZONE_AT])
    date = trading_date(local, n)
    _calendar(date, n, out, at)
    _expiry(date, n, out, at)
    if i[_STARTED] == 1:
        gap = max(ts - i[_LAST_TS] - n[STEP], 0)
        out[at + 18] = np.log(1.0 + gap / MINUTE_US)
    if date != i[_DATE]:
        i[_DATE] = date
        i[_BARS] = 0
    i[_BARS] += 1
    i[_STARTED] = 1
    i[_LAST_TS] = ts
    if n[INTRADAY] == 1:
        angle = _TURN * since_open_us(local, n) / DAY_US
        out[at] = np.sin(angle)
        out[at + 1] = np.cos(angle)
        _regular_hours(ts, date, n, out, at)
        _world(ts, n, out, at)
        out[at + 19] = min(i[_BARS] * n[STEP] / n[LENGTH], _MOST_FRACTION)


@kernel
def _calendar(date: int, n: Int64, out: Float32, at: int) -> None:
    weekday = (date + 3) % 7  # 1970-01-01 was a Thursday
    angle = _TURN * weekday / n[WEEK]
    out[at + 2] = np.sin(angle)
    out[at + 3] = np.cos(angle)
    month, day = _month_and_day(date)
    out[at + 4] = (day - 1) / 30.0
    angle = _TURN * (month - 1) / 12.0
    out[at + 5] = np.sin(angle)
    out[at + 6] = np.cos(angle)


@kernel
def _month_and_day(date: int) -> tuple[int, int]:
    """Gregorian month and day of a date, by eras of 400 years that begin in March."""
    of_era = (date + 719_468) % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    return (shifted + 3 if shifted < 10 else shifted - 9), day


@kernel
def _expiry(date: int, n: Int64, out: Float32, at: int) -> None:
    if not FIRST_DAY <= date <= LAST_DAY:
        return
    row = date - FIRST_DAY
    left = n[n[_EXPIRY] + row]
    if left >= 0:
        out[at + 15] = min(left / _FULL_EXPIRY, 1.0)
        out[at + 16] = 1.0 if left <= _ROLL_DAYS else 0.0
    out[at + 17] = n[n[_MONTH_END] + row]


@kernel
def _regular_hours(ts: int, date: int, n: Int64, out: Float32, at: int) -> None:
    opens, closes = rth_open_us(date, n), rth_close_us(date, n)
    if opens == 0:
        return
    inside = opens <= ts < closes
    length = max(closes - opens, 1)
    out[at + 7] = 1.0 if inside else 0.0
    out[at + 8] = min(max((ts - opens) / length, 0.0), 1.0)
    out[at + 9] = (closes - ts) / length if inside else 0.0
    out[at + 13] = 1.0 if inside and ts - opens < HOUR_US else 0.0
    out[at + 14] = 1.0 if inside and closes - ts <= HOUR_US else 0.0


@kernel
def _world(ts: int, n: Int64, out: Float32, at: int) -> None:
    minute = wall_us(ts, n, n[_NEW_YORK]) % DAY_US // MINUTE_US
    out[at + 10] = 1.0 if minute >= 1080 or minute < 180 else 0.0
    out[at + 11] = 1.0 if 180 <= minute < 570 else 0.0
    out[at + 12] = 1.0 if 570 <= minute < 1020 else 0.0


TIME = Program(columns=COLUMNS, start=_start, step=_step)
