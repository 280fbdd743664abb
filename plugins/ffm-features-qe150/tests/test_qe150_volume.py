from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from ffm_features_qe150.volume import VOLUME

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.sessions import trading_days, wall_us
from ffm_core.bars.simulate import market
from ffm_core.features.steps import run_programs

NAMES = [column.name for column in VOLUME.columns]
WARMUP = {
    "vo_rel_10": 10,
    "vo_rel_20": 20,
    "vo_rel_50": 50,
    "vo_z_20": 20,
    "vo_roc_5": 10,
    "vo_trend_5_20": 20,
    "vo_rank_100": 100,
    "vo_obv_slope_20": 20,
    "vo_cmf_20": 20,
    "vo_mfi_14": 15,
    "vo_force_13": 20,
    "vo_vwap20_dist": 20,
    "vo_vwap_sess_dist": 14,
    "vo_vwap20_slope": 25,
    "vo_up_frac_20": 20,
    "vo_signed_1": 20,
    "vo_delta_10": 10,
    "vo_pv_corr_20": 21,
    "vo_absorb": 20,
    "vo_climax": 20,
    "vo_dry": 20,
    "vo_amihud_20": 21,
    "vo_eom_14": 34,
    "vo_tod_rel": 20,
    "vo_day_cum_frac": 20,
}


def table(bars: Bars) -> pd.DataFrame:
    found = pd.DataFrame(run_programs([VOLUME], bars), columns=NAMES)
    assert not np.isinf(found.to_numpy()).any()
    return found


def with_columns(bars: Bars, **columns: np.ndarray) -> Bars:
    frame = bars.frame.with_columns(**{name: pl.Series(x) for name, x in columns.items()})
    return Bars(frame, bars.instrument, bars.timeframe)


@pytest.fixture(scope="module")
def bars() -> Bars:
    """Ten weeks of ES at 30 minutes: holes, half days, the clock change, silent stretches."""
    whole = market("SIMA5", months=3, timeframe="30m")
    rng = np.random.default_rng(2)
    frame = whole.frame.filter(pl.Series(rng.random(len(whole)) > 0.03))
    frame = frame.filter(pl.col("ts").dt.date() != pl.date(2022, 2, 9))
    volume = frame["volume"].to_numpy().copy()
    volume[rng.random(len(volume)) < 0.05] = 0.0
    volume[700:712] = 0.0
    volume[900:925] = 0.0
    volume[1200:1330] = 0.0
    shape = Bars(frame, lookup("ES"), Timeframe(1800))
    same = np.arange(len(frame)) % 17 == 0  # bars without a range
    prices = {name: np.where(same, shape.close, shape[name]) for name in ("open", "high", "low")}
    return with_columns(shape, volume=volume, **prices)


def ratio(a, b, default):
    safe = np.where(np.abs(b) > 1e-12, b, 1.0)
    return pd.Series(np.where(np.abs(b) > 1e-12, a / safe, default)).where(~pd.isna(a + b))


