"""Modules that lie beside a strategy file: found last, and only for code of that folder.

The working folder is on no path: a ``signal.py`` or ``json.py`` beside the file replaces
nothing of the standard library, of an installed library or of FFM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ffm_core.paths import one_spelling


class _Fresh(SourceFileLoader):
    """Compiles what the file says now; a cache would miss an edit within a second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Beside(MetaPathFinder):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or not self._asks():
            return None
        spec = PathFinder.find_spec(name, [str(self.folder)])
        if spec is not None and spec.loader is not None:
            self.found.add(name)
            if isinstance(spec.loader, SourceFileLoader):
                spec.loader = _Fresh(name, spec.loader.path)
        return spec

    def _asks(self) -> bool:
        """Whether the import stands in a file of the folder."""
        frame = sys._getframe(2)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back  # type: ignore[assignment]
        file = "" if frame is None else frame.f_code.co_filename
        return one_spelling(file).startswith(one_spelling(self.folder) + "/")


def look_beside(file: Path) -> None:
    """Let a strategy file import what lies beside it, anew: it may have been edited."""
    for finder in [one for one in sys.meta_path if isinstance(one, _Beside)]:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in finder.found and _lies_in(module, finder.folder):
                del sys.modules[name]
        if finder.folder == file.parent:
            sys.meta_path.remove(finder)
    sys.meta_path.append(_Beside(file.parent))


def _lies_in(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    root = one_spelling(folder) + "/"
    return any(isinstance(p, str) and one_spelling(p).startswith(root) for p in places)


__all__ = ["look_beside"]
