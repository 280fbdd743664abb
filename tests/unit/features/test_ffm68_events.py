"""Sessions, swings and longer bars of ``ffm68`` on bars written out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.features.ffm68 import FFM68
from ffm_core.features.ffm68.sessions import NOMINAL_US, SESSIONS, session_numbers

NAMES = [column.name for column in FFM68.columns]
NEW_YORK = ZoneInfo("America/New_York")


def bars_at(opens, prices, *, symbol="ES", minutes=5, volume=None):
    """Make bars at New York times; a price is a close or (open, high, low, close)."""
    stamps = [moment.replace(tzinfo=NEW_YORK).astimezone(ZoneInfo("UTC")) for moment in opens]
    table = np.array([[p] * 4 if np.isscalar(p) else p for p in prices], dtype=float)
    frame = pl.DataFrame(
        {
            "ts": pl.Series(stamps).cast(pl.Datetime("us", "UTC")),
            **{name: table[:, k] for k, name in enumerate(("open", "high", "low", "close"))},
            "volume": np.full(len(table), 10.0) if volume is None else np.array(volume, float),
        }
    )
    return Bars(frame, lookup(symbol), Timeframe(60 * minutes))


def grid(first, n, minutes=5):
    return [first + timedelta(minutes=minutes * k) for k in range(n)]


def column(bars, name):
    return FFM68.batch(bars)[:, NAMES.index(name)].astype(float)


def walk(n, seed=0):
    """Return ``n`` bars on the tick grid with ranges of some points."""
    rng = np.random.default_rng(seed)
    close = 4_000.0 + np.cumsum(rng.integers(-8, 9, n)) * 0.25
    open_ = np.append(4_000.0, close[:-1])
    high = np.maximum(open_, close) + rng.integers(0, 9, n) * 0.25
    low = np.minimum(open_, close) - rng.integers(0, 9, n) * 0.25
    return np.stack([open_, high, low, close], axis=1)


@pytest.mark.parametrize(
    ("moment", "name"),
    [("17:55", "off"), ("18:00", "asia"), ("02:55", "asia"), ("03:00", "london"),
     ("07:55", "london"), ("08:00", "ny_am"), ("12:00", "ny_pm"), ("15:55", "ny_pm"),
     ("16:00", "close"), ("16:55", "close"), ("17:00", "off")],
)  # fmt: skip
@pytest.mark.parametrize("day", [datetime(2024, 1, 9), datetime(2024, 7, 9)])
def test_sessions_follow_new_york_in_winter_and_summer(day, moment, name):
    hour, minute = map(int, moment.split(":"))
    bars = bars_at([day.replace(hour=hour, minute=minute)], [4_000.0])
    assert (*SESSIONS, "off")[session_numbers(bars)[0]] == name


def test_sessions_have_their_nominal_lengths_and_none_exists_around_the_clock():
    assert [us / 3_600_000_000 for us in NOMINAL_US] == [9, 5, 4, 4, 1]
    assert list(SESSIONS) == ["asia", "london", "ny_am", "ny_pm", "close"]
    bars = bars_at(grid(datetime(2024, 7, 9), 400, 60), walk(400), symbol="BTCUSDT", minutes=60)
    assert (session_numbers(bars) == -1).all()
    for name in [n for n in NAMES if n.startswith("sess_dist_from") and "vwap" not in n]:
        assert np.isnan(column(bars, name)).all()
    assert np.isnan(column(bars, "sess_bars_elapsed")).all()
    assert np.isnan(column(bars, "bar_size_vs_session")).all()
    assert not np.isnan(column(bars, "sess_dist_from_vwap")[13:]).any()


@pytest.mark.parametrize("day", [datetime(2024, 3, 8), datetime(2024, 3, 11)])  # clocks: the 10th
def test_a_session_counts_from_its_first_bar_and_is_measured_from_it(day):
    prices = walk(12 * 23, 1)
    first = day - timedelta(hours=6)
    bars = bars_at(grid(first, len(prices)), prices)
    london = slice(9 * 12, 14 * 12)
    np.testing.assert_allclose(
        column(bars, "sess_bars_elapsed")[london], np.arange(60) / 60, rtol=1e-6
    )
    atr = mean_range(prices)[london]
    own = prices[london]
    expected = {
        "sess_dist_from_open": own[:, 3] - own[0, 0],
        "sess_dist_from_high": own[:, 3] - np.maximum.accumulate(own[:, 1]),
        "sess_dist_from_low": own[:, 3] - np.minimum.accumulate(own[:, 2]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            column(bars, name)[london], values / atr, rtol=1e-6, err_msg=name
        )
    spans = own[:, 1] - own[:, 2]
    ratio = spans / (np.cumsum(spans) / np.arange(1, 61))
    np.testing.assert_allclose(column(bars, "bar_size_vs_session")[london], ratio, rtol=1e-6)


def mean_range(prices):
    high, low, close = prices[:, 1], prices[:, 2], prices[:, 3]
    before = np.append(np.nan, close[:-1])
    ranges = np.nanmax([high - low, abs(high - before), abs(low - before)], axis=0)
    window = np.lib.stride_tricks.sliding_window_view(ranges, 14).mean(axis=1)
    return np.append(np.full(13, np.nan), window)


def test_bars_of_the_break_have_no_session_and_end_the_one_before():
    opens = grid(datetime(2024, 7, 9, 15), 12 * 5)  # 15:00 to 20:00
    bars = bars_at(opens, walk(len(opens)))
    elapsed = column(bars, "sess_bars_elapsed")
    assert np.isnan(elapsed[24:36]).all()
    assert elapsed[12] == elapsed[36] == 0.0  # 16:00 and 18:00
    assert elapsed[23] == pytest.approx(11 / 12)  # the last bar of the hour before the break


def test_missing_bars_do_not_stretch_a_session_and_more_bars_than_nominal_stop_at_1():
    opens = [o for o in grid(datetime(2024, 7, 9, 8), 48) if o.minute % 10 == 0]
    assert column(bars_at(opens, walk(24)), "sess_bars_elapsed")[-1] == pytest.approx(23 / 48)
    minutes = bars_at(grid(datetime(2024, 7, 9, 16), 60, 1), walk(60))  # declared as 5m
    assert column(minutes, "sess_bars_elapsed")[-1] == 1.0


@pytest.mark.parametrize("day", [datetime(2024, 1, 9), datetime(2024, 7, 9)])
def test_vwap_begins_anew_at_18_new_york(day):
    opens = [o for o in grid(day, 12 * 24) if o.hour != 17]
    prices, volume = walk(len(opens), 2), np.arange(len(opens)) % 7
    found = column(bars_at(opens, prices, volume=volume), "sess_dist_from_vwap")
    new = next(k for k, moment in enumerate(opens) if moment.hour == 18)
    typical = prices[:, 1:].mean(axis=1)
    for first, stop in ((0, new), (new, len(opens))):
        own, weight = typical[first:stop], volume[first:stop]
        traded = np.cumsum(weight)
        mean = np.cumsum(own * weight)[traded > 0] / traded[traded > 0]
        rows = np.arange(first, stop)[traded > 0]
        expected = (prices[rows, 3] - mean) / mean_range(prices)[rows]
        late = rows >= 13
        np.testing.assert_allclose(found[rows[late]], expected[late], rtol=1e-5, atol=1e-6)


def flat_bars(highs):
    return [(100.0, high, 90.0 - 0.25 * (k % 3), 100.0) for k, high in enumerate(highs)]


def test_a_flat_top_is_one_swing_known_ten_bars_after_its_first_bar():
    highs = [101.0] * 60
    highs[20] = highs[21] = highs[25] = 110.0  # three equal tops
    highs[40] = 108.0
    prices = flat_bars(highs)
    found = column(bars_at(grid(datetime(2024, 7, 9), 60), prices), "str_swing_high_dist")
    level = 100.0 - found * mean_range(np.array(prices))
    assert np.isnan(found[:30]).all()
    np.testing.assert_allclose(level[30:50], 110.0, rtol=1e-6)
    np.testing.assert_allclose(level[50:], 108.0, rtol=1e-6)


def test_structure_needs_two_swings_of_each_kind_and_says_where_they_go():
    t = np.arange(300)
    for slope, state in ((0.2, 1.0), (-0.2, -1.0)):
        close = 1_000.0 + 30.0 * np.sin(t / 8.0) + slope * t
        prices = np.stack([close, close + 1, close - 1, close], axis=1)
        found = column(bars_at(grid(datetime(2024, 7, 9), 300), prices), "str_structure_state")
        known = np.flatnonzero(~np.isnan(found))
        assert known[0] > 31
        assert (found[known] == state).all()


def hours(levels, minutes=5, first=datetime(2024, 7, 8, 18)):
    """Return bars of hours given as (open, high, low, close), extremes in their second bar."""
    n = 60 // minutes
    rows = []
    for open_, high, low, close in levels:
        rows += [(open_, open_, open_, open_), (open_, high, low, close)]
        rows += [(close, close, close, close)] * (n - 2)
    return grid(first, len(rows), minutes), rows


QUIET = (100.0, 102.0, 98.0, 100.0)
SWEPT = (100.0, 101.0, 96.0, 99.0)  # below the low before, closed above it
AFTER = (99.0, 100.5, 97.0, 99.5)  # within it


def test_a_sweep_is_known_at_the_close_of_the_hours_last_bar_and_expires_an_hour_later():
    opens, rows = hours([QUIET] * 16 + [SWEPT] + [AFTER] * 3)
    bars = bars_at(opens, rows)
    bull = column(bars, "swp_1h_bull_active")
    known = 17 * 12 - 1
    assert np.isnan(bull[:23]).all()
    assert set(np.flatnonzero(bull == 1.0)) == set(range(known, known + 12))
    age = column(bars, "swp_1h_age_norm")
    np.testing.assert_allclose(age[known : known + 12], np.arange(12) / 12, rtol=1e-6)
    assert age[known - 1] == age[known + 12] == 1.0
    size = column(bars, "swp_1h_magnitude")
    assert np.isnan(size[: 14 * 12 - 1]).all()
    assert not size[14 * 12 - 1 : known].any()
    ranges = [4.0] * 13 + [5.0]  # 101 to 96 is wider than from the close before
    np.testing.assert_allclose(size[known : known + 12], 2.0 / np.mean(ranges), rtol=1e-6)
    assert not column(bars, "swp_1h_bear_active")[known:].any()


def test_a_sweep_without_a_mean_range_has_no_magnitude():
    opens, rows = hours([QUIET] * 12 + [SWEPT] + [AFTER] * 4)
    bars = bars_at(opens, rows)
    known = 13 * 12 - 1
    assert column(bars, "swp_1h_bull_active")[known] == 1.0
    size = column(bars, "swp_1h_magnitude")
    assert np.isnan(size[: known + 12]).all()  # the sweep outlives the 14th hour's last bar
    assert size[known + 12] == 0.0


def test_an_hour_whose_last_bar_is_missing_is_known_at_the_next_bar():
    opens, rows = hours([QUIET] * 16 + [SWEPT] + [AFTER] * 3)
    gone = 17 * 12 - 1
    bars = bars_at(opens[:gone] + opens[gone + 1 :], rows[:gone] + rows[gone + 1 :])
    assert np.flatnonzero(column(bars, "swp_1h_bull_active") == 1.0).tolist() == [
        *range(gone, gone + 12)
    ]


def test_the_newer_sweep_of_a_side_replaces_the_older_and_both_sides_may_be_active():
    both = (100.0, 103.0, 95.0, 99.0)
    opens, rows = hours([QUIET] * 16 + [SWEPT, both] + [QUIET] * 2)
    bars = bars_at(opens, rows)
    known = 18 * 12 - 1
    for name in ("swp_1h_bull_active", "swp_1h_bear_active"):
        assert column(bars, name)[known] == 1.0
    mean = np.mean([4.0] * 12 + [5.0, 8.0])
    size = column(bars, "swp_1h_magnitude")[known]
    assert size == pytest.approx(2.0 / mean)  # bear: 103 over 101; bull: 95 under 96
    assert column(bars, "swp_tf_alignment")[known] == 0.0


def test_the_dominant_direction_weighs_sweeps_by_their_magnitude():
    both = (100.0, 103.0, 95.0, 99.0)
    opens, rows = hours([QUIET] * 60 + [SWEPT, both] + [QUIET] * 2, minutes=30)
    bars = bars_at(opens, rows, minutes=30)
    row = 62 * 2 - 1
    assert column(bars, "swp_4h_bull_active")[row] == 0.0
    # 1 point below a low and 2 above a high, in the same mean range.
    assert column(bars, "swp_dominant_dir")[row] == pytest.approx((1.0 - 2.0) / (1.0 + 2.0))
    assert column(bars, "swp_tf_alignment")[row] == 0.0


@pytest.mark.parametrize("first", [datetime(2024, 1, 8, 18), datetime(2024, 7, 8, 18)])
def test_longer_bars_of_four_hours_begin_at_the_session_open(first):
    opens = [o for o in grid(first, 12 * 47) if o.hour != 17]
    prices = walk(len(opens), 4)
    found = column(bars_at(opens, prices), "htf_4h_close_pos")
    part, top, deep, expected = None, 0.0, 0.0, []
    for moment, (_, high, low, close) in zip(opens, prices, strict=True):
        own = int((moment + timedelta(hours=6)).timestamp() // 14_400)  # naive: a wall clock
        high, low = (max(high, top), min(low, deep)) if own == part else (high, low)
        part, top, deep = own, high, low
        expected.append((close - low) / (high - low) if high > low else 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_running_hour_includes_the_bar_that_completes_it():
    opens, rows = hours([QUIET, SWEPT, QUIET])
    found = column(bars_at(opens, rows), "htf_1h_ret")
    atr = mean_range(np.array(rows))
    assert found[23] == pytest.approx((99.0 - 100.0) / atr[23])
    assert found[24] == 0.0  # a new hour opens at 100


def test_hourly_structure_reads_complete_hours_from_their_last_bar_on():
    closes = [100.0, 101.0, 102.0, 103.0, 102.0, 101.0, 100.0, 100.0, 100.0, 100.0]
    opens, rows = hours([(c, c + 1, c - 1, c) for c in closes])
    found = column(bars_at(opens, rows), "htf_1h_structure")
    at_end = found[11::12]
    assert np.isnan(found[: 4 * 12 - 1]).all()
    # The last three changes at the end of hours 4 to 10.
    np.testing.assert_array_equal(at_end[3:], [1.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0])
    assert found[4 * 12 - 1 : 5 * 12 - 1].tolist() == [1.0] * 12


def test_daily_structure_changes_with_the_first_bar_of_a_trading_date():
    days = [datetime(2024, 7, d) for d in (8, 9, 10, 11, 12, 15)]  # Friday's evening is closed
    opens, rows = [], []
    for k, day in enumerate(days):
        for moment in grid(day - timedelta(hours=6), 23, 60):
            opens.append(moment)
            rows.append(100.0 + k)
    found = column(bars_at(opens, rows, minutes=60), "htf_daily_structure")
    assert np.isnan(found[: 4 * 23]).all()
    assert (found[4 * 23 :] == 1.0).all()


def test_daily_bars_of_a_market_around_the_clock_end_at_midnight_utc():
    first = datetime(2024, 7, 7, 20)  # New York; midnight UTC
    bars = bars_at(grid(first, 24 * 6, 60), 100.0 + np.arange(144) // 24, symbol="BTCUSDT",
                   minutes=60)  # fmt: skip
    found = column(bars, "htf_daily_structure")
    assert np.isnan(found[: 4 * 24 - 1]).all()
    assert (found[4 * 24 - 1 :] == 1.0).all()  # known with the last bar of the fourth day


def test_bars_longer_than_the_hour_are_their_own_longer_bars():
    bars = bars_at(grid(datetime(2024, 7, 8, 18), 40, 120), walk(40), minutes=120)
    low, high, close = bars.low, bars.high, bars.close
    expected = (close - low) / np.where(high > low, high - low, 1.0)
    np.testing.assert_allclose(
        column(bars, "htf_1h_close_pos"), np.where(high > low, expected, 0.5), rtol=1e-6
    )
    bull = (low[1:] < low[:-1]) & (close[1:] > low[:-1])
    np.testing.assert_array_equal(column(bars, "swp_1h_bull_active")[1:], bull)


def test_momentum_speed_includes_the_current_bar():
    close = 100.0 + np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 5], float)
    bars = bars_at(grid(datetime(2024, 7, 9), 20), close)
    found = column(bars, "momentum_speed_ratio")
    # From the first low (bar 0) to the peak (bar 17) 8 in 17 bars; back 3 in 2 bars.
    assert found[-1] == pytest.approx((8 / 17) / (3 / 2))
    assert np.isnan(found[:-1]).all()


def test_the_same_session_of_the_next_date_is_another_session():
    days = [datetime(2024, 7, 9, 9), datetime(2024, 7, 10, 9)]
    opens = [moment for day in days for moment in grid(day, 12)]  # an hour of each morning
    prices = walk(24, 6)
    bars = bars_at(opens, prices)
    elapsed = column(bars, "sess_bars_elapsed")
    np.testing.assert_allclose(elapsed, np.tile(np.arange(12), 2) / 48, rtol=1e-6)
    moved = (prices[14:, 3] - prices[12, 0]) / mean_range(prices)[14:]
    np.testing.assert_allclose(column(bars, "sess_dist_from_open")[14:], moved, rtol=1e-6)
