"""``cli.md``: the help of every command, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from _pages import markdown as md
from ffm_core.cli import main

WIDTH = 92
_INTRO = """# Command line

Results go to stdout, progress and warnings to stderr. With `--json` stdout is exactly one
JSON document, an object with a `schema`; an error is such a document too
(`ffm-error/1`). `--debug` shows tracebacks and may stand anywhere on the line. The exit
codes are those of [Errors and exit codes](errors.md#exit-codes); settings can also come
from a file or the environment, see [Configuration](config.md).

Nothing is written outside `--out` and `FFM_HOME`, and no command uses the network.

"""


def page() -> str:
    """Return the page."""
    parts = [_INTRO]
    found = list(commands())
    rows = [(f"[`{path}`](#{path.replace(' ', '-')})", command.get_short_help_str(200))
            for path, command, _ in found]  # fmt: skip
    parts.append(md.table(("command", "what it does"), rows))
    for path, command, context in found:
        parts.append(f"## {path}\n")
        parts.append(md.fenced(command.get_help(context)))
    return md.join(parts)


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command with its full name, groups before their members."""
    context = click.Context(
        main, info_name="ffm", terminal_width=WIDTH, max_content_width=WIDTH,
        **main.context_settings,
    )  # fmt: skip
    yield from _walk("ffm", main, context)


def _walk(
    path: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield path, command, context
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            inner = click.Context(child, info_name=name, parent=context, **child.context_settings)
            yield from _walk(f"{path} {name}", child, inner)
