"""Small pieces of Markdown, and the sections of a NumPy docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

_UNDERLINE = re.compile(r"^-{3,}$")
_ROLE = re.compile(r":(?:class|func|mod|meth|data):`~?([^`]+)`")


def join(parts: Iterable[str]) -> str:
    """Return a page: its parts with one empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars inside cells are escaped, line breaks become spaces."""
    lines = [_row(head), _row(["---"] * len(head))]
    lines += [_row(row) for row in rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    texts = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(texts) + " |"


def code(text: object) -> str:
    """Return inline code, or an empty string for nothing."""
    shown = str(text)
    return f"`{shown}`" if shown else ""


def fenced(text: str, language: str = "text") -> str:
    """Return a fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def plain(text: str) -> str:
    """Turn the marks of a docstring into those of Markdown."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    text = inspect.getdoc(thing) or ""
    return plain(" ".join(text.split("\n\n")[0].split()))


def sections(thing: Any) -> dict[str, str]:
    """Split a NumPy docstring into its sections.

    Returns
    -------
    dict of str to str
        ``""`` holds the text above the first heading; the others their bodies.
    """
    lines = (inspect.getdoc(thing) or "").split("\n")
    found: dict[str, list[str]] = {"": []}
    name = ""
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if line and not line.startswith(" ") and _UNDERLINE.match(below.strip()):
            name = line.strip()
            found[name] = []
        elif not _UNDERLINE.match(line.strip()):
            found[name].append(line)
    return {key: "\n".join(body).strip("\n") for key, body in found.items()}


def entries(body: str) -> list[tuple[str, str, str]]:
    """Read ``name : type`` entries of a Parameters section: (names, type, text)."""
    found: list[tuple[str, str, list[str]]] = []
    for line in body.split("\n"):
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.append((names.strip(), kind.strip(), []))
        elif found:
            found[-1][2].append(line.strip())
    return [(names, kind, plain(" ".join(text).strip())) for names, kind, text in found]
