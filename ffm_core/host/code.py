"""What a plug-in's answers can depend on, in one hash: another hash is another trial.

The code is read, not only what was loaded: a helper imported inside a function counts
before its first call, and the same files give the same hash in every process and on
every machine.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ffm_core.errors import PluginLoadError
from ffm_core.host.discovery import Found, normalize
from ffm_core.host.libraries import is_supplied, library_of, spec_of
from ffm_core.host.reading import Reading, read_source
from ffm_core.host.surroundings import EVERYTHING, reads_heard
from ffm_core.paths import one_spelling

_COMPILED = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What makes up the code of a plug-in.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        Every file of its own, by its name relative to the import root: its package with all
        it holds, and whatever it imports from outside libraries.
    libraries : mapping of str to str
        Distributions it imports: name to version and a hash of their record.
    variables : frozenset of str
        Environment variables that its own code names.
    """

    files: Mapping[str, Path]
    libraries: Mapping[str, str]
    variables: frozenset[str]


def code_hash(plugins: Iterable[Found]) -> str:
    """Return one sha256 over everything the answers of several plug-ins can depend on.

    Parameters
    ----------
    plugins : iterable of Found
        In the order they were named.

    Returns
    -------
    str
        Hex digest of names, relative file names and contents, of the libraries they import,
        and of the environment variables they read; no place on this machine is part of it.
        Lengths are hashed as well, so that moving text between files changes it. The tables
        that are handed to a run are hashed with its data.
    """
    parts: list[bytes] = []
    for found in plugins:
        parts.append(found.name.encode())
        parts += _parts(code_of(found), found.who, _READ.get(found.module, frozenset()))
    return _hashed(parts)


def code_hash_of_module(module: str, file: Path) -> str:
    """Return the same of a module whose records no plug-in offers."""
    return _hashed(_parts(code_of_module(module, file), module))


def code_behind(function: Callable[..., object]) -> str:
    """Return the hash of the code behind a record's function; "" where ffm-core brings it."""
    for plain in functions_behind([function]):
        name = getattr(plain, "__module__", None) or ""
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and not is_supplied(name):
            return code_hash_of_module(name, Path(file))
    return ""


def functions_behind(
    functions: Iterable[Callable[..., object]],
) -> Iterator[Callable[..., object]]:
    """Yield what was written by somebody: of partials, wrappers and callable objects."""
    for function in functions:
        if isinstance(function, partial):
            inner = (value for value in (*function.args, function.func) if callable(value))
            yield from functions_behind(inner)
            continue
        plain = inspect.unwrap(function)
        yield getattr(plain, "__func__", plain)
        if not inspect.isroutine(plain):
            yield type(plain)


