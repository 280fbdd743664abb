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
from typing import Any, Protocol, TypeVar

import numpy as np

from ffm_core.causal.contrast import Contrast, Guilty
from ffm_core.causal.sources import Source, Sources, Statement
from ffm_core.causal.suspects import KINDS, Suspect, suspects
from ffm_core.causal.tracing import Recorder

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
        holding = (s for s in steps if any(_holds(values, value) for values in s.rows.values()))
        first = next(holding, None) or next((s for s in reversed(steps) if s.leaves), None)
        return None if first is None else _Finder(sources).name(Guilty(first, frozenset(), {}))
    except Exception:
        return None


def _holds(values: np.ndarray[Any, Any], value: float) -> bool:
    if values.dtype.kind not in "iuf" or values.size > 4:
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
        None when no line looks like it.
    """
    try:
        sources = Sources(function, files)
        kinds = KINDS.get(check, ())
        ranked = []
        for path in dict.fromkeys(code.co_filename for code in sources.entries):
            source = sources.source(path)
            near = _reached(source, {c.co_name for c in sources.entries})
            for one in suspects(source.tree):
                if one.kind in kinds:
                    far = not any(first <= one.line <= last for first, last in near)
                    ranked.append((not one.sure, far, kinds.index(one.kind), one, source))
        if not ranked:
            return None
        *_, one, source = min(ranked, key=lambda r: (*r[:3], r[3].line))
        return _of_line(source, one.line, one.why)
    except Exception:
        return None


def _reached(source: Source, names: set[str]) -> list[tuple[int, int]]:
    """Return the line ranges of functions reached by name from some functions of a file."""
    bodies = {n.name: n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef)}
    waiting, seen = list(names), set(names)
    while waiting:
        body = bodies.get(waiting.pop())
        for node in ast.walk(body) if body is not None else ():
            called = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
            if called in bodies and called not in seen:
                seen.add(called)
                waiting.append(called)
    return [(b.lineno, b.end_lineno or b.lineno) for n, b in bodies.items() if n in seen]


def _of_line(source: Source, line: int, why: str = "") -> Blame:
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
            return _of_line(source, step.line)
        sure = self._noticed(source, statement, guilty.names, sure=True)
        if sure is not None:
            return _of_line(source, sure.line, sure.why)
        fed = self._fed(source, statement, guilty, _CHASED)
        if fed is not None:
            return fed
        known = frozenset() if guilty.alone else guilty.known
        written = self._written(source, statement, _CHASED, known)
        if written is not None:
            return written
        weak = self._noticed(source, statement, guilty.names, sure=False)
        if weak is not None:
            return _of_line(source, weak.line, weak.why)
        return _of_line(source, statement.first)

    def _noticed(
        self, source: Source, statement: Statement, names: frozenset[str], *, sure: bool
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

    def _fed(self, source: Source, statement: Statement, guilty: Guilty, left: int) -> Blame | None:
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
        self, source: Source, statement: Statement, left: int, known: frozenset[str]
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
                    return _of_line(source, one.line, one.why)
            found = self._written(source, made, left - 1, known) if left else None
            if found is not None:
                return found
        return None


def _writer(source: Source, statement: Statement, name: str) -> Statement:
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


__all__ = ["Blame", "accuse", "blame", "origin", "suspects"]
