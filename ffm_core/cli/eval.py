"""``ffm eval``: parse, judge, store, say."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ffm_core.cli._complete import complete_extensions, complete_subjects
from ffm_core.cli.output import (
    emit_json,
    failure_lines,
    note,
    output_options,
    page,
    progress_of,
    reveal_option,
    say,
)
from ffm_core.errors import EXIT_CODES, QUALIFIED_PASS
from ffm_core.shown import is_revealed

if TYPE_CHECKING:
    from ffm_core.evaluate import Evaluation, Job
    from ffm_core.evaluate.progress import Progress
    from ffm_core.runs.config import EvalConfig

_PATH_OPTIONS = ("--data", "--input", "--config", "--out", "--instruments", "--checks")

C = TypeVar("C", bound=Callable[..., Any])


def _option(name: str, *spellings: str, **settings: Any) -> tuple[str, Callable[[C], C]]:
    return name, click.option(name, *spellings, **settings)


def _joined(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> str | None:
    """Take ``--ablate a --ablate b`` for ``--ablate a,b``; none of them is dropped."""
    return ",".join(given) or None


_OPTIONS = (
    _option("--data", multiple=True, metavar="[ES=]PATH",
            help="File or folder of bars; repeatable."),
    _option("--demo", is_flag=True, default=None,
            help="Use the simulated market, which has no edge."),
    _option("--input", "inputs", multiple=True, metavar="NAME=PATH",
            help="Table that a plug-in reads beside the bars, with a column known_at; repeatable."),
    _option("--config", "file", type=click.Path(path_type=Path, dir_okay=False),
            help="TOML file of settings; flags override it."),
    _option("--claim", type=click.Choice(["selection", "trigger"]),
            help="What to judge: the model's picks, or every decision."),
    _option("--learner", metavar="NAME", help="xgb, xgb:linear, …, or none.  [default: xgb]"),
    _option("--features", metavar="A,B", multiple=True, callback=_joined,
            help="Feature sets and embedders; naming one enables its package.  [default: ffm68]"),
    _option("--ablate", metavar="A,B", multiple=True, callback=_joined,
            help="Also refit without these blocks of columns, to show what they add."),
    _option("--exit", "exit_name", metavar="NAME",
            help="Exit policy for the trades; labels keep the strategy's own."),
    _option("--set", "settings", multiple=True, metavar="K=V",
            help="Parameter of the strategy, or of the exit (exit.k=v)."),
    _option("--checks", metavar="SET", help="A check set, or a .toml file."),
    _option("--with", "extensions", multiple=True, metavar="EXTENSION",
            shell_complete=complete_extensions,
            help="Enable an installed package that no other flag names."),
    _option("--seed", type=int, help="Seed of everything random.  [default: 0]"),
    _option("--permutations", type=int, help="Number of label permutations.  [default: 39]"),
    _option("--from", "date_from", metavar="DATE", help="First trading date to use."),
    _option("--to", "date_to", metavar="DATE", help="Last trading date to use."),
    _option("--tz", metavar="ZONE", help="IANA time zone of timestamps without one."),
    _option("--stamps", type=click.Choice(["start", "end"]),
            help="Whether timestamps mark the start or the end of a bar.  [default: start]"),
    _option("--policy", type=click.Choice(["error", "drop"]),
            help="Invalid rows: stop, or drop and count them.  [default: error]"),
    _option("--instruments", type=click.Path(path_type=Path, dir_okay=False),
            help="TOML file that declares instruments."),
    _option("--accept-quality", is_flag=True, default=None,
            help="Judge data that the audit rejects; a PASS is then qualified."),
    _option("--accept-overlap", is_flag=True, default=None,
            help="Judge months that a model may have been fitted to; a PASS is then qualified."),
    _option("--overlap", type=click.Choice(["each", "one_per_stream", "one_at_a_time"]),
            help="Hold every pick, one trade per stream, or one trade overall.  [default: each]"),
    _option("--flat", "flat_at_session_end", is_flag=True, default=None,
            help="Close trades at the session's scheduled end."),
    _option("--unseal", is_flag=True, default=None,
            help="Open the sealed tail: once, irrevocably."),
    _option("--dry-run", is_flag=True,
            help="Show folds, counts and the smallest edge this run could detect."),
    _option("--jobs", type=int, metavar="N", help="Worker processes.  [default: one per core]"),
    _option("--out", type=click.Path(path_type=Path, file_okay=False),
            help="Folder for runs.  [default: ffm-runs]"),
)  # fmt: skip


def pick_options(*names: str) -> Callable[[C], C]:
    """Return a decorator that adds those options of ``ffm eval``; all of them by default."""

    def add(command: C) -> C:
        for name, option in reversed(_OPTIONS):
            if not names or name in names:
                command = option(command)
        return command

    return add


@click.command("eval")
@click.argument("strategy", metavar="NAME|FILE.py", shell_complete=complete_subjects)
@pick_options()
@reveal_option
@output_options
def command(strategy: str, file: Path | None, dry_run: bool, **flags: Any) -> None:
    """Judge a strategy and say why.

    NAME is an installed strategy ('ffm plugins list' shows them) or the path of a
    Python file. The verdict is PASS, FAIL, INCONCLUSIVE, or REFUSED for look-ahead.

    \b
    Examples:
      ffm eval supertrend --demo
      ffm eval supertrend --data ES=es_5m.csv --tz America/New_York
      ffm eval ./idea.py --data CL_5m.parquet --learner none
    """  # noqa: D301 -- click wants the control character itself
    from ffm_core.evaluate import job_of
    from ffm_core.paths import ffm_home
    from ffm_core.runs.atomic import require_writable

    as_json, quiet = bool(flags.pop("as_json")), bool(flags.pop("quiet"))
    config = config_of(strategy, file, flags)
    as_json, quiet = as_json or config.json_output, quiet or config.quiet
    if not dry_run:
        require_writable(config.out, moved_by="--out")
        require_writable(ffm_home(), moved_by="FFM_HOME")
    with redirect_stdout(sys.stderr):  # what plug-ins print is no result
        job = job_of(config, ffm_home())
        warn_of_quality(job)
        stamp_embedders(job, quiet=quiet)
        with names_hidden(job), progress_of(quiet=quiet or as_json) as progress:
            found = _dry_run(job, progress) if dry_run else _evaluate(job, progress)
    if isinstance(found, dict):
        _say_dry_run(found, as_json=as_json)
        sys.exit(EXIT_CODES["REFUSED"] if found["failures"] else 0)
    folder = store_run(job, found)
    _say(found, folder, as_json=as_json, redact=job.redact)
    sys.exit(exit_code(found.decision, found.qualifier))


def exit_code(decision: str, qualifier: str) -> int:
    """Return the documented exit code of a verdict."""
    return QUALIFIED_PASS if decision == "PASS" and qualifier else EXIT_CODES[decision]


def config_of(strategy: str, file: Path | None, flags: dict[str, Any]) -> EvalConfig:
    """Return the configuration that flags and a file ask for."""
    from ffm_core.runs.resolve import parse_inputs, parse_settings, resolve

    params, exit_params = parse_settings(flags.pop("settings"))
    given = {
        **flags,
        "strategy": strategy,
        "exit": flags.pop("exit_name"),
        "params": params or None,
        "exit_params": exit_params or None,
        "inputs": parse_inputs(flags.pop("inputs", ())) or None,
    }
    given.pop("exit_name", None)
    given["data"] = given["data"] or None
    given["extensions"] = given["extensions"] or None
    return resolve(given, file=file)


def names_hidden(job: Job) -> AbstractContextManager[None]:
    """Take a private strategy's names out of errors raised inside."""
    hiding: AbstractContextManager[None] = (
        nullcontext() if job.redact is None else job.redact.hiding()
    )
    return hiding


