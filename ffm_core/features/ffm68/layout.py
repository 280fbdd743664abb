"""Where the state of the ``ffm68`` step keeps what, and the state before the first bar."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError
from ffm_core.features.clock import DAY_US, HOUR_US, MINUTE_US, trading_clock, zone_table
from ffm_core.features.ffm68.sessions import NOMINAL_US, SESSION_ZONE
from ffm_core.features.steps import State
from ffm_core.features.windows import LEVELS, ROWS, SPREADS

# One row of the ring: the sums of six series, the spreads of two of them, extremes.
TRUE_RANGE, RANGE, VOLUME, SIGNED, MOVE, RETURN, ATR = range(0, 7 * LEVELS, LEVELS)
ATR_32 = ATR + LEVELS  # the ATR's sum over 32, for its window of 50
RETURN_SPREAD = ATR_32 + 1
ATR_SPREAD = RETURN_SPREAD + SPREADS
ATR_SPREAD_32 = ATR_SPREAD + SPREADS
HIGH = ATR_SPREAD_32 + 1
LOW = HIGH + LEVELS
CLOSE, TOP, BOTTOM, COLOUR, MOMENTUM = range(LOW + LEVELS, LOW + LEVELS + 5)
WIDTH = 64  # a power of two above the columns in use

# Behind the ring: session and trading date, swings, then three longer bars.
OPENED, TALLEST, DEEPEST, RANGES_SO_FAR, TRADED, TRADED_VOLUME = range(
    ROWS * WIDTH, ROWS * WIDTH + 6
)
SWING_HIGH, SWING_HIGH_BEFORE, SWING_LOW, SWING_LOW_BEFORE = range(
    TRADED_VOLUME + 1, TRADED_VOLUME + 5
)
LONGER = SWING_LOW_BEFORE + 1
# Of a longer bar: the running one, extremes of the last complete one, the last four
# complete closes, magnitudes of the sweeps, 14 true ranges.
OPEN_, HIGH_, LOW_, CLOSE_, LAST_HIGH, LAST_LOW, LAST_CLOSE = range(7)
BULL_SIZE, BEAR_SIZE, RANGES = 11, 12, 13
MEAN_RANGE_BARS = 14
LONGER_SIZE = RANGES + MEAN_RANGE_BARS
HOUR, FOUR_HOURS, DAY = LONGER, LONGER + LONGER_SIZE, LONGER + 2 * LONGER_SIZE
F_SIZE = LONGER + 3 * LONGER_SIZE

# Integers: bars seen, bars of the last peak and trough, session and date, two clocks.
SEEN, PEAK, TROUGH, SESSION, SESSION_BARS, DATE_US, EXCHANGE_CLOCK, SESSION_CLOCK = (
    0, 1, 2, 3, 4, 5, 6, 9,
)  # fmt: skip
LONGER_I = 12
# Of a longer bar: its start, whether it runs, complete ones, rows a sweep lives on.
START, RUNNING, COMPLETE, BULL_ROWS, BEAR_ROWS = range(5)
HOUR_I, FOUR_HOURS_I, DAY_I = LONGER_I, LONGER_I + 5, LONGER_I + 10
I_SIZE = LONGER_I + 15

# Constants: bar length; lengths and rows of expiry of the longer bars; the clocks.
BAR_US, LENGTH_US, EXPIRY, SHIFT_US, EXCHANGE_TABLE, SESSION_TABLE, HAS_SESSIONS = (
    0, 1, 4, 7, 8, 9, 10,
)  # fmt: skip
TABLES = 11

_SHORTEST_S = 60


def start(instrument: Instrument, timeframe: Timeframe) -> State:
    """Return the state before the first bar.

    Raises
    ------
    ConfigError
        For bars shorter than a minute: their longer bars would reach back further
        than the columns declare.
    """
    if timeframe.seconds < _SHORTEST_S:
        raise ConfigError(
            f"ffm68 takes bars of one minute or longer, got {timeframe}",
            fix="build 1m bars or longer ones first",
        )
    zone, shift_us = trading_clock(instrument)
    exchange, session = zone_table(zone), zone_table(SESSION_ZONE)
    lengths = [max(longer, timeframe.us) for longer in (HOUR_US, 4 * HOUR_US, DAY_US)]
    expiry = [(2 * longer + timeframe.us) // (2 * timeframe.us) for longer in lengths]
    head = [
        timeframe.us, *lengths, *expiry, shift_us,
        TABLES, TABLES + len(exchange), int(instrument.calendar != "24/7"),
    ]  # fmt: skip
    i = np.zeros(I_SIZE, dtype=np.int64)
    i[SESSION] = -1
    i[DATE_US] = -DAY_US - MINUTE_US
    return State(
        f=np.full(F_SIZE, np.nan),
        i=i,
        k=np.maximum(1.0, np.array(NOMINAL_US) / timeframe.us),
        n=np.concatenate([np.array(head, dtype=np.int64), exchange, session]),
    )
