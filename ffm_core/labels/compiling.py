"""Turn the step of an exit policy into a compiled walk, or say in one line why not.

A step is a plain function of numbers. It may call ``math``, ``numpy`` and functions
like itself; what it could keep or look up between calls is refused before anything
is compiled, because a value read from its module could hold later bars.
"""

from __future__ import annotations

import dis
import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar, cast

import numba
import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.jit import kernel
from ffm_core.labels.kernels import Walked, fill_steps
from ffm_core.labels.step import STOP_FIRST, Bar, OpenTrade, Rules
from ffm_core.labels.trails import WALKS
from ffm_core.records import ExitPolicy, Params, ParamValue
from ffm_core.records.answers import first_state
from ffm_core.records.forms import refused
from ffm_core.types import Float64, Int8, Int32, Int64

Array = TypeVar("Array", bound=np.ndarray[Any, Any])
_NUMBERS = (bool, int, float, np.number, np.bool_)
_MOST = 16  # numbers in a tuple of constants
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
_FIX = "use its arguments, numbers, math and numpy; hand constants over in 'k'"
_ORDERS_FIX = "return two prices and a bool: (np.nan, np.nan, False) orders nothing"
# What compiled code may raise: an index out of bounds, an explicit raise or assert.
STEP_ERRORS = (ArithmeticError, LookupError, ValueError, AssertionError)

