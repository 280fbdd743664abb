"""Small made-up bars for contract tests: sessions, a roll, and one trouble each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import lookup
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError
from ffm_core.keyed import keyed
from ffm_core.types import Bool, Float64, Int64

Kind: TypeAlias = Literal["trend", "random", "gappy", "flat", "quiet", "rolls", "clock"]
KINDS: tuple[Kind, ...] = ("trend", "random", "gappy", "flat", "quiet", "rolls", "clock")

_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000
_FIRST_US = 1_709_510_400_000_000  # 2024-03-04 00:00 UTC, a Monday
_BASE = 5_000.0  # points
_MOVE_TICKS = 6.0  # standard deviation of a bar's move
_ROLL_POINTS = 45.0
_TWO_CONTRACTS = ("ESH4", "ESM4")
_MANY_CONTRACTS = ("ESH4", "ESM4", "ESU4", "ESZ4", "ESH5")


def make_bars(kind: Kind = "trend", rows: int = 2_000, seed: int = 0) -> Bars:
    """Return seeded bars of 5 minutes; quick, small and valid.

    Parameters
    ----------
    kind : str
        ``trend`` (drift that changes sign every few hours), ``random`` (no
        drift), ``gappy`` (missing bars, a hole of ten days, price gaps), ``flat``
        (one price), ``quiet`` (no volume), ``rolls`` (five contracts with jumps
        between them), ``clock`` (around the clock through the end of summer
        time, when an hour of local time happens twice).
    rows : int
        Number of bars, 0 or more.
    seed : int
        The same arguments give the same bytes.

    Returns
    -------
    Bars
        ES, sessions from 18:00 to 17:00 New York, one roll past the middle.

    Raises
    ------
    ConfigError
        When the kind is unknown or ``rows`` is negative.
    """
    if kind not in KINDS or rows < 0:
        raise ConfigError(
            f"cannot make {rows} bars of kind {kind!r}",
            fix=f"use one of {', '.join(KINDS)} and 0 rows or more",
        )
    rng = keyed(seed, "make_bars", kind)
    instrument = _instrument(kind)
    stamps = _stamps(kind, rows, rng)
    n_contracts = len(_MANY_CONTRACTS) if kind == "rolls" else len(_TWO_CONTRACTS)
    codes = _contracts(rows, n_contracts)
    columns = _prices(kind, stamps, codes, instrument.tick_size, rng)
    names = np.array(_MANY_CONTRACTS)[codes].tolist()
    frame = pl.DataFrame(
        {
            "ts": pl.Series("ts", stamps).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            **columns,
            "contract": pl.Series("contract", names, dtype=pl.String),
        }
    )
    return Bars(frame, instrument, Timeframe(300))


def bars_of(
    open_: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    close: npt.ArrayLike,
    *,
    volume: npt.ArrayLike = 1.0,
    ts_us: npt.ArrayLike | None = None,
    contract: Sequence[str] | None = None,
    instrument: Instrument | None = None,
    minutes: int = 5,
) -> Bars:
    """Return bars of given prices, for tests that know what every bar does.

    Parameters
    ----------
    open_, high, low, close : array of shape (T,)
        Prices in points, oldest first.
    volume : array of shape (T,) or float
        Contracts; one number is the volume of every bar.
    ts_us : array of shape (T,), optional
        Opening times in microseconds since 1970, UTC; without them the bars follow one
        another from Monday, 2024-03-04 00:00 UTC.
    contract : sequence of str, optional
        The contract of every bar.
    instrument : Instrument, optional
        ES unless given.
    minutes : int
        Length of a bar.

    Returns
    -------
    Bars
        What was given, validated.

    Raises
    ------
    DataError
        When the prices make no valid bars.
    """
    prices = {"open": open_, "high": high, "low": low, "close": close}
    rows = len(np.asarray(close))
    if ts_us is None:
        ts_us = _FIRST_US + np.arange(rows) * minutes * _MINUTE_US
    frame = pl.DataFrame(
        {
            "ts": pl.Series(np.asarray(ts_us, dtype=np.int64)).cast(pl.Datetime("us", "UTC")),
            **{name: np.asarray(values, dtype=np.float64) for name, values in prices.items()},
            "volume": np.broadcast_to(np.asarray(volume, dtype=np.float64), rows).copy(),
        }
    )
    if contract is not None:
        frame = frame.with_columns(contract=pl.Series(list(contract)))
    return Bars(frame, instrument or lookup("ES"), Timeframe(60 * minutes))


def walk_bars(seed: int, rows: int = 3_000) -> Bars:
    """Return a random walk of ES on the tick grid with heavy tails and gaps.

    Parameters
    ----------
    seed : int
        The same seed gives the same bars.
    rows : int
        Number of bars of 5 minutes.

    Returns
    -------
    Bars
        A fifth of the bars open away from the last close.
    """
    rng = np.random.default_rng(seed)
    body = np.round(rng.standard_t(4, rows) * 6)
    gap = rng.integers(-9, 10, rows) * (rng.random(rows) < 0.2)
    close = 20_000 + np.cumsum(body + gap)
    open_ = close - body
    high = np.maximum(open_, close) + rng.integers(0, 6, rows)
    low = np.minimum(open_, close) - rng.integers(0, 6, rows)
    return bars_of(*(values * 0.25 for values in (open_, high, low, close)))


def _instrument(kind: Kind) -> Instrument:
    instrument = lookup("ES")
    if kind != "clock":
        return instrument
    return replace(instrument, calendar="24/7", session_open="00:00", session_close="00:00")


def _stamps(kind: Kind, rows: int, rng: np.random.Generator) -> Int64:
    zone = ZoneInfo("America/New_York")
    if kind == "clock":
        change = datetime(2024, 11, 3, 1, 0, tzinfo=zone)
        first = _us(change) - rows // 2 * 5 * _MINUTE_US
        return first + np.arange(rows, dtype=np.int64) * 5 * _MINUTE_US
    start = datetime(2024, 3, 3, 18, 0, tzinfo=zone)  # the next weekend changes the clock
    days = rows // 190 + 4  # five sessions of 276 bars a week, and some to spare
    grid = _us(start) + np.arange(days * 288, dtype=np.int64) * 5 * _MINUTE_US
    if kind == "gappy":
        grid = grid[rng.random(len(grid)) > 0.02]
        middle = rows // 2
        grid[middle:] += 14 * _DAY_US  # two weeks later is the same time of the week
        grid = grid[np.append(True, np.diff(grid) > 0)]
    return grid[_in_session(grid)][:rows]


def _us(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))) / timedelta(microseconds=1))


def _in_session(grid: Int64) -> Bool:
    local = pl.Series(grid).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone("America/New_York")
    hour, weekday = local.dt.hour().to_numpy(), local.dt.weekday().to_numpy()
    closed = (hour == 17) | (weekday == 6)
    closed |= ((weekday == 5) & (hour >= 17)) | ((weekday == 7) & (hour < 18))
    return np.asarray(~closed)


def _contracts(rows: int, n: int) -> Int64:
    share = np.arange(rows) / max(rows, 1)
    if n == 2:
        return (share >= 0.6).astype(np.int64)
    return np.minimum((share * n).astype(np.int64), n - 1)


def _prices(
    kind: Kind, stamps: Int64, codes: Int64, tick: float, rng: np.random.Generator
) -> dict[str, Float64]:
    n = len(stamps)
    if kind == "flat":
        same = np.full(n, _BASE)
        return dict.fromkeys(("open", "high", "low", "close"), same) | {"volume": np.full(n, 10.0)}
    close = np.round((_BASE + np.cumsum(_moves(kind, stamps, codes, tick, rng))) / tick) * tick
    close = np.maximum(close, 100 * tick)
    open_ = np.append(close[:1], close[:-1])
    jumps = np.append(False, (np.diff(stamps) > 5 * _MINUTE_US) | (np.diff(codes) != 0))
    open_ = np.where(jumps, close, open_)
    wick = tick * rng.integers(1, 8, (2, n))
    volume = np.zeros(n) if kind == "quiet" else rng.integers(1, 2_000, n).astype(np.float64)
    return {
        "open": open_,
        "high": np.maximum(open_, close) + wick[0],
        "low": np.minimum(open_, close) - wick[1],
        "close": close,
        "volume": volume,
    }


def _moves(
    kind: Kind, stamps: Int64, codes: Int64, tick: float, rng: np.random.Generator
) -> Float64:
    n = len(stamps)
    # Volatility moves slowly and by the hour of day, so that windows differ.
    slow = np.exp(0.4 * np.sin(np.arange(n) / 97.0 + rng.uniform(0, 6)))
    daily = 1.0 + 0.5 * np.cos(2 * np.pi * (stamps % _DAY_US) / _DAY_US)
    moves = rng.standard_normal(n) * _MOVE_TICKS * tick * slow * daily
    if kind == "trend":
        legs = np.repeat(rng.choice([-1.0, 1.0], n // 40 + 1), 40)[:n]
        moves += 0.45 * _MOVE_TICKS * tick * legs
    rolled = np.append(False, np.diff(codes) != 0)[:n]
    moves[rolled] += _ROLL_POINTS * (4.0 if kind == "rolls" else 1.0)
    if kind == "gappy":
        gap = np.append(False, np.diff(stamps) > 60 * _MINUTE_US)[:n]
        moves[gap] += rng.choice([-1.0, 1.0], int(gap.sum())) * 0.02 * _BASE
    return np.asarray(moves)
