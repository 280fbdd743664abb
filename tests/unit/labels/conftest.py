from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars, Instrument, Timeframe
from ffm_core.bars.instruments import lookup

MakeBars = Callable[..., Bars]


def _bars(ts_us, open_, high, low, close, *, instrument, minutes=5, contract=None) -> Bars:
    columns = {
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": np.ones(len(open_)),
    }
    frame = pl.DataFrame(
        {
            "ts": pl.Series(np.asarray(ts_us, dtype=np.int64)).cast(pl.Datetime("us", "UTC")),
            **{name: np.asarray(values, dtype=np.float64) for name, values in columns.items()},
        }
    )
    if contract is not None:
        frame = frame.with_columns(contract=pl.Series(contract))
    return Bars(frame, instrument, Timeframe(60 * minutes))


@pytest.fixture(scope="session")
def free() -> Instrument:
    """A round-the-clock market with a quarter-point tick and no costs."""
    return Instrument(symbol="FREE", name="free", exchange="-", group="-", tick_size=0.25,
                      point_value=50.0, slippage_ticks=0.0, session_open="00:00",
                      session_close="00:00", timezone="UTC", kind="simulated")  # fmt: skip


@pytest.fixture(scope="session")
def make_bars(free: Instrument) -> MakeBars:
    """Bars from price lists: five minutes apart unless stamps are given."""

    def make(open_, high, low, close, *, instrument=free, ts_us=None, **more) -> Bars:
        if ts_us is None:
            ts_us = 1_709_510_400_000_000 + np.arange(len(open_)) * 300_000_000
        return _bars(ts_us, open_, high, low, close, instrument=instrument, **more)

    return make


@pytest.fixture(scope="session")
def wave(free: Instrument) -> Bars:
    """The closed-form series the published fixtures were computed on."""
    i = np.arange(1500)
    x = (0.6 * np.sin(i / 7) + 0.9 * np.sin(i / 23 + 1) + 1.7 * np.sin(i / 91 + 2)
         + 0.25 * (((i * 7919) % 101) / 50 - 1))  # fmt: skip
    close = 5000 + 10 * x
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + 0.25 * (1 + (31 * i % 17) / 4)
    low = np.minimum(open_, close) - 0.25 * (1 + (17 * i % 13) / 4)
    slots = np.arange(2000)
    slots = slots[(slots % 288 < 252) | (slots % 288 >= 264)][:1500]
    return _bars(1_709_510_400_000_000 + slots * 300_000_000, open_, high, low, close,
                 instrument=free)  # fmt: skip


@pytest.fixture(scope="session")
def es() -> Instrument:
    return lookup("ES")


@pytest.fixture(scope="session")
def walk(free: Instrument) -> Callable[..., Bars]:
    """A random walk on the tick grid with gaps; the seed fixes it."""

    def make(
        seed: int, rows: int = 120, *, instrument: Instrument = free, scale: float = 1.0
    ) -> Bars:
        rng = np.random.default_rng(seed)
        tick = 0.25 * scale
        instrument = replace(instrument, tick_size=tick)
        gap = rng.integers(-3, 4, rows) * (rng.random(rows) < 0.3)
        body = rng.integers(-6, 7, rows)
        close = 400 + np.cumsum(gap + body)
        open_ = close - body
        high = np.maximum(open_, close) + rng.integers(0, 4, rows)
        low = np.minimum(open_, close) - rng.integers(0, 4, rows)
        ts = 1_709_510_400_000_000 + np.arange(rows) * 300_000_000
        prices = [values * tick for values in (open_, high, low, close)]
        return _bars(ts, *prices, instrument=instrument)

    return make


@pytest.fixture(scope="session")
def torn(free: Instrument) -> Callable[..., Bars]:
    """A random walk with quiet and wild stretches, short and long gaps, and rolls."""

    def make(seed: int, rows: int = 900, *, instrument: Instrument = free) -> Bars:
        rng = np.random.default_rng(seed)
        pace = np.repeat(rng.choice([1, 3, 8], rows // 60 + 1), 60)[:rows]
        body = rng.integers(-3, 4, rows) * pace
        close = 20_000 + np.cumsum(body)
        open_ = close - body + rng.integers(-1, 2, rows) * (rng.random(rows) < 0.2)
        high = np.maximum(open_, close) + rng.integers(0, 4, rows)
        low = np.minimum(open_, close) - rng.integers(0, 4, rows)
        missing = np.zeros(rows, dtype=np.int64)
        at = rng.choice(np.arange(1, rows), 8, replace=False)
        missing[at] = [1, 12, 19, 20, 21, 22, 288, 600]  # 20 is the longest that is no gap
        stamps = 1_709_510_400_000_000 + (np.arange(rows) + np.cumsum(missing)) * 300_000_000
        roll = np.sort(rng.choice(np.arange(rows // 3, rows), 2, replace=False))
        number = np.searchsorted(roll, np.arange(rows), side="right")
        names = np.array(["ESH24", "ESM24", "ESU24"])[number].tolist()
        prices = [values * 0.25 + 30 * number for values in (open_, high, low, close)]
        return _bars(stamps, *prices, instrument=instrument, contract=names)

    return make
