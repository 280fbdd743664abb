"""What every training shares: states that survive a kill, and what its process says.

Used on both sides, so nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from ffm_core.embed.workers.protocol import Message, failed
from ffm_core.errors import FFMError, OutputError
from ffm_core.paths import kind_of
from ffm_core.processes import end_with
from ffm_core.runs.atomic import atomic_write, output_error, sweep
from ffm_core.runs.atomic import locked as hold

Hear: TypeAlias = Callable[[Message], None]

KEPT_STATES = 2
PROVENANCE = "PROVENANCE.json"  # beside weights: what they were fitted to
_STATE = re.compile(r"state-(\d{8})-([0-9a-f]{32})\.pt")
# Without these glibc gives the big blocks of every step back and page faults halve the
# speed of training; numpy's small matrices gain nothing from more threads.
VARIABLES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(1 << 28),
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
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
    OutputError
        When another training holds it, or the folder cannot be written.
    """
    with hold(folder, seconds=0.0, moved_by="--out"):
        sweep(folder)
        yield


# ---- in the worker


def say(message: Message) -> None:
    """Print one message to the host."""
    print(json.dumps(message), flush=True)


def serve(work: Callable[[dict[str, Any]], None]) -> None:
    """Read the job in the file that is named, and do it; end when the host does.

    An expected error becomes the last message and exit code 1; anything else is left to
    Python.
    """
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if "parent" in job:
        end_with(job["parent"])
    try:
        work(job)
    except FFMError as error:
        say(failed(error))
        sys.exit(1)


def write_checkpoint(model: Any, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write a checkpoint in the Hugging Face layout.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        What is written.
    folder : pathlib.Path
        Where to; what is there is replaced file by file.
    provenance : mapping
        ``fit_cutoff``, ``trained_on`` and ``base``, which 'ffm backbone add' reads.

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
    text = json.dumps(dict(provenance), indent=2) + "\n"
    atomic_write(folder / PROVENANCE, text.encode())
