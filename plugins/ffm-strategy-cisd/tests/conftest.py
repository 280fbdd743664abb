from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup


def bars_of(open_, high, low, close) -> Bars:
    ts = 1_709_510_400_000_000 + np.arange(len(open_)) * 300_000_000
    columns = {"open": open_, "high": high, "low": low, "close": close}
    frame = pl.DataFrame(
        {
            "ts": pl.Series(ts).cast(pl.Datetime("us", "UTC")),
            **{name: np.asarray(values, dtype=np.float64) for name, values in columns.items()},
            "volume": np.ones(len(open_)),
        }
    )
    return Bars(frame, lookup("ES"), Timeframe(300))


@pytest.fixture(scope="session")
def make_bars():
    return bars_of


@pytest.fixture(scope="session")
def wave() -> Bars:
    """The closed-form series the published fixtures were computed on."""
    i = np.arange(1500)
    x = (0.6 * np.sin(i / 7) + 0.9 * np.sin(i / 23 + 1) + 1.7 * np.sin(i / 91 + 2)
         + 0.25 * (((i * 7919) % 101) / 50 - 1))  # fmt: skip
    close = 5000 + 10 * x
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + 0.25 * (1 + (31 * i % 17) / 4)
    low = np.minimum(open_, close) - 0.25 * (1 + (17 * i % 13) / 4)
    return bars_of(open_, high, low, close)


@pytest.fixture(scope="session")
def walk():
    """A random walk on the tick grid with gaps; the seed fixes it."""

    def make(seed: int, rows: int = 3000) -> Bars:
        rng = np.random.default_rng(seed)
        body = np.round(rng.standard_t(4, rows) * 6)
        gap = rng.integers(-9, 10, rows) * (rng.random(rows) < 0.2)
        close = 20_000 + np.cumsum(body + gap)
        open_ = close - body
        high = np.maximum(open_, close) + rng.integers(0, 6, rows)
        low = np.minimum(open_, close) - rng.integers(0, 6, rows)
        return bars_of(*(values * 0.25 for values in (open_, high, low, close)))

    return make