def _evaluate(job: Job, progress: Progress) -> Evaluation:
    from ffm_core.evaluate import evaluate

    return evaluate(job, progress, command=_command_line(job))


def _command_line(job: Job) -> str:
    """Return the command with every path reduced to its base name."""
    words = ["ffm"]
    previous = ""
    for word in sys.argv[1:]:
        if previous in _PATH_OPTIONS or word.endswith((".py", ".toml")):
            symbol, equals, path = word.rpartition("=")
            word = f"{symbol}{equals}{Path(path).name}"
            if previous == "--input" and job.redact is not None:
                word = "private"
        words.append(shlex.quote(word))
        previous = word
    text = " ".join(words)
    return text if job.redact is None else str(job.redact.text(text))


def warn_of_quality(job: Job) -> None:
    """Say what the audit found wrong with the data."""
    for facts in job.data:
        findings = facts["audit"]["findings"]
        if facts["audit"]["level"] != "info":
            first = next(f for f in findings if f["level"] == facts["audit"]["level"])
            note(
                f"data {facts['instrument']}/{facts['timeframe']}: {facts['audit']['level']}: "
                f"{first['message']}"
                + (f" (and {len(findings) - 1} more)" if len(findings) > 1 else "")
            )


def stamp_embedders(job: Job, *, quiet: bool = False) -> None:
    """Say which models are loaded, and which fine-tuned ones are there and are not."""
    if not job.parts.embedders or quiet:
        return
    from ffm_core.embed.stamp import line_of, stamp_of, unused_checkpoints

    lines = [line_of(stamp_of(embedder)) for embedder in job.parts.embedders]
    lines += unused_checkpoints(job.parts.embedders, job.config.features)
    for line in lines:
        note(line if job.redact is None else job.redact.text(line))


def store_run(job: Job, evaluation: Evaluation) -> Path:
    """Write the record, tables and report of a run; return its folder."""
    from ffm_core.report.html import render
    from ffm_core.runs.record import write_run

    record = evaluation.record
    envelope = record["envelope"]
    register = partial(job.ledger.record_run, envelope["run_id"], trial=envelope["trial"])
    return write_run(
        job.config.out,
        record["result"],
        envelope,
        tables={"decisions": evaluation.decisions, "trades": evaluation.trades},
        html=render(record, evaluation.trades),
        register=lambda files: register(files=files),
    )


def _say(evaluation: Evaluation, folder: Path, *, as_json: bool, redact: Any = None) -> None:
    record = evaluation.record
    if as_json:
        from ffm_core.report.words import told

        rest = {key: value for key, value in record.items() if key != "schema"}
        words = told(record["result"])
        emit_json(record["schema"], {**rest, "folder": str(folder), "words": words})
        return
    from rich.console import Console

    from ffm_core.report.terminal import summary

    shown = {**record, "envelope": {**record["envelope"], "out": str(folder)}}
    summary(redact.revealed(shown) if redact is not None and is_revealed() else shown, Console())


def _dry_run(job: Job, progress: Progress) -> dict[str, Any]:
    from ffm_core.evaluate.dryrun import dry_run

    return dry_run(job, progress)


def _say_dry_run(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json("ffm-dry-run/1", found)
        return
    from ffm_core.records import Failure
    from ffm_core.report.reasons import sentence

    overlaps = [f"overlap     {sentence(overlap)}" for overlap in found.get("overlaps", [])]
    lines = [*found["lines"], *overlaps]
    for stored in found["failures"]:
        lines += ["", *failure_lines(Failure.read(stored))]
    say(page(lines))
