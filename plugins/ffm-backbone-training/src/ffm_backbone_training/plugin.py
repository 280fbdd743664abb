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
# Name below ``ffm backbone`` -> its module in ``commands``, and what it does.
_COMMANDS = {
    "pretrain": ("pretrain", "Pretrain a backbone on synthetic series."),
    "finetune": ("finetune", "Fit a backbone further to your own bars."),
    "ab": ("compare", "Compare two backbones on the same decisions."),
    "eval-synthetic": ("eval_synthetic", "Measure forecasts of held-out synthetic series."),
}


@hookimpl
def ffm_commands() -> Iterable[Command]:
    """Offer the commands below ``ffm backbone``."""
    from ffm_core.records import Command

    return [
        Command(name=f"backbone.{name}", summary=summary, load=_loader(module))
        for name, (module, summary) in _COMMANDS.items()
    ]


def _loader(module: str) -> Callable[[], click.Command]:
    def load() -> click.Command:
        found = import_module(f"ffm_backbone_training.commands.{module}")
        command: click.Command = found.command
        return command

    return load
