"""A folder of checked bars: one Parquet file per stream and a manifest.

Writing is atomic: a file carries the hash of its content in its name, is complete
or absent, and counts only once the manifest, written last, names it. A process
that dies on the way leaves the old state. What was read from where, with hashes,
stays in the manifest, so that importing again skips what is already there.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as papq

from ffm_core.bars._profile import profile
from ffm_core.bars.instruments import lookup
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import COLUMNS, Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.bars.validate import validate
from ffm_core.errors import DataError, OutputError, SchemaError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import atomic_write, locked
from ffm_core.runs.reading import small_text

MANIFEST = "manifest.json"
SCHEMA = "ffm-store/1"
_PATIENCE = 60.0  # seconds to wait for another process that adds bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One stream of a store.

    Parameters
    ----------
    stream : str
        ``ES/5m``.
    file : str
        Name of its Parquet file inside the store.
    sha256 : str
        Hash of that file.
    bars_sha256 : str
        Hash of its canonical content, as runs record it.
    rows : int
        Bars.
    first, last : str
        UTC stamps of the first and last bar open.
    gaps : mapping of str to int
        ``sessions`` without a bar and ``bars`` missing inside sessions.
    sources : tuple of mappings
        ``name``, ``sha256``, ``rows`` and ``dropped`` of each file imported.
    """

    stream: str
    file: str
    sha256: str
    bars_sha256: str
    rows: int
    first: str
    last: str
    gaps: Mapping[str, int]
    sources: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the entry as the manifest holds it."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "bars_sha256": self.bars_sha256,
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "gaps": dict(self.gaps),
            "sources": [dict(source) for source in self.sources],
        }


