"""What the audit measures once: sessions, scale, gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ffm_core.bars.calendar import DAY_US
from ffm_core.bars.sessions import day_grid, sessions_of, trading_days, wall_us
from ffm_core.bars.table import Bars
from ffm_core.types import Bool, Float64, Int32, Int64

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DEAD_RATIO = 0.01
_REFERENCE_SESSIONS = 60
_LEAST_SIGMA = 1e-4
_RUN_LEAST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesProfile:
    """Measurements of one series.

    Parameters
    ----------
    sigma : float
        Robust daily standard deviation of log closes.
    gap : float64 (T-1,)
        Size of the step from a close to the next open, log points.
    new_day : bool (T-1,)
        Whether the step to the next bar starts a trading day.
    days_between : float64 (T-1,)
        Trading days a step spans, at least 1.
    first_row : int64 (S,)
        First bar of each session present.
    dead_run : int64
        Sessions of the longest run at under 1 % of the surrounding volume.
    absent_us : int64
        Opens of calendar sessions without a bar.
    n_expected : int
        Calendar sessions between first and last bar.
    n_missing_bars : int
        Bars missing inside sessions, regular breaks not counted.
    hole_rows : int64
        First bar after each hole.
    thin_weekdays : tuple of str
        Weekdays whose sessions hold under 80 % of the usual bars.
    outside, weekend : bool (T,)
        Bars outside every session; bars on a local Saturday.
    """

    sigma: float
    gap: Float64
    new_day: Bool
    days_between: Float64
    first_row: Int64
    dead_run: Int64
    absent_us: Int64
    n_expected: int
    n_missing_bars: int
    hole_rows: Int64
    thin_weekdays: tuple[str, ...]
    outside: Bool
    weekend: Bool


def profile(bars: Bars) -> SeriesProfile:
    """Measure ``bars``, at least two."""
    days = trading_days(bars)
    grid, opens = day_grid(bars)
    new_day = days[1:] != days[:-1]
    first_row = np.concatenate(([0], np.flatnonzero(new_day) + 1))
    place = np.searchsorted(grid, days)
    present = np.zeros(len(grid), dtype=np.bool_)
    present[place] = True
    missing, holes = _holes(bars, new_day, first_row)
    outside, weekend = _closed(bars)
    return SeriesProfile(
        sigma=_sigma(bars, first_row),
        gap=np.abs(np.log(bars.open[1:] / bars.close[:-1])),
        new_day=new_day,
        days_between=np.maximum(np.diff(place), 1).astype(np.float64),
        first_row=first_row,
        dead_run=_dead_run(np.add.reduceat(bars.volume, first_row)),
        absent_us=opens[~present],
        n_expected=len(grid),
        n_missing_bars=missing,
        hole_rows=holes,
        thin_weekdays=_thin_weekdays(days, first_row),
        outside=outside,
        weekend=weekend,
    )


def _sigma(bars: Bars, first_row: Int64) -> float:
    # Median absolute move, so that the steps looked for do not hide themselves. Few
    # days say little; then the bars' own scale, stretched to a day, is a floor.
    last_row = np.concatenate((first_row[1:] - 1, [len(bars) - 1]))
    daily = np.diff(np.log(bars.close[last_row]))
    sigma = 1.4826 * float(np.median(np.abs(daily))) if len(daily) else 0.0
    if len(daily) < 20:
        steps = np.abs(np.diff(np.log(bars.close)))
        per_day = len(bars) / len(first_row)
        sigma = max(sigma, 1.4826 * float(np.median(steps)) * per_day**0.5)
        sigma = max(sigma, float(np.mean(steps)) * per_day**0.5) if sigma == 0 else sigma
    return max(sigma, _LEAST_SIGMA)


def _dead_run(volume: Float64) -> Int64:
    forward = _collapsed(volume)
    backward = _collapsed(volume[::-1])[::-1]
    return _longest_run(forward | backward)


def _collapsed(volume: Float64) -> Bool:
    # The reference follows live sessions only: it adapts to slow growth over the
    # years and stays put while a segment is dead.
    dead = np.zeros(len(volume), dtype=np.bool_)
    live: list[float] = []
    reference = 0.0
    for index, value in enumerate(volume.tolist()):
        if value < _DEAD_RATIO * reference:
            dead[index] = True
            continue
        live.append(value)
        if len(live) % 10 == 0:
            reference = float(np.median(live[-_REFERENCE_SESSIONS:]))
    return dead


def _longest_run(mask: Bool) -> Int64:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    if len(edges) == 0:
        return np.empty(0, dtype=np.int64)
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    if stops[longest] - starts[longest] < _RUN_LEAST:
        return np.empty(0, dtype=np.int64)
    return np.arange(starts[longest], stops[longest], dtype=np.int64)


def _holes(bars: Bars, new_day: Bool, first_row: Int64) -> tuple[int, Int64]:
    step = bars.timeframe.us
    gap = np.diff(bars.ts_us)
    rows = np.flatnonzero((gap > step) & ~new_day)
    if len(rows) == 0:
        return 0, np.empty(0, dtype=np.int64)
    # A gap that opens at the same time of day in half the sessions is a break.
    minute = (wall_us(bars)[rows] % DAY_US) // step
    _, inverse, counts = np.unique(minute, return_inverse=True, return_counts=True)
    real = counts[inverse] < 0.5 * len(first_row) if len(first_row) > 4 else counts[inverse] > 0
    rows = rows[real]
    return int((gap[rows] // step - 1).sum()), (rows + 1).astype(np.int64)


def _thin_weekdays(days: Int32, first_row: Int64) -> tuple[str, ...]:
    per_session = np.diff(np.concatenate((first_row, [len(days)])))
    weekday = (days[first_row] + 3) % 7
    usual = float(np.median(per_session))
    thin = []
    for number, name in enumerate(WEEKDAYS):
        own = per_session[weekday == number]
        if len(own) >= 8 and float(np.median(own)) < 0.8 * usual:
            thin.append(name)
    return tuple(thin)


def _closed(bars: Bars) -> tuple[Bool, Bool]:
    nowhere = np.zeros(len(bars), dtype=np.bool_)
    if bars.instrument.calendar == "24/7" or bars.timeframe.us >= DAY_US:
        return nowhere, nowhere
    table = sessions_of(bars)
    after = np.searchsorted(table.close_us, bars.ts_us, side="right")
    after = np.minimum(after, len(table.close_us) - 1)
    # A coarse bar may open before its session and still hold trades of it.
    outside = bars.ts_us + bars.timeframe.us <= table.open_us[after]
    weekend = (wall_us(bars) // DAY_US + 3) % 7 == 5
    return outside, weekend & outside
