"""Tell installed libraries, which a version describes, from code that lies about."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import ffm_core
from ffm_core.host.discovery import EXTENSIONS, discover, normalize
from ffm_core.paths import one_spelling

_FOLDERS = ("site-packages", "dist-packages")
_BUILT = (".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo")  # differ from machine to machine


@dataclass(frozen=True, slots=True)
class Library:
    """A distribution: its normal name, and its version with a hash of what it recorded."""

    name: str
    record: str


def is_supplied(module: str) -> bool:
    """Whether the standard library or ffm-core itself brings a module."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in sys.builtin_module_names or top in _core()


@lru_cache(maxsize=1)
def _core() -> frozenset[str]:
    entries = (item for found in discover(EXTENSIONS).values() for item in found)
    return frozenset({"ffm_core", *(i.module.partition(".")[0] for i in entries if i.is_core)})


def spec_of(module: str, beside: Path | None = None) -> Iterator[ModuleSpec]:
    """Yield how each part of a dotted name would be found, outermost first; imports nothing.

    Parameters
    ----------
    module : str
        Absolute dotted name.
    beside : pathlib.Path, optional
        Folder in which a name is looked up that is found nowhere else.
    """
    places: Any = None
    parts = module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        spec = _find(name, places)
        if spec is None and depth == 0 and beside is not None:
            spec = PathFinder.find_spec(name, [str(beside)])
        if spec is None:
            return
        yield spec
        if spec.submodule_search_locations is None:
            return
        places = list(spec.submodule_search_locations)


def _find(name: str, places: Any) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find(name, places) if find is not None else None
        if spec is not None:
            return spec
    return None


def library_of(module: str, beside: Path | None = None) -> Library | None:
    """Return the installed distribution that records a module's file, None where none does.

    A package that is installed for editing is recorded without its files, and so are
    modules that were put into a folder of libraries by hand: their content counts.
    """
    spec = next((s for s in spec_of(module, beside) if s.origin not in (None, "namespace")), None)
    if spec is None or spec.origin is None:
        return None
    return _recorded(spec.origin)


@lru_cache(maxsize=1_024)
def _recorded(origin: str) -> Library | None:
    file = Path(origin)
    for folder in file.parents:
        records = [*folder.glob("*.dist-info/RECORD")]
        name = file.relative_to(folder).as_posix()
        top = normalize(name.partition("/")[0].removesuffix(".py"))
        # Most distributions bear the name of their package: those are read first.
        for record in sorted(records, key=lambda path: (_distribution(path)[0] != top, path)):
            text = record.read_text(encoding="utf-8", errors="replace")
            if text.startswith(f"{name},") or f"\n{name}," in text:
                distribution, version = _distribution(record)
                return Library(distribution, f"{version} {_content(text)}")
        if records:
            return None
    return None


def _distribution(record: Path) -> tuple[str, str]:
    name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
    return normalize(name), version


def _content(record: str) -> str:
    """Hash what a record says of files that are the same on every machine."""
    kept = []
    for line in record.splitlines():
        name, _, rest = line.partition(",")
        first = name.split("/", 1)[0].strip('"')
        if not first.endswith(".dist-info") and first != ".." and not name.endswith(_BUILT):
            kept.append(f"{name},{rest.partition(',')[0]}")
    return hashlib.sha256("\n".join(sorted(kept)).encode()).hexdigest()


def library_test() -> Callable[[str], bool]:
    """Return a test of whether a file belongs to the interpreter, a library or this package.

    A file counts by where it lies and by where a link to it stands, since some installers
    link files into an environment.
    """
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {sys.prefix, sys.base_prefix, str(Path(ffm_core.__file__).parent)}
    # Libraries of the system, of the user, and those another environment lends.
    folders |= {place for place in sys.path if Path(place).name in _FOLDERS}
    roots = tuple({f"{spelt}/" for folder in folders for spelt in _spellings(folder)})
    return lambda file: any(spelt.startswith(roots) for spelt in _spellings(file))


def _spellings(path: str) -> Iterator[str]:
    yield os.path.normcase(os.path.abspath(path)).replace(os.sep, "/")  # noqa: PTH100 - quick
    yield one_spelling(path)


__all__ = ["Library", "is_supplied", "library_of", "library_test", "spec_of"]
