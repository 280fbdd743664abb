from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import talib
from ffm_features_qe150.periods import bars_per_year
from ffm_features_qe150.volatility import VOLATILITY
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.features.steps import run_programs

NAMES = [column.name for column in VOLATILITY.columns]
FIRST = {  # the bar, from 0, of each column's first value
    "vl_atr_pct_7": 7, "vl_atr_pct_14": 14, "vl_atr_pct_28": 28, "vl_atr_7_28": 28,
    "vl_rv_10": 11, "vl_rv_20": 21, "vl_rv_60": 61, "vl_rv_10_60": 61, "vl_parkinson_20": 20,
    "vl_gk_20": 20, "vl_rs_20": 20, "vl_yz_20": 21, "vl_rv_rank_250": 271, "vl_vov_20": 30,
    "vl_bb_pctb_20": 20, "vl_bb_width_20": 20, "vl_bb_rank_100": 120, "vl_kc_pos_20": 20,
    "vl_kc_width_20": 20, "vl_squeeze": 20, "vl_squeeze_len": 20, "vl_dc_width_20": 20,
    "vl_downdev_20": 21, "vl_ud_ratio_20": 21, "vl_skew_60": 61, "vl_kurt_60": 61,
    "vl_tr_z_20": 20, "vl_ewma": 30, "vl_jump_20": 21, "vl_range_exp": 10,
}  # fmt: skip
ES, BTC = lookup("ES"), lookup("BTCUSDT")


def bars_of(open_, high, low, close, *, instrument=ES, minutes=5) -> Bars:
    ts = 1_709_510_400_000_000 + np.arange(len(close)) * minutes * 60_000_000
    columns = {"open": open_, "high": high, "low": low, "close": close}
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            **{name: np.asarray(values, dtype=float) for name, values in columns.items()},
            "volume": np.ones(len(close)),
        }
    )
    return Bars(frame, instrument, Timeframe(60 * minutes))


def walk(rows=900, seed=5, start=5000.0, quiet=30) -> Bars:
    """A walk with gaps between bars; of every 150 bars, ``quiet`` do not move."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(rows) % 150 < quiet, 0.0, 1.0) * rng.gamma(2.0, 1.5, rows)
    close = start + np.cumsum(rng.normal(0, 1, rows) * size)
    open_ = np.append(start, close[:-1]) + rng.normal(0, 0.3, rows) * (size > 0)
    high = np.maximum(open_, close) + rng.exponential(0.5, rows) * (size > 0)
    low = np.minimum(open_, close) - rng.exponential(0.5, rows) * (size > 0)
    return bars_of(open_, high, low, close)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk()


def computed(bars: Bars) -> dict[str, np.ndarray]:
    found = run_programs([VOLATILITY], bars).astype(np.float64)
    return dict(zip(NAMES, found.T, strict=True))


# The formulas written out slowly, over whole arrays.


def rolling(x, n, statistic):
    out = np.full(len(x), np.nan)
    if len(x) >= n:
        out[n - 1 :] = statistic(sliding_window_view(x, n))
    return out


def mean(x, n):
    return rolling(x, n, lambda w: w.mean(axis=1))


def sd(x, n):
    spread = rolling(x, n, lambda w: np.ptp(w, axis=1))
    return np.where(spread == 0, 0.0, rolling(x, n, lambda w: w.std(axis=1, ddof=1)))


def rank(x, n):
    share = rolling(x, n, lambda w: (w <= w[:, -1:]).mean(axis=1))
    return np.where(np.isnan(mean(x, n)), np.nan, share)


def back(x, n):
    return np.concatenate((np.full(n, np.nan), x[:-n]))


def ratio(a, b, default):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(b) <= 1e-12, np.where(np.isnan(a), np.nan, default), a / b)


def ln(a, b):
    good = (a > 0) & (b > 0)
    return np.where(good, np.log(np.where(good, a, 1.0) / np.where(good, b, 1.0)), np.nan)


def smoothed(x, n, alpha):
    """Seeded with the mean of the first ``n``; a missing value leaves the level alone."""
    out, seen, level = np.full(len(x), np.nan), [], np.nan
    for t, value in enumerate(x):
        if np.isnan(value):
            continue
        seen.append(value)
        level = np.mean(seen) if len(seen) == n else (1 - alpha) * level + alpha * value
        out[t] = level
    return out


def ranges(bars):
    before = back(bars.close, 1)
    parts = [bars.high - bars.low, np.abs(bars.high - before), np.abs(bars.low - before)]
    return np.nanmax(np.array(parts), axis=0)


def lasting(flags):
    out, run = np.zeros(len(flags)), 0
    for t, flag in enumerate(flags):
        run = run + 1 if flag else 0
        out[t] = min(run, 50) / 50
    return out


def unbiased(moment, r):
    """Scipy's bias-corrected moment of 60 returns; 0 where they do not vary."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # identical returns
        found = rolling(r, 60, lambda w: moment(w, axis=1, bias=False))
    return np.where(sd(r, 60) <= 1e-12, 0.0, found)


