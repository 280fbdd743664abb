"""The same bars at another time, and other bars at the same time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ffm_core.bars.table import PRICE_COLUMNS, Bars

WEEK_US = 7 * 86_400_000_000


def moved(bars: Bars, weeks: int) -> Bars:
    """Return bars and their outside tables, moved by whole weeks."""
    by_us = weeks * WEEK_US
    stamps = pl.Series("ts", bars.ts_us + by_us).cast(pl.Datetime("us", "UTC"))
    tables = tuple(table.moved(by_us) for table in bars.tables)
    return replace(bars, frame=bars.frame.with_columns(stamps), tables=tables)


def walked(bars: Bars, skip: int, extra: int, rng: np.random.Generator) -> Bars:
    """Return a simulated walk of ``T + extra`` bars with the stamps from bar ``skip`` on.

    The stamps go on in their pattern behind the end; prices lie on the tick grid, have the
    volatility of ``bars`` and belong to one contract.
    """
    stamps, tick, n = bars.ts_us, bars.instrument.tick_size, len(bars) + extra
    weeks = int(stamps[-1] - stamps[0]) // WEEK_US + 1
    ts = np.concatenate([stamps[skip:], stamps[: skip + extra] + weeks * WEEK_US])
    size = float(np.std(np.diff(np.log(np.maximum(bars.close, tick))))) or 1e-3
    path = max(float(bars.close[0]), 100 * tick) * np.exp(size * np.cumsum(rng.standard_normal(n)))
    close = np.maximum(np.round(path / tick), 8.0) * tick
    opened = np.append(close[:1], close[:-1])
    spread = tick * rng.integers(0, 6, (2, n))
    prices = {
        "open": opened, "high": np.maximum(opened, close) + spread[0],
        "low": np.maximum(np.minimum(opened, close) - spread[1], tick), "close": close,
    }  # fmt: skip
    volume = np.ceil(rng.permutation(np.resize(bars.volume, n)) * rng.uniform(0.5, 2.0, n))
    columns = [
        pl.Series("ts", ts).cast(pl.Datetime("us", "UTC")),
        *(pl.Series(name, prices[name]) for name in PRICE_COLUMNS),
        pl.Series("volume", volume),
    ]
    if "contract" in bars.frame.columns:
        columns.append(bars.frame["contract"][:1].new_from_index(0, n))
    frame = pl.DataFrame(columns).select(bars.frame.columns)
    return replace(bars, frame=frame)
