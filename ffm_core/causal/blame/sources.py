"""The files a plug-in is written in: which they are, their statements and loops."""

from __future__ import annotations

import ast
import linecache
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import TypeAlias

import ffm_core

_CORE = Path(ffm_core.__file__).resolve().parent
_KIT = _CORE / "testing"  # its specimens are plug-ins
_HERE = Path(__file__).resolve().parent  # the falsifier itself is nobody's plug-in
_ENTRIES = ("decide", "batch", "compute", "simulate", "plan", "fit", "prepare", "stream", "change")
_DEPTH = 6
_CHARS = 120


Loop: TypeAlias = tuple[int, tuple[str, ...]]  # where its body begins, and its variables


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, or the head of one that holds others; lines count from 1."""

    node: ast.stmt
    first: int
    last: int
    function: str  # the innermost function around it, "" at the top of the module

    @property
    def heads(self) -> list[ast.AST]:
        """The parts that are executed on its own lines."""
        node = self.node
        if isinstance(node, ast.If | ast.While):
            return [node.test]
        if isinstance(node, ast.For | ast.AsyncFor):
            return [node.target, node.iter]
        if isinstance(node, ast.With | ast.AsyncWith):
            return list(node.items)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return list(node.decorator_list)
        return [] if isinstance(node, ast.Try | ast.Match) else [node]

    def names(self, context: type[ast.expr_context]) -> set[str]:
        """Return the plain names that are read (``ast.Load``) or assigned (``ast.Store``)."""
        found = [n for head in self.heads for n in ast.walk(head) if isinstance(n, ast.Name)]
        return {n.id for n in found if isinstance(n.ctx, context)}


class SourceFile:
    """One file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = linecache.getlines(path)

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file; empty when it cannot be parsed."""
        try:
            return ast.parse("".join(self.lines))
        except (SyntaxError, ValueError):
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def statements(self) -> list[Statement]:
        """Every statement, outer ones before those they hold."""
        return list(_statements(self.tree.body, ""))

    def at(self, line: int) -> Statement | None:
        """Return the innermost statement that a line belongs to."""
        holding = [s for s in self.statements if s.first <= line <= s.last]
        return min(holding, key=lambda s: (s.last - s.first, -s.first), default=None)

    def text(self, first: int, last: int) -> str:
        """Return lines as one, without comments, of bounded length."""
        lines = [self.lines[i - 1][: self.comments.get(i)] for i in range(first, last + 1)]
        joined = " ".join(" ".join(lines).split())
        return joined if len(joined) <= _CHARS else joined[: _CHARS - 1] + "…"

    @cached_property
    def comments(self) -> dict[int, int]:
        """Where a comment begins, by line."""
        try:
            tokens = list(tokenize.generate_tokens(iter(self.lines).__next__))
        except (tokenize.TokenError, SyntaxError):
            return {}
        return {t.start[0]: t.start[1] for t in tokens if t.type == tokenize.COMMENT}

    @cached_property
    def loops(self) -> dict[int, Loop]:
        """The outermost loop around each line inside loops; functions begin anew."""
        found: dict[int, Loop] = {}
        _map_loops(self.tree.body, None, found)
        return found


def _statements(body: list[ast.stmt], function: str) -> Iterator[Statement]:
    for node in body:
        inner = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        inner += [h.body for h in getattr(node, "handlers", [])]
        inner += [c.body for c in getattr(node, "cases", [])]
        held = [member for part in inner for member in part if isinstance(member, ast.stmt)]
        last = node.end_lineno or node.lineno
        if held:
            last = max(node.lineno, min(member.lineno for member in held) - 1)
        yield Statement(node, node.lineno, last, function)
        own = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _statements(held, node.name if own else function)  # type: ignore[attr-defined]


def _map_loops(body: list[ast.stmt], loop: Loop | None, found: dict[int, Loop]) -> None:
    for node in body:
        inside = loop
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = None
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While) and loop is None:
            target = getattr(node, "target", None)
            names = () if target is None else ast.walk(target)
            targets = tuple(n.id for n in names if isinstance(n, ast.Name))
            inside = (node.body[0].lineno, targets)
        if inside is not None:
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = inside
        for name in ("body", "orelse", "finalbody"):
            _map_loops(
                [m for m in getattr(node, name, []) if isinstance(m, ast.stmt)], inside, found
            )
        for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            _map_loops(part.body, inside, found)


class Sources:
    """The plug-in's own files.

    Parameters
    ----------
    function : object
        What is called; its files are found by unwrapping it.
    files : collection of Path, optional
        Files and folders that count as the plug-in's instead.
    """

    def __init__(self, function: object, files: Collection[Path] | None = None) -> None:
        codes = list(codes_of(function))
        if files is None:
            files = _files_of(codes)
        self.files = [Path(file).resolve() for file in files]
        places = [Path(c.co_filename).resolve().parents for c in codes]
        self.foreign = any(_CORE not in place or _KIT in place for place in places)
        self.entries = [c for c in codes if _within(Path(c.co_filename), files)]
        self._own: dict[CodeType, bool] = {}
        self._known: dict[str, bool] = {}
        self._sources: dict[str, SourceFile] = {}

    def own(self, code: CodeType) -> bool:
        """Whether a function is the plug-in's; comprehensions count with their line."""
        known = self._own.get(code)
        if known is None:
            name = code.co_name
            plain = name == "<lambda>" or not name.startswith("<")
            known = self._own[code] = plain and self.owns(code.co_filename)
        return known

    def owns(self, path: str) -> bool:
        """Whether a file is the plug-in's."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = not path.startswith("<") and _within(Path(path), self.files)
        return known

    def made(self, value: object) -> bool:
        """Whether a value is an object of a class the plug-in defines."""
        if not hasattr(value, "__dict__") or isinstance(value, type | FunctionType):
            return False
        call = next((m for m in vars(type(value)).values() if isinstance(m, FunctionType)), None)
        return call is not None and self.owns(call.__code__.co_filename)

    def source(self, path: str) -> SourceFile:
        """Return a file."""
        if path not in self._sources:
            self._sources[path] = SourceFile(path)
        return self._sources[path]

    def loops(self, code: CodeType) -> dict[int, Loop]:
        """Return the loops of the file a function stands in."""
        return self.source(code.co_filename).loops


def codes_of(function: object) -> Iterator[CodeType]:
    """Yield the code behind a callable, a record or a tuple: bound, partial, held by a closure."""
    seen: set[int] = set()
    waiting: list[tuple[object, int]] = [(function, 0)]
    while waiting and len(seen) < 200:
        item, depth = waiting.pop(0)
        if id(item) in seen or depth > _DEPTH:
            continue
        seen.add(id(item))
        if isinstance(item, FunctionType):
            yield item.__code__
        waiting += [(member, depth + 1) for member in _inside(item)]


def _inside(item: object) -> Iterator[object]:
    if isinstance(item, partial):
        yield from (item.func, *item.args, *item.keywords.values())
    elif isinstance(item, MethodType):
        yield from (item.__func__, item.__self__)
    elif isinstance(item, FunctionType):
        for cell in item.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            if callable(held) or _leads_on(held):
                yield held
    elif not isinstance(item, type | str | bytes | int | float):
        for name in _ENTRIES:
            yield getattr(item, name, None)
        yield vars(type(item)).get("__call__")
        if isinstance(item, tuple):
            yield from item
        elif is_dataclass(item):
            held = (getattr(item, one.name) for one in fields(item))
            yield from (value for value in held if callable(value))
    for name in ("__wrapped__", "py_func"):
        yield getattr(item, name, None)


def _leads_on(held: object) -> bool:
    """Whether functions may be held by what a closure holds: a record, or a tuple of some."""
    if isinstance(held, tuple):
        return any(_leads_on(member) for member in held[:8])
    return is_dataclass(held) or any(hasattr(held, name) for name in _ENTRIES)


def _files_of(codes: list[CodeType]) -> list[Path]:
    """Return the folder of a plug-in's package, or its single file."""
    paths = [Path(c.co_filename).resolve() for c in codes if not c.co_filename.startswith("<")]
    foreign = [path for path in paths if _CORE not in path.parents]
    found: dict[Path, None] = {}
    for path in foreign:
        found[_package(path)] = None
    if not found:  # a record of ours: the room it stands in, before what drives it
        kit = [path for path in paths if _KIT in path.parents] or paths
        found = {path.parent: None for path in kit if path.parent != _HERE}
    return list(found)


def _package(path: Path) -> Path:
    root = path
    while (root.parent / "__init__.py").is_file():
        root = root.parent
    return root


def _within(path: Path, files: Collection[Path]) -> bool:
    path = path.resolve()
    return any(path == file or file in path.parents for file in files)


__all__ = ["Loop", "SourceFile", "Sources", "Statement", "codes_of"]
