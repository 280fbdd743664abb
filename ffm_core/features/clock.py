"""Local wall-clock time inside a kernel, from the bar's UTC stamp.

The offsets of a zone are laid out once in an int64 table that kernels search, so
that batch and streaming read the very same clock.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ffm_core.bars.calendar import zone_changes
from ffm_core.jit import kernel
from ffm_core.types import Int64

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

# Days since 1970 of 1990-01-01 and 2099-12-31: the years a table covers.
_FIRST_DAY, _LAST_DAY = 7_305, 47_481


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
