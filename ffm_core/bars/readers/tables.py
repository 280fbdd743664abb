"""Read an outside table: a column ``known_at``, and the columns that a plug-in declares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from ffm_core.bars.inputs import InputTable
from ffm_core.bars.readers._columns import STAMP, Raw, listed, shortened
from ffm_core.bars.readers._sniff import sniff
from ffm_core.bars.readers._stamps import to_utc
from ffm_core.errors import DataError, SchemaError
from ffm_core.records import Input
from ffm_core.records.strategy import KNOWN_AT
from ffm_core.types import Float64, Int64
from ffm_core.wording import did_you_mean, stamp_of

_STAMPS = "write it as 2024-03-11 16:15:00, with --tz or an offset"
_ISO = r"^\s*\d{4}-\d{1,2}-\d{1,2}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedInput:
    """A validated table, its declaration, and ``known_at`` as its file has it (R,), in µs UTC."""

    table: InputTable
    declared: Input
    known_us: Int64
    source_name: str


def load_input(path: Path, declared: Input, *, tz: str | None = None) -> LoadedInput:
    """Read and validate the table, CSV or Parquet, of a declared input; ``tz`` as for bars.

    Raises
    ------
    DataError
        When it cannot be read; a ``SchemaError`` for a missing column, rows out of order or
        twice, an empty table, and cells that are no finite number.
    """
    raw = _read(path, declared)
    if raw.frame.height == 0:
        raise SchemaError(f"{path.name}: contains no rows", fix="give a table with rows")
    known = _moments(raw, KNOWN_AT, tz)
    _require_order(raw, known)
    columns, moments = {}, set()
    for name in declared.columns:
        if _holds_moments(raw.frame[name]):
            moments.add(name)
            columns[name] = _moments(raw, name, tz).astype(np.float64)
        else:
            columns[name] = _numbers(raw, name)
    table = InputTable(
        name=declared.name,
        at_us=known + _us(declared.lag or timedelta(0)),
        columns=columns,
        moments=frozenset(moments),
        max_age_us=None if declared.max_age is None else _us(declared.max_age),
    )
    return LoadedInput(table=table, declared=declared, known_us=known, source_name=path.name)


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _read(path: Path, declared: Input) -> Raw:
    sniffed = sniff(path, "plain")
    wanted = [KNOWN_AT, *declared.columns]
    try:
        if sniffed.container == "parquet":
            _require_columns(path, papq.read_schema(path).names, wanted)
            table, first, unit = papq.read_table(path, columns=wanted), 1, "row"
        else:
            _require_columns(path, list(sniffed.header), wanted)
            table = pacsv.read_csv(
                path,
                read_options=pacsv.ReadOptions(
                    column_names=list(sniffed.header), skip_rows=sniffed.skip + 1
                ),
                parse_options=pacsv.ParseOptions(delimiter=sniffed.delimiter),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(sniffed.header, pa.string()), include_columns=wanted
                ),
            )
            first, unit = sniffed.skip + 2, "line"
    except (pa.ArrowException, OSError) as err:
        reason = " ".join(str(err).split())[:200]
        raise DataError(
            f"{path.name}: cannot be read: {reason}", fix="save it as plain CSV, or as Parquet"
        ) from err
    frame = pl.from_arrow(table.replace_schema_metadata(None))
    assert isinstance(frame, pl.DataFrame)
    return Raw(frame, path.name, first, unit)


def _require_columns(path: Path, header: list[str], wanted: list[str]) -> None:
    for name in wanted:
        if header.count(name) > 1:
            raise SchemaError(f"{path.name}: the header names {name!r} twice", fix="rename one")
        if name not in header:
            what = (
                "the moment from which each row was known"
                if name == KNOWN_AT
                else f"which a plug-in reads{did_you_mean(name, header)}"
            )
            raise SchemaError(
                f"{path.name}: no column {name!r}, {what}; the file has {listed(header)}",
                fix=f"name it in the header; {KNOWN_AT} is when a row was published, in UTC or "
                "with --tz",
            )


def _moments(raw: Raw, name: str, tz: str | None) -> Int64:
    column = raw.frame.select(pl.col(name).alias(STAMP))
    stamps = column[STAMP]
    odd = stamps.is_null()
    if stamps.dtype == pl.String:
        odd = ~stamps.str.contains(_ISO).fill_null(False)
    if odd.any():
        row = int(odd.arg_true()[0])
        shown = repr(shortened(stamps[row])) if stamps[row] else "empty"
        raise SchemaError(f"{raw.where(row)}: {name} is {shown}, no moment", fix=_STAMPS)
    utc = to_utc(Raw(column, raw.name, raw.first_line, raw.unit), tz=tz)
    return np.asarray(utc.frame["ts"].dt.timestamp("us").to_numpy(), dtype=np.int64)


def _holds_moments(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return bool(values.drop_nulls().head(1).str.contains(_ISO).any())
    return values.dtype.is_temporal()


def _require_order(raw: Raw, known: Int64) -> None:
    late = np.flatnonzero(np.diff(known) <= 0)
    if len(late):
        row = int(late[0]) + 1
        stamp = stamp_of(int(known[row]))
        twice = known[row] == known[row - 1]
        raise SchemaError(
            f"{raw.where(row)}: {KNOWN_AT} {stamp} "
            + ("occurs twice" if twice else f"follows {stamp_of(int(known[row - 1]))}"),
            fix="keep one row for each moment" if twice else f"sort the rows by {KNOWN_AT}",
        )


def _numbers(raw: Raw, name: str) -> Float64:
    values = raw.frame[name]
    if not (values.dtype == pl.String or values.dtype.is_numeric()):
        raise SchemaError(
            f"{raw.name}: column {name} holds {values.dtype}, expected numbers",
            fix="convert the column to numbers, or do not declare it",
        )
    plain = values.str.strip_chars() if values.dtype == pl.String else values
    numbers = plain.cast(pl.Float64, strict=False).to_numpy()
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        row = int(bad[0])
        cell = values[row]
        shown = "empty" if cell is None or str(cell).strip() == "" else repr(shortened(cell))
        raise SchemaError(
            f"{raw.where(row)}: {name} is {shown}, expected a finite number"
            + (f" ({len(bad)} such rows)" if len(bad) > 1 else ""),
            fix="leave such rows out; the row before stays the last one known",
        )
    return np.ascontiguousarray(numbers, dtype=np.float64)


__all__ = ["LoadedInput", "load_input"]
