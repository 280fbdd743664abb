"""``ffm context``: what an embedding knows, and heads that say it in calibrated numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.eval import pick_options
from ffm_core.cli.output import (
    columns,
    emit_json,
    note,
    output_options,
    page,
    progress_of,
    say,
    split_names,
)
from ffm_core.errors import ConfigError, OutputError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars
    from ffm_core.host.loading import Host
    from ffm_core.records import Embedder, TargetLearner

    Stage = Callable[[str, int], Callable[[int], None]]

_DATA = ("--data", "--demo", "--with", "--seed", "--from", "--to", "--tz", "--stamps", "--policy",
         "--instruments", "--accept-quality", "--jobs")  # fmt: skip
_DEFAULT_EMBEDDER = "ffm-bolt-synth"
_LEARNER = "xgb"
_LEGEND = (
    "r for regressions, AUC for classes. *: the 95 % interval from resampled trading days "
    "excludes zero."
)

embedder_option = click.option(
    "--embedder", default=_DEFAULT_EMBEDDER, show_default=True, metavar="NAME",
    help="Embedder to use; 'stats' needs no model.",
)  # fmt: skip
stride_option = click.option(
    "--stride", type=click.IntRange(1), default=8, show_default=True,
    help="Bars between decision bars.",
)  # fmt: skip
trees_option = click.option(
    "--trees", type=click.IntRange(1), help="Maximum number of trees per head.  [default: 400]"
)
resamples_option = click.option(
    "--resamples", type=click.IntRange(100), default=1000, show_default=True,
    help="Number of resamples of trading days.",
)  # fmt: skip


@click.group()
def group() -> None:
    """Probe embeddings; train and certify context heads."""


@group.command("probe")
@pick_options(*_DATA)
@embedder_option
@click.option("--random", metavar="NAME", help="Embedder of the same shape with random weights.")
@click.option("--targets", callback=lambda c, o, text: text and split_names(c, o, text),
              metavar="A,B", help="Targets to probe.  [default: all seven]")  # fmt: skip
@click.option("--from-test", metavar="DATE", help="First date to test on, UTC.  "
              "[default: the last 30 % of every stream]")  # fmt: skip
@stride_option
@trees_option
@click.option("--shuffles", type=click.IntRange(1), default=5, show_default=True,
              help="Number of draws of shuffled labels.")  # fmt: skip
@resamples_option
@output_options
def probe_command(
    embedder: str,
    random: str | None,
    targets: tuple[str, ...] | None,
    from_test: str | None,
    stride: int,
    trees: int | None,
    shuffles: int,
    resamples: int,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Measure what an embedding adds to plain features about the next bars.

    Every arm fits the same trees to the same rows; scores and their differences come
    with intervals from resampled trading days.

    \b
    Examples:
      ffm context probe --demo --embedder stats
      ffm context probe --data ES=es_5m.csv --tz America/New_York
    """  # noqa: D301 -- click wants the control character itself
    from ffm_core.context.probe import probe
    from ffm_core.context.probe_report import probe_record
    from ffm_core.context.rows import HEADS
    from ffm_core.context.settings import ContextSettings
    from ffm_core.paths import ffm_home

    host, streams = open_data(flags, *(name for name in (embedder, random) if name))
    chosen = _targets(targets, HEADS)
    begin = None if from_test is None else utc_day(from_test, "--from-test")
    settings = ContextSettings(
        stride=stride, from_us=begin,
        resamples=resamples, seed=flags["seed"] or 0, rounds=trees, shuffles=shuffles,
        targets=chosen, jobs=flags["jobs"] or os.cpu_count() or 1,
    )  # fmt: skip
    with stages(quiet=quiet or as_json) as stage:
        found = probe(
            streams, embedder_named(host, embedder), learner_of(host), settings=settings,
            random=None if random is None else embedder_named(host, random), home=ffm_home(),
            stage=stage,
        )  # fmt: skip
    if as_json:
        emit_json("ffm-context-probe/1", probe_record(found))
        return
    say(page(_probe_page(found)))


def _probe_page(found: Any) -> list[str]:
    from ffm_core.context.probe import POOLED
    from ffm_core.context.probe_report import difference_rows, score_rows, sentences

    lines = [f"{found.embedder} on {', '.join(found.streams)}; test rows from {found.test_from}"]
    lines += [f"warning: {text}" for text in found.warnings]
    for scope in dict.fromkeys(result.scope for result in found.results):
        name = "all streams" if scope == POOLED and len(found.streams) > 1 else scope
        lines += ["", name if scope != POOLED or len(found.streams) > 1 else found.streams[0]]
        lines += [columns(score_rows(found, scope)), "", columns(difference_rows(found, scope))]
    lines += ["", *sentences(found)]
    lines += [f"{name} was skipped: {why}" for name, why in found.skipped.items()]
    if found.left_out:
        parts = (f"{count:,} {why}" for why, count in found.left_out.items())
        lines.append(f"left out: {', '.join(parts)}")
    return [*lines, "", _LEGEND]


