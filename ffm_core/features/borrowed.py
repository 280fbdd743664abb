"""Arrays that a step kernel reads without counting who holds them.

Numba counts references to every array by atomic additions, also where an array only
passes from one part of a kernel to the next. A step has dozens of such parts: for one
bar the counting cost as much as the arithmetic.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

import ffm_core.jit  # noqa: F401  (before numba: says where numba keeps what it compiles)

# isort: split
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

A = TypeVar("A", bound="np.ndarray[Any, Any]")


def borrowed(array: A) -> A:
    """Return a view of ``array`` whose references a kernel does not count.

    Only for a kernel's own arguments, and never to be returned: the caller holds them
    until the kernel is done. Outside of kernels it is the array itself.
    """
    return array


def _type_of(context: Any) -> Any:
    def same(array: Any) -> Any:
        return array if isinstance(array, types.Array) else None

    return same


def _compile(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    view = context.make_array(signature.return_type)(context, builder, arguments[0])
    view.meminfo = cgutils.get_null_value(view.meminfo.type)  # what owns the memory: nothing
    return view._getvalue()


type_callable(borrowed)(_type_of)
lower_builtin(borrowed, types.Array)(_compile)
