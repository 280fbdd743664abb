from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import talib
from ffm_features_qe150.price import PRICE
from numpy.lib.stride_tricks import sliding_window_view

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.features.steps import run_programs

NAMES = [column.name for column in PRICE.columns]
FIRST = {  # the bar, from 0, of each column's first value
    **{f"pa_ret_{n}": n for n in (1, 2, 3, 5, 10, 20, 60)},
    "pa_ret_z20": 21, "pa_body_atr": 14, "pa_range_atr": 14, "pa_body_ratio": 0,
    "pa_upper_wick": 0, "pa_lower_wick": 0, "pa_clv": 0, "pa_gap_atr": 15,
    "pa_dist_sma_10": 14, "pa_dist_sma_20": 20, "pa_dist_sma_50": 50, "pa_dist_sma_200": 200,
    "pa_dist_ema_9": 14, "pa_dist_ema_21": 21, "pa_dist_ema_50": 50, "pa_ema9_21": 21,
    "pa_ema21_50": 50, "pa_slope_ema21": 26, "pa_slope_sma50": 60, "pa_rsi_7": 8,
    "pa_rsi_14": 15, "pa_rsi_21": 22, "pa_stoch_k14": 14, "pa_stoch_d3": 16, "pa_cci_20": 20,
    "pa_macd": 26, "pa_macd_sig": 35, "pa_macd_hist": 35, "pa_lr_slope_20": 20,
    "pa_lr_r2_20": 20, "pa_er_10": 10, "pa_streak": 1, "pa_up_frac_20": 20,
}  # fmt: skip


def bars_of(open_, high, low, close) -> Bars:
    ts = 1_709_510_400_000_000 + np.arange(len(close)) * 300_000_000
    columns = {"open": open_, "high": high, "low": low, "close": close}
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            **{name: np.asarray(values, dtype=float) for name, values in columns.items()},
            "volume": np.ones(len(close)),
        }
    )
    return Bars(frame, lookup("ES"), Timeframe(300))


def closes(close) -> Bars:
    return bars_of(close, close, close, close)


