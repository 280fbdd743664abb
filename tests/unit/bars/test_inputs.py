"""Outside tables: read, audited, and served as they were known at the close of every bar."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ffm_core.bars.input_audit import audit_input
from ffm_core.bars.inputs import InputTable
from ffm_core.bars.readers.tables import load_input
from ffm_core.causal.cutting.series import mirrored, part, with_future
from ffm_core.causal.process.received import Held, chunk_of
from ffm_core.errors import DataQualityError, SchemaError, StrategyError
from ffm_core.records import Input
from ffm_core.testing.market import make_bars

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
VIX = Input(name="vix", columns=("close",))


def table(at_us, values, **more):
    return InputTable(name="vix", at_us=np.asarray(at_us, np.int64),
                      columns={"close": np.asarray(values, np.float64)}, **more)  # fmt: skip


def hourly_bars(rows=400):
    bars = make_bars("trend", rows=rows, seed=3)
    at = bars.ts_us[::12] + bars.timeframe.us
    return replace(bars, tables=(table(at, np.arange(len(at)) + 10.0),))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vix.csv"
    path.write_text(text, encoding="utf-8")
    return path


# --- served -------------------------------------------------------------------------------


def test_a_row_is_served_from_the_close_on_at_which_it_is_known():
    bars = make_bars("trend", rows=30, seed=3)
    close = bars.ts_us + bars.timeframe.us
    bars = replace(bars, tables=(table([close[9], close[19] + 1], [1.0, 2.0]),))
    served = bars.inputs["vix"]["close"]
    assert np.isnan(served[:9]).all()
    assert (served[9:20] == 1.0).all()
    assert (served[20:] == 2.0).all()
    assert bars.inputs["vix"].age_us[9] == 0


def test_a_row_that_is_too_old_is_served_no_more():
    bars = make_bars("trend", rows=30, seed=3)
    first = bars.ts_us[0] + bars.timeframe.us
    old = table([first], [1.0], max_age_us=10 * bars.timeframe.us)
    view = replace(bars, tables=(old,)).inputs["vix"]
    age = bars.ts_us - bars.ts_us[0]
    np.testing.assert_array_equal(np.isfinite(view["close"]), age <= 10 * bars.timeframe.us)
    np.testing.assert_array_equal(np.isfinite(view.age_us), np.isfinite(view["close"]))


def test_earlier_rows_count_back_from_the_one_served():
    view = hourly_bars().inputs["vix"]
    np.testing.assert_array_equal(view["close"][24:] - 1, view.back("close", 1)[24:])
    assert np.isnan(view.back("close", 1)[:12]).all()
    with pytest.raises(StrategyError, match="asks for a later row"):
        view.back("close", -1)


def test_bars_that_end_somewhere_hold_no_row_known_later():
    bars = hourly_bars()
    whole = bars.inputs["vix"]["close"]
    for cut in (4, 13, 100, 399):
        for given in (bars[:cut], part(bars, 0, cut), bars[cut // 2 : cut], part(bars, 3, cut)):
            last = given.ts_us[-1] + bars.timeframe.us
            assert (given.tables[0].at_us <= last).all()
            np.testing.assert_array_equal(
                given.inputs["vix"]["close"], whole[cut - len(given) : cut]
            )


def test_the_worker_learns_rows_with_the_bars_that_make_them_known():
    bars = hourly_bars()
    held = Held(bars.instrument, bars.timeframe)
    for start, stop in ((0, 7), (7, 150), (150, 300), (300, 400)):
        held.extend(chunk_of(bars, start, stop))
        assert (held.bars.tables[0].at_us <= bars.ts_us[stop - 1] + bars.timeframe.us).all()
        for lo in (0, stop // 2):
            np.testing.assert_array_equal(
                held.window(lo, stop).inputs["vix"]["close"], bars.inputs["vix"]["close"][lo:stop]
            )


@pytest.mark.parametrize("kind", ["perturb", "permute", "splice", "roll", "session"])
def test_changing_later_bars_changes_later_rows_and_no_earlier_ones(kind):
    bars = hourly_bars()
    rng = np.random.default_rng(0)
    changed = with_future(bars, 0, 200, 400, kind=kind, rng=rng)
    was, now = bars.inputs["vix"]["close"], changed.inputs["vix"]["close"]
    np.testing.assert_array_equal(was[:200], now[:200])
    assert (was[220:400] != now[220:400]).any()
    until = with_future(bars, 0, 200, 400, kind=kind, rng=rng, until=300)
    rows = len(part(bars, 0, 300).tables[0])
    np.testing.assert_array_equal(
        until.tables[0].columns["close"][rows:], bars.tables[0].columns["close"][rows:]
    )


def test_the_mirrored_series_moves_the_table_with_it():
    bars = hourly_bars()
    twin = mirrored(bars)
    np.testing.assert_array_equal(
        np.isnan(twin.inputs["vix"]["close"][: len(bars)]), np.isnan(bars.inputs["vix"]["close"])
    )
    assert (twin.inputs["vix"]["close"][: len(bars)] != bars.inputs["vix"]["close"]).mean() > 0.9


def test_names_that_are_not_there_are_named():
    bars = hourly_bars()
    with pytest.raises(StrategyError, match="'vx', which nobody handed over; did you mean 'vix'"):
        bars.inputs["vx"]
    with pytest.raises(StrategyError, match="no column 'closed'; did you mean 'close'"):
        bars.inputs["vix"]["closed"]


def test_whatever_can_change_an_answer_changes_the_hash():
    plain = table([1, 2], [3.0, 4.0])
    others = (table([1, 3], [3.0, 4.0]), table([1, 2], [3.0, 5.0]), replace(plain, name="vvix"),
              replace(plain, max_age_us=5))  # fmt: skip
    assert len({one.sha256 for one in (plain, *others)}) == 5
    assert table([1, 2], [3.0, 4.0]).sha256 == plain.sha256


# --- read ---------------------------------------------------------------------------------


def test_csv_and_parquet_say_the_same(tmp_path):
    path = written(tmp_path, "known_at,note,close\n2024-03-04 21:15:00,a,13.5\n"
                   "2024-03-05 21:15:00,b,14\n2024-03-06 21:15:00,c,15\n")  # fmt: skip
    frame = pl.read_csv(path, try_parse_dates=True)
    frame.write_parquet(tmp_path / "vix.parquet")
    late = replace(VIX, lag=timedelta(minutes=15))
    one, two = (load_input(p, late, tz="UTC") for p in (path, tmp_path / "vix.parquet"))
    assert one.table.sha256 == two.table.sha256
    assert one.table.at_us[0] - one.known_us[0] == 15 * 60_000_000
    assert one.table.columns["close"].tolist() == [13.5, 14.0, 15.0]


def test_moments_in_a_column_are_served_as_microseconds(tmp_path):
    path = written(tmp_path, "known_at,next\n2024-01-31 19:00:00Z,2024-03-20 18:00:00Z\n")
    found = load_input(path, Input(name="fomc", columns=("next",))).table
    assert found.moments == {"next"}
    assert found.columns["next"][0] == 1_710_957_600_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("known_at,close\n", "contains no rows"),
        ("date,close\n2024-03-04,1\n", "no column 'known_at', the moment from which"),
        ("known_at,clse\n2024-03-04 21:00,1\n", "did you mean 'clse'"),
        ("known_at,close\n2024-03-05 21:00,1\n2024-03-04 21:00,1\n", "line 3: known_at .* follows"),
        ("known_at,close\n2024-03-05 21:00,1\n2024-03-05 21:00,2\n", "line 3: .* occurs twice"),
        ("known_at,close\n2024-03-05 21:00,nan\n", "line 2: close is 'nan'"),
        ("known_at,close\n2024-03-05 21:00,inf\n", "line 2: close is 'inf'"),
        ("known_at,close\n2024-03-04 21:00,1\n2024-03-05 21:00,\n", "line 3: close is empty"),
        ("known_at,close\n2024-03-05 21:00,high\n", "line 2: close is 'high'"),
        ("known_at,close\n,1\n", "line 2: known_at is empty"),
        ("known_at,close\nsoon,1\n", "line 2: known_at is 'soon', no moment"),
    ],
)  # fmt: skip
def test_a_table_that_breaks_a_rule_is_refused_where_it_does(tmp_path, text, said):
    with pytest.raises(SchemaError, match=said):
        load_input(written(tmp_path, text), VIX, tz="UTC")


def test_a_column_of_flags_or_lists_is_no_column_of_numbers(tmp_path):
    path = tmp_path / "vix.parquet"
    pl.DataFrame({"known_at": ["2024-03-04 21:00:00Z"], "close": [[1, 2]]}).write_parquet(path)
    with pytest.raises(SchemaError, match="expected numbers"):
        load_input(path, VIX)


def test_moments_without_a_zone_need_one(tmp_path):
    with pytest.raises(SchemaError, match="no time zone"):
        load_input(written(tmp_path, "known_at,close\n2024-03-04 21:00:00,1\n"), VIX)


# --- audited ------------------------------------------------------------------------------


def daily(tmp_path, bars, hour, *, of_the_day, lag=None, days=80, seed=0):
    """Write a table whose values mirror the returns of a day, stamped at an hour of it."""
    days_us = np.unique(bars.ts_us // DAY_US)[1:days] * DAY_US
    close = bars.ts_us + bars.timeframe.us
    last = np.maximum(np.searchsorted(close, days_us + DAY_US, side="right") - 1, 0)
    noise = np.random.default_rng(seed).normal(0, 1, len(last))
    level = -np.log(bars.close[last]) * 100 if of_the_day else np.cumsum(noise)
    stamps = pl.from_epoch(pl.Series(days_us + hour * HOUR_US), "us").dt.to_string("%F %T")
    path = tmp_path / "vix.csv"
    pl.DataFrame({"known_at": stamps, "close": level + 0.1 * noise}).write_csv(path)
    return load_input(path, replace(VIX, lag=lag), tz="UTC")


@pytest.fixture(scope="module")
def long_bars():
    return make_bars("trend", rows=24_000, seed=3)


def test_a_daily_value_stamped_at_the_start_of_its_day_is_refused(tmp_path, long_bars):
    with pytest.raises(DataQualityError, match=r"every known_at is 00:00 \(UTC\)"):
        audit_input(daily(tmp_path, long_bars, 0, of_the_day=False), [long_bars])
    eastern = daily(tmp_path, long_bars, 5, of_the_day=False)
    zone = long_bars.instrument.timezone
    moved = replace(eastern, known_us=local_midnights(zone))
    with pytest.raises(DataQualityError, match="America"):
        audit_input(moved, [long_bars])


def local_midnights(zone):
    days = pl.datetime_range(pl.datetime(2024, 3, 1), pl.datetime(2024, 3, 20), "1d", eager=True)
    return days.dt.replace_time_zone(zone).dt.timestamp("us").to_numpy()


@pytest.mark.parametrize("lag", [timedelta(hours=0), timedelta(hours=2), None])
def test_a_lag_that_is_too_short_shows_in_the_values(tmp_path, long_bars, lag):
    hour = 1 if lag is None else 0
    early = daily(tmp_path, long_bars, hour, of_the_day=True, lag=lag)
    with pytest.raises(DataQualityError, match="moves with what ES/5m does after it is served"):
        audit_input(early, [long_bars])


@pytest.mark.parametrize(("hour", "lag"), [(0, timedelta(days=1)), (24, timedelta(0)), (25, None)])
def test_values_served_after_their_day_pass(tmp_path, long_bars, hour, lag):
    audit_input(daily(tmp_path, long_bars, hour, of_the_day=True, lag=lag), [long_bars])
    audit_input(daily(tmp_path, long_bars, hour, of_the_day=False, lag=lag), [long_bars])


def test_a_table_that_begins_after_the_bars_is_refused(tmp_path, long_bars):
    path = written(tmp_path, "known_at,close\n2031-03-04 21:15:00,13.5\n")
    with pytest.raises(DataQualityError, match="no row was known at any bar"):
        audit_input(load_input(path, VIX, tz="UTC"), [long_bars])
