"""Finding stored runs by path, id, unique beginning of an id, or ``latest``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ffm_core.errors import RecordError, UnknownNameError
from ffm_core.paths import kind_of
from ffm_core.runs.record import RECORD_FILE, Run, glance, load_run
from ffm_core.wording import did_you_mean

LATEST = "latest"
_LONGEST = 80  # characters of a name that a message repeats


def run_folders(out_dir: Path) -> list[Path]:
    """Return the run folders of ``out_dir``, oldest first; empty when it is missing.

    Raises
    ------
    RecordError
        When the folder cannot be read.
    """
    if kind_of(out_dir) != "folder":
        return []
    try:
        found = [path for path in out_dir.iterdir() if kind_of(path / RECORD_FILE) == "file"]
    except OSError as error:
        raise RecordError(
            f"cannot read {out_dir}: {error.strerror}",
            fix="grant read permission, or give another --out",
        ) from error
    return sorted(folder for folder in found if not folder.name.startswith("."))


def find_run(reference: str | Path, *, out_dir: Path = Path("ffm-runs")) -> Path:
    """Return the folder of a run.

    Parameters
    ----------
    reference : str or pathlib.Path
        A run folder or its ``run.json``, a run id of ``out_dir``, a beginning or end
        that only one id has, or ``latest``.
    out_dir : pathlib.Path
        Folder of run folders.

    Raises
    ------
    UnknownNameError
        When no run or several runs answer to it.
    """
    path = Path(reference)
    if path.name == RECORD_FILE and kind_of(path) == "file":
        return path.parent
    if kind_of(path / RECORD_FILE) == "file":
        return path
    folders = {folder.name: folder for folder in run_folders(out_dir)}
    text = str(reference)
    if text == LATEST and folders:
        return folders[max(folders)]
    near = [name for name in folders if name == text or name.startswith(text) or
            name.endswith(text)]  # fmt: skip
    if text and len(near) == 1:
        return folders[near[0]]
    if text and len(near) > 1:
        raise UnknownNameError(
            f"{text!r} matches {len(near)} runs: {', '.join(near[:4])}",
            fix="give more digits of the id",
        )
    raise UnknownNameError(
        f"no run {text[:_LONGEST]!r} in {out_dir}{did_you_mean(text, folders)}",
        fix="list the runs with `ffm runs list`, or give the path of a run folder",
    )


def read_run(reference: str | Path, *, out_dir: Path = Path("ffm-runs")) -> Run:
    """Read a run by whatever :func:`find_run` accepts."""
    return load_run(find_run(reference, out_dir=out_dir))


def list_runs(
    out_dir: Path, known: Mapping[str, str] | None = None
) -> tuple[list[Run], list[RecordError]]:
    """Return the readable runs of a folder, oldest first, and why others are not.

    Parameters
    ----------
    out_dir : pathlib.Path
        Folder of run folders.
    known : mapping of str to str, optional
        SHA-256 of ``run.json`` by run id, as the ledger has it.

    Returns
    -------
    tuple of list
        The runs hold what :func:`.glance` reads.
    """
    runs, broken = [], []
    for folder in run_folders(out_dir):
        try:
            runs.append(glance(folder, (known or {}).get(folder.name)))
        except RecordError as error:
            broken.append(error)
    return runs, broken
