"""Features that read the next bar on very few bars."""

from __future__ import annotations

import numpy as np
import polars as pl

from ffm_core.bars.sessions import wall_us
from ffm_core.bars.table import Bars
from ffm_core.testing.building import windows
from ffm_core.types import Bool, Float32, Float64
from zoo.making import HOUR_US, faults_of, matrix, sessions

fault = faults_of(__file__)


def _only(bars: Bars, at: Bool, value: Float64) -> Float32:
    return matrix(np.where(at, value, 0.0))


def once_an_hour(bars: Bars) -> Float32:
    """Return the direction of the next bar, on the bar that opens an hour."""
    ahead = np.append(np.sign(np.diff(bars.close)), 0.0)[: len(bars)]  # fault: hourly-flag
    return _only(bars, bars.ts_us % HOUR_US == 0, ahead)


def once_a_week(bars: Bars) -> Float32:
    """Return the direction of the next bar, on the first bar of a week."""
    first = np.append(True, np.diff(bars.ts_us) > 24 * HOUR_US)[: len(bars)]
    ahead = np.append(np.sign(np.diff(bars.close)), 0.0)[: len(bars)]  # fault: weekly-flag
    return _only(bars, first, ahead)


def after_clock_changes(bars: Bars) -> Float32:
    """Return the next bar's range on the days on which clocks change, at the full hour."""
    ahead = np.append((bars.high - bars.low)[1:], 0.0)[: len(bars)]  # fault: clock-change-flag
    day = 24 * HOUR_US
    offset = wall_us(bars) - bars.ts_us
    changed = np.append(False, np.diff(offset) != 0)[: len(bars)]
    dates = np.unique(bars.ts_us[changed] // day)
    return _only(bars, np.isin(bars.ts_us // day, dates) & (bars.ts_us % HOUR_US == 0), ahead)


def at_rolls(bars: Bars) -> Float32:
    """Return the jump into the next contract, on the last bar of the old one."""
    codes = bars.contract_codes
    if codes is None or len(bars) == 0:
        return matrix(np.zeros(len(bars)))
    ahead = np.append(bars.open[1:] - bars.close[:-1], 0.0)  # fault: roll-flag
    return _only(bars, np.append(np.diff(codes) != 0, False), ahead)


def at_opens(bars: Bars) -> Float32:
    """Return how the first bar of a session is followed."""
    session = sessions(bars)
    first = np.append(True, np.diff(session) != 0)[: len(bars)]
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: session-open-flag
    return _only(bars, first, ahead)


def on_new_highs(bars: Bars) -> Float32:
    """Return the next move where the close is the highest of a hundred."""
    ahead = pl.col("close").diff().shift(-1)  # fault: new-high-flag
    top = pl.Series(bars.close >= windows(bars.close, 100).max(axis=1))
    return matrix(bars.frame.select(pl.when(top).then(ahead).otherwise(0.0)))


FAULTS = (
    fault("hourly-flag", "the next bar's direction on one bar an hour", once_an_hour),
    fault("weekly-flag", "the next bar's direction on one bar a week", once_a_week),
    fault(
        "clock-change-flag", "the next bar's range on days of clock changes", after_clock_changes
    ),
    fault("roll-flag", "the jump to the next contract on one bar", at_rolls),
    fault("session-open-flag", "the next move on the first bar of a session", at_opens),
    fault("new-high-flag", "the next move on rare new highs", on_new_highs),
)
