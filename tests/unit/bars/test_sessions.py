from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from ffm_core.bars.instruments import lookup
from ffm_core.bars.sessions import (
    day_grid,
    exchange_hours,
    holes,
    session_end_mask,
    session_length_us,
    sessions_of,
    to_stamp,
    trading_days,
    wall_us,
)

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600_000_000


def _dates(days):
    return [(date(1970, 1, 1) + timedelta(days=int(d))).isoformat() for d in days]


def test_trading_date_rolls_at_18_new_york(make):
    stamps = ["2024-03-05 21:55", "2024-03-05 22:55", "2024-03-05 23:00", "2024-03-06 04:59",
              "2024-07-09 21:55", "2024-07-09 22:00"]  # fmt: skip
    assert _dates(trading_days(make(stamps=stamps))) == [
        "2024-03-05", "2024-03-05", "2024-03-06", "2024-03-06", "2024-07-09", "2024-07-10",
    ]  # fmt: skip


def test_a_slow_plain_version_agrees_over_a_year_of_hours(make):
    bars = make(start="2023-06-01 00:00", minutes=60, rows=24 * 400)
    days, _ = day_grid(bars)
    calendar = set(_dates(days))
    for index in range(0, len(bars), 7):
        local = datetime.fromtimestamp(bars.ts_us[index] / 1e6, tz=NEW_YORK)
        day = (local.replace(tzinfo=None) + timedelta(hours=6)).date()
        while day.isoformat() not in calendar:
            day += timedelta(days=1)
        assert _dates(trading_days(bars)[index : index + 1]) == [day.isoformat()]
        assert exchange_hours(bars)[index] == local.hour


def test_sunday_evening_belongs_to_monday(make):
    assert _dates(trading_days(make(stamps=["2024-03-03 23:00", "2024-03-03 23:05"]))) == [
        "2024-03-04",
        "2024-03-04",
    ]


def test_utc_dates_for_markets_that_never_close(make):
    bars = make("BTCUSDT", stamps=["2024-03-02 23:55", "2024-03-03 00:00"])
    assert _dates(trading_days(bars)) == ["2024-03-02", "2024-03-03"]
    assert not session_end_mask(bars).any()
    assert _dates(day_grid(bars)[0]) == ["2024-03-02", "2024-03-03"]


def test_local_dates_without_an_evening_open(make):
    bars = make("QQQ", stamps=["2024-03-05 14:30", "2024-03-06 00:55", "2024-03-06 09:00"])
    assert _dates(trading_days(bars)) == ["2024-03-05", "2024-03-05", "2024-03-06"]


def test_bars_on_a_closed_day_count_to_the_next_one(make):
    bars = make("GC", stamps=["2024-03-29 12:00", "2024-04-01 12:00"])
    assert _dates(trading_days(bars)) == ["2024-04-01", "2024-04-01"]


@pytest.mark.parametrize("symbol", ["ES", "GC", "ZC", "FESX", "QQQ", "EURUSD", "BTCUSDT"])
def test_every_trading_day_is_in_the_grid(make, symbol):
    bars = make(symbol, start="2023-11-01 00:00", minutes=60, rows=24 * 120)
    days, opens = day_grid(bars)
    assert np.isin(trading_days(bars), days).all()
    assert (np.diff(days) > 0).all()
    assert (np.diff(opens) > 0).all()


def test_session_end_is_the_scheduled_close(make):
    bars = make(start="2024-03-04 23:00", rows=12 * 23 * 2 + 30)
    ends = np.flatnonzero(session_end_mask(bars))
    assert [to_stamp(int(bars.ts_us[i])) for i in ends] == ["2024-03-05T21:55Z"] + (
        ["2024-03-06T21:55Z"] if len(ends) == 2 else []
    )


def test_session_end_knows_early_closes(make):
    bars = make(start="2024-07-03 00:00", rows=12 * 24 * 2)
    ends = [to_stamp(int(us)) for us in bars.ts_us[session_end_mask(bars)]]
    assert ends == ["2024-07-03T17:10Z", "2024-07-04T16:55Z"]


def test_a_missing_next_bar_ends_no_session(make):
    bars = make(stamps=["2024-03-05 15:00", "2024-03-05 15:05", "2024-03-06 15:00"])
    assert not session_end_mask(bars).any()


def test_a_coarse_bar_that_holds_the_close_ends_the_session(make):
    bars = make(start="2024-11-29 00:00", minutes=60, rows=30)
    ends = [to_stamp(int(us)) for us in bars.ts_us[session_end_mask(bars)]]
    assert ends == ["2024-11-29T18:00Z"]  # 13:15 New York lies in the 13:00 bar


def test_removing_the_future_changes_no_session(make):
    bars = make(start="2024-03-01 00:00", minutes=30, rows=3000)
    for stop in (10, 777, 2001):
        part = bars[:stop]
        assert np.array_equal(trading_days(part), trading_days(bars)[:stop])
        assert np.array_equal(session_end_mask(part), session_end_mask(bars)[:stop])
        assert np.array_equal(wall_us(part), wall_us(bars)[:stop])


def test_day_grid_holds_days_without_bars(make):
    bars = make(stamps=["2024-03-05 15:00", "2024-03-05 15:05", "2024-03-08 15:00"])
    days, opens = day_grid(bars)
    assert _dates(days) == ["2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"]
    assert to_stamp(int(opens[0])) == "2024-03-04T23:00Z"


def test_hours_across_the_clock_change(make):
    bars = make(stamps=["2024-03-10 22:00", "2024-03-08 23:00"][::-1])
    assert exchange_hours(bars).tolist() == [18, 18]


