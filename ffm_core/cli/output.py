"""How every command speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from ffm_core.shown import escaped, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from ffm_core.evaluate.progress import Progress
    from ffm_core.records import Failure

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(slots=True)
class Shell:
    """What the command line asked of all output.

    Parameters
    ----------
    stdout : text stream
        The real standard output; with ``--json`` only the document goes there.
    json, quiet, debug : bool
        The flags of the same names.
    emitted : bool
        Whether the one JSON document has been written.
    """

    stdout: TextIO
    json: bool = False
    quiet: bool = False
    debug: bool = False
    emitted: bool = False


def shell() -> Shell:
    """Return the shell of the running command, or a plain one outside of any."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Shell) if context is not None else None
    return found if found is not None else Shell(stdout=sys.stdout)


def emit_json(schema: str, payload: Mapping[str, Any]) -> None:
    """Write the one JSON document of a command to stdout.

    Parameters
    ----------
    schema : str
        Name and version of its form, for example ``ffm-plugins/1``.
    payload : mapping
        Further keys. NaN and infinities become null, numpy scalars and arrays
        plain numbers and lists, paths and dates text.
    """
    where = shell()
    _write(where, {"schema": schema, **payload})


def emit_error(where: Shell, kind: str, problem: str, fix: str, code: int) -> None:
    """With ``--json``, describe a failure as the document, unless there is one already."""
    if where.json and not where.emitted:
        error = {"kind": kind, "problem": problem, "fix": fix, "exit_code": code}
        _write(where, {"schema": "ffm-error/1", "error": error})


class Page(str):
    """Several lines, laid out by :func:`page` or :func:`columns`; no part begins one itself."""

    __slots__ = ()


def page(lines: Iterable[str], *, gap: str = "\n") -> Page:
    """Lay out lines below one another; each is one line, or a page."""
    return Page(gap.join(map(_shown, lines)))


def say(text: str = "") -> None:
    """Write a line, or a page, of the result to stdout (to stderr with ``--json``)."""
    click.echo(_shown(text))


def note(text: str) -> None:
    """Write a line of progress or advice to stderr, unless ``--quiet``."""
    if not shell().quiet:
        click.echo(_shown(text), err=True)


def _shown(text: str) -> str:
    return text if isinstance(text, Page) else one_line(text)


def console(*, quiet: bool = False) -> Console:
    """Return a rich console on stderr for progress and colour.

    Parameters
    ----------
    quiet : bool
        Print nothing; ``--quiet`` has the same effect.
    """
    from rich.console import Console

    return Console(stderr=True, quiet=quiet or shell().quiet)


@contextmanager
def progress_of(*, quiet: bool) -> Iterator[Progress]:
    """Show progress bars on stderr while the block runs, unless ``quiet``."""
    from ffm_core.evaluate.progress import Silent, live
    from ffm_core.report.reasons import sentence

    with nullcontext(Silent()) if quiet else live(sentence) as progress:
        yield progress


def columns(rows: Iterable[Sequence[str]], *, gap: int = 2) -> Page:
    """Align rows of text in columns, the last one ragged."""
    table = [[one_line(cell) for cell in row] for row in rows]
    if not table:
        return Page()
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])]
        lines.append((" " * gap).join([*cells, row[-1]]).rstrip())
    return Page("\n".join(lines))


def split_names(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or len(set(names)) != len(names):
        raise click.BadParameter("list each name once, separated by commas")
    return names


def json_option(command: C) -> C:
    """Add ``--json``, passed on as ``as_json``."""
    text = "Print one JSON document to stdout."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def quiet_option(command: C) -> C:
    """Add ``--quiet``, passed on as ``quiet``."""
    return click.option("--quiet", is_flag=True, help="Print the result without progress.")(command)


def debug_option(command: C) -> C:
    """Add ``--debug``, which works anywhere on the line and is not passed on."""
    text = "Show tracebacks."
    return click.option("--debug", is_flag=True, expose_value=False, help=text)(command)


def output_options(command: C) -> C:
    """Add ``--json`` (as ``as_json``), ``--quiet`` and ``--debug``."""
    return json_option(quiet_option(debug_option(command)))


def reveal_option(command: C) -> C:
    """Add ``--reveal``; what it does is done by the shell, before anything is opened."""

    def refuse(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value and getattr(context.find_root().obj, "json", False):
            raise click.UsageError("--reveal is for your terminal and cannot go with --json")

    added = click.option(
        "--reveal", is_flag=True, expose_value=False, callback=refuse,
        help="Show a private package's own names on this terminal; files stay redacted.",
    )  # fmt: skip
    return added(command)


def _write(where: Shell, document: Mapping[str, Any]) -> None:
    # Elsewhere than in Unicode, JSON's own escapes keep the document whole.
    ascii_only = "utf" not in (getattr(where.stdout, "encoding", None) or "utf-8").lower()
    text = json.dumps(plain(document), indent=2, ensure_ascii=ascii_only, allow_nan=False)
    where.emitted = True
    where.stdout.write(escaped(text) + "\n")
    where.stdout.flush()


def plain(value: Any) -> Any:
    """Return ``value`` built of what JSON knows; NaN and infinities become None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, PurePath):
        return str(value)
    return _foreign(value)


def _number(value: float) -> int | float | None:
    if isinstance(value, int):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _foreign(value: Any) -> Any:
    # numpy and date types, known by what they can do: importing them here would
    # slow every command down.
    for method in ("tolist", "isoformat"):
        convert = getattr(value, method, None)
        if callable(convert):
            return plain(convert())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def failure_lines(failure: Failure) -> list[str]:
    """Return what was found, where, its line and its fix, for the terminal."""
    from ffm_core.report.reasons import sentence, subject

    where = f"bar {failure.bar} ({failure.stamp})" if failure.stamp else f"bar {failure.bar}"
    head = f"  {failure.check}: {subject(failure.subject)}, {failure.column}, {where}"
    lines = [head, f"    {sentence(failure.reason)}"]
    if failure.line:
        lines.append(f"    line: {failure.line}")
    if failure.repair is not None:
        lines.append(f"    fix: {sentence(failure.repair)}")
    return lines
