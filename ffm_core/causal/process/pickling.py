"""Send plug-ins to a fresh interpreter, without what they have seen here.

Functions that can be imported travel by name, so that the other side runs their
module anew and finds none of the state that calls left in it here. Closures, and
functions typed at a prompt, travel by value.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from ffm_core.errors import StrategyError
from ffm_core.host.libraries import library_test
from ffm_core.records import Embedder, ExitPolicy, FeatureSet, Labeler

if TYPE_CHECKING:
    from ffm_core.causal.subjects.base import Subject


# Opens the plug-ins under test, here and again in the worker, always in the same order;
# must pickle.
Opener: TypeAlias = "Callable[[], Sequence[Subject]]"


def ship(opener: Opener) -> bytes:
    """Pickle an opener, closures and lambdas included.

    Raises
    ------
    StrategyError
        When something it holds cannot leave this process.
    """
    cloudpickle = cloudpickle_module()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc, name-defined, unused-ignore]
        def reducer_override(self, item: Any) -> Any:
            place = _place_of(item)
            return super().reducer_override(item) if place is None else (fetched, place)

    written = io.BytesIO()
    try:
        Pickler(written).dump(opener)
    except Exception as error:
        raise StrategyError(
            f"it cannot be sent to a fresh process to be checked: {error}",
            fix="keep open files, locks, threads and connections out of the plug-in's records",
        ) from error
    return written.getvalue()


def fetched(module: str, name: str) -> Any:
    """Return what a module of the other side calls ``name``."""
    return getattr(import_module(module), name)


def _place_of(item: object) -> tuple[str, str] | None:
    """Return module and name of a record or kernel that can be imported, else None.

    Compiled code that travels by value is compiled anew, and a record that does
    brings along what its closures have remembered.
    """
    plain = getattr(item, "py_func", None)
    if plain is not None and not isinstance(item, type):
        module = getattr(plain, "__module__", None) or ""
        found = getattr(sys.modules.get(module), plain.__name__, None)
        return (module, plain.__name__) if found is item else None
    if not isinstance(item, Embedder | ExitPolicy | FeatureSet | Labeler):
        return None
    for module, held in sorted(sys.modules.items()):
        if held is sys.modules.get("__main__"):  # another one on the other side, also by alias
            continue
        if isinstance(held, ModuleType) and getattr(held, "__spec__", None) is not None:
            name = next((key for key, value in list(vars(held).items()) if value is item), None)
            if name is not None:
                return module, name
    return None


def cloudpickle_module() -> Any:
    """Return the pickler that takes closures; joblib brings one along."""
    try:
        import cloudpickle  # type: ignore[import-untyped, unused-ignore]
    except ImportError:  # older joblib carries its own
        from joblib.externals import cloudpickle
    return cloudpickle


def loose_modules() -> dict[str, str]:
    """Return name and file of the modules that came from outside the installed folders."""
    is_library = library_test()
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and isinstance(file, str) and not is_library(file):
            found[name] = file
    return found


class LooseFinder:
    """Imports modules by the files they had in the parent, where nothing else finds them.

    Parameters
    ----------
    files : mapping of str to str
        Module name to file.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._packages = {name.rpartition(".")[0] for name in files if "." in name} | {
            ".".join(name.split(".")[:i]) for name in files for i in range(1, name.count(".") + 1)
        }

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; see :class:`importlib.abc.MetaPathFinder`."""
        file = self._files.get(name)
        if file is not None:
            return spec_from_file_location(name, file)
        if name in self._packages:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None


__all__ = [
    "LooseFinder", "Opener", "cloudpickle_module", "loose_modules", "ship",
]  # fmt: skip
