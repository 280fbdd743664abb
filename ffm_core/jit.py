"""One way to compile a kernel: cached under ``FFM_HOME``, no GIL, no fast-math.

Fast-math stays off because the same inputs must give the same bytes on every
machine that follows IEEE 754.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

from ffm_core.paths import kernel_folder

os.environ["NUMBA_CACHE_DIR"] = str(kernel_folder())

import numba
from numba.core.caching import IndexDataCacheFile
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F, signature: object = None) -> F:
    """Compile ``function`` on first call and cache the machine code.

    With a numba ``signature`` it is compiled at once, for those types alone. Without a
    place to keep the code (a folder that cannot be written) it is compiled anew in every
    process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    compiled: Any
    try:
        compiled = numba.njit(cache=True, **options)(function)
        if numba.config.DISABLE_JIT:
            return function
        compiled._cache._cache_file.__class__ = _Checked
        if signature is not None:
            compiled.compile(signature)
            compiled.disable_compile()
    except RuntimeError:  # numba finds no folder for its cache
        compiled = numba.njit(signature, **options)(function)
    return cast("F", compiled)


class _Checked(IndexDataCacheFile):  # type: ignore[misc]
    """Machine code kept with a checksum.

    What a crash, a full disk or a hand left damaged would abort the process, or raise inside
    whatever called the kernel; here it is compiled anew.
    """

    def save(self, key: object, data: object) -> None:
        """Keep machine code, where that is possible."""
        with suppress(OSError):
            super().save(key, data)

    def _dump(self, value: object) -> bytes:
        data: bytes = super()._dump(value)
        return hashlib.sha256(data).digest() + data

    def _load_index(self) -> dict[object, str]:
        with suppress(Exception), Path(self._index_path).open("rb") as file:
            if pickle.load(file) == self._version:
                stamp, overloads = pickle.loads(_whole(file.read()))
                return dict(overloads) if stamp == self._source_stamp else {}
        return {}

    def _load_data(self, name: str) -> object:
        return pickle.loads(_whole(Path(self._data_path(name)).read_bytes()))


def _whole(data: bytes) -> bytes:
    """Return what follows the checksum; an OSError tells numba that there is nothing."""
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        raise OSError("the compiled kernel is damaged")
    return data[32:]


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
