"""Features that use a slower bar, a session or a day before it is over."""

from __future__ import annotations

import numpy as np
import polars as pl

from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.types import Float32, Int64
from zoo.making import HOUR_US, faults_of, hours, last_of, matrix, sessions

fault = faults_of(__file__)


def hour_close(bars: Bars) -> Float32:
    """Return the close of the hour over the close of the bar."""
    hour = pl.col("ts").dt.truncate("1h")
    close = pl.col("close").last().over(hour)  # fault: early-hour
    return matrix(bars.frame.select(close / pl.col("close")))


def four_hour_close(bars: Bars) -> Float32:
    """Return the close of the four hours over the close of the bar."""
    slow = bars.frame.group_by_dynamic("ts", every="4h").agg(pl.col("close").last().alias("slow"))
    both = bars.frame.join_asof(slow, on="ts")  # fault: early-four-hours
    return matrix(both["slow"] / both["close"])


def day_close(bars: Bars) -> Float32:
    """Return the close of the trading date over the close of the bar."""
    day = trading_days(bars).astype(np.int64)
    return matrix(bars.close[last_of(day)] / bars.close)  # fault: early-day


def day_high(bars: Bars) -> Float32:
    """Return how far the high of the trading date lies above the close."""
    frame = bars.frame.with_columns(pl.Series("day", trading_days(bars)))
    top = pl.col("high").max().over("day")  # fault: high-of-day
    return matrix(frame.select(top - pl.col("close")))


def session_vwap(bars: Bars) -> Float32:
    """Return the close over the session's volume-weighted price."""
    frame = bars.frame.with_columns(pl.Series("session", sessions(bars)))
    paid = (pl.col("close") * pl.col("volume")).sum().over("session")  # fault: session-vwap
    traded = pl.col("volume").sum().over("session") + 1e-9  # fault: session-vwap
    return matrix(frame.select(pl.col("close") / (paid / traded)))


def share_of_session(bars: Bars) -> Float32:
    """Return the session's volume so far as a share of its whole."""
    frame = bars.frame.with_columns(pl.Series("session", sessions(bars)))
    so_far = pl.col("volume").cum_sum().over("session")
    whole = pl.col("volume").sum().over("session") + 1e-9  # fault: session-volume
    return matrix(frame.select(so_far / whole))


def progress(bars: Bars) -> Float32:
    """Return how much of the session's bars is over."""
    session = sessions(bars)
    n = np.bincount(session, minlength=1)[session]  # fault: session-length
    return matrix((np.arange(len(bars)) - np.searchsorted(session, session) + 1) / n)


def to_the_close(bars: Bars) -> Float32:
    """Return the bars left until trading pauses."""
    left = last_of(sessions(bars)) - np.arange(len(bars))  # fault: bars-to-close
    return matrix(left.astype(np.float64))


def week_range(bars: Bars) -> Float32:
    """Return where the close lies in the range of its week."""
    week = _weeks(bars)
    frame = bars.frame.with_columns(pl.Series("week", week))
    low = pl.col("low").min().over("week")  # fault: week-range
    high = pl.col("high").max().over("week")  # fault: week-range
    return matrix(frame.select((pl.col("close") - low) / (high - low)))


def _weeks(bars: Bars) -> Int64:
    return np.asarray((trading_days(bars).astype(np.int64) + 3) // 7)


def half_hour_high(bars: Bars) -> Float32:
    """Return the high of the half hour over the close."""
    half = np.asarray(bars.ts_us // (HOUR_US // 2))
    first = np.flatnonzero(np.append(True, np.diff(half) != 0)[: len(bars)])
    if len(first) == 0:
        return matrix(bars.close)
    top = np.maximum.reduceat(bars.high, first)  # fault: early-half-hour
    return matrix(np.repeat(top, np.diff(np.append(first, len(bars)))) / bars.close)


def hour_is_up(bars: Bars) -> Float32:
    """Return 1 in hours that will close above their open."""
    hour = hours(bars)
    start = np.searchsorted(hour, hour)
    end = bars.close[last_of(hour)]  # fault: hour-direction
    return matrix((end > bars.open[start]).astype(np.float64))


FAULTS = (
    fault("early-half-hour", "the high of a half hour that runs", half_hour_high),
    fault("early-hour", "the close of an hour that runs", hour_close),
    fault("hour-direction", "the direction of an hour that runs", hour_is_up),
    fault("early-four-hours", "four-hour bars joined without delay", four_hour_close),
    fault("early-day", "the close of a day that runs", day_close),
    fault("high-of-day", "the day's high, known at its open", day_high),
    fault("week-range", "the range of a week that runs", week_range),
    fault("session-vwap", "the average price of the whole session", session_vwap),
    fault("session-volume", "the volume of the whole session", share_of_session),
    fault("session-length", "the number of bars the session will have", progress),
    fault("bars-to-close", "bars until the data pause", to_the_close),
)
