"""Where the state of the ``ffm68`` step keeps what, and the state before the first bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError
from ffm_core.features.clock import DAY_US, HOUR_US, MINUTE_US, trading_clock, zone_table
from ffm_core.features.ffm68.sessions import NOMINAL_US, SESSION_ZONE
from ffm_core.features.steps import State
from ffm_core.features.windows import LEVELS, ROWS, SPREADS


def _places(first: int, *sizes: int) -> tuple[Any, ...]:
    """Return where blocks of these sizes begin, and where the last one ends.

    As numpy integers: a kernel is compiled anew for each Python constant it is called
    with, and there are dozens of places.
    """
    return tuple(np.int64(first + sum(sizes[:k])) for k in range(len(sizes) + 1))


# One row of the ring: the sums of seven series, the spreads of two of them, extremes.
(
    TRUE_RANGE, RANGE, VOLUME, SIGNED, MOVE, RETURN, ATR, ATR_32,
    RETURN_SPREAD, ATR_SPREAD, ATR_SPREAD_32, HIGH, LOW, CLOSE, TOP, BOTTOM, COLOUR, MOMENTUM,
    _USED,
) = _places(0, *[LEVELS] * 7, 1, SPREADS, SPREADS, 1, LEVELS, LEVELS, 1, 1, 1, 1, 1)  # fmt: skip
_, WIDTH = _places(0, 64)  # a power of two, at least _USED

# Behind the ring: session and trading date, swings, then three longer bars.
(
    OPENED, TALLEST, DEEPEST, RANGES_SO_FAR, TRADED, TRADED_VOLUME,
    SWING_HIGH, SWING_HIGH_BEFORE, SWING_LOW, SWING_LOW_BEFORE, LONGER,
) = _places(ROWS * WIDTH, *[1] * 10)  # fmt: skip

# Of a longer bar: the running one, extremes of the last complete one, the last four
# complete closes, magnitudes of the sweeps, 14 true ranges.
MEAN_RANGE_BARS = 14
(
    OPEN_, HIGH_, LOW_, CLOSE_, LAST_HIGH, LAST_LOW, LAST_CLOSE, BULL_SIZE, BEAR_SIZE, RANGES,
    LONGER_SIZE,
) = _places(0, 1, 1, 1, 1, 1, 1, 4, 1, 1, MEAN_RANGE_BARS)  # fmt: skip
HOUR, FOUR_HOURS, DAY, F_SIZE = _places(LONGER, LONGER_SIZE, LONGER_SIZE, LONGER_SIZE)

# Integers: bars seen, bars of the last peak and trough, session and date, two clocks.
(
    SEEN, PEAK, TROUGH, SESSION, SESSION_BARS, DATE_US, EXCHANGE_CLOCK, SESSION_CLOCK, LONGER_I,
) = _places(0, 1, 1, 1, 1, 1, 1, 3, 3)  # fmt: skip
# Of a longer bar: its start, whether it runs, complete ones, rows a sweep lives on.
START, RUNNING, COMPLETE, BULL_ROWS, BEAR_ROWS, LONGER_I_SIZE = _places(0, 1, 1, 1, 1, 1)
HOUR_I, FOUR_HOURS_I, DAY_I, I_SIZE = _places(LONGER_I, *[LONGER_I_SIZE] * 3)

# Constants: bar length; lengths and rows of expiry of the longer bars; the clocks.
BAR_US, LENGTH_US, EXPIRY, SHIFT_US, EXCHANGE_TABLE, SESSION_TABLE, HAS_SESSIONS, TABLES = _places(
    0, 1, 3, 3, 1, 1, 1, 1
)

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
