"""Tell a file's layout from its first bytes, and name the kinds FFM does not read."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from ffm_core.bars.readers._columns import shortened
from ffm_core.errors import DataError, SchemaError, UnsupportedFormatError
from ffm_core.paths import kind_of

Layout: TypeAlias = Literal["plain", "histdata", "databento", "ib", "charting"]
LAYOUTS: tuple[Layout, ...] = ("plain", "histdata", "databento", "ib", "charting")
SUFFIXES = (".csv", ".txt", ".parquet", ".pq")

_HEAD_BYTES = 65_536
_PATH_CHARS = 200
_EXPORT = "convert it to CSV or Parquet with datetime,open,high,low,close,volume"
_MAGIC = (
    (b"DBN", "Databento DBN", "convert it to CSV with the vendor's dbn tool"),
    (b"\x50\x2a\x4d\x18", "Databento DBZ", "convert it to CSV with the vendor's dbn tool"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x89HDF", "HDF5", _EXPORT),
    (b"ARROW1", "Arrow IPC (Feather)", _EXPORT),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _EXPORT),
)
_ROW_NUMBERS = 4  # a line with as many numbers holds prices, not names
_HISTDATA = re.compile(r"^\d{8} \d{6};")
_MT5_HEADER = re.compile(r"^<date>", re.IGNORECASE)
_MT5_SCRIPT = ("time", "open", "high", "low", "close")
_NAIVE_STAMP = re.compile(r"^\d{4}[-.]\d\d[-.]\d\d \d\d:\d\d(:\d\d)?,")
_NUMBER = re.compile(r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$")


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the first bytes say: container, layout, delimiter, header names.

    ``first_row`` is the row under the header, ``skip`` counts empty lines above it.
    """

    container: Literal["parquet", "text"]
    layout: Layout
    delimiter: str = ","
    header: tuple[str, ...] = ()
    first_row: tuple[str, ...] = ()
    skip: int = 0


def sniff(path: Path, layout: Layout | None = None) -> Sniffed:
    """Recognise a file.

    Parameters
    ----------
    path : pathlib.Path
        The file to look at; only its first bytes are read.
    layout : str, optional
        Overrides the recognition of text files.

    Raises
    ------
    UnsupportedFormatError
        For a kind that is known by name but not read.
    SchemaError
        For an empty or binary file.
    DataError
        When the file cannot be opened.
    """
    head = _head(path)
    if not head:
        raise SchemaError(f"{path.name}: the file is empty", fix="give a file that contains bars")
    if head.startswith(b"PAR1"):
        return Sniffed("parquet", layout or "plain")
    _refuse_magic(path, head)
    lines, skip = _lines(path, head)
    return replace(_sniff_text(path, lines, layout), skip=skip)


def _head(path: Path) -> bytes:
    if kind_of(path) == "other":  # reading a pipe twice would wait for ever
        raise DataError(
            f"{path}: is neither a file nor a folder", fix="write the bars to a file first"
        )
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise DataError(f"{path}: no such file or folder", fix="check the path") from err
    except OSError as err:
        raise DataError(
            f"{shortened(path, _PATH_CHARS)}: cannot be read: {err.strerror}",
            fix="check the path and its permissions",
        ) from err
    except ValueError as err:
        raise DataError(f"{str(path)!r} is not a path: {err}", fix="check the path") from err


def _refuse_magic(path: Path, head: bytes) -> None:
    for magic, kind, fix in _MAGIC:
        if head.startswith(magic):
            raise UnsupportedFormatError(f"{path.name}: {kind} is not read", fix=fix)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        kind = "Databento DBN (zstd)" if ".dbn" in path.name else "a zstd archive"
        raise UnsupportedFormatError(
            f"{path.name}: {kind} is not read",
            fix="convert it to CSV with the vendor's dbn tool, or unpack it first",
        )
    if head.startswith(b"PK"):
        kind, fix = _zip_kind(path)
        raise UnsupportedFormatError(f"{path.name}: {kind} is not read", fix=fix)


def _zip_kind(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a damaged zip archive", "download the file again"
    if any(re.search(r"_(minute|hour|second|tick|daily)_(trade|quote)", n) for n in names):
        return "a LEAN zip", _EXPORT
    if "xl/workbook.xml" in names:
        return "an Excel workbook", _EXPORT
    return "a zip archive", "unpack it first"


def _lines(path: Path, head: bytes) -> tuple[list[str], int]:
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SchemaError(
            f"{path.name}: binary content that is neither Parquet nor text", fix=_EXPORT
        )
    try:
        text = io.TextIOWrapper(io.BytesIO(head), encoding="utf-8-sig", errors="strict").read()
    except UnicodeDecodeError as err:
        if err.end < len(head) - 4:
            raise SchemaError(
                f"{path.name}: byte {err.start} is not UTF-8 text", fix="save it as UTF-8"
            ) from err
        text = head[: err.start].decode("utf-8-sig")
    every = text.splitlines()
    lines = [line for line in every if line.strip()]
    if not lines:
        raise SchemaError(f"{path.name}: the file is empty", fix="give a file that contains bars")
    return lines, every.index(lines[0])


def _sniff_text(path: Path, lines: list[str], layout: Layout | None) -> Sniffed:
    first = lines[0]
    if layout == "histdata" or (layout is None and _HISTDATA.match(first)):
        return Sniffed("text", "histdata", ";", (), tuple(first.split(";")))
    if layout is None:
        _refuse_text(path, first, lines[1] if len(lines) > 1 else "")
    delimiter = max(",;\t|", key=first.count)
    names = tuple(name.strip().strip('"') for name in first.split(delimiter))
    numbers = sum(_NUMBER.match(name) is not None for name in names)
    if numbers >= _ROW_NUMBERS or all(_NUMBER.match(name) or not name for name in names):
        raise SchemaError(
            f"{path.name}: line 1 contains numbers; expected a header with column names",
            fix="add the header datetime,open,high,low,close,volume",
        )
    row = tuple(lines[1].split(delimiter)) if len(lines) > 1 else ()
    if layout is None:
        lowered = {name.lower() for name in names}
        layout = "databento" if {"ts_event", "rtype"} <= lowered else "plain"
    return Sniffed("text", layout, delimiter, names, row)


def _refuse_text(path: Path, first: str, second: str) -> None:
    name, fields = path.name, first.split(",")
    if _MT5_HEADER.match(first):
        raise UnsupportedFormatError(f"{name}: an MT5 export is not read", fix=_EXPORT)
    lowered = tuple(part.strip().lower() for part in fields)
    if lowered[:5] == _MT5_SCRIPT and _NAIVE_STAMP.match(second):
        raise UnsupportedFormatError(
            f"{name}: looks like an MT5 export (header 'time,open,…', broker time), "
            "which is not read",
            fix="if you know its time zone, import it with 'ffm data import --layout plain --tz "
            "ZONE'; MT5 servers mostly run EET",
        )
    if lowered[0] == "open_time" or (
        len(fields) >= 11 and re.match(r"^\d{13}(\d{3})?$", fields[0])
    ):
        raise UnsupportedFormatError(f"{name}: a Binance kline CSV is not read", fix=_EXPORT)
    if re.match(r"^\d{1,8}$", fields[0]) and len(fields) == 6 and int(fields[0]) < 86_400_000:
        raise UnsupportedFormatError(
            f"{name}: looks like a LEAN CSV (milliseconds since midnight), which is not read",
            fix=_EXPORT,
        )