@dataclass(frozen=True, slots=True)
class Store:
    """An opened store.

    Parameters
    ----------
    root : pathlib.Path
        Its folder.
    streams : mapping of str to Stored
        What it holds, by stream name.
    """

    root: Path
    streams: Mapping[str, Stored]

    def load(self, stream: str) -> Bars:
        """Read one stream and check it against the manifest.

        Raises
        ------
        DataError
            When the store does not hold it.
        SchemaError
            When the file is damaged or was changed after the import.
        """
        if stream not in self.streams:
            raise DataError(
                f"{self.root}: the store does not contain {stream}",
                fix=f"it contains {', '.join(sorted(self.streams)) or 'nothing'}",
            )
        entry = self.streams[stream]
        data = _read(self.root / entry.file)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise SchemaError(
                f"{entry.file}: the contents do not match the manifest", fix="import it again"
            )
        return _bars(stream, data, entry.file)

    def add(self, bars: Bars, source: Mapping[str, Any]) -> Store:
        """Add bars to their stream and write file and manifest.

        Bars that are already there must be equal; new ones may lie before,
        between or after them.

        Returns
        -------
        Store
            The store with the new entry.

        Raises
        ------
        SchemaError
            When a bar contradicts a stored one.
        OutputError
            When the folder cannot be written, or another process has been adding bars for
            a minute; nothing half-written is left.
        """
        with locked(self.root, seconds=_PATIENCE, moved_by="--out"):
            # Another process may have added streams since this store was opened.
            return open_store(self.root, create=True)._grown(bars, source)

    def _grown(self, bars: Bars, source: Mapping[str, Any]) -> Store:
        old = self.streams.get(bars.stream)
        if old is not None:
            bars = merge(self.load(bars.stream), bars, str(source.get("name", "new bars")))
        sources = (*(old.sources if old is not None else ()), dict(source))
        entry, data = _entry(bars, sources)
        atomic_write(self.root / entry.file, data, moved_by="--out")
        grown = Store(self.root, {**self.streams, bars.stream: entry})
        try:
            grown._write_manifest()
        except OutputError:
            self._forget(entry.file)
            raise
        if old is not None:
            grown._forget(old.file)
        return grown

    def _forget(self, file: str) -> None:
        # Only what no entry names; a file that stays behind does no harm.
        if all(entry.file != file for entry in self.streams.values()):
            with suppress(OSError):
                (self.root / file).unlink(missing_ok=True)

    def has_source(self, sha256: str, settings: str) -> bool:
        """Say whether a file was imported before with the same settings."""
        return any(
            source.get("sha256") == sha256 and source.get("settings") == settings
            for entry in self.streams.values()
            for source in entry.sources
        )

    def _write_manifest(self) -> None:
        content = {
            "schema": SCHEMA,
            "streams": {name: self.streams[name].as_json() for name in sorted(self.streams)},
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        atomic_write(self.root / MANIFEST, text.encode(), moved_by="--out")


def is_store(root: Path) -> bool:
    """Say whether a folder is a store."""
    with suppress(OSError, ValueError):
        content = json.loads(small_text(root / MANIFEST))
        return isinstance(content, dict) and str(content.get("schema")).startswith("ffm-store/")
    return False


def open_store(root: Path | str, *, create: bool = False) -> Store:
    """Open a store.

    Parameters
    ----------
    root : path
        Its folder.
    create : bool
        Begin an empty store where there is none; its folder is made by the first
        file that is added.

    Raises
    ------
    DataError
        When there is no store, or its manifest cannot be used.
    """
    place = Path(root)
    if not kind_of(place / MANIFEST):
        if create:
            return Store(place, {})
        raise DataError(f"{place}: there is no store here", fix="create one with ffm data import")
    try:
        content = json.loads(small_text(place / MANIFEST))
        if content["schema"] != SCHEMA:
            raise DataError(
                f"{place}: the store has schema {content['schema']}, this version reads {SCHEMA}",
                fix="import the files again into a new folder",
            )
        streams = {
            name: Stored(stream=name, **{**entry, "sources": tuple(entry["sources"])})
            for name, entry in content["streams"].items()
        }
        # An import removes the file that an entry named before.
        if strange := [
            e.file for e in streams.values() if Path(e.file).name != e.file or not e.file
        ]:
            raise ValueError(strange[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise DataError(
            f"{place / MANIFEST}: not a store manifest ({type(err).__name__})",
            fix="give another folder, or import the files again into a new one",
        ) from err
    return Store(place, streams)


def merge(old: Bars, new: Bars, name: str) -> Bars:
    """Join two stretches of one stream.

    Raises
    ------
    SchemaError
        When they disagree about a bar, or only one has contracts.
    """
    if old.frame.columns != new.frame.columns:
        raise SchemaError(
            f"{name}: stored and new bars of {new.stream} differ in having a contract column",
            fix="import into another folder",
        )
    common = old.frame.join(new.frame, on="ts", how="inner", suffix="_new")
    differs = pl.any_horizontal(
        pl.col(column) != pl.col(f"{column}_new") for column in old.frame.columns[1:]
    )
    clash = common.filter(differs)
    if clash.height:
        raise SchemaError(
            f"{name}: {clash.height} bars differ from those stored, first at "
            f"{clash['ts'][0]:%Y-%m-%dT%H:%MZ}",
            fix="import the corrected file into another folder",
        )
    fresh = new.frame.join(old.frame.select("ts"), on="ts", how="anti")
    frame = pl.concat([old.frame, fresh]).sort("ts").rechunk()
    return Bars(frame, old.instrument, old.timeframe)


def _entry(bars: Bars, sources: tuple[Mapping[str, Any], ...]) -> tuple[Stored, bytes]:
    data = parquet_bytes(bars.frame)
    facts = profile(bars)
    digest = hashlib.sha256(data).hexdigest()
    entry = Stored(
        stream=bars.stream,
        file=f"{bars.instrument.symbol}_{bars.timeframe}_{digest[:12]}.parquet",
        sha256=digest,
        bars_sha256=bars.sha256,
        rows=len(bars),
        first=to_stamp(int(bars.ts_us[0])),
        last=to_stamp(int(bars.ts_us[-1])),
        gaps={"sessions": len(facts.absent_us), "bars": facts.n_missing_bars},
        sources=sources,
    )
    return entry, data


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    papq.write_table(frame.to_arrow(), buffer, compression="zstd")
    return buffer.getvalue()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}", fix="import it again") from err


def _bars(stream: str, data: bytes, name: str) -> Bars:
    from ffm_core.bars.readers._parquet import read_table  # the readers read stores as well

    symbol, _, timeframe = stream.partition("/")
    try:
        frame = pl.from_arrow(read_table(io.BytesIO(data), name))
    except pa.ArrowException as err:
        raise SchemaError(f"{name}: a damaged Parquet file", fix="import it again") from err
    if not isinstance(frame, pl.DataFrame) or frame.columns[: len(COLUMNS)] != list(COLUMNS):
        raise SchemaError(f"{name}: not a file from this store", fix="import it again")
    frame, _ = validate(frame, name=name, where=lambda index: f"{name} row {index + 1}")
    return Bars(frame, lookup(symbol), Timeframe.parse(timeframe))


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError) as err:
        raise DataError(f"{path}: no such file or folder", fix="check the path") from err
    except OSError as err:
        raise DataError(
            f"{path}: cannot be read: {err.strerror}", fix="check the path and its permissions"
        ) from err