def _targets(asked: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    from ffm_core.wording import suggest

    for name in asked or ():
        if name not in known:
            raise UnknownNameError(
                f"there is no context head {name!r}", fix=suggest(name, known, noun="heads")
            )
    return tuple(asked or known)


def open_data(flags: dict[str, Any], *embedders: str) -> tuple[Host, list[Bars]]:
    """Return the plug-ins and the streams that the flags of a command ask for.

    Naming an embedder switches on the installed package that brings it.

    Raises
    ------
    UsageError
        When there are no data, or too many kinds of them.
    """
    from ffm_core.bars.readers import load_many
    from ffm_core.bars.simulate import demo_market
    from ffm_core.host.loading import open_host

    naming = [(name, ("ffm_embedders",)) for name in embedders]
    host = open_host(None, flags["extensions"] or (), naming=naming)
    if flags["demo"] and flags["data"]:
        raise UsageError("--demo and --data cannot be combined", fix="drop one")
    if flags["demo"]:
        return host, list(demo_market(flags["seed"] or 0))
    if not flags["data"]:
        raise UsageError(
            "no data given", fix="use --data PATH (for example --data ES=es_5m.csv), or --demo"
        )
    loaded = load_many(
        flags["data"],
        tz=flags["tz"],
        stamps=flags["stamps"] or "start",
        policy=flags["policy"] or "error",
        accept_quality=bool(flags["accept_quality"]),
        date_from=_date(flags["date_from"], "--from"),
        date_to=_date(flags["date_to"], "--to"),
        instruments=flags["instruments"],
    )
    for item in loaded:
        if item.audit.level != "info":
            finding = next(f for f in item.audit.findings if f.level == item.audit.level)
            note(f"data {item.bars.stream}: {item.audit.level}: {finding.message}")
    return host, sorted((item.bars for item in loaded), key=lambda bars: bars.stream)


def _date(text: str | None, flag: str) -> Any:
    from datetime import date

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{flag} {text!r} is not a date", fix="write it like 2024-03-31"
        ) from error


def utc_day(text: str, flag: str) -> int:
    """Return the start of a date in microseconds UTC."""
    from datetime import date

    found: date = _date(text, flag)
    return (found - date(1970, 1, 1)).days * 86_400_000_000


def embedder_named(host: Host, name: str) -> Embedder:
    """Return an embedder, ours or a plug-in's."""
    from ffm_core.embed.blocks import find_embedder, known_names
    from ffm_core.records import Embedder
    from ffm_core.wording import suggest

    try:
        found = find_embedder(name, host)
    except UnknownNameError as error:
        fix = suggest(name, known_names(host), noun="embedders")
        raise UnknownNameError(f"there is no embedder named {name!r}", fix=fix) from error
    return found if isinstance(found, Embedder) else found.record


def learner_of(host: Host, name: str = _LEARNER) -> TargetLearner:
    """Return the learner that fits heads.

    Raises
    ------
    ConfigError
        When it fits no targets.
    UnavailableError
        When its library is not installed.
    """
    from ffm_core.records import TargetLearner

    found = host.learner(name).record
    if not isinstance(found, TargetLearner):
        raise ConfigError(f"learner {name!r} cannot fit targets", fix="add fit_target() to it")
    return found


@contextmanager
def stages(*, quiet: bool) -> Iterator[Stage]:
    """Show the stages of a command on stderr, unless ``quiet``."""
    with progress_of(quiet=quiet) as progress:
        yield lambda name, total: progress.stage(name, total).advance


@group.command("train")
@pick_options(*_DATA)
@embedder_option
@click.option("--name", default="ctx7", show_default=True, help="Name of the heads.")
@click.option("--keep", type=click.FloatRange(0.0, 0.9), default=0.3, show_default=True,
              help="Newest share of every stream to leave untouched, for 'certify'.")  # fmt: skip
@click.option("--until", metavar="DATE", help="Last date to use, UTC, instead of --keep.")
@click.option("--features", default="ffm68", show_default=True, callback=split_names,
              metavar="A,B", help="Feature sets beside the embedding.")  # fmt: skip
