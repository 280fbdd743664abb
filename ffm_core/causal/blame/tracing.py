"""Record what the lines of a plug-in make of a few bars, line by line.

After every line, the values it changed are kept: of those that have one entry
per bar only the entries of the bars in question, others when they are small.
Loops over bars are recorded only while they work on those bars, so that a
series of any length leaves a short record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import islice
from types import CodeType, FrameType
from typing import Any, TypeAlias, TypeVar

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.sources import Loop, Sources

MAX_EVENTS = 3_000_000  # lines executed before tracing ends; counted, so that runs agree
MAX_STEPS = 30_000
_FEW = 32  # visits of a line, or calls of a function, that are recorded wherever they are
_SMALL = 4_096  # numbers in a value that is kept whole
_PARTS = 64  # members of a tuple, list or dict that are looked into

T = TypeVar("T")
Values: TypeAlias = dict[str, np.ndarray[Any, Any]]
Place: TypeAlias = tuple[CodeType, int, int, int, int, bool]


@dataclass(slots=True)
class Step:
    """One execution of one line.

    Parameters
    ----------
    code, call, line
        Which function, the how many-th call of it, and which line.
    turn, repeat : int
        Which turn of the loop around the line, -1 outside loops, and the how
        many-th execution in that turn.
    leaves : bool
        Whether the function returns from here.
    hot : bool
        Whether the loop has more turns, or the function more calls, than those
        over a few things have: it goes from bar to bar.
    rows : dict
        Values with one entry per bar that the line changed: entries lo to hi.
    plain : dict
        Other numbers that it changed.
    """

    code: CodeType
    call: int
    line: int
    turn: int
    repeat: int
    leaves: bool
    hot: bool
    rows: Values = field(default_factory=dict)
    plain: Values = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """What the step of another run has to have in common with this one."""
        return self.code, self.call, self.line, self.turn, self.repeat, self.leaves


class Recorder:
    """Runs a function with every line of the plug-in's own files watched.

    Parameters
    ----------
    sources : Sources
        Which files are the plug-in's, and where their loops are.
    n_bars : int
        Bars given to the function.
    lo, hi : int
        The bars in question, as the function counts them.
    """

    def __init__(self, sources: Sources, n_bars: int, lo: int, hi: int) -> None:
        self.sources = sources
        self.n_bars, self.lo, self.hi = n_bars, max(lo, 0), min(hi, n_bars)
        self.steps: list[Step] = []
        self.events = 0
        self.open: dict[FrameType, _Watch] = {}
        self._calls: dict[CodeType, int] = {}
        self._inside = 0  # frames whose loop is at the bars in question

    def run(self, function: Callable[[T], object], bars: T) -> object:
        """Call ``function(bars)``; the trace function that was set is set again."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return function(bars)
        finally:
            sys.settrace(before)

    def over(self) -> bool:
        """Count an event; end tracing when there were too many."""
        self.events += 1
        if self.events < MAX_EVENTS and len(self.steps) < MAX_STEPS:
            return False
        sys.settrace(None)
        return True

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if event != "call" or not self.sources.own(code) or self.over():
            return None
        call = self._calls.get(code, 0)
        self._calls[code] = call + 1
        if call >= _FEW and not self._inside and not self._asks(frame):
            return None
        watch = self.open[frame] = _Watch(self, frame, call)
        caller = self.open.get(frame.f_back) if frame.f_back is not None else None
        if caller is not None:
            caller.passes(code.co_name, watch.given)
        return watch.trace

    def _asks(self, frame: FrameType) -> bool:
        """Whether a function called once a bar is called for one of the bars in question."""
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        given = (frame.f_locals.get(name) for name in names)
        return any(
            isinstance(value, int | np.integer) and self.lo - 1 <= value <= self.hi
            for value in given
        )

    def inside(self, change: int) -> None:
        """Note that a loop has come to the bars in question, or has left them."""
        self._inside += change


