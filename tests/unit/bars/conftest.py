"""Small hand-made bars for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup


def build(
    symbol: str = "ES",
    start: str = "2024-03-04 23:00",
    minutes: int = 5,
    rows: int = 100,
    stamps: list[str] | None = None,
) -> Bars:
    """Flat bars on the tick grid at given or regular stamps."""
    row = lookup(symbol)
    if stamps is not None:
        times = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in stamps]
        us = np.array([int(t.timestamp()) * 1_000_000 for t in times])
    else:
        first = datetime.fromisoformat(start).replace(tzinfo=UTC)
        us = int(first.timestamp()) * 1_000_000 + np.arange(rows) * minutes * 60_000_000
    price = 1000 * row.tick_size + row.tick_size * (np.arange(len(us)) % 7)
    frame = pl.DataFrame(
        {
            "ts": pl.Series(us).cast(pl.Datetime("us", "UTC")),
            "open": price,
            "high": price + row.tick_size,
            "low": price - row.tick_size,
            "close": price,
            "volume": np.full(len(us), 10.0),
        }
    )
    return Bars(frame, row, Timeframe(minutes * 60))


@pytest.fixture(scope="session")
def make() -> Callable[..., Bars]:
    """Return the builder of small bars."""
    return build
