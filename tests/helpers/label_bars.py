"""Bars that labels and targets are tried on; import the fixtures into a conftest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ffm_core.bars import Bars, Instrument
from ffm_core.bars.instruments import lookup
from ffm_core.testing import bars_of, golden_bars

MakeBars = Callable[..., Bars]


@pytest.fixture(scope="session")
def free() -> Instrument:
    """A round-the-clock market with a quarter-point tick and no costs."""
    return Instrument(symbol="FREE", name="free", exchange="-", group="-", tick_size=0.25,
                      point_value=50.0, slippage_ticks=0.0, session_open="00:00",
                      session_close="00:00", timezone="UTC", kind="simulated")  # fmt: skip


@pytest.fixture(scope="session")
def make_bars(free: Instrument) -> MakeBars:
    """Bars from price lists: five minutes apart unless stamps are given."""

    return partial(bars_of, instrument=free)


@pytest.fixture(scope="session")
def wave(free: Instrument) -> Bars:
    """The closed-form series the published fixtures were computed on."""
    golden = golden_bars()
    return Bars(golden.frame, free, golden.timeframe)


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
        prices = [values * tick for values in (open_, high, low, close)]
        return bars_of(*prices, instrument=instrument)

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
        return bars_of(*prices, ts_us=stamps, instrument=instrument, contract=names)

    return make
