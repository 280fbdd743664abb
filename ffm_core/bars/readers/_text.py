"""Read delimited text: plain, charting, histdata ASCII and Databento CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from ffm_core.bars.readers._columns import NEEDED, PRICES, STAMP, Raw, choose_columns, shortened
from ffm_core.bars.readers._sniff import Sniffed
from ffm_core.errors import DataError, SchemaError

_HISTDATA = ("stamp", "open", "high", "low", "close", "volume")
_FIXED_POINT = 1e-9  # Databento's integer prices count billionths


def read_text(
    path: Path, sniffed: Sniffed, columns: Mapping[str, str] | None, *, stamps_as_text: bool
) -> Raw:
    """Read a delimited file into named columns.

    Parameters
    ----------
    stamps_as_text : bool
        Leave stamps as text, for an explicit format.

    Raises
    ------
    SchemaError
        For missing columns, ragged lines or text where numbers belong.
    """
    if sniffed.layout == "histdata":
        chosen = {name: name for name in _HISTDATA}
        return _read(path, sniffed, chosen, _HISTDATA, stamps_as_text=True)
    _check_width(path, sniffed)
    chosen = choose_columns(path.name, sniffed.header, columns)
    _check_split_date(path, sniffed, chosen)
    raw = _read(path, sniffed, chosen, sniffed.header, stamps_as_text=stamps_as_text)
    return _fixed_point(raw) if sniffed.layout == "databento" else raw


def _check_width(path: Path, sniffed: Sniffed) -> None:
    names, fields = len(sniffed.header), len(sniffed.first_row)
    if sniffed.first_row and fields != names:
        hint = "the header seems to be missing a Time column: " if fields == names + 1 else ""
        raise SchemaError(
            f"{path.name}: the header has {names} names, line 2 has {fields} fields",
            fix=f"{hint}name every column, with date and time in a single column",
        )
    doubled = sorted({name for name in sniffed.header if sniffed.header.count(name) > 1})
    if doubled:
        raise SchemaError(
            f"{path.name}: the header names {shortened(doubled[0])!r} twice",
            fix="rename or remove all but one of these columns",
        )


def _check_split_date(path: Path, sniffed: Sniffed, chosen: Mapping[str, str]) -> None:
    lowered = [name.lower() for name in sniffed.header]
    if "date" in lowered and "time" in lowered and chosen[STAMP].lower() in ("date", "time"):
        raise SchemaError(
            f"{path.name}: date and time are in two columns",
            fix="join them into one datetime column",
        )


def _read(
    path: Path,
    sniffed: Sniffed,
    chosen: Mapping[str, str],
    header: tuple[str, ...],
    *,
    stamps_as_text: bool,
) -> Raw:
    types: dict[str, pa.DataType] = {chosen[n]: pa.float64() for n in NEEDED if n in chosen}
    if "contract" in chosen:
        types[chosen["contract"]] = pa.string()
    if stamps_as_text:
        types[chosen[STAMP]] = pa.string()
    if sniffed.layout == "databento":
        types |= {chosen[name]: pa.string() for name in PRICES}
    has_header = sniffed.layout != "histdata"
    first = sniffed.skip + (2 if has_header else 1)
    try:
        table = _arrow(path, sniffed.delimiter, header, first - 1, types, list(chosen.values()))
    except pa.ArrowInvalid as err:
        raise _explain(path, sniffed, chosen, header, first, err) from err
    except OSError as err:
        raise DataError(
            f"{path}: cannot be read: {err}", fix="check the path and its permissions"
        ) from err
    return Raw(_frame(table, chosen), path.name, first, "line")


def _arrow(
    path: Path,
    delimiter: str,
    header: tuple[str, ...],
    skip: int,
    types: Mapping[str, pa.DataType],
    include: list[str],
) -> pa.Table:
    return pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(
            column_names=list(header), skip_rows=skip, block_size=1 << 21
        ),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(column_types=types, include_columns=include),
    )


def _frame(table: pa.Table, chosen: Mapping[str, str]) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):  # pragma: no cover - a table stays a frame
        raise SchemaError("a table was expected")
    frame = frame.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items())
    if "volume" not in chosen:
        frame = frame.with_columns(pl.lit(0.0).alias("volume"))
    return frame


def _explain(
    path: Path,
    sniffed: Sniffed,
    chosen: Mapping[str, str],
    header: tuple[str, ...],
    first: int,
    err: pa.ArrowInvalid,
) -> SchemaError:
    # The fast reader does not say where; read again as text and look.
    for number, line in enumerate(_text_lines(path), start=1):
        fields = line.split(sniffed.delimiter)
        if number < first or not line.strip():
            continue
        if line.count('"') % 2:
            return SchemaError(
                f"{path.name} line {number}: unterminated quotation mark",
                fix="correct or remove the line",
            )
        if len(fields) != len(header):
            return SchemaError(
                f"{path.name} line {number}: {len(fields)} fields, expected {len(header)}",
                fix="correct or remove the line",
            )
        row = dict(zip(header, fields, strict=True))
        for ours in NEEDED:
            if ours in chosen and not _is_number(text := row[chosen[ours]].strip().strip('"')):
                return SchemaError(
                    f"{path.name} line {number} ({shortened(row[chosen[STAMP]])}): {ours} is "
                    f"{shortened(text)!r}, not a number",
                    fix="correct or remove the line; use a decimal point",
                )
    reason = " ".join(str(err).split())[:200]
    return SchemaError(
        f"{path.name}: cannot be parsed: {reason}", fix="save it as plain comma-separated text"
    )


def _text_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True


def _fixed_point(raw: Raw) -> Raw:
    # Both vendor styles are text here: decimals carry a point, fixed-point do not.
    frame = raw.frame
    fixed = not frame.select(pl.col("open").str.contains(".", literal=True).any()).item()
    scale = _FIXED_POINT if fixed else 1.0
    numbers = frame.with_columns(
        (pl.col(name).cast(pl.Float64, strict=False) * scale).round(9).alias(name)
        for name in PRICES
    )
    for name in PRICES:
        bad = (numbers[name].is_null() & frame[name].is_not_null()).arg_true()
        if len(bad):
            raise SchemaError(
                f"{raw.where(int(bad[0]))}: {name} is {shortened(frame[name][int(bad[0])])!r}, "
                "not a number",
                fix="correct or remove the line; use a decimal point",
            )
    return Raw(numbers, raw.name, raw.first_line, raw.unit)
