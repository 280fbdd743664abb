"""Where FFM keeps what outlives a run: ledger, cache, seals, compiled kernels."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["", "file", "folder", "other"]
_IMPORTED = re.compile(r"^\s*from (ffm_core\.[\w.]+) import", re.MULTILINE)
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
    file, or was compiled with a constant from it, would go on running the old one after an
    upgrade. So the name of the folder follows the content of every file with a kernel and of
    all that these import.
    """
    digest = hashlib.sha256()
    for name, text in sorted(_behind_kernels(Path(__file__).resolve().parent).items()):
        digest.update(f"{name}\0{text}\0".encode())
    mark = digest.hexdigest()[:16]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or ffm_home() / "numba")
    return base if base.name == mark else base / mark


def _behind_kernels(package: Path) -> dict[str, str]:
    texts = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        texts[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    imports = {name: set(_IMPORTED.findall(text)) for name, text in texts.items()}
    found: dict[str, str] = {}
    coming = [name for name, used in imports.items() if "ffm_core.jit" in used]
    while coming:
        if (name := coming.pop()) in texts and name not in found:
            found[name] = texts[name]
            coming.extend(imports[name])
    return found
