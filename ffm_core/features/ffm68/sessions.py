"""The sessions of a trading date, by New York wall clock."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.features.clock import HOUR_US, wall_us, zone_table
from ffm_core.jit import kernel
from ffm_core.types import Int8, Int64

SESSION_ZONE = "America/New_York"
SESSIONS = {
    "asia": (18, 3),
    "london": (3, 8),
    "ny_am": (8, 12),
    "ny_pm": (12, 16),
    "close": (16, 17),
}
"""Name → first hour and end hour, local; the break between 17 and 18 is none of them."""

OFF = -1
NOMINAL_US = tuple((end - first) % 24 * HOUR_US for first, end in SESSIONS.values())

# Session of each hour of the day.
_BY_HOUR = tuple(
    next(
        (
            number
            for number, (first, end) in enumerate(SESSIONS.values())
            if (hour - first) % 24 < (end - first) % 24
        ),
        OFF,
    )
    for hour in range(24)
)


@kernel
def session_at(wall: int) -> int:
    """Return the number of the session at a New York wall time, −1 in the break."""
    return int(_BY_HOUR[wall // HOUR_US % 24])


@kernel
def _numbers(ts: Int64, table: Int64) -> Int8:
    out = np.empty(len(ts), dtype=np.int8)
    for t in range(len(ts)):
        out[t] = session_at(wall_us(ts[t], table, 0))
    return out


def session_numbers(bars: Bars) -> Int8:
    """Return the session of each bar's open: position in ``SESSIONS``, −1 for ``off``.

    Returns
    -------
    int8 (T,)
        −1 in the break and for every bar of a market that trades 24/7.
    """
    if bars.instrument.calendar == "24/7":
        return np.full(len(bars), OFF, dtype=np.int8)
    return _numbers(np.ascontiguousarray(bars.ts_us), zone_table(SESSION_ZONE))
