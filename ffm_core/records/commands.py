"""Subcommands that packages bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A subcommand of ``ffm``.

    Parameters
    ----------
    name : str
        Dotted: ``backbone.pretrain`` is called as ``ffm backbone pretrain``.
    summary : str
        One line.
    load : callable
        Returns the ``click.Command``; called when the command is.
    """

    name: str
    summary: str
    load: Callable[[], click.Command]
