"""What keeps the house small and its rooms apart.

A limit goes up only when the core takes on a new duty, and the changelog says which.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_LINES = 49_000  # of ffm_core without its test kit, blank ones included
MOST_DATACLASSES = 175
LONGEST_FUNCTION = 80
KERNELS = {"kernel", "inlined", "helper"}


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the product by its dotted name."""
    found = {}
    for place in ("ffm_core", "ffm_xgb", *(f"plugins/{p.name}/src" for p in packages())):
        root = REPOSITORY / place
        start = root if place.startswith("plugins") else REPOSITORY
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(start).with_suffix("").parts
            if "template" not in parts:
                name = ".".join(parts).removesuffix(".__init__")
                found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def packages() -> list[Path]:
    return sorted(p for p in (REPOSITORY / "plugins").iterdir() if (p / "src").is_dir())


def core() -> dict[str, ast.Module]:
    return {
        name: tree
        for name, tree in modules().items()
        if name.partition(".")[0] == "ffm_core" and not name.startswith("ffm_core.testing")
    }


def lines_of(name: str) -> int:
    path = REPOSITORY / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(path.read_text(encoding="utf-8").splitlines())


def decorators(node: ast.ClassDef | ast.FunctionDef) -> set[str]:
    plain = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return {getattr(d, "id", getattr(d, "attr", "")) for d in plain}


def classes(trees: dict[str, ast.Module]) -> Iterator[tuple[str, ast.ClassDef]]:
    for name, tree in trees.items():
        yield from ((name, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def imports(name: str, tree: ast.Module) -> set[str]:
    """Return what a module imports of the product, inside functions too, but not for types."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return {other for other in found if other in modules() and other != name}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return groups of modules each of which reaches all the others."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen, waiting = set(), [start]
        while waiting:
            for other in graph.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        reach[start] = seen
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in graph}
    return [set(group) for group in groups if group]


def test_the_core_holds_what_every_verdict_needs_and_no_more():
    assert sum(map(lines_of, core())) <= MOST_LINES


def test_a_record_is_made_where_a_plain_value_would_not_do():
    found = [node.name for _, node in classes(core()) if "dataclass" in decorators(node)]
    assert len(found) <= MOST_DATACLASSES


def test_no_class_name_occurs_twice():
    homes = defaultdict(list)
    for name, node in classes(modules()):
        homes[node.name].append(name)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_no_module_imports_itself_on_a_round_trip():
    assert circles({name: imports(name, tree) for name, tree in modules().items()}) == []


def test_functions_can_be_seen_whole():
    found = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name, tree in core().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not decorators(node) & KERNELS
    }
    assert {name: n for name, n in found.items() if n > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [{"a", "b", "c"}]),
    ],
)
def test_the_search_sees_circles(graph, found):
    assert circles(graph) == found