class _Watch:
    """One call of one function."""

    def __init__(self, recorder: Recorder, frame: FrameType, call: int) -> None:
        self._recorder = recorder
        self._code = frame.f_code
        self._call = call
        self._loops = recorder.sources.loops(frame.f_code)
        self._visits: dict[int, int] = {}
        self._repeats: dict[int, int] = {}
        self._line = 0
        self._turn, self._active, self._wanted = -1, False, False
        self._last: dict[str, Any] = {}
        self._rows: Values = {}
        self._plain: Values = {}
        self._passed = 0
        self.given = self._changes(frame)[0]  # arguments are the caller's doing

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        recorder = self._recorder
        if event == "line":
            if recorder.over():
                return None
            if self._wanted:
                self._record(frame, leaves=False, returned=None)
            self._arrive(frame)
        elif event == "return":
            if self._line:
                self._record(frame, leaves=True, returned=arg)
            self._activate(False)
            recorder.open.pop(frame, None)
        return self.trace

    def passes(self, name: str, given: Values) -> None:
        """Record what this function passes to another one, as if it had kept it."""
        if not given or not self._wanted:
            return
        self._passed -= 1
        rows = {f"{name}({key})": values for key, values in given.items()}
        inside = self._turn >= 0 and self._line in self._loops
        turn = self._turn if inside else -1
        step = Step(self._code, self._call, self._line, turn, self._passed, False, False, rows)
        self._recorder.steps.append(step)

    def _arrive(self, frame: FrameType) -> None:
        line = self._line = frame.f_lineno
        visits = self._visits[line] = self._visits.get(line, 0) + 1
        loop = self._loops.get(line)
        if loop is None:
            if self._turn >= 0:
                self._turn = -1
                self._activate(False)
            self._wanted, self._passed = True, 0
            return
        if line == loop[0]:
            self._turn = _turn(frame, loop, visits)
            self._repeats.clear()
            self._passed = 0
            recorder = self._recorder
            self._activate(recorder.lo - 1 <= self._turn <= recorder.hi)
        self._repeats[line] = self._repeats.get(line, 0) + 1
        self._wanted = self._active or visits <= _FEW

    def _activate(self, now: bool) -> None:
        if now != self._active:
            self._active = now
            self._recorder.inside(1 if now else -1)

    def _record(self, frame: FrameType, *, leaves: bool, returned: Any) -> None:
        rows, plain = self._changes(frame)
        if leaves:
            found = _look("return", returned, self._recorder, {})
            rows.update(found[0])
            plain.update(found[1])
        inside = self._turn >= 0 and self._line in self._loops
        self._recorder.steps.append(
            Step(
                self._code,
                self._call,
                self._line,
                self._turn if inside else -1,
                self._repeats.get(self._line, 0) if inside else self._visits.get(self._line, 0),
                leaves,
                self._call >= _FEW or (inside and self._visits[self._line] > _FEW),
                rows,
                plain,
            )
        )

    def _changes(self, frame: FrameType) -> tuple[Values, Values]:
        """Return the locals that have changed since they were last looked at."""
        values = dict(frame.f_locals)
        indices = _indices(values, self._recorder)
        rows: Values = {}
        plain: Values = {}
        for name, value in values.items():
            if isinstance(value, Bars) or (value is self._last.get(name) and _stays(value)):
                continue
            self._last[name] = value
            for found, known, changed in zip(
                _look(name, value, self._recorder, indices),
                (self._rows, self._plain),
                (rows, plain),
                strict=True,
            ):
                for key, array in found.items():
                    if key not in known or not _equal_bytes(known[key], array):
                        known[key] = changed[key] = array
        return rows, plain


def _turn(frame: FrameType, loop: Loop, visits: int) -> int:
    """Return the whole number a loop counts with, or how often it has turned."""
    for name in loop[1]:
        value = frame.f_locals.get(name)
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return int(value)
    return visits - 1


