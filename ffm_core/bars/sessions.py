"""Trading dates, session ends and exchange hours of bars, by calendar."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from ffm_core.bars.calendar import DAY_US, MINUTE_US, Schedule, schedule, zone_changes
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import minutes_of_day
from ffm_core.bars.table import Bars
from ffm_core.types import Bool, Int8, Int32, Int64

# A gap of more than six bars, and of more than an hour, is a hole.
HOLE_BARS, HOLE_US = 6, 60 * MINUTE_US
KNOWN_SESSIONS = 20  # fewer say nothing of the hours a file keeps


def sessions_of(bars: Bars) -> Schedule:
    """Return the sessions around ``bars``, at least twenty days beyond both ends."""
    if len(bars) == 0:
        return schedule(bars.instrument, 0, 0)
    return schedule(bars.instrument, int(bars.ts_us[0]), int(bars.ts_us[-1]))


def wall_us(bars: Bars) -> Int64:
    """Local wall-clock time of each bar open, microseconds since 1970; shape (T,)."""
    stamps = bars.ts_us
    if len(stamps) == 0:
        return stamps
    first, last = int(stamps[0]) // DAY_US, int(stamps[-1]) // DAY_US
    changes, offsets = zone_changes(bars.instrument.timezone, first, last)
    # Stamps are in order, so each offset holds for one stretch of bars.
    edges = [0, *np.searchsorted(stamps, changes).tolist(), len(stamps)]
    wall = np.empty(len(stamps), dtype=np.int64)
    for (lo, hi), offset in zip(pairwise(edges), offsets.tolist(), strict=True):
        np.add(stamps[lo:hi], offset, out=wall[lo:hi])
    return wall


def trading_days(bars: Bars) -> Int32:
    """Trading date of each bar, days since 1970.

    Returns
    -------
    int32 (T,)
        An evening open starts the next date (18:00 New York for CME); UTC dates
        for markets that never close. A bar outside the calendar's days counts to
        the next one, so every value occurs in :func:`day_grid`.
    """
    if bars.instrument.calendar == "24/7":
        return (bars.ts_us // DAY_US).astype(np.int32)
    opens = minutes_of_day(bars.instrument.session_open)
    evening = opens >= minutes_of_day(bars.instrument.session_close)
    shift = (1440 - opens) * MINUTE_US if evening else 0
    dates = (wall_us(bars) + shift) // DAY_US
    if len(dates) == 0:
        return dates.astype(np.int32)
    days = sessions_of(bars).days
    lowest = int(dates.min())  # local time steps back once a year
    every = np.arange(lowest, int(dates.max()) + 1)
    following: Int32 = days[np.minimum(np.searchsorted(days, every), len(days) - 1)]
    return np.asarray(following[dates - lowest], dtype=np.int32)


def exchange_hours(bars: Bars) -> Int8:
    """Local hour, 0 to 23, of each bar open in the instrument's zone; shape (T,)."""
    return (wall_us(bars) // (60 * MINUTE_US) % 24).astype(np.int8)


def session_end_mask(bars: Bars) -> Bool:
    """Mark the bar in which each session ends by the calendar.

    Returns
    -------
    bool (T,)
        True where the scheduled close, early closes included, lies after the
        bar's open and not after its close. A missing next bar marks nothing.
        All False for markets that never close.
    """
    if bars.instrument.calendar == "24/7":
        return np.zeros(len(bars), dtype=np.bool_)
    closes = sessions_of(bars).close_us
    after = np.searchsorted(closes, bars.ts_us, side="right")
    inside = after < len(closes)
    next_close = closes[np.minimum(after, len(closes) - 1)]
    return inside & (next_close - bars.ts_us <= bars.timeframe.us)


def day_grid(bars: Bars) -> tuple[Int32, Int64]:
    """Return every trading day between the first and the last bar.

    Returns
    -------
    days : int32 (D,)
        Days since 1970, empty ones (without bars) included.
    open_us : int64 (D,)
        Session open of each, microseconds since 1970 UTC.
    """
    if len(bars) == 0:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    table = sessions_of(bars)
    ends = trading_days(bars[:1])[0], trading_days(bars[len(bars) - 1 :])[0]
    lo = int(np.searchsorted(table.days, ends[0], side="left"))
    hi = int(np.searchsorted(table.days, ends[1], side="right"))
    return table.days[lo:hi], table.open_us[lo:hi]


def session_length_us(instrument: Instrument) -> int:
    """Length of a regular session in microseconds: 23 hours for CME, 24 for 24/7."""
    opens = minutes_of_day(instrument.session_open)
    closes = minutes_of_day(instrument.session_close)
    length = closes - opens
    return (length if length > 0 else length + 1440) * MINUTE_US


def holes(bars: Bars) -> Int64:
    """Return how many holes lie up to each bar, shape (T,).

    A hole is a whole session without a bar, or a gap of more than six bars, and of more than
    an hour, in the hours that the market is open and the file keeps. Breaks, weekends,
    holidays and early closes of the calendar are none. The hours a file keeps are those in
    which it has a bar in half of a year's sessions; files of a few sessions keep all hours.
    """
    count = np.zeros(len(bars), dtype=np.int64)
    step = bars.timeframe.us
    if len(bars) < 2 or int(np.diff(bars.ts_us).max()) <= step:
        return count
    expected, session = _expected(bars)
    before = np.searchsorted(expected, bars.ts_us)
    closed = np.searchsorted(expected, bars.ts_us + step)
    missing = (before[1:] - closed[:-1]) * step
    long = missing > max(HOLE_BARS * step, HOLE_US)
    count[1:] = np.cumsum(long | (np.diff(session) > 1))
    return count


def _expected(bars: Bars) -> tuple[Int64, Int64]:
    """Return the opens of all bars a whole file would hold, and the session of each bar it has."""
    step = bars.timeframe.us
    days, opens = day_grid(bars)
    table = sessions_of(bars)
    length = table.close_us[np.searchsorted(table.days, days)] - opens
    slots = int(-(-int(length.max()) // step))
    session = np.maximum(np.searchsorted(opens, bars.ts_us, side="right") - 1, 0)
    slot = (bars.ts_us - opens[session]) // step
    held = _once((session * slots + slot)[(slot >= 0) & (slot < slots)])
    year = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    year -= year[0]
    years = int(year[-1]) + 1
    cell = year[held // slots] * slots + held % slots
    seen = np.bincount(cell, minlength=years * slots).reshape(years, slots)
    sessions = np.bincount(year[_once(held // slots)], minlength=years)
    few = sessions < KNOWN_SESSIONS
    seen[few], sessions[few] = seen.sum(axis=0), sessions.sum()
    kept = 2 * seen >= sessions[:, None]
    kept[sessions < KNOWN_SESSIONS] = True
    into = np.arange(slots, dtype=np.int64) * step
    wanted = kept[year] & (into < length[:, None])
    return (opens[:, None] + into)[wanted], session


def _once(ascending: Int64) -> Int64:
    """Return each of some ascending values, 0 or more, once; np.unique would hash them."""
    found: Int64 = ascending[np.diff(ascending, prepend=-1) > 0]
    return found


def lost_sessions(bars: Bars) -> Int64:
    """Return how many gaps of a session's length and more lie up to each bar, shape (T,).

    Only **scheduled** time counts; breaks, weekends and holidays of the calendar do not.
    A bar's count depends on nothing later.
    """
    count = np.zeros(len(bars), dtype=np.int64)
    if len(bars) < 2:
        return count
    length = session_length_us(bars.instrument)
    if int(np.diff(bars.ts_us).max()) < length:
        return count
    _, opens = day_grid(bars)
    # Time since the first session's open with everything unscheduled cut out.
    session = np.maximum(np.searchsorted(opens, bars.ts_us, side="right") - 1, 0)
    into = np.clip(bars.ts_us - opens[session], 0, length)
    close_into = np.clip(bars.ts_us + bars.timeframe.us - opens[session], 0, length)
    missing = (session * length + into)[1:] - (session * length + close_into)[:-1]
    count[1:] = np.cumsum(missing >= length)
    return count


def to_stamp(us: int) -> str:
    """Write microseconds since 1970 UTC as ``2024-03-11T14:31Z``."""
    stamp = pl.from_epoch(pl.Series([us]), time_unit="us")[0]
    return f"{stamp:%Y-%m-%dT%H:%M}" + (f":{stamp:%S}" if stamp.second else "") + "Z"