def reference(bars: Bars, year: float) -> dict[str, np.ndarray]:
    o, h, l, c = bars.open, bars.high, bars.low, bars.close  # noqa: E741
    true, r, root = ranges(bars), ln(bars.close, back(bars.close, 1)), np.sqrt(year)
    atr = {n: smoothed(true, n, 1 / n) for n in (7, 14, 20, 28)}
    out = {f"vl_atr_pct_{n}": np.where(c > 0, atr[n] / c, np.nan) for n in (7, 14, 28)}
    out["vl_atr_7_28"] = ratio(atr[7], atr[28], 1.0)
    out |= {f"vl_rv_{n}": sd(r, n) * root for n in (10, 20, 60)}
    out["vl_rv_10_60"] = ratio(out["vl_rv_10"], out["vl_rv_60"], 1.0)
    hl, co = ln(h, l), ln(c, o)
    rs = mean(ln(h, c) * ln(h, o) + ln(l, c) * ln(l, o), 20)
    gk = mean(hl**2 / 2 - (2 * np.log(2) - 1) * co**2, 20)
    out["vl_parkinson_20"] = np.sqrt(year * mean(hl**2, 20) / (4 * np.log(2)))
    out["vl_gk_20"] = np.sqrt(year * np.maximum(gk, 0.0))
    out["vl_rs_20"] = np.sqrt(year * np.maximum(rs, 0.0))
    weight = 0.34 / (1.34 + 21 / 19)
    variance = sd(ln(o, back(c, 1)), 20) ** 2 + weight * sd(co, 20) ** 2 + (1 - weight) * rs
    out["vl_yz_20"] = np.sqrt(year * variance)
    out["vl_rv_rank_250"] = rank(out["vl_rv_20"], 250)
    out["vl_vov_20"] = ratio(sd(out["vl_rv_10"], 20), mean(out["vl_rv_10"], 20), 0.0)
    middle, sigma = mean(c, 20), sd(c, 20)
    out["vl_bb_pctb_20"] = ratio(c - (middle - 2 * sigma), 4 * sigma, 0.5)
    out["vl_bb_width_20"] = ratio(4 * sigma, middle, 0.0)
    out["vl_bb_rank_100"] = rank(out["vl_bb_width_20"], 100)
    centre = smoothed(c, 20, 2 / 21)
    out["vl_kc_pos_20"] = ratio(c - centre, 2 * atr[20], 0.0)
    out["vl_kc_width_20"] = ratio(4 * atr[20], centre, 0.0)
    squeezed = (2 * sigma < 1.5 * atr[20]) & (atr[20] > 1e-12)
    out["vl_squeeze"] = squeezed.astype(float)
    out["vl_squeeze_len"] = lasting(squeezed)
    top, bottom = (rolling(x, 20, pick) for x, pick in ((h, _highest), (l, _lowest)))
    out["vl_dc_width_20"] = ratio(top - bottom, atr[14], 0.0)
    down = np.sqrt(mean(np.minimum(r, 0.0) ** 2, 20))
    up = np.sqrt(mean(np.maximum(r, 0.0) ** 2, 20))
    out["vl_downdev_20"] = down * root
    sides = np.log(np.maximum(up, 1e-8) / np.maximum(down, 1e-8))
    out["vl_ud_ratio_20"] = np.clip(sides, -3, 3)
    out["vl_skew_60"] = unbiased(stats.skew, r)
    out["vl_kurt_60"] = np.minimum(unbiased(stats.kurtosis, r), 20)
    out["vl_tr_z_20"] = ratio(true - mean(true, 20), sd(true, 20), 0.0)
    out["vl_ewma"] = np.sqrt(year * smoothed(r**2, 20, 0.06))
    bipower = np.pi / 2 * 20 * mean(np.abs(r) * np.abs(back(r, 1)), 20)
    out["vl_jump_20"] = np.clip(1 - ratio(bipower, 20 * mean(r**2, 20), 1.0), 0, 1)
    out["vl_range_exp"] = np.minimum(ratio(h - l, mean(h - l, 10), 1.0), 10)
    for name, values in out.items():
        values[: FIRST[name]] = np.nan
    return out


