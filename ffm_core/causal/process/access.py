"""Notice files, sockets and processes that plug-in code opens while it is called.

Only the worker watches: an audit hook cannot be taken back. What the interpreter,
installed libraries and time-zone data open on their own account is no concern.
"""

from __future__ import annotations

import importlib
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from ffm_core.host.code import functions_behind
from ffm_core.host.libraries import library_test
from ffm_core.paths import one_spelling
from ffm_core.records import Reason, because

_NETWORK = {
    "socket.connect": "connects_to",
    "socket.bind": "listens_at",
    "socket.sendto": "sends_to",
    "socket.getaddrinfo": "looks_up",
    "socket.gethostbyname": "looks_up",
    "urllib.Request": "requests",
}
_PROCESSES = {"subprocess.Popen": "starts_process", "os.system": "starts_process",
              "os.posix_spawn": "starts_process", "os.exec": "becomes_process",
              "os.fork": "forks_process", "os.forkpty": "forks_process"}  # fmt: skip
_HARMLESS = ("/usr/share/zoneinfo", "/proc/", "/sys/", "/dev/null", "/dev/urandom", "/dev/random",
             "/etc/localtime", "/etc/timezone", "/etc/ld.so", "/usr/lib/locale")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
# These read and write outside Python, where no audit event is raised.
_UNSEEN = {
    "polars": ("read_csv", "read_parquet", "read_ipc", "read_ipc_stream", "read_json",
               "read_ndjson", "read_avro", "scan_csv", "scan_parquet", "scan_ipc", "scan_ndjson"),
    "pyarrow.parquet": ("read_table", "read_pandas", "write_table"),
    "pyarrow.csv": ("read_csv", "open_csv", "write_csv"),
    "pyarrow.feather": ("read_table", "read_feather", "write_feather"),
}  # fmt: skip


# What a plug-in does, and its line: ``file.py:42: source``.
Access: TypeAlias = tuple[Reason, str]


def roots_of(functions: Iterable[Callable[..., Any]]) -> tuple[str, ...]:
    """Return folders and files whose code belongs to these functions' plug-in.

    A package counts as a whole; of this one only the specimens of its test kit do,
    because everything else in it is not under suspicion.
    """
    found: set[str] = set()
    for function in functions_behind(functions):
        module = sys.modules.get(getattr(function, "__module__", "") or "")
        code = getattr(function, "__code__", None)
        file = getattr(module, "__file__", None) or getattr(code, "co_filename", None)
        if not isinstance(file, str):
            continue
        name = getattr(module, "__name__", "")
        top, _, rest = name.partition(".")
        if top == "ffm_core" and not rest.startswith("testing"):
            continue
        package = getattr(sys.modules.get(top), "__path__", None) if rest else None
        if top == "ffm_core" or package is None:
            found.add(one_spelling(file))
        else:
            found.update(one_spelling(folder) + "/" for folder in package)
    return tuple(sorted(found))


def own_line(stack: Iterable[traceback.FrameSummary], roots: Collection[str]) -> str:
    """Return ``file.py:42: source`` of the innermost frame that belongs to a plug-in.

    Parameters
    ----------
    stack : iterable of FrameSummary
        Outermost frame first.
    roots : collection of str
        As :func:`roots_of` gives them.
    """
    own = [frame for frame in stack if is_own(one_spelling(frame.filename), roots)]
    return _said(own[-1]) if own else ""


def is_own(path: str, roots: Collection[str]) -> bool:
    """Whether a file, spelt as :func:`.one_spelling` does, belongs to one of the roots."""
    return any(path == root or (root.endswith("/") and path.startswith(root)) for root in roots)


def _said(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line or ''}".rstrip(": ")


