from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from ffm_legacy.ffm68.assembled import FFM68_LEGACY

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.features.windowed import window_start
from ffm_core.testing import make_bars
from ffm_core.testing.golden import golden_bars

NAMES = [column.name for column in FFM68_LEGACY.columns]
ROWS = [200, 777, 1234, 1499]

# What the reference gives for the golden bars at these rows, in canonical order.
VALUES = """
bar_range_atr 1.6056994 0.71843137 1.0153659 0.97093611
bar_body_atr -1.1536617 0.3041568 0.67069479 0.66747602
bar_upper_wick_atr 0.26787418 0.32796737 0.13130329 0.19165901
bar_lower_wick_atr 0.1841635 0.086307203 0.21336785 0.11180109
bar_body_pct 0.71847926 0.42336236 0.6605449 0.68745617
bar_upper_wick_pct 0.1668271 0.4565048 0.12931623 0.1973961
bar_lower_wick_pct 0.11469363 0.12013284 0.21013887 0.11514773
bar_direction -1 1 1 1
ret_close_1 -0.0008641469 0.0002213176 0.00051123658 0.00052319494
ret_close_3 -0.0015890478 -0.0004088859 0.00052568749 0.00057948641
ret_close_5 -0.001292937 -0.0010973639 0.00052119198 0.00064254886
ret_open_close -0.0008641469 0.0002213176 0.00051123658 0.00052319494
ret_momentum_5 -0.0012929892 -0.0010972248 0.00052170289 0.00064299426
ret_momentum_10 -0.0023594229 -0.0023933446 0.00076743527 0.0011668661
ret_momentum_20 -0.002827253 -0.0039735235 -0.0005072787 0.00075832031
ret_acceleration -0.00022655545 0.00019889498 0.00027597052 0.0001191224
vol_ratio_5 0.54814109 0.74416342 0.94594595 1.3574879
vol_ratio_10 0.57015369 0.77468354 0.88607595 1.2772727
vol_ratio_20 0.55663117 0.75592885 0.91113892 1.2958266
vol_change -0.60207612 0.31896552 0.25517241 0.15163934
vol_close_position 0.11469363 0.5434952 0.87068377 0.8026039
vol_delta_proxy -44.310232 6.6547656 67.464447 85.031695
vty_atr_zscore -0.098248703 -1.0324359 0.56092213 0.68001235
vty_range_ratio_5 1.6739698 0.73307913 0.95404423 0.99118768
vty_range_ratio_20 1.6043731 0.72198694 1.0070208 0.98456906
vty_atr_of_atr 0.032221802 0.024902011 0.028446982 0.022440268
vty_realized_10 0.0005309874 0.00052422351 0.00053252558 0.00052145045
vty_realized_20 0.00053298897 0.00051707419 0.00053584437 0.00051660519
sess_bars_elapsed 0.45833333 0.71875 0.70833333 0.47916667
sess_dist_from_open -10.994723 -10.43675 -5.2398465 -0.40921649
sess_dist_from_high -14.176363 -14.915441 -5.3711498 -0.61684708
sess_dist_from_low 0.1841635 0.54581697 2.1906189 2.316611
sess_dist_from_vwap -6.1875823 -7.2406741 -3.8126034 2.0220374
str_swing_high_dist -5.2951978 -6.5916968 -6.0142097 -2.8352745
str_swing_low_dist -2.4794527 -3.5227007 -3.4011814 2.316611
str_structure_state 0 0 0 1
str_dist_from_high_10 -4.0687759 -3.7105784 -0.13130329 -0.23257291
str_dist_from_low_10 0.1841635 0.54581697 2.1906189 1.7516392
str_range_position_10 0.043302639 0.12823456 0.94345061 0.88278828
str_dist_from_high_20 -5.2951978 -6.1015036 -0.89938362 -0.23257291
str_dist_from_low_20 0.1841635 0.54581697 2.1906189 2.316611
str_range_position_20 0.033610395 0.082110824 0.70893758 0.90876574
swp_1h_bull_active 0 0 0 0
swp_1h_bear_active 1 0 0 0
swp_1h_age_norm 0.58333337 1 1 1
swp_1h_magnitude 0.1642444 0 0 0
swp_4h_bull_active 0 0 0 0
swp_4h_bear_active 1 1 1 0
swp_4h_age_norm 0.14583331 0.66666663 0.6875 1
swp_4h_magnitude 3 0.23745647 0.063029699 0
swp_tf_alignment -1 -1 -1 0
swp_dominant_dir -1 -1 -1 0
engulf_count 1 0 0 1
momentum_speed_ratio 1.3034278 10 2.7658913 0.36678863
wick_rejection -0.052133471 -0.33637196 0.080822639 -0.082248375
dir_consistency 0.40000001 0.60000002 0.60000002 0.60000002
bar_size_vs_session 1.6165689 0.6811024 1.041715 0.99591273
htf_1h_close_pos 0.04330264 0.12981391 0.94345063 0.90331376
htf_1h_ret -3.7339332 -3.5034411 1.0052196 2.0770373
htf_4h_close_pos 0.04330264 0.076471582 0.29544288 0.90876573
htf_4h_ret -3.7339332 -3.934027 -4.2787256 0.59625691
htf_tf_alignment 1 1 -1 1
htf_1h_structure 0 0 -1 0
htf_daily_structure 0 0 0 0
vol_cum_signed_5 -0.046323851 -0.030694533 0.057223164 0.061049584
vol_cum_signed_20 0.010977866 -0.053600494 0.041301284 0.028864307
vol_absorption 0.15431309 0.42911264 0.32110617 0.42427447
vol_momentum_align 0.45185891 0.25583658 -0.054054055 0.35748792
"""

