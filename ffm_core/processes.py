"""How worker processes start, what reaches them, and how they end: the same on every system.

The only module that asks what the operating system offers; the rest of the code uses
what is here.
"""

from __future__ import annotations

import _thread
import os
import platform
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, TypeAlias

Ring: TypeAlias = Callable[[int, FrameType | None], None]

_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_LENGTH = struct.Struct("<Q")
_LONGEST = 1 << 34  # bytes of a message; more means that something else is on the wire


def end_with(parent: int) -> None:
    """End this process when another one is gone, however it went.

    Parameters
    ----------
    parent : int
        Process id of the one that this process works for.
    """
    import psutil

    try:
        host = psutil.Process(parent)
        # A younger process has taken over the number of one that is gone.
        gone = host.create_time() > psutil.Process().create_time() + _LOOK_SECONDS
    except psutil.NoSuchProcess:
        gone = True
    if gone:
        os._exit(1)

    def watch() -> None:
        while True:
            try:
                host.wait(timeout=_LOOK_SECONDS)
                break
            except psutil.TimeoutExpired:
                if _is_zombie(host):
                    break
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="ffm-end-with-parent").start()


def _is_zombie(process: Any) -> bool:
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def begin_worker(parent: int) -> None:
    """Set up a worker of a pool: it ends with ``parent``, ignores Ctrl-C and prints nothing.

    Standard output belongs to the results of the command; what plug-ins print goes to
    standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    end_with(parent)


def leave_working_folder() -> None:
    """Take the working folder off this process's path, and off that of all it starts.

    A folder that ``PYTHONPATH`` or an editable install names stays importable, behind the
    standard library and everything that is installed.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        here = Path.cwd().resolve()
    except OSError:  # it is gone
        return

    def is_here(place: str) -> bool:
        return Path(place).resolve() == here

    named = [place for place in sys.path if place and is_here(place)]
    sys.path[:] = [place for place in sys.path if place and not is_here(place)] + named[:1]
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(is_here(place) for place in places):
        # Workers are told the whole path once they have started.
        os.environ["PYTHONPATH"] = os.pathsep.join(p for p in places if not is_here(p))


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, and whose path lacks the working folder.

    A terminal sends it to every process of the command. Workers started here inherit
    the block from their first instruction on, so none prints a traceback of its own;
    this process receives what came meanwhile at the end of the block, and stops them.
    Where a system cannot block signals, workers ignore Ctrl-C once they have begun.
    """
    from multiprocessing import resource_tracker

    os.environ["PYTHONSAFEPATH"] = "1"  # workers of the pool are started by name
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its first start would lift the block again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A Python process that is sent whole messages and answers them; it can be waited for.

    Parameters
    ----------
    arguments : sequence of str
        What follows the interpreter on its command line.
    environment : mapping of str to str
        All of its environment.
    said : file or int, optional
        Where its standard error goes; nowhere by default.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *,
        said: Any = subprocess.DEVNULL,
    ) -> None:  # fmt: skip
        self.process = start_apart(arguments, environment, said=said)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._sink: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self._heard: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        listener = (self.process.stdout, self._heard)
        threading.Thread(target=_listen, args=listener, daemon=True).start()

    def send(self, message: bytes) -> None:
        """Send a message.

        Raises
        ------
        EOFError
            When the process is gone.
        """
        try:
            write_message(self._sink, message)
        except (OSError, ValueError) as error:
            raise EOFError("the process is gone") from error

    def receive(self, seconds: float) -> bytes:
        """Return the next message.

        Raises
        ------
        TimeoutError
            When none has come for so long.
        EOFError
            When the process is gone.
        """
        try:
            message = self._heard.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no message within {seconds:g} seconds") from None
        if message is None:
            self._heard.put(None)
            raise EOFError("the process is gone")
        return message

    def stop(self) -> int:
        """End the process, whatever it is doing; return its exit code, negative for a signal."""
        return stop(self.process)

    def ended(self) -> int:
        """Return the exit code of a process that is ending by itself; give it a moment."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS)
        return self.stop()


def start_apart(
    arguments: Sequence[str], environment: Mapping[str, str], *, said: Any
) -> subprocess.Popen[bytes]:
    """Start a Python process with pipes to it; Ctrl-C reaches only this one, which ends it.

    The working folder is not on its path: a file called ``torch.py`` there is not meant.
    """
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
    )


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process at once and leave nothing of it; return its exit code."""
    with suppress(OSError):
        process.kill()
    code = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    return code


@contextmanager
def messages() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Keep the standard streams of a worker to messages; yields where they come and go.

    What anything else prints goes to standard error, and who reads finds nothing.
    """
    with os.fdopen(os.dup(0), "rb") as source, os.fdopen(os.dup(1), "wb") as sink:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        yield source, sink


def write_message(stream: BinaryIO, message: bytes) -> None:
    """Write one message: its length as a little-endian uint64, then its bytes."""
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def read_message(stream: BinaryIO) -> bytes:
    """Read one message.

    Raises
    ------
    EOFError
        When the other side is gone, or what arrives is not a message.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _LONGEST:
        raise EOFError("what arrived is not a message")
    return _exactly(stream, length)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = stream.read(missing)
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _listen(stream: BinaryIO, heard: queue.SimpleQueue[bytes | None]) -> None:
    with suppress(EOFError, OSError, ValueError):  # ValueError: closed from this side
        while True:
            heard.put(read_message(stream))
    heard.put(None)


@contextmanager
def alarm(seconds: float, ring: Ring) -> Iterator[None]:
    """Call ``ring`` in the main thread once ``seconds`` have passed, and again and again.

    Elsewhere than in the main thread, or while somebody else's alarm is set, it does not
    ring. Where the system has no timer signals a thread rings, which does not interrupt a
    call that waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif hasattr(signal, "setitimer"):
        if signal.getitimer(signal.ITIMER_REAL)[0] != 0.0:
            yield
            return
        before = signal.signal(signal.SIGALRM, ring)
        try:
            # Rung again and again, in case the first ring is swallowed.
            signal.setitimer(signal.ITIMER_REAL, seconds, max(seconds, 1.0))
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
    else:
        before, over = signal.signal(signal.SIGTERM, ring), threading.Event()

        def wait() -> None:
            while not over.wait(seconds):
                _thread.interrupt_main(signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()
        try:
            yield
        finally:
            over.set()
            signal.signal(signal.SIGTERM, before)


@contextmanager
def memory_limit(room: int) -> Iterator[None]:
    """Let this process take ``room`` bytes more; the next ones raise ``MemoryError``.

    Does nothing where :func:`limits_memory` says that the system cannot.
    """
    if not limits_memory():
        yield
        return
    import resource

    import psutil

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known = (bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)
    limit = min([psutil.Process().memory_info().data + room, *known])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@lru_cache(maxsize=1)
def limits_memory() -> bool:
    """Whether the system holds a process to a size; elsewhere its parent has to look."""
    return sys.platform == "linux" and find_spec("resource") is not None


def memory_held(pid: int) -> int:
    """Return the bytes of memory a process holds; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def machine() -> str:
    """Return what tells this machine, and a container on it, from others of its name."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # a system without containers
        namespace = ""
    return f"{platform.node()} {namespace}"