def _highest(windows):
    return windows.max(axis=1)


def _lowest(windows):
    return windows.min(axis=1)


def test_thirty_columns_in_order():
    assert list(FIRST) == NAMES
    assert len(NAMES) == len(set(NAMES)) == 30
    assert all(column.group == "volatility" for column in VOLATILITY.columns)
    assert {column.name: column.warmup_bars for column in VOLATILITY.columns} == FIRST


def agree(found, expected, *, atol=1e-7):
    """Ranks among values that tie but for rounding may differ by one place."""
    assert set(found) == set(expected)
    for name in NAMES:
        a, b = found[name], expected[name]
        place = {"vl_rv_rank_250": 1.01 / 250, "vl_bb_rank_100": 1.01 / 100}.get(name)
        if place is not None:
            assert (np.isnan(a) == np.isnan(b)).all()
            assert np.nanmax(np.abs(a - b)) <= place, name
            assert np.nanmean(np.abs(a - b) > 1e-6) < 0.01, name
            continue
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=atol, equal_nan=True, err_msg=name)


@pytest.mark.parametrize("seed", [5, 6])
def test_every_column_equals_the_formula_written_out(seed):
    bars = walk(seed=seed)
    agree(computed(bars), reference(bars, 69_552))


def test_the_first_value_comes_when_declared(bars):
    for name, values in computed(bars).items():
        assert np.flatnonzero(~np.isnan(values))[0] == FIRST[name], name
        assert np.isfinite(values[FIRST[name] :]).all(), name


def test_agreement_with_talib():
    """Bollinger bands, there with n instead of n − 1, agree from their first value.

    TA-Lib's ATR leaves out the first bar's range; what uses it is compared once the
    seeds have faded, 700 bars in.
    """
    bars = walk(rows=1200, quiet=0)
    h, l, c = bars.high, bars.low, bars.close  # noqa: E741
    wide = 2 * np.sqrt(20 / 19)
    upper, middle, lower = talib.BBANDS(c, 20, wide, wide, 0)
    atr20, ema20 = talib.ATR(h, l, c, 20), talib.EMA(c, 20)
    early = {"vl_bb_pctb_20": (c - lower) / (upper - lower)}
    early |= {"vl_bb_width_20": (upper - lower) / middle}
    early |= {"vl_tr_z_20": (talib.TRANGE(h, l, c) - talib.SMA(talib.TRANGE(h, l, c), 20))
              / (talib.STDDEV(talib.TRANGE(h, l, c), 20) * np.sqrt(20 / 19))}  # fmt: skip
    late = {f"vl_atr_pct_{n}": talib.ATR(h, l, c, n) / c for n in (7, 14, 28)}
    late |= {"vl_atr_7_28": talib.ATR(h, l, c, 7) / talib.ATR(h, l, c, 28)}
    late |= {"vl_kc_pos_20": (c - ema20) / (2 * atr20), "vl_kc_width_20": 4 * atr20 / ema20}
    late |= {"vl_dc_width_20": (talib.MAX(h, 20) - talib.MIN(l, 20)) / talib.ATR(h, l, c, 14)}
    found = computed(bars)
    for name, values in (early | late).items():
        at = slice(21 if name in early else 700, None)
        np.testing.assert_allclose(found[name][at], values[at], rtol=1e-6, atol=2e-6, err_msg=name)