SUMS = {
    "bar_range_atr": 1484.4226561680307,
    "vty_atr_zscore": 20.753576224663675,
    "swp_1h_magnitude": 311.8468704884872,
    "swp_4h_age_norm": 1158.625,
    "str_structure_state": -55,
    "momentum_speed_ratio": 5819.017339,
    "engulf_count": 863,
    "dir_consistency": 786.916692,
    "htf_tf_alignment": 621,
    "sess_bars_elapsed": 781.8125,
    "vol_absorption": 565.585139,
}
RAW_ATR = [3.7330958824107774, 3.6207870254476284, 3.8079776735943205, 3.9131998689467116]


@pytest.fixture(scope="module")
def golden():
    return golden_bars()


@pytest.fixture(scope="module")
def found(golden):
    return pd.DataFrame(FFM68_LEGACY.batch(golden).astype(float), columns=NAMES)


@pytest.fixture(scope="module")
def gappy():
    """Bars with holes, without volume here and without range there."""
    bars = make_bars("gappy", 3_000, seed=3)
    still = pl.int_range(pl.len()) % 97 < 4
    frame = bars.frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 61 < 8).then(0.0).otherwise("volume").alias("volume"),
        *(pl.when(still).then("close").otherwise(name).alias(name) for name in ("high", "low")),
    )
    frame = frame.with_columns(pl.when(still).then("close").otherwise("open").alias("open"))
    return Bars(frame, bars.instrument, bars.timeframe)


def stream_of(bars):
    return FFM68_LEGACY.stream(bars.instrument, bars.timeframe)


def feed(stream, bars, first, stop):
    columns = [bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume]
    rows = zip(*(values[first:stop].tolist() for values in columns), strict=True)
    return np.array([stream.update(*row) for row in rows])


def with_close(close, **columns):
    close = np.asarray(close, dtype=float)
    ts = 1_709_510_400_000_000 + np.arange(len(close)) * 300_000_000
    frame = pl.DataFrame({"ts": pl.Series(ts).cast(pl.Datetime("us", "UTC"))}).with_columns(
        **{name: columns.get(name, close) for name in ("open", "high", "low")},
        close=close,
        volume=columns.get("volume", np.ones(len(close))),
    )
    return Bars(frame, lookup("ES"), Timeframe(300))


