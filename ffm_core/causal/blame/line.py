"""Name the line of a plug-in that reads the future.

The plug-in is run twice, on the full series and on a part of it, and every line
it executes is watched. The line at fault is the first one after which a value
of the bars in question differs between the two runs, though all earlier values
of these bars agreed. Where that line only uses a number that already differed,
such as a mean over the file, the line that made the number is named.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Protocol, TypeVar

import numpy as np

from ffm_core.causal.blame.contrast import Contrast, Guilty
from ffm_core.causal.blame.sources import SourceFile, Sources, Statement
from ffm_core.causal.blame.suspects import KINDS, Suspect, suspects
from ffm_core.causal.blame.tracing import Recorder, Step

_CHASED = 5  # how often a value is followed to the line that made it


@dataclass(frozen=True, slots=True)
class Blame:
    """A line of a plug-in.

    Parameters
    ----------
    file : str
        Name of the file, without its folder.
    line : int
        Counted from 1.
    code : str
        The statement, on one line.
    why : str
        What the line looks like, when it looks like a usual fault.
    """

    file: str
    line: int
    code: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}"


class Sized(Protocol):
    """Bars, or rows of another kind."""

    def __len__(self) -> int: ...


T = TypeVar("T", bound=Sized)


def blame(
    run: Callable[[T], object],
    full: T,
    part: T,
    lo: int,
    hi: int,
    *,
    start: int = 0,
    files: Collection[Path] | None = None,
) -> Blame | None:
    """Return the first line whose values of bars ``lo`` to ``hi`` differ between two series.

    Parameters
    ----------
    run : callable
        ``run(bars)`` calls the plug-in; its files are found by unwrapping it.
    full : Bars
        The whole series, or one whose later bars are changed. Rows of a view, or
        anything else of some length, will do.
    part : Bars
        The series that ends early, or the unchanged one; bars ``lo`` to ``hi``
        are the same in both.
    lo, hi : int
        The bars whose answers differ, counted in ``full``.
    start : int
        The bar of ``full`` that ``part`` begins with.
    files : collection of Path, optional
        Files and folders that count as the plug-in's, instead of those found.

    Returns
    -------
    Blame or None
        None when nothing can be said: no Python of the plug-in was executed, or
        it raised. The trace function that was set (a debugger's, a coverage
        tool's) is set again.
    """
    try:
        sources = Sources(run, files)
        runs = []
        for bars, begin in ((full, 0), (part, start)):
            recorder = Recorder(sources, len(bars), lo - begin, hi - begin)
            recorder.run(run, bars)
            runs.append(recorder.steps)
        found = Contrast(runs[0], runs[1], sources, start).guilty()
        return None if found is None else _Finder(sources).name(found)
    except Exception:  # a message without a line is better than none
        return None


def origin(
    run: Callable[[T], object],
    full: T,
    row: int,
    value: float,
    *,
    files: Collection[Path] | None = None,
) -> Blame | None:
    """Return the first line after which a value stands at a row.

    Parameters
    ----------
    run, files
        As in :func:`blame`.
    full : Bars
        What the plug-in is called with.
    row : int
        Bar, or entry bar of an order, that has the value.
    value : float
        A wrong answer, telling enough that other lines hardly hold it by chance.

    Returns
    -------
    Blame or None
        Where the answer is given when no line holds the value before; None when
        nothing can be said.
    """
    try:
        sources = Sources(run, files)
        recorder = Recorder(sources, len(full), row, row + 1)
        recorder.run(run, full)
        steps = recorder.steps
        holding = (s for s in steps if any(_holds(held, value) for held in _held(s, value)))
        first = next(holding, None)
        if np.isinf(value):  # no other line's doing
            return None if first is None else _stands(sources, first)
        first = first or next((s for s in reversed(steps) if s.leaves), None)
        return None if first is None else _Finder(sources).name(Guilty(first, frozenset(), {}))
    except Exception:
        return None


def _stands(sources: Sources, step: Step) -> Blame:
    source = sources.source(step.code.co_filename)
    statement = source.at(step.line)
    line = step.line if statement is None else statement.first
    if statement is not None and isinstance(statement.node, ast.With):  # come back to on leaving
        line = statement.node.body[-1].lineno
    return line_at(source, line, "here the value becomes infinite")


def _held(step: Step, value: float) -> list[np.ndarray[Any, Any]]:
    """Return values that may hold a wrong answer: those of the row, and a row's own array."""
    rows = list(step.rows.values())
    return rows + [p for p in step.plain.values() if p.ndim] if np.isinf(value) else rows


def _holds(values: np.ndarray[Any, Any], value: float) -> bool:
    if values.dtype.kind not in "iuf":
        return False
    if np.isinf(value):
        return bool((values == value).any())
    if values.size > 4:
        return False
    same = np.isclose(values.astype(np.float64), value, rtol=1e-6, atol=0.0, equal_nan=True)
    return bool(same.any())


def accuse(function: object, check: str, *, files: Collection[Path] | None = None) -> Blame | None:
    """Return the line that looks likeliest to have failed a check, from reading alone.

    Parameters
    ----------
    function : object
        The plug-in's function, or a record that holds it.
    check : str
        Name of the detector, for example ``purity`` or ``access``.
    files : collection of Path, optional
        As in :func:`blame`.

    Returns
    -------
    Blame or None
        The line of the function, of what it calls in its file or of what these use,
        before any other: what other functions do is no concern of it. Where none
        of them looks like it, the line at which the function begins. None when the
        function was not written in a file of the plug-in.
    """
    try:
        sources = Sources(function, files)
        kinds = KINDS.get(check, ())
        if not kinds:
            return None
        ranked = []
        for path in dict.fromkeys(code.co_filename for code in sources.entries):
            source = sources.source(path)
            near = _reached(source, [c for c in sources.entries if c.co_filename == path])
            ranked += [
                (not one.sure, kinds.index(one.kind), one, source)
                for one in suspects(source.tree)
                if one.kind in kinds and any(a <= one.line <= b for a, b in near)
            ]
        if ranked:
            *_, one, source = min(ranked, key=lambda r: (*r[:2], r[2].line))
            return line_at(source, one.line, one.why)
        first = next((c for c in sources.entries if c.co_name != "<lambda>"), None)
        return None if first is None else _head(sources.source(first.co_filename), first)
    except Exception:
        return None


def _head(source: SourceFile, code: CodeType) -> Blame:
    """Return the line of ``def``, below any decorators."""
    named = (n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef))
    line = next((n.lineno for n in named if _top(n) == code.co_firstlineno), code.co_firstlineno)
    return line_at(source, line)


