"""``ffm backbone eval-synthetic``: forecasts of series that no training has drawn."""

from __future__ import annotations

from collections.abc import Sequence

import click
from ffm_forecast.commands.evaluate import numbers, tell, with_controls

from ffm_core.cli.output import output_options


@click.command("eval-synthetic")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--rows", type=click.IntRange(1), default=500, show_default=True, metavar="N",
              help="Series of each kind.")  # fmt: skip
@click.option("--horizon", "horizons", default="20", show_default=True, metavar="N,N",
              help="Steps ahead; several are scored one by one.")  # fmt: skip
@click.option("--context", type=int, metavar="N", help="Steps to look at; default each model's.")
@output_options
def command(
    names: Sequence[str], rows: int, horizons: str, context: int | None, as_json: bool, quiet: bool
) -> None:
    """Score forecasts of held-out synthetic series, beside controls on the same series.

    Half of them are like prices, half generic; no training step draws from their seed. The
    numbers are those of 'ffm backbone eval'.
    """
    from ffm_forecast.forecasters import forecaster_of
    from ffm_forecast.scoring import context_of

    from ffm_backbone_training.held_out import held_out

    asked = [forecaster_of(name, season=1) for name in names]
    longest = context or max(context_of(item, context) for item in asked)
    tasks = [
        (held_out(horizon, context=longest, rows=rows, price_like=price_like),
         with_controls(names, None))
        for horizon in numbers(horizons)
        for price_like in (True, False)
    ]  # fmt: skip
    tell(names, tasks, context=longest, as_json=as_json, quiet=quiet)
