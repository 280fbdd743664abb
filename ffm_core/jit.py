"""One way to compile a kernel: cached under ``FFM_HOME``, no GIL, no fast-math.

Fast-math stays off because the same inputs must give the same bytes on every
machine that follows IEEE 754.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

from ffm_core.paths import kernel_folder

os.environ["NUMBA_CACHE_DIR"] = str(kernel_folder())

import numba
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F, signature: object = None) -> F:
    """Compile ``function`` on first call and cache the machine code.

    With a numba ``signature`` it is compiled at once, for those types alone. Without a
    place to keep the code (a folder that cannot be written) it is compiled anew in every
    process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    compiled: F
    try:
        compiled = numba.njit(signature, cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder for its cache
        compiled = numba.njit(signature, **options)(function)
    return compiled


def inlined(function: F) -> F:
    """Compile ``function`` into each kernel that calls it, not by itself.

    For the parts of a large kernel: a call that passes several arrays costs more than
    many a part does, and a part that is written out once need not be compiled twice.
    """
    compiled: F = numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return compiled


def looped(loop: F, step: Callable[..., object]) -> F:
    """Return ``loop`` with ``step`` for what it calls by that name, compiled if ``step`` is.

    The machine code is kept beside that of the step, and made anew when the step's file
    changes.

    Parameters
    ----------
    loop : callable
        A function of one's own that calls the global name ``step``.
    step : callable
        A kernel, or a Python function.
    """
    names = {"step": step, "__builtins__": builtins}
    plain = getattr(step, "py_func", None)
    if plain is None:
        made: F = FunctionType(loop.__code__, names)  # type: ignore[assignment]
        return made
    # As if the loop stood in the step's own file: numba keeps code by file, line and name.
    home = plain.__code__
    name = f"{loop.__name__}_{plain.__name__}"
    code = loop.__code__.replace(
        co_filename=home.co_filename, co_firstlineno=home.co_firstlineno, co_name=name,
        co_qualname=name,
    )  # fmt: skip
    made = FunctionType(code, names, name)  # type: ignore[assignment]
    made.__module__, made.__qualname__ = plain.__module__, name
    return kernel(made)


def helper(function: F) -> F:
    """Let kernels call ``function`` with constants and yet compile it only once.

    A :func:`kernel` that calls another one has it compiled anew for every whole
    number written into the call; a helper is compiled for the types alone. From
    Python it stays the plain function.
    """
    made: F = register_jitable(nogil=True, error_model="numpy")(function)
    return made
