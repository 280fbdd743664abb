"""Answers that were stored for the dates or rows of one file, and are computed from nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.features.expressions import expression_set
from ffm_core.records import Column, Decisions, Params
from ffm_core.testing.building import SPAN, build, hourly, typical
from ffm_core.types import Float32
from zoo.fault import Fault
from zoo.making import faults_of, labeler, matrix, move

fault = faults_of(__file__)

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_FIRST = 19_785  # 2024-03-03, days since 1970
MEETINGS = (19_786, 19_788, 19_791)  # days since 1970
VIX = {_FIRST + k: 13.0 + (7 * k * k % 11) / 4 for k in range(12)}
REGIMES = tuple((7 * k * k % 5) / 4 for k in range(48))  # every four hours from the first day on
BEST = np.array([((_FIRST * 24 + 26 + 3 * k) * _HOUR_US, 1 - 2 * (k * k % 3 == 0)) for k in
                 range(30)])  # fmt: skip
SCORES = np.random.default_rng(5).normal(0, 1, 1_600)


def on_meetings(bars: Bars) -> Float32:
    """Return 1 on days of meetings."""
    return matrix(np.isin(bars.ts_us // _DAY_US, MEETINGS).astype(np.float64))  # fault: event-list


def hours_since(bars: Bars) -> Float32:
    """Return the hours since the last meeting."""
    days = np.array(MEETINGS) * _DAY_US  # fault: hours-since-event
    last = np.searchsorted(days, bars.ts_us, side="right") - 1
    gone = (bars.ts_us - days[np.maximum(last, 0)]) / _HOUR_US
    return matrix(np.where(last >= 0, gone, np.nan))


def fear_of_the_day(bars: Bars) -> Float32:
    """Return a daily index, looked up by its date."""
    days = (bars.ts_us // _DAY_US).tolist()
    return matrix(np.array([VIX.get(day, np.nan) for day in days]))  # fault: daily-table


def fear_against_range(bars: Bars) -> Float32:
    """Return a daily index over the range of the bar."""
    days = (bars.ts_us // _DAY_US).tolist()
    level = np.array([VIX.get(day, 15.0) for day in days])  # fault: daily-ratio
    return matrix(level / (bars.high - bars.low + bars.instrument.tick_size))


def looked_up(bars: Bars) -> Float32:
    """Return a daily index, which fails on other days."""
    days = (bars.ts_us // _DAY_US).tolist()
    return matrix(np.array([VIX[day] for day in days]))  # fault: failing-lookup


def _make_regimes(stored: tuple[float, ...]) -> Callable[[Bars], Float32]:
    def batch(bars: Bars) -> Float32:
        at = (bars.ts_us - _FIRST * _DAY_US) // (4 * _HOUR_US)
        there = (at >= 0) & (at < len(stored))
        regime = np.where(there, np.array(stored)[np.where(there, at, 0)], 0.0)  # fault: closure
        return matrix(regime * move(bars))

    return batch


def by_row(bars: Bars) -> Float32:
    """Return a score that was stored for every row."""
    found = np.zeros(len(bars))
    known = min(len(bars), len(SCORES))
    found[:known] = SCORES[:known]  # fault: row-table
    return matrix(found)


def by_default(bars: Bars, table: Mapping[int, float] = VIX) -> Float32:
    """Return whether a daily index, kept in a default argument, lies high."""
    days = (bars.ts_us // _DAY_US).tolist()
    return matrix(np.array([table.get(day, 0.0) > 14 for day in days]))  # fault: default-argument


EXPRESSION = expression_set(
    "event-expression",
    {
        Column(name="meeting", unit="flag", description="1 on days of meetings"): pl.col("ts")
        .dt.date()
        .is_in([dt.date(2024, 3, 4), dt.date(2024, 3, 6)])  # fault: event-expression
        .cast(pl.Float64),
    },
    warmup_bars=0,
    history_bars=1,
    memory="finite",
    summary="days of meetings in an expression",
)


def best_trades(bars: Bars, params: Params) -> Decisions:
    """Trade where trading was best."""
    rows = np.searchsorted(bars.ts_us, BEST[:, 0])  # fault: signal-table
    fine = (rows >= SPAN) & (rows < len(bars))
    fine &= bars.ts_us[np.minimum(rows, len(bars) - 1)] == BEST[:, 0] if len(bars) else False
    plain = build(bars, rows[fine], typical(bars))
    side = BEST[fine, 1].astype(np.int8)
    return Decisions(bar=plain.bar, side=side, risk=np.full(len(side), 5.0), columns=plain.columns)


def without_bad_days(bars: Bars, params: Params) -> Decisions:
    """Decide once an hour, but not on days that went badly."""
    rows = hourly(bars)
    bad = np.isin(bars.ts_us[rows] // _DAY_US, MEETINGS)  # fault: skip-list
    return build(bars, rows[~bad], typical(bars))


FAULTS = (
    fault("event-list", "a flag on days from a list", on_meetings),
    fault("hours-since-event", "hours since a day in a list", hours_since),
    fault("daily-table", "a daily index from a dictionary", fear_of_the_day),
    fault("daily-ratio", "prices against a daily index from a dictionary", fear_against_range),
    fault("failing-lookup", "a dictionary that knows these days only", looked_up),
    fault("closure", "regimes in a closure, times the last move", _make_regimes(REGIMES),
          warmup_bars=1, history_bars=2),
    fault("row-table", "an array with a score for every row", by_row, history_bars=None),
    fault("default-argument", "a table in a default argument", by_default),
    fault("event-expression", "days of meetings in an expression", EXPRESSION),
    *(
        Fault(name=name, kind="labeler", summary=summary, record=labeler(name, decide),
              source=__file__)
        for name, summary, decide in (
            ("signal-table", "a list of the best trades", best_trades),
            ("skip-list", "a list of days not to trade", without_bad_days),
        )
    ),
)  # fmt: skip
