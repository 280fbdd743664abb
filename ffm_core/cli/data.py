"""``ffm data``: import, check, describe and simulate market data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.files import (
    column_pairs,
    leave_failed,
    reading_options,
    sources_argument,
    table_options,
    write_tables,
)
from ffm_core.cli.output import (
    columns,
    console,
    emit_json,
    output_options,
    page,
    say,
    split_names,
)

if TYPE_CHECKING:
    from ffm_core.bars.importing import Imported
    from ffm_core.bars.readers import LoadedBars

_REFUSED_FIX = "check --tz, --stamps and the file; 'ffm eval --accept-quality' continues anyway"


@click.group()
def group() -> None:
    """Import, check and describe market data."""


@group.command("import")
@sources_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the store; created if missing.",
)
@click.option("--accept-quality", is_flag=True, help="Import data that the audit rejects.")
@reading_options
@output_options
def import_command(
    sources: Sequence[str],
    out: Path,
    accept_quality: bool,
    as_json: bool,
    quiet: bool,
    column_map: Sequence[str],
    **reading: Any,
) -> None:
    """Read files or folders into a store of checked Parquet files.

    Finished files are kept whatever happens to the others; running it again skips what
    is already there. Failures are listed at the end, with exit code 4.
    """
    from ffm_core.bars.importing import import_files
    from ffm_core.bars.readers import Options

    how = Options(columns=column_pairs(column_map), accept_quality=accept_quality, **reading)
    with _bar(quiet) as watch:
        store, report = import_files(sources, out, options=how, watch=watch)
    failed = [entry for entry in report if entry.state == "failed"]
    if as_json:
        streams = [{"stream": n, **entry.as_json()} for n, entry in sorted(store.streams.items())]
        emit_json("ffm-data-import/1", {"files": [_row(e) for e in report], "streams": streams})
    elif store.streams:
        rows = [
            (n, f"{e.rows} bars", f"{e.first} .. {e.last}", e.file)
            for n, e in sorted(store.streams.items())
        ]
        say(columns(rows))
    leave_failed(len(report), [(entry.name, entry.problem, entry.fix) for entry in failed])


@group.command("check")
@sources_argument
@reading_options
@output_options
def check_command(
    sources: Sequence[str], as_json: bool, quiet: bool, column_map: Sequence[str], **reading: Any
) -> None:
    """Validate files and audit how plausible their data are.

    Levels are info, warn and refuse. The exit code is 4 if a file is rejected or cannot
    be read.
    """
    loaded, failed = _load(sources, column_map, reading, quiet=quiet)
    if as_json:
        emit_json("ffm-data-check/1", {"streams": [_facts(i) for i in loaded], "failed": failed})
    elif loaded:
        say(page(_audit_page(item) for item in loaded))
    refused = [
        (i.source_name, f"the audit rejects {i.bars.stream}: {i.audit.refusal}", _REFUSED_FIX)
        for i in loaded
        if i.audit.refusal
    ]
    leave_failed(len(loaded) + len(failed), [*_problems(failed), *refused])


@group.command("describe")
@sources_argument
@reading_options
@output_options
def describe_command(
    sources: Sequence[str], as_json: bool, quiet: bool, column_map: Sequence[str], **reading: Any
) -> None:
    """Describe files: instrument, span, sessions, gaps, costs."""
    loaded, failed = _load(sources, column_map, reading, quiet=quiet)
    if as_json:
        emit_json("ffm-data-describe/1", {"streams": [_facts(i) for i in loaded], "failed": failed})
    elif loaded:
        say(page((columns(_describe(_facts(item))) for item in loaded), gap="\n\n"))
    leave_failed(len(loaded) + len(failed), _problems(failed))


@group.command("simulate")
@click.argument("symbol")
@click.option("--seed", type=click.IntRange(0), help="Seed, if SYMBOL does not include it.")
@click.option("--months", type=click.IntRange(1, 120), default=24, show_default=True)
@click.option("--timeframe", default="5m", show_default=True, help="Bar length.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="here",
    help="Folder for SYMBOL_TIMEFRAME.parquet.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@output_options
def simulate_command(
    symbol: str,
    seed: int | None,
    months: int,
    timeframe: str,
    out: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a simulated market without any edge.

    SYMBOL is SIM, letters and a seed, for example SIMA7.
    """
    from ffm_core.bars.simulate import market
    from ffm_core.bars.store import parquet_bytes
    from ffm_core.errors import OutputError
    from ffm_core.runs.atomic import atomic_write

    bars = market(symbol.upper(), seed=seed, months=months, timeframe=timeframe)
    path = out / f"{bars.instrument.symbol}_{bars.timeframe}.parquet"
    if path.exists() and not force:
        raise OutputError(f"{path} already exists", fix="use --force, or write elsewhere")
    atomic_write(path, parquet_bytes(bars.frame), moved_by="--out")
    if as_json:
        facts = {"path": path, "stream": bars.stream, "rows": len(bars), "sha256": bars.sha256}
        emit_json("ffm-data-simulate/1", facts)
        return
    say(str(path))


