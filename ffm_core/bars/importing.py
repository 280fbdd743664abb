"""Fill a store from files: one after another, resumable, failures at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ffm_core.bars.readers.loading import LoadedBars, bar_files, load, resolve_symbol
from ffm_core.bars.readers.options import Options, parse_data_option
from ffm_core.bars.store import Store, file_sha256, is_store, open_store
from ffm_core.errors import FFMError, OutputError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import require_writable

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one file.

    Parameters
    ----------
    name : str
        Base name of the file.
    state : str
        ``imported``, ``present`` (imported before) or ``failed``.
    stream : str
        ``ES/5m``; empty unless imported.
    rows : int
        Bars read.
    level : str
        Level of the audit; empty unless imported.
    problem, fix : str
        Why it failed, and what can be done.
    """

    name: str
    state: str
    stream: str = ""
    rows: int = 0
    level: str = ""
    problem: str = ""
    fix: str = ""


def import_files(
    specs: Iterable[str | tuple[str | None, Path]],
    out: Path | str,
    *,
    options: Options | None = None,
    watch: Watch | None = None,
) -> tuple[Store, tuple[Imported, ...]]:
    """Read files into a store.

    Parameters
    ----------
    specs : iterable of str or (symbol, path)
        Files or folders, each perhaps with its instrument (``ES=path``).
    out : path
        Folder of the store, made when absent.
    options : Options, optional
        How to read all of them.
    watch : callable, optional
        Called as ``watch(file name, done, total)`` before each file and at the end.

    Returns
    -------
    store : Store
        With every file that could be read.
    report : tuple of Imported
        One entry per file, in order.

    Raises
    ------
    OutputError
        When the store cannot be written; files finished before stay.
    DataError
        When a path does not exist or a folder holds no file of bars.
    """
    how = options if options is not None else Options()
    jobs = bar_jobs(specs)
    store = open_store(out, create=True)
    require_writable(store.root, moved_by="--out")
    report: list[Imported] = []
    for number, (symbol, path) in enumerate(jobs):
        if watch is not None:
            watch(path.name, number, len(jobs))
        store, entry = _import(store, path, replace(how, symbol=symbol or how.symbol))
        report.append(entry)
    if watch is not None:
        watch("", len(jobs), len(jobs))
    return store, tuple(report)


def bar_jobs(
    specs: Iterable[str | tuple[str | None, Path]],
) -> Sequence[tuple[str | None, Path]]:
    """Return the files behind paths and folders; a store counts as one.

    Raises
    ------
    DataError
        When a folder holds no file of bars.
    """
    jobs: list[tuple[str | None, Path]] = []
    for spec in specs:
        symbol, place = parse_data_option(spec) if isinstance(spec, str) else spec
        files = bar_files(place) if kind_of(place) == "folder" and not is_store(place) else [place]
        jobs += [(symbol, file) for file in files]
    return jobs


def _import(store: Store, path: Path, how: Options) -> tuple[Store, Imported]:
    try:
        digest = file_sha256(path)
        settings = _settings(replace(how, symbol=resolve_symbol(path, how).symbol))
        if store.has_source(digest, settings):
            return store, Imported(name=path.name, state="present")
        loaded = load(path, **_keywords(how))
        source = {
            "name": path.name,
            "sha256": digest,
            "settings": settings,
            "rows": len(loaded.bars),
            "dropped": dict(loaded.counts),
            "audit": loaded.audit.level,
        }
        return store.add(loaded.bars, source), _done(path, loaded)
    except OutputError:
        raise
    except FFMError as err:
        return store, Imported(name=path.name, state="failed", problem=err.problem, fix=err.fix)


def _done(path: Path, loaded: LoadedBars) -> Imported:
    return Imported(
        name=path.name,
        state="imported",
        stream=loaded.bars.stream,
        rows=len(loaded.bars),
        level=loaded.audit.level,
    )


def _settings(how: Options) -> str:
    # What shapes the content; reading again with other settings is another import.
    facts = asdict(how)
    facts.pop("accept_quality")
    return json.dumps(facts, sort_keys=True, default=str)


def _keywords(how: Options) -> dict[str, object]:
    return {name: getattr(how, name) for name in how.__dataclass_fields__}