def _top(node: ast.FunctionDef) -> int:
    return min((d.lineno for d in node.decorator_list), default=node.lineno)


def _reached(source: SourceFile, codes: list[CodeType]) -> list[tuple[int, int]]:
    """Return the line ranges of functions, of those they reach by name, and of what these use."""
    by_name: dict[str, list[ast.stmt]] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            by_name.setdefault(node.name, []).append(node)
    for node in source.tree.body:
        for target in _targets(node):
            by_name.setdefault(target, []).append(node)
    starts = {code.co_firstlineno for code in codes}
    functions = [n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef)]
    waiting: list[ast.stmt] = [f for f in functions if _top(f) in starts]
    seen: list[ast.stmt] = []
    while waiting:
        body = waiting.pop()
        if body in seen:
            continue
        seen.append(body)
        for node in ast.walk(body):
            name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
            waiting += by_name.get(name, []) if isinstance(name, str) else []
    return [
        (_top(b) if isinstance(b, ast.FunctionDef) else b.lineno, b.end_lineno or b.lineno)
        for b in seen
    ]


def _targets(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a module gives values."""
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def line_at(source: SourceFile, line: int, why: str = "") -> Blame:
    """Return a line of a file; the whole statement where one begins there."""
    statement = source.at(line)
    first, last = line, line
    if statement is not None and statement.first == line:
        last = statement.last
    return Blame(Path(source.path).name, line, source.text(first, last), why)


# --- from a step to a line ----------------------------------------------------------------


class _Finder:
    """Chooses the line of a statement, or the one that made what it uses."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def name(self, guilty: Guilty) -> Blame:
        """Return the line to show."""
        step = guilty.step
        source = self._sources.source(step.code.co_filename)
        statement = source.at(step.line)
        if guilty.blank and statement is not None:
            statement = _writer(source, statement, guilty.blank)
        if statement is None:
            return line_at(source, step.line)
        sure = self._noticed(source, statement, guilty.names, sure=True)
        if sure is not None:
            return line_at(source, sure.line, sure.why)
        fed = self._fed(source, statement, guilty, _CHASED)
        if fed is not None:
            return fed
        answers = step.leaves and not guilty.names  # no line before it was seen to differ
        known = frozenset() if guilty.alone or answers else guilty.known
        written = self._written(source, statement, _CHASED, known)
        if written is not None:
            return written
        weak = self._noticed(source, statement, guilty.names, sure=False)
        if weak is not None:
            return line_at(source, weak.line, weak.why)
        inner = self._inside(source, statement.function) if answers else None
        return line_at(source, statement.first) if inner is None else inner

    def _inside(self, source: SourceFile, function: str) -> Blame | None:
        """Return the line of a function that looks at fault, the surest first."""
        found = [
            one
            for statement in source.statements
            if statement.function == function
            for head in statement.heads
            for one in suspects(head)
            if one.kind in ("ahead", "whole", "coarse")
        ]
        one = min(found, key=lambda s: (not s.sure, s.line), default=None)
        return None if one is None else line_at(source, one.line, one.why)

    def _noticed(
        self, source: SourceFile, statement: Statement, names: frozenset[str], *, sure: bool
    ) -> Suspect | None:
        """Return the line of a statement that looks at fault, of the column that differs."""
        found = [
            one
            for head in statement.heads
            for one in suspects(head)
            if one.kind in ("ahead", "whole", "coarse") and (one.sure or not sure)
        ]
        columns = {name.rpartition("['")[2].rstrip("']") for name in names if name.endswith("']")}
        named = [o for o in found if any(c in source.lines[o.line - 1] for c in columns)]
        return next(iter(named or found), None)

    def _fed(
        self, source: SourceFile, statement: Statement, guilty: Guilty, left: int
    ) -> Blame | None:
        """Follow a number that differed already to the line that made it."""
        read = statement.names(ast.Load)
        for name, step in guilty.made.items():
            root = name.partition("[")[0].partition(".")[0]
            if root not in read or step is guilty.step or not left:
                continue
            if step.plain[name].dtype.kind not in "f" or step.leaves:
                continue
            earlier = {n: s for n, s in guilty.made.items() if s.line < step.line}
            return self.name(Guilty(step, frozenset((name,)), earlier))
        return None

    def _written(
        self, source: SourceFile, statement: Statement, left: int, known: frozenset[str]
    ) -> Blame | None:
        """Follow names whose values were not compared, such as expressions, to a usual fault."""
        read = statement.names(ast.Load) - known
        before = [s for s in source.statements if s.first < statement.first]
        for made in reversed(before):
            if made.function not in (statement.function, "") or not made.names(ast.Store) & read:
                continue
            for sure in (True, False) if known else (True,):
                one = self._noticed(source, made, frozenset(), sure=sure)
                if one is not None:
                    return line_at(source, one.line, one.why)
            found = self._written(source, made, left - 1, known) if left else None
            if found is not None:
                return found
        return None


def _writer(source: SourceFile, statement: Statement, name: str) -> Statement:
    """Return the statement that writes into an array before another one reads it."""
    writers = [
        other
        for other in source.statements
        if other.function == statement.function
        and any(
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == name
            for head in other.heads
            for node in ast.walk(head)
        )
    ]
    sure = [w for w in writers if any(s.sure for head in w.heads for s in suspects(head))]
    return (sure or writers or [statement])[-1]


__all__ = ["Blame", "accuse", "blame", "line_at", "origin", "suspects"]
