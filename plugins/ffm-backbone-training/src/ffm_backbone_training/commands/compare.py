"""``ffm backbone ab``: two of them on the same decisions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.eval import (
    config_of,
    names_hidden,
    pick_options,
    store_run,
    warn_of_quality,
)
from ffm_core.cli.output import columns, emit_json, note, output_options, page, progress_of, say
from ffm_core.errors import EXIT_CODES

if TYPE_CHECKING:
    from ffm_backbone_training.comparison import Arm, Comparison
    from ffm_core.ruler.bootstrap import Estimate


@click.command("ab")
@click.argument("strategy", metavar="NAME|FILE.py")
@click.option("--a", "first", required=True, metavar="NAME", help="The backbone in use.")
@click.option("--b", "second", required=True, metavar="NAME", help="The one that may be better.")
@click.option(
    "--alone", is_flag=True, help="Give the model the backbone's columns and no other block."
)
@click.option(
    "--effect", type=float, default=0.10, show_default=True,
    help="Smallest difference in R a trade that matters.",
)  # fmt: skip
@pick_options()
@output_options
def command(
    strategy: str, first: str, second: str, alone: bool, effect: float, file: Path | None,
    dry_run: bool, **flags: Any,
) -> None:  # fmt: skip
    """Compare two backbones on the decisions of a strategy.

    Both arms are evaluations of their own, on the same decisions, folds and seeds, and
    both count as trials. --features names the blocks that both have beside their
    backbone. The answer is adds value, hurts, no material difference, or inconclusive
    (exit code 5).

    \b
    Example:
      ffm backbone ab supertrend --a ffm-bolt-synth --b mine --data ES=es_5m.csv
    """  # noqa: D301 -- click wants the control character itself
    from ffm_backbone_training.comparison import compare, jobs_of, promise_of
    from ffm_core.errors import UsageError
    from ffm_core.paths import ffm_home
    from ffm_core.runs.atomic import require_writable

    if dry_run:
        raise UsageError("--dry-run does not compare", fix="use 'ffm eval … --dry-run'")
    as_json, quiet = bool(flags.pop("as_json")), bool(flags.pop("quiet"))
    config = config_of(strategy, file, flags)
    config = config.model_copy(update={"features": ()}) if alone else config
    promise = promise_of(config, first, second, effect)
    require_writable(config.out, moved_by="--out")
    require_writable(ffm_home(), moved_by="FFM_HOME")
    with redirect_stdout(sys.stderr):  # what plug-ins print is no result
        jobs = jobs_of(config, first, second, ffm_home())
        warn_of_quality(jobs[0])
        note(f"promised before any result: {promise['minimum_effect_r']:g} R, "
             f"{promise['hash'][:12]}")  # fmt: skip
        with names_hidden(jobs[0]), progress_of(quiet=quiet or as_json) as progress:
            found, evaluations = compare(jobs, promise, progress)
    folders = [store_run(job, one) for job, one in zip(jobs, evaluations, strict=True)]
    if as_json:
        runs = [str(folder) for folder in folders]
        emit_json("ffm-backbone-ab/1", {"comparison": found.record(), "runs": runs})
    else:
        say(_page(found, folders))
    sys.exit(EXIT_CODES["INCONCLUSIVE"] if found.judgement == "inconclusive" else 0)


def _page(found: Comparison, folders: Sequence[Path]) -> str:
    rows = [("", "TRADES", "REAL", "SHUFFLE", "VERDICT", "RUN")]
    for letter, arm, folder in zip("AB", (found.a, found.b), folders, strict=True):
        rows.append((f"{letter}  {arm.name}{_seen(arm)}", f"{arm.n_trades:,}", f"{arm.real:+.3f} R",
                     f"{arm.shuffle:+.3f} R", arm.decision, str(folder)))  # fmt: skip
    basis = (
        f"{found.n_decisions:,} test decisions on {found.n_days:,} days, the same in both arms; "
        "days resampled in blocks, both arms together. Two trials counted."
    )
    return page([
        found.judgement.upper(),
        f"{found.reason}.",
        "",
        columns(rows),
        "",
        columns([("B − A, REAL", _words(found.real)),
                 ("B − A, REAL − SHUFFLE", _words(found.edge))]),
        "",
        basis,
    ])  # fmt: skip


def _seen(arm: Arm) -> str:
    return " (may have seen the test months)" if arm.overlaps else ""


def _words(found: Estimate) -> str:
    from math import isfinite

    if not isfinite(found.low):
        return f"{found.value:+.3f} R (no interval: too few days or draws)"
    return f"{found.value:+.3f} R (95 % interval {found.low:+.3f} to {found.high:+.3f})"
