"""``ffm ruler``: check that the verdict tells the truth where the truth is known."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.output import columns, console, emit_json, output_options, page, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ffm_core.testing.worlds import WorldKind
    from ffm_core.testing.worlds_run import WorldTask

SCHEMA = "ffm-ruler-validate/1"
_DEFAULT_LEARNER = "xgb"
_DEFAULT_FEATURES = "ffm68"
_DEFAULT_TRAIN_MONTHS = 3
_KINDS = ("planted", "null", "trigger", "rare", "dependent")
_KIND_HELP = (
    "An edge on half of the decisions (planted), on all (trigger) or on none: null, rare (few, "
    "large wins) and dependent (days that hang together)."
)
_EDGE_HELP = "Mean net R where there is an edge [0.6; trigger 0.3]."


@click.group()
def group() -> None:
    """Validate the verdict on simulated worlds."""


@group.command("validate")
@click.option(
    "--world",
    "kind",
    type=click.Choice(_KINDS),
    required=True,
    help=_KIND_HELP,
)
@click.option("--seeds", default="0-19", show_default=True, help="Worlds, as 0-19 or 0-4,10-14.")
@click.option("--edge", type=float, help=_EDGE_HELP)
@click.option(
    "--learner",
    default=_DEFAULT_LEARNER,
    show_default=True,
    help="A learner's name, none for the trigger claim, or both.",
)
@click.option("--head", help="Signal head of the learner, such as xgb, linear or blend.")
@click.option("--features", metavar="A,B", default=_DEFAULT_FEATURES, show_default=True,
              help="Feature sets and embedders.")  # fmt: skip
@click.option("--train-months", type=click.IntRange(1, 120), default=_DEFAULT_TRAIN_MONTHS,
              show_default=True, help="Months that every fold trains on.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 4096), default=1, show_default=True,
              help="Worlds to judge in parallel.")  # fmt: skip
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("ffm-runs/worlds"),
    show_default=True,
    help="Folder of finished worlds; running it again skips them.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Write counts and every world's verdict as JSON.")  # fmt: skip
@output_options
def validate_command(
    kind: WorldKind,
    seeds: str,
    edge: float | None,
    learner: str,
    head: str | None,
    features: str,
    train_months: int,
    jobs: int,
    results: Path,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge simulated worlds whose truth is known, and count the verdicts.

    Each world has two simulated instruments over 30 months and is judged like any other
    data, with its own ledger. It can be interrupted: finished worlds are kept and skipped
    next time, as long as the code has not changed.
    """
    from ffm_core.testing.worlds_run import parse_seeds, tally

    learners = (_DEFAULT_LEARNER, "none") if learner == "both" else (learner,)
    blocks = tuple(name.strip() for name in features.split(","))
    tasks = _tasks(
        kind, parse_seeds(seeds), edge, learners, results,
        head=head, features=blocks, train_months=train_months,
    )  # fmt: skip
    answers = _judge(tasks, jobs, quiet=quiet)
    rows = tally(answers)
    asked = {"world": kind, "edge": edge, "seeds": seeds, "features": list(blocks)}
    payload = {**asked, "train_months": train_months, "rows": rows, "worlds": answers}
    if out is not None:
        _store(out, payload)
    if as_json:
        emit_json(SCHEMA, payload)
    else:
        title = f"world {kind}" + (f", edge {edge:+.2f} R" if edge is not None else "")
        say(_page(f"{title}, features {','.join(blocks)}, trained on {train_months} months", rows))


@group.command("world")
@click.option("--world", "kind", type=click.Choice(_KINDS), required=True, help=_KIND_HELP)
@click.option("--seed", type=int, default=0, show_default=True, help="Which one.")
@click.option("--edge", type=float, help=_EDGE_HELP)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for one Parquet file per instrument.",
)
@output_options
def world_command(
    kind: WorldKind, seed: int, edge: float | None, out: Path, as_json: bool, quiet: bool
) -> None:
    """Write the bars of one world, to be judged with 'ffm eval FILE.py --data'.

    A strategy file trades them with
    'from ffm_core.testing.worlds_labeler import LABELER', those of a rare world with
    RARE_LABELER.
    """
    from ffm_core.testing.worlds import make_world, save_world

    paths = save_world(make_world(kind, seed, edge), out)
    if as_json:
        emit_json("ffm-ruler-world/1", {"world": kind, "seed": seed, "files": paths})
    else:
        say(page(str(path) for path in paths))


