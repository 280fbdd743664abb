"""The local clock inside kernels against the zone database of Python and the bars' dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ffm_core.bars.instruments import lookup
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.features.clock import (
    DAY_US,
    HOUR_US,
    remembered_wall_us,
    trading_clock,
    wall_us,
    zone_table,
)
from ffm_core.testing import make_bars

ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney", "UTC")
_EPOCH = datetime(1970, 1, 1)


def expected_wall(stamp, zone):
    local = datetime.fromtimestamp(stamp / 1e6, tz=UTC).astimezone(ZoneInfo(zone))
    return round((local.replace(tzinfo=None) - _EPOCH).total_seconds() * 1e6)


def stamps():
    """Return stamps of many years, and every half hour around two changes of the clocks."""
    rng = np.random.default_rng(0)
    spread = rng.integers(631_152_000, 4_000_000_000, 300) * 1_000_000
    changes = [datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(2024, 11, 3, 6, tzinfo=UTC)]
    near = [
        int(moment.timestamp()) * 1_000_000 + k * HOUR_US // 2
        for moment in changes
        for k in range(-6, 7)
    ]
    return np.sort(np.concatenate([spread, near])).tolist()


@pytest.mark.parametrize("zone", ZONES)
def test_wall_time_is_that_of_the_zone_database(zone):
    table = np.concatenate([np.array([7, 7]), zone_table(zone)])
    memory = np.zeros(5, dtype=np.int64)
    for stamp in stamps():
        assert wall_us(stamp, table, 2) == expected_wall(stamp, zone)
        assert remembered_wall_us(stamp, table, 2, memory, 1) == expected_wall(stamp, zone)
    assert memory[0] == memory[4] == 0


def test_the_remembered_offset_serves_stamps_in_any_order():
    table, memory = zone_table("America/New_York"), np.zeros(3, dtype=np.int64)
    for stamp in np.random.default_rng(1).permutation(stamps()).tolist():
        expected = expected_wall(stamp, "America/New_York")
        assert remembered_wall_us(stamp, table, 0, memory, 0) == expected


@pytest.mark.parametrize(
    ("symbol", "zone", "shift_hours"),
    [("ES", "America/New_York", 6), ("ZC", "America/Chicago", 5), ("QQQ", "America/New_York", 0),
     ("FESX", "Europe/Berlin", 0), ("EURUSD", "America/New_York", 7), ("BTCUSDT", "UTC", 0)],
)  # fmt: skip
def test_the_trading_clock_turns_midnight_at_the_session_open(symbol, zone, shift_hours):
    assert trading_clock(lookup(symbol)) == (zone, shift_hours * HOUR_US)


def test_its_date_is_the_trading_date_where_the_calendar_trades():
    plain = make_bars("random", 4_000)  # through a change of clocks
    simulated = market("SIMA4", months=3, timeframe="30m")
    around = make_bars("clock", 1_000)
    for bars in (plain, simulated, around):
        zone, shift = trading_clock(bars.instrument)
        table = zone_table(zone)
        dates = [(wall_us(ts, table, 0) + shift) // DAY_US for ts in bars.ts_us.tolist()]
        np.testing.assert_array_equal(dates, trading_days(bars))


def test_a_market_without_sessions_keeps_utc_whatever_its_zone():
    row = replace(lookup("ES"), calendar="24/7")
    assert trading_clock(row) == ("UTC", 0)


def test_a_zone_table_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        zone_table("UTC")[0] = 1