def test_every_value_of_the_reference_is_reproduced(found):
    lines = [line.split() for line in VALUES.split("\n") if line]
    assert [line[0] for line in lines] == NAMES
    for name, *values in lines:
        expected = np.array(values, dtype=float)
        np.testing.assert_allclose(found.loc[ROWS, name], expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("name", "total"), SUMS.items())
def test_the_sums_of_the_reference_are_reproduced(found, name, total):
    assert found[name].sum() == pytest.approx(total, rel=1e-6)


def test_all_columns_are_finite_from_row_62_on(found):
    full = np.isfinite(found).all(axis=1)
    assert full.idxmax() == FFM68_LEGACY.warmup_bars == 62
    assert full[62:].all()


def test_the_raw_mean_range_is_that_of_the_reference(golden, found):
    spread = (golden.high - golden.low)[ROWS]
    np.testing.assert_allclose(spread / found.loc[ROWS, "bar_range_atr"], RAW_ATR, rtol=1e-6)


def test_the_columns_equal_ta_lib_from_their_first_value_on(golden, found):
    high, low, close, volume = (
        np.array(golden[name]) for name in ("high", "low", "close", "volume")
    )
    ranges = talib.TRANGE(high, low, close)  # NaN on bar 0, so the mean starts one bar later
    atr = talib.SMA(ranges[1:], 14)
    move = pd.Series(talib.ROCP(close, 1))
    expected = {
        "bar_range_atr": np.append(np.nan, (high - low)[1:] / atr),
        "vol_ratio_10": volume / talib.SMA(volume, 10),
        "vty_realized_10": np.append(np.nan, talib.STDDEV(move.to_numpy()[1:], 10))
        * np.sqrt(10 / 9),
        "ret_momentum_10": np.append(np.nan, talib.SUM(move.to_numpy()[1:], 10)),
        "str_dist_from_high_20": np.append(np.nan, ((close - talib.MAX(high, 20))[1:]) / atr),
        "str_dist_from_low_10": np.append(np.nan, ((close - talib.MIN(low, 10))[1:]) / atr),
    } | {f"ret_close_{lag}": talib.ROCP(close, lag) for lag in (1, 3, 5)}
    starts = {"bar_range_atr": 14, "str_dist_from_low_10": 14}  # one bar after ours
    for name, values in expected.items():
        first = starts.get(name, found[name].first_valid_index())
        assert np.isfinite(values[first:]).all()
        np.testing.assert_allclose(
            found[name][first:], values[first:], rtol=1e-5, atol=1e-9, err_msg=name
        )


def test_streaming_gives_the_bits_of_batch_through_holes_and_empty_bars(gappy):
    batch = FFM68_LEGACY.batch(gappy)
    assert feed(stream_of(gappy), gappy, 0, len(gappy)).tobytes() == batch.tobytes()
    assert not np.isinf(batch).any()


def test_a_snapshot_continues_in_a_fresh_stream(gappy):
    batch = FFM68_LEGACY.batch(gappy)
    stream = stream_of(gappy)
    for first, stop in ((0, 30), (30, 700), (700, 701), (701, 1_500)):
        feed(stream, gappy, first, stop)
        kept, stream = stream.snapshot(), stream_of(gappy)
        stream.restore(kept)
        ahead = feed(stream, gappy, stop, stop + 20)
        assert ahead.tobytes() == batch[stop : stop + 20].tobytes()
        stream.restore(kept)


@pytest.mark.parametrize("cut", [15, 63, 500, 2_222])
def test_cutting_the_future_changes_no_byte(gappy, cut):
    whole, part = FFM68_LEGACY.batch(gappy), FFM68_LEGACY.batch(gappy[:cut])
    assert part.tobytes() == whole[:cut].tobytes()


def history_holds(bars, whole, row, columns):
    """Say which columns a window of the declared history reproduces."""
    first = {}
    for at, column in columns:
        key = column.history_bars, column.history_days
        first.setdefault(window_start(bars[: row + 1], *key), []).append(at)
    good = {}
    for start, places in first.items():
        last = FFM68_LEGACY.batch(bars[start : row + 1])[-1]
        for at in places:
            good[NAMES[at]] = last[at].tobytes() == whole[row, at].tobytes()
    return good


