from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from ffm_features_qe150.days import ZONE_AT, day_table, trading_date
from ffm_features_qe150.expiry import FIRST_DAY, days_to_last_trade, last_trade_days
from ffm_features_qe150.time import TIME

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import known, lookup
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.features.clock import wall_us
from ffm_core.features.steps import run_programs

NAMES = [column.name for column in TIME.columns]
NEW_YORK, UTC = ZoneInfo("America/New_York"), dt.UTC
EPOCH = dt.date(1970, 1, 1)

# Days in 2022 on which U.S. exchanges are shut, as they published them.
SHUT = [
    "2022-01-17",
    "2022-02-21",
    "2022-04-15",
    "2022-05-30",
    "2022-06-20",
    "2022-07-04",
    "2022-09-05",
    "2022-11-24",
    "2022-12-26",
    "2023-01-02",
    "2023-01-16",
    "2023-02-20",
]


def bars_at(stamps, symbol="ES", timeframe="5m"):
    us = [int((stamp - dt.datetime(1970, 1, 1, tzinfo=UTC)) / dt.timedelta(microseconds=1))
          for stamp in stamps]  # fmt: skip
    one = np.full(len(us), 100.0)
    frame = pl.DataFrame(
        {"ts": pl.Series(us, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
         **dict.fromkeys(("open", "high", "low", "close", "volume"), one)}
    )  # fmt: skip
    instrument = lookup(symbol) if isinstance(symbol, str) else symbol
    return Bars(frame, instrument, Timeframe.parse(timeframe))


def rows(stamps, symbol="ES", timeframe="5m"):
    found = run_programs([TIME], bars_at(stamps, symbol, timeframe))
    return [dict(zip(NAMES, row.tolist(), strict=True)) for row in found]


def local(text, zone=NEW_YORK):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


def one(text, symbol="ES", timeframe="5m", zone=NEW_YORK):
    return rows([local(text, zone)], symbol, timeframe)[0]


ORDER = """
    tm_tod_sin tm_tod_cos tm_dow_sin tm_dow_cos tm_dom tm_moy_sin tm_moy_cos tm_is_rth
    tm_since_rth_open tm_to_rth_close tm_asia tm_europe tm_us tm_first_hour tm_last_hour
    tm_days_to_exp tm_roll_week tm_month_end tm_gap_min tm_day_frac
"""


def test_the_names_are_the_twenty_in_order():
    assert ORDER.split() == NAMES


@pytest.fixture(scope="module")
def year():
    """A simulated year of ES with holes: half days, holidays, both clock changes."""
    bars = market("SIMA3", months=12, timeframe="30m")
    keep = np.random.default_rng(1).random(len(bars)) > 0.05
    return Bars(bars.frame.filter(pl.Series(keep)), lookup("ES"), bars.timeframe)


def expected(bars):
    """The twenty columns of ES by datetime and numpy's business-day calendar."""
    early = {dt.date.fromisoformat(day) for day in SHUT} - {dt.date(2022, 12, 26)}
    quarter_past = {dt.date(2022, 11, 25)}
    out, previous, seen = [], None, {}
    days = (EPOCH + dt.timedelta(days=int(day)) for day in trading_days(bars))
    for us, date in zip(bars.ts_us.tolist(), days, strict=True):
        stamp = dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=us)
        clock = stamp.astimezone(NEW_YORK)
        minute = clock.hour * 60 + clock.minute
        turn = 2 * math.pi * ((minute - 1080) % 1440) / 1440
        opens = dt.datetime.combine(date, dt.time(9, 30), NEW_YORK).astimezone(UTC)
        closes = dt.datetime.combine(date, dt.time(16, 0), NEW_YORK).astimezone(UTC)
        if date in early or date in quarter_past:
            half = dt.time(13, 0) if date in early else dt.time(13, 15)
            closes = dt.datetime.combine(date, half, NEW_YORK).astimezone(UTC)
        if date == dt.date(2022, 4, 15):
            closes = opens
        length = max((closes - opens).total_seconds(), 1e-9)
        inside = opens <= stamp < closes
        passed, left = (stamp - opens).total_seconds(), (closes - stamp).total_seconds()
        seen[date] = seen.get(date, 0) + 1
        out.append([
            math.sin(turn), math.cos(turn),
            math.sin(2 * math.pi * date.weekday() / 5), math.cos(2 * math.pi * date.weekday() / 5),
            (date.day - 1) / 30,
            math.sin(2 * math.pi * (date.month - 1) / 12),
            math.cos(2 * math.pi * (date.month - 1) / 12),
            inside, min(max(passed / length, 0), 1), left / length if inside else 0,
            minute >= 1080 or minute < 180, 180 <= minute < 570, 570 <= minute < 1020,
            inside and passed < 3600, inside and left <= 3600,
            min(business_days_to_expiry(date) / 66, 1), business_days_to_expiry(date) <= 8,
            is_month_end(date),
            math.nan if previous is None else math.log(1 + max(us - previous - 18e8, 0) / 6e7),
            min(seen[date] / 46, 1.2),
        ])  # fmt: skip
        previous = us
    return np.array(out, dtype=np.float64)


