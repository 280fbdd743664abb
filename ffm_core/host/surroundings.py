"""What plug-ins may do to the process they are loaded into, and what of it is undone.

Variables that a plug-in writes last as long as its loading or its call; those that its own
code reads are noted, because they are part of its identity.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# A caller hears the name of a variable, or ``EVERYTHING``, and the frame that asked for it.
Hear = Callable[[str, FrameType], None]
EVERYTHING = "*"
_PLAIN = type(os.environ)
_MAPPINGS = (os.__file__, "<frozen os>", "<frozen _collections_abc>", "_collections_abc.py")
_hear: list[Hear] = []


class _Heard(_PLAIN):  # type: ignore[misc, valid-type, unused-ignore]
    """The environment, which tells who reads it."""

    def __getitem__(self, key: str) -> str:
        _tell(key)
        found: str = super().__getitem__(key)
        return found

    def __iter__(self) -> Iterator[str]:
        _tell(EVERYTHING)
        names: Iterator[str] = super().__iter__()
        return names


def _tell(key: str) -> None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.endswith(_MAPPINGS):
        frame = frame.f_back
    if frame is not None and isinstance(key, str):
        for hear in _hear:
            hear(key, frame)


@contextmanager
def reads_heard(hear: Hear) -> Iterator[None]:
    """Call ``hear`` whenever a variable of the environment is read by its Python mapping."""
    before = os.environ.__class__
    _hear.append(hear)
    os.environ.__class__ = _Heard
    try:
        yield
    finally:
        os.environ.__class__ = before
        _hear.pop()


def hear_reads(hear: Hear) -> None:
    """Do the same for good."""
    _hear.append(hear)
    os.environ.__class__ = _Heard


@contextmanager
def environment_kept() -> Iterator[None]:
    """Take back what is written into the environment inside the block.

    So nothing that a plug-in leaves there reaches another process, or its own next call.
    """
    # What lies below the mapping: comparing it costs a microsecond, and every call does.
    held: dict[Any, Any] = vars(os.environ)["_data"]
    before = dict(held)
    try:
        yield
    finally:
        if held != before:
            for key in [key for key in held if key not in before]:
                del os.environ[os.environ.decodekey(key)]
            for key, value in before.items():
                if held.get(key) != value:
                    os.environ[os.environ.decodekey(key)] = os.environ.decodevalue(value)


@contextmanager
def threads_released() -> Iterator[None]:
    """Let no thread that is started inside the block keep this process from ending."""
    plain = threading.Thread.start

    def start(self: threading.Thread) -> None:
        self._daemonic = True  # type: ignore[attr-defined]
        plain(self)

    threading.Thread.start = start  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = plain  # type: ignore[method-assign]


def threads_of(own: Callable[[str], bool]) -> list[str]:
    """Return the names of living threads that run code from files of which ``own`` is true."""
    return sorted(t.name for t in threading.enumerate() if own(_file_of(t)))


def _file_of(thread: threading.Thread) -> str:
    """Return the file of what a thread runs."""
    target = getattr(thread, "_target", None) or type(thread).run
    while hasattr(target, "func"):  # a partial
        target = target.func
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    return getattr(code, "co_filename", "")


__all__ = [
    "EVERYTHING", "Hear", "environment_kept", "hear_reads", "reads_heard", "threads_of",
    "threads_released",
]  # fmt: skip
