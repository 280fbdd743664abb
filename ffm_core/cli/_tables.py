"""What ``ffm features compute`` and ``ffm data prepare`` share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click

from ffm_core.cli._output import columns, emit_json, note, say
from ffm_core.errors import DataError

C = TypeVar("C", bound=Callable[..., Any])


def table_command(command: C) -> C:
    """Add ``--out``, ``--jobs`` and ``--accept-quality``."""
    for option in (
        click.option("--accept-quality", is_flag=True, help="Take data the audit refuses."),
        click.option("--jobs", type=click.IntRange(1), help="Files at once.  [default: all cores]"),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            help="Folder of the tables; made when absent.",
        ),
    ):
        command = option(command)
    return command


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
    from ffm_core.cli.data import column_pairs
    from ffm_core.evaluate.progress import Silent, live
    from ffm_core.evaluate.tables import MANIFEST, Recipe, make_tables, target_names
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
    with nullcontext(Silent()) if quiet else live() as progress:
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
    if len(found) == 1 and failed:
        raise DataError(_problem(failed[0]), fix=failed[0].fix)
    if failed:
        note(f"{len(failed)} of {len(found)} failed:")
        for table in failed:
            note(f"  {_problem(table)}" + (f"\n    fix: {table.fix}" if table.fix else ""))
        click.get_current_context().exit(DataError.exit_code)


def _problem(table: Any) -> str:
    return table.problem if table.name in table.problem else f"{table.name}: {table.problem}"
