"""What every training shares: states that survive a kill, and the process that trains.

The host starts a worker, hears what it says, one JSON object a line, and raises the
worker's errors as its own. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeAlias

from ffm_core import errors
from ffm_core.errors import FFMError, OutputError, UnavailableError, UsageError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import atomic_write, output_error, sweep

Message: TypeAlias = dict[str, Any]
Hear: TypeAlias = Callable[[Message], None]

LIBRARIES = ("torch", "chronos", "transformers", "onnx")
INSTALL = 'pip install "ffm-core[chronos]"'
KEPT_STATES = 2
BASE_FILE = "base.json"  # beside an adapter: the base it may be put on
_STATE = re.compile(r"state-(\d{8})-([0-9a-f]{32})\.pt")
_LOCK = ".training-lock"
# Without these glibc gives the big blocks of every step back and page faults halve the
# speed of training.
_ALLOCATION = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(1 << 28),
    "MALLOC_ARENA_MAX": "2",
}


class States:
    """The training states of a folder: the newest two, each named by its own hash.

    Parameters
    ----------
    folder : pathlib.Path
        Where ``state-<step>-<hash>.pt`` lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Return the steps of the states that are there, whole or not, newest first."""
        return [step for step, _, _ in self._found()]

    def save(self, step: int, data: bytes) -> None:
        """Write a state in one step, then let the ones before the last two go.

        Raises
        ------
        OutputError
            When it cannot be written; the states of before are untouched.
        """
        digest = hashlib.sha256(data).hexdigest()[:32]
        atomic_write(self.folder / f"state-{step:08d}-{digest}.pt", data)
        for _, _, old in self._found()[KEPT_STATES:]:
            with suppress(OSError):
                old.unlink()

    def newest(self, hear: Hear) -> bytes | None:
        """Return the newest state that is whole, or None when there is none.

        Parameters
        ----------
        hear : callable
            Told of every state that was cut off or changed; such files are removed, so
            that training goes on from the one before.
        """
        for step, digest, path in self._found():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest()[:32] == digest:
                return data
            text = f"{path.name} was cut off or changed; training goes on from the state before it"
            hear({"kind": "note", "text": text, "step": step})
            with suppress(OSError):
                path.unlink()
        return None

    def _found(self) -> list[tuple[int, str, Path]]:
        if kind_of(self.folder) != "folder":
            return []
        matches = ((_STATE.fullmatch(path.name), path) for path in self.folder.iterdir())
        found = [(int(match[1]), match[2], path) for match, path in matches if match]
        return sorted(found, reverse=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one training; the hold ends with the process that has it.

    Raises
    ------
    UsageError
        When another training holds it.
    OutputError
        When the folder cannot be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise output_error(folder, error, moved_by="--out") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another training is under way in {folder}",
                fix="wait for it, end it, or choose another folder with --out",
            ) from error
        yield


def require_libraries(names: tuple[str, ...] = LIBRARIES, *, purpose: str = "training") -> None:
    """Make sure that libraries are installed, without importing them.

    Raises
    ------
    UnavailableError
        When one is not; names it and the command that installs it.
    """
    for name in names:
        if find_spec(name) is None:
            raise UnavailableError(f"{purpose} needs {name}, which is not installed", fix=INSTALL)


def surroundings(threads: int) -> dict[str, str]:
    """Return the environment of a process that trains.

    One thread for numpy, whose small matrices gain nothing from more.
    """
    return {
        **os.environ, **_ALLOCATION, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


def run_worker(module: str, job: Mapping[str, Any], hear: Hear, *, threads: int = 1) -> None:
    """Run a worker to its end; Ctrl-C ends it too.

    Parameters
    ----------
    module : str
        Its dotted name, run as ``python -m module JOB.json``.
    job : mapping
        What it is asked to do, written to a file that only it reads.
    hear : callable
        Called with every message but failures.
    threads : int
        Threads of its arithmetic.

    Raises
    ------
    FFMError
        The worker's own error, of the same class.
    UnavailableError
        When the system ended it.
    RuntimeError
        When it broke; ends with what it wrote to standard error.
    """
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "-"],
            env=surroundings(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends the worker
        )
        try:
            failure = _listen(process, json.dumps(job), hear)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if failure is not None:
            raise failure
        if code < 0:
            raise UnavailableError(
                f"the system ended the training process (signal {-code}); memory may have run out",
                fix="run the same command again: it goes on from its last state",
            )
        if code:
            said.seek(0)
            raise RuntimeError(f"{module} ended with code {code}:\n{said.read()[-2000:]}")


def _listen(process: subprocess.Popen[str], job: str, hear: Hear) -> FFMError | None:
    """Hand the job over and pass messages on; return the failure it ends with, if any."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):  # it died at once; its code says so
        process.stdin.write(job)
        process.stdin.close()
    failure = None
    for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue  # a library that prints
        if isinstance(message, dict) and message.get("kind") == "failed":
            failure = _failure(message)
        elif isinstance(message, dict) and "kind" in message:
            hear(message)
    return failure


def _failure(message: Message) -> FFMError:
    kind = getattr(errors, message["error"])
    found: FFMError = kind(message["problem"], fix=message["fix"])
    return found


# ---- in the worker


def say(message: Message) -> None:
    """Print one message to the host."""
    print(json.dumps(message), flush=True)


def serve(work: Callable[[dict[str, Any]], None]) -> None:
    """Read a job from a file, or from standard input for ``-``, and do it.

    An expected error becomes the last message and exit code 1; anything else is left to
    Python.
    """
    given = sys.argv[1] if len(sys.argv) > 1 else "-"
    job = json.loads(sys.stdin.read() if given == "-" else Path(given).read_text())
    try:
        work(job)
    except FFMError as error:
        say({"kind": "failed", "error": type(error).__name__, "problem": error.problem,
             "fix": error.fix})  # fmt: skip
        sys.exit(1)


def write_checkpoint(model: Any, folder: Path) -> None:
    """Write a checkpoint in the Hugging Face layout.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        What is written.
    folder : pathlib.Path
        Where to; what is there is replaced file by file.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    try:
        model.save_pretrained(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    except Exception as error:  # the format's own class, which carries only a text
        if type(error).__name__ != "SafetensorError":
            raise
        raise OutputError(f"cannot write {folder}: {error}", fix="free some space") from error
