"""What this package offers to FFM; light, because discovery imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from ffm_core import hookimpl

if TYPE_CHECKING:
    import click

    from ffm_core.records import Command

FFM_HOOK_API = 2
# Name below ``ffm`` -> its module in ``commands``, and what it does.
_COMMANDS = {
    "forecast": ("forecast", "Forecast the next bars, with their risk."),
    "backbone.eval": ("evaluate", "Measure forecasts against plain rules."),
}


@hookimpl
def ffm_commands() -> Iterable[Command]:
    """Offer ``ffm forecast`` and ``ffm backbone eval``."""
    from ffm_core.records import Command

    return [
        Command(name=name, summary=summary, load=_loader(module))
        for name, (module, summary) in _COMMANDS.items()
    ]


def _loader(module: str) -> Callable[[], click.Command]:
    def load() -> click.Command:
        found = import_module(f"ffm_forecast.commands.{module}")
        command: click.Command = found.command
        return command

    return load