def _tasks(
    kind: WorldKind,
    seeds: Sequence[int],
    edge: float | None,
    learners: Sequence[str],
    folder: Path,
    *,
    head: str | None,
    features: tuple[str, ...],
    train_months: int,
) -> list[WorldTask]:
    from ffm_core.testing.worlds import checked_edge
    from ffm_core.testing.worlds_run import WorldTask

    for seed in (seeds[0], seeds[-1]):
        checked_edge(kind, seed, edge)
    return [
        WorldTask(
            kind=kind,
            seed=seed,
            edge=edge,
            learner=name,
            head=None if name == "none" else head,
            features=features,
            train_months=train_months,
            folder=folder.resolve(),
        )
        for seed in seeds
        for name in learners
    ]


def _judge(tasks: Sequence[WorldTask], jobs: int, *, quiet: bool) -> list[dict[str, Any]]:
    from ffm_core.testing.worlds_run import code_version, finished, judge_all

    code = code_version()
    known = sum(finished(task, code) is not None for task in tasks)
    answers = []
    with _progress(len(tasks), known, quiet=quiet) as heard:
        for answer in judge_all(tasks, jobs=jobs, code=code):
            answers.append(answer)
            heard(answer)
    return sorted(answers, key=lambda a: (a["learner"], a["seed"]))


@contextmanager
def _progress(
    total: int, known: int, *, quiet: bool
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show worlds done, the rate and the verdicts so far on stderr.

    The first ``known`` answers come from an earlier run and do not count for the rate.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (
        TextColumn("worlds"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[said]}"),
    )
    said: Counter[str] = Counter()
    began = time.monotonic()
    with Progress(*parts, console=console(quiet=quiet), refresh_per_second=2) as bars:
        task = bars.add_task("worlds", total=total, rate="", said="")

        def heard(answer: Mapping[str, Any]) -> None:
            said[answer["decision"]] += 1
            fresh = said.total() - known
            words = " ".join(f"{name} {count}" for name, count in sorted(said.items()))
            bars.update(task, advance=1, said=words)
            if fresh > 0:
                bars.update(task, rate=_rate(time.monotonic() - began, fresh, total - known))

        yield heard


def _rate(seconds: float, done: int, wanted: int) -> str:
    left = seconds / done * (wanted - done)
    return f"{seconds / done:.0f} s each, {left / 60:.0f} min left"


def _page(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    from ffm_core.testing.worlds_run import DECISIONS

    table = [("LEARNER", "WORLDS", *DECISIONS, "REAL", "NAIVE", "PASSED", "95 % INTERVAL")]
    for row in rows:
        low, high = row["pass_interval"]
        name = row["learner"] + (f" ({row['head']})" if row["head"] else "")
        counts = tuple(str(row["counts"][decision]) for decision in DECISIONS)
        means = (_signed(row["mean_r"]["REAL"]), _signed(row["mean_r"]["NAIVE"]))
        share = f"{row['pass_share']:.1%}"
        table.append((name, str(row["n"]), *counts, *means, share, f"{low:.1%} to {high:.1%}"))
    parts = [title, columns(table)]
    for row in rows:
        parts.extend(_why(row))
    return page(parts)


def _why(row: Mapping[str, Any]) -> list[str]:
    lines = []
    if row["stopped_by"]:
        stops = ", ".join(f"{name} {count}" for name, count in row["stopped_by"].items())
        lines += ["", f"{row['learner']}: checks that did not pass: {stops}"]
    if row["headlines"]:
        lines += ["", f"{row['learner']}: the headline of each verdict"]
        lines += [f"  {count:>4} x {text}" for text, count in row["headlines"].items()]
    return lines


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f} R"


def _store(path: Path, payload: Mapping[str, Any]) -> None:
    from ffm_core.runs.atomic import atomic_write
    from ffm_core.runs.canonical import canonical_json

    atomic_write(path, canonical_json({"schema": SCHEMA, **payload}) + b"\n")