@stride_option
@trees_option
@click.option("--force", is_flag=True, help="Replace existing heads of that name.")
@output_options
def train_command(
    embedder: str,
    name: str,
    keep: float,
    until: str | None,
    features: tuple[str, ...],
    stride: int,
    trees: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Fit context heads and store them under FFM_HOME.

    They can then be used as a feature set of that name ('--features ffm68,ctx7') on bars
    after the newest one they were fitted to. An interrupted run resumes where it stopped.

    \b
    Examples:
      ffm context train --demo --embedder stats
      ffm context train --data ES=es_5m.csv --until 2025-01-01
    """  # noqa: D301 -- click wants the control character itself
    from ffm_core.context.heads import save
    from ffm_core.context.serving import bundle_folder
    from ffm_core.context.settings import ContextSettings
    from ffm_core.context.training import fit
    from ffm_core.paths import ffm_home, kind_of
    from ffm_core.runs.atomic import require_writable

    folder = bundle_folder(name)
    if kind_of(folder) and not force:
        raise OutputError(
            f"context heads named {name!r} already exist",
            fix="use --force to replace them, or another --name",
        )
    require_writable(folder.parent, moved_by="FFM_HOME")
    host, streams = open_data(flags, embedder)
    settings = ContextSettings(
        stride=stride, keep=keep, features=features, rounds=trees, seed=flags["seed"] or 0,
        until_us=None if until is None else utc_day(until, "--until"),
    )  # fmt: skip
    with stages(quiet=quiet or as_json) as stage:
        found = fit(
            streams, embedder_named(host, embedder), learner_of(host), settings=settings,
            home=ffm_home(), stage=stage,
        )  # fmt: skip
    version = save(folder, name, found.about, found.heads, replace=force)
    if as_json:
        emit_json("ffm-context-train/1", {
            "name": name, "version": version, "folder": folder, "about": found.about.record(),
            "heads": [head.record() for head in found.heads], "skipped": found.skipped,
        })  # fmt: skip
        return
    say(page(_train_page(name, version, found)))


def _train_page(name: str, version: str, found: Any) -> list[str]:
    about = found.about
    made_of = " and ".join((about.embedder, *about.sets))
    lines = [
        f"{name} {version[:12]}: {made_of} on {', '.join(about.facts['streams'])}",
        f"fitted up to {about.facts['cutoff']}; valid for later bars only",
    ]
    rows = [("HEAD", "TRAIN", "VALIDATION", "CALIBRATION", "SCORE", "MAP", "")]
    for head in found.heads:
        facts = head.facts
        sizes = (f"{facts[key]:,}" for key in ("n_train", "n_validation", "n_calibration"))
        gate = "weak" if head.weak else "passed its gate"
        rows.append(
            (head.name, *sizes, f"{facts['measure']} {head.score:.3f}", head.map.kind, gate)
        )
    lines += ["", columns(rows)]
    lines += [f"{head} was left out: {why}" for head, why in found.skipped.items()]
    left = ", ".join(f"{count} of {one}" for one, count in about.facts["left_out"].items() if count)
    if left:
        lines += ["", f"columns that need more than a day of history were left out: {left}"]
    return [*lines, "", f"next: ffm context certify --name {name}, on bars after that date"]


@group.command("certify")
@pick_options(*_DATA)
@click.option("--name", default="ctx7", show_default=True, help="Name of the heads.")
@click.option("--from-test", metavar="DATE",
              help="First date to test on, UTC.  [default: after the cut-off]")  # fmt: skip
@stride_option
@resamples_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Write an HTML page with plots.")  # fmt: skip
@output_options
def certify_command(
    name: str,
    from_test: str | None,
    stride: int,
    resamples: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Test whether context heads are calibrated, on bars they have never seen.

    \b
    Example:
      ffm context certify --data ES=es_5m.csv
    """  # noqa: D301 -- click wants the control character itself
    from ffm_core.context.certify import certificate_lines, certify
    from ffm_core.context.heads import read_manifest
    from ffm_core.context.serving import ContextHeads, folder_of
    from ffm_core.context.settings import ContextSettings
    from ffm_core.paths import ffm_home
    from ffm_core.runs.atomic import atomic_write

    wanted = read_manifest(folder_of(name)).about.embedder  # absent heads say so before data
    host, streams = open_data(flags, wanted)
    settings = ContextSettings(
        stride=stride, resamples=resamples, seed=flags["seed"] or 0,
        from_us=None if from_test is None else utc_day(from_test, "--from-test"),
    )  # fmt: skip
    heads = ContextHeads.named(name, host)
    with stages(quiet=quiet or as_json) as stage:
        found = certify(heads, streams, settings=settings, home=ffm_home(), stage=stage)
    if out is not None:
        from ffm_core.report.context import page as report

        atomic_write(out, report(found.record()).encode())
    if as_json:
        emit_json("ffm-context-certificate/1", found.record())
        return
    span = f"{found.start} to {found.end}; fitted up to {found.cutoff}"
    head = f"{found.name} {found.version[:12]} on {', '.join(found.streams)}, {span}"
    lines = [head, *(f"warning: {text}" for text in found.warnings)]
    lines += ["", columns(certificate_lines(found))]
    if out is not None:
        lines += ["", f"plots: {out}"]
    say(page(lines))
