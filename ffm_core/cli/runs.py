"""``ffm runs`` and ``ffm explain``: look at stored runs, and check that they are whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ffm_core.cli.output import columns, emit_json, note, output_options, say
from ffm_core.errors import CausalityError, LedgerError, RecordError, UsageError
from ffm_core.paths import ffm_home
from ffm_core.report.reasons import sentence
from ffm_core.report.words import told
from ffm_core.runs.chain import Event
from ffm_core.runs.compare import Pair, RunComparison, compare_runs
from ffm_core.runs.explain import decision_rows, explain_decision, stored_decision
from ffm_core.runs.find import find_run, list_runs, read_run, run_folders
from ffm_core.runs.ledger import Ledger, LedgerReport
from ffm_core.runs.record import Run, RunReport
from ffm_core.runs.verifying import Book
from ffm_core.wording import counted

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("ffm-runs"),
    show_default=True,
    envvar="FFM_OUT",
    help="Folder of run folders.",
)


@click.group()
def group() -> None:
    """List, show, verify and compare runs."""


@group.command("list")
@out_option
@output_options
def list_command(*, out: Path, as_json: bool, quiet: bool) -> None:
    """List the stored runs, oldest first."""
    runs, broken = list_runs(out, Ledger(ffm_home()).records())
    if as_json:
        unreadable = [error.problem for error in broken]
        emit_json("ffm-runs/1", {"runs": [_line(run) for run in runs], "unreadable": unreadable})
        return
    lines = [_line(run) for run in runs]
    if lines:
        names = ("run_id", "strategy", "claim", "data", "decision", "started")
        rows = [[str(line[name]) for name in names] for line in lines]
        say(columns([["RUN", "STRATEGY", "CLAIM", "DATA", "VERDICT", "STARTED"], *rows]))
    else:
        note(f"no runs in {out}")
    for error in broken:
        note(f"unreadable: {error.problem}")


@group.command("show")
@click.argument("run")
@out_option
@output_options
def show_command(run: str, *, out: Path, as_json: bool, quiet: bool) -> None:
    """Show one run: its verdict, checks and arms.

    RUN is a run folder, a run id, a part of one, or 'latest'.
    """
    found = read_run(run, out_dir=out)
    if as_json:
        stored = {"result": found.result, "result_hash": found.result_hash,
                  "envelope": found.envelope, "path": str(found.path),
                  "words": told(found.result)}  # fmt: skip
        emit_json(found.schema, stored)
        return
    _show(found)


@group.command("verify")
@click.argument("run", required=False)
@click.option("--head", type=click.Path(path_type=Path), help="Signed head that 'anchor' wrote.")
@out_option
@output_options
def verify_command(
    run: str | None, *, head: Path | None, out: Path, as_json: bool, quiet: bool
) -> None:
    """Check that run records and the ledger have not been edited.

    Without RUN, every run in the folder is checked: against its own hashes, and against those
    the ledger took when the run was written. A run that this ledger does not know is said to
    be unknown. With --head, so is the ledger: against a head that was signed and kept elsewhere.
    The exit code is 4 when anything was edited, is missing or cannot be read.
    """
    signed = _read_head(head) if head is not None else None
    folders = [find_run(run, out_dir=out)] if run is not None else run_folders(out)
    ledger = Ledger(ffm_home())
    report = ledger.verify()
    if not folders:
        note(f"no runs in {out}")
    events = ledger.events()
    book = Book(events)
    lost = _anchored(ledger, events, signed) if signed is not None and report.ok else ""
    checked = [book.verified(folder) for folder in folders]
    if as_json:
        emit_json("ffm-verify/1", {
            "runs": [{**asdict(item), "ok": item.ok} for item in checked],
            "ledger": {**asdict(report), "path": str(ledger.path)},
            "head": signed and {**signed, "problem": lost},
        })  # fmt: skip
    else:
        _show_verification(checked, report, ledger.path)
        if signed is not None and report.ok:
            say(f"BROKEN  head: {lost}" if lost else _head_line(signed))
    if not report.ok:
        raise LedgerError(
            f"the ledger {ledger.path} was edited: row {report.broken_row}: {report.reason}",
            fix="restore it from a backup, or start a new ledger with FFM_HOME",
        )
    if lost:
        raise LedgerError(
            f"the ledger {ledger.path} is not what {head} was signed for: {lost}",
            fix="restore the ledger from a backup",
        )
    if strange := [item.run_id for item in checked if item.ok and item.held == "nothing"]:
        note(f"{counted(len(strange), 'run')} unknown to this ledger, held to nothing but hashes "
             "of their own, which whoever edits a record can make anew")  # fmt: skip
    bad = [item.run_id for item in checked if not item.ok]
    if bad:
        raise RecordError(
            f"{len(bad)} of {len(checked)} runs failed the check: {', '.join(bad[:5])}",
            fix="run the evaluation again; it will reuse what is cached",
        )


@group.command("anchor")
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("ffm-head.json"),
    show_default=True,
    help="File to write.",
)
@output_options
def anchor_command(*, path: Path, as_json: bool, quiet: bool) -> None:
    """Write the ledger's newest head, signed, to a file that is kept elsewhere.

    'ffm runs verify --head FILE' then finds any rewrite of the rows before it. Commit the
    file to a git repository that others can see: a head that only you keep, only you can
    believe. The key is made on first use and lies in FFM_HOME/anchor.key.
    """
    from ffm_core.runs.anchor import sign_head
    from ffm_core.runs.atomic import atomic_write

    home = ffm_home()
    ledger = Ledger(home)
    head = sign_head(ledger.whole(), home)
    atomic_write(path, json.dumps(head, indent=1).encode() + b"\n", moved_by="--to")
    if as_json:
        emit_json(head["schema"], {**head, "path": str(path)})
        return
    say(str(path))
    note(f"{counted(head['rows'], 'row')} up to {head['time']}, key {head['public_key'][:16]}")


@group.command("compare")
@click.argument("first")
@click.argument("second")
@out_option
@output_options
def compare_command(first: str, second: str, *, out: Path, as_json: bool, quiet: bool) -> None:
    """Show what differs between two runs, and their checks side by side."""
    found = compare_runs(read_run(first, out_dir=out), read_run(second, out_dir=out))
    if as_json:
        emit_json("ffm-compare/1", asdict(found))
        return
    _show_comparison(found)


@click.command()
@click.argument("run")
@click.option("--decision", type=int, help="Row of decisions.parquet.")
@out_option
@output_options
def explain(run: str, *, decision: int | None, out: Path, as_json: bool, quiet: bool) -> None:
    """Print the arithmetic of one label, from entry to net R."""
    found = read_run(run, out_dir=out)
    if found.decision == "REFUSED":
        raise CausalityError(
            f"run {found.run_id} was REFUSED for look-ahead: there is no result to explain",
            fix=f"ffm runs show {found.run_id} shows what reads the future",
        )
    if decision is None:
        first, last = decision_rows(found)
        raise UsageError(
            f"which decision of {found.run_id}?",
            fix=f"add --decision N with N from {first} to {last}, a row of decisions.parquet",
        )
    stored = stored_decision(found, decision)
    exits = found.result.get("strategy", {}).get("exit") or {}
    lines = explain_decision(stored, str(exits.get("name", "")))
    if as_json:
        emit_json("ffm-explain/1", {"run_id": found.run_id, "decision": stored, "lines": lines})
        return
    for line in lines:
        say(line)


def _line(run: Run) -> dict[str, Any]:
    data = [f"{d.get('instrument')}/{d.get('timeframe')}" for d in run.result.get("data", [])]
    return {
        "run_id": run.run_id,
        "strategy": run.result.get("strategy", {}).get("name", ""),
        "claim": run.result.get("prereg", {}).get("claim", ""),
        "data": ",".join(data),
        "decision": run.decision,
        "qualifier": run.result["verdict"].get("qualifier") or "",
        "started": run.envelope.get("started", ""),
        "result_hash": run.result_hash,
        "path": str(run.path),
    }


def _show(run: Run) -> None:
    line = _line(run)
    qualifier = f" ({line['qualifier']})" if line["qualifier"] else ""
    say(f"{run.decision}{qualifier}  {line['strategy']}, {line['claim']}, {line['data']}")
    said = told(run.result)
    for text in (said["headline"], *said["reasons"]):
        say(f"  {text}")
    checks = [[str(c.get("name")), str(c.get("outcome")), _number(c.get("value")),
               _number(c.get("threshold")), sentence(c.get("reason"))]
              for c in run.result.get("checks", [])]  # fmt: skip
    if checks:
        say()
        say(columns([["CHECK", "OUTCOME", "VALUE", "THRESHOLD", "REASON"], *checks]))
    arms = [[name, f"{arm.get('n_trades') or 0:,.0f}", _number(arm.get("mean_r"))]
            for name, arm in run.result.get("arms", {}).items()]  # fmt: skip
    if arms:
        say()
        say(columns([["ARM", "TRADES", "MEAN R"], *arms]))
    say()
    facts = {"run": run.run_id, "started": line["started"], "result": run.result_hash,
             "command": run.envelope.get("command", ""), "folder": run.path}  # fmt: skip
    say(columns([[name, str(value)] for name, value in facts.items() if value]))


def _read_head(path: Path) -> dict[str, Any]:
    from ffm_core.runs.anchor import read_head

    return read_head(path)


def _anchored(ledger: Ledger, events: Sequence[Event], signed: Mapping[str, Any]) -> str:
    """Return how the ledger breaks what a head was signed for; warn of a foreign key."""
    from ffm_core.runs.anchor import broken_promise, public_key

    if (own := public_key(ledger.path.parent)) != signed["public_key"]:
        note(f"the head was signed with key {signed['public_key'][:16]}, and the one of this "
             f"FFM_HOME is {own[:16] or 'absent'}: make sure that it is its author's")  # fmt: skip
    return broken_promise(events, signed)


def _head_line(signed: Mapping[str, Any]) -> str:
    return (f"ok      head: the {counted(signed['rows'], 'row')} up to {signed['time']} are those "
            f"signed with key {signed['public_key'][:16]}")  # fmt: skip


def _show_verification(checked: list[RunReport], report: LedgerReport, path: Path) -> None:
    for item in checked:
        state = "BROKEN" if not item.ok else "unknown" if item.held == "nothing" else "ok"
        say(f"{state:<7} {item.run_id}")
        if item.held == "result":
            say("        its result only: the ledger has no hashes of the files of this older run")
        for problem in item.problems:
            say(f"        {problem}")
    if not report.rows:
        say(f"ok      ledger: none yet at {path}")
    elif report.ok:
        trials = ", ".join(f"{count} {state}" for state, count in report.trials.items() if count)
        say(f"ok      ledger: {report.rows} events since {report.since}; "
            f"trials: {trials or 'none'}; {report.repeats} repeats")  # fmt: skip
        for kind, count in report.newer.items():
            say(f"        {counted(count, 'row')} of kind {kind!r}, of a newer version: kept")
        say(f"        head {report.head}")
    else:
        say(f"BROKEN  ledger: row {report.broken_row}: {report.reason}")


def _show_comparison(found: RunComparison) -> None:
    say(columns([["", *found.runs], ["verdict", *found.decision]]))
    say("results: identical" if found.same_result else "results: different")
    parts = {"settings": found.config, "data": found.data, "code": found.code,
             "registration": found.prereg, "versions": found.versions}  # fmt: skip
    for title, pairs in parts.items():
        if pairs:
            _show_pairs(title, pairs)
    equal = [title for title, pairs in parts.items() if not pairs]
    if equal:
        say()
        say(f"no difference in: {', '.join(equal)}")
    if found.checks:
        say()
        rows = [[name, _text(c["outcome"][0]), _number(c["value"][0]), _text(c["outcome"][1]),
                 _number(c["value"][1])] for name, c in found.checks.items()]  # fmt: skip
        say(columns([["CHECK", "FIRST", "VALUE", "SECOND", "VALUE"], *rows]))
    if found.arms:
        say()
        rows = [[name, _number(a), _number(b)] for name, (a, b) in found.arms.items()]
        say(columns([["MEAN R", "FIRST", "SECOND"], *rows]))


def _show_pairs(title: str, pairs: Mapping[str, Pair]) -> None:
    say()
    say(f"{title}:")
    say(columns([[f"  {name}", _text(a), _text(b)] for name, (a, b) in pairs.items()]))


def _text(value: object) -> str:
    return "—" if value is None else str(value)


def _number(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.4g}"
    return _text(value)
