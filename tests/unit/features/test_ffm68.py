"""``ffm68`` as a whole: declarations, streaming, snapshots, histories, symmetries."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import groupby

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.simulate import market
from ffm_core.errors import ConfigError
from ffm_core.features.ffm68 import FFM68, GROUPS
from ffm_core.features.windowed import window_start
from ffm_core.testing import make_bars

NAMES = """
bar_range_atr bar_body_atr bar_upper_wick_atr bar_lower_wick_atr bar_body_pct
bar_upper_wick_pct bar_lower_wick_pct bar_direction
ret_close_1 ret_close_3 ret_close_5 ret_open_close ret_momentum_5 ret_momentum_10
ret_momentum_20 ret_acceleration
vol_ratio_5 vol_ratio_10 vol_ratio_20 vol_change vol_close_position vol_delta_proxy
vty_atr_zscore vty_range_ratio_5 vty_range_ratio_20 vty_atr_of_atr vty_realized_10
vty_realized_20
sess_bars_elapsed sess_dist_from_open sess_dist_from_high sess_dist_from_low
sess_dist_from_vwap
str_swing_high_dist str_swing_low_dist str_structure_state str_dist_from_high_10
str_dist_from_low_10 str_range_position_10 str_dist_from_high_20 str_dist_from_low_20
str_range_position_20
swp_1h_bull_active swp_1h_bear_active swp_1h_age_norm swp_1h_magnitude
swp_4h_bull_active swp_4h_bear_active swp_4h_age_norm swp_4h_magnitude
swp_tf_alignment swp_dominant_dir
engulf_count momentum_speed_ratio wick_rejection dir_consistency bar_size_vs_session
htf_1h_close_pos htf_1h_ret htf_4h_close_pos htf_4h_ret htf_tf_alignment
htf_1h_structure htf_daily_structure
vol_cum_signed_5 vol_cum_signed_20 vol_absorption vol_momentum_align
""".split()  # noqa: SIM905 (one name a line is no easier to read)
COLUMNS = FFM68.columns
FINITE = [k for k, column in enumerate(COLUMNS) if column.memory == "finite"]
PRICES = ("open", "high", "low", "close")


def spoilt(bars: Bars, seed: int, share: float = 0.05) -> Bars:
    """Take bars and hours away; leave bars in the break, without range, without volume."""
    rng = np.random.default_rng(seed)
    keep = rng.random(len(bars)) > share
    for first in rng.integers(0, len(bars), 12):
        keep[first : first + rng.integers(2, 300)] = False
    frame = bars.frame.drop("contract").filter(keep)
    hour = pl.col("ts").dt.convert_time_zone("America/New_York").dt.hour()
    late = frame.filter(hour == 16).sample(fraction=0.2, seed=seed)
    frame = pl.concat([frame, late.with_columns(pl.col("ts").dt.offset_by("1h"))]).sort("ts")
    still, empty = np.zeros((2, frame.height), dtype=bool)
    for mask in (still, empty):
        for first in rng.integers(0, frame.height, 15):
            mask[first : first + rng.integers(1, 40)] = True
    frame = frame.with_columns(
        *(pl.when(still).then("close").otherwise(name).alias(name) for name in PRICES),
        volume=pl.when(empty).then(0.0).otherwise("volume"),
    )
    return Bars(frame, bars.instrument, bars.timeframe)


@cache
def sample(name: str) -> Bars:
    """Return bars of a kind; ``5m …`` simulated, through holidays and the change of clocks."""
    if name in ("gappy", "flat", "quiet", "rolls", "clock"):
        return make_bars(name, 2_500, seed=3)
    if name == "24/7":
        bars = spoilt(market("SIMA4", months=12, timeframe="1h"), 5)
        return Bars(bars.frame, lookup("BTCUSDT"), bars.timeframe)
    months = {"1m": 1, "5m": 3, "15m": 4, "30m": 6, "1h": 12}[name]
    return spoilt(market("SIMA4", months=months, timeframe=name), 5)


KINDS = ("1m", "5m", "15m", "30m", "1h", "24/7", "gappy", "flat", "quiet", "rolls", "clock")


@cache
def batch(name: str) -> np.ndarray:
    return FFM68.batch(sample(name))


def rows_of(bars):
    columns = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(zip(*(values.tolist() for values in columns), strict=True))


def streamed(bars):
    stream = FFM68.stream(bars.instrument, bars.timeframe)
    return np.array([stream.update(*row) for row in rows_of(bars)])


def same(a, b):
    return (a == b) | (np.isnan(a) & np.isnan(b))


def test_the_68_names_stand_in_their_order_in_ten_groups():
    assert [column.name for column in COLUMNS] == NAMES
    sizes = [len(columns) for columns in GROUPS.values()]
    assert sizes == [8, 8, 6, 6, 5, 9, 10, 5, 7, 4]
    found = [name for name, _ in groupby(column.group for column in COLUMNS)]
    assert found == list(GROUPS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_every_column_says_what_it_is(column):
    for field in ("unit", "formula", "description", "missing", "source", "group"):
        assert getattr(column, field), field
    assert column.warmup_bars is not None
    assert column.memory in ("finite", "event")
    if column.memory == "finite":
        assert column.history_bars > 0
    swings = column.name in ("str_swing_high_dist", "str_swing_low_dist", "str_structure_state")
    assert (column.history_bars is column.history_days is None) == swings


def test_columns_warm_up_as_declared():
    values = FFM68.batch(market("SIMA4", months=1))  # 5-minute bars from a session's open on
    first = np.argmax(~np.isnan(values), axis=0)
    for k, column in enumerate(COLUMNS):
        at_least = column.name.startswith(("str_swing", "str_structure"))
        longer = column.name.startswith(("swp_", "htf_")) and column.warmup_bars > 13
        if at_least:
            assert first[k] >= column.warmup_bars, column.name
        elif longer:  # declared for the most bars that a longer bar can hold
            assert 0 < first[k] <= column.warmup_bars, column.name
        else:
            assert first[k] == column.warmup_bars, column.name
    assert not np.isnan(values[FFM68.warmup_bars :, FINITE]).any()
    assert np.isnan(values[FFM68.warmup_bars - 1, FINITE]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_streaming_equals_batch_bit_for_bit(kind):
    bars = sample(kind)
    assert streamed(bars).tobytes() == batch(kind).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_is_infinite_and_after_warm_up_only_events_are_missing(kind):
    values = batch(kind)
    assert not np.isinf(values).any()
    assert not np.isnan(values[FFM68.warmup_bars :, FINITE]).any()


@pytest.mark.parametrize("kind", ["5m", "24/7"])
def test_a_snapshot_at_50_random_bars_changes_nothing(kind):
    bars, expected = sample(kind), batch(kind)
    stops = np.sort(np.random.default_rng(1).integers(1, len(bars) - 40, 50)).tolist()
    stream, kept = FFM68.stream(bars.instrument, bars.timeframe), {}
    for t, row in enumerate(rows_of(bars)):
        if t in stops:
            kept[t] = stream.snapshot()
        stream.update(*row)
    for stop, state in kept.items():
        other = FFM68.stream(bars.instrument, bars.timeframe)
        other.update(*rows_of(bars[:1])[0])  # what it saw before is forgotten
        other.restore(state)
        found = np.array([other.update(*row) for row in rows_of(bars[stop : stop + 40])])
        assert found.tobytes() == expected[stop : stop + 40].tobytes(), stop


_CHILD = """
import sys
import numpy as np
from pathlib import Path
from ffm_core.bars import Timeframe
from ffm_core.bars.simulate import instrument
from ffm_core.features.ffm68 import FFM68
here = Path(sys.argv[1])
stream = FFM68.stream(instrument("SIMA4"), Timeframe(300))
stream.restore((here / "state").read_bytes())
rows = np.load(here / "rows.npy")
np.save(here / "out.npy", np.array([stream.update(int(row[0]), *row[1:]) for row in rows]))
"""


def test_another_process_goes_on_from_a_snapshot(tmp_path):
    bars, stop = sample("5m"), 7_777
    stream = FFM68.stream(bars.instrument, bars.timeframe)
    for row in rows_of(bars[:stop]):
        stream.update(*row)
    (tmp_path / "state").write_bytes(stream.snapshot())
    np.save(tmp_path / "rows.npy", np.array(rows_of(bars[stop : stop + 200])))
    subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], check=True)
    found = np.load(tmp_path / "out.npy")
    assert found.tobytes() == batch("5m")[stop : stop + 200].tobytes()


def test_a_snapshot_of_another_stream_is_refused():
    state = FFM68.stream(lookup("ES"), Timeframe(300)).snapshot()
    for instrument, seconds in ((lookup("NQ"), 300), (lookup("ES"), 60)):
        with pytest.raises(ConfigError, match="snapshot belongs to another"):
            FFM68.stream(instrument, Timeframe(seconds)).restore(state)


def test_bars_shorter_than_a_minute_are_refused():
    bars = make_bars("random", 100)
    with pytest.raises(ConfigError, match="one minute or longer, got 30s"):
        FFM68.batch(replace(bars, timeframe=Timeframe(30)))


def histories():
    kinds: dict[tuple[int | None, int | None], list[int]] = {}
    for k, column in enumerate(COLUMNS):
        kinds.setdefault((column.history_bars, column.history_days), []).append(k)
    kinds.pop((None, None))
    return kinds


@pytest.mark.parametrize("kind", ["1m", "5m", "15m", "30m", "1h", "24/7", "gappy", "clock"])
def test_the_declared_history_of_a_column_reproduces_its_value(kind):
    bars, whole = sample(kind), batch(kind)
    for t in np.random.default_rng(2).integers(100, len(bars), 12).tolist():
        for (n_bars, n_days), columns in histories().items():
            start = window_start(bars[: t + 1], n_bars, n_days)
            found = FFM68.batch(bars[start : t + 1])[-1]
            bad = [NAMES[k] for k in columns if not same(found[k], whole[t, k])]
            assert not bad, (t, start)


def test_a_history_one_bar_shorter_does_not():
    bars = market("SIMA4", months=2)
    whole = FFM68.batch(bars)
    # Its first move rarely decides the sign of five.
    open_ = {k for k in FINITE if COLUMNS[k].history_bars > 1} - {NAMES.index("vol_momentum_align")}
    for t in np.random.default_rng(3).integers(1_000, len(bars), 300).tolist():
        for n_bars in {COLUMNS[k].history_bars for k in open_}:
            found = FFM68.batch(bars[t + 2 - n_bars : t + 1])[-1]
            open_ -= {
                k
                for k in open_
                if COLUMNS[k].history_bars == n_bars and not same(found[k], whole[t, k])
            }
        if not open_:
            break
    assert not {NAMES[k] for k in open_}


def test_body_and_wicks_make_the_range():
    values = batch("5m")
    parts = values[:, [NAMES.index(n) for n in NAMES[4:7]]].sum(axis=1)
    ranged = sample("5m").high > sample("5m").low
    np.testing.assert_allclose(parts[ranged], 1.0, atol=1e-6)
    assert not parts[~ranged].any()


def altered(bars, change):
    columns = {name: change(np.array(bars[name])) for name in PRICES}
    if (columns["high"] < columns["low"]).any():
        columns["high"], columns["low"] = columns["low"], columns["high"]
    return Bars(bars.frame.with_columns(**columns), bars.instrument, bars.timeframe)


def test_ten_times_the_price_gives_the_same_values():
    bars = sample("5m")
    found = FFM68.batch(altered(bars, lambda price: price * 10.0))
    np.testing.assert_allclose(found, batch("5m"), rtol=1e-5, atol=1e-6)


def test_ten_times_the_volume_gives_the_same_values_but_for_its_logarithm():
    bars = sample("5m")
    frame = bars.frame.with_columns(volume=pl.col("volume") * 10.0)
    found = FFM68.batch(Bars(frame, bars.instrument, bars.timeframe))
    same_ = [k for k, name in enumerate(NAMES) if name != "vol_change"]
    np.testing.assert_allclose(found[:, same_], batch("5m")[:, same_], rtol=1e-5, atol=1e-6)


# What a column becomes when prices are mirrored, where it neither stays nor turns.
_SWAPPED = {
    "bar_upper_wick_atr": ("bar_lower_wick_atr", 1, 0),
    "bar_upper_wick_pct": ("bar_lower_wick_pct", 1, 0),
    "sess_dist_from_high": ("sess_dist_from_low", -1, 0),
    "str_swing_high_dist": ("str_swing_low_dist", -1, 0),
    "str_dist_from_high_10": ("str_dist_from_low_10", -1, 0),
    "str_dist_from_high_20": ("str_dist_from_low_20", -1, 0),
    "swp_1h_bull_active": ("swp_1h_bear_active", 1, 0),
    "swp_4h_bull_active": ("swp_4h_bear_active", 1, 0),
}
_SWAPPED |= {pair: (name, *rest) for name, (pair, *rest) in _SWAPPED.items()}
_PLACES = ("vol_close_position", "str_range_position_10", "str_range_position_20",
           "htf_1h_close_pos", "htf_4h_close_pos")  # fmt: skip
_SWAPPED |= {name: (name, -1, 1) for name in _PLACES}
_PERCENT = ("vty_realized_10", "vty_realized_20")


@pytest.mark.parametrize("kind", ["5m", "1h"])
def test_mirrored_prices_turn_the_signed_columns_and_no_other(kind):
    bars, values = sample(kind), batch(kind)
    turned = FFM68.batch(altered(bars, lambda price: 40_000.0 - price))
    for k, column in enumerate(COLUMNS):
        name, factor, offset = _SWAPPED.get(column.name, (column.name, 1, 0))
        if column.signed:
            assert column.name not in _SWAPPED
            factor = -1
        if column.name in _PERCENT:
            continue
        expected = factor * values[:, NAMES.index(name)] + offset
        np.testing.assert_allclose(
            turned[:, k], expected, rtol=1e-5, atol=2e-6, err_msg=column.name
        )


def test_flat_and_empty_markets_give_the_neutral_values():
    flat = dict(zip(NAMES, batch("flat")[-1].tolist(), strict=True))
    swings = {name: value for name, value in flat.items() if name.startswith("str_s")}
    assert all(np.isnan(value) for value in swings.values())  # no top stands out
    ones = {"vol_ratio_5", "vol_ratio_10", "vol_ratio_20", "vty_range_ratio_5", "swp_1h_age_norm",
            "vty_range_ratio_20", "momentum_speed_ratio", "bar_size_vs_session",
            "swp_4h_age_norm", "vol_absorption"}  # fmt: skip
    expected = dict.fromkeys(NAMES, 0.0) | dict.fromkeys(ones, 1.0)
    expected |= dict.fromkeys((*_PLACES, "dir_consistency"), 0.5)
    expected["engulf_count"] = 5.0
    del flat["sess_bars_elapsed"], expected["sess_bars_elapsed"]
    assert {k: v for k, v in flat.items() if k not in swings} == {
        k: v for k, v in expected.items() if k not in swings
    }
    quiet = dict(zip(NAMES, batch("quiet")[-1].tolist(), strict=True))
    for name in ("vol_delta_proxy", "vol_change", "vol_cum_signed_5", "vol_cum_signed_20"):
        assert quiet[name] == 0.0
    assert quiet["vol_ratio_20"] == 1.0
    assert quiet["sess_dist_from_vwap"] == 0.0


def test_a_few_bars_give_rows_without_surprise():
    for rows in (0, 1, 2, 14):
        found = FFM68.batch(make_bars("random", rows))
        assert found.shape == (rows, 68)
        assert not np.isinf(found).any()
