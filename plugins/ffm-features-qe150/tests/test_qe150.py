from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from ffm_features_qe150.assembled import QE150
from ffm_features_qe150.plugin import ffm_feature_sets

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.readers import load
from ffm_core.errors import ConfigError
from ffm_core.features.windowed import window_start
from ffm_core.testing.market import make_bars

GROUPS = {"price action": 40, "volume": 25, "volatility": 30, "structure": 35, "time": 20}
LIST = """
pa_ret_1 pa_ret_2 pa_ret_3 pa_ret_5 pa_ret_10 pa_ret_20 pa_ret_60 pa_ret_z20 pa_body_atr
pa_range_atr pa_body_ratio pa_upper_wick pa_lower_wick pa_clv pa_gap_atr pa_dist_sma_10
pa_dist_sma_20 pa_dist_sma_50 pa_dist_sma_200 pa_dist_ema_9 pa_dist_ema_21 pa_dist_ema_50
pa_ema9_21 pa_ema21_50 pa_slope_ema21 pa_slope_sma50 pa_rsi_7 pa_rsi_14 pa_rsi_21 pa_stoch_k14
pa_stoch_d3 pa_cci_20 pa_macd pa_macd_sig pa_macd_hist pa_lr_slope_20 pa_lr_r2_20 pa_er_10
pa_streak pa_up_frac_20
vo_rel_10 vo_rel_20 vo_rel_50 vo_z_20 vo_roc_5 vo_trend_5_20 vo_rank_100 vo_obv_slope_20
vo_cmf_20 vo_mfi_14 vo_force_13 vo_vwap20_dist vo_vwap_sess_dist vo_vwap20_slope
vo_up_frac_20 vo_signed_1 vo_delta_10 vo_pv_corr_20 vo_absorb vo_climax vo_dry vo_amihud_20
vo_tod_rel vo_day_cum_frac vo_eom_14
vl_atr_pct_7 vl_atr_pct_14 vl_atr_pct_28 vl_atr_7_28 vl_rv_10 vl_rv_20 vl_rv_60 vl_rv_10_60
vl_parkinson_20 vl_gk_20 vl_rs_20 vl_yz_20 vl_rv_rank_250 vl_vov_20 vl_bb_pctb_20
vl_bb_width_20 vl_bb_rank_100 vl_kc_pos_20 vl_kc_width_20 vl_squeeze vl_squeeze_len
vl_dc_width_20 vl_downdev_20 vl_ud_ratio_20 vl_skew_60 vl_kurt_60 vl_tr_z_20 vl_ewma
vl_jump_20 vl_range_exp
st_range_pos_20 st_range_pos_100 st_close_vs_high_50 st_bars_since_high_50
st_bars_since_low_50 st_dist_sw_high st_dist_sw_low st_swing_state st_leg_atr st_retrace
st_bos_up st_bos_dn st_adx_14 st_di_diff_14 st_dist_pdh st_dist_pdl st_dist_pdc st_dist_dopen
st_day_pos st_day_range_adr st_dist_onh st_dist_onl st_dist_pwh st_dist_pwl st_pivot st_inside
st_outside st_fvg_bull st_fvg_bear st_sweep_hi st_sweep_lo st_round st_vr_5_100 st_acf1_50
st_cisd
tm_tod_sin tm_tod_cos tm_dow_sin tm_dow_cos tm_dom tm_moy_sin tm_moy_cos tm_is_rth
tm_since_rth_open tm_to_rth_close tm_asia tm_europe tm_us tm_first_hour tm_last_hour
tm_days_to_exp tm_roll_week tm_month_end tm_gap_min tm_day_frac
"""
NAMES = LIST.split()
REAL = ("ES_5m", "CL_5m", "NQ_30m", "QQQ_15m", "BTCUSDT_1h")
SUMMER_TIME = 1_741_503_600_000_000  # New York, 2025-03-09 07:00 UTC


def resembling(bars: Bars, **columns: np.ndarray) -> Bars:
    frame = bars.frame.with_columns(**{name: pl.Series(x) for name, x in columns.items()})
    return Bars(frame, bars.instrument, bars.timeframe)


def zero_ranges(bars: Bars) -> Bars:
    """Every third bar has one price, and a fifth of all bars no volume."""
    at = np.arange(len(bars)) % 3 == 0
    flat = {name: np.where(at, bars.close, bars[name]) for name in ("open", "high", "low")}
    return resembling(bars, **flat, volume=np.where(np.arange(len(bars)) % 5, bars.volume, 0.0))


