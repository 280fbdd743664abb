"""``ffm report``: write the HTML report of a stored run again, and open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ffm_core.cli._output import console, emit_json, output_options, say
from ffm_core.errors import OutputError, RecordError

if TYPE_CHECKING:
    from ffm_core.runs.record import Run


@click.command("report")
@click.argument("run")
@click.option("--open", "show", is_flag=True, help="Open the report in the browser.")
@click.option(
    "--runs", "out_dir", type=click.Path(path_type=Path), default=Path("ffm-runs"),
    show_default=True, help="Folder of run folders.",
)  # fmt: skip
@output_options
def command(run: str, show: bool, out_dir: Path, as_json: bool, quiet: bool) -> None:
    """Write the HTML report of a stored run again, from its record alone.

    RUN is a run folder, a run id, the beginning or end of one, or 'latest'. The
    record is checked against its hash first: a report never dresses up an edited
    result.
    """
    from ffm_core.report import terminal
    from ffm_core.runs.find import read_run

    stored = read_run(run, out_dir=out_dir)
    path = write_report(stored)
    if as_json:
        emit_json("ffm-report/1", {"run_id": stored.run_id, "decision": stored.decision,
                                   "result_hash": stored.result_hash, "report": path})  # fmt: skip
    else:
        terminal.summary(record_of(stored), console(quiet=quiet))
        say(str(path))
    if show:
        click.launch(path.resolve().as_uri())


def record_of(run: Run) -> dict[str, object]:
    """Return a stored run in the form of its ``run.json``."""
    return {"schema": "ffm-run/1", "result": run.result, "result_hash": run.result_hash,
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
        When the record or its trades were edited, or cannot be read.
    OutputError
        When the folder cannot be written; the old report then stays.
    """
    from ffm_core.report import html
    from ffm_core.runs.record import verify_run

    checked = verify_run(run.path)
    if not checked.ok:
        raise RecordError(
            f"{run.path}: {checked.problems[0]}",
            fix="run the evaluation again to get a true record",
        )
    import polars as pl

    has_trades = (run.path / "trades.parquet").exists()
    trades = run.table("trades") if has_trades else pl.DataFrame()
    path = run.path / "report.html"
    _replace(path, html.render(record_of(run), trades))
    return path


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror}", fix="make the run folder writable"
        ) from error
