"""Outside tables beside the bars: which row was known at the close of every bar.

A table is kept whole by the host alone. What plug-ins are shown is cut with the bars:
bars that end somewhere hold the rows that could be read at the last of their closes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.types import Float64, Int64
from ffm_core.wording import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTable:
    """Rows of an outside table in the order in which they became known.

    ``at_us`` (R,), ascending, is when each can be read: ``known_at`` and the declared lag, in
    microseconds since 1970 UTC, as are the values of columns that hold ``moments``. Columns
    (R,) are finite. A row is served for ``max_age_us`` at most.
    """

    name: str
    at_us: Int64
    columns: Mapping[str, Float64]
    moments: frozenset[str] = frozenset()
    max_age_us: int | None = None

    def __len__(self) -> int:
        return len(self.at_us)

    def readable(self, until_us: int, after_us: int | None = None) -> InputTable:
        """Return the rows that could be read at a moment, and at none up to ``after_us``."""
        lo = 0 if after_us is None else int(np.searchsorted(self.at_us, after_us, side="right"))
        hi = int(np.searchsorted(self.at_us, until_us, side="right"))
        return self.take(slice(lo, max(hi, lo)))

    def take(self, rows: slice) -> InputTable:
        """Return some rows, as views."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, at_us=self.at_us[rows], columns=columns)

    def joined(self, later: InputTable) -> InputTable:
        """Return these rows and later ones, as copies."""
        columns = {
            name: np.concatenate([values, later.columns[name]])
            for name, values in self.columns.items()
        }
        return replace(self, at_us=np.concatenate([self.at_us, later.at_us]), columns=columns)

    def moved(self, by_us: int) -> InputTable:
        """Return the rows at another time, moments in their columns with them."""
        columns = {n: v + by_us if n in self.moments else v for n, v in self.columns.items()}
        return replace(self, at_us=self.at_us + by_us, columns=columns)

    @property
    def sha256(self) -> str:
        """Hash of what can be read, and when."""
        digest = hashlib.sha256(f"ffm-input-1 {self.name} {self.max_age_us}".encode())
        digest.update(np.ascontiguousarray(self.at_us).tobytes())
        for name, values in sorted(self.columns.items()):
            digest.update(f"\x1f{name} {name in self.moments} ".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


class InputView:
    """A table as it was known at the closes of bars, in µs UTC; one value per bar."""

    def __init__(self, table: InputTable, close_us: Int64) -> None:
        self._table = table
        row = np.searchsorted(table.at_us, close_us, side="right") - 1
        self.age_us = np.full(len(row), np.nan)  # since the row became known; NaN without one
        known = row >= 0
        self.age_us[known] = close_us[known] - table.at_us[row[known]]
        if table.max_age_us is not None:
            row = np.where(self.age_us > table.max_age_us, -1, row)
            self.age_us[row < 0] = np.nan
        self._row = row

    def __getitem__(self, column: str) -> Float64:
        """Return the column's last known value at every bar, float64 (T,); NaN where none is."""
        return self.back(column, 0)

    def back(self, column: str, rows: int) -> Float64:
        """Return the value ``rows`` rows before the one that :meth:`__getitem__` gives."""
        if column not in self._table.columns:
            near = did_you_mean(column, self._table.columns)
            raise StrategyError(
                f"input {self._table.name!r} has no column {column!r}{near}",
                fix="list every column that is read in Input.columns",
            )
        if rows < 0:
            raise StrategyError(
                f"input {self._table.name!r}: back({column!r}, {rows}) asks for a later row",
                fix="rows count back from the last one known: 0, 1, 2, …",
            )
        at, found = self._row - rows, np.full(len(self._row), np.nan)
        there = (self._row >= 0) & (at >= 0)
        found[there] = self._table.columns[column][at[there]]
        return found


class Inputs(Mapping[str, InputView]):
    """What ``bars.inputs`` is: the tables handed over for the declared inputs, by name."""

    def __init__(self, tables: Iterable[InputTable], close_us: Int64) -> None:
        self._tables = {table.name: table for table in tables}
        self._close_us = close_us

    def __getitem__(self, name: str) -> InputView:
        if name not in self._tables:
            near = did_you_mean(name, self._tables)
            raise StrategyError(
                f"it reads the input {name!r}, which nobody handed over{near}",
                fix=f"declare it, inputs=(Input(name={name!r}, columns=(…)),), and hand it over "
                f"with --input {name}=PATH",
            )
        return InputView(self._tables[name], self._close_us)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


__all__ = ["InputTable", "InputView", "Inputs"]
