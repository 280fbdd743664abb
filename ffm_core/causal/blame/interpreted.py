"""Run the compiled kernels of a plug-in as the Python they are written in, for a while.

Only Python can be watched line by line. A kernel and its source give the same
numbers but for the order of additions, so a difference shows in both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.sources import Sources
from ffm_core.types import Float32

if TYPE_CHECKING:
    from ffm_core.features.steps import Program

_WRAPPED = 20  # what wraps a function, at most


def interpreter(function: Callable[..., Any], sources: Sources) -> Callable[[Bars], Float32] | None:
    """Return what drives the step programs of a feature set in Python.

    Parameters
    ----------
    function : callable
        The set's ``batch``.
    sources : Sources
        Which files are the plug-in's.

    Returns
    -------
    callable or None
        ``bars -> float32 (T, F)``; None when the set has no step programs of the
        plug-in.
    """
    if "ffm_core.features.steps" not in sys.modules:  # numba loads only where it is used
        return None
    from ffm_core.features.steps import Program, run_programs

    held = _programs(function, Program)
    if held is None or not any(_source(program.step, sources) for program in held):
        return None
    plain = [replace(one, step=_source(one.step, sources) or one.step) for one in held]
    width = sum(len(program.columns) for program in plain)

    def run(bars: Bars) -> Float32:
        # Not what an earlier call left in memory, which may be the very values to come.
        blank = np.full((len(bars), width), np.nan, dtype=np.float32)
        return run_programs(plain, bars, out=blank)

    return run


def _programs(function: object, kind: type[Program]) -> tuple[Program, ...] | None:
    """Return the programs that a set's ``batch`` holds, however it is wrapped."""
    waiting: list[object] = [function]
    for _ in range(_WRAPPED):
        if not waiting:
            return None
        item = waiting.pop(0)
        if isinstance(item, partial):
            waiting += [item.func, *item.args]
        held = [cell.cell_contents for cell in getattr(item, "__closure__", None) or ()]
        for value in held:
            if isinstance(value, tuple) and any(isinstance(one, kind) for one in value):
                return value
        waiting += [one for one in (*held, getattr(item, "__wrapped__", None)) if callable(one)]
    return None


def _source(value: object, sources: Sources) -> FunctionType | None:
    """Return the Python function behind a kernel of the plug-in."""
    plain = getattr(value, "py_func", None)
    if isinstance(plain, FunctionType) and sources.owns(plain.__code__.co_filename):
        return plain
    return None


@contextmanager
def interpreted(sources: Sources) -> Iterator[None]:
    """Let the names of the plug-in's modules stand for the source of its kernels."""
    changed: list[tuple[ModuleType, str, object]] = []
    for module in list(sys.modules.values()):
        if not sources.owns(getattr(module, "__file__", None) or "<unknown>"):
            continue
        for name, value in list(vars(module).items()):
            plain = _source(value, sources)
            if plain is not None:
                changed.append((module, name, value))
                setattr(module, name, plain)
    try:
        with np.errstate(all="ignore"):  # as compiled code has it
            yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


__all__ = ["interpreted", "interpreter"]