@group.command("prepare")
@sources_argument
@click.option(
    "--targets",
    default="context",
    show_default=True,
    callback=split_names,
    metavar="A,B",
    help="Targets or groups of targets, in order of columns.",
)
@table_options
@output_options
def prepare_command(
    sources: Sequence[str],
    features: tuple[str, ...],
    targets: tuple[str, ...],
    extensions: Sequence[str],
    out: Path,
    jobs: int | None,
    **rest: Any,
) -> None:
    """Write features and targets of files to Parquet tables, one per stream.

    Beside each target is the time at which its value becomes known: purge by it. The
    manifest says what each table was made from; running it again keeps finished tables.
    """
    write_tables(sources, features, targets, extensions, out=out, jobs=jobs, **rest)


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    shown = console(quiet=quiet)
    progress = Progress(
        *Progress.get_default_columns()[:3],
        TimeElapsedColumn(),
        TextColumn("{task.fields[name]}"),
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    )
    with progress:
        task = progress.add_task("files", total=None, name="")

        def watch(name: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, name=name)

        yield watch


def _load(
    sources: Sequence[str], column_map: Sequence[str], reading: dict[str, Any], *, quiet: bool
) -> tuple[list[LoadedBars], list[dict[str, str]]]:
    from ffm_core.bars.importing import bar_jobs
    from ffm_core.bars.readers import load_many
    from ffm_core.errors import FFMError

    jobs = bar_jobs(sources)
    how = {"columns": column_pairs(column_map), "accept_quality": True, **reading}
    loaded: list[LoadedBars] = []
    failed: list[dict[str, str]] = []
    with _bar(quiet) as watch:
        for number, (symbol, path) in enumerate(jobs):
            watch(path.name, number, len(jobs))
            try:
                loaded += load_many([(symbol, path)], **how)
            except FFMError as err:
                if len(jobs) == 1:
                    raise
                failed.append({"name": path.name, "problem": err.problem, "fix": err.fix})
    return loaded, failed


def _facts(item: LoadedBars) -> dict[str, Any]:
    from ffm_core.bars.describe import describe

    return describe(item)


def _row(entry: Imported) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(entry)


def _audit_page(item: LoadedBars) -> str:
    head = f"{item.source_name}  {item.bars.stream}  {len(item.bars)} bars  {item.audit.level}"
    rows = [
        (f"  {f.level}", f.code, f.message + (f" (first {f.first})" if f.first else ""))
        for f in item.audit.findings
    ]
    dropped = [("  dropped", reason, str(count)) for reason, count in item.counts.items()]
    return page([head, *([columns(rows + dropped)] if rows or dropped else [])])


def _describe(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, value in facts.items():
        if key == "audit":
            rows.append(("audit", f"{value['level']}: {', '.join(value['codes']) or 'nothing'}"))
        elif isinstance(value, dict):
            text = ", ".join(f"{name} {count}" for name, count in value.items())
            rows.append((key.replace("_", " "), text or "none"))
        else:
            rows.append((key.replace("_", " "), str(value)))
    return rows


def _problems(failed: Sequence[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(fault["name"], fault["problem"], fault["fix"]) for fault in failed]
