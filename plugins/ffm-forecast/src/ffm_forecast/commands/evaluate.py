"""``ffm backbone eval``: forecasts on bars nobody tuned for, beside the plainest rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ffm_core.cli.files import reading_options
from ffm_core.cli.output import columns, emit_json, output_options, page, say
from ffm_forecast.commands.forecast import load_bars, watched

if TYPE_CHECKING:
    from ffm_forecast.forecasters import Forecaster
    from ffm_forecast.origins import Origins
    from ffm_forecast.scoring import ForecastScore
    from ffm_forecast.significance import Share

Task: TypeAlias = "tuple[Origins, list[Forecaster]]"
_SURE = 0.05
_HEAD = ("MODEL", "MASE", "QUANTILE", "CRPS", "IN 50 %", "IN 80 %", "DIRECTION", "DM P",
         "DM P QUANTILE")  # fmt: skip


@click.command("eval")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--data",
    "sources",
    multiple=True,
    metavar="[ES=]PATH",
    help="File or folder of bars; repeatable.",
)
@click.option("--demo", is_flag=True, help="Use the simulated market, which cannot be predicted.")
@click.option("--horizon", "horizons", default="20", show_default=True, metavar="N,N",
              help="Bars ahead; several are scored separately.")  # fmt: skip
@click.option("--context", type=int, metavar="N", help="Bars of context.  [default: each model's]")
@click.option(
    "--step", type=click.IntRange(1), help="Bars between origins.  [default: the horizon]"
)
@click.option("--share", type=float, default=0.3, show_default=True,
              help="Share of the bars, at the end, to forecast.")  # fmt: skip
@click.option("--accept-quality", is_flag=True, help="Accept data that the audit rejects.")
@reading_options
@output_options
def command(
    names: Sequence[str],
    sources: Sequence[str],
    demo: bool,
    horizons: str,
    context: int | None,
    step: int | None,
    share: float,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Score forecasts zero-shot, next to controls on the same origins.

    NAME is a backbone or a control. MASE, QUANTILE and CRPS are relative to the last
    value: below 1 is better. DM P is the p-value of the difference in absolute error
    (Diebold-Mariano), DM P QUANTILE that of the difference in quantile loss.

    \b
    Examples:
      ffm backbone eval ffm-bolt-synth --demo
      ffm backbone eval ffm-bolt-synth --data ES=es_5m.parquet --horizon 20,64
    """  # noqa: D301 -- click wants the control character itself
    from ffm_forecast.forecasters import forecaster_of
    from ffm_forecast.origins import rolling_origins, season_of
    from ffm_forecast.scoring import context_of

    wanted = numbers(horizons)
    asked = [forecaster_of(name, season=1) for name in names]
    bars = load_bars(sources, demo, **reading)
    longest = context or max(context_of(item, context) for item in asked)
    tasks: list[Task] = []
    for horizon in wanted:
        for item in bars:
            rivals = with_controls(names, season_of(item))
            looks = [context_of(one, longest) for one in rivals]
            origins = rolling_origins(item, horizon, contexts=looks, step=step, share=share)
            tasks.append((origins, rivals))
    tell(names, tasks, context=longest, as_json=as_json, quiet=quiet)


def tell(
    names: Sequence[str], tasks: Sequence[Task], *, context: int, as_json: bool, quiet: bool
) -> None:
    """Score forecasters on origins, and print what came of it.

    Parameters
    ----------
    names : sequence of str
        What the user asked for; the first forecasters of every task, in this order.
    tasks : sequence of (Origins, list of Forecaster)
        From :func:`with_controls`.
    context : int
        Bars to look at.
    """
    from ffm_forecast.asking import stamp_of
    from ffm_forecast.forecasters import forecaster_of
    from ffm_forecast.scoring import score

    asked = [forecaster_of(name, season=1) for name in names]
    found: list[tuple[Origins, list[ForecastScore]]] = []
    total = sum(len(origins) * len(rivals) for origins, rivals in tasks)
    with watched("forecasts", total, quiet=quiet or as_json) as advance:
        for origins, rivals in tasks:
            found.append((origins, score(rivals, origins, context=context, advance=advance)))
    if as_json:
        emit_json("ffm-backbone-eval/1", _document(asked, found))
        return
    stamps = page(stamp_of(item) for item in asked)
    tables = (_table(origins, scores, names) for origins, scores in found)
    say(page([stamps, *tables], gap="\n\n"))


