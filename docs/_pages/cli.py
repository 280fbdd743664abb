"""``cli.md``: the help of every command, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from _pages import markdown as md
from ffm_core.cli import main
from ffm_core.cli.brought import command_of
from ffm_core.host.discovery import listed

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
    return md.join([_INTRO, *_described(list(commands()))])


def package_pages(distribution: str) -> dict[str, str]:
    """Return the page of the commands that a package brings, by path below its folder."""
    names = [
        name
        for name, found in listed("ffm_commands").items()
        if found[0].distribution == distribution
    ]
    if not names:
        return {}
    found = []
    for name in names:
        command, words = command_of(name), name.split(".")
        context = _context(main, "ffm")
        for group in words[:-1]:
            context = _context(click.Group(group), group, context)
        context = _context(command, words[-1], context)
        found.append((f"ffm {' '.join(words)}", command, context))
    title = f"# Commands of {distribution}\n\nInstalling the package adds them to `ffm`.\n\n"
    return {"commands.md": md.join([title, *_described(found)])}


def _described(found: list[tuple[str, click.Command, click.Context]]) -> list[str]:
    rows = [(f"[`{path}`](#{path.replace(' ', '-')})", command.get_short_help_str(200))
            for path, command, _ in found]  # fmt: skip
    parts = [md.table(("command", "what it does"), rows)]
    for path, command, context in found:
        parts.append(f"## {path}\n")
        parts.append(md.fenced(command.get_help(context)))
    return parts


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command with its full name, groups before their members."""
    yield from _walk("ffm", main, _context(main, "ffm"))


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    return click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH,
        **command.context_settings,
    )  # fmt: skip


def _walk(
    path: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield path, command, context
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            yield from _walk(f"{path} {name}", child, _context(child, name, context))
