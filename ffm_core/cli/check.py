"""``ffm check``: the falsifier alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli._complete import complete_subjects
from ffm_core.cli.eval import (
    config_of,
    names_hidden,
    pick_options,
    stamp_embedders,
    warn_of_quality,
)
from ffm_core.cli.output import (
    columns,
    emit_json,
    failure_lines,
    note,
    output_options,
    page,
    progress_of,
    reveal_option,
    say,
)
from ffm_core.errors import EXIT_CODES, UsageError
from ffm_core.shown import is_revealed

if TYPE_CHECKING:
    from ffm_core.evaluate.check import Checked

_OPTIONS = ("--data", "--demo", "--input", "--features", "--exit", "--set", "--with", "--seed",
            "--from", "--to", "--tz", "--stamps", "--policy", "--instruments",
            "--jobs")  # fmt: skip
_OF_STRATEGIES = {"--features": "features", "--exit": "exit_name", "--set": "settings"}


@click.command("check")
@click.argument("strategy", metavar="NAME|FILE.py[:FUNCTION]", shell_complete=complete_subjects)
@pick_options(*_OPTIONS)
@reveal_option
@output_options
def command(strategy: str, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Check a strategy with its features and exit, or a function, for look-ahead.

    Without --data it runs on the simulated market. Feature sets that come with the
    strategy are checked too; --features adds others, and embedders. The exit code is 6
    when something reads the future, is not reproducible, or opens files or the network,
    and 5 when too few rows could be proven.

    FILE.py:FUNCTION is any function that takes a pandas or polars frame of bars and returns
    a column; its file need be no plug-in.

    \b
    Examples:
      ffm check supertrend
      ffm check ./idea.py --data ES=es_5m.csv --tz America/New_York
      ffm check ./features.py:slope --data ES=es_5m.csv --tz America/New_York
    """  # noqa: D301 -- click wants the control character itself
    flags["data"] = flags["data"] or None
    flags["demo"] = flags["demo"] or (not flags["data"] or None)
    from ffm_core.host.loading import load_function

    function = load_function(strategy)
    checked = _strategy if function is None else partial(_function, function)
    found, name, hidden = checked(strategy, flags, quiet=quiet, as_json=as_json)
    if as_json:
        emit_json("ffm-check/2", {"strategy": name, "streams": _rows(found)})
    else:
        say(page(_page(found)))
        if hidden:
            note("names of a private package are hidden in files; --reveal shows them here")
    said = {item.certificate.word for item in found}
    unproven = EXIT_CODES["INCONCLUSIVE"] if "unproven" in said else 0
    sys.exit(EXIT_CODES["REFUSED"] if "broken" in said else unproven)


def _strategy(
    strategy: str, flags: dict[str, Any], *, quiet: bool, as_json: bool
) -> tuple[Sequence[Checked], str, bool]:
    """Check a strategy; return what was found, its name, and whether names are hidden."""
    from ffm_core.evaluate import job_of
    from ffm_core.evaluate.check import check, redacted
    from ffm_core.paths import ffm_home

    asked = (flags["features"] or "ffm68").split(",")
    own = _own_sets(strategy, flags["extensions"])
    flags["features"] = ",".join([*asked, *(name for name in own if name not in asked)])
    config = config_of(strategy, None, {**flags, "learner": "none", "accept_quality": True})
    with redirect_stdout(sys.stderr):  # what plug-ins print is no result
        job = job_of(config, ffm_home())
        warn_of_quality(job)
        stamp_embedders(job, quiet=quiet)
        with names_hidden(job), progress_of(quiet=quiet or as_json) as progress:
            found = check(job, progress)
    shown = found if is_revealed() else redacted(job, found)
    return shown, job.strategy["name"], job.redact is not None


def _function(
    function: Callable[..., object],
    strategy: str,
    flags: dict[str, Any],
    *,
    quiet: bool,
    as_json: bool,
) -> tuple[Sequence[Checked], str, bool]:
    """Check a function of a frame."""
    from ffm_core.evaluate.check import check_function
    from ffm_core.evaluate.job import load_bars

    odd = [flag for flag, name in _OF_STRATEGIES.items() if flags.get(name)]
    if odd:
        raise UsageError(
            f"{', '.join(odd)} {'belong' if len(odd) > 1 else 'belongs'} to strategies; "
            f"{strategy} is a function of a frame",
            fix="leave it out",
        )
    config = config_of(strategy, None, {**flags, "learner": "none", "accept_quality": True})
    with redirect_stdout(sys.stderr):
        bars = [loaded.bars for loaded in load_bars(config)]
        with progress_of(quiet=quiet or as_json) as progress:
            found = check_function(function, bars, config.seed, progress)
    return found, strategy.rpartition(":")[2], False


def _own_sets(strategy: str, extensions: Sequence[str]) -> list[str]:
    """Return the feature sets that come with the strategy or an extension."""
    from ffm_core.host.loading import open_host

    host = open_host(strategy, extensions)
    return [offer.record.name for offer in host.feature_sets() if not host.is_core(offer.origin)]


def _rows(found: Sequence[Checked]) -> list[dict[str, Any]]:
    from ffm_core.report.failures import words_of

    return [
        {
            "stream": item.stream,
            "bars": item.bars,
            "decisions": item.decisions,
            "certificate": asdict(item.certificate),
            "words": [words_of(asdict(failure)) for failure in item.certificate.failures],
        }
        for item in found
    ]


def _page(found: Sequence[Checked]) -> list[str]:
    from ffm_core.report.reasons import sentence, subject

    lines = []
    for item in found:
        certificate = item.certificate
        decided = f", {item.decisions} decisions" if item.decisions else ""
        head = f"{item.stream}: {item.bars} bars{decided}"
        lines.append(f"{head}: {certificate.word}")
        rows = [
            ("  subjects", ", ".join(subject(replace(s, stream="")) for s in certificate.subjects)),
            ("  tried", certificate.sentence),
        ]
        if certificate.carries:
            rows.append(("  carries", "; ".join(map(sentence, certificate.carries))))
        lines.append(columns(rows))
        for failure in certificate.failures:
            lines += ["", *failure_lines(failure)]
        lines.append("")
    return lines[:-1]
