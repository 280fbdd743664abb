"""Lines of plug-ins that running Python cannot show: columns that are declared, and streams.

A column given as an expression is made where nothing of the plug-in runs, so the
place where its name and expression are written is named. A stream that disagrees
with its batch is followed to where it gives its answer.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import ffm_core
from ffm_core.causal.blame.line import Blame, line_at
from ffm_core.causal.blame.sources import SourceFile
from ffm_core.causal.blame.suspects import KINDS, suspects
from ffm_core.host.libraries import library_test
from ffm_core.paths import one_spelling

_CORE = one_spelling(Path(ffm_core.__file__).parent) + "/"
_SPECIMENS = _CORE + "testing/"
_FOLLOWED = 5  # names from a column to its expression


def declared(record: object, column: str, check: str) -> Blame | None:
    """Return the line of a column that is only declared, such as one given as an expression.

    Parameters
    ----------
    record : object
        The feature set, as the plug-in made it.
    column : str
        The column that failed.
    check : str
        Name of the detector.

    Returns
    -------
    Blame or None
        None when no file of a plug-in mentions the column.
    """
    for path in _homes(record):
        source = SourceFile(path)
        nodes = [node for node in ast.walk(source.tree) if _says(node, column)]
        found = [part for node in nodes for part in _values(source.tree, node)]
        if found:
            return _likeliest(source, found, check)
    return None


def _homes(record: object) -> Iterator[str]:
    """Yield files that may declare a record: those that hold it, then those of plug-ins."""
    modules = [m for m in list(sys.modules.values()) if isinstance(m, ModuleType)]
    files = {m.__name__: f for m in modules if (f := getattr(m, "__file__", None))}
    plain = {name: f for name, f in files.items() if f.endswith(".py") and _foreign(f)}
    holds = [m.__name__ for m in modules if m.__name__ in plain and _holds(m, record)]
    is_library = library_test()
    loose = [name for name, f in plain.items() if not is_library(f)]
    yield from dict.fromkeys(plain[name] for name in (*holds, *loose))


def _foreign(file: str) -> bool:
    whole = one_spelling(file)
    return not whole.startswith(_CORE) or whole.startswith(_SPECIMENS)


def _holds(module: ModuleType, record: object) -> bool:
    return any(value is record for value in list(vars(module).values()))


def _says(node: ast.AST, name: str) -> bool:
    """Whether a node is a text, plain or with gaps, that reads as the name of a column."""
    if isinstance(node, ast.Constant):
        return node.value == name
    if not isinstance(node, ast.JoinedStr):
        return False
    parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+" for p in node.values]
    return any(p != ".+" for p in parts) and re.fullmatch("".join(parts), name) is not None


def _values(tree: ast.Module, name: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that may make the column which a text names, the surest first."""
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    node = name
    while node in above:
        outer = above[node]
        if isinstance(outer, ast.Dict) and node in outer.keys:
            yield outer.values[outer.keys.index(node)]
            return
        if isinstance(outer, ast.DictComp) and node is outer.key:
            yield outer.value
            return
        if isinstance(outer, ast.Call) and getattr(outer.func, "attr", "") == "alias":
            yield outer
            return
        if isinstance(outer, ast.Assign | ast.AnnAssign):
            targets = outer.targets if isinstance(outer, ast.Assign) else [outer.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            yield from _keyed(tree, names)
            return
        node = outer


def _keyed(tree: ast.Module, names: set[str]) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (v for k, v in pairs if isinstance(k, ast.Name) and k.id in names)


def _likeliest(source: SourceFile, found: list[ast.expr], check: str) -> Blame:
    kinds = KINDS.get(check, ())
    reached: list[ast.AST] = list(_followed(source.tree, found))
    odd = [
        (not one.sure, place, kinds.index(one.kind), one)
        for place, node in enumerate(reached)
        for one in suspects(node)
        if one.kind in kinds
    ]
    if odd:
        *_, one = min(odd, key=lambda o: (*o[:3], o[3].line))
        return line_at(source, one.line, one.why)
    shown = next((n for n in reached if not isinstance(n, ast.Name)), found[0])
    return line_at(source, shown.lineno)  # type: ignore[attr-defined]


def _followed(tree: ast.Module, found: list[ast.expr]) -> Iterator[ast.AST]:
    """Yield expressions, and what the names in them stand for in the file."""
    made: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    made.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            made.setdefault(node.name, []).append(node)
    level: list[ast.AST] = list(found)
    seen: set[str] = set()
    for _ in range(_FOLLOWED):
        yield from level
        names = {n.id for node in level for n in ast.walk(node) if isinstance(n, ast.Name)} - seen
        seen |= names
        level = [value for name in sorted(names) for value in made.get(name, ())]


# --- streams ------------------------------------------------------------------------------


def answering(stream: object, method: str, files: list[Path]) -> Blame | None:
    """Return the line at which a method of a stream gives its answer.

    Parameters
    ----------
    stream : object
        A stream of the plug-in.
    method : str
        ``update`` or ``snapshot``.
    files : list of Path
        Files and folders of the plug-in.

    Returns
    -------
    Blame or None
        The last ``return``, followed through methods of the same object; None for
        streams that are not the plug-in's own.
    """
    found: Blame | None = None
    name: str | None = method
    for _ in range(_FOLLOWED):
        function = getattr(type(stream), name or "", None)
        if not isinstance(function, FunctionType):
            break
        code = function.__code__
        path = Path(code.co_filename).resolve()
        if not any(path == file or file in path.parents for file in files):
            break
        source = SourceFile(code.co_filename)
        given = _returns(source, code.co_firstlineno)
        if given is None:
            break
        found = line_at(source, given.lineno)
        name = _own_call(given)
    return found


def shared(stream: object, files: list[Path]) -> Blame | None:
    """Return a line of a stream's class at which all its streams share a value, if any."""
    for kind in type(stream).__mro__:
        path = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
        if not any(Path(path).resolve() == f or f in Path(path).resolve().parents for f in files):
            continue
        source = SourceFile(path)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                for one in suspects(node):
                    if one.shared:
                        return line_at(source, one.line, one.why)
    return None


def _returns(source: SourceFile, line: int) -> ast.Return | None:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and node.lineno == line:
            return next((n for n in reversed(node.body) if isinstance(n, ast.Return)), None)
    return None


def _own_call(given: ast.Return) -> str | None:
    """Return the method whose answer a ``return`` hands on."""
    call = given.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    owner: Any = call.func.value
    return call.func.attr if isinstance(owner, ast.Name) and owner.id == "self" else None


__all__ = ["answering", "declared", "shared"]
