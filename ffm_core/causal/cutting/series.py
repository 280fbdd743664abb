"""Cut, changed and mirrored copies of bars, made cheaply."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from ffm_core.bars.inputs import InputTable
from ffm_core.bars.table import PRICE_COLUMNS, Bars
from ffm_core.types import Float64, Int64

Mutation: TypeAlias = Literal["perturb", "permute", "splice", "foreign", "roll", "session"]
MUTATIONS: tuple[Mutation, ...] = ("perturb", "permute", "splice", "foreign", "roll", "session")
_INSERTED = 24  # bars of an inserted session

_DAY_US = 86_400_000_000
_FIELDS = (*PRICE_COLUMNS, "volume")


def part(bars: Bars, start: int, stop: int) -> Bars:
    """Return bars ``start`` to ``stop`` in a frame of their own.

    Stamps, and contract codes where that is exact, are handed on, because
    computing them again for thousands of cuts would cost more than the plug-in.
    """
    frame = bars.frame.slice(start, max(stop - start, 0))
    cut = Bars(frame, bars.instrument, bars.timeframe, bars.tables_before(stop))
    _share_stamps(cut, bars, start, stop)
    if start == 0:
        codes = bars.contract_codes
        shared = None if codes is None else codes[:stop]
        if shared is not None:
            shared.setflags(write=False)
        vars(cut)["contract_codes"] = shared
    return cut


def _share_stamps(cut: Bars, bars: Bars, start: int, stop: int) -> None:
    stamps = bars.ts_us[start:stop]
    stamps.setflags(write=False)
    vars(cut)["ts_us"] = stamps


def fingerprint(bars: Bars) -> dict[str, str]:
    """Hash every column of the frame as it stands now."""
    found = {}
    for name in bars.frame.columns:
        values = bars.frame[name]
        if values.dtype == pl.Datetime:
            values = values.to_physical()
        raw = values.to_numpy() if values.dtype.is_numeric() else values.cast(pl.Utf8).hash()
        found[name] = hashlib.sha256(np.ascontiguousarray(raw).tobytes()).hexdigest()
    return found


def edited(bars: Bars, before: dict[str, str]) -> str | None:
    """Return the column that no longer is as ``before`` said, or None.

    Views that were handed out are compared with the frame as well, so that a
    plug-in which swaps them is seen too.
    """
    after = fingerprint(bars)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            return name
    for name in _FIELDS:
        view = vars(bars).get(name)
        if view is not None and not np.array_equal(view, bars.frame[name].to_numpy()):
            return name
    return None


def with_future(
    bars: Bars,
    start: int,
    cut: int,
    stop: int,
    *,
    kind: Mutation,
    rng: np.random.Generator,
    until: int | None = None,
    other: Bars | None = None,
) -> Bars:
    """Return bars ``start`` to ``stop`` whose rows from ``cut`` on are changed.

    Parameters
    ----------
    bars : Bars
        The true series.
    start, cut, stop : int
        ``start <= cut < stop``; rows before ``cut`` stay as they are. Stamps stay
        too, because a calendar may be known ahead, but for an inserted session.
    kind : {"perturb", "permute", "splice", "foreign", "roll", "session"}
        Noise on every later bar; later bars in another order; later bars
        replaced by another stretch of the series at another price level, under
        the contract the series ends with; by a stretch of ``other`` at this
        level; moved by a price jump into a contract never seen before; followed
        or interrupted by up to 24 bars that were not there.
    rng : numpy.random.Generator
        Where the changes are drawn from.
    until : int, optional
        Bars from here on keep their true prices and volume.
    other : Bars, optional
        Another instrument; ``foreign`` needs it.

    Returns
    -------
    Bars
        Prices on the tick grid, OHLC in order, length ``stop - start``, and as
        many more as were inserted.
    """
    frame = bars.frame.slice(start, stop - start)
    keep = stop if until is None else min(until, stop)
    tables = _later_rows(bars, cut, keep, stop, rng)
    if kind == "session":
        return _inserted(bars, frame, tables, start, cut, stop if until is None else until, rng)
    head = cut - start
    future = _future(bars, cut, stop, kind, rng, other)
    columns = {name: frame[name] for name in frame.columns}
    for name in _FIELDS:
        values = frame[name].to_numpy().copy()
        values[head : keep - start] = future[name][: keep - cut]
        columns[name] = pl.Series(name, values)
    if kind in ("splice", "roll") and "contract" in columns:
        columns["contract"] = _renamed(bars, columns["contract"], head, keep - start, kind)
    changed = Bars(pl.DataFrame(columns), bars.instrument, bars.timeframe, tables)
    _share_stamps(changed, bars, start, stop)
    return changed


def _later_rows(
    bars: Bars, cut: int, keep: int, stop: int, rng: np.random.Generator
) -> tuple[InputTable, ...]:
    """Return outside tables whose rows are others from the close of bar ``cut - 1`` on."""
    known = bars.tables_before(cut)
    true = bars.tables_before(keep)
    return tuple(
        _changed(whole, len(before), len(until), rng)
        for before, until, whole in zip(known, true, bars.tables_before(stop), strict=True)
    )


def _changed(table: InputTable, lo: int, hi: int, rng: np.random.Generator) -> InputTable:
    columns = {}
    for name, values in table.columns.items():
        new = values.copy()
        if name in table.moments:
            new[lo:hi] += rng.integers(1, 72, hi - lo) * 3_600_000_000
        else:
            drawn = rng.permutation(values[lo:hi]) * rng.uniform(1.1, 2.0, hi - lo)
            new[lo:hi] = np.where(drawn == 0, 1.0, drawn)
        columns[name] = new
    return replace(table, columns=columns)


def _renamed(bars: Bars, names: pl.Series, head: int, keep: int, kind: Mutation) -> pl.Series:
    """Return the contracts of a changed future, from place ``head`` on."""
    if kind == "splice":
        last = bars.frame["contract"][-1:].new_from_index(0, len(names) - head)
        return pl.concat([names[:head], last])
    fresh = pl.Series(names.name, [f"{names[head]}+"]).new_from_index(0, keep - head)
    return pl.concat([names[:head], fresh, names[keep:]])


def _inserted(
    bars: Bars, frame: pl.DataFrame, tables: tuple[InputTable, ...], start: int, cut: int,
    until: int, rng: np.random.Generator,
) -> Bars:  # fmt: skip
    """Fill the first hole in the stamps after the cut, or go on after the end."""
    step, stamps, last = bars.timeframe.us, bars.ts_us, start + frame.height
    holes = np.flatnonzero(np.diff(stamps[max(cut - 1, 0) : last]) > step)
    after = max(cut - 1, 0) + int(holes[0]) if len(holes) else last - 1
    if after + 1 >= until and until < last:
        return Bars(frame, bars.instrument, bars.timeframe, tables)
    room = _INSERTED
    if after + 1 < last:
        room = min(room, int((stamps[after + 1] - stamps[after]) // step) - 1)
    tick, close = bars.instrument.tick_size, float(bars.close[after])
    path = close + tick * np.cumsum(rng.integers(-6, 7, room)).astype(np.float64)
    path = np.maximum(np.round(path / tick), 1.0) * tick
    opened = np.append(close, path[:-1])
    values = {
        "open": opened, "high": np.maximum(opened, path) + tick,
        "low": np.maximum(np.minimum(opened, path) - tick, tick), "close": path,
        "volume": np.full(room, float(bars.volume[after]) + 1.0),
    }  # fmt: skip
    made = stamps[after] + step * np.arange(1, room + 1)
    columns = [
        pl.Series("ts", made).cast(pl.Datetime("us", "UTC")),
        *(pl.Series(name, values[name]) for name in _FIELDS),
    ]
    if "contract" in frame.columns:
        columns.append(frame["contract"][after - start : after - start + 1].new_from_index(0, room))
    extra = pl.DataFrame(columns).select(frame.columns)
    head = after + 1 - start
    joined = pl.concat([frame[:head], extra, frame[head:]], rechunk=True)
    return Bars(joined, bars.instrument, bars.timeframe, tables)


def _future(
    bars: Bars, cut: int, stop: int, kind: Mutation, rng: np.random.Generator, other: Bars | None
) -> dict[str, Float64]:
    n = stop - cut
    if kind == "permute" and n > 1:  # one bar has no other order: noise, so that something changes
        rows = cut + rng.permutation(n)
        return {name: bars[name][rows] for name in _FIELDS}
    source = bars
    if kind == "splice":
        rows = (int(rng.integers(0, len(bars))) + np.arange(n)) % len(bars)
        level = bars.close[max(cut - 1, 0)] / bars.close[rows[0]]
        factor = np.full(n, level * float(rng.choice([0.6, 0.8, 1.25, 1.6])))
    elif kind == "foreign" and other is not None:
        source = other
        rows = (int(rng.integers(0, len(other))) + np.arange(n)) % len(other)
        factor = np.full(n, bars.close[max(cut - 1, 0)] / other.close[rows[0]])
    elif kind == "roll":
        rows = np.arange(cut, stop)
        factor = np.full(n, float(rng.choice([0.97, 0.985, 1.015, 1.03])))
    else:
        rows = np.arange(cut, stop)
        # Every bar moves by 0.5 % or more, so that no change is lost to the tick grid.
        factor = np.exp(rng.choice([-1.0, 1.0], n) * rng.uniform(0.005, 0.03, n))
    moved = _scaled(source, rows, factor, bars.instrument.tick_size)
    return moved | {"volume": np.ceil(source.volume[rows] * rng.uniform(1.1, 3.0, n)) + 1.0}


def _scaled(bars: Bars, rows: Int64, factor: Float64, tick: float) -> dict[str, Float64]:
    return {
        name: np.maximum(np.round(bars[name][rows] * factor / tick), 1.0) * tick
        for name in PRICE_COLUMNS
    }


def stranger(bars: Bars, rng: np.random.Generator, *, rows: int = 4_096) -> Bars:
    """Return made-up bars of another market, at prices like these; their stamps mean nothing."""
    level = float(np.median(bars.close)) if len(bars) else 1_000.0
    path = level * np.exp(np.cumsum(0.002 * rng.standard_normal(rows)))
    opened = np.append(level, path[:-1])
    room = path * 0.002 * rng.random((2, rows))
    values = {
        "open": opened, "high": np.maximum(opened, path) + room[0],
        "low": np.minimum(opened, path) - room[1], "close": path,
        "volume": np.ceil(np.exp(rng.normal(6.0, 1.0, rows))),
    }  # fmt: skip
    stamps = pl.Series("ts", np.arange(rows) * bars.timeframe.us).cast(pl.Datetime("us", "UTC"))
    made = [pl.Series(name, column) for name, column in values.items()]
    return Bars(pl.DataFrame([stamps, *made]), bars.instrument, bars.timeframe)


def mirrored(bars: Bars, *, extra: int = 8) -> Bars:
    """Return the series upside down, weeks earlier, and ``extra`` bars longer.

    Nothing in it equals what a plug-in has been shown so far (neither stamps,
    prices nor length), so an answer kept from an earlier call does not fit it.
    Whole weeks keep sessions where they are, but for clock changes.
    """
    n, tick = len(bars), bars.instrument.tick_size
    rows = np.append(np.arange(n), np.arange(n - 1, n - 1 - min(extra, n), -1)).astype(np.int64)
    level = float(np.exp(np.mean(np.log(np.maximum(bars.close, tick))))) ** 2
    flipped = {"open": "open", "high": "low", "low": "high", "close": "close"}
    values: dict[str, Float64] = {
        name: np.maximum(np.round(level / np.maximum(bars[source][rows], tick) / tick), 1.0) * tick
        for name, source in flipped.items()
    }
    added = np.arange(1, len(rows) - n + 1) * bars.timeframe.us
    span = int(bars.ts_us[-1] - bars.ts_us[0])
    weeks = max(52, span // (7 * _DAY_US) + 2)
    stamps = np.append(bars.ts_us, bars.ts_us[-1] + added) - weeks * 7 * _DAY_US
    columns = [
        pl.Series("ts", stamps).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        *(pl.Series(name, values[name]) for name in PRICE_COLUMNS),
        pl.Series("volume", bars.volume[rows]),
    ]
    if "contract" in bars.frame.columns:
        names = bars.frame["contract"]
        columns.append(pl.concat([names, names[-1:].new_from_index(0, len(rows) - n)]))
    flipped_tables = (_flipped(table) for table in bars.tables)
    tables = tuple(table.moved(-weeks * 7 * _DAY_US) for table in flipped_tables)
    return Bars(pl.DataFrame(columns), bars.instrument, bars.timeframe, tables)


def _flipped(table: InputTable) -> InputTable:
    """Return a table whose numbers are upside down, within the range they have."""
    columns = {
        name: values if name in table.moments or not len(values)
        else values.max() + values.min() - values
        for name, values in table.columns.items()
    }  # fmt: skip
    return replace(table, columns=columns)