def _stays(value: object) -> bool:
    """Whether a value that is the same object is the same value."""
    if isinstance(value, np.ndarray):
        return not value.flags.writeable
    if isinstance(value, pl.DataFrame | pl.Series):
        return True  # changed in place by few, and then a line later by name
    if _is_record(value):
        return bool(value.__dataclass_params__.frozen)  # type: ignore[attr-defined]
    return not isinstance(value, list | dict | tuple) and not hasattr(value, "__dict__")


def _equal_bytes(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


# --- values -------------------------------------------------------------------------------


def _indices(values: dict[str, Any], recorder: Recorder) -> dict[int, np.ndarray[Any, Any]]:
    """Return, by length, arrays that list bars in ascending order."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    for value in values.values():
        held, least = (value,), 2  # a single number may be a counter
        if _is_record(value):
            held, least = tuple(getattr(value, one.name) for one in fields(value)), 1
        for array in held:
            if isinstance(array, np.ndarray) and _lists_bars(array, recorder.n_bars, least):
                found.setdefault(len(array), array)
    return found


def _is_record(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type | Bars)


def _lists_bars(value: np.ndarray[Any, Any], n_bars: int, least: int) -> bool:
    if value.ndim != 1 or value.dtype.kind not in "iu" or not least <= len(value) < n_bars:
        return False
    return bool(value[0] >= 0 and value[-1] < n_bars and (np.diff(value) >= 0).all())


def _look(
    name: str, value: Any, recorder: Recorder, indices: dict[int, np.ndarray[Any, Any]]
) -> tuple[Values, Values]:
    """Return what a value says of the bars in question, and what it says apart from bars."""
    rows: Values = {}
    plain: Values = {}
    for key, member in _members(name, value, recorder, 2):
        size = _length(member)
        at = indices.get(size)
        if size == recorder.n_bars:
            array = _array(member[recorder.lo : recorder.hi])
            known = rows
        elif at is not None:
            here = np.flatnonzero((at >= recorder.lo) & (at < recorder.hi))
            array = _array(member[here[0] : here[-1] + 1] if len(here) else member[:0])
            known = rows
        else:
            array = _array(member) if size <= _SMALL else None
            known = plain
        if array is not None and array.dtype.kind in "biufMmUS" and array.size <= 64 * _SMALL:
            known[key] = array
    return rows, plain


def _members(name: str, value: Any, recorder: Recorder, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield a value, or what it is made of, under names that an author would use."""
    if isinstance(value, pl.DataFrame) or _is_pandas_frame(value):
        for column in islice(value.columns, _PARTS):
            yield f"{name}[{column!r}]", value[column]
    elif isinstance(value, dict) and depth:
        for key, member in islice(value.items(), _PARTS):
            yield from _members(f"{name}[{key!r}]", member, recorder, depth - 1)
    elif isinstance(value, tuple | list) and len(value) != recorder.n_bars:
        if depth and len(value) <= _PARTS:
            for i, member in enumerate(value):
                yield from _members(f"{name}[{i}]", member, recorder, depth - 1)
    elif depth and _is_record(value):
        for one in fields(value):
            yield from _members(f"{name}.{one.name}", getattr(value, one.name), recorder, depth - 1)
    elif depth and recorder.sources.made(value):
        for key, member in islice(vars(value).items(), _PARTS):
            yield from _members(f"{name}.{key}", member, recorder, 0)
    else:
        yield name, value


def _is_pandas_frame(value: Any) -> bool:
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def _length(value: Any) -> int:
    """Return how many entries a value has along its first axis, -1 when it is one number."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else -1
    return len(value) if isinstance(value, list | tuple) or hasattr(value, "to_numpy") else -1


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return a copy of a value as an array, or None when it holds no numbers."""
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        return np.array(value)
    if isinstance(value, pl.Series) or hasattr(value, "to_numpy"):
        array = np.array(value.to_numpy())
        return array if array.dtype.kind != "O" else array.astype(str)
    if not isinstance(value, list | tuple):
        return None
    numbers = all(isinstance(member, bool | int | float | np.generic) for member in value)
    return np.array(value) if numbers else None


__all__ = ["Recorder", "Step", "Values"]
