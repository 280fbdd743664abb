"""Calendars against a second library, a published table and each override."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from ffm_core.bars.calendar import (
    DAY_US,
    override_rows,
    schedule,
    trading_dates,
    zone_changes,
)
from ffm_core.bars.instruments import lookup
from ffm_core.errors import ContractError

# The second library is not yet ready for the next pandas.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = date(1970, 1, 1)


def _us(day: date) -> int:
    return (day - EPOCH).days * DAY_US


def close_of(symbol: str, day: date) -> str | None:
    table = schedule(lookup(symbol), _us(day), _us(day))
    found = np.flatnonzero(table.days == (day - EPOCH).days)
    if len(found) == 0:
        return None
    stamp = datetime.fromtimestamp(table.close_us[found[0]] / 1e6, tz=NEW_YORK)
    assert stamp.date() == day
    return f"{stamp:%H:%M}"


# New York closes of 2026 by product class, from CME Group's published schedule.
PUBLISHED = {
    date(2026, 6, 19): {"GC": "13:00", "CL": "13:00", "ES": "13:00"},
    date(2026, 4, 3): {"GC": None, "CL": None, "ES": "09:15"},
    date(2026, 9, 7): {"GC": "14:30", "CL": "14:30", "ES": "13:00", "ZN": "13:00"},
    date(2026, 11, 27): {"GC": "14:45", "CL": "14:45", "ES": "13:15", "ZN": "13:15"},
    date(2026, 12, 24): {"GC": "13:45", "ES": "13:15"},
    date(2026, 3, 11): {"GC": "17:00", "ES": "17:00", "ZC": "14:20", "QQQ": "20:00"},
}


@pytest.mark.parametrize("day", PUBLISHED, ids=str)
def test_closes_of_2026(day):
    assert {s: close_of(s, day) for s in PUBLISHED[day]} == PUBLISHED[day]


def test_bonds_close_early_on_juneteenth_where_the_old_calendar_does_not():
    assert close_of("ZN", date(2026, 6, 19)) == "13:00"


ROWS = [row for row in override_rows() if "date" in row]
FIRST, LAST = date(2018, 1, 1), date(2026, 12, 31)


@pytest.fixture(scope="module")
def library():
    """Return each overridden calendar as the library has it: date to local close."""
    import pandas_market_calendars as markets

    found = {}
    for name in {name for row in ROWS for name in row["calendars"]}:
        market = markets.get_calendar(name)
        table = market.schedule(FIRST, LAST, tz=market.tz)["market_close"]
        regular = market.regular_market_times["market_close"][-1][1]
        found[name] = (regular, {day.date(): f"{close:%H:%M}" for day, close in table.items()})
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['calendars'][0]} {r['date']}")
def test_each_override_is_sourced_and_changes_something(row, library):
    assert row["source"]
    for name in row["calendars"]:
        regular, closes = library[name]
        days, early = trading_dates(name, FIRST, LAST)
        ours = dict(zip(days.tolist(), early.tolist(), strict=True))
        minutes = ours.get((row["date"] - EPOCH).days)
        if row.get("closed"):
            assert minutes is None
            assert row["date"] in closes  # else the row is superfluous
            continue
        if row.get("open"):
            assert minutes == 0
            assert row["date"] not in closes
            continue
        close = datetime.combine(row["date"], regular) - timedelta(minutes=minutes)
        assert f"{close:%H:%M}" == row["close"]
        assert closes.get(row["date"]) != row["close"]


@pytest.mark.parametrize(
    ("symbol", "other", "first"),
    [("FESX", "XEUR", date(2010, 1, 4)), ("QQQ", "XNYS", date(2010, 1, 4))],
)
def test_trading_days_agree_with_a_second_library(symbol, other, first):
    last = date(2026, 6, 30)
    ours, _ = trading_dates(lookup(symbol).calendar, first, last)
    theirs = exchange_calendars.get_calendar(other, start=first.isoformat()).sessions
    theirs = theirs[theirs <= pd.Timestamp(last)]
    expected = (theirs.values.astype("datetime64[D]")).astype(np.int64)
    assert np.array_equal(ours, expected)


def test_equity_days_agree_with_a_second_library_but_for_good_friday():
    # That library has one calendar for all of CME, without the morning sessions of
    # Good Fridays with an employment report and of National Days of Mourning.
    first, last = date(2015, 1, 2), date(2026, 6, 30)
    ours, _ = trading_dates("CME Globex Equity", first, last)
    sessions = exchange_calendars.get_calendar("CMES", start=first.isoformat()).sessions
    sessions = sessions[sessions <= pd.Timestamp(last)]
    theirs = sessions.values.astype("datetime64[D]").astype(np.int64)
    odd = [EPOCH + timedelta(days=int(d)) for d in np.setxor1d(ours, theirs)]
    fridays = [date(2015, 4, 3), date(2021, 4, 2), date(2023, 4, 7), date(2026, 4, 3)]
    assert odd == sorted([*fridays, date(2018, 12, 5), date(2025, 1, 9)])


def test_early_closes_of_the_exchange_agree_with_a_second_library():
    first, last = date(2012, 1, 3), date(2026, 6, 30)
    days, early = trading_dates("NYSE", first, last)
    calendar = exchange_calendars.get_calendar("XNYS", start=first.isoformat())
    theirs = calendar.early_closes
    theirs = theirs[theirs <= pd.Timestamp(last)].values.astype("datetime64[D]").astype(np.int64)
    assert np.array_equal(days[early > 0], theirs)
    assert set(early[early > 0].tolist()) == {180}


def test_extended_hours_shift_with_an_early_close():
    assert close_of("QQQ", date(2025, 7, 3)) == "17:00"


def test_sessions_are_in_order_and_do_not_overlap():
    for symbol in ("ES", "CL", "6E", "ZC", "FESX", "QQQ", "EURUSD", "BTCUSDT"):
        table = schedule(lookup(symbol), _us(date(2005, 6, 1)), _us(date(2026, 6, 1)))
        assert (table.open_us < table.close_us).all(), symbol
        assert (table.close_us[:-1] <= table.open_us[1:]).all(), symbol
        assert (np.diff(table.days) > 0).all(), symbol


def test_unknown_calendar_is_a_contract_error():
    with pytest.raises(ContractError, match="unknown trading calendar"):
        trading_dates("Lunar Exchange", date(2024, 1, 1), date(2024, 2, 1))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
def test_zone_changes_match_the_standard_library(zone):
    first, last = (date(2015, 1, 1) - EPOCH).days, (date(2020, 12, 31) - EPOCH).days
    changes, offsets = zone_changes(zone, first, last)
    assert len(changes) == 12
    rng = np.random.default_rng(0)
    near = np.concatenate([changes, changes - 60_000_000, changes + 60_000_000])
    for us in [*rng.integers(first * DAY_US, last * DAY_US, 200), *near]:
        stamp = datetime.fromtimestamp(int(us) / 1e6, tz=ZoneInfo(zone))
        expected = stamp.utcoffset().total_seconds() * 1e6
        assert offsets[np.searchsorted(changes, us, side="right")] == expected
