"""``ffm context``: what an embedding knows, and heads that say it in calibrated numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli._output import columns, emit_json, note, output_options, say, split_names
from ffm_core.cli.eval import pick_options
from ffm_core.errors import ConfigError, UnknownNameError, UsageError

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
    "r of regressions, AUC of classes. * the 95 % interval from resampled trading days is clear "
    "of zero."
)

embedder_option = click.option(
    "--embedder", default=_DEFAULT_EMBEDDER, show_default=True, metavar="NAME",
    help="Whose vectors; 'stats' needs no model.",
)  # fmt: skip
stride_option = click.option(
    "--stride", type=click.IntRange(1), default=8, show_default=True,
    help="Bars between two decision bars.",
)  # fmt: skip
trees_option = click.option(
    "--trees", type=click.IntRange(1), help="Most trees of a head.  [default: 400]"
)
resamples_option = click.option(
    "--resamples", type=click.IntRange(100), default=1000, show_default=True,
    help="Resamples of trading days.",
)  # fmt: skip


@click.group()
def group() -> None:
    """Probe embeddings; train and certify context heads."""


@group.command("probe")
@pick_options(*_DATA)
@embedder_option
@click.option("--random", metavar="NAME", help="Embedder of the same form with random weights.")
@click.option("--targets", callback=lambda c, o, text: text and split_names(c, o, text),
              metavar="A,B", help="Targets to probe.  [default: all seven]")  # fmt: skip
@click.option("--from-test", metavar="DATE", help="First day of the test rows, UTC.  "
              "[default: the last 30 % of every stream]")  # fmt: skip
@stride_option
@trees_option
@click.option("--shuffles", type=click.IntRange(1), default=5, show_default=True,
              help="Draws of shuffled labels.")  # fmt: skip
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
    """Say what an embedding adds to plain features about the next bars.

    Twelve arms fit the same trees to the same rows; scores and their differences come
    with intervals from resampled trading days.

    \b
    Examples:
      ffm context probe --demo --embedder stats
      ffm context probe --data ES=es_5m.csv --tz America/New_York
    """  # noqa: D301 -- click wants the control character itself
    from ffm_core.context.probe import Settings, probe
    from ffm_core.context.rows import HEADS
    from ffm_core.context.tell import probe_record
    from ffm_core.paths import ffm_home

    host, streams = open_data(flags)
    chosen = _targets(targets, HEADS)
    begin = None if from_test is None else utc_day(from_test, "--from-test")
    settings = Settings(
        stride=stride, test_from_us=begin,
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
    say("\n".join(_probe_page(found)))


def _probe_page(found: Any) -> list[str]:
    from ffm_core.context.probe import POOLED
    from ffm_core.context.tell import difference_rows, score_rows, sentences

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
    from ffm_core.host.discovery import suggest

    for name in asked or ():
        if name not in known:
            raise UnknownNameError(
                f"there is no context head {name!r}", fix=suggest(name, known, noun="heads")
            )
    return tuple(asked or known)


def open_data(flags: dict[str, Any]) -> tuple[Host, list[Bars]]:
    """Return the plug-ins and the streams that the flags of a command ask for.

    Raises
    ------
    UsageError
        When there are no data, or too many kinds of them.
    """
    from ffm_core.bars.readers import load_many
    from ffm_core.bars.simulate import demo_market
    from ffm_core.host.loading import open_host

    host = open_host(None, flags["extensions"] or ())
    if flags["demo"] and flags["data"]:
        raise UsageError("--demo and --data exclude each other", fix="leave one of them away")
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
        raise UsageError(f"{flag} {text!r} is no date", fix="write it as 2024-03-31") from error


def utc_day(text: str, flag: str) -> int:
    """Return the start of a date in microseconds UTC."""
    from datetime import date

    found: date = _date(text, flag)
    return (found - date(1970, 1, 1)).days * 86_400_000_000


def embedder_named(host: Host, name: str) -> Embedder:
    """Return an embedder, from a plug-in or from this machine."""
    from ffm_core.embed.catalogue import embedder_of

    try:
        return host.embedder(name).record
    except UnknownNameError:
        return embedder_of(name)  # says more: which command brings it here


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
        raise ConfigError(f"learner {name!r} fits no targets", fix="give it fit_target()")
    return found


@contextmanager
def stages(*, quiet: bool) -> Iterator[Stage]:
    """Show the stages of a command on stderr, unless ``quiet``."""
    from ffm_core.cli.eval import progress_of

    with progress_of(quiet=quiet) as progress:
        yield lambda name, total: progress.stage(name, total).advance
