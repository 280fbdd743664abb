"""What commands share that read files and write one thing per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ffm_core.cli.output import columns, emit_json, note, progress_of, say, split_names
from ffm_core.errors import DataError

C = TypeVar("C", bound=Callable[..., Any])
# Spelled out, because importing the readers would make --help slow.
LAYOUTS = ("plain", "histdata", "databento", "ib", "charting")

sources_argument = click.argument("sources", nargs=-1, required=True, metavar="[SYMBOL=]PATH...")
extension_option = click.option(
    "--with",
    "extensions",
    multiple=True,
    metavar="EXTENSION",
    help="Extension to enable; repeatable.",
)


def reading_options(command: C) -> C:
    """Add the options that say how a file is to be read."""
    for option in reversed(
        (
            click.option(
                "--tz", help="Time zone of timestamps without one, such as America/New_York."
            ),
            click.option(
                "--stamps",
                type=click.Choice(["start", "end"]),
                default="start",
                show_default=True,
                help="Whether timestamps mark the open or the close of a bar.",
            ),
            click.option("--timeframe", help="Bar length.  [default: the most common step]"),
            click.option(
                "--layout", type=click.Choice(LAYOUTS), help="File layout, instead of detecting it."
            ),
            click.option(
                "--format",
                "formats",
                multiple=True,
                help="strptime format of the timestamps; repeatable.",
            ),
            click.option(
                "--column",
                "column_map",
                multiple=True,
                metavar="OURS=THEIRS",
                help="Column map, such as low=Llow or volume=none; repeatable.",
            ),
            click.option("--contract", help="Contract month to select from a file with several."),
            click.option(
                "--policy",
                type=click.Choice(["error", "drop"]),
                default="error",
                show_default=True,
                help="Stop at invalid rows, or drop and count them.",
            ),
            click.option(
                "--instruments",
                type=click.Path(path_type=Path, dir_okay=False),
                help="TOML file that declares instruments.",
            ),
        )
    ):
        command = option(command)
    return command


def table_options(command: C) -> C:
    """Add the options of commands that write tables of features."""
    for option in (
        reading_options,
        click.option("--accept-quality", is_flag=True, help="Accept data that the audit rejects."),
        click.option(
            "--jobs",
            type=click.IntRange(1),
            help="Files to process in parallel.  [default: all cores]",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            help="Folder for the tables; created if missing.",
        ),
        extension_option,
    ):
        command = option(command)
    return click.option(
        "--features",
        default="ffm68",
        show_default=True,
        callback=split_names,
        metavar="A,B",
        help="Feature sets, in order of columns.",
    )(command)


def column_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read ``--column OURS=THEIRS`` pairs."""
    found = {}
    for text in texts:
        ours, sign, theirs = text.partition("=")
        if not (sign and ours and theirs):
            raise click.BadParameter(f"{text!r} is not OURS=THEIRS", param_hint="--column")
        found[ours.strip()] = theirs
    return found


def write_tables(
    sources: Sequence[str],
    features: tuple[str, ...],
    targets: tuple[str, ...],
    extensions: Sequence[str],
    *,
    out: Path,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    column_map: Sequence[str],
    **reading: Any,
) -> None:
    """Make the tables, say what became of each file, and leave with code 4 if one failed."""
    from ffm_core.bars.readers import Options
    from ffm_core.evaluate.prepared_tables import MANIFEST, Recipe, make_tables, target_names
    from ffm_core.host.loading import open_host

    named = [(name, ("ffm_feature_sets",)) for name in features]
    named += [(name, ("ffm_targets",)) for name in targets]
    host = open_host(None, extensions, naming=named)
    recipe = Recipe(
        host=host,
        features=features,
        targets=target_names(targets, host),
        options=Options(columns=column_pairs(column_map), **reading),
        out=out,
    )
    with progress_of(quiet=quiet) as progress:
        found = make_tables(sources, recipe, jobs=jobs or os.cpu_count() or 1, progress=progress)
    failed = [table for table in found if table.state == "failed"]
    if as_json:
        facts = [{n: getattr(t, n) for n in t.__dataclass_fields__} for t in found]
        emit_json("ffm-tables/1", {"manifest": out / MANIFEST, "tables": facts})
    else:
        rows = [
            (t.file, t.state, f"{t.rows} bars", f"{t.columns} columns", f"{t.first} .. {t.last}")
            for t in found
            if t.state != "failed"
        ]
        if rows:
            say(columns(rows))
    leave_failed(len(found), [(table.name, table.problem, table.fix) for table in failed])


def leave_failed(total: int, problems: Sequence[tuple[str, str, str]]) -> None:
    """Say which files failed, by (name, problem, fix), and leave with the code of bad data."""
    if not problems:
        return
    faults = [
        DataError(problem if name in problem else f"{name}: {problem}", fix=fix)
        for name, problem, fix in problems
    ]
    if total == 1:
        raise faults[0]
    note(f"{len(faults)} of {total} failed:")
    for fault in faults:
        note(f"  {fault.problem}")
        if fault.fix:
            note(f"    fix: {fault.fix}")
    click.get_current_context().exit(DataError.exit_code)