def numbers(text: str) -> list[int]:
    """Read whole numbers with commas between them."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"--horizon {text!r}: write 20 or 20,64") from error


def with_controls(names: Sequence[str], season: int | None) -> list[Forecaster]:
    """Return what was asked for, then the controls that were not."""
    from ffm_forecast.forecasters import CONTROLS, forecaster_of

    controls = [name for name in CONTROLS if season or name != "seasonal_naive"]
    rest = [name for name in controls if name not in names]
    return [forecaster_of(name, season=season) for name in (*names, *rest)]


def _document(
    asked: Sequence[Forecaster], found: Sequence[tuple[Origins, Sequence[ForecastScore]]]
) -> dict[str, Any]:
    from dataclasses import asdict

    models = [
        {"name": item.name, "version": item.version, "weights_sha256": item.weights_sha256,
         "fit_cutoff": item.fit_cutoff, "released": item.released, "kind": item.kind}
        for item in asked
    ]  # fmt: skip
    streams = [
        {"stream": origins.name, "space": origins.space, "horizon": origins.horizon,
         "step": origins.step, "n_windows": len(origins), "dropped": origins.dropped}
        for origins, _ in found
    ]  # fmt: skip
    scores = [asdict(item) for _, scores in found for item in scores]
    return {"models": models, "streams": streams, "scores": scores}


def _table(origins: Origins, scores: Sequence[ForecastScore], names: Sequence[str]) -> str:
    rows: list[tuple[str, ...]] = [_HEAD]
    rows += [_row(item) for item in scores]
    head = f"{origins.name}, {origins.horizon} ahead, {len(origins)} origins"
    lines = [head, columns(rows)]
    if scores[0].low_power:
        lines.append("too few origins to say much: 200 with non-overlapping targets are needed")
    if origins.dropped:
        left = ", ".join(f"{reason} {count}" for reason, count in origins.dropped.items())
        lines.append(f"left out: {left}")
    asked = scores[: len(names)]
    lines += [_words(item) for item in asked if item.forecaster != "naive_last"]
    lines += [
        f"{item.forecaster}: {item.possibly_seen} origins are within data it may have seen"
        for item in asked
        if item.possibly_seen
    ]
    return page(lines)


def _row(item: ForecastScore) -> tuple[str, ...]:
    return (
        item.forecaster,
        *(f"{ratio:.3f}" for ratio in (item.mase, item.quantile_ratio, item.crps_ratio)),
        *(f"{100 * inside.share:.0f} %" for inside in (item.coverage_50, item.coverage_80)),
        _direction(item.direction),
        *(_p(test.p_value) for test in (item.dm, item.dm_quantile)),
    )


def _words(item: ForecastScore) -> str:
    """Say in words where a model wins and where it loses against the last value."""

    def said(ratio: float, p: float) -> str:
        if not p < _SURE:
            return "no different from the last value"
        return "better than the last value" if ratio < 1.0 else "WORSE than the last value"

    point = said(item.mase, item.dm.p_value)
    spread = said(item.quantile_ratio, item.dm_quantile.p_value)
    text = f"{item.forecaster}: median {point}, quantiles {spread}"
    found = item.risk
    if found is None:
        return text
    return (
        f"{text}; losses beyond its {100 * found.level:g} % VaR {found.exceptions / found.n:.1%} "
        f"(Kupiec p {_p(found.kupiec.p_value)})"
    )


def _direction(share: Share) -> str:
    if share.n == 0:
        return "–"
    half = 100 * (share.high - share.share)
    return f"{100 * share.share:.0f} ± {half:.0f} %"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
