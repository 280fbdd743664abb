"""Trading date, regular hours and clock of a bar, from tables laid out before the first bar.

:func:`day_table` lays everything a calendar has to say about one instrument into
one int64 array; the kernels below search it. Batch and streaming therefore read
the very same calendar, and a step never asks a library. Tables cover 1990 to 2040;
what they would have to answer beyond is NaN.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
import polars as pl

from ffm_core.bars.calendar import schedule, trading_dates
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import minutes_of_day
from ffm_core.bars.sessions import session_length_us
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.clock import DAY_US, MINUTE_US, zone_table
from ffm_core.jit import kernel
from ffm_core.types import Int64
from ffm_features_qe150.expiry import FIRST_DAY, LAST_DAY

N_DAYS = LAST_DAY - FIRST_DAY + 1

# Cells of the head of a day table; those called …_AT hold where a table begins.
STEP = 0  # bar length, microseconds
INTRADAY = 1  # 1 below one day a bar
OPEN = 2  # session open, microseconds after local midnight
SHIFT = 3  # added to local time so that its date is the trading date
LENGTH = 4  # regular session, microseconds
WEEK = 5  # trading days of a week: 5, or 7 for markets that never close
ZONE_AT = 6
DATE_AT = 7
RTH_OPEN_AT = 8
RTH_CLOSE_AT = 9
EXTRA_AT = 10  # up to five tables of the program's own
_HEAD = 16

NO_DAY = -(1 << 40)  # a date before every date

# Calendars whose early close is that of regular hours, with extended hours behind it.
_CASH_CALENDARS = ("NYSE", "NASDAQ")
_EPOCH = dt.date(1970, 1, 1)


def day_table(instrument: Instrument, timeframe: Timeframe, *extra: Int64) -> Int64:
    """Lay out an instrument's calendar for kernels.

    Parameters
    ----------
    instrument : Instrument
        Its calendar, zones, session and regular hours.
    timeframe : Timeframe
        Bar length.
    *extra : int64 arrays
        Tables of the program's own; the first begins at ``n[EXTRA_AT]``, the next
        at ``n[EXTRA_AT + 1]``, …

    Returns
    -------
    int64
        A head of 16 cells, then the tables.
    """
    always = instrument.calendar == "24/7"
    zone = "UTC" if always else instrument.timezone
    opens = 0 if always else minutes_of_day(instrument.session_open)
    evening = not always and opens >= minutes_of_day(instrument.session_close)
    head = np.zeros(_HEAD, dtype=np.int64)
    head[STEP] = timeframe.us
    head[INTRADAY] = timeframe.us < DAY_US
    head[OPEN] = opens * MINUTE_US
    head[SHIFT] = (1440 - opens) * MINUTE_US if evening else 0
    head[LENGTH] = DAY_US if always else session_length_us(instrument)
    head[WEEK] = 7 if always else 5
    tables = (zone_table(zone), *_dates(instrument), *extra)
    at = _HEAD + np.cumsum([0, *(len(table) for table in tables)])
    head[ZONE_AT : ZONE_AT + len(tables)] = at[:-1]
    return np.concatenate((head, *tables))


@lru_cache(maxsize=64)
def _dates(instrument: Instrument) -> tuple[Int64, Int64, Int64]:
    """Trading date of each local date, and regular hours (UTC) of each trading date."""
    table = schedule(instrument, FIRST_DAY * DAY_US, LAST_DAY * DAY_US)
    days = table.days.astype(np.int64)
    every = np.arange(FIRST_DAY, LAST_DAY + 1)
    # A date without a session counts to the next one, as in sessions.trading_days.
    date = days[np.minimum(np.searchsorted(days, every), len(days) - 1)]
    zone = instrument.rth_timezone or instrument.timezone
    opens, closes = minutes_of_day(instrument.rth_open), minutes_of_day(instrument.rth_close)
    closes += 1440 if closes <= opens else 0
    begin = _to_utc(days * DAY_US + opens * MINUTE_US, zone)
    early = _early_minutes(instrument, days)
    end = _to_utc(days * DAY_US + (closes - early) * MINUTE_US, zone)
    end = np.minimum(end, table.close_us)
    inside = (days >= FIRST_DAY) & (days <= LAST_DAY)
    hours = np.zeros((2, N_DAYS), dtype=np.int64)
    hours[0, days[inside] - FIRST_DAY] = begin[inside]
    # A session that ends before the regular open has regular hours of no length.
    hours[1, days[inside] - FIRST_DAY] = np.maximum(begin, end)[inside]
    return date, hours[0], hours[1]


def _early_minutes(instrument: Instrument, days: Int64) -> Int64:
    """Return how much earlier regular hours end, apart from the end of the session."""
    if instrument.calendar not in _CASH_CALENDARS:
        return np.zeros(len(days), dtype=np.int64)
    first, last = (_EPOCH + dt.timedelta(days=int(day)) for day in (days[0], days[-1]))
    return trading_dates(instrument.calendar, first, last)[1].astype(np.int64)


def _to_utc(wall: Int64, zone: str) -> Int64:
    naive = pl.Series(wall).cast(pl.Datetime("us"))
    aware = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = naive.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest")
    return aware.fill_null(later).dt.timestamp("us").to_numpy().astype(np.int64)


@kernel
def trading_date(local_us: int, n: Int64) -> int:
    """Return the trading date, days since 1970, of a bar that opens at local time."""
    day = (local_us + n[SHIFT]) // DAY_US
    if FIRST_DAY <= day <= LAST_DAY:
        return int(n[n[DATE_AT] + day - FIRST_DAY])
    return int(day)


@kernel
def since_open_us(local_us: int, n: Int64) -> int:
    """Return microseconds from the session's open by the clock, 0 to below a day."""
    return int((local_us - n[OPEN]) % DAY_US)


@kernel
def rth_open_us(date: int, n: Int64) -> int:
    """Return when the date's regular hours begin, microseconds UTC; 0 where unknown."""
    if FIRST_DAY <= date <= LAST_DAY:
        return int(n[n[RTH_OPEN_AT] + date - FIRST_DAY])
    return 0


@kernel
def rth_close_us(date: int, n: Int64) -> int:
    """Return when the date's regular hours end, early closes included; 0 where unknown."""
    if FIRST_DAY <= date <= LAST_DAY:
        return int(n[n[RTH_CLOSE_AT] + date - FIRST_DAY])
    return 0
