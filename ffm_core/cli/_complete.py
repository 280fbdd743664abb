"""Shell completion of installed names; reads metadata, imports no plug-in."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ffm_core.host.discovery import EXTENSIONS, STRATEGIES, discover


def complete_strategies(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return installed strategies that start with ``incomplete``."""
    return _items(STRATEGIES, incomplete)


def complete_subjects(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return installed strategies that start with ``incomplete``, and have the shell add files."""
    return [*_items(STRATEGIES, incomplete), CompletionItem(incomplete, type="file")]


def complete_extensions(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return installed extensions that start with ``incomplete``."""
    return _items(EXTENSIONS, incomplete)


def _items(group: str, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=entries[0].who)
        for name, entries in discover(group).items()
        if name.startswith(incomplete) and not entries[0].is_core
    ]