def expected(bars: Bars) -> dict[str, pd.Series]:
    """Pandas windows, straight from the formulas."""
    o, h, low, c, v = (pd.Series(np.array(bars[name])) for name in
                       ("open", "high", "low", "close", "volume"))  # fmt: skip
    t = pd.Series(atr_wilder(bars.high, bars.low, bars.close, 14))
    spread, tp, rise = h - low, (h + low + c) / 3, c.diff()
    r = np.log(c).diff()
    x = np.log1p(v)
    clv = ratio((c - low) - (h - c), spread, 0.0)
    zero = v * 0.0

    def total(values, n):
        return values.rolling(n).apply(np.sum, raw=True)

    def some(values, n):
        return values.where(total(v, n) > 0)

    out = {}
    for n in (10, 20, 50):
        out[f"vo_rel_{n}"] = some(ratio(v, v.rolling(n).mean(), 1.0), n).clip(upper=20)
    rel = out["vo_rel_20"]
    flat = x.rolling(20).apply(np.ptp, raw=True) == 0
    z = (x - x.rolling(20).mean()) / x.rolling(20).std()
    out["vo_z_20"] = some(z.where(~flat, 0.0), 20)
    five = total(v, 5)
    pace = ratio(five, five.shift(5), 1.0)
    out["vo_roc_5"] = some(np.log(pace.where(pace > 0, 1.0)), 10)
    out["vo_trend_5_20"] = some(ratio(five / 5, total(v, 20) / 20, 1.0), 20)
    out["vo_rank_100"] = some(v.rolling(100).apply(lambda w: np.mean(w <= w[-1]), raw=True), 100)
    out["vo_obv_slope_20"] = some(ratio(total(np.sign(rise) * v, 20), total(v, 20), 0.0), 20)
    out["vo_cmf_20"] = some(ratio(total(clv * v, 20), total(v, 20), 0.0), 20)
    out["vo_delta_10"] = some(ratio(total(clv * v, 10), total(v, 10), 0.0), 10)
    up = total((tp * v).where(tp.diff() > 0, zero).where(tp.diff().notna()), 14)
    down = total((tp * v).where(tp.diff() < 0, zero).where(tp.diff().notna()), 14)
    out["vo_mfi_14"] = some(ratio(up, up + down, 0.5), 14)
    force = (rise * v).to_numpy()
    level = np.full(len(v), np.nan)
    level[13] = force[1:14].mean()
    for k in range(14, len(v)):
        level[k] = level[k - 1] + 2 / 14 * (force[k] - level[k - 1])
    out["vo_force_13"] = some(ratio(pd.Series(level), t * v.rolling(20).mean(), 0.0), 20)
    vwap = ratio(total(tp * v, 20), total(v, 20), tp.rolling(20).mean())
    days = pd.Series(trading_days(bars))
    session = ratio((tp * v).groupby(days).cumsum(), v.groupby(days).cumsum(), tp)
    traded = v.rolling(100, min_periods=1).max() > 0
    out["vo_vwap20_dist"] = ratio(c - vwap, t, 0.0).where(traded)
    out["vo_vwap_sess_dist"] = ratio(c - session, t, 0.0).where(traded)
    out["vo_vwap20_slope"] = ratio(vwap - vwap.shift(5), 5 * t, 0.0).where(traded)
    risen = v.where(r > 0, zero).where(r.notna())
    out["vo_up_frac_20"] = some(ratio(total(risen, 20), total(v, 20), 0.5), 20)
    out["vo_signed_1"] = np.sign(c - o) * rel
    out["vo_pv_corr_20"] = some(r.rolling(20).corr(x.diff()).clip(-1, 1), 21)
    wide = ratio(spread, t, 0.0)
    out["vo_absorb"] = ratio(rel, wide.clip(lower=0.05), 0.0).clip(upper=10)
    mean = v.rolling(20).mean()
    out["vo_climax"] = some(((v > 2.5 * mean) & (spread > 1.5 * t)).astype(float), 20)
    out["vo_dry"] = some((v < 0.5 * mean).astype(float), 20)
    money = (v * c * bars.instrument.point_value).where(v > 0)
    out["vo_amihud_20"] = np.log1p(1e9 * (r.abs() / money).rolling(20, min_periods=1).mean())
    middle = (h + low) / 2
    ease = ratio(ratio(middle.diff(), t, 0.0) * wide, rel, 0.0)
    out["vo_eom_14"] = ease.rolling(14).mean()
    return out | of_days(bars, days)


def of_days(bars: Bars, days: pd.Series) -> dict[str, pd.Series]:
    """The two columns that compare with earlier trading dates, by dictionaries."""
    volume = np.array(bars.volume)
    slot = (wall_us(bars) // 60_000_000 - 1080) % 1440 // 30
    dates = list(dict.fromkeys(days))
    by_slot = [{} for _ in dates]
    sums = [0.0] * len(dates)
    relative, share = np.full(len(days), np.nan), np.full(len(days), np.nan)
    for k, day in enumerate(days):
        now = dates.index(day)
        by_slot[now][slot[k]] = volume[k]
        sums[now] += volume[k]
        if now < 20:
            continue
        past = [of[slot[k]] for of in by_slot[now - 20 : now] if slot[k] in of]
        if past and sum(past) + volume[k] > 0:
            mean = np.mean(past)
            relative[k] = min(volume[k] / mean, 20.0) if mean > 0 else 1.0
        share[k] = sums[now] / np.mean(sums[now - 20 : now])
    return {"vo_tod_rel": pd.Series(relative), "vo_day_cum_frac": pd.Series(share)}


def test_the_names_are_the_twenty_five_in_order():
    assert set(WARMUP) == set(NAMES)
    assert len(NAMES) == 25
    assert {c.name: c.warmup_bars for c in VOLUME.columns} == WARMUP


def test_every_column_equals_pandas(bars):
    found, wanted = table(bars), expected(bars)
    assert set(wanted) == set(NAMES)
    for name, values in wanted.items():
        values = values.where(np.arange(len(values)) >= WARMUP[name])
        np.testing.assert_allclose(found[name], values, rtol=3e-6, atol=2e-6, err_msg=name)
        assert values.notna().mean() > 0.4, name  # the comparison is not empty


def test_money_flow_and_on_balance_volume_agree_with_talib(bars):
    bars = bars[:700]  # before the silent stretch
    found = table(bars)
    high, low, close, volume = (np.array(bars[name]) for name in ("high", "low", "close", "volume"))
    index = talib.MFI(high, low, close, volume, timeperiod=14) / 100
    np.testing.assert_allclose(found["vo_mfi_14"][15:], index[15:], rtol=1e-5)
    balance = pd.Series(talib.OBV(close, volume))
    slope = balance.diff(20) / pd.Series(volume).rolling(20).sum()
    np.testing.assert_allclose(found["vo_obv_slope_20"][20:], slope[20:], rtol=1e-5, atol=1e-6)
    line = pd.Series(talib.AD(high, low, close, volume))
    flow = line.diff(20) / pd.Series(volume).rolling(20).sum()
    np.testing.assert_allclose(found["vo_cmf_20"][20:], flow[20:], rtol=1e-5, atol=1e-6)


def even(closes, volume, **columns) -> Bars:
    close = np.asarray(closes, dtype=float)
    ts = 1_709_510_400_000_000 + np.arange(len(close)) * 300_000_000
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": np.broadcast_to(np.asarray(volume, dtype=float), close.shape).copy(),
            **columns,
        }
    )
    return Bars(frame, lookup("ES"), Timeframe(300))


