"""Who is writing: a process that can be told dead from alive after a crash.

A process id alone is not enough: ids are reused, and machines restart. A lease
therefore also holds the machine and the time at which the process started.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ffm_core.processes import machine

_TOLERANCE_MS = 2000  # systems round start times to a second and correct their clocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One process on one machine.

    Parameters
    ----------
    machine : str
        Hash of host name and pid namespace, 12 hex digits.
    pid : int
        Process id inside the namespace.
    started, boot : int
        When the process and the machine started, milliseconds since 1970; 0 where
        unknown.
    """

    machine: str
    pid: int
    started: int = 0
    boot: int = 0

    def token(self) -> str:
        """Return the lease as one word that is safe in a file name."""
        return f"{self.machine}.{self.pid}.{self.started}.{self.boot}"


def current_lease() -> Lease:
    """Return the lease of this process."""
    return _lease_of(os.getpid())


@lru_cache(maxsize=1)
def _lease_of(pid: int) -> Lease:
    started = _started(pid) or 0
    return Lease(machine=_machine(), pid=pid, started=started, boot=_booted())


def lease_from(stored: Mapping[str, object]) -> Lease:
    """Read a lease from an event of the ledger, older versions' events included."""
    known = {key: int(str(stored[key])) for key in ("started", "boot") if "started" in stored}
    return Lease(machine=str(stored["machine"]), pid=int(str(stored["pid"])), **known)


def lease_from_token(token: str) -> Lease | None:
    """Read what :meth:`Lease.token` wrote; None when it is something else."""
    machine, *numbers = token.split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        return None
    pid, started, boot = (int(number) for number in numbers)
    return Lease(machine=machine, pid=pid, started=started, boot=boot)


def is_dead(lease: Lease) -> bool:
    """Whether the process is certainly gone.

    A lease of another machine or container cannot be judged from here and counts
    as alive: an open trial counts like an aborted one, so waiting costs nothing.
    """
    if lease.machine != _machine():
        return False
    started = _started(lease.pid)
    if started is None:
        return True
    if not lease.started or not started:
        return False
    # Where a clock correction moves both times, their difference stays; elsewhere the
    # start itself does.
    moved = started - lease.started
    return min(abs(moved), abs(moved - (_booted() - lease.boot))) > _TOLERANCE_MS


def _machine() -> str:
    return hashlib.sha256(machine().encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _started(pid: int) -> int | None:
    """Start of a process in milliseconds, 0 where unknown, None when it does not run."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.create_time() * 1000)
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return 0


def _booted() -> int:
    import psutil

    return int(psutil.boot_time() * 1000)
