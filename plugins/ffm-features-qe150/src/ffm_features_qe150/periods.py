"""How many bars a year has."""

from __future__ import annotations

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.sessions import session_length_us
from ffm_core.bars.timeframe import Timeframe

_DAY_US = 86_400_000_000
_SESSIONS_A_YEAR = {"24/7": 365.0, "24/5": 260.0}
_EXCHANGE_SESSIONS = 252.0


def bars_per_year(instrument: Instrument, timeframe: Timeframe) -> float:
    """Return the nominal number of bars a year, which annualises a variance per bar.

    Parameters
    ----------
    instrument : Instrument
        Its session length and calendar are used: 365 sessions a year around the
        clock, 260 on five days a week, 252 on an exchange.
    timeframe : Timeframe
        Bars shorter than the session divide it, by fractions where they do not
        divide it evenly; bars of up to a day are one a session; longer ones
        divide the 365 days of the year.

    Returns
    -------
    float
        For CME's 23 hours 347,760 at 1m, 5,796 at 1h, 252 at 1d; around the
        clock 525,600 at 1m, 8,760 at 1h, 365 at 1d.
    """
    session = session_length_us(instrument)
    sessions = _SESSIONS_A_YEAR.get(instrument.calendar, _EXCHANGE_SESSIONS)
    if timeframe.us > _DAY_US:
        return 365.0 * _DAY_US / timeframe.us
    return sessions * max(session / timeframe.us, 1.0)
