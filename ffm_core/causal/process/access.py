"""Notice files, sockets and processes that plug-in code opens while it is loaded or called.

Only the worker watches: an audit hook cannot be taken back. What the interpreter,
installed libraries and time-zone data open on their own account is no concern.
"""

from __future__ import annotations

import importlib
import linecache
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeAlias

from ffm_core.host.code import code_of_module, functions_behind, variables_in
from ffm_core.host.libraries import library_test
from ffm_core.host.surroundings import EVERYTHING, hear_reads
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
               "read_ndjson", "read_avro", "read_excel", "read_delta", "scan_csv", "scan_parquet",
               "scan_ipc", "scan_ndjson", "scan_delta"),
    "pyarrow": ("memory_map", "input_stream"),
    "pyarrow.dataset": ("dataset",),
    "pyarrow.parquet": ("read_table", "read_pandas", "write_table"),
    "pyarrow.csv": ("read_csv", "open_csv", "write_csv"),
    "pyarrow.feather": ("read_table", "read_feather", "write_feather"),
}  # fmt: skip
_COMPILES = re.compile(r"[/\\\\](numba|llvmlite)[/\\\\]")

# What a plug-in does, and its line: ``file.py:42: source``.
Access: TypeAlias = tuple[Reason, str]
_Stack: TypeAlias = tuple[tuple[str, int], ...]  # file and line of each frame, innermost first
_Load: TypeAlias = tuple[Reason, str, _Stack]  # what, its path, and who