class Watch:
    """Collects what plug-ins open; one per process.

    Parameters
    ----------
    allowed : iterable of str
        Folders anybody may use: the cache of compiled kernels.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._is_library = library_test()
        self._allowed = (*_HARMLESS, *(one_spelling(path) for path in allowed if path))
        self._roots: tuple[str, ...] = ()
        self._found: dict[Access, None] = {}
        self._on = False

    def start(self) -> None:
        """Begin to listen; there is no way back in this process."""
        sys.addaudithook(self._heard)
        for module, names in _UNSEEN.items():
            self._wrap(module, names)

    @contextmanager
    def of(self, roots: tuple[str, ...]) -> Iterator[None]:
        """Attribute what happens inside to the plug-in with these roots."""
        before = self._on, self._roots
        self._on, self._roots = True, roots
        try:
            yield
        finally:
            self._on, self._roots = before

    def take(self) -> tuple[Access, ...]:
        """Return what was found since the last time."""
        found, self._found = tuple(self._found), {}
        return found

    def line(self, stack: Iterable[traceback.FrameSummary]) -> str:
        """Return the innermost line of the plug-in in a stack, outermost frame first."""
        return own_line(stack, self._roots)

    def _wrap(self, module: str, names: Iterable[str]) -> None:
        try:
            home = importlib.import_module(module) if module == "polars" else sys.modules[module]
        except KeyError:  # not imported here; what a plug-in imports itself raises an event
            return
        for name in names:
            plain = getattr(home, name, None)
            if plain is not None:
                setattr(home, name, self._told(plain, name))

    def _told(self, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(plain)
        def reader(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if args else next(iter(kwargs.values()), "")
            if self._on and isinstance(given, str | os.PathLike):
                self._note(because("opens_file", file=str(os.fspath(given)), reader=name))
            return plain(*args, **kwargs)

        return reader

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            self._opened(*args)
        elif event in _NETWORK:
            self._note(because(_NETWORK[event], host=_host(event, args)))
        elif event in _PROCESSES:
            self._note(because(_PROCESSES[event]))
        elif event == "sqlite3.connect":
            self._note(because("opens_database", file=str(args[0])))

    def _opened(self, path: object, mode: object, flags: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a number: it was opened before
        name = os.fsdecode(path)
        if name.startswith(self._allowed) or "__pycache__" in name:
            return
        writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else (
            isinstance(flags, int) and bool(flags & _WRITING)
        )  # fmt: skip
        whole = one_spelling(name)
        if whole.startswith(self._allowed) or "/zoneinfo/" in whole or "/tzdata/" in whole:
            return
        if not writes and self._is_library(name) and not is_own(whole, self._roots):
            return
        self._note(because("writes_file" if writes else "opens_file", file=name), whole)

    def _note(self, what: Reason, path: str = "") -> None:
        frame = self._plug_in(sys._getframe(2))
        if frame is None or (path.endswith(".py") and _shows_source(sys._getframe(2), frame)):
            return
        self._on = False  # reading the source line opens a file
        try:
            stack = traceback.StackSummary.extract([(frame, frame.f_lineno)])
            found = (what, _said(stack[0]))
        finally:
            self._on = True
        self._found[found] = None

    def _plug_in(self, frame: FrameType | None) -> FrameType | None:
        """Return the innermost frame of the plug-in; None where an import or library acts."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith("<frozen importlib"):
                return None
            whole = one_spelling(file)
            if is_own(whole, self._roots):
                return frame
            if "/numba/" in whole or "/llvmlite/" in whole:
                return None
            if not file.startswith("<") and not self._is_library(file):
                return frame  # a helper that lies beside the plug-in
            frame = frame.f_back
        return None


def _shows_source(frame: FrameType | None, until: FrameType) -> bool:
    """Whether a line of code is looked up, for a traceback or the name of a guilty line."""
    while frame is not None and frame is not until:
        if frame.f_code.co_filename == linecache.__file__:
            return True
        frame = frame.f_back
    return False


def _host(event: str, args: tuple[Any, ...]) -> str:
    if event == "urllib.Request":
        return str(args[0])
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return str(args[0])
    address = args[1] if len(args) > 1 else ""
    parts = address[:2] if isinstance(address, tuple) else (address,)
    return ":".join(str(part) for part in parts)
