"""Where FFM keeps what outlives a run: ledger, cache, seals, compiled kernels."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["", "file", "folder", "other"]
_FOLDER = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9_-])?")
# Windows means a device by these, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}


def ffm_home() -> Path:
    """Return the folder of ledger and cache; ``FFM_HOME`` moves it.

    Returns
    -------
    pathlib.Path
        Not created here; writers create it.
    """
    moved = os.environ.get("FFM_HOME")
    if moved:
        return Path(moved).expanduser()
    from platformdirs import user_data_path

    return user_data_path("ffm", appauthor=False)


def one_spelling(path: str | os.PathLike[str]) -> str:
    """Return the spelling of a path by which two of them can be compared.

    Links are followed, parts stand apart by ``/``, and where a system does not tell
    capitals from small letters, all are small.
    """
    return os.path.normcase(os.path.realpath(path)).replace(os.sep, "/")


def is_folder_name(text: str) -> bool:
    """Whether a folder may be called so on every system: a-z, 0-9, ``_``, ``-`` and ``.``."""
    return _FOLDER.fullmatch(text) is not None and text.partition(".")[0] not in _DEVICES


def kind_of(path: Path) -> Kind:
    """Return what lies at a path, following links; "" when nothing can be seen there.

    Unlike ``Path.exists`` and its sisters it never raises: a name too long, a folder
    that may not be entered or a NUL character mean that nothing can be seen. Whoever
    opens the path then says why.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def kernel_folder() -> Path:
    """Return where kernels of just these sources are kept.

    Numba looks only at the file a kernel stands in; one that inlines a function of another
    file would go on running the old one after an upgrade.
    """
    package = Path(__file__).resolve().parent
    sources = sorted(package.rglob("*.py"))
    stamps = ((path.relative_to(package), path.stat()) for path in sources)
    text = "\n".join(f"{path.as_posix()} {s.st_size} {s.st_mtime_ns}" for path, s in stamps)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or ffm_home() / "numba")
    return base if base.name == mark else base / mark
