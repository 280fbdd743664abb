"""``ffm forecast``: what may come after a bar, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ffm_core.cli.files import column_pairs, reading_options
from ffm_core.cli.output import columns, emit_json, note, output_options, page, progress_of, say

if TYPE_CHECKING:
    from ffm_core.bars import Bars
    from ffm_forecast.asking import Answer

DEFAULT = "ffm-bolt-synth"
_HORIZON = 20
_SHOWN = (0.1, 0.25, 0.5, 0.75, 0.9)
_STEPS = (1, 2, 3, 5, 10, 20, 30, 40, 50, 64, 100, 200)


@click.command("forecast")
@click.option(
    "--data",
    "sources",
    multiple=True,
    metavar="[ES=]PATH",
    help="File or folder of bars; repeatable.",
)
@click.option("--demo", is_flag=True, help="Use the simulated market, which cannot be predicted.")
@click.option(
    "--backbone",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help="A backbone, or naive_last, drift, seasonal_naive:M, ar:P, ets.",
)
@click.option("--ensemble", metavar="A[=W],B[=W]", help="Several backbones, optionally weighted.")
@click.option("--allow-partial", is_flag=True, help="Continue without members that are missing.")
@click.option(
    "--horizon", type=int, default=_HORIZON, show_default=True, metavar="N", help="Bars ahead."
)
@click.option("--context", type=int, metavar="N", help="Bars of context.  [default: the model's]")
@click.option(
    "--at",
    "stamp",
    metavar="STAMP",
    help="Use no bars after this time, for example 2025-03-14T15:30Z.",
)
@click.option("--levels", metavar="P,P", help="Quantile levels, such as 0.05,0.5,0.95.")
@click.option(
    "--tail",
    type=click.Choice(["student_t", "normal"]),
    help="What to assume beyond the outermost levels; needed for risk below them.",
)
@click.option("--accept-quality", is_flag=True, help="Accept data that the audit rejects.")
@reading_options
@output_options
def command(
    sources: Sequence[str],
    demo: bool,
    backbone: str,
    ensemble: str | None,
    allow_partial: bool,
    horizon: int,
    context: int | None,
    stamp: str | None,
    levels: str | None,
    tail: Any,
    as_json: bool,
    quiet: bool,
    tz: str | None,
    **reading: Any,
) -> None:
    """Forecast the bars after the last one, or after the last one closed by --at.

    Prints quantiles of the price step by step, the probability of a higher price, and
    how much a position may lose by the last step. Levels beyond those a model was
    trained for are not extrapolated unless --tail names an assumption.

    \b
    Examples:
      ffm forecast --demo
      ffm forecast --data ES=es_5m.csv --tz America/New_York --tail student_t
      ffm forecast --data CL_5m.parquet --ensemble ffm-bolt-synth=2,naive_last=1
    """  # noqa: D301 -- click wants the control character itself
    from ffm_forecast.asking import ask, origin_of, unused_tunings

    members = members_of(ensemble) if ensemble else {backbone: None}
    wanted = levels_of(levels)
    found = load_bars(sources, demo, tz=tz, **reading)
    for line in unused_tunings(list(members)):
        note(line)
    answers = []
    with watched("asking", len(found), quiet=quiet or as_json) as advance:
        for bars in found:
            at = origin_of(bars, stamp, tz)
            answer = ask(bars, at, horizon, members=members, context=context, levels=wanted,
                         tail=tail, allow_partial=allow_partial)  # fmt: skip
            answers.append((bars, answer))
            advance(1)
    if as_json:
        emit_json("ffm-forecast/1", {"forecasts": [answer.facts() for _, answer in answers]})
        return
    say(page((_page(bars, answer) for bars, answer in answers), gap="\n\n"))


def load_bars(sources: Sequence[str], demo: bool, **reading: Any) -> list[Bars]:
    """Return the bars of ``--data``, or of the simulated market.

    Raises
    ------
    UsageError
        When neither or both are asked for.
    """
    from ffm_core.errors import UsageError

    if bool(sources) == demo:
        raise UsageError(
            "give --data or --demo" + (", not both" if demo else ""),
            fix="for example --data ES=es_5m.csv, or --demo",
        )
    if demo:
        from ffm_core.bars.simulate import demo_market

        return demo_market()
    from ffm_core.bars.readers import load_many

    maps = column_pairs(reading.pop("column_map"))
    return [item.bars for item in load_many(sources, columns=maps, **reading)]


def watched(name: str, total: int, *, quiet: bool) -> Any:
    """Show one bar of progress on stderr; entering gives a function to advance it."""
    from contextlib import contextmanager

    @contextmanager
    def shown() -> Any:
        with progress_of(quiet=quiet) as progress:
            yield progress.stage(name, total).advance

    return shown()


def members_of(text: str) -> dict[str, float | None]:
    """Read ``a,b`` or ``a=2,b=1``.

    Raises
    ------
    click.BadParameter
        When a name is given twice, alone, or a weight is no number.
    """
    found: dict[str, float | None] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, sign, weight = part.partition("=")
        try:
            value = float(weight) if sign else None
        except ValueError as error:
            raise click.BadParameter(f"--ensemble: {weight!r} is not a weight") from error
        if name in found:
            raise click.BadParameter(f"--ensemble: {name} is listed twice")
        found[name] = value
    weighted = sum(value is not None for value in found.values())
    if len(found) < 2 or weighted not in (0, len(found)):
        raise click.BadParameter(
            "--ensemble: give two or more members, either all with weights or none"
        )
    return found


def levels_of(text: str | None) -> list[float] | None:
    """Read ``0.1,0.5,0.9``.

    Raises
    ------
    click.BadParameter
        When a part is no number.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"--levels {text!r}: write 0.1,0.5,0.9") from error