def roots_of(functions: Iterable[Callable[..., Any]]) -> tuple[str, ...]:
    """Return folders and files whose code belongs to these functions' plug-in.

    A package counts as a whole, and so does what it imports from outside libraries; of this
    one only the specimens of its test kit do, because everything else in it is not under
    suspicion.
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
        if top == "ffm_core":
            found |= {one_spelling(file)} if rest.startswith("testing") else set()
            continue
        package = getattr(sys.modules.get(top), "__path__", None) if rest else None
        found.update([one_spelling(file)] if package is None else map(_folder, package))
        files = map(one_spelling, code_of_module(name, Path(file)).files.values())
        found.update(path for path in files if not is_own(path, found))
    return tuple(sorted(found))


def _folder(place: str) -> str:
    return one_spelling(place) + "/"


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
        ours = one_spelling(Path(__file__).parents[2]) + "/"  # what FFM brings, such as instruments
        self._allowed = (*_HARMLESS, ours, *(one_spelling(path) for path in allowed if path))
        self._roots: tuple[str, ...] = ()
        self._found: dict[Access, None] = {}
        self._on = False
        self._loading = False
        self._loads: list[_Load] = []
        self._variables: set[str] = set()  # read while loading, so part of the code
        self._own_files: dict[tuple[tuple[str, ...], str], None] = {}  # roots, and a name

    def start(self) -> None:
        """Begin to listen; there is no way back in this process."""
        importlib.import_module("polars")
        sys.addaudithook(self._heard)
        hear_reads(self._asked)
        for module in _UNSEEN.keys() & sys.modules.keys():
            self._wrap(sys.modules[module])
        sys.meta_path.insert(0, _Readers(self._wrap))

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Listen while plug-ins are loaded; whose they are :meth:`loaded` tells afterwards."""
        self._on = self._loading = True
        try:
            yield
        finally:
            self._on = self._loading = False

    def loaded(self, everyone: Sequence[tuple[str, ...]]) -> list[tuple[Access, ...]]:
        """Return what each plug-in opened while it was loaded, given the roots of all."""
        found: list[dict[Access, None]] = [{} for _ in everyone]
        for what, path, stack in self._loads:
            whose = [self._guilty(stack, roots) for roots in everyone]
            if not any(whose):  # code that lies about, imported by a name that was computed
                loose = next((frame for frame in stack if not self._is_known(frame[0])), None)
                whose = [loose if roots else None for roots in everyone]
            for place, roots, told in zip(whose, everyone, found, strict=True):
                if place is None:
                    continue
                if what.kind == "opens_file" and is_own(path, roots):
                    self._own_files[roots, Path(what.names["file"]).name] = None
                elif what.kind == "reads_variable":
                    self._variables.add(what.names["variable"])
                else:
                    then = replace(what, names={**what.names, "when": "loaded"})
                    line = linecache.getline(*place).strip()
                    said = f"{Path(place[0]).name}:{place[1]}: {line}".rstrip(": ")
                    told[then, said] = None
        return [tuple(told) for told in found]

    def _guilty(self, stack: _Stack, roots: tuple[str, ...]) -> tuple[str, int] | None:
        return next((frame for frame in stack if is_own(one_spelling(frame[0]), roots)), None)

    def _is_known(self, file: str) -> bool:
        return file.startswith("<") or self._is_library(file)

    @contextmanager
    def of(self, roots: tuple[str, ...]) -> Iterator[None]:
        """Attribute what happens inside to the plug-in with these roots."""
        before, modules = (self._on, self._roots), len(sys.modules)
        self._on, self._roots = True, roots
        try:
            yield
        finally:
            if len(sys.modules) != modules:
                self._imported(modules)
            self._on, self._roots = before

    def take(self) -> tuple[Access, ...]:
        """Return what was found since the last time."""
        found, self._found = tuple(self._found), {}
        return found

    def own_files(self, roots: tuple[str, ...]) -> list[str]:
        """Return the data files of a plug-in's own package that were read so far, by name."""
        return [name for whose, name in self._own_files if whose == roots]

    def line(self, stack: Iterable[traceback.FrameSummary]) -> str:
        """Return the innermost line of the plug-in in a stack, outermost frame first."""
        return own_line(stack, self._roots)

    def _wrap(self, module: ModuleType) -> None:
        for name in _UNSEEN[module.__name__]:
            plain = getattr(module, name, None)
            if plain is not None:
                setattr(module, name, self._told(plain, name))

    def _imported(self, before: int) -> None:
        """Look for modules that a call brought in and that are not part of the code."""
        for name, module in list(sys.modules.items())[before:]:
            file = getattr(module, "__file__", None)
            known = not isinstance(file, str) or self._is_known(file)
            if not known and not is_own(one_spelling(str(file)), self._roots):
                self._found[because("imports_module", module=name), ""] = None

    def _asked(self, variable: str, frame: FrameType) -> None:
        """Hear of a variable of the environment that the code of this frame reads."""
        file, everything = frame.f_code.co_filename, variable == EVERYTHING
        what = because("reads_environment") if everything else because(
            "reads_variable", variable=variable
        )  # fmt: skip
        if self._on and self._loading:
            self._loads.append((what, "", ((file, frame.f_lineno),)))
            return
        own = not self._is_known(file) or is_own(one_spelling(file), self._roots)
        if self._on and own and variable not in self._variables | variables_in(self._roots):
            self._note(what)

    def _told(self, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(plain)
        def reader(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if args else next(iter(kwargs.values()), "")
            if self._on and isinstance(given, str | os.PathLike):
                file = str(os.fspath(given))
                if not name.startswith("write") and is_own(one_spelling(file), self._roots):
                    self._own_files[self._roots, Path(file).name] = None
                else:
                    what = because("opens_file", file=file, reader=name)
                    self._note(what, one_spelling(file))
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
        if not writes and is_own(whole, self._roots):
            if not whole.endswith(".py"):
                self._own_files[self._roots, Path(name).name] = None
            return
        if not writes and self._is_library(name) and not self._loading:
            return
        self._note(because("writes_file" if writes else "opens_file", file=name), whole)

    def _note(self, what: Reason, path: str = "") -> None:
        if self._loading:
            stack = tuple(_stack(sys._getframe(2)))
            if not path.endswith(".py") or all(file != linecache.__file__ for file, _ in stack):
                self._loads.append((what, path, stack))
            return
        frame = self._plug_in(sys._getframe(2))
        if frame is None or (path.endswith(".py") and _shows_source(sys._getframe(2), frame)):
            return
        self._on = False  # reading the source line opens a file
        try:
            said = traceback.StackSummary.extract([(frame, frame.f_lineno)])
            found = (what, _said(said[0]))
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
            if _COMPILES.search(whole):
                return None
            if not file.startswith("<") and not self._is_library(file):
                return frame  # a helper that lies beside the plug-in
            frame = frame.f_back
        return None


def _stack(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    """Yield file and line of each frame, innermost first, up to where an import acts."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or _COMPILES.search(file):
            return
        yield file, frame.f_lineno
        frame = frame.f_back


class _Readers(MetaPathFinder):
    """Has a module of readers wrapped as soon as it is imported, whoever does that."""

    def __init__(self, wrap: Callable[[ModuleType], None]) -> None:
        self._wrap = wrap

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _UNSEEN:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((s for f in others if (s := f.find_spec(name, path, target))), None)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            plain = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                plain(module)
                self._wrap(module)

            loader.exec_module = exec_module
        return spec


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
