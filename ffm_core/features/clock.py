"""Local wall-clock time inside a kernel, from the bar's UTC stamp.

The offsets of a zone are laid out once in an int64 table that kernels search, so
that batch and streaming read the very same clock.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ffm_core.bars.calendar import zone_changes
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import minutes_of_day
from ffm_core.jit import kernel
from ffm_core.types import Int64

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

# Days since 1970 of 1990-01-01 and 2099-12-31: the years a table covers.
_FIRST_DAY, _LAST_DAY = 7_305, 47_481
_EVER = 1 << 62  # later than any stamp


@lru_cache(maxsize=64)
def zone_table(zone: str) -> Int64:
    """Return the offsets of an IANA zone, 1990 to 2099, as one int64 array.

    Returns
    -------
    int64 (2 C + 2,)
        ``C``, then the ``C`` stamps (microseconds UTC) at which the offset
        changes, then the ``C + 1`` offsets (local minus UTC, microseconds).
    """
    changes, offsets = zone_changes(zone, _FIRST_DAY, _LAST_DAY)
    table = np.concatenate([np.array([len(changes)], dtype=np.int64), changes, offsets])
    table.setflags(write=False)
    return table


@kernel
def wall_us(ts_us: int, table: Int64, at: int) -> int:
    """Return local time in microseconds since 1970; the zone table begins at ``at``."""
    count = table[at]
    first = at + 1
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if table[first + middle] <= ts_us:
            low = middle + 1
        else:
            high = middle
    return int(ts_us + table[first + count + low])


@kernel
def remembered_wall_us(ts_us: int, table: Int64, at: int, i: Int64, own: int) -> int:
    """Return :func:`wall_us`, searching only when the offset changes.

    ``i[own : own + 3]`` keeps first and end stamp of the stretch of time in which an
    offset holds, and the offset; start with three zeros.
    """
    if not i[own] <= ts_us < i[own + 1]:
        count, first = table[at], at + 1
        k = 0
        while k < count and table[first + k] <= ts_us:
            k += 1
        i[own] = table[first + k - 1] if k > 0 else -_EVER
        i[own + 1] = table[first + k] if k < count else _EVER
        i[own + 2] = table[first + count + k]
    return int(ts_us + i[own + 2])


def trading_clock(instrument: Instrument) -> tuple[str, int]:
    """Return the zone of an instrument's trading clock and what is added to its wall time.

    The date of the trading clock is the trading date, as in
    :func:`~ffm_core.bars.sessions.trading_days` but for dates without trading: those
    count there to the next one. It is UTC for markets that trade 24/7.

    Returns
    -------
    zone : str
        IANA name.
    shift_us : int
        Microseconds from the evening's session open to midnight; 0 for a session that
        opens in the morning.
    """
    if instrument.calendar == "24/7":
        return "UTC", 0
    opens = minutes_of_day(instrument.session_open)
    evening = opens >= minutes_of_day(instrument.session_close)
    return instrument.timezone, (1440 - opens) * MINUTE_US if evening else 0
