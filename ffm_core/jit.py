"""One way to compile a kernel: cached under ``FFM_HOME``, no GIL, no fast-math.

Fast-math stays off because the same inputs must give the same bytes on every
machine that follows IEEE 754.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from ffm_core.paths import ffm_home

os.environ.setdefault("NUMBA_CACHE_DIR", str(ffm_home() / "numba"))

import numba
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` on first call and cache the machine code.

    Without a place to keep it (a folder that cannot be written) it is compiled
    anew in every process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    compiled: F
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder for its cache
        compiled = numba.njit(**options)(function)
    return compiled


def inlined(function: F) -> F:
    """Compile ``function`` into each kernel that calls it, not by itself.

    For the parts of a large kernel: a call that passes several arrays costs more than
    many a part does, and a part that is written out once need not be compiled twice.
    """
    compiled: F = numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return compiled


def helper(function: F) -> F:
    """Let kernels call ``function`` with constants and yet compile it only once.

    A :func:`kernel` that calls another one has it compiled anew for every whole
    number written into the call; a helper is compiled for the types alone. From
    Python it stays the plain function.
    """
    made: F = register_jitable(nogil=True, error_model="numpy")(function)
    return made
