from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.features.trivial8 import TRIVIAL8

NAMES = [column.name for column in TRIVIAL8.columns]


def bars_of(close) -> Bars:
    close = np.asarray(close, dtype=float)
    ts = 1_709_510_400_000_000 + np.arange(len(close)) * 300_000_000
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": np.ones(len(close)),
        }
    )
    return Bars(frame, lookup("ES"), Timeframe(300))


@pytest.fixture(scope="module")
def random_bars():
    return bars_of(5000 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 1e-3, 800))))


def test_the_columns_equal_pandas_rolling_windows(random_bars):
    close = pd.Series(np.array(random_bars.close))
    log = np.log(close)
    step = log.diff()
    low, high = close.rolling(20).min(), close.rolling(20).max()
    window = close.rolling(100)
    expected = {f"ret_{lag}": log.diff(lag) for lag in (1, 5, 20, 60)}
    expected |= {f"vol_{n}": step.rolling(n).std() for n in (10, 20)}
    expected["range_pos_20"] = (close - low) / (high - low)
    expected["zscore_100"] = (close - window.mean()) / window.std()
    found = pd.DataFrame(TRIVIAL8.batch(random_bars), columns=NAMES)
    assert set(expected) == set(NAMES)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=1e-7, err_msg=name)


def test_shape_type_and_warm_up_are_as_declared(random_bars):
    found = TRIVIAL8.batch(random_bars)
    assert found.dtype == np.float32
    assert found.shape == (800, 8)
    full = np.isfinite(found).all(axis=1)
    assert full[TRIVIAL8.warmup_bars :].all()
    assert not full[: TRIVIAL8.warmup_bars].any()


@pytest.mark.parametrize("cut", [50, 120, 333, 799])
def test_cutting_the_future_changes_no_byte(random_bars, cut):
    whole, part = TRIVIAL8.batch(random_bars), TRIVIAL8.batch(random_bars[:cut])
    assert part.tobytes() == whole[:cut].tobytes()


@pytest.mark.parametrize("row", [150, 400, 799])
def test_the_declared_history_suffices_and_one_bar_less_does_not(random_bars, row):
    whole = TRIVIAL8.batch(random_bars)[row]
    history = TRIVIAL8.history_bars
    window = TRIVIAL8.batch(random_bars[row + 1 - history : row + 1])[-1]
    assert window.tobytes() == whole.tobytes()
    short = TRIVIAL8.batch(random_bars[row + 2 - history : row + 1])[-1]
    assert np.isnan(short[NAMES.index("zscore_100")])


def test_flat_prices_give_neutral_numbers():
    found = TRIVIAL8.batch(bars_of(np.full(150, 5000.1)))[-1]
    expected = dict.fromkeys(NAMES, 0.0) | {"range_pos_20": 0.5}
    assert dict(zip(NAMES, found.tolist(), strict=True)) == expected


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_few_bars_give_rows_without_values(rows):
    found = TRIVIAL8.batch(bars_of(np.linspace(100, 101, rows)))
    assert found.shape == (rows, 8)
    assert not np.isinf(found).any()
    assert np.isnan(found[:, NAMES.index("zscore_100")]).all()


def test_signs_follow_the_price_where_declared(random_bars):
    close = np.array(random_bars.close)
    turned = TRIVIAL8.batch(bars_of(np.exp(2 * np.log(close[0]) - np.log(close))))
    found = TRIVIAL8.batch(random_bars)
    for k, column in enumerate(TRIVIAL8.columns):
        if column.name.startswith("ret_"):
            assert column.signed
            np.testing.assert_allclose(turned[100:, k], -found[100:, k], atol=1e-6)
        if column.name.startswith("vol_"):
            assert not column.signed
            np.testing.assert_allclose(turned[100:, k], found[100:, k], rtol=1e-4)
