"""Read Python source for what it imports and which environment variables it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_READERS = ("get", "pop", "setdefault", "__getitem__")


@dataclass(frozen=True, slots=True)
class Reading:
    """Absolute dotted names a file imports, wherever it does, and variables it names."""

    imports: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()


def read_source(path: Path) -> Reading:
    """Return what a file imports and reads; nothing of one that is no Python.

    Names that are computed cannot be read; whoever loads the file hears of those.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return Reading()
    constants = dict(_constants(tree))
    return Reading(frozenset(_imports(tree)), frozenset(_variables(tree, constants)))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What a package's own modules import of one another is in the package.
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _named(node.func) in ("import_module", "__import__"):
            given = node.args[0] if node.args else None
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                yield given.value.lstrip(".")


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield texts that the module gives a name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value


def _variables(tree: ast.AST, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        asked: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _named(node.value) == "environ":
            asked = node.slice
        elif isinstance(node, ast.Compare):
            asked = node.left if "environ" in map(_named, node.comparators) else None
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            of_environ = isinstance(function, ast.Attribute) and _named(function.value) == "environ"
            if _named(function) == "getenv" or (of_environ and _named(function) in _READERS):
                asked = node.args[0]
        if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
            yield asked.value
        elif isinstance(asked, ast.Name) and asked.id in constants:
            yield constants[asked.id]


def _named(node: ast.AST) -> str:
    """Return the last part of a name: ``environ`` for ``os.environ``."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


__all__ = ["Reading", "read_source"]
