"""Writing files and folders so that a reader sees all of them or nothing."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ffm_core.errors import OutputError
from ffm_core.paths import ffm_home, kind_of
from ffm_core.runs.lease import current_lease, is_dead, lease_from_token

_PARTIAL = ".ffm-partial-"
_LOCK = ".lock"
# What FFM keeps in FFM_HOME.
_OURS = re.compile(r"ledger\.sqlite3|cache$|vectors$|numba$|backbones$|context$|instruments\.toml$|"
                   r"anchor\.key$|\.lock$|\.ffm-")  # fmt: skip
_MOVED_BY = "--out or FFM_HOME"
_FIXES = {
    errno.ENOSPC: "free some space on the disk, or choose another place with {0}",
    errno.EDQUOT: "free some of your quota, or choose another place with {0}",
    errno.EFBIG: "raise the limit on file size, or choose another place with {0}",
    errno.EACCES: "grant write permission, or choose another place with {0}",
    errno.EPERM: "grant write permission, or choose another place with {0}",
    errno.EROFS: "choose a place on a writable file system with {0}",
    errno.EEXIST: "remove what is there, or choose another place with {0}",
    errno.ENOTEMPTY: "remove what is there, or choose another place with {0}",
    errno.ENOTDIR: "part of the path is a file; choose another place with {0}",
}


def make_folder(path: Path) -> None:
    """Make a folder and its parents; ``FFM_HOME`` among them as :func:`make_home` does.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    home = ffm_home()
    if path == home or home in path.parents:
        make_home(home)
    path.mkdir(parents=True, exist_ok=True)


def make_home(home: Path) -> None:
    """Make ``FFM_HOME`` for its owner alone, whatever the umask.

    One that exists is closed to others where it holds nothing but what FFM put there.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    made = not home.exists()
    if made:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    open_to_others = home.stat().st_mode & 0o077
    with suppress(OSError):  # somebody else's folder is theirs to close
        if made or (open_to_others and all(_OURS.match(path.name) for path in home.iterdir())):
            home.chmod(0o700)


def output_error(path: Path, error: OSError, *, moved_by: str = _MOVED_BY) -> OutputError:
    """Return the error to raise when ``path`` could not be written.

    ``moved_by`` names the flag or variable that chooses another place.
    """
    reason = error.strerror or str(error)
    fix = _FIXES.get(error.errno or 0, "choose another place with {0}")
    return OutputError(f"cannot write {path}: {reason}", fix=fix.format(moved_by))


def atomic_write(
    path: Path,
    data: bytes,
    *,
    durable: bool = True,
    moved_by: str = _MOVED_BY,
    mode: int | None = None,
) -> None:
    """Write ``data`` to ``path`` in one step; an older file is replaced.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is created when missing.
    data : bytes
        The whole content.
    durable : bool
        Force the bytes to disk first, so that a power cut cannot leave an empty
        file under the final name.
    moved_by : str
        The flag or variable that chooses another place, for the fix.
    mode : int, optional
        Permissions of the file, whatever the umask; default what the umask leaves.

    Raises
    ------
    OutputError
        When the folder or file cannot be written; nothing is left behind.
    """
    temporary = path.parent / partial_name()
    try:
        make_folder(path.parent)
        if mode is not None:
            temporary.touch(mode & 0o600)
            temporary.chmod(mode)
        _write(temporary, data, durable=durable)
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error, moved_by=moved_by) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def require_writable(folder: Path, *, moved_by: str = _MOVED_BY) -> None:
    """Find out before hours of work whether a folder can be written at their end.

    What killed processes left half-written there is removed. A folder that is absent
    stays so, lest work that comes to nothing leaves an empty one; then its nearest
    parent is tried.

    Parameters
    ----------
    folder : pathlib.Path
        Where the result will go.
    moved_by : str
        The flag or variable that chooses another place, for the fix.

    Raises
    ------
    OutputError
        When a small file cannot be written there and removed again.
    """
    place = folder
    while not kind_of(place) and place != place.parent:
        place = place.parent
    probe = place / partial_name()
    try:
        with suppress(FileNotFoundError):
            folder.stat()  # a name too long shows here, not in the parent
        sweep(place)
        probe.write_bytes(b"ffm")
        probe.unlink()
    except OSError as error:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        raise output_error(folder, error, moved_by=moved_by) from error


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Fill a folder beside ``path``, then give it that name in one step.

    Parameters
    ----------
    path : pathlib.Path
        The final folder; it must not exist yet.

    Yields
    ------
    pathlib.Path
        An empty hidden folder to write into. It is removed when the block raises;
        one left by a killed process is removed by the next call for the same parent.

    Raises
    ------
    OutputError
        When anything cannot be written, or ``path`` already exists.
    """
    temporary = path.parent / partial_name()
    try:
        make_folder(path.parent)
        sweep(path.parent)
        if path.exists():
            raise FileExistsError(errno.EEXIST, "the folder already exists", str(path))
        temporary.mkdir()
        yield temporary
        _sync_tree(temporary)
        temporary.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(folder: Path, *, seconds: float, moved_by: str = _MOVED_BY) -> Iterator[None]:
    """Hold a folder, made when absent, against other processes that would change it.

    The hold ends with the process that has it, however it ends.

    Parameters
    ----------
    folder : pathlib.Path
        What is held; ``.lock`` in it stays behind.
    seconds : float
        How long to wait for another process.
    moved_by : str
        The flag or variable that chooses another place, for the fix.

    Raises
    ------
    OutputError
        When another process holds it for longer, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        make_folder(folder)
        lock.acquire(timeout=seconds)
    except Timeout as error:
        raise OutputError(
            f"another process is writing in {folder}",
            fix=f"wait until it has finished, or choose another place with {moved_by}",
        ) from error
    except OSError as error:
        raise output_error(folder, error, moved_by=moved_by) from error
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Remove the unfinished files and folders that killed processes left in ``folder``."""
    for left in folder.glob(f"{_PARTIAL}*"):
        lease = lease_from_token(left.name.removeprefix(_PARTIAL).rpartition(".")[0])
        if lease is not None and is_dead(lease):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def partial_name() -> str:
    """Return a hidden name for an unfinished file; :func:`sweep` knows it when we are dead."""
    return f"{_PARTIAL}{current_lease().token()}.{secrets.token_hex(4)}"


def _write(path: Path, data: bytes, *, durable: bool) -> None:
    with path.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _sync_tree(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    # Some file systems refuse to sync a folder; the rename stands all the same.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
