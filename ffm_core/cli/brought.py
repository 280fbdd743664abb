"""Commands that installed packages bring: loaded when they are called, and blamed by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ffm_core.errors import FFMError, StrategyError
from ffm_core.host.boundary import call_plugin
from ffm_core.host.discovery import Found
from ffm_core.host.loading import open_host

# What a command may raise by design: our own errors, click's, and what the shell handles.
_MEANT = (FFMError, click.ClickException, click.exceptions.Exit, click.Abort, OSError)


def command_of(name: str) -> click.Command:
    """Return the command of an installed package; its package is switched on.

    Parameters
    ----------
    name : str
        Dotted, for example ``backbone.pretrain``.

    Raises
    ------
    PluginConflictError
        When two packages list the name.
    PluginError
        When the package cannot be loaded, or does not offer what it lists.
    """
    offered = open_host(naming=[(name, ("ffm_commands",))]).command(name)
    what = f"command {name.replace('.', ' ')!r}"
    command: object = call_plugin(offered.origin, what, offered.record.load)
    if not isinstance(command, click.Command):
        raise StrategyError(
            f"{offered.origin.who}: {what} is a {type(command).__name__}",
            fix="load() returns a click.Command",
        )
    command.invoke = _blaming(command.invoke, offered.origin, what)  # type: ignore[method-assign, assignment]
    return command


def _blaming(
    invoke: Callable[[click.Context], Any], origin: Found, what: str
) -> Callable[[click.Context], Any]:
    """Return ``invoke`` with unexpected exceptions laid at the package's door."""

    def blamed(context: click.Context) -> Any:
        meant: list[BaseException] = []

        def run() -> Any:
            try:
                return invoke(context)
            except _MEANT as error:  # the shell knows what to make of these
                meant.append(error)

        answer = call_plugin(origin, what, run)
        if meant:
            raise meant[0]
        return answer

    return blamed
