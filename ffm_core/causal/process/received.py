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
from ffm_core.causal.cutting.series import part
from ffm_core.types import Float64, Int32, Int64

_FIELDS = COLUMNS[1:]
_MOST_CHUNKS = 48  # pieces a frame may consist of before they are joined


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
    """The bars known so far.

    Parameters
    ----------
    instrument, timeframe
        Of the series.
    """

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        self._instrument = instrument
        self._timeframe = timeframe
        self._names: list[str] = []
        self._old: pl.DataFrame | None = None
        self._new: pl.DataFrame | None = None
        self._bars: Bars | None = None
        self._stamps = np.empty(1024, np.int64)
        self._codes: Int32 | None = None
        self._tables: tuple[InputTable, ...] = ()
        self.known = 0

    def extend(self, chunk: Chunk) -> None:
        """Take the bars that follow."""
        n = len(chunk.ts_us)
        frame = self._frame(chunk)
        self._stamps = _room(self._stamps, self.known + n)
        self._stamps[self.known : self.known + n] = chunk.ts_us
        if chunk.codes is not None:
            codes = np.empty(1024, np.int32) if self._codes is None else self._codes
            self._codes = _room(codes, self.known + n)
            self._codes[self.known : self.known + n] = chunk.codes
        held = self._tables or tuple(table.take(slice(0, 0)) for table in chunk.tables)
        self._tables = tuple(a.joined(b) for a, b in zip(held, chunk.tables, strict=True))
        self.known += n
        self._new = frame if self._new is None else self._new.vstack(frame)
        if self._new.n_chunks() > _MOST_CHUNKS:
            self._new = self._new.rechunk()
        old = 0 if self._old is None else self._old.height
        if self._new.height > max(4096, old // 4):
            self._join()
        self._bars = None

    def window(self, start: int, stop: int) -> Bars:
        """Return bars ``start`` to ``stop`` in a frame of their own."""
        old = 0 if self._old is None else self._old.height
        if start >= old and self._new is not None:
            frame = self._new.slice(start - old, stop - start).rechunk()
        elif stop <= old and self._old is not None:
            frame = self._old.slice(start, stop - start)
        elif start > 0 and self._old is not None and self._new is not None:
            ends = self._old.slice(start), self._new.slice(0, stop - old)
            frame = ends[0].vstack(ends[1]).rechunk()
        else:
            frame = self.bars.frame.slice(start, stop - start)
        known = int(self._stamps[stop - 1]) + self._timeframe.us if stop > 0 else 0
        tables = tuple(table.readable(known) for table in self._tables)
        bars = Bars(frame, self._instrument, self._timeframe, tables)
        # Handed on, because computing them again for every cut would cost more than the plug-in.
        vars(bars)["ts_us"] = _frozen(self._stamps[start:stop])
        if start == 0:
            codes = self._codes
            vars(bars)["contract_codes"] = None if codes is None else _frozen(codes[:stop])
        return bars

    @property
    def bars(self) -> Bars:
        """All bars known so far, in one piece."""
        if self._bars is None:
            self._join()
            frame = self._old if self._old is not None else self._frame(_NOTHING)
            self._bars = Bars(frame, self._instrument, self._timeframe, self._tables)
        return self._bars

    def copy(self) -> Bars:
        """Return all bars for a plug-in to work on."""
        return part(self.bars, 0, self.known)

    def _join(self) -> None:
        if self._new is None:
            return
        joined = self._new if self._old is None else self._old.vstack(self._new)
        self._old, self._new = joined.rechunk(), None

    def _frame(self, chunk: Chunk) -> pl.DataFrame:
        self._names.extend(chunk.names)
        columns = [
            pl.Series("ts", chunk.ts_us).cast(pl.Datetime("us", "UTC")),
            *(pl.Series(name, values) for name, values in zip(_FIELDS, chunk.fields, strict=True)),
        ]
        if chunk.codes is not None:
            names = pl.Series("contract", self._names, dtype=pl.String)
            columns.append(names.gather(pl.Series(chunk.codes).cast(pl.UInt32)))
        return pl.DataFrame(columns)


_NOTHING = Chunk(ts_us=np.empty(0, np.int64), fields=(np.empty(0),) * 5, codes=None, names=())

__all__ = ["Chunk", "Held", "chunk_of"]
