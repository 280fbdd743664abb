"""Last trading days and business days of futures, by the exchanges' public rules.

A continuous series does not say which contract it holds, so the rule of the
product and its month cycle stand in: the next last trading day on or after a date.
Business days of CME Group are weekdays without the U.S. exchange holidays, because
contract rules count those and not the short sessions Globex holds on them.
Unscheduled closings (storms, days of mourning) are not in the rules; a last trading
day near one may be off by a day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from ffm_core.bars.calendar import trading_dates
from ffm_core.bars.instrument import Instrument
from ffm_core.types import Bool, Int64

FIRST_DAY = 7_305  # 1990-01-01, days since 1970
LAST_DAY = 25_932  # 2040-12-31
MONTH_CODES = "FGHJKMNQUVXZ"
MONTH_END_DAYS = 3

_EPOCH = dt.date(1970, 1, 1)
_DAY = dt.timedelta(days=1)
# Tables reach a few weeks further, so that the days at both ends have neighbours.
_FROM, _TO = dt.date(1989, 11, 1), dt.date(2041, 4, 30)
_RULED = ("CME", "CBOT", "NYMEX", "COMEX", "SIMULATED")

_FRIDAY, _WEDNESDAY, _MONDAY, _THURSDAY = 4, 2, 0, 3

# (year, month of the contract, business days) -> last trading day, days since 1970
Rule = Callable[[int, int, Int64], int]


def rule_of(instrument: Instrument) -> Rule | None:
    """Return the last-trade rule of a product, or None where none is known."""
    if not instrument.months:
        return None
    return _BY_SYMBOL.get(instrument.symbol) or _BY_GROUP.get(instrument.group)


def last_trade_days(instrument: Instrument) -> Int64:
    """Return the last trading days of every contract of the month cycle.

    Returns
    -------
    int64 (E,)
        Days since 1970 in order, 1990 to 2040 and the first expiries around it;
        empty for instruments that do not roll or whose rule is unknown.
    """
    rule = rule_of(instrument)
    if rule is None:
        return np.empty(0, dtype=np.int64)
    days = np.flatnonzero(business_days(instrument)) + _number(_FROM)
    months = sorted(MONTH_CODES.index(code) + 1 for code in instrument.months)
    found = [rule(year, month, days) for year in range(1990, 2042) for month in months
             if (year, month) <= (2041, 3)]  # fmt: skip
    return np.array(found, dtype=np.int64)


def business_days(instrument: Instrument) -> Bool:
    """Mark the business days from 1989-11-01 on, one entry per calendar day."""
    if instrument.exchange in _RULED:
        return _ruled_days()
    return _exchange_days(instrument.calendar)


@lru_cache(maxsize=64)
def days_to_last_trade(instrument: Instrument) -> Int64:
    """Return the business days left to the next last trading day, per date.

    Returns
    -------
    int64 (D,)
        One entry per day from 1990-01-01 to 2040-12-31: business days after the
        date up to and including the last trading day, 0 on that day itself; −1
        where there is none.
    """
    every = np.arange(FIRST_DAY, LAST_DAY + 1)
    last = last_trade_days(instrument)
    if len(last) == 0:
        return np.full(len(every), -1, dtype=np.int64)
    passed = np.cumsum(business_days(instrument), dtype=np.int64)
    following = np.searchsorted(last, every)
    ends = last[np.minimum(following, len(last) - 1)]
    left = np.asarray(passed[ends - _number(_FROM)] - passed[every - _number(_FROM)])
    return np.where(following < len(last), left, -1).astype(np.int64)


@lru_cache(maxsize=64)
def month_end(instrument: Instrument) -> Int64:
    """Mark the last three business days of each month, one entry per date from 1990 on.

    A date that is no business day (a short holiday session) counts to the next one.
    """
    origin = _number(_FROM)
    days = np.flatnonzero(business_days(instrument)) + origin
    months = (_EPOCH_DAY + days).astype("datetime64[M]").astype(np.int64)
    # Place of each business day counted from its month's last one.
    ends = np.searchsorted(months, months, side="right")
    left = np.asarray(ends - np.arange(len(days)), dtype=np.int64)
    every = np.arange(FIRST_DAY, LAST_DAY + 1)
    return (left[np.searchsorted(days, every)] <= MONTH_END_DAYS).astype(np.int64)


_EPOCH_DAY = np.datetime64("1970-01-01", "D")


@lru_cache(maxsize=1)
def _ruled_days() -> Bool:
    every = np.arange(_number(_FROM), _number(_TO) + 1)
    shut = {_number(day) for year in range(1989, 2043) for day in _us_holidays(year)}
    marks = ((every + 3) % 7 < 5) & ~np.isin(every, sorted(shut))  # 1970-01-01: a Thursday
    marks.setflags(write=False)
    return marks


@lru_cache(maxsize=16)
def _exchange_days(calendar: str) -> Bool:
    days, _ = trading_dates(calendar, _FROM, _TO)
    marks = np.zeros(_number(_TO) - _number(_FROM) + 1, dtype=np.bool_)
    marks[days.astype(np.int64) - _number(_FROM)] = True
    marks.setflags(write=False)
    return marks


def _us_holidays(year: int) -> Iterator[dt.date]:
    """Full holidays of the U.S. exchanges in the form of today's rules."""
    if dt.date(year, 1, 1).weekday() != 5:  # on a Saturday it is not made up for
        yield _observed(dt.date(year, 1, 1))
    if year >= 1998:
        yield _nth(year, 1, _MONDAY, 3)  # Martin Luther King
    yield _nth(year, 2, _MONDAY, 3)  # Presidents
    yield _easter(year) - 2 * _DAY
    yield _nth(year, 6, _MONDAY, 1) - 7 * _DAY  # Memorial: the last Monday of May
    if year >= 2022:
        yield _observed(dt.date(year, 6, 19))
    yield _observed(dt.date(year, 7, 4))
    yield _nth(year, 9, _MONDAY, 1)  # Labor
    yield _nth(year, 11, _THURSDAY, 4)  # Thanksgiving
    yield _observed(dt.date(year, 12, 25))