def below_zero(bars: Bars) -> Bars:
    """A crude-oil moment: three bars at negative prices."""
    at = np.arange(len(bars))
    shift = np.where((at >= 1000) & (at < 1003), -bars.close - 20.0, 0.0)
    return resembling(
        bars, **{name: bars[name] + shift for name in ("open", "high", "low", "close")}
    )


MARKETS = {
    **{kind: (lambda k=kind: make_bars(k, 2_000, seed=1)) for kind in
       ("random", "gappy", "clock", "rolls", "flat", "quiet")},
    "zero range": lambda: zero_ranges(make_bars("random", 2_000, seed=2)),
    "below zero": lambda: below_zero(make_bars("random", 2_000, seed=3)),
}  # fmt: skip


def streamed(bars: Bars, stream=None) -> np.ndarray:
    stream = stream or QE150.stream(bars.instrument, bars.timeframe)
    series = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return np.array([stream.update(*row) for row in zip(*series, strict=True)])


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def test_the_names_are_150_in_order_and_the_groups_have_their_sizes():
    columns = QE150.columns
    assert [column.name for column in columns] == NAMES
    assert len(set(NAMES)) == 150
    order = [column.group for column in columns]
    assert order == [group for group, size in GROUPS.items() for _ in range(size)]


def test_every_column_is_documented():
    for column in QE150.columns:
        for what in ("unit", "description", "formula", "memory"):
            assert getattr(column, what), f"{column.name} has no {what}"
        assert column.warmup_bars is not None, column.name
        if column.history_bars is not None and column.memory != "event":
            assert column.history_bars > column.warmup_bars or column.history_days, column.name
    assert QE150.warmup_bars == max(column.warmup_bars for column in QE150.columns)


def test_the_product_offers_the_set():
    assert QE150 in list(ffm_feature_sets())


@pytest.mark.parametrize("market", MARKETS)
def test_streaming_equals_batch_bit_for_bit(market):
    bars = MARKETS[market]()
    batch = QE150.batch(bars)
    assert batch.shape == (len(bars), 150)
    assert batch.dtype == np.float32
    assert not np.isinf(batch).any()
    wrong = ~same_bits(batch, streamed(bars)).all(axis=0)
    assert not wrong.any(), np.array(NAMES)[wrong].tolist()


def test_nothing_comes_before_its_warm_up():
    found = QE150.batch(make_bars("random", 600))
    for column, values in zip(QE150.columns, found.T, strict=True):
        assert np.isnan(values[: column.warmup_bars]).all(), column.name


def test_restoring_a_snapshot_at_fifty_bars_changes_nothing():
    bars = make_bars("gappy", 1_500, seed=4)
    batch = QE150.batch(bars)
    cuts = np.sort(np.random.default_rng(0).choice(1_490, 50, replace=False))
    first = QE150.stream(bars.instrument, bars.timeframe)
    done, kept = 0, []
    for cut in cuts.tolist():
        streamed(bars[done:cut], first)
        kept.append(first.snapshot())
        done = cut
    for cut, state in zip(cuts.tolist(), kept, strict=True):
        other = QE150.stream(bars.instrument, bars.timeframe)
        streamed(bars[:7], other)  # whatever it held is forgotten
        other.restore(state)
        assert other.snapshot() == state
        after = streamed(bars[cut : cut + 10], other)
        assert same_bits(after, batch[cut : cut + 10]).all(), cut
    fresh = streamed(bars[cut : cut + 10])
    assert not same_bits(fresh, batch[cut : cut + 10]).all()  # the state was needed


def test_a_snapshot_of_another_market_is_refused():
    bars = make_bars("random", 10)
    state = QE150.stream(bars.instrument, bars.timeframe).snapshot()
    with pytest.raises(ConfigError, match="another feature set"):
        QE150.stream(bars.instrument, Timeframe(60)).restore(state)
    with pytest.raises(ConfigError, match="another feature set"):
        QE150.stream(lookup("NQ"), bars.timeframe).restore(state)


def close_enough(a: np.ndarray, b: np.ndarray, exact: bool, size: float) -> np.ndarray:
    """Same bits, or within 1e-9 of value or typical size, or one float32 step."""
    same = same_bits(a, b)
    if exact:
        return same
    room = np.maximum(1e-9 * np.maximum(np.abs(a), size), np.abs(a) * 2.0**-23)
    return same | (np.abs(a.astype(float) - b) <= room)