def business_days_to_expiry(date):
    fridays = ["2022-03-18", "2022-06-17", "2022-09-16", "2022-12-16", "2023-03-17"]
    last = next(day for day in fridays if day >= date.isoformat())
    after = [date + dt.timedelta(days=1), dt.date.fromisoformat(last) + dt.timedelta(days=1)]
    return int(np.busday_count(*[day.isoformat() for day in after], holidays=SHUT))


def is_month_end(date):
    day = np.busday_offset(date.isoformat(), 0, roll="forward", holidays=SHUT)
    following = np.datetime64(day, "M") + 1
    return np.busday_count(day, following.astype("datetime64[D]"), holidays=SHUT) <= 3


def test_every_column_equals_the_calendar_arithmetic_of_datetime(year):
    found = run_programs([TIME], year)
    wanted = expected(year)
    for column, name in enumerate(NAMES):
        np.testing.assert_allclose(
            found[:, column], wanted[:, column], rtol=1e-6, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize(
    ("symbol", "expiries"),
    [
        ("ES", "2008-03-20 2019-06-21 2020-12-18 2024-03-15 2024-06-21 2025-09-19"),
        ("CL", "2020-04-21 2023-11-20 2023-12-19 2024-01-22 2024-05-21 2025-01-21"),
        ("MCL", "2023-11-17 2024-01-19"),
        ("NG", "2023-11-28 2023-12-27 2024-01-29 2024-02-27"),
        ("GC", "2023-12-27 2024-02-27 2024-04-26"),
        ("SI", "2023-12-27 2024-03-26 2024-05-29"),
        ("ZN", "2023-12-19 2024-03-19 2024-06-18"),
        ("ZF", "2023-12-29 2024-03-28 2024-06-28"),
        ("6E", "2023-12-18 2024-03-18 2024-06-17 2024-09-16"),
        ("ZC", "2023-12-14 2024-03-14 2024-12-13"),
        ("NIY", "2023-12-07 2024-03-07"),
        ("FESX", "2023-12-15 2024-03-15"),
    ],
)
def test_last_trading_days_are_the_published_ones(symbol, expiries):
    days = set(last_trade_days(lookup(symbol)).tolist())
    for text in expiries.split():
        assert (dt.date.fromisoformat(text) - EPOCH).days in days, text
    left = days_to_last_trade(lookup(symbol))
    on_the_day = (dt.date.fromisoformat(expiries.split()[0]) - EPOCH).days - FIRST_DAY
    assert left[on_the_day] == 0
    assert left[on_the_day - 1] <= 1 < left[on_the_day + 1]


def test_expiry_is_missing_where_nothing_rolls():
    for symbol in ("BTCUSDT", "QQQ", "XAUUSD"):
        row = one("2024-03-13T12:00", symbol)
        assert math.isnan(row["tm_days_to_exp"])
        assert math.isnan(row["tm_roll_week"])
        assert not math.isnan(row["tm_month_end"])
    unknown = replace(lookup("CL"), symbol="QX")
    assert math.isnan(rows([local("2024-03-13T12:00")], unknown)[0]["tm_days_to_exp"])


def test_roll_week_begins_eight_business_days_before_the_last_trading_day():
    flags = [one(f"2024-03-{day:02d}T12:00")["tm_roll_week"] for day in (4, 5, 15, 18)]
    assert flags == [0, 1, 1, 0]
    assert one("2024-03-14T18:00")["tm_days_to_exp"] == 0  # the evening belongs to Friday


def test_the_trading_date_begins_in_the_evening():
    thursday, friday = one("2024-02-29T16:55"), one("2024-02-29T18:00")
    assert thursday["tm_month_end"] == 1
    assert friday["tm_month_end"] == 0
    assert thursday["tm_dom"] == pytest.approx(28 / 30)
    assert friday["tm_dom"] == 0
    assert friday["tm_tod_sin"] == 0
    assert friday["tm_tod_cos"] == 1


def test_the_last_three_business_days_skip_weekends_and_holidays():
    # May 2021 ended on Memorial Day; the last business days were 26, 27 and 28.
    flags = {day: one(f"2021-05-{day}T10:00")["tm_month_end"] for day in (25, 26, 28, 31)}
    assert flags == {25: 0, 26: 1, 28: 1, 31: 0}
    weekend = [one(f"2024-03-{day}T10:00", "BTCUSDT")["tm_month_end"] for day in (28, 29, 30, 31)]
    assert weekend == [0, 1, 1, 1]


def test_regular_hours_follow_their_own_zone_and_the_clock_changes():
    assert [one(f"2024-03-{day}T13:30", zone=UTC)["tm_is_rth"] for day in ("08", "11")] == [0, 1]
    tokyo = ZoneInfo("Asia/Tokyo")
    assert one("2024-06-04T08:40", "NIY", zone=tokyo)["tm_is_rth"] == 0
    row = one("2024-06-04T08:45", "NIY", zone=tokyo)
    assert (row["tm_is_rth"], row["tm_since_rth_open"], row["tm_first_hour"]) == (1, 0, 1)
    assert one("2024-06-04T15:40", "NIY", zone=tokyo)["tm_last_hour"] == 1
    assert one("2024-06-04T15:45", "NIY", zone=tokyo)["tm_is_rth"] == 0


def test_a_half_day_ends_its_regular_hours_early():
    before = one("2024-11-29T12:00")  # the Friday after Thanksgiving closes at 13:15
    assert before["tm_last_hour"] == 0
    row = one("2024-11-29T12:30")
    assert row["tm_last_hour"] == 1
    assert row["tm_to_rth_close"] == pytest.approx(45 / 225)
    assert row["tm_since_rth_open"] == pytest.approx(180 / 225)
    fund = one("2024-11-29T12:30", "QQQ")  # shares close at 13:00 and trade on until 17:00
    assert fund["tm_to_rth_close"] == pytest.approx(30 / 210)
    assert one("2024-11-29T13:00", "QQQ")["tm_is_rth"] == 0
    full = one("2024-11-27T12:30")
    assert full["tm_to_rth_close"] == pytest.approx(210 / 390)


def test_the_gap_counts_from_the_close_of_the_bar_before():
    found = rows([local("2024-03-08T16:50"), local("2024-03-08T16:55"), local("2024-03-10T18:00")])
    gaps = [row["tm_gap_min"] for row in found]
    assert math.isnan(gaps[0])
    assert gaps[1] == 0
    assert gaps[2] == pytest.approx(math.log(1 + 48 * 60))  # the weekend of the clock change


def test_days_of_24_7_markets_are_utc_days_and_weeks_have_seven():
    row = one("2024-03-10T00:00", "BTCUSDT", "1h", zone=UTC)  # a Sunday
    assert row["tm_dow_sin"] == pytest.approx(math.sin(2 * math.pi * 6 / 7), abs=1e-6)
    assert row["tm_tod_cos"] == 1
    assert row["tm_is_rth"] == 1
    assert row["tm_day_frac"] == pytest.approx(1 / 24)


def test_daily_bars_have_no_time_of_day():
    row = one("2024-03-07T18:00", timeframe="1d")
    blank = {name for name, value in row.items() if math.isnan(value)}
    assert blank == {
        "tm_tod_sin", "tm_tod_cos", "tm_is_rth", "tm_since_rth_open", "tm_to_rth_close", "tm_asia",
        "tm_europe", "tm_us", "tm_first_hour", "tm_last_hour", "tm_day_frac", "tm_gap_min",
    }  # fmt: skip


def test_beyond_the_tables_the_calendar_is_silent():
    row = one("2041-03-05T12:00")
    assert math.isnan(row["tm_is_rth"])
    assert math.isnan(row["tm_days_to_exp"])
    assert math.isnan(row["tm_month_end"])
    assert row["tm_dom"] == pytest.approx(4 / 30)


@pytest.mark.parametrize("symbol", sorted({i.calendar: i.symbol for i in known()}.values()))
def test_trading_dates_are_those_of_the_bars(symbol):
    rng = np.random.default_rng(7)
    hours = np.sort(rng.choice(24 * 365 * 49, 1_500, replace=False)).tolist()
    hours += range(24 * 365 * 30, 24 * 365 * 31)  # and one year by the hour, weekends too
    stamps = [dt.datetime(1990, 2, 1, tzinfo=UTC) + dt.timedelta(hours=h) for h in sorted(hours)]
    bars = bars_at(stamps, symbol, "1h")
    table = day_table(bars.instrument, bars.timeframe)
    found = [trading_date(wall_us(ts, table, table[ZONE_AT]), table) for ts in bars.ts_us.tolist()]
    np.testing.assert_array_equal(found, trading_days(bars))
