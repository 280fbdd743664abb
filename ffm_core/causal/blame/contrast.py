"""Walk through two runs of a plug-in side by side and find where they part."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ffm_core.causal.blame.sources import Sources, Statement
from ffm_core.causal.blame.tracing import Place, Step, Values

_RELATIVE = 1e-7  # differences below this are a matter of the order of additions
_BRANCHES = (ast.If, ast.Assert, ast.Match)

Frame: TypeAlias = tuple[CodeType, int]


class Guilty(NamedTuple):
    """A step, and the other numbers of its function that differ already."""

    step: Step
    names: frozenset[str]  # values that differ after it
    made: dict[str, Step]  # number that differed before it -> the step that made it
    alone: bool = False  # whether only one of the runs came here
    known: frozenset[str] = frozenset()  # locals whose values were compared
    blank: str = ""  # array that was made empty and filled, the step only reads it


class _State:
    """Where one function call stands in one run."""

    def __init__(self) -> None:
        self.rows: Values = {}
        self.before: Values = {}
        self.plain: Values = {}
        self.made: dict[str, Step] = {}
        self.previous: Step | None = None
        self.leading: dict[int, Step | None] = {}  # step -> the one before it

    def take(self, step: Step) -> None:
        for name, values in step.rows.items():
            if name in self.rows:
                self.before[name] = self.rows[name]
            self.rows[name] = values
            self.made[name] = step
        for name, values in step.plain.items():
            self.plain[name] = values
            self.made[name] = step
        self.leading[id(step)] = self.previous
        self.previous = step


class Contrast:
    """Walks through both runs side by side, in the order of the second."""

    def __init__(self, full: list[Step], part: list[Step], sources: Sources, start: int) -> None:
        self._sources = sources
        self._start = start
        self._full = full
        self._part = part
        self._places: dict[Place, int] = {}
        for i, step in enumerate(full):
            self._places.setdefault(step.place, i)
        self._taken: set[Place] = {step.place for step in part}
        self._states: dict[Frame, tuple[_State, _State]] = {}
        self._of_frame: dict[Frame, list[int]] = {}
        for i, step in enumerate(full):
            self._of_frame.setdefault((step.code, step.call), []).append(i)
        self._reached: dict[Frame, int] = {}
        self._numbers: dict[tuple[Frame, str], Step] = {}  # numbers that differ, by name

    def guilty(self) -> Guilty | None:
        """Return the step at fault, by the best evidence there is."""
        fork: Guilty | None = None
        for step in self._part:
            frame = (step.code, step.call)
            a, b = self._states.setdefault(frame, (_State(), _State()))
            dirty = set(step.rows)
            b.take(step)
            at = self._match(step)
            if at is None:
                fork = fork or self._fork(step, b)
                continue
            rows, numbers = self._replay(frame, a, at)
            numbers |= set(step.plain)
            found = self._rows(step, dirty | rows, a, b)
            found = found or self._loop_numbers(step, numbers, a, b)
            if found is not None:
                return found
            self._note_numbers(frame, step, numbers, a, b)
        return fork or self._first_number() or self._last()

    def _match(self, step: Step) -> int | None:
        found = self._places.get(step.place)
        if self._start and step.turn >= 0:  # a loop over bars counts from another bar
            moved = (step.code, step.call, step.line, step.turn + self._start, *step.place[4:])
            found = self._places.get(moved, None if step.hot else found)
        return found

    def _replay(self, frame: Frame, state: _State, upto: int) -> tuple[set[str], set[str]]:
        """Bring the other run to the same step; return the rows and numbers it touched."""
        rows: set[str] = set()
        numbers: set[str] = set()
        indices = self._of_frame[frame]
        reached = self._reached.get(frame, 0)
        while reached < len(indices) and indices[reached] <= upto:
            step = self._full[indices[reached]]
            state.take(step)
            rows |= set(step.rows)
            numbers |= set(step.plain)
            reached += 1
        self._reached[frame] = reached
        return rows, numbers

    def _rows(self, step: Step, dirty: set[str], a: _State, b: _State) -> Guilty | None:
        wrong = []
        for name in sorted(dirty):
            if name not in a.rows or name not in b.rows:
                continue
            written = self._written(name, a, b)
            if written is not None and _differ(a.rows[name][written], b.rows[name][written]):
                wrong.append(name)
        if not wrong:
            return None
        for state, other in ((b, self._places), (a, self._taken)):
            maker = state.made[wrong[0]]
            if maker.place not in other and self._start == 0:
                # Only one run came here: the line that sent it here is at fault.
                leading = state.leading.get(id(maker))
                chosen = maker if leading is None or self._turns(leading) else leading
                return self._with_numbers(chosen, frozenset())._replace(alone=True)
        maker = step if wrong[0] in step.rows else a.made[wrong[0]]
        found = self._with_numbers(maker, frozenset(wrong))
        return found._replace(blank=self._filled(maker, a, b))

    def _filled(self, step: Step, a: _State, b: _State) -> str:
        """Return an array that differs unnoticed, because it was filled with what lay there.

        Memory given back by an earlier call may hold the very values that are written.
        """
        statement = self._statement(step)
        for name in sorted(a.rows.keys() & b.rows.keys()):
            made = self._statement(b.made[name])
            if statement is None or made is None or made is statement or not _is_blank(made):
                continue
            if name in statement.names(ast.Load) and _differ(a.rows[name], b.rows[name]):
                return name
        return ""

    def _written(self, name: str, a: _State, b: _State) -> Any:
        """Return which rows count: all of a new value, or those that were written."""
        one, two = a.rows[name], b.rows[name]
        if one.shape != two.shape:
            return ...
        touched = np.zeros(one.shape, dtype=np.bool_)
        for now, before in ((one, a.before.get(name)), (two, b.before.get(name))):
            if before is not None and before.shape == now.shape:
                touched |= _unlike(now, before)
        if touched.any():
            return touched
        statement = self._statement(b.made[name])
        return None if statement is not None and _is_blank(statement) else ...

    def _statement(self, step: Step) -> Statement | None:
        return self._sources.source(step.code.co_filename).at(step.line)

    def _turns(self, step: Step) -> bool:
        """Whether a step is the head of a loop, which ends early in the shorter run."""
        statement = self._statement(step)
        return statement is not None and isinstance(statement.node, ast.For | ast.While)

    def _loop_numbers(self, step: Step, numbers: set[str], a: _State, b: _State) -> Guilty | None:
        """In a loop over bars a number of one turn is a value of that bar."""
        if not step.hot:
            return None
        for name in sorted(numbers):
            one, two = a.plain.get(name), b.plain.get(name)
            if one is None or two is None or two.dtype.kind not in "fb" or two.ndim:
                continue
            if _differ(one, two):
                return self._with_numbers(step, frozenset((name,)))
        return None

    def _note_numbers(
        self, frame: Frame, step: Step, numbers: set[str], a: _State, b: _State
    ) -> None:
        for name in sorted(numbers):
            one, two = a.plain.get(name), b.plain.get(name)
            if one is None or two is None:
                continue
            if one.shape == two.shape and _differ(one, two):
                self._numbers[frame, name] = b.made[name]
            else:
                self._numbers.pop((frame, name), None)

    def _fork(self, step: Step, state: _State) -> Guilty | None:
        """Return the branch that sent one run where the other did not go."""
        leading = state.leading.get(id(step))
        if leading is None or self._start:
            return None
        statement = self._statement(leading)
        if statement is None or not isinstance(statement.node, _BRANCHES):
            return None
        return self._with_numbers(leading, frozenset())._replace(alone=True)

    def _first_number(self) -> Guilty | None:
        floats = [s for (_, name), s in self._numbers.items() if s.plain[name].dtype.kind == "f"]
        return Guilty(floats[0], frozenset(), {}) if floats else None

    def _last(self) -> Guilty | None:
        """Return where the answer was given."""
        last = next((s for s in reversed(self._part) if s.leaves), None)
        return None if last is None else self._with_numbers(last, frozenset())

    def _with_numbers(self, step: Step, names: frozenset[str]) -> Guilty:
        frame = (step.code, step.call)
        made = {name: s for (f, name), s in self._numbers.items() if f == frame}
        held = self._states[frame][1].made if frame in self._states else {}
        known = frozenset(name.partition("[")[0].partition(".")[0] for name in held)
        return Guilty(step, names, made, known=known)


def _unlike(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Any:
    same = a == b
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        same |= np.isnan(a) & np.isnan(b)
    return ~same


def _differ(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two values differ by more than the order of additions explains."""
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return True
    if a.dtype.kind not in "fc":
        return not np.array_equal(a, b)
    wrong = _unlike(a, b)
    if not wrong.any():
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        room = _RELATIVE * np.maximum(np.abs(a), np.abs(b))
        return bool((wrong & ~(np.abs(a - b) <= room)).any())


def _is_blank(statement: Statement) -> bool:
    """Whether a statement makes an array whose values mean nothing yet."""
    calls = (n for head in statement.heads for n in ast.walk(head) if isinstance(n, ast.Call))
    names = {getattr(c.func, "attr", getattr(c.func, "id", "")) for c in calls}
    return bool(names & {"empty", "empty_like"})


__all__ = ["Contrast", "Guilty"]
