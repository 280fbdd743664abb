"""Sessions of the simulated market: the hours of a CME index future, by fixed rules.

The rules reproduce the Globex equity calendar for the years simulated, but need no
calendar library: the same seed gives the same stamps whatever is installed.
Holidays carry their New York rule (first Monday of September, …); each trading
date opens at 18:00 on the evening before and closes at 17:00, or earlier.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from ffm_core.types import Bool, Float64, Int32, Int64

FIRST_YEAR = 2022
SESSION_MINUTES = 23 * 60
ROLL_MONTHS = (3, 6, 9, 12)
MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}

_ZONE = ZoneInfo("America/New_York")
_OPEN = dt.time(18, 0)
_DAY = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NOON_MINUTES = 19 * 60  # close at 13:00 New York, counted from 18:00
_QUARTER_MINUTES = 19 * 60 + 15  # close at 13:15
_MORNING_MINUTES = 15 * 60 + 15  # close at 09:15
# The calendar library lists a short Good Friday session, until 09:15, from this year on.
_SHORT_GOOD_FRIDAY_FROM = 2023


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Bar opens of a simulated market; all arrays (T,) but ``days``.

    ``first`` marks the first bar of a session, ``hours_shut`` the hours closed
    before it (0 elsewhere), ``minute`` the minutes since 18:00, ``fraction`` the
    part of the bar inside the session (below 1 only at an early close), ``day``
    the trading date as days since 1970, ``contract`` a running number of the
    front contract and ``contract_names`` what the numbers stand for.
    """

    ts_us: Int64
    first: Bool
    hours_shut: Float64
    minute: Int64
    fraction: Float64
    day: Int32
    contract: Int32
    contract_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ts_us)


def session_minutes(day: dt.date) -> int:
    """Return how long the session of trading date ``day`` lasts; 0 when shut."""
    if day.weekday() >= 5 or day in _closures(day.year) or day in _closures(day.year + 1):
        return 0
    if day == _easter(day.year) - 2 * _DAY:
        return _MORNING_MINUTES if day.year >= _SHORT_GOOD_FRIDAY_FROM else 0
    if day in _noon_closes(day.year):
        return _NOON_MINUTES
    if day in _quarter_closes(day.year):
        return _QUARTER_MINUTES
    return SESSION_MINUTES


def grid(months: int, step_seconds: int) -> Grid:
    """Lay out the bar opens of ``months`` whole months from January of the first year.

    Parameters
    ----------
    months : int
        Calendar months of trading dates, at least 1.
    step_seconds : int
        Bar length; divides an hour.
    """
    begin = dt.date(FIRST_YEAR, 1, 1)
    end = dt.date(FIRST_YEAR + months // 12, months % 12 + 1, 1)
    parts, shut_from = [], None
    day = begin
    while day < end:
        minutes = session_minutes(day)
        if minutes:
            opened = _utc_us(day - _DAY)
            # The session before the first one is taken to have closed on a Friday.
            shut = 49.0 if shut_from is None else (opened - shut_from) / 3.6e9
            parts.append((day, opened, minutes, shut))
            shut_from = opened + minutes * 60_000_000
        day += _DAY
    return _expand(parts, step_seconds)


def _expand(parts: list[tuple[dt.date, int, int, float]], step_seconds: int) -> Grid:
    counts = np.array([-(-minutes * 60 // step_seconds) for _, _, minutes, _ in parts])
    starts = np.cumsum(counts) - counts
    total = int(counts.sum())
    offset = (np.arange(total) - np.repeat(starts, counts)) * step_seconds
    opened = np.array([opened for _, opened, _, _ in parts], dtype=np.int64)
    length = np.repeat([minutes * 60 for _, _, minutes, _ in parts], counts)
    first = np.zeros(total, dtype=np.bool_)
    first[starts] = True
    hours_shut = np.zeros(total)
    hours_shut[starts] = [shut for *_, shut in parts]
    days = np.array([(day - _EPOCH.date()).days for day, *_ in parts], dtype=np.int32)
    names = [_front_contract(day) for day, *_ in parts]
    order = tuple(dict.fromkeys(names))
    codes = np.array([order.index(name) for name in names], dtype=np.int32)
    return Grid(
        ts_us=np.repeat(opened, counts) + offset * 1_000_000,
        first=first,
        hours_shut=hours_shut,
        minute=offset // 60,
        fraction=np.minimum(length - offset, step_seconds) / step_seconds,
        day=np.repeat(days, counts),
        contract=np.repeat(codes, counts),
        contract_names=order,
    )


def _utc_us(evening: dt.date) -> int:
    """Microseconds UTC of 18:00 New York on the date ``evening``."""
    local = dt.datetime.combine(evening, _OPEN, tzinfo=_ZONE)
    return int((local - _EPOCH) / dt.timedelta(microseconds=1))


def _front_contract(day: dt.date) -> str:
    """Name the most traded quarterly contract; it changes 8 days before expiry's Friday."""
    year = day.year
    for month in ROLL_MONTHS:
        if day < _nth(year, month, 4, 3) - 8 * _DAY:
            return f"{MONTH_CODES[month]}{year % 100:02d}"
    return f"H{(year + 1) % 100:02d}"


def _nth(year: int, month: int, weekday: int, n: int) -> dt.date:
    """Return the ``n``-th ``weekday`` (Monday 0) of a month; ``n`` -1 is the last."""
    if n < 0:
        following = dt.date(year + month // 12, month % 12 + 1, 1)
        return following - ((following.weekday() - weekday - 1) % 7 + 1) * _DAY
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (n - 1)) * _DAY


def _observed(day: dt.date) -> dt.date:
    """Move a holiday off the weekend: Saturday to Friday, Sunday to Monday."""
    return day + {5: -1, 6: 1}.get(day.weekday(), 0) * _DAY


def _closures(year: int) -> frozenset[dt.date]:
    new_year = dt.date(year, 1, 1)
    # A New Year on a Saturday is not made up for: the old year's books close that Friday.
    new_year = new_year if new_year.weekday() == 5 else _observed(new_year)
    return frozenset({new_year, _observed(dt.date(year, 12, 25))})


def _noon_closes(year: int) -> frozenset[dt.date]:
    return frozenset({
        _nth(year, 1, 0, 3),  # Martin Luther King
        _nth(year, 2, 0, 3),  # Presidents
        _nth(year, 5, 0, -1),  # Memorial
        _observed(dt.date(year, 6, 19)),
        _observed(dt.date(year, 7, 4)),
        _nth(year, 9, 0, 1),  # Labor
        _nth(year, 11, 3, 4),  # Thanksgiving
    })  # fmt: skip


def _quarter_closes(year: int) -> frozenset[dt.date]:
    days = {_nth(year, 11, 3, 4) + _DAY}
    for month, day in ((7, 3), (12, 24)):
        eve = dt.date(year, month, day)
        if eve.weekday() < 4:  # a Friday eve keeps the holiday's own rule
            days.add(eve)
    return frozenset(days - _closures(year) - _noon_closes(year))


def _easter(year: int) -> dt.date:
    """Gregorian Easter Sunday (anonymous algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return dt.date(year, f // 31, f % 31 + 1)