def walk(rows=900, seed=3, start=5000.0, quiet=30) -> Bars:
    """A walk with gaps between bars; of every 150 bars, ``quiet`` do not move."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(rows) % 150 < quiet, 0.0, 1.0) * rng.gamma(2.0, 1.5, rows)
    close = start + np.cumsum(rng.normal(0, 1, rows) * size)
    open_ = np.append(start, close[:-1]) + rng.normal(0, 0.3, rows) * (rng.random(rows) < 0.2)
    high = np.maximum(open_, close) + rng.exponential(0.5, rows) * (size > 0)
    low = np.minimum(open_, close) - rng.exponential(0.5, rows) * (size > 0)
    return bars_of(open_, high, low, close)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk()


def computed(bars: Bars) -> dict[str, np.ndarray]:
    found = run_programs([PRICE], bars).astype(np.float64)
    return dict(zip(NAMES, found.T, strict=True))


# The formulas written out slowly, over whole arrays.


def rolling(x, n, statistic):
    out = np.full(len(x), np.nan)
    if len(x) >= n:
        out[n - 1 :] = statistic(sliding_window_view(x, n))
    return out


def back(x, n):
    return np.concatenate((np.full(n, np.nan), x[:-n]))


def ratio(a, b, default):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(b) <= 1e-12, np.where(np.isnan(a), np.nan, default), a / b)


def smoothed(x, n, alpha):
    out = np.full(len(x), np.nan)
    first = int(np.flatnonzero(~np.isnan(x))[0])
    level = out[first + n - 1] = x[first : first + n].mean()
    for t in range(first + n, len(x)):
        level = out[t] = (1 - alpha) * level + alpha * x[t]
    return out


def ema(x, n):
    return smoothed(x, n, 2 / (n + 1))


def true_ranges(bars):
    before = back(bars.close, 1)
    parts = np.array([bars.high - bars.low, np.abs(bars.high - before), np.abs(bars.low - before)])
    return np.nanmax(parts, axis=0)


def reference(bars: Bars) -> dict[str, np.ndarray]:
    o, h, l, c = bars.open, bars.high, bars.low, bars.close  # noqa: E741
    t14 = smoothed(true_ranges(bars), 14, 1 / 14)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.where(c > 0, np.log(np.where(c > 0, c, 1.0)), np.nan)
    r = log - back(log, 1)
    out = {f"pa_ret_{n}": log - back(log, n) for n in (1, 2, 3, 5, 10, 20, 60)}
    sd = rolling(r, 20, lambda w: w.std(axis=1, ddof=1))
    out["pa_ret_z20"] = ratio(r - rolling(r, 20, lambda w: w.mean(axis=1)), sd, 0.0)
    out["pa_body_atr"] = ratio(c - o, t14, 0.0)
    out["pa_range_atr"] = ratio(h - l, t14, 0.0)
    out["pa_body_ratio"] = ratio(c - o, h - l, 0.0)
    out["pa_upper_wick"] = ratio(h - np.maximum(o, c), h - l, 0.0)
    out["pa_lower_wick"] = ratio(np.minimum(o, c) - l, h - l, 0.0)
    out["pa_clv"] = ratio((c - l) - (h - c), h - l, 0.0)
    out["pa_gap_atr"] = ratio(o - back(c, 1), back(t14, 1), 0.0)
    sma = {n: rolling(c, n, lambda w: w.mean(axis=1)) for n in (10, 20, 50, 200)}
    out |= {f"pa_dist_sma_{n}": ratio(c - mean, t14, 0.0) for n, mean in sma.items()}
    e = {n: ema(c, n) for n in (9, 12, 21, 26, 50)}
    out |= {f"pa_dist_ema_{n}": ratio(c - e[n], t14, 0.0) for n in (9, 21, 50)}
    out["pa_ema9_21"] = ratio(e[9] - e[21], t14, 0.0)
    out["pa_ema21_50"] = ratio(e[21] - e[50], t14, 0.0)
    out["pa_slope_ema21"] = ratio(e[21] - back(e[21], 5), 5 * t14, 0.0)
    out["pa_slope_sma50"] = ratio(sma[50] - back(sma[50], 10), 10 * t14, 0.0)
    change = np.diff(c, prepend=np.nan)
    for n in (7, 14, 21):
        gain = smoothed(np.where(change > 0, change, change * 0), n, 1 / n)
        loss = smoothed(np.where(change < 0, -change, change * 0), n, 1 / n)
        out[f"pa_rsi_{n}"] = ratio(gain, gain + loss, 0.5)
    top = rolling(h, 14, lambda w: w.max(axis=1))
    bottom = rolling(l, 14, lambda w: w.min(axis=1))
    out["pa_stoch_k14"] = ratio(c - bottom, top - bottom, 0.5)
    out["pa_stoch_d3"] = rolling(out["pa_stoch_k14"], 3, lambda w: w.mean(axis=1))
    tp = (h + l + c) / 3
    mean = rolling(tp, 20, lambda w: w.mean(axis=1))
    mad = rolling(tp, 20, lambda w: np.abs(w - w.mean(axis=1)[:, None]).mean(axis=1))
    flat = rolling(tp, 20, lambda w: np.ptp(w, axis=1)) == 0
    cci = np.where(flat, 0.0, ratio(tp - mean, 0.015 * mad, 0.0))
    out["pa_cci_20"] = np.clip(cci / 100, -5, 5)
    out["pa_macd"] = ratio(e[12] - e[26], t14, 0.0)
    out["pa_macd_sig"] = ema(out["pa_macd"], 9)
    out["pa_macd_hist"] = out["pa_macd"] - out["pa_macd_sig"]
    line = lambda w: np.polyfit(np.arange(20), (w - w[:, :1]).T, 1)[0]  # noqa: E731
    out["pa_lr_slope_20"] = ratio(rolling(c, 20, line), t14, 0.0)
    out["pa_lr_r2_20"] = rolling(c, 20, lambda w: np.array([explained(row) for row in w]))
    path = rolling(np.abs(change), 10, lambda w: w.sum(axis=1))
    out["pa_er_10"] = ratio(np.abs(c - back(c, 10)), path, 0.0)
    out["pa_streak"] = streaks(r) / 10
    rises = np.where(np.isnan(r), np.nan, r > 0)
    out["pa_up_frac_20"] = rolling(rises, 20, lambda w: w.mean(axis=1))
    for name, values in out.items():
        values[: FIRST[name]] = np.nan
    return out


def explained(window):
    if np.ptp(window) == 0:
        return 0.0
    return np.corrcoef(np.arange(20), window - window[0])[0, 1] ** 2


def streaks(r):
    out, run = np.full(len(r), np.nan), 0
    for t, value in enumerate(r):
        if np.isnan(value):
            run = 0
            continue
        sign = int(np.sign(value))
        run = sign if sign * run <= 0 else run + sign
        out[t] = np.clip(run, -10, 10)
    return out


def test_forty_columns_in_order():
    assert list(FIRST) == [name for name in NAMES if name in FIRST]
    assert len(NAMES) == len(set(NAMES)) == len(FIRST) == 40
    assert all(column.group == "price action" for column in PRICE.columns)
    assert {column.name: column.warmup_bars for column in PRICE.columns} == FIRST


@pytest.mark.parametrize("seed", [3, 4])
def test_every_column_equals_the_formula_written_out(seed):
    bars = walk(seed=seed)
    found, expected = computed(bars), reference(bars)
    assert set(found) == set(expected)
    for name in NAMES:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-6, atol=1e-7, equal_nan=True, err_msg=name
        )


def test_the_first_value_comes_when_declared(bars):
    for name, values in computed(bars).items():
        assert np.flatnonzero(~np.isnan(values))[0] == FIRST[name], name
        assert np.isfinite(values[FIRST[name] :]).all(), name


def test_agreement_with_talib():
    """Same definition and seed: RSI, raw stochastic and CCI agree from the start.

    TA-Lib's ATR leaves out the first bar's range, and its MACD starts the fast mean
    later; what uses them is compared once the seeds have faded, 500 bars in. Without
    any move TA-Lib's RSI, stochastic and CCI are 0; the bars here all move.
    """
    bars = walk(quiet=0)
    h, l, c = bars.high, bars.low, bars.close  # noqa: E741
    t14 = talib.ATR(h, l, c, 14)
    macd = talib.MACD(c, 12, 26, 9)[0] / t14
    k, d = talib.STOCHF(h, l, c, 14, 3, 0)
    early = {f"pa_rsi_{n}": talib.RSI(c, n) / 100 for n in (7, 14, 21)}
    early |= {"pa_stoch_k14": k / 100, "pa_stoch_d3": d / 100}
    early |= {"pa_cci_20": np.clip(talib.CCI(h, l, c, 20) / 100, -5, 5)}
    late = {f"pa_dist_ema_{n}": (c - talib.EMA(c, n)) / t14 for n in (9, 21, 50)}
    late |= {"pa_lr_slope_20": talib.LINEARREG_SLOPE(c, 20) / t14, "pa_macd": macd}
    late |= {"pa_macd_sig": talib.EMA(np.nan_to_num(macd), 9)}
    late |= {f"pa_dist_sma_{n}": (c - talib.SMA(c, n)) / t14 for n in (10, 20, 50, 200)}
    found = computed(bars)
    for name, values in (early | late).items():
        at = slice(max(FIRST[name], 16) if name in early else 500, None)  # %D begins at 16
        np.testing.assert_allclose(found[name][at], values[at], rtol=1e-6, atol=1e-7, err_msg=name)


def test_a_flat_market_answers_with_the_defaults():
    found = computed(closes(np.full(500, 5000.3)))
    half = {"pa_rsi_7", "pa_rsi_14", "pa_rsi_21", "pa_stoch_k14", "pa_stoch_d3"}
    for name, values in found.items():
        expected = 0.5 if name in half else 0.0
        assert (values[FIRST[name] :] == expected).all(), name


@pytest.mark.parametrize(("step", "expected"), [(1.0, 1.0), (0.0, 0.5), (-1.0, 0.0)])
def test_rsi_without_falls_without_moves_and_without_rises(step, expected):
    found = computed(closes(5000.0 + step * np.arange(30)))
    assert (found["pa_rsi_14"][15:] == expected).all()


def test_the_streak_counts_to_ten_and_a_zero_return_resets_it():
    moves = [1.0] * 12 + [0.0] + [1.0, 1.0] + [-1.0] * 3
    found = computed(closes(100.0 + np.cumsum([0.0, *moves])))["pa_streak"]
    expected = [*range(1, 11), 10, 10, 0, 1, 2, -1, -2, -3]
    np.testing.assert_allclose(found[1:], np.array(expected) / 10, rtol=1e-6)


def test_ten_times_the_price_changes_nothing(bars):
    larger = bars_of(*(10.0 * x for x in (bars.open, bars.high, bars.low, bars.close)))
    found, scaled = computed(bars), computed(larger)
    for name in NAMES:
        np.testing.assert_allclose(
            scaled[name], found[name], rtol=1e-6, atol=1e-7, equal_nan=True, err_msg=name
        )


ODD_IN_POINTS = (
    "pa_body_atr", "pa_body_ratio", "pa_clv", "pa_gap_atr", "pa_dist_sma_10",
    "pa_dist_sma_20", "pa_dist_sma_50", "pa_dist_sma_200", "pa_dist_ema_9", "pa_dist_ema_21",
    "pa_dist_ema_50", "pa_ema9_21", "pa_ema21_50", "pa_slope_ema21", "pa_slope_sma50",
    "pa_cci_20", "pa_macd", "pa_macd_sig", "pa_macd_hist", "pa_lr_slope_20", "pa_streak",
)  # fmt: skip
EVEN_IN_POINTS = ("pa_range_atr", "pa_lr_r2_20", "pa_er_10")
HALF_IN_POINTS = ("pa_rsi_7", "pa_rsi_14", "pa_rsi_21", "pa_stoch_k14", "pa_stoch_d3")


def test_prices_upside_down_turn_the_signs(bars):
    mirror = bars_of(*(10_000.0 - x for x in (bars.open, bars.low, bars.high, bars.close)))
    found, turned = computed(bars), computed(mirror)
    expected = {name: -found[name] for name in ODD_IN_POINTS}
    expected |= {name: found[name] for name in EVEN_IN_POINTS}
    expected |= {name: 1 - found[name] for name in HALF_IN_POINTS}
    expected["pa_upper_wick"] = found["pa_lower_wick"]
    expected["pa_lower_wick"] = found["pa_upper_wick"]
    for name, values in expected.items():
        np.testing.assert_allclose(turned[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


def test_inverse_prices_turn_the_returns(bars):
    inverse = bars_of(*(1e4 / x for x in (bars.open, bars.low, bars.high, bars.close)))
    found, turned = computed(bars), computed(inverse)
    for name in ("pa_ret_z20", *(f"pa_ret_{n}" for n in (1, 2, 3, 5, 10, 20, 60))):
        np.testing.assert_allclose(turned[name], -found[name], rtol=1e-6, atol=1e-6)
    signed = {column.name for column in PRICE.columns if column.signed}
    assert signed == {*ODD_IN_POINTS, "pa_ret_z20"} | {n for n in NAMES if "pa_ret_" in n}


def test_negative_prices_blank_the_logs_and_nothing_else_and_it_recovers():
    bars = walk(rows=400, start=60.0)
    dip = np.zeros(400)
    dip[200:203] = -150.0
    moved = bars_of(*(x + dip for x in (bars.open, bars.high, bars.low, bars.close)))
    assert (moved.close[200:203] < 0).all()
    assert (np.delete(moved.low, range(200, 203)) > 0).all()
    found, expected = computed(moved), reference(moved)
    for name in NAMES:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-6, atol=1e-6, equal_nan=True, err_msg=name
        )
    blank = {name: np.flatnonzero(np.isnan(x[FIRST[name] :])) for name, x in found.items()}
    assert blank["pa_ret_1"].tolist() == [199, 200, 201, 202]  # counted from bar 1
    assert {n for n, at in blank.items() if len(at)} == {
        "pa_ret_z20", "pa_streak", "pa_up_frac_20",
        *(f"pa_ret_{n}" for n in (1, 2, 3, 5, 10, 20, 60)),
    }  # fmt: skip
    assert all(at.max() + FIRST[n] < 264 for n, at in blank.items() if len(at))


@pytest.mark.parametrize("shift", ["next close", "own high"])
def test_the_reference_notices_a_wrong_bar(bars, shift):
    """The comparison above is sharp enough to see one bar or one price mistaken."""
    other = np.append(bars.close[1:], bars.close[-1]) if shift == "next close" else bars.high
    wrong = bars_of(bars.open, np.maximum(bars.high, other), np.minimum(bars.low, other), other)
    found, expected = computed(bars), reference(wrong)
    differing = [
        name
        for name in NAMES
        if not np.allclose(found[name], expected[name], rtol=1e-6, atol=1e-7, equal_nan=True)
    ]
    assert len(differing) >= 38
