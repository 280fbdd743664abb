"""Processes as tests see them: who lives, whose child it is, how to end it. On every system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE = 180.0  # seconds; a busy machine is slow, a hanging test is worse
MARK = "TEST_FAMILY"  # a variable of the environment that children inherit
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def until(ready: Callable[[], object], *, seconds: float = PATIENCE) -> bool:
    """Wait for something to happen; return whether it did."""
    stop = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > stop:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def children(parent: int) -> list[int]:
    """Return the living children of a process."""
    try:
        found = psutil.Process(parent).children()
    except psutil.NoSuchProcess:
        return []
    return [child.pid for child in found if alive(child.pid)]


def family(mark: str) -> list[psutil.Process]:
    """Return every living process that was started with ``TEST_FAMILY=mark``, or by one that was.

    Parents may be dead and sessions left: the environment stays.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(*_GONE, OSError):
            if process.environ().get(MARK) == mark and alive(process.pid):
                found.append(process)
    return found


def lines(processes: Iterable[psutil.Process]) -> list[str]:
    """Return the command lines of those processes that are still there."""
    found = []
    for process in processes:
        with suppress(*_GONE):
            found.append(" ".join(process.cmdline()))
    return found


def end(mark: str) -> None:
    """Kill a family until nobody is left of it."""
    while members := family(mark):
        for process in members:
            with suppress(*_GONE):
                process.kill()
        psutil.wait_procs(members, timeout=5)


def gone(pids: Iterable[int], *, seconds: float = 60.0) -> bool:
    """Wait until processes have ended; kill those that have not, and return False."""
    pids = list(pids)
    if until(lambda: not any(map(alive, pids)), seconds=seconds):
        return True
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    return False


_CALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from helpers.loading import load_module
getattr(load_module("started", sys.argv[2]), sys.argv[3])(*json.loads(sys.argv[4]))
"""


def start(file: str, function: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Call a function of a file in a fresh process; arguments travel as JSON."""
    helpers = str(Path(__file__).resolve().parents[1])
    words = [helpers, file, function, json.dumps(arguments)]
    return subprocess.Popen([sys.executable, "-c", _CALL, *words])


def was_killed(code: int | None) -> bool:
    """Return whether an exit code is that of a killed process."""
    return code == -signal.SIGKILL if os.name == "posix" else bool(code)


def sweep_semaphores(pid: int) -> None:
    """Remove the semaphores that a killed process pool leaves on Linux."""
    for left in Path("/dev/shm").glob(f"sem.loky-{pid}-*"):
        left.unlink(missing_ok=True)
