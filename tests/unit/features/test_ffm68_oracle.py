"""``ffm68`` against a plain pandas implementation of its definitions, value by value."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import time
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.readers import load
from ffm_core.bars.simulate import market
from ffm_core.features.ffm68 import FFM68
from ffm_core.testing import make_bars
from ffm_core.testing.golden import golden_bars
from helpers.loading import load_module

NAMES = [column.name for column in FFM68.columns]


@pytest.fixture(scope="module")
def derive(repository):
    yield load_module("ffm68_pandas", repository / "benchmarks/reference/ffm68_pandas.py").derive
    del sys.modules["ffm68_pandas"]


def holes(bars, seed):
    """Drop bars, whole hours and some days; still and empty bars where others are left."""
    rng = np.random.default_rng(seed)
    keep = rng.random(len(bars)) > 0.03
    for start in rng.integers(0, len(bars), 25):
        keep[start : start + rng.integers(2, 30)] = False
    for start in rng.integers(0, len(bars), 3):
        keep[start : start + 500] = False
    rows = np.flatnonzero(keep)
    still, empty = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for mask in (still, empty):
        for start in rng.integers(0, len(rows), 40):
            mask[start : start + rng.choice([1, 2, 6, 25])] = True
        start = rng.integers(0, len(rows) // 2)
        mask[start : start + 90] = True
    frame = bars.frame[rows].with_columns(still=pl.Series(still), empty=pl.Series(empty))
    level = pl.when(pl.col("still")).then(None).otherwise("close").forward_fill().backward_fill()
    frame = frame.with_columns(level=level)
    frame = frame.with_columns(
        *(
            pl.when("still").then("level").otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        ),
        volume=pl.when("empty").then(0.0).otherwise("volume"),
    )
    return Bars(frame.drop("still", "empty", "level"), bars.instrument, bars.timeframe)


def as_proxy(bars):
    """Bars from 04:00 to 20:00 New York, as those of an exchange-traded fund."""
    hour = pl.col("ts").dt.convert_time_zone("America/New_York").dt.hour()
    return Bars(bars.frame.filter((hour >= 4) & (hour < 20)), lookup("QQQ"), bars.timeframe)


def in_chicago(bars):
    """Bars from 08:30 to 15:00 of a contract whose session opens off the hour."""
    wall = pl.col("ts").dt.convert_time_zone("America/Chicago").dt.time()
    row = replace(
        lookup("ES"), timezone="America/Chicago", session_open="08:30", session_close="15:00"
    )
    inside = (wall >= time(8, 30)) & (wall < time(15))
    return Bars(bars.frame.filter(inside), row, bars.timeframe)


def around_the_clock(rows, seconds):
    rng = np.random.default_rng(8)
    close = np.round(30_000 * np.exp(np.cumsum(rng.normal(0, 0.004, rows))), 1)
    opens = np.concatenate((close[:1], close[:-1]))
    ts = 1_709_510_400_000_000 + np.arange(rows) * seconds * 1_000_000
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            "open": opens,
            "high": np.maximum(opens, close) + np.round(rng.exponential(40, rows), 1),
            "low": np.minimum(opens, close) - np.round(rng.exponential(40, rows), 1),
            "close": close,
            "volume": np.floor(rng.exponential(200, rows)),
        }
    )
    return Bars(frame, lookup("BTCUSDT"), Timeframe(seconds))


CASES = {
    "golden": golden_bars,
    "5m": partial(market, "A", seed=1, months=3, timeframe="5m"),  # clock change, early closes
    "5m-holes": lambda: holes(market("B", seed=2, months=3, timeframe="5m"), 3),
    "1m": partial(market, "B", seed=4, months=1, timeframe="1m"),
    "15m": partial(market, "A", seed=5, months=6, timeframe="15m"),
    "15m-proxy": lambda: as_proxy(market("A", seed=6, months=8, timeframe="15m")),
    "5m-chicago": lambda: in_chicago(market("B", seed=15, months=8, timeframe="5m")),
    "30m-holes": lambda: holes(market("A", seed=7, months=12, timeframe="30m"), 8),
    "1h": partial(market, "B", seed=9, months=13, timeframe="1h"),
    "1h-always": lambda: around_the_clock(4_000, 3_600),
    "5m-always-holes": lambda: holes(around_the_clock(8_000, 300), 10),
    "4h-always": lambda: around_the_clock(2_000, 14_400),
    "made-gappy": partial(make_bars, "gappy", 4_000, 11),
    "made-quiet": partial(make_bars, "quiet", 1_500, 12),
    "made-flat": partial(make_bars, "flat", 1_500, 13),
    "made-clock": partial(make_bars, "clock", 2_000, 14),
}


def disagreements(found, expected):
    """Return a line for each column that differs: how often and where first."""
    lines = []
    for at, name in enumerate(NAMES):
        ours, theirs = found[:, at], expected[name].to_numpy()
        mask = np.isnan(ours) != np.isnan(theirs)
        with np.errstate(invalid="ignore"):
            wrong = mask | (np.abs(ours - theirs) > 1e-6 + 1e-5 * np.abs(theirs))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            lines.append(
                f"{name}: {wrong.sum()} rows ({mask.sum()} NaN), first {row}: "
                f"{ours[row]} against {theirs[row]}"
            )
    return lines


@pytest.mark.parametrize("case", CASES)
def test_every_column_agrees_with_pandas(case, derive):
    bars = CASES[case]()
    expected = derive(bars)
    assert list(expected.columns) == NAMES
    found = FFM68.batch(bars).astype(float)
    assert disagreements(found, expected) == []


@pytest.mark.parametrize("name", ["ES_5m", "CL_5m", "NQ_30m", "QQQ_15m", "BTCUSDT_1h"])
def test_every_column_agrees_with_pandas_on_real_bars(name, derive, data_dir):
    bars = load(data_dir / "real" / f"{name}.parquet").bars
    assert disagreements(FFM68.batch(bars).astype(float), derive(bars)) == []


def test_the_cases_reach_every_column(derive):
    """A column that is constant in every case would be judged by nothing."""
    seen = {name: set() for name in NAMES}
    for case in ("15m", "30m-holes"):
        for name, values in derive(CASES[case]()).items():
            seen[name] |= set(values.dropna().unique()[:50])
    assert [name for name, values in seen.items() if len(values) < 2] == []


def test_a_single_wrong_value_and_a_single_wrong_nan_are_reported(derive):
    bars = golden_bars()
    expected = derive(bars)
    good = expected.to_numpy(copy=True)
    assert disagreements(good, expected) == []
    for at, name in enumerate(NAMES):
        row = int(np.flatnonzero(np.isfinite(good[:, at]))[-7])
        for wrong in (good[row, at] + 2e-5 * abs(good[row, at]) + 2e-6, np.nan):
            bad = good.copy()
            bad[row, at] = wrong
            (line,) = disagreements(bad, expected)
            assert line.startswith(f"{name}: 1 rows")


def test_the_columns_equal_ta_lib_from_their_first_value_on():
    bars = market("A", seed=1, months=1, timeframe="15m")
    found = pd.DataFrame(FFM68.batch(bars).astype(float), columns=NAMES)
    high, low, close, volume = (np.array(bars[name]) for name in ("high", "low", "close", "volume"))
    # TA-Lib has no true range for the first bar, so its mean starts one bar after ours.
    atr = np.append(np.nan, talib.SMA(talib.TRANGE(high, low, close)[1:], 14))
    rate = np.append(np.nan, talib.STDDEV(talib.ROCP(close, 1)[1:], 20)) * np.sqrt(20 / 19)
    expected = {
        "bar_range_atr": (14, (high - low) / atr),
        **{f"ret_close_{k}": (14, talib.MOM(close, k) / atr) for k in (1, 3, 5)},
        "vol_ratio_5": (4, volume / talib.SMA(volume, 5)),
        "vol_ratio_20": (19, volume / talib.SMA(volume, 20)),
        "vty_range_ratio_20": (19, (high - low) / talib.SMA(high - low, 20)),
        "vty_realized_20": (20, rate),
        "str_dist_from_high_20": (19, (close - talib.MAX(high, 20)) / atr),
        "str_dist_from_low_10": (14, (close - talib.MIN(low, 10)) / atr),
    }
    for name, (first, values) in expected.items():
        assert np.isfinite(values[first:]).all(), name
        np.testing.assert_allclose(
            found[name][first:], values[first:], rtol=2e-5, atol=1e-7, err_msg=name
        )