@pytest.mark.parametrize(
    ("symbol", "hours"), [("ES", 23), ("BTCUSDT", 24), ("QQQ", 16), ("EURUSD", 24), ("FESX", 21)]
)
def test_session_length(symbol, hours):
    assert session_length_us(lookup(symbol)) == hours * HOUR


def test_no_bars_are_no_error(make):
    empty = make()[:0]
    assert len(trading_days(empty)) == len(session_end_mask(empty)) == 0
    assert len(day_grid(empty)[0]) == len(exchange_hours(empty)) == 0


def test_a_hundred_thousand_bars_in_a_blink(make):
    bars = make(start="2022-01-03 00:00", rows=100_000)
    trading_days(bars), session_end_mask(bars)  # builds the calendar
    start = time.process_time()  # of this process: others may keep the machine busy
    trading_days(bars), session_end_mask(bars)
    assert time.process_time() - start < 0.5  # usually a tenth of this


def test_stamps_are_spelled_in_utc():
    us = int(datetime(2024, 3, 11, 14, 31, 7, tzinfo=UTC).timestamp()) * 1_000_000
    assert to_stamp(us) == "2024-03-11T14:31:07Z"
    assert to_stamp(us - 7_000_000) == "2024-03-11T14:31Z"


class TestHoles:
    """A hole is time in which the market was open, the file keeps hours, and has no bar."""

    def kept(self, bars, keep):
        return replace(bars, frame=bars.frame.filter(pl.Series(keep)))

    def year(self, make, symbol="ES", minutes=30):
        """Every scheduled bar of a year."""
        bars = make(symbol, start="2023-01-02 23:00", minutes=minutes, rows=365 * 1440 // minutes)
        table = sessions_of(bars)
        place = np.maximum(np.searchsorted(table.open_us, bars.ts_us, side="right") - 1, 0)
        return self.kept(bars, bars.ts_us < table.close_us[place])

    def test_a_whole_file_has_none(self, make):
        for symbol in ("ES", "GC", "6E", "ZC", "QQQ", "BTCUSDT"):
            bars = self.year(make, symbol)
            assert holes(bars)[-1] == 0, symbol

    def test_an_outage_is_one_whatever_the_bars_before_and_after(self, make):
        bars = self.year(make)
        gone = np.zeros(len(bars), bool)
        gone[1000:1007] = True  # seven bars of half an hour
        assert holes(self.kept(bars, ~gone))[-1] == 1
        gone[1006] = False
        assert holes(self.kept(bars, ~gone))[-1] == 0

    def test_the_hours_a_file_keeps_are_no_holes_and_a_day_that_lacks_them_is(self, make):
        bars = self.year(make)
        hour = exchange_hours(bars)
        regular = self.kept(bars, (hour >= 9) & (hour < 16))
        assert holes(regular)[-1] == 0
        days = trading_days(regular)
        some = np.unique(days)[[40, 90]]
        thin = self.kept(regular, ~(np.isin(days, some) & (exchange_hours(regular) > 10)))
        assert holes(thin)[-1] == 2
        assert holes(self.kept(regular, ~np.isin(days, some)))[-1] == 2

    def test_a_weekday_that_is_always_cut_short_is_a_hole_every_week(self, make):
        bars = self.year(make)
        tuesday = (trading_days(bars) + 3) % 7 == 1
        cut = tuesday & (exchange_hours(bars) >= 4) & (exchange_hours(bars) < 17)
        weeks = len(np.unique(trading_days(bars)[cut]))
        assert holes(self.kept(bars, ~cut))[-1] == weeks - 1  # after the last no bar follows

    def test_hours_that_change_with_the_year_are_those_of_each_year(self, make):
        bars = make("ES", start="2022-01-02 23:00", minutes=30, rows=2 * 365 * 48)
        table = sessions_of(bars)
        place = np.maximum(np.searchsorted(table.open_us, bars.ts_us, side="right") - 1, 0)
        year = bars.ts_us.astype("datetime64[us]").astype("datetime64[Y]").astype(int)
        hour = exchange_hours(bars)
        open_ = bars.ts_us < table.close_us[place]
        assert holes(self.kept(bars, open_ & ((year == 53) | ((hour >= 9) & (hour < 16)))))[-1] == 0

    def test_a_few_sessions_say_nothing_of_the_hours_a_file_keeps(self, make):
        bars = self.year(make)[: 10 * 46]
        hour = exchange_hours(bars)
        assert holes(self.kept(bars, (hour >= 9) & (hour < 16)))[-1] == 9

    def test_a_slow_plain_version_agrees(self, make):
        rng = np.random.default_rng(7)
        bars = self.year(make)
        stretches = np.repeat(rng.random(len(bars) // 40 + 1) > 0.05, 40)[: len(bars)]
        bars = self.kept(bars, stretches)
        found = np.diff(holes(bars)) > 0
        table = sessions_of(bars)
        span = list(zip(table.open_us.tolist(), table.close_us.tolist(), strict=True))
        for i in range(len(bars) - 1):
            if bars.ts_us[i + 1] - bars.ts_us[i] == bars.timeframe.us:
                assert not found[i]
                continue
            left, right = int(bars.ts_us[i]) + bars.timeframe.us, int(bars.ts_us[i + 1])
            missing = sum(max(0, min(b, right) - max(a, left)) for a, b in span)
            whole = any(left <= a and b <= right for a, b in span)
            assert found[i] == (missing > 6 * bars.timeframe.us or whole)


def test_ascending_values_are_met_once():
    from ffm_core.bars.sessions import _once

    values = np.array([0, 0, 1, 1, 1, 5, 9, 9])
    np.testing.assert_array_equal(_once(values), np.unique(values))
    assert _once(values[:0]).size == 0
