"""``Bars``: one instrument, one timeframe, validated once at the edge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import polars as pl

from ffm_core.bars.inputs import Inputs, InputTable
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.types import Bool, Float64, Int32, Int64

PRICE_COLUMNS = ("open", "high", "low", "close")
COLUMNS = ("ts", *PRICE_COLUMNS, "volume")
_NEVER_US = -(2**62)


@dataclass(frozen=True)
class Bars:
    """Bars of one instrument at one timeframe, oldest first.

    Build them with a reader, the store or a simulator (they validate);
    the constructor trusts its input.

    Parameters
    ----------
    frame : polars.DataFrame
        ``ts`` (Datetime[us, UTC], bar **open**), ``open high low close volume``
        as float64, optional ``contract`` (string).
    instrument : Instrument
        What the prices are prices of.
    timeframe : Timeframe
        Bar length; a bar is usable from ``ts + timeframe`` on.
    tables : tuple of InputTable
        Outside tables that were handed over; read them through :attr:`inputs`.
    """

    frame: pl.DataFrame
    instrument: Instrument
    timeframe: Timeframe
    tables: tuple[InputTable, ...] = ()

    def __len__(self) -> int:
        return self.frame.height

    @overload
    def __getitem__(self, key: slice) -> Bars: ...
    @overload
    def __getitem__(self, key: str) -> Float64: ...
    def __getitem__(self, key: slice | str) -> Bars | Float64:
        """Return a zero-copy slice of bars, or one column as a read-only view."""
        if isinstance(key, str):
            return self._column(key)
        start, stop, step = key.indices(len(self))
        if step != 1:
            raise ValueError("bars can be sliced with step 1 only")
        part = self.frame.slice(start, max(stop - start, 0))
        return Bars(part, self.instrument, self.timeframe, self.tables_before(stop))

    def _column(self, name: str) -> Float64:
        values = self.frame[name].to_numpy()
        values.setflags(write=False)
        return values

    @cached_property
    def ts_us(self) -> Int64:
        """Bar opens, microseconds since 1970 UTC, shape (T,), read-only."""
        values = self.frame["ts"].dt.timestamp("us").to_numpy()
        values.setflags(write=False)
        return values

    @cached_property
    def open(self) -> Float64:
        """Opens in points, shape (T,), read-only."""
        return self._column("open")

    @cached_property
    def high(self) -> Float64:
        """Highs in points, shape (T,), read-only."""
        return self._column("high")

    @cached_property
    def low(self) -> Float64:
        """Lows in points, shape (T,), read-only."""
        return self._column("low")

    @cached_property
    def close(self) -> Float64:
        """Closes in points, shape (T,), read-only."""
        return self._column("close")

    @cached_property
    def volume(self) -> Float64:
        """Volume per bar in the source's unit, shape (T,), read-only."""
        return self._column("volume")

    @cached_property
    def inputs(self) -> Inputs:
        """The declared outside tables by name, as they were known at the close of each bar.

        ``bars.inputs["vix"]["close"]`` is float64 (T,): at every bar the last value known at
        its close, NaN where there was none. ``bars.inputs["vix"].back("close", 1)`` is the
        value of the row before that one.
        """
        return Inputs(self.tables, self.ts_us + self.timeframe.us)

    def tables_before(self, stop: int) -> tuple[InputTable, ...]:
        """Return the outside tables as they were known at the close of bar ``stop - 1``."""
        if not self.tables:
            return ()
        stop = min(stop, len(self))
        last = int(self.ts_us[stop - 1]) + self.timeframe.us if stop > 0 else _NEVER_US
        return tuple(table.readable(last) for table in self.tables)

    @cached_property
    def contract_codes(self) -> Int32 | None:
        """Integer per contract in order of appearance, or None without the column."""
        if "contract" not in self.frame.columns:
            return None
        names = self.frame["contract"]
        seen = {name: code for code, name in enumerate(names.unique(maintain_order=True))}
        codes = names.replace_strict(seen, return_dtype=pl.Int32).to_numpy()
        codes.setflags(write=False)
        return np.ascontiguousarray(codes, dtype=np.int32)

    @cached_property
    def unnamed(self) -> Bool:
        """Bars whose contract has a blank name, shape (T,); none without the column."""
        if "contract" not in self.frame.columns:
            return np.zeros(len(self), dtype=np.bool_)
        return (self.frame["contract"].str.strip_chars() == "").to_numpy()

    @cached_property
    def rolls(self) -> Int64:
        """How many times the contract has changed up to each bar, shape (T,), read-only.

        Zeros without a contract column: where the series rolled is then unknown.
        """
        count = np.zeros(len(self), dtype=np.int64)
        codes = self.contract_codes
        if codes is not None:
            count[1:] = np.cumsum(codes[1:] != codes[:-1])
        count.setflags(write=False)
        return count

    def rolls_with(self, roll_table: Int64 | None) -> Int64:
        """Return :attr:`rolls` with those of a declared table added, shape (T,).

        Parameters
        ----------
        roll_table : int64 (R,), optional
            Moments, microseconds UTC, from which a new contract is quoted.
        """
        if roll_table is None:
            return self.rolls
        return self.rolls + np.searchsorted(np.sort(roll_table), self.ts_us, side="right")

    @property
    def stream(self) -> str:
        """Name of the stream: ``ES/5m``."""
        return f"{self.instrument.symbol}/{self.timeframe.name}"

    @cached_property
    def sha256(self) -> str:
        """Hash of the canonical content: stamps, prices, volume, contract names."""
        digest = hashlib.sha256(f"ffm-bars-1 {self.stream} {len(self)}".encode())
        for values in (self.ts_us, *(self[name] for name in COLUMNS[1:])):
            digest.update(np.ascontiguousarray(values).tobytes())
        if "contract" in self.frame.columns:
            digest.update("\x1f".join(self.frame["contract"].to_list()).encode())
        return digest.hexdigest()
