"""Who is writing: a process that can be told dead from alive after a crash.

A process id alone is not enough: ids are reused, and machines restart. A lease
therefore also holds the boot, the pid namespace and the start time of the process.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One process on one boot of one machine.

    Parameters
    ----------
    machine : str
        Hash of host name and pid namespace, 12 hex digits.
    boot : str
        Hash of the boot id; empty where the system has none.
    pid : int
        Process id inside the namespace.
    start : str
        Start time of the process in clock ticks since boot; empty where unknown.
    """

    machine: str
    boot: str
    pid: int
    start: str

    def token(self) -> str:
        """Return the lease as one word that is safe in a file name."""
        return f"{self.machine}.{self.boot or 'x'}.{self.pid}.{self.start or 'x'}"


def current_lease() -> Lease:
    """Return the lease of this process."""
    pid = os.getpid()
    return Lease(machine=_machine(), boot=_boot(), pid=pid, start=_start(pid) or "")


def lease_from(stored: Mapping[str, object]) -> Lease:
    """Read a lease from an event of the ledger."""
    return Lease(
        machine=str(stored["machine"]),
        boot=str(stored["boot"]),
        pid=int(str(stored["pid"])),
        start=str(stored["start"]),
    )


def lease_from_token(token: str) -> Lease | None:
    """Read what :meth:`Lease.token` wrote; None when it is something else."""
    parts = token.split(".")
    if len(parts) != 4 or not parts[2].isdigit():
        return None
    boot, start = ("" if part == "x" else part for part in (parts[1], parts[3]))
    return Lease(machine=parts[0], boot=boot, pid=int(parts[2]), start=start)


def is_dead(lease: Lease) -> bool:
    """Whether the process is certainly gone.

    A lease of another machine or container cannot be judged from here and counts
    as alive: an open trial counts like an aborted one, so waiting costs nothing.
    """
    if lease.machine != _machine():
        return False
    if lease.boot != _boot():
        return True
    start = _start(lease.pid)
    if start is None:
        return True
    return bool(lease.start) and bool(start) and start != lease.start


def _machine() -> str:
    try:
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return _short(f"{platform.node()} {namespace}")


def _boot() -> str:
    try:
        return _short((_PROC / "sys/kernel/random/boot_id").read_text())
    except OSError:
        return ""


def _start(pid: int) -> str | None:
    """Start time of a process, "" where unknown, None when it does not run."""
    try:
        # The name of the command may hold spaces and brackets; fields follow the last one.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return _signalled(pid)


def _signalled(pid: int) -> str | None:
    if (_PROC / "self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
