"""What a plug-in brings along beside its code: tables, texts and files its answers can use.

Found by following names from the plug-in's functions, through its own modules, closures,
default arguments and objects. Nothing is wrong with a constant; whoever reads the certificate
sees that there is one, and how large.
"""

from __future__ import annotations

import datetime as dt
import inspect
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import polars as pl

from ffm_core.records import Reason, because

_FEWEST = 10  # entries, below which a container is a setting
_LONGEST_TEXT = 200  # characters
_MOST = 20  # things that are listed
_DEEPEST = 6
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FORMS: Mapping[type, str] = {
    list: "a list", tuple: "a tuple", set: "a set", frozenset: "a set", dict: "a mapping",
}  # fmt: skip


def carried(
    functions: Iterable[Callable[..., Any]], is_own: Callable[[str], bool]
) -> tuple[Reason, ...]:
    """Return what is carried, in the order it is met.

    Parameters
    ----------
    functions : iterable of callable
        What is called of the plug-in.
    is_own : callable
        Whether a file belongs to it.
    """
    walk = _Walk(is_own)
    for function in functions:
        walk.visit(function, "", 0)
    return tuple(list(dict.fromkeys(walk.found))[:_MOST])


class _Walk:
    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._is_own = is_own
        self._seen: dict[int, Any] = {}  # kept alive, so that no number is given twice
        self.found: list[Reason] = []

    def visit(self, value: Any, name: str, depth: int) -> None:
        """Note a value, and go on to what can be reached from it."""
        if id(value) in self._seen or depth > _DEEPEST or len(self.found) > _MOST:
            return
        self._seen[id(value)] = value
        told = _described(value, name)
        if told is not None:
            self.found.append(told)
            return
        for inner, called in self._inside(value, name):
            self.visit(inner, called, depth + 1)

    def _inside(self, value: Any, name: str) -> Iterator[tuple[Any, str]]:
        kept = (inspect.getattr_static(value, key, None) for key in ("py_func", "__wrapped__"))
        plain = next((one for one in kept if callable(one)), None)
        if isinstance(value, FunctionType):
            if self._is_own(value.__code__.co_filename):
                yield from self._of_function(value)
        elif plain is not None:
            yield plain, name
        if isinstance(value, partial):
            given = value.keywords.items()
            yield from ((one, name) for one in (value.func, *value.args))
            yield from ((one, str(key)) for key, one in given)
        elif isinstance(value, Mapping):
            yield from ((one, name) for one in list(value.values())[:_MOST])
        elif isinstance(value, list | tuple | set | frozenset):
            yield from ((one, name) for one in list(value)[:_MOST])
        elif isinstance(value, MethodType):
            yield value.__func__, name
            yield value.__self__, name
        elif self._owns(value if isinstance(value, type) else type(value)):
            yield from ((one, f"{name}.{key}".lstrip(".")) for key, one in _parts(value))
            if not isinstance(value, type):
                yield type(value), type(value).__name__

    def _of_function(self, function: FunctionType) -> Iterator[tuple[Any, str]]:
        names = set(_names(function.__code__))
        scope = function.__globals__
        for name in sorted(names & scope.keys()):
            value = scope[name]
            if not isinstance(value, ModuleType):
                yield value, name
            elif self._is_own(getattr(value, "__file__", None) or ""):
                held = vars(value)
                yield from ((held[inner], inner) for inner in sorted(names & held.keys()))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            try:
                yield cell.cell_contents, name
            except ValueError:  # not filled yet
                continue
        code = function.__code__
        given = function.__defaults__ or ()
        named = code.co_varnames[: code.co_argcount][-len(given) :] if given else ()
        yield from zip(given, named, strict=True)
        yield from ((value, key) for key, value in (function.__kwdefaults__ or {}).items())
        yield from ((value, key) for key, value in vars(function).items() if key != "__wrapped__")

    def _owns(self, kind: type) -> bool:
        functions = (value for value in vars(kind).values() if isinstance(value, FunctionType))
        return any(self._is_own(one.__code__.co_filename) for one in functions)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _parts(value: Any) -> list[tuple[str, Any]]:
    held = dict(getattr(value, "__dict__", {}))
    slots = (s for kind in type(value).__mro__ for s in getattr(kind, "__slots__", ()))
    held |= {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return [(name, one) for name, one in held.items() if not name.startswith("__")]


def _described(value: Any, name: str) -> Reason | None:
    """Return what a table, text or file is; None of anything else, and of small settings."""
    form, of, count = "", "", 0
    if isinstance(value, pl.DataFrame | pl.Series):
        form = "a frame" if isinstance(value, pl.DataFrame) else "a series"
        of, count = "rows", len(value)
    elif isinstance(value, pl.LazyFrame):
        return _told("carries_source", name, form="a lazy frame")
    elif isinstance(value, io.IOBase):
        return _told("carries_source", name, form="an open file")
    elif isinstance(value, np.ndarray):
        form, of, count = "an array", "numbers", value.size
    elif isinstance(value, str | bytes):
        form, of = "a text", "characters"
        count = len(value) if len(value) >= _LONGEST_TEXT else 0
    elif type(value) in _FORMS:
        form, of, count = _FORMS[type(value)], _kind_of(value), len(value)
    elif type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "index"):
        form, of, count = "a frame", "rows", len(value)
    if count < _FEWEST or not of:
        return None
    return _told("carries", name, form=form, of=of, count=count)


def _told(kind: str, name: str, **said: str | int) -> Reason:
    return because(kind, **said, **({"name": name} if name else {}))


def unnamed(carries: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return the same without the names of things, for plug-ins that are private."""
    return tuple(
        replace(one, names={k: v for k, v in one.names.items() if k not in ("name", "file")})
        for one in carries
    )


def _kind_of(values: Any) -> str:
    """Return what a container holds, in one word; "" of code and records."""
    shown = list(values)[:1_000]
    if all(isinstance(one, dt.date | np.datetime64) or _is_day(one) for one in shown):
        return "dates"
    if all(isinstance(one, int | float | np.number) for one in shown):
        return "numbers"
    if all(isinstance(one, str) for one in shown):
        return "texts"
    plain = (dt.date, int, float, str, bytes, np.generic, list, tuple, dict, type(None))
    return "entries" if all(isinstance(one, plain) for one in shown) else ""


def _is_day(value: object) -> bool:
    return isinstance(value, str) and _DAY.match(value) is not None


__all__ = ["carried", "unnamed"]