def disagreeing(bars: Bars, batch: np.ndarray, at: int, shorten: float = 1.0) -> set[str]:
    """Columns whose value at a bar is not reproduced by their declared history."""
    wrong = set()
    groups: dict[tuple, list[int]] = {}
    for j, column in enumerate(QE150.columns):
        groups.setdefault((column.history_bars, column.history_days), []).append(j)
    sizes = np.nanmedian(np.abs(batch), axis=0, keepdims=True)[0]
    for (n, days), members in groups.items():
        n = None if n is None else max(int(n * shorten), 1)
        first = window_start(bars[: at + 1], n, days if shorten == 1.0 else None)
        row = QE150.batch(bars[first : at + 1])[-1]
        for j in members:
            exact = QE150.columns[j].memory != "recursive"
            if not close_enough(batch[at, j], row[j], exact, sizes[j]).all():
                wrong.add(NAMES[j])
    return wrong


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("kind", ["random", "gappy", "clock", "rolls"])
def test_the_declared_history_reproduces_a_row(kind):
    bars = make_bars(kind, 9_000, seed=5)
    batch = QE150.batch(bars)
    for at in (7_001, 8_999):
        assert disagreeing(bars, batch, at) == set()
    short = disagreeing(bars, batch, 8_999, shorten=0.3)
    assert {"pa_dist_ema_50", "vl_rv_rank_250", "vl_yz_20", "vl_ewma"} <= short


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_a_start_five_thousand_bars_before_gives_the_same_row():
    bars = make_bars("gappy", 12_000, seed=6)
    long, later = QE150.batch(bars), QE150.batch(bars[7_000:])
    sizes = np.nanmedian(np.abs(long), axis=0)
    for j, column in enumerate(QE150.columns):
        if column.history_days or (column.history_bars or np.inf) > 5_000:
            continue
        same = close_enough(
            long[11_999, j], later[4_999, j], column.memory != "recursive", sizes[j]
        )
        assert same.all(), column.name


def test_a_flat_market_has_values_after_the_warm_up():
    bars = make_bars("flat", 600)
    volume = np.full(600, 1000.0)
    found = QE150.batch(resembling(bars, volume=volume))
    for column, values in zip(QE150.columns, found.T, strict=True):
        if column.memory != "event" and not column.history_days:
            assert np.isfinite(values[500:]).all(), column.name


def test_logarithms_of_negative_prices_blank_and_recover():
    bars = make_bars("random", 2_000, seed=3)
    usual, found = QE150.batch(bars), QE150.batch(below_zero(bars))
    first, last = NAMES.index("pa_ret_1"), NAMES.index("vl_ewma")
    assert np.isnan(found[1000:1004, [first, last]]).all()
    recursive = [c.memory == "recursive" for c in QE150.columns]
    gone = np.isnan(found) & ~np.isnan(usual)
    assert not gone[1300:, recursive].any()  # no average is poisoned for ever
    assert not gone[1003 + 272 :, ~np.array(recursive)].any()


def test_ten_times_the_price_changes_only_what_counts_money():
    bars = make_bars("random", 1_500, seed=8)
    larger = resembling(bars, **{n: 10 * bars[n] for n in ("open", "high", "low", "close")})
    tenfold = replace(bars.instrument, tick_size=10 * bars.instrument.tick_size)
    found, scaled = QE150.batch(bars), QE150.batch(Bars(larger.frame, tenfold, bars.timeframe))
    for j, name in enumerate(NAMES):
        if name in {"vo_amihud_20", "st_round"}:
            continue
        np.testing.assert_allclose(
            scaled[:, j], found[:, j], rtol=2e-5, atol=1e-5, equal_nan=True, err_msg=name
        )


def test_the_input_is_left_alone_and_two_calls_agree():
    bars = make_bars("random", 800)
    before = bars.sha256
    first, second = QE150.batch(bars), QE150.batch(bars)
    assert same_bits(first, second).all()
    assert Bars(bars.frame, bars.instrument, bars.timeframe).sha256 == before


@pytest.mark.parametrize("name", REAL)
def test_real_bars_stream_as_they_batch_and_stay_finite(data_dir, name):
    bars = load(data_dir / "real" / f"{name}.parquet").bars
    whole = QE150.batch(bars)
    assert not np.isinf(whole).any()
    valued = np.isfinite(whole[len(bars) // 2 :]).any(axis=0)
    absent = set() if bars.instrument.months else {"tm_days_to_exp", "tm_roll_week"}
    if bars.instrument.around_the_clock:  # no night before a day
        absent |= {"st_dist_onh", "st_dist_onl"}
    assert set(np.array(NAMES)[~valued].tolist()) == absent
    clocks = int(np.searchsorted(bars.ts_us, SUMMER_TIME))
    assert 700 < clocks < len(bars) - 700
    for start in (0, clocks - 700):
        part = bars[start : start + 1_500]
        assert same_bits(QE150.batch(part), streamed(part)).all()
