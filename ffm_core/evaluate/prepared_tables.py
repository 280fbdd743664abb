"""Features, and targets if wanted, of many files as Parquet tables with a manifest.

One table per stream. A table that the manifest already holds, made of the same
file by the same code, is left alone, so an interrupted run is simply run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from ffm_core.bars import Bars
from ffm_core.bars.importing import bar_jobs
from ffm_core.bars.readers import Options, load_many
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.store import file_sha256, is_store, parquet_bytes
from ffm_core.errors import DataError, FFMError, OutputError, UnknownNameError
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.progress import Progress
from ffm_core.host.absent import require_installed
from ffm_core.host.boundary import call_plugin
from ffm_core.host.discovery import listed
from ffm_core.host.loading import Host
from ffm_core.records import TargetValues
from ffm_core.runs.atomic import atomic_write, output_error, partial_name, require_writable
from ffm_core.runs.reading import small_text
from ffm_core.runs.record import NUMERICS
from ffm_core.types import Float32, Int64
from ffm_core.wording import suggest

MANIFEST = "manifest.json"
SCHEMA = "ffm-table/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What goes into a table.

    Parameters
    ----------
    host : Host
        Knows the feature sets and targets.
    features, targets : tuple of str
        Names, in the order of the columns.
    options : Options
        How the files are read.
    out : pathlib.Path
        Folder of the tables.
    """

    host: Host
    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    out: Path

    def facts(self) -> dict[str, Any]:
        """Return what decides the content, for the manifest and for resuming."""
        sets = [self.host.feature_set(name) for name in self.features]
        return {
            "numerics": NUMERICS,
            "code": self.host.code_hash(),
            "features": [
                {
                    "name": offer.record.name,
                    "version": offer.record.version,
                    "distribution": f"{offer.origin.distribution} {offer.origin.version}",
                    "columns": [column.name for column in offer.record.columns],
                }
                for offer in sets
            ],
            "targets": [
                {"name": name, "horizon_bars": self.host.target(name).record.horizon_bars}
                for name in self.targets
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What became of one stream, or of a file that could not be read.

    ``state`` is ``written``, ``present`` (made before) or ``failed``.
    """

    name: str  # base name of the source
    state: str
    stream: str = ""
    file: str = ""
    rows: int = 0
    columns: int = 0
    first: str = ""
    last: str = ""
    sha256: str = ""
    bars_sha256: str = ""
    problem: str = ""
    fix: str = ""


def target_names(asked: Sequence[str], host: Host) -> tuple[str, ...]:
    """Return the names of targets, each group replaced by its members.

    Raises
    ------
    UnknownNameError
        When something is neither a target nor a group.
    UnavailableError
        When a package of this project brings it and is not installed.
    """
    hook = "ffm_targets"
    groups: dict[str, list[str]] = {}
    for item in (offer.record for offer in host.targets()):
        groups.setdefault(item.group, []).append(item.name)
        groups[item.name] = [item.name]
    names: list[str] = []
    for name in asked:
        if name not in groups:
            require_installed(name, hook, what="target")
            raise UnknownNameError(
                f"there is no target or group of targets {name!r}",
                fix=suggest(name, [*groups, *listed(hook)], noun="targets"),
            )
        names += groups[name]
    return tuple(dict.fromkeys(names))


# A table, and the hidden file that holds it until it gets its name.
_Draft: TypeAlias = tuple[Table, Path | None]


def make_tables(
    specs: Sequence[str], recipe: Recipe, *, jobs: int, progress: Progress
) -> tuple[Table, ...]:
    """Write one table per stream.

    Parameters
    ----------
    specs : sequence of str
        Files or folders, each perhaps with its instrument (``ES=path``).
    recipe : Recipe
        Columns, reading options and the folder.
    jobs : int
        Files worked on at once; the tables do not depend on it.
    progress : Progress
        Hears about every file.

    Returns
    -------
    tuple of Table
        In the order of the files; a file that fails is an entry, not an error.

    Raises
    ------
    UnknownNameError
        When a feature set or target has no such name.
    DataError
        When a path holds no file of bars.
    OutputError
        When the folder cannot be written, or holds another kind of manifest.
    """
    facts = recipe.facts()
    sources = bar_jobs(specs)
    require_writable(recipe.out, moved_by="--out")
    manifest = _read_manifest(recipe.out)
    stage = progress.stage("tables", len(sources))
    keys = [_key(facts, recipe.options, symbol, path) for symbol, path in sources]
    missing = [
        source
        for source, key in zip(sources, keys, strict=True)
        if key is None or not _standing(recipe.out, manifest, key)
    ]
    answers = Executor(jobs).run(partial(_make, recipe), missing)
    found: list[Table] = []
    for (_, path), key in zip(sources, keys, strict=True):
        kept = _standing(recipe.out, manifest, key) if key else ()
        tables = kept or _settle(recipe.out, next(answers), found)
        if not kept:
            manifest = _keep(recipe.out, manifest, facts, key or path.name, tables)
        found += tables
        stage.advance()
    return tuple(found)


def _key(facts: Mapping[str, Any], options: Options, symbol: str | None, path: Path) -> str | None:
    """Return what a table of this file is known by, or None for a file that is not there."""
    try:
        place = path / "manifest.json" if is_store(path) else path
        digest = file_sha256(place)
    except DataError:
        return None  # reading it says why
    how = {name: getattr(options, name) for name in options.__dataclass_fields__}
    content = json.dumps([facts, how, symbol, path.name, digest], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _make(recipe: Recipe, source: tuple[str | None, Path]) -> tuple[_Draft, ...]:
    symbol, path = source
    how = replace(recipe.options, symbol=symbol or recipe.options.symbol)
    keywords = {key: getattr(how, key) for key in how.__dataclass_fields__ if key != "symbol"}
    try:
        loaded = load_many([(how.symbol, path)], **keywords)
        return tuple(_write(recipe, item.bars, path.name) for item in loaded)
    except OutputError:
        raise
    except FFMError as error:
        failed = Table(name=path.name, state="failed", problem=error.problem, fix=error.fix)
        return ((failed, None),)


def _write(recipe: Recipe, bars: Bars, name: str) -> _Draft:
    """Write a table under a hidden name: whether its own is free is not known here."""
    frame = table_of(recipe, bars)
    data = parquet_bytes(frame)
    file = f"{bars.instrument.symbol}_{bars.timeframe}.parquet"
    draft = recipe.out / partial_name()
    atomic_write(draft, data)
    table = Table(
        name=name,
        state="written",
        stream=bars.stream,
        file=file,
        rows=frame.height,
        columns=frame.width - 1,
        first=to_stamp(int(bars.ts_us[0])) if len(bars) else "",
        last=to_stamp(int(bars.ts_us[-1])) if len(bars) else "",
        sha256=hashlib.sha256(data).hexdigest(),
        bars_sha256=bars.sha256,
    )
    return table, draft


def table_of(recipe: Recipe, bars: Bars) -> pl.DataFrame:
    """Return ``ts``, the feature columns and the target columns of every bar.

    Returns
    -------
    polars.DataFrame
        ``ts`` (bar open, UTC), ``<set>/<column>`` float32, and per target
        ``target/<name>`` float32 with ``target/<name>/end``, the time from which
        the value can be known (close of the last bar it looked at).
    """
    columns = [bars.frame["ts"]]
    for name in recipe.features:
        offer = recipe.host.feature_set(name)
        batch = offer.record.batch
        values: Float32 = call_plugin(offer.origin, f"feature set {name!r}", batch, bars)
        columns += [
            pl.Series(f"{name}/{column.name}", np.ascontiguousarray(values[:, j]))
            for j, column in enumerate(offer.record.columns)
        ]
    for name in recipe.targets:
        offered = recipe.host.target(name)
        compute = offered.record.compute
        answer: TargetValues = call_plugin(offered.origin, f"target {name!r}", compute, bars)
        columns.append(pl.Series(f"target/{name}", answer.value))
        columns.append(_ends(bars, answer.end_bar).alias(f"target/{name}/end"))
    return pl.DataFrame(columns)


def _ends(bars: Bars, end_bar: Int64) -> pl.Series:
    known = end_bar >= 0
    stamps = bars.ts_us[np.where(known, end_bar, 0)] + bars.timeframe.us
    series = pl.Series(stamps).cast(pl.Datetime("us", "UTC"))
    return series.set(pl.Series(~known), None)


def _settle(out: Path, drafts: Sequence[_Draft], found: Sequence[Table]) -> tuple[Table, ...]:
    """Give tables their names; a second file of one stream is refused, lest one is lost."""
    first = {table.file: table.name for table in found if table.file}
    tables = []
    for table, draft in drafts:
        if draft is not None and table.file in first:
            draft.unlink(missing_ok=True)
            problem = f"{table.name} and {first[table.file]} both hold {table.stream}"
            fix = "join them first with ffm data import, then give the folder of the store"
            table = Table(name=table.name, state="failed", problem=problem, fix=fix)
        elif draft is not None:
            try:
                draft.replace(out / table.file)
            except OSError as error:
                draft.unlink(missing_ok=True)
                raise output_error(out / table.file, error, moved_by="--out") from error
        tables.append(table)
    return tuple(tables)


def _read_manifest(out: Path) -> dict[str, Any]:
    try:
        text = small_text(out / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return {"schema": SCHEMA, "sources": {}}
    except OSError as error:
        raise OutputError(
            f"{out / MANIFEST}: cannot be read: {error.strerror}", fix="choose another --out"
        ) from error
    try:
        content: dict[str, Any] = json.loads(text)
        if content["schema"] == SCHEMA and isinstance(content["sources"], dict):
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise OutputError(
        f"{out / MANIFEST} is not a manifest of tables", fix="choose an empty folder with --out"
    )


def _standing(out: Path, manifest: Mapping[str, Any], key: str) -> tuple[Table, ...]:
    """Return the tables of a source that are there and whole."""
    entry = manifest["sources"].get(key)
    if entry is None:
        return ()
    tables = tuple(Table(**{**table, "state": "present"}) for table in entry["tables"])
    for table in tables:
        try:
            if file_sha256(out / table.file) != table.sha256:
                return ()
        except DataError:
            return ()
    return tables


def _keep(
    out: Path,
    manifest: Mapping[str, Any],
    facts: Mapping[str, Any],
    key: str,
    tables: Sequence[Table],
) -> dict[str, Any]:
    """Write the manifest with the tables of one more source; failures are not kept."""
    written = [table for table in tables if table.state == "written"]
    if not written:
        return dict(manifest)
    replaced = {table.file for table in written}
    sources = {
        other: entry
        for other, entry in manifest["sources"].items()
        if not replaced & {table["file"] for table in entry["tables"]}
    }
    rows = [{n: getattr(t, n) for n in Table.__dataclass_fields__ if n not in ("problem", "fix")}
            for t in written]  # fmt: skip
    sources[key] = {**facts, "tables": rows}
    grown = {"schema": SCHEMA, "sources": sources}
    atomic_write(out / MANIFEST, (json.dumps(grown, indent=1, sort_keys=True) + "\n").encode())
    return grown