def _hashed(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256(b"ffm-code-2")
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def source_files(found: Found) -> dict[str, Path]:
    """Return every file that makes up a plug-in, by its name relative to the import root.

    The package of the entry point counts with all it contains, other modules of an installed
    distribution too, and what any of these imports from outside the standard library and
    installed distributions. Compiled and hidden files do not.
    """
    return dict(code_of(found).files)


def code_of(found: Found) -> Code:
    """Return the files, libraries and environment variables of a plug-in."""
    if found.path is not None:
        files = {found.path.name: found.path}
        return _closure(files, beside=found.path.parent, also=_LOADED.get(found.module, ()))
    files = dict(_files_below(found.module))
    for name, path in _distribution_files(found):
        files.setdefault(name, path)
    also = _LOADED.get(found.module, ())
    return _closure(files, own=normalize(found.distribution), also=also)


def code_of_module(module: str, file: Path) -> Code:
    """Return the same of a module, as for records that no plug-in offers."""
    files = dict(_files_below(module)) or {file.name: file}
    own = library_of(module)
    return _closure(files, own="" if own is None else own.name, beside=file.parent)


def _closure(
    files: dict[str, Path],
    *,
    own: str = "",
    beside: Path | None = None,
    also: Collection[str] = (),
) -> Code:
    """Follow the imports of some files until nothing new is met."""
    libraries: dict[str, str] = {}
    variables: set[str] = set()
    coming, names = list(files.values()), set(also)
    known: set[str] = set()
    while coming or names - known:
        while coming:
            source = _source(coming.pop())
            names |= source.imports
            variables |= source.variables
        for name in sorted(name for name in names - known if not is_supplied(name)):
            library = library_of(name, beside)
            if library is not None and library.name != own:
                libraries[library.name] = library.record
            for key, path in _files_below(name, beside) if library is None else ():
                if key not in files:
                    files[key] = path
                    coming.append(path)
        known |= names
    return Code(
        files=dict(sorted(files.items())), libraries=libraries, variables=frozenset(variables)
    )


def variables_in(roots: Iterable[str]) -> frozenset[str]:
    """Return the variables that files name; of a folder, which ends in ``/``, all below it."""
    files: list[Path] = []
    for root in roots:
        files += Path(root).rglob("*.py") if root.endswith("/") else [Path(root)]
    return frozenset().union(*(_source(path).variables for path in files))


def _source(path: Path) -> Reading:
    if path.suffix != ".py":
        return Reading()
    try:
        state = path.stat()
    except OSError:
        return Reading()  # who reads its content says what is wrong
    return _source_now(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4_096)
def _source_now(path: Path, changed: int, size: int) -> Reading:
    return read_source(path)


def _parts(code: Code, who: str, also: Collection[str] = ()) -> Iterator[bytes]:
    for name, path in code.files.items():
        yield name.encode()
        try:
            yield path.read_bytes()
        except OSError as error:
            raise PluginLoadError(
                f"{who}: {name} cannot be read: {error.strerror}", fix="reinstall it"
            ) from error
    for name, record in sorted(code.libraries.items()):
        yield f"library {name} {record}".encode()
    for name in sorted(code.variables.union(also)):
        value = os.environ.get(name)
        yield f"variable {name}".encode() + (b"" if value is None else b"=" + os.fsencode(value))


# What loading showed beyond what can be read, by the module of a plug-in. A process imports
# an installed module once, so this outlives the host that loaded it.
_LOADED: dict[str, frozenset[str]] = {}
_READ: dict[str, frozenset[str]] = {}


def remember(found: Found, modules: Collection[str], variables: Collection[str]) -> None:
    """Note what loading a plug-in showed: modules it computed the names of, and variables."""
    for kept, new in ((_LOADED, modules), (_READ, variables)):
        kept[found.module] = kept.get(found.module, frozenset()) | frozenset(new)


@contextmanager
def reads_remembered(found: Found) -> Iterator[None]:
    """Note the variables that a plug-in's own code reads inside the block."""
    heard: list[tuple[str, str]] = []
    with reads_heard(lambda name, frame: heard.append((name, frame.f_code.co_filename))):
        yield
    names = {name for name, _ in heard if name != EVERYTHING}
    if names - _READ.get(found.module, frozenset()):
        own = {one_spelling(path) for path in source_files(found).values()}
        own_reads = {name for name, file in heard if one_spelling(file) in own}
        remember(found, (), own_reads - {EVERYTHING})


def forget(found: Found) -> None:
    """Forget what a file did when it was loaded before: it is loaded anew each time."""
    _LOADED.pop(found.module, None)
    _READ.pop(found.module, None)


def _files_below(module: str, beside: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Yield the files of the outermost regular package or module of a dotted name."""
    root = _own_root(module, beside)
    if root is None:
        return
    depth, path = root
    base = path.parents[depth]
    if path.is_file():
        yield path.relative_to(base).as_posix(), path
        return
    visited: set[str] = set()
    for folder, inner, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        inner[:] = sorted(i for i in inner if real not in visited and not i.startswith("."))
        visited.add(real)
        for name in names:
            item = Path(folder, name)
            if item.is_file() and _counts(item.relative_to(base)):
                yield item.relative_to(base).as_posix(), item


def _own_root(module: str, beside: Path | None) -> tuple[int, Path] | None:
    """Return the outermost regular package or module that is the plug-in's own.

    Namespace packages are shared between distributions, so the search goes
    inward until it meets a package with an ``__init__``.
    """
    for depth, spec in enumerate(spec_of(module, beside)):
        if spec.origin is None or spec.origin in ("built-in", "frozen"):
            continue
        origin = Path(spec.origin)
        return depth, origin.parent if spec.submodule_search_locations else origin
    return None


def _distribution_files(found: Found) -> Iterator[tuple[str, Path]]:
    from importlib_metadata import PackageNotFoundError, files

    try:
        recorded = files(found.distribution) or []
    except PackageNotFoundError:
        return
    for item in recorded:
        name = Path(*item.parts)
        # Editable installs add finder modules that hold machine paths.
        if name.suffix == ".py" and _counts(name) and not name.name.startswith("__editable__"):
            path = Path(str(item.locate()))
            if path.is_file():
                yield name.as_posix(), path


def _counts(name: Path) -> bool:
    if name.suffix in _COMPILED or ".." in name.parts:
        return False
    return not any(part == "__pycache__" or part.startswith(".") for part in name.parts)


__all__ = [
    "Code", "code_behind", "code_hash", "code_hash_of_module", "code_of", "code_of_module",
    "forget", "functions_behind", "reads_remembered", "remember", "source_files", "variables_in",
]  # fmt: skip