def _page(bars: Bars, answer: Answer) -> str:
    price = answer.forecast.to("price")
    places = max(-Decimal(str(bars.instrument.tick_size)).normalize().as_tuple().exponent, 0)  # type: ignore[operator]
    low, high = price.cdf_bounds(price.reference)
    if len(price.levels) == 9:
        shown, values = _SHOWN, price.quantile(_SHOWN)
    else:
        shown, values = tuple(price.levels.tolist()), price.quantiles
    rows = [("STEP", *(f"{100 * level:g} %" for level in shown), "UP")]
    for step in [*(s for s in _STEPS if s < price.horizon), price.horizon]:
        numbers = (f"{value:,.{places}f}" for value in values[step - 1])
        rows.append((f"+{step}", *numbers, _up(1.0 - high[step - 1], 1.0 - low[step - 1])))
    head = f"{answer.stream} after {answer.origin}, at {answer.price:,.{places}f}"
    told = (*answer.stamps, *(f"caution: {text}" for text in answer.cautions))
    return page([head, *(f"  {line}" for line in told), "", columns(rows),
                 *_risk(answer), *_ensemble(answer)])  # fmt: skip


def _up(low: float, high: float) -> str:
    if low == high:
        return f"{100 * low:.0f} %"
    return f"< {100 * high:.0f} %" if low == 0.0 else f"> {100 * low:.0f} %"


def _risk(answer: Answer) -> list[str]:
    from ffm_forecast.asking import risk_rows

    forecast = answer.forecast
    rows = [("LOSS", "LEVEL", "VAR", "ES")]
    for row in risk_rows(forecast):
        es = "–" if row["es"] is None else f"{100 * row['es']:.3f} %"
        rows.append((row["side"], f"{100 * row['level']:g} %", f"{100 * row['var']:.3f} %", es))
    told = f"by step +{forecast.horizon}, as a share of the price"
    if forecast.tail is None:
        lowest = f"{100 * forecast.levels[0]:g} %"
        beyond = (
            f"nothing is known beyond {lowest}; use --tail student_t or normal to assume a tail"
        )
    else:
        beyond = f"assumed beyond the outermost levels: {forecast.tail}"
    table = [columns(rows)] if len(rows) > 1 else []
    return ["", *table, f"  {told}; {beyond}"]


def _ensemble(answer: Answer) -> list[str]:
    found = answer.combined
    if found is None:
        return []
    used = ", ".join(f"{name} {100 * weight:.0f} %" for name, weight in found.used.items())
    apart = 100 * float(found.disagreement[-1])
    told = f"disagreement at the last step {apart:.3f} %"
    lines = ["", f"used {used}; {told}, deviation {100 * float(found.std[-1]):.3f} %"]
    lines += [f"failed {name}: {why}" for name, why in found.failed.items()]
    lines += [f"missing {name}: {why}" for name, why in found.absent.items()]
    return lines