def _observed(day: dt.date) -> dt.date:
    """Move a holiday off the weekend: Saturday to Friday, Sunday to Monday."""
    return day + {5: -1, 6: 1}.get(day.weekday(), 0) * _DAY


def _nth(year: int, month: int, weekday: int, n: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (n - 1)) * _DAY


def _easter(year: int) -> dt.date:
    """Gregorian Easter Sunday (anonymous algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return dt.date(year, f // 31, f % 31 + 1)


def _number(day: dt.date) -> int:
    return (day - _EPOCH).days


def _before(days: Int64, day: dt.date, n: int) -> int:
    """Return the ``n``-th business day before ``day``; ``n`` 0: the day or the one before."""
    if n == 0:
        return int(days[np.searchsorted(days, _number(day), side="right") - 1])
    return int(days[np.searchsorted(days, _number(day), side="left") - n])


def _next_month(year: int, month: int) -> dt.date:
    return dt.date(year + month // 12, month % 12 + 1, 1)


def _third_friday(year: int, month: int, days: Int64) -> int:
    return _before(days, _nth(year, month, _FRIDAY, 3), 0)


def _second_friday_eve(year: int, month: int, days: Int64) -> int:
    return _before(days, _nth(year, month, _FRIDAY, 2), 1)


def _crude(year: int, month: int, days: Int64, ahead: int = 3) -> int:
    """Find the ``ahead``-th business day before the 25th, or the one before it, of last month."""
    earlier = dt.date(year, month, 1) - _DAY
    anchor = _before(days, dt.date(earlier.year, earlier.month, 25), 0)
    return int(days[np.searchsorted(days, anchor) - ahead])


def _micro_crude(year: int, month: int, days: Int64) -> int:
    return _crude(year, month, days, 4)


def _gas(year: int, month: int, days: Int64) -> int:
    return _before(days, dt.date(year, month, 1), 3)


def _metal(year: int, month: int, days: Int64) -> int:
    return _before(days, _next_month(year, month), 3)


def _month_last(year: int, month: int, days: Int64) -> int:
    return _before(days, _next_month(year, month), 1)


def _bond(year: int, month: int, days: Int64) -> int:
    return _before(days, _next_month(year, month), 8)


def _currency(year: int, month: int, days: Int64) -> int:
    return _before(days, _nth(year, month, _WEDNESDAY, 3), 2)


def _grain(year: int, month: int, days: Int64) -> int:
    return _before(days, dt.date(year, month, 15), 1)


_BY_SYMBOL: dict[str, Rule] = {
    "CL": _crude,
    "MCL": _micro_crude,
    "NG": _gas,
    "NIY": _second_friday_eve,
    "ZF": _month_last,
}
_BY_GROUP: dict[str, Rule] = {
    "equity_index": _third_friday,
    "simulated": _third_friday,
    "metals": _metal,
    "bonds": _bond,
    "currencies": _currency,
    "grains": _grain,
}
