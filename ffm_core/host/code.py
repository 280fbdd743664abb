"""Hash the code of a strategy, so that a changed strategy is another trial."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from ffm_core.errors import PluginLoadError
from ffm_core.host.discovery import Found

_COMPILED = (".pyc", ".pyo")


def code_hash(plugins: Iterable[Found]) -> str:
    """Return one sha256 over the files of several plug-ins.

    Parameters
    ----------
    plugins : iterable of Found
        In the order they were named.

    Returns
    -------
    str
        Hex digest of names, relative file names and contents. Lengths are
        hashed as well, so that moving text between files changes it.
    """
    digest = hashlib.sha256(b"ffm-code-1")
    for found in plugins:
        for part in (found.name.encode(), *_parts(found)):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def source_files(found: Found) -> dict[str, Path]:
    """Return every file that makes up a plug-in, by its name relative to the import root.

    The package of the entry point counts with all it contains, other modules of
    an installed distribution too. Compiled and hidden files do not.
    """
    if found.path is not None:
        return {found.path.name: found.path}
    files = dict(_package_files(found))
    for name, path in _distribution_files(found):
        files.setdefault(name, path)
    return dict(sorted(files.items()))


def _parts(found: Found) -> Iterator[bytes]:
    for name, path in source_files(found).items():
        yield name.encode()
        try:
            yield path.read_bytes()
        except OSError as error:
            raise PluginLoadError(
                f"{found.who}: {name} cannot be read: {error.strerror}", fix="reinstall it"
            ) from error


def _package_files(found: Found) -> Iterator[tuple[str, Path]]:
    root = _own_root(found.module)
    if root is None:
        return
    depth, path = root
    base = path.parents[depth]
    if path.is_file():
        yield path.relative_to(base).as_posix(), path
        return
    for item in path.rglob("*"):
        if item.is_file() and _counts(item.relative_to(base)):
            yield item.relative_to(base).as_posix(), item


def _own_root(module: str) -> tuple[int, Path] | None:
    """Return the outermost regular package or module that is the plug-in's own.

    Namespace packages are shared between distributions, so the search goes
    inward until it meets a package with an ``__init__``.
    """
    names = module.split(".")
    for depth in range(len(names)):
        spec = find_spec(".".join(names[: depth + 1]))
        if spec is None:
            return None
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