_TRADE, _BAR = OpenTrade(1.0, 100.0, 1.0, 1.0, 1), Bar(100.0, 101.0, 99.0, 100.5, 1.0)


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A policy's step, ready to be asked bar by bar or to walk many trades.

    Parameters
    ----------
    decide : kernel
        ``decide(trade, bar, row, f, i, k) -> (stop, target, leave)``.
    walk : kernel
        As :func:`~ffm_core.labels.kernels.fill_steps` without its first argument.
    """

    decide: Any
    walk: Callable[..., Walked]


def locked(values: Array) -> Array:
    """Return a contiguous read-only view of the same type, which kernels know by one type."""
    view: Any = np.ascontiguousarray(values).view()
    view.setflags(write=False)
    return cast("Array", view)


def start_of(policy: ExitPolicy, params: Params) -> tuple[Float64, Int64, Float64]:
    """Return the state each trade of a policy starts with, and its constants, read-only.

    Raises
    ------
    StrategyError
        When ``start`` returns something else than three arrays of numbers.
    """
    if policy.start is None:
        return locked(np.zeros(0)), locked(np.zeros(0, dtype=np.int64)), locked(np.zeros(0))
    f, i, k = first_state(policy, policy.start(dict(params)))
    return locked(f.copy()), locked(i.copy()), locked(k.copy())


def compile_step(policy: ExitPolicy, params: Params) -> CompiledStep:
    """Return the compiled step of a policy.

    Raises
    ------
    StrategyError
        When it reads something it may not, cannot be compiled, or returns something
        else than a stop, a target and whether to leave.
    """
    step = policy.step
    assert step is not None
    known = WALKS.get(step)
    if known is not None:
        return CompiledStep(step, known)
    _vet(policy, tuple(sorted(params.items())))
    return _compiled(getattr(step, "py_func", step))


@lru_cache(maxsize=64)
def _vet(policy: ExitPolicy, params: tuple[tuple[str, ParamValue], ...]) -> None:
    """Look at what a step reads, then ask it about a made-up bar."""
    plain: Any = getattr(policy.step, "py_func", policy.step)
    if not inspect.isfunction(plain):
        raise _refused(policy, f"the step is a {type(plain).__name__}, not a function", _FIX)
    problem = next(_forbidden(plain, set()), None)
    if problem is not None:
        raise _refused(policy, problem[0], _FIX, problem[1])
    _try(policy, plain, dict(params))


@lru_cache(maxsize=64)
def _alone(plain: Callable[..., Any]) -> Any:
    """Compile a step by itself; a read beyond the end of an array raises."""
    return numba.njit(nogil=True, error_model="numpy", boundscheck=True)(plain)


@lru_cache(maxsize=64)
def _compiled(plain: Callable[..., Any]) -> CompiledStep:
    """Give a step the one signature that the walk, compiled once for all steps, calls."""
    inner = _alone(plain)

    @numba.njit(_step_type(), nogil=True, error_model="numpy")  # type: ignore[misc, unused-ignore]
    def decide(
        trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64
    ) -> tuple[float, float, bool]:
        stop, target, leave = inner(trade, bar, row, f, i, k)
        return float(stop), float(target), bool(leave)

    return CompiledStep(inner, partial(_any_walk(), decide))


def _array(kind: Any, axes: int = 1, *, readonly: bool = True) -> Any:
    return numba.types.Array(kind, axes, "C", readonly=readonly)


@lru_cache(maxsize=1)
def _step_type() -> Any:
    """Return the signature of a step."""
    real, whole = numba.types.float64, numba.types.int64
    trade, bar = (numba.typeof(one) for one in (_TRADE, _BAR))
    kept = (_array(kind, readonly=False) for kind in (real, real, whole))
    ordered = numba.types.Tuple((real, real, numba.types.boolean))
    return ordered(trade, bar, *kept, _array(real))


@lru_cache(maxsize=1)
def _any_walk() -> Callable[..., Walked]:
    """Return the walk that takes any compiled step as its first argument."""
    real, whole, side = numba.types.float64, numba.types.int64, numba.types.int8
    walked = [_array(kind, readonly=False) for kind in (whole, real, side, real, real)]
    signature = numba.types.NamedTuple(walked, Walked)(
        numba.types.FunctionType(_step_type()), *[_array(real)] * 5, _array(whole), _array(whole),
        _array(side), *[_array(real)] * 4, _array(numba.types.int32), numba.typeof(STOP_FIRST),
        _array(real, 2), _array(real), _array(whole), _array(real),
    )  # fmt: skip
    made: Callable[..., Walked] = kernel(_walk, signature)
    return made


def _walk(
    decide: Callable[..., Any], open_: Float64, high: Float64, low: Float64, close: Float64,
    volume: Float64, flat_at: Int64, entry_bar: Int64, side: Int8, stop: Float64,
    target: Float64, risk: Float64, atr: Float64, horizon: Int32, rules: Rules, rows: Float64,
    f: Float64, i: Int64, k: Float64,
) -> Walked:  # fmt: skip
    return fill_steps(
        decide, open_, high, low, close, volume, flat_at, entry_bar, side, stop, target, risk,
        atr, horizon, rules, rows, f, i, k,
    )  # fmt: skip


def _try(policy: ExitPolicy, plain: Any, params: Params) -> None:
    """Ask the step about a made-up bar; what it cannot do shows here."""
    f, i, k = start_of(policy, params)
    place, row = _place(plain.__code__), np.zeros(len(policy.columns))
    decide = _alone(plain)
    try:
        decide(_TRADE, _BAR, row, f.copy(), i.copy(), k)
        answer = decide.nopython_signatures[-1].return_type
    except (numba.core.errors.NumbaError, TypeError) as error:
        what, line = _said(error)
        raise _refused(
            policy, f"the step cannot be compiled: {what}", _FIX, line or place
        ) from error
    except STEP_ERRORS as error:
        raise raised(policy, error) from error
    if not _orders(answer):
        problem = f"the step returns {_spoken(answer)} instead of (stop, target, leave)"
        raise _refused(policy, problem, _ORDERS_FIX, place)


def raised(policy: ExitPolicy, error: Exception) -> StrategyError:
    """Return the error of a policy whose step raises while it is asked."""
    code: Any = getattr(policy.step, "py_func", policy.step)
    what = f"the step raises {type(error).__name__}: {error}"
    fix = "guard it; a step answers every bar, and f, i, row and k are as long as you made them"
    return _refused(policy, what, fix, _place(code.__code__))


def _orders(answer: Any) -> bool:
    """Whether a compiled function returns two numbers and a flag."""
    parts = tuple(answer) if isinstance(answer, numba.types.BaseTuple) else ()
    kinds = numba.types.Number, numba.types.Boolean
    return len(parts) == 3 and all(isinstance(part, kinds) for part in parts)


def _spoken(answer: Any) -> str:
    if isinstance(answer, numba.types.NoneType | numba.types.Optional):
        return "None on some way through it"
    return str(answer)


def _refused(policy: ExitPolicy, problem: str, fix: str, line: str = "") -> StrategyError:
    where = f" ({line})" if line else ""
    return refused(f"exit policy {policy.name!r}", problem + where, fix)


def _forbidden(function: Any, seen: set[CodeType]) -> Iterator[tuple[str, str]]:
    """Yield what a step, or a function it calls, reads and may not, and where."""
    code = function.__code__
    if code in seen:
        return
    seen.add(code)
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    for value in defaults:
        what = _objection("a default", value, None)
        if what:
            yield f"the step {what}", _place(code)
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    for part in _parts(code):
        line, follows = part.co_firstlineno, list(dis.get_instructions(part))
        for at, one in enumerate(follows):
            line = (one.positions.lineno if one.positions else None) or line
            if one.opname not in _LOADS or one.argval not in names:
                continue
            value = names[one.argval]
            after = follows[at + 1].argval if at + 1 < len(follows) else None
            what = _objection(repr(one.argval), value, after)
            if what:
                yield f"the step {what}", f"{Path(part.co_filename).name}:{line}"
            plain = getattr(value, "py_func", value)
            if inspect.isfunction(plain):
                yield from _forbidden(plain, seen)


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _objection(name: str, value: Any, after: object) -> str:
    """Return what is wrong with a name that a step looks up; empty when nothing is."""
    if isinstance(value, ModuleType):
        if value in (np, math):
            return "draws random numbers" if after == "random" else ""
        return f"reads from the module {value.__name__}"
    if isinstance(value, np.ndarray):
        return f"reads {name}, an array outside it"
    if isinstance(value, list | dict | set | bytearray):
        return f"reads {name}, a {type(value).__name__} outside it"
    if isinstance(value, tuple):
        short = len(value) <= _MOST and all(isinstance(one, _NUMBERS) for one in value)
        return "" if short else f"reads {name}, a tuple that is no short list of numbers"
    home = getattr(value, "__module__", None) or ""
    if home.split(".")[0] in ("random", "secrets") or home.startswith("numpy.random"):
        return "draws random numbers"
    if home.split(".")[0] == "numba":
        return f"uses {name} of numba"
    plain = getattr(value, "py_func", value)
    allowed = (*_NUMBERS, str, type(None), np.ufunc)
    if isinstance(value, allowed) or inspect.isfunction(plain) or inspect.isbuiltin(plain):
        return ""
    if isinstance(value, type) and home in ("builtins", "numpy", "ffm_core.labels.step"):
        return ""
    return f"reads {name}, a {type(value).__name__} outside it"


def _said(error: BaseException) -> tuple[str, str]:
    """Return the heart of a compiler's message in one line, and the place it names."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    place = next((m for line in lines if (m := _PLACE.search(line))), None)
    telling = [line for line in lines if not line.startswith(_NOISE)]
    what = telling[0].removeprefix("- ") if telling else type(error).__name__
    if "readonly array" in text:
        what = "it writes to 'k', which is read-only"
    where = f"{Path(place.group(1)).name}:{place.group(2)}" if place else ""
    return what.rstrip(".:"), where


_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_NOISE = ("Failed in nopython", "During:", "File ", "No implementation", "There are", ">>>",
          "Overload", "Rejected", "This error", "<source", "[1]", "[2]")  # fmt: skip


def _place(code: CodeType) -> str:
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


__all__ = ["STEP_ERRORS", "CompiledStep", "compile_step", "locked", "raised", "start_of"]
