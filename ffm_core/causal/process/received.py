"""Bars that arrive piece by piece: all that the worker knows of a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ffm_core.bars.inputs import InputTable
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import COLUMNS, Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.types import Float64, Int32, Int64

_FIELDS = COLUMNS[1:]
_STAMP = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive bars as plain arrays; names of contracts travel when first met.

    Parameters
    ----------
    ts_us : int64 (n,)
        Bar opens, microseconds UTC.
    fields : tuple of float64 (n,)
        Open, high, low, close, volume.
    codes : int32 (n,), optional
        Contract of each bar, in order of appearance over the whole series.
    names : tuple of str
        Contracts that were not met before this piece.
    tables : tuple of InputTable
        Rows of outside tables that became known with these bars.
    """

    ts_us: Int64
    fields: tuple[Float64, ...]
    codes: Int32 | None
    names: tuple[str, ...]
    tables: tuple[InputTable, ...] = ()


def chunk_of(bars: Bars, start: int, stop: int) -> Chunk:
    """Return bars ``start`` to ``stop``, knowing nothing of later ones."""
    codes = bars.contract_codes
    names: tuple[str, ...] = ()
    if codes is not None:
        # Codes count up in order of appearance.
        known = int(codes[:start].max()) if start else -1
        if (piece := codes[start:stop]).size and int(piece.max()) > known:
            fresh = range(known + 1, int(piece.max()) + 1)
            rows = [start + int(np.argmax(piece == code)) for code in fresh]
            names = tuple(bars.frame["contract"][row] for row in rows)
    return Chunk(
        ts_us=_own(bars.ts_us[start:stop]),
        fields=tuple(_own(getattr(bars, name)[start:stop]) for name in _FIELDS),
        codes=None if codes is None else _own(codes[start:stop]),
        names=names,
        tables=tuple(
            whole.take(slice(len(known), None))
            for known, whole in zip(
                bars.tables_before(start), bars.tables_before(stop), strict=True
            )
        ),
    )


def _own(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # A view pickles its own elements only, but keeps the whole series alive.
    return np.array(values)


def _room(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    while size > len(values):
        values = np.concatenate([values, np.empty_like(values)])
    return values


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    own = values.copy()
    own.setflags(write=False)
    return own


class Held:
    """The bars known so far, in arrays with room for more.

    Parameters
    ----------
    instrument, timeframe
        Of the series.
    """

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        self._instrument = instrument
        self._timeframe = timeframe
        self._names: list[str] = []
        self._bars: Bars | None = None
        self._stamps = np.empty(1024, np.int64)
        self._fields = [np.empty(1024) for _ in _FIELDS]
        self._codes: Int32 | None = None
        self._tables: tuple[InputTable, ...] = ()
        self.known = 0

    def extend(self, chunk: Chunk) -> None:
        """Take the bars that follow."""
        start, self.known = self.known, self.known + len(chunk.ts_us)
        new = slice(start, self.known)
        self._stamps = _room(self._stamps, self.known)
        self._stamps[new] = chunk.ts_us
        self._fields = [_room(values, self.known) for values in self._fields]
        for held, values in zip(self._fields, chunk.fields, strict=True):
            held[new] = values
        if chunk.codes is not None:
            codes = np.empty(1024, np.int32) if self._codes is None else self._codes
            self._codes = _room(codes, self.known)
            self._codes[new] = chunk.codes
        self._names.extend(chunk.names)
        tables = self._tables or tuple(table.take(slice(0, 0)) for table in chunk.tables)
        self._tables = tuple(a.joined(b) for a, b in zip(tables, chunk.tables, strict=True))
        self._bars = None

    def window(self, start: int, stop: int) -> Bars:
        """Return bars ``start`` to ``stop`` in a frame of their own."""
        known = int(self._stamps[stop - 1]) + self._timeframe.us if stop > 0 else 0
        return self._made(start, stop, tuple(table.readable(known) for table in self._tables))

    def _made(self, start: int, stop: int, tables: tuple[InputTable, ...]) -> Bars:
        stamps = _frozen(self._stamps[start:stop])
        columns = [
            pl.Series("ts", stamps).cast(_STAMP),
            *(
                pl.Series(name, values[start:stop])
                for name, values in zip(_FIELDS, self._fields, strict=True)
            ),
        ]
        if self._codes is not None:
            names = pl.Series("contract", self._names, dtype=pl.String)
            codes = pl.Series(self._codes[start:stop].astype(np.uint32))
            columns.append(names.gather(codes))
        bars = Bars(pl.DataFrame(columns), self._instrument, self._timeframe, tables)
        # Handed on, because computing them again for every cut would cost more than the plug-in.
        vars(bars)["ts_us"] = stamps
        if start == 0:
            known = self._codes
            vars(bars)["contract_codes"] = None if known is None else _frozen(known[:stop])
        return bars

    @property
    def bars(self) -> Bars:
        """All bars known so far, in one piece."""
        if self._bars is None:
            self._bars = self._made(0, self.known, self._tables)
        return self._bars


__all__ = ["Chunk", "Held", "chunk_of"]