def test_a_flat_market_gives_the_bracketed_numbers():
    row = table(even(np.full(500, 5000.0), 10.0)).iloc[-1]
    late = ["vo_tod_rel", "vo_day_cum_frac"]  # need 20 dates
    assert row[late].isna().all()
    wanted = dict.fromkeys(NAMES, 0.0) | dict.fromkeys(("vo_rel_10", "vo_rel_20", "vo_rel_50"), 1.0)
    wanted |= {"vo_trend_5_20": 1, "vo_rank_100": 1, "vo_mfi_14": 0.5, "vo_absorb": 10}
    assert row.drop(late).to_dict() == {k: x for k, x in wanted.items() if k not in late}


def test_without_volume_every_column_is_missing(bars):
    silent = table(with_columns(bars, volume=np.zeros(len(bars))))
    assert silent.isna().all().all()


def test_a_run_without_volume_leaves_plain_means_of_the_typical_price():
    closes = 5000 + np.cumsum(np.random.default_rng(3).normal(0, 2, 200)).round()
    volume = np.where((np.arange(200) >= 60) & (np.arange(200) < 85), 0.0, 10.0)
    found = table(even(closes, volume))
    atr = atr_wilder(closes, closes, closes, 14)
    plain = (closes - pd.Series(closes).rolling(20).mean()) / atr
    assert found["vo_vwap20_dist"][82] == pytest.approx(plain[82], rel=1e-5)
    assert found["vo_rel_20"][60:79].notna().all()
    assert found["vo_rel_20"][79:85].isna().all()


def test_rising_prices_have_no_negative_money_flow():
    found = table(even(np.arange(5000.0, 5040.0), 10.0))
    assert found["vo_mfi_14"].iloc[-1] == 1
    assert found["vo_obv_slope_20"].iloc[-1] == 1
    assert found["vo_up_frac_20"].iloc[-1] == 1


def test_prices_below_zero_make_the_log_columns_missing(bars):
    prices = {n: bars[n] - np.where(np.arange(len(bars)) == 600, 2 * bars.close, 0.0)
              for n in ("open", "high", "low", "close")}  # fmt: skip
    found = table(with_columns(bars, **prices))
    for name in ("vo_pv_corr_20", "vo_up_frac_20"):
        assert found[name][600:621].isna().all(), name
        assert not found[name][622:630].isna().any(), name
    assert found["vo_mfi_14"][600:614].isna().all()
    assert found["vo_mfi_14"][616] == pytest.approx(expected(bars)["vo_mfi_14"][616], rel=1e-5)


def test_scaled_prices_change_only_the_price_of_liquidity(bars):
    tick = bars.instrument.tick_size
    big = with_columns(bars, **{n: bars[n] * 8 for n in ("open", "high", "low", "close")})
    big = Bars(big.frame, replace(bars.instrument, tick_size=8 * tick), bars.timeframe)
    plain, scaled = table(bars), table(big)
    for name in NAMES:
        if name == "vo_amihud_20":
            assert (scaled[name][30:690] < plain[name][30:690]).all()
        else:
            np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-6, atol=1e-6)


def test_mirrored_prices_turn_the_directed_columns(bars):
    turn = 2 * 16_384.0
    mirror = with_columns(bars, open=turn - bars.open, close=turn - bars.close,
                          high=turn - bars.low, low=turn - bars.high)  # fmt: skip
    plain, turned = table(bars), table(mirror)
    signed = {c.name for c in VOLUME.columns if c.signed}
    assert len(signed) == 10
    even_ones = {"vo_absorb", "vo_climax", "vo_dry", "vo_z_20", "vo_tod_rel", "vo_rel_20"}
    for name in (signed - {"vo_pv_corr_20"}) | even_ones:
        side = -1 if name in signed else 1
        np.testing.assert_allclose(turned[name], side * plain[name], rtol=1e-5, atol=1e-5)
    share = plain["vo_up_frac_20"] + turned["vo_up_frac_20"]
    assert (share.dropna() <= 1 + 1e-6).all()


def test_daily_bars_have_no_times_of_day():
    bars = market("SIMA5", months=6, timeframe="1h")
    daily = Bars(bars.frame.gather_every(23), lookup("ES"), Timeframe.parse("1d"))
    found = table(daily)
    assert len(found) > 100
    blank = [name for name in NAMES if found[name].isna().all()]
    assert blank == ["vo_vwap_sess_dist", "vo_tod_rel", "vo_day_cum_frac"]
