"""Takes from Python on Linux what other systems do not offer.

Put this folder on ``PYTHONPATH``: every process that starts there imports it by itself.
psutil, whose job it is to know the systems, may still read ``/proc``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import psutil  # noqa: F401  # built for Linux, it needs one of the modules that go

_MODULES = ("fcntl", "resource", "grp", "termios", "tty", "pty", "syslog")
_CALLS = (
    "fork", "forkpty", "getppid", "killpg", "mkfifo", "nice", "pidfd_open",
    "posix_spawn", "posix_spawnp", "sched_getaffinity", "setpgid", "setsid", "statvfs", "waitid",
)  # fmt: skip
_SIGNALS = (
    "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "ITIMER_REAL", "alarm", "getitimer", "pause",
    "pthread_kill", "pthread_sigmask", "setitimer", "sigpending", "sigwait",
)  # fmt: skip
_PLACES = ("/proc",)


def _by_psutil() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if "/psutil/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def _hear(event: str, args: tuple[object, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], str):
        if args[0].startswith(_PLACES) and not _by_psutil():
            raise FileNotFoundError(2, "no such place on this system", args[0])
    elif event == "ctypes.dlsym" and args[1] == "prctl":
        raise AttributeError("no prctl on this system")


def _readlink(path, *, dir_fd=None, plain=os.readlink):
    if os.fspath(path).startswith("/proc"):
        raise FileNotFoundError(2, "no such place on this system", os.fspath(path))
    return plain(path, dir_fd=dir_fd)


multiprocessing.get_all_start_methods()  # what the standard library looks up at its import
for name in _MODULES:
    sys.modules[name] = None
for name in _CALLS:
    vars(os).pop(name, None)
for name in _SIGNALS:
    vars(signal).pop(name, None)
os.readlink = _readlink
sys.addaudithook(_hear)