def test_a_flat_market_answers_with_the_defaults():
    price = np.full(500, 5000.3)
    found = computed(bars_of(price, price, price, price))
    others = {"vl_atr_7_28": 1, "vl_rv_10_60": 1, "vl_bb_pctb_20": 0.5, "vl_range_exp": 1}
    others |= {"vl_rv_rank_250": 1, "vl_bb_rank_100": 1}
    for name, values in found.items():
        assert (values[FIRST[name] :] == others.get(name, 0)).all(), name


def test_a_market_that_goes_flat_ends_at_the_defaults(bars):
    """What a faded ATR leaves behind must not be a ratio of two vanishing numbers."""
    rest = np.full(1200, bars.close[-1])
    columns = (np.append(x, rest) for x in (bars.open, bars.high, bars.low, bars.close))
    found = computed(bars_of(*columns))
    assert found["vl_atr_7_28"][-1] == 1
    assert found["vl_squeeze"][-1] == found["vl_squeeze_len"][-1] == found["vl_kc_pos_20"][-1] == 0


def test_ten_times_the_price_changes_nothing(bars):
    larger = bars_of(*(10.0 * x for x in (bars.open, bars.high, bars.low, bars.close)))
    agree(computed(larger), computed(bars), atol=1e-6)


def test_prices_upside_down_and_inverse_prices(bars):
    mirror = bars_of(*(10_000.0 - x for x in (bars.open, bars.low, bars.high, bars.close)))
    inverse = bars_of(*(1e4 / x for x in (bars.open, bars.low, bars.high, bars.close)))
    found, turned, inverted = computed(bars), computed(mirror), computed(inverse)
    expected = {"vl_kc_pos_20": -found["vl_kc_pos_20"], "vl_bb_pctb_20": 1 - found["vl_bb_pctb_20"]}
    expected |= {
        n: found[n] for n in ("vl_dc_width_20", "vl_tr_z_20", "vl_range_exp", "vl_squeeze")
    }
    for name, values in expected.items():
        np.testing.assert_allclose(turned[name], values, rtol=1e-6, atol=1e-6, err_msg=name)
    odd = {"vl_ud_ratio_20": -found["vl_ud_ratio_20"], "vl_skew_60": -found["vl_skew_60"]}
    same = ("vl_rv_10", "vl_rv_20", "vl_rv_60", "vl_parkinson_20", "vl_gk_20", "vl_rs_20",
            "vl_yz_20", "vl_kurt_60", "vl_ewma", "vl_jump_20")  # fmt: skip
    for name, values in (odd | {n: found[n] for n in same}).items():
        np.testing.assert_allclose(inverted[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    signed = {column.name for column in VOLATILITY.columns if column.signed}
    assert signed == {"vl_kc_pos_20", "vl_ud_ratio_20", "vl_skew_60"}


def test_negative_prices_blank_what_needs_a_logarithm_and_it_recovers():
    bars = walk(rows=700, start=60.0)
    dip = np.zeros(700)
    dip[300:303] = -200.0
    assert (bars.low > 0).all()
    moved = bars_of(*(x + dip for x in (bars.open, bars.high, bars.low, bars.close)))
    assert (moved.high[300:303] < 0).all()
    found = computed(moved)
    agree(found, reference(moved, 69_552), atol=1e-6)
    blank = {name: np.flatnonzero(np.isnan(x[FIRST[name] :])) + FIRST[name]
             for name, x in found.items()}  # fmt: skip
    assert blank["vl_ewma"].tolist() == [300, 301, 302, 303]
    assert blank["vl_parkinson_20"].tolist() == list(range(300, 322))
    assert len(blank["vl_bb_pctb_20"]) == len(blank["vl_kc_pos_20"]) == 0
    assert blank["vl_rv_rank_250"].max() == 303 + 19 + 249


@pytest.mark.parametrize(
    ("instrument", "timeframe", "bars"),
    [(ES, "1m", 347_760), (ES, "5m", 69_552), (ES, "15m", 23_184), (ES, "1h", 5_796),
     (ES, "4h", 1_449), (ES, "1d", 252), (BTC, "1m", 525_600), (BTC, "5m", 105_120),
     (BTC, "15m", 35_040), (BTC, "1h", 8_760), (BTC, "4h", 2_190), (BTC, "1d", 365),
     (replace(ES, calendar="NYSE", session_open="09:30", session_close="16:00"), "1m", 98_280),
     (replace(ES, calendar="NYSE", session_open="09:30", session_close="16:00"), "1h", 1_638),
     (replace(ES, calendar="NYSE", session_open="09:30", session_close="16:00"), "1d", 252),
     (replace(ES, calendar="24/5", session_close="18:00"), "1d", 260),
     (ES, "7d", 365 / 7), (BTC, "7d", 365 / 7)],
)  # fmt: skip
def test_the_bars_of_a_year(instrument, timeframe, bars):
    assert bars_per_year(instrument, Timeframe.parse(timeframe)) == pytest.approx(bars, rel=1e-12)


def test_a_minute_and_an_hour_see_the_same_yearly_volatility():
    """A path of independent steps with 20 % a year; 252 bars a year would be 37 times off."""
    rows, sigma = 60 * 2_000, 0.20
    steps = np.random.default_rng(8).normal(0, sigma / np.sqrt(347_760), rows)
    path = 5000 * np.exp(np.cumsum(steps))
    hours = path.reshape(-1, 60)
    before = np.append(5000.0, hours[:-1, -1])
    minute = computed(bars_of(path, path, path, path, minutes=1))
    extremes = np.maximum(hours.max(axis=1), before), np.minimum(hours.min(axis=1), before)
    hourly = computed(bars_of(before, *extremes, hours[:, -1], minutes=60))
    fine, coarse = np.nanmean(minute["vl_rv_60"]), np.nanmean(hourly["vl_rv_60"])
    assert fine == pytest.approx(coarse, rel=0.1)
    for name in ("vl_rv_60", "vl_parkinson_20", "vl_gk_20", "vl_rs_20", "vl_yz_20", "vl_ewma"):
        assert 0.17 < np.nanmean(hourly[name]) < 0.22, name
    assert 0.18 < fine < 0.22


@pytest.mark.parametrize("shift", ["next close", "own high"])
def test_the_reference_notices_a_wrong_bar(bars, shift):
    """The comparison is sharp enough to see one bar or one price mistaken."""
    other = np.append(bars.close[1:], bars.close[-1]) if shift == "next close" else bars.high
    wrong = bars_of(bars.open, np.maximum(bars.high, other), np.minimum(bars.low, other), other)
    found, expected = computed(bars), reference(wrong, 69_552)
    differing = {
        name
        for name in NAMES
        if not np.allclose(found[name], expected[name], rtol=1e-6, atol=1e-7, equal_nan=True)
    }
    untouched = {"vl_parkinson_20", "vl_range_exp"} if shift == "own high" else set()
    assert differing >= set(NAMES) - untouched - {"vl_tr_z_20", "vl_dc_width_20"}
