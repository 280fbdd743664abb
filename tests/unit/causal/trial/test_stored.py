"""Answers stored for dates or rows are told from calendars, trends, noise and inputs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ffm_core.bars.sessions import session_end_mask, trading_days
from ffm_core.bars.simulate import market
from ffm_core.bars.table import Bars
from ffm_core.causal import falsify_feature_set, falsify_labeler
from ffm_core.causal.process.client import Link
from ffm_core.records import Column, FeatureSet
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars
from ffm_core.testing.building import build, hourly, windows
from ffm_core.testing.specimens import CLEAN_LABELER

DAY_US = 86_400_000_000
YEAR = market("SIMA3", months=14, timeframe="30m")
MONTH = make_bars("trend", rows=1_200, seed=7)
FIRST = int(YEAR.ts_us[0] // DAY_US)
EVENTS = FIRST + np.array([3, 20, 31, 62, 88, 110, 153, 201, 249, 298, 340, 371])


def at_time(bars, stamp):
    """Return bars that begin near another moment, on the same weekday."""
    start = int(dt.datetime.fromisoformat(stamp).timestamp() * 1e6)
    by = (start - int(bars.ts_us[0])) // (7 * DAY_US) * 7 * DAY_US
    ts = pl.Series("ts", bars.ts_us + by).cast(pl.Datetime("us", "UTC"))
    return Bars(bars.frame.with_columns(ts), bars.instrument, bars.timeframe)


def proven(column, bars=MONTH, name="set"):
    def batch(given):
        return np.asarray(column(given), np.float32).reshape(-1, 1)

    made = FeatureSet(name=name, columns=(Column(name="value", unit="ratio"),), batch=batch,
                      warmup_bars=0, history_bars=None, memory="recursive")  # fmt: skip
    rows = np.arange(100, len(bars), 60)
    return falsify_feature_set(
        made, bars, decisions_bars=rows, seed=0, max_cuts=20, detectors=("stored",)
    )


def local_hour(bars):
    return bars.frame["ts"].dt.convert_time_zone("America/New_York").dt.hour().to_numpy()


def days_to_expiry(bars):
    ts = bars.frame["ts"]
    first = ts.dt.month_start().dt.weekday().to_numpy().astype(int)
    return (15 + (5 - first) % 7) - ts.dt.day().to_numpy().astype(int)


def session_end(bars):
    return session_end_mask(bars).astype(float)


def easter_week(bars):
    """Return 1 in the week of a moveable feast, by the rule of Gauss."""
    year = bars.frame["ts"].dt.year().to_numpy().astype(int)
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    parts = zip(year.tolist(), (f // 31).tolist(), (f % 31).tolist(), strict=True)
    day = np.array([dt.date(y, m, k + 1).toordinal() - 719_163 for y, m, k in parts])
    return np.abs(bars.ts_us // DAY_US - day) < 4


def moon(bars):
    return np.cos(2 * np.pi * bars.ts_us / (29.530588 * DAY_US))


def since_changed_hours(bars):
    return bars.ts_us >= YEAR.ts_us[len(YEAR) // 2]


def rules_until_2041(bars):
    known = bars.frame["ts"].dt.year().to_numpy() < 2042
    return np.where(known, days_to_expiry(bars), -1)


def the_year(bars):
    return bars.frame["ts"].dt.year().to_numpy()


def by_price(bars):
    return bars.close / windows(bars.close, 20).mean(axis=1)


def constant(bars):
    return np.full(len(bars), bars.instrument.tick_size)


def seeded(bars):
    return np.random.default_rng(3).random(len(bars))


def counted(bars):
    return np.minimum(np.arange(len(bars)), 50)


HONEST = (local_hour, days_to_expiry, session_end, easter_week, moon, since_changed_hours,
          rules_until_2041, the_year, by_price, constant, seeded, counted)  # fmt: skip


@pytest.mark.parametrize("column", HONEST)
def test_calendars_trends_noise_and_constants_are_left_alone(column):
    for bars in (YEAR, MONTH):
        found = proven(column, bars)
        assert found.status == "clean", (bars.stream, [told(f.reason) for f in found.failures])


def test_clocks_that_changed_by_other_rules_are_left_alone():
    old = at_time(YEAR, "2003-02-03T00:00:00")
    for column in (local_hour, session_end):
        assert proven(column, old).status == "clean"


def flags(bars):
    return np.isin(bars.ts_us // DAY_US, EVENTS)


def last_reading(bars):
    at = np.searchsorted(EVENTS, bars.ts_us // DAY_US, side="right") - 1
    return np.where(at >= 0, np.sqrt(np.maximum(at, 0) + 2.0), np.nan)


def until_next(bars):
    at = np.searchsorted(EVENTS * DAY_US, bars.ts_us)
    left = (EVENTS[np.minimum(at, len(EVENTS) - 1)] * DAY_US - bars.ts_us) / DAY_US
    return np.where(at < len(EVENTS), left, np.nan)


def since_last(bars):
    at = np.searchsorted(EVENTS * DAY_US, bars.ts_us, side="right") - 1
    return np.where(at >= 0, (bars.ts_us - EVENTS[np.maximum(at, 0)] * DAY_US) / DAY_US, np.nan)


def times_price(bars):
    return np.where(flags(bars), 0.5, 1.0) * by_price(bars)


STORED = (flags, last_reading, until_next, since_last, times_price)


@pytest.mark.parametrize("column", STORED)
def test_what_is_tied_to_its_dates_is_refused(column):
    (failure,) = proven(column, YEAR).failures
    assert (failure.check, failure.column) == ("stored", "value")
    assert failure.reason.kind == "stored_dates"
    assert failure.reason.numbers["days"] >= 4
    assert "declared input" in told(failure.repair)
    assert "stored for these dates" in told(failure.reason)


def test_the_line_that_reads_the_table_is_named():
    (failure,) = proven(flags, YEAR).failures
    assert failure.line.startswith("test_stored.py")
    assert "EVENTS" in failure.line
    assert "it reads the table EVENTS" in told(failure.repair)


def test_a_table_by_row_is_refused_and_noise_by_row_is_not():
    table = np.random.default_rng(0).normal(size=len(MONTH))

    def padded(bars):
        return np.pad(table, (0, max(len(bars) - len(table), 0)))[: len(bars)]

    (failure,) = proven(padded).failures
    assert failure.reason.kind == "stored_rows"
    (failure,) = proven(lambda bars: [table[i] for i in range(len(bars))]).failures
    assert failure.reason.kind == "stored_ends"


def labels(keep):
    def decide(bars, params):
        rows = hourly(bars)
        return build(bars, rows[keep(bars, rows)], by_price(bars))

    made = replace(CLEAN_LABELER, decide=decide, history_bars=None)
    return falsify_labeler(made, YEAR, {}, seed=0, max_cuts=20, detectors=("stored",))


def in_session(bars, rows):
    days = trading_days(bars)
    last = np.append(np.diff(days) > 1, False)  # before a weekend or a holiday
    return ~np.isin(days[rows], days[last])


def test_decisions_by_a_calendar_are_left_alone_and_by_a_list_refused():
    assert labels(in_session).status == "clean"
    (failure,) = labels(lambda bars, rows: ~flags(bars)[rows]).failures
    assert failure.column == "decision"


def test_a_list_among_conditions_of_a_calendar_is_refused():
    many = FIRST + np.arange(3, 400, 9)

    def both(bars, rows):
        return in_session(bars, rows) & ~np.isin(bars.ts_us[rows] // DAY_US, many)

    (failure,) = labels(both).failures
    assert failure.column == "decision"


def test_an_honest_plug_in_is_asked_twice(monkeypatch):
    asked = []
    for name in ("elsewhere", "walked"):
        plain = getattr(Link, name)

        def noted(link, *args, plain=plain, name=name):
            asked.append(name)
            return plain(link, *args)

        monkeypatch.setattr(Link, name, noted)
    assert proven(by_price).status == "clean"
    assert asked == ["elsewhere", "walked"]
