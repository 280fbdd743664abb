"""Sessions by rule against a calendar library we did not write."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas_market_calendars
import pytest

from ffm_core.bars.simulate_calendar import grid, session_minutes


def test_sessions_agree_with_the_exchange_calendar_for_ten_years():
    calendar = pandas_market_calendars.get_calendar("CME Globex Equity")
    table = calendar.schedule("2022-01-01", "2031-12-31", start="market_open", end="market_close")
    length = (table["market_close"] - table["market_open"]).dt.total_seconds() // 60
    wanted = {day.date(): int(minutes) for day, minutes in length.items()}
    day, differing = dt.date(2022, 1, 1), []
    while day.year < 2032:
        if session_minutes(day) != wanted.get(day, 0):
            differing.append(day)
        day += dt.timedelta(days=1)
    assert differing == []
    assert len(set(wanted.values())) == 4  # whole days and three kinds of early close


def test_bars_open_inside_the_sessions_of_the_exchange_calendar():
    layout = grid(26, 300)
    calendar = pandas_market_calendars.get_calendar("CME Globex Equity")
    table = calendar.schedule("2022-01-01", "2024-02-29", start="market_open", end="market_close")
    opens, closes = (
        table[name].dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
        for name in ("market_open", "market_close")
    )
    session = np.searchsorted(opens, layout.ts_us, side="right") - 1
    assert (layout.ts_us < closes[session]).all()
    assert layout.ts_us[layout.first].tolist() == opens.tolist()  # both sides of clock changes
    per_session = np.bincount(session)
    assert per_session.tolist() == ((closes - opens) // 300_000_000).tolist()


def test_no_bar_in_the_break_or_on_a_weekend():
    layout = grid(14, 1800)
    stamps = layout.ts_us.astype("datetime64[us]")
    weekday = (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7
    hour = layout.ts_us // 3_600_000_000 % 24
    assert not (weekday == 5).any()  # Saturday, UTC
    assert (hour[weekday == 6] >= 22).all()  # Sunday evening only
    gap = np.diff(layout.ts_us) // 60_000_000
    assert gap[layout.first[1:]].min() == 90
    assert set(gap[~layout.first[1:]]) == {30}


def test_hours_shut_and_early_closes():
    layout = grid(12, 3600)
    assert (layout.hours_shut > 0).tolist() == layout.first.tolist()
    assert {1.0, 49.0} <= set(layout.hours_shut[layout.first])
    short = layout.fraction < 1
    assert set(layout.fraction[short]) == {0.25}  # a close at 13:15 in bars of an hour
    assert short.sum() == 1


@pytest.mark.parametrize(
    ("day", "contract"),
    [("2022-03-09", "H22"), ("2022-03-10", "M22"), ("2022-12-07", "Z22"), ("2022-12-08", "H23")],
)
def test_front_contract_changes_a_week_before_expiry(day, contract):
    layout = grid(12, 3600)
    number = (np.datetime64(day) - np.datetime64("1970-01-01")).astype(int)
    codes = set(layout.contract[layout.day == number])
    assert {layout.contract_names[code] for code in codes} == {contract}