def declared():
    return [
        (at, column)
        for at, column in enumerate(FFM68_LEGACY.columns)
        if (column.history_bars, column.history_days) != (None, None)
    ]


def test_the_declared_history_reproduces_every_column(gappy, golden):
    for bars in (gappy, golden):
        whole = FFM68_LEGACY.batch(bars)
        for row in np.random.default_rng(5).integers(64, len(bars), 40).tolist():
            failed = [
                name
                for name, same in history_holds(bars, whole, row, declared()).items()
                if not same
            ]
            assert failed == [], row


def test_one_bar_less_of_finite_history_is_noticed(gappy):
    whole = FFM68_LEGACY.batch(gappy)
    short = [
        (at, replace(column, history_bars=column.history_bars - 1))
        for at, column in declared()
        if column.memory == "finite" and column.history_bars > 1
    ]
    changed = set()
    for row in range(100, 900, 7):
        held = history_holds(gappy, whole, row, short)
        changed |= {name for name, same in held.items() if not same}
    assert changed == {NAMES[at] for at, _ in short}


def test_the_columns_are_declared_in_full():
    assert len(NAMES) == len(set(NAMES)) == 68
    sizes = pd.Series([column.group for column in FFM68_LEGACY.columns]).value_counts(sort=False)
    assert sizes.tolist() == [8, 8, 6, 6, 5, 9, 10, 5, 7, 4]
    for column in FFM68_LEGACY.columns:
        assert column.unit
        assert column.formula
        assert column.missing
        assert column.warmup_bars is not None
        assert column.memory in ("finite", "event")


def test_no_value_comes_before_the_declared_warm_up(found):
    for column in FFM68_LEGACY.columns:
        first = found[column.name].first_valid_index()
        if column.history_days is None and column.history_bars is None:
            assert first >= column.warmup_bars  # the first swing is somewhere after
        else:
            assert first == column.warmup_bars


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_few_bars_give_rows_without_window_values(golden, rows):
    values = FFM68_LEGACY.batch(golden[:rows])
    assert values.shape == (rows, 68)
    assert np.isnan(values[:, NAMES.index("bar_range_atr")]).all()
    assert not np.isinf(values).any()


def test_prices_of_zero_and_bars_without_volume_give_nan_not_infinity():
    close = np.tile([0.0, 1.0, -1.0, 2.0], 30)
    volume = np.tile([0.0, 0.0, 5.0, 0.0, 3.0], 24)
    values = FFM68_LEGACY.batch(
        with_close(close, high=close + 1, low=close - 1, open=np.zeros(120), volume=volume)
    )
    assert not np.isinf(values).any()
    change = values[:, NAMES.index("vol_change")]
    assert np.isnan(change[[1, 2, 4]]).all()  # after a bar without volume
    assert change[3] == -1.0
    assert np.isnan(values[5, NAMES.index("ret_close_1")])
    assert np.isnan(values[:, NAMES.index("ret_open_close")]).all()


def test_flat_prices_take_the_stand_ins():
    last = FFM68_LEGACY.batch(with_close(np.full(400, 5000.0)))[-1]
    values = dict(zip(NAMES, last.tolist(), strict=True))
    assert {name: v for name, v in values.items() if v == v and v != 0.0} == {
        "vol_ratio_5": 1.0,
        "vol_ratio_10": 1.0,
        "vol_ratio_20": 1.0,
        "vol_close_position": 0.5,
        "sess_bars_elapsed": 15 / 48,  # 09:15 is an hour and a quarter into the third session
        "str_range_position_10": 0.5,
        "str_range_position_20": 0.5,
        "swp_1h_age_norm": 1.0,
        "swp_4h_age_norm": 1.0,
        "engulf_count": 5.0,
        "momentum_speed_ratio": 1.0,
        "dir_consistency": 0.5,
        "bar_size_vs_session": 1.0,
        "htf_1h_close_pos": 0.5,
        "htf_4h_close_pos": 0.5,
        "vol_absorption": 1.0,
    }
    assert np.isnan(values["bar_range_atr"])
    assert np.isnan(values["vty_atr_zscore"])
