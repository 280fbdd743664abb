"""Trading calendars: which days trade, when each session opens and closes.

Days and special closes come from pandas_market_calendars, one calendar per
product class, because holidays of gold and of the S&P future differ. What that
library has wrong is mended by ``calendar_overrides.toml``, whose rows cite the
exchange's notice. ``24/7`` and ``24/5`` need no library.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import minutes_of_day
from ffm_core.errors import ContractError
from ffm_core.types import Int32, Int64

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Sessions of one instrument in order; all arrays (D,).

    Parameters
    ----------
    days : int32 (D,)
        Trading date, days since 1970.
    open_us, close_us : int64 (D,)
        Session open and scheduled close, microseconds since 1970 UTC.
    """

    days: Int32
    open_us: Int64
    close_us: Int64


def schedule(instrument: Instrument, first_us: int, last_us: int) -> Schedule:
    """Return the sessions around a span of time, at least two weeks beyond it.

    Parameters
    ----------
    instrument : Instrument
        Its ``calendar``, ``timezone`` and session times are used.
    first_us, last_us : int
        Microseconds since 1970 UTC.

    Raises
    ------
    ContractError
        When the calendar's name is unknown.
    """
    margin = timedelta(days=20)
    first = _EPOCH + timedelta(microseconds=int(first_us)) - margin
    last = _EPOCH + timedelta(microseconds=int(last_us)) + margin
    return _schedule(
        instrument.calendar,
        instrument.timezone,
        instrument.session_open,
        instrument.session_close,
        first.year,
        last.year,
    )


@lru_cache(maxsize=64)
def _schedule(
    calendar: str, zone: str, opens: str, closes: str, first_year: int, last_year: int
) -> Schedule:
    first, last = date(first_year, 1, 1), date(last_year, 12, 31)
    days, early = trading_dates(calendar, first, last)
    wall = days.astype(np.int64) * DAY_US
    open_minute, close_minute = minutes_of_day(opens), minutes_of_day(closes)
    if calendar != "24/7" and open_minute >= close_minute:
        open_minute -= 1440  # the session starts on the evening before its date
    if calendar == "24/7":
        close_minute = open_minute + 1440
    shut = wall + (close_minute - early.astype(np.int64)) * MINUTE_US
    return _freeze(days, _to_utc(wall + open_minute * MINUTE_US, zone), _to_utc(shut, zone))


def _freeze(days: Int32, opens: Int64, closes: Int64) -> Schedule:
    for values in (days, opens, closes):
        values.setflags(write=False)
    return Schedule(days, opens, closes)


def _to_utc(wall_us: Int64, zone: str) -> Int64:
    # A session edge inside a clock change takes the earlier of two readings; a
    # missing one (24-hour markets only) moves on to the next valid minute.
    naive = pl.Series(wall_us).cast(pl.Datetime("us"))
    aware = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = naive.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest")
    stamps = aware.fill_null(later).dt.timestamp("us").to_numpy()
    return np.ascontiguousarray(stamps, dtype=np.int64)


@lru_cache(maxsize=64)
def zone_changes(zone: str, first_day: int, last_day: int) -> tuple[Int64, Int64]:
    """Return when a zone's offset from UTC changes, and the offsets.

    Parameters
    ----------
    zone : str
        IANA name.
    first_day, last_day : int
        UTC days since 1970, both included.

    Returns
    -------
    changes : int64 (C,)
        First microsecond, UTC, of each new offset; exact to the minute.
    offsets : int64 (C+1,)
        Local minus UTC, microseconds: before the first change, after it, …
    """
    days = np.arange(first_day, last_day + 2, dtype=np.int64) * DAY_US
    daily = _offsets(days, zone)
    changes: list[int] = []
    values = [int(daily[0])]
    for index in np.flatnonzero(np.diff(daily)):
        minutes = days[index] + np.arange(1441, dtype=np.int64) * MINUTE_US
        fine = _offsets(minutes, zone)
        for at in np.flatnonzero(np.diff(fine)) + 1:
            changes.append(int(minutes[at]))
            values.append(int(fine[at]))
    return np.array(changes, dtype=np.int64), np.array(values, dtype=np.int64)


def _offsets(stamps: Int64, zone: str) -> Int64:
    aware = pl.Series(stamps).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    local = aware.dt.replace_time_zone(None).dt.timestamp("us").to_numpy()
    return np.asarray(local - stamps, dtype=np.int64)


@lru_cache(maxsize=64)
def trading_dates(calendar: str, first: date, last: date) -> tuple[Int32, Int32]:
    """Return the trading dates of a calendar and how early each closes.

    Returns
    -------
    days : int32 (D,)
        Days since 1970, from ``first`` to ``last`` inclusive.
    early : int32 (D,)
        Minutes by which the scheduled close lies before the regular one.
    """
    start, stop = (first - _EPOCH).days, (last - _EPOCH).days
    if calendar in ("24/7", "24/5"):
        days = np.arange(start, stop + 1, dtype=np.int32)
        if calendar == "24/5":
            days = days[((days + 3) % 7) < 5]  # 1970-01-01 was a Thursday
        return days, np.zeros(len(days), dtype=np.int32)
    table, usual = _library_dates(calendar, first, last)
    for day, row in _overrides(calendar, first, last):
        _apply(table, day, row, usual)
    days = np.array(sorted(table), dtype=np.int32)
    return days, np.array([table[int(day)] for day in days], dtype=np.int32)


def _library_dates(calendar: str, first: date, last: date) -> tuple[dict[int, int], int]:
    import pandas_market_calendars as markets

    if calendar not in markets.get_calendar_names():
        raise ContractError(
            f"unknown trading calendar {calendar!r}",
            fix="use 24/7, 24/5 or a calendar name of pandas_market_calendars",
        )
    market = markets.get_calendar(calendar)
    table = market.schedule(first.isoformat(), last.isoformat(), tz=market.tz)
    regular = market.regular_market_times["market_close"][-1][1]
    days = table.index.values.astype("datetime64[D]").astype(np.int64)
    closes = [close.hour * 60 + close.minute for close in table["market_close"]]
    usual = regular.hour * 60 + regular.minute
    early = {int(day): max(usual - close, 0) for day, close in zip(days, closes, strict=True)}
    return early, usual


@lru_cache(maxsize=1)
def override_rows() -> tuple[dict[str, Any], ...]:
    """Return the rows of the override table, each with its source."""
    text = resources.files("ffm_core.bars").joinpath("calendar_overrides.toml").read_text("utf-8")
    content = tomllib.loads(text)
    return (*content["every"], *content["date"])


def _overrides(calendar: str, first: date, last: date) -> Iterator[tuple[date, dict[str, Any]]]:
    for row in override_rows():
        if calendar not in row["calendars"]:
            continue
        if "date" in row:
            days = [row["date"]]
        else:
            years = range(first.year, last.year + 1)
            days = [date.fromisoformat(f"{year}-{row['month_day']}") for year in years]
        yield from ((day, row) for day in days if first <= day <= last)


def _apply(table: dict[int, int], day: date, row: dict[str, Any], usual: int) -> None:
    number = (day - _EPOCH).days
    if row.get("closed"):
        table.pop(number, None)
    elif not row.get("open"):
        table[number] = usual - minutes_of_day(row["close"])
    elif day.weekday() < 5:
        table[number] = 0
