"""``ffm report``: write the HTML report of a stored run again, and open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.output import console, emit_json, output_options, say
from ffm_core.cli.runs import out_option
from ffm_core.errors import RecordError

if TYPE_CHECKING:
    from ffm_core.runs.record import Run


@click.command("report")
@click.argument("run")
@click.option("--open", "show", is_flag=True, help="Open the report in the browser.")
@out_option
@output_options
def command(*, run: str, show: bool, out: Path, as_json: bool, quiet: bool) -> None:
    """Rewrite the HTML report of a stored run from its record alone.

    RUN is a run folder, a run id, the beginning or end of one, or 'latest'. The
    record is checked against its hashes first, so a report never shows an edited
    result. The path of the report is printed to stdout.
    """
    from ffm_core.report import terminal
    from ffm_core.runs.find import read_run

    stored = read_run(run, out_dir=out)
    path = write_report(stored)
    if as_json:
        emit_json("ffm-report/1", {"run_id": stored.run_id, "decision": stored.decision,
                                   "result_hash": stored.result_hash, "report": path})  # fmt: skip
    else:
        terminal.summary(record_of(stored), console(quiet=quiet))
        say(str(path))
    if show:
        click.launch(path.resolve().as_uri())


def record_of(run: Run) -> dict[str, Any]:
    """Return a stored run in the form of its ``run.json``."""
    from ffm_core.runs.record import SCHEMA

    return {"schema": SCHEMA, "result": run.result, "result_hash": run.result_hash,
            "envelope": run.envelope}  # fmt: skip


def write_report(run: Run) -> Path:
    """Render the report of a run and replace ``report.html`` in its folder.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    RecordError
        When the record or its tables were edited, or cannot be read.
    OutputError
        When the folder cannot be written; the old report then stays.
    """
    import polars as pl

    from ffm_core.report import html
    from ffm_core.runs.atomic import atomic_write
    from ffm_core.runs.record import REPORT_FILE, verify_run

    checked = verify_run(run.path)
    if not checked.ok:
        fix = "run the evaluation again to get a true record"
        raise RecordError(f"{run.path}: {checked.problems[0]}", fix=fix)
    # A refused run has no trades to show.
    has_trades = "trades.parquet" in run.envelope.get("files", {})
    text = html.render(record_of(run), run.table("trades") if has_trades else pl.DataFrame())
    path = run.path / REPORT_FILE
    atomic_write(path, text.encode("utf-8", "backslashreplace"))
    return path
