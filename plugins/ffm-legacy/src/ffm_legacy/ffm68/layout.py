"""Where the state of the legacy step keeps what.

``f`` holds twelve windows of the last 64 bars, each written twice so that every
window is one unbroken stretch, then the levels of sessions, swings and longer
bars; ``i`` holds counters, dates and countdowns.
"""

from __future__ import annotations

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.steps import State

RING = 64  # bars remembered; the longest window is 50
SPAN = 2 * RING

HIGH, LOW, CLOSE, RANGE, VOLUME, RETURN, DELTA, TRUE, ATR, TOP, BOTTOM, SIGN = range(12)
_SERIES = 12

# One slot per session of the day: first open, high, low, sum of ranges, bars.
SESSION, SESSION_SIZE, SESSIONS = _SERIES * SPAN, 5, 4
VWAP = SESSION + SESSIONS * SESSION_SIZE  # Σ typical price × volume, Σ volume
SWING = VWAP + 2  # last high, last low, change of highs, change of lows

# A longer bar: open, high, low, close of the running one; high, low, close of the
# completed one; its last three directions; bull and bear magnitude; 14 true ranges.
HTF, HTF_SIZE, HTF_ATR = SWING + 4, 26, 14
OPEN_, HIGH_, LOW_, CLOSE_, LAST_HIGH, LAST_LOW, LAST_CLOSE = range(7)
TURN, MAGNITUDE, RANGES = 7, 10, 12
F_SIZE = HTF + 3 * HTF_SIZE  # an hour, four hours, a UTC day

# Integers: bars seen, UTC date; per longer bar its label, completed bars, two countdowns.
SEEN, DATE, CLOCK, CLOCK_SIZE = 0, 1, 2, 4
LABEL, DONE, COUNTDOWN = 0, 1, 2
I_SIZE = CLOCK + 3 * CLOCK_SIZE

_NOMINAL_HOURS = (8, 5, 4, 4)  # per session
_HTF_MINUTES = (60, 240)


def start(instrument: Instrument, timeframe: Timeframe) -> State:
    """Return the state before the first bar; the instrument makes no difference."""
    del instrument
    minutes = max(1, timeframe.seconds // 60)
    lengths = [max(1.0, hours * 60 / minutes) for hours in _NOMINAL_HOURS]
    expiry = [max(1, round(longer / minutes)) for longer in _HTF_MINUTES]
    i = np.zeros(I_SIZE, dtype=np.int64)
    i[DATE] = np.iinfo(np.int64).min
    return State(
        f=np.full(F_SIZE, np.nan),
        i=i,
        k=np.array(lengths),
        n=np.array(expiry, dtype=np.int64),
    )
