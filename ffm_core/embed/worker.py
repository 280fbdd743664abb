"""A backbone through torch, in a process of its own: the reference for the other backends.

The process starts with the first window and is kept until :meth:`TorchModel.close`, the
end of this process, or an error. torch never enters this process.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import Any

import numpy as np

import ffm_core
from ffm_core.embed.cards import Card
from ffm_core.embed.session import BATCH_ROWS, Advance
from ffm_core.embed.verification import checkpoint_sha256
from ffm_core.embed.workers.protocol import PROTOCOL, Message, failure, packed, unpacked
from ffm_core.errors import ModelError, UnavailableError
from ffm_core.paths import kind_of
from ffm_core.processes import Worker, start_apart, stop
from ffm_core.types import Float32

LIBRARIES = ("torch", "transformers", "chronos", "onnx")
_SERVE = "ffm_core.embed.workers.serve"


def require_torch(purpose: str, libraries: Sequence[str] = LIBRARIES) -> None:
    """Make sure that torch and its company are installed, without importing them.

    Raises
    ------
    UnavailableError
        When one is not; names it and the command that installs it.
    """
    for name in libraries:
        if find_spec(name) is None:
            raise UnavailableError(
                f"{purpose} needs {name}, which is not installed",
                fix='pip install "ffm-core[chronos]"',
            )


def _module(name: str, *words: str) -> list[str]:
    return ["-m", name, *words]


def _surroundings(threads: int, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    root = str(Path(ffm_core.__file__).parent.parent)
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **(variables or {}),
    }


def run_job(
    job: Mapping[str, Any],
    module: str,
    hear: Callable[[Message], None],
    *,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a worker with one job to its end.

    Parameters
    ----------
    job : mapping
        What it is asked to do; ``threads`` among it.
    module : str
        Its dotted name.
    hear : callable
        Called with every message but failures.
    variables : mapping of str to str, optional
        More of its environment.

    Raises
    ------
    FFMError
        The worker's own error, of the same class.
    UnavailableError
        When the system ended it.
    RuntimeError
        When it broke; ends with what it wrote to standard error.
    """
    with TemporaryFile() as said, _job_file(job) as path:
        surroundings = _surroundings(job["threads"], variables)
        process = start_apart(_module(module, path), surroundings, said=said)
        found = None
        try:
            assert process.stdout is not None
            for line in process.stdout:
                message = _message(line)
                if message.get("kind") == "failed":
                    found = failure(message)
                elif message:
                    hear(message)
            code = process.wait()
        finally:
            stop(process)
        if found is not None:
            raise found
        if code:
            raise _broken(module, code, said)


class TorchModel:
    """A backbone that the original library runs; the same calls as :class:`.OnnxModel`.

    Parameters
    ----------
    card : Card
        Names the checkpoint the model was converted from, and its hash.
    threads : int, optional
        Threads of its arithmetic; default every core.

    Attributes
    ----------
    start_seconds, batch_seconds : float
        How long the process may take to load, and then for a batch of 64 windows.
    hello : dict
        What the process said of itself: protocol, model, weights, pool, context, dtype,
        device. Empty before the first call.
    """

    start_seconds = 180.0
    batch_seconds = 120.0

    def __init__(self, card: Card, *, threads: int | None = None) -> None:
        self.card = card
        self.hello: Message = {}
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._said: Any = None
        self._owner = 0  # the process that started it
        self._stop: Callable[[], object] = lambda: None

    def __reduce__(self) -> tuple[Any, ...]:
        return TorchModel, (self.card,)

    def __enter__(self) -> TorchModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; the next call starts another."""
        self._stop()
        self._worker = None

    def tokens(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return the encoder's tokens; see :meth:`.OnnxModel.tokens`."""
        shape = (values.shape[1] // self.card.patch + 1, self.card.d_model)
        return self._all("tokens", values, shape, advance)

    def quantiles(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return forecasts in the units of the windows; see :meth:`.OnnxModel.quantiles`."""
        return self._all(
            "quantiles", values, (len(self.card.quantiles), self.card.horizon), advance
        )

    def _all(
        self, ask: str, values: Float32, shape: tuple[int, int], advance: Advance | None
    ) -> Float32:
        out = np.empty((len(values), *shape), dtype=np.float32)
        for begin in range(0, len(values), BATCH_ROWS):
            part = values[begin : begin + BATCH_ROWS]
            with self._lock:
                found = self._batch(ask, part)
            out[begin : begin + len(part)] = found
            if advance is not None:
                advance(len(part))
        return out

    def _batch(self, ask: str, part: Float32) -> Float32:
        mine = self._worker if os.getpid() == self._owner else None
        worker = mine or self._begin()
        header = {"ask": ask, "rows": len(part), "context": part.shape[1]}
        body = np.ascontiguousarray(part, dtype="<f4").tobytes()
        message, answer = self._exchange(worker, header, body, self.batch_seconds)
        return np.frombuffer(answer, dtype="<f4").reshape(message["shape"])

    def _begin(self) -> Worker:
        """Start the process and make sure that it loaded what the card speaks of."""
        checkpoint = _checkpoint(self.card)
        require_torch("the torch backend")
        self._said = TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        command = _module(_SERVE, str(os.getpid()))
        worker = Worker(command, _surroundings(self._threads), said=self._said)
        self._stop = weakref.finalize(self, _end, worker, self._said, os.getpid())
        job = {
            "checkpoint": str(checkpoint), "threads": self._threads,
            "rounded": self.card.facts.get("stored") == "float16",
        }  # fmt: skip
        self.hello, _ = self._exchange(worker, job, b"", self.start_seconds)
        expected = (PROTOCOL, self.card.facts["checkpoint_sha256"])
        if (self.hello["protocol"], self.hello["weights"]) != expected:
            self.close()
            raise _other_weights(self.card, checkpoint)
        self._worker, self._owner = worker, os.getpid()
        return worker

    def _exchange(
        self, worker: Worker, header: Message, body: bytes, seconds: float
    ) -> tuple[Message, bytes]:
        """Send a message and return the answer; a process that is silent too long is ended."""
        try:
            worker.send(packed(header, body))
            message, answer = unpacked(worker.receive(seconds))
        except TimeoutError as error:
            self.close()
            raise UnavailableError(
                f"the torch process did not answer within {seconds:g} seconds",
                fix="use the onnx backend, or free memory and processors for it",
            ) from error
        except EOFError as error:
            broken = _broken(_SERVE, worker.ended(), self._said)
            self.close()
            raise broken from error
        except BaseException:  # Ctrl-C between question and answer: the wire is out of step
            self.close()
            raise
        if message["kind"] == "failed":
            if not self.hello:
                self.close()
            raise failure(message)
        return message, answer


def _end(worker: Worker, said: Any, owner: int) -> None:
    if os.getpid() == owner:  # a fork holds the same process, which is not its own to end
        worker.stop()
        said.close()


def _checkpoint(card: Card) -> Path:
    place = str(card.facts.get("checkpoint", ""))
    if not place or kind_of(Path(place)) != "folder":
        raise UnavailableError(
            f"the torch backend needs the checkpoint that {card.name} was converted from, but "
            + (f"{place} is gone" if place else "its card does not name one"),
            fix="use the onnx backend, or add the checkpoint folder under another name",
        )
    if checkpoint_sha256(Path(place)) != card.facts.get("checkpoint_sha256"):
        raise _other_weights(card, Path(place))
    return Path(place)


def _other_weights(card: Card, checkpoint: Path) -> ModelError:
    return ModelError(
        f"{checkpoint} is not the checkpoint that {card.name} was converted from (cut off or "
        "changed)",
        fix=f"use the onnx backend, or add it under another name: ffm backbone add {checkpoint}",
    )


def _broken(module: str, code: int | None, said: Any) -> Exception:
    if code is not None and code < 0:
        return UnavailableError(
            f"the torch process was killed (signal {-code}); memory may have run out",
            fix="close other programs, or use a smaller model",
        )
    said.seek(0)
    text = said.read()[-2000:].decode(errors="replace")
    return RuntimeError(f"{module} ended with code {code}:\n{text}")


def _message(line: bytes) -> Message:
    try:
        found = json.loads(line)
    except ValueError:
        return {}  # a library that prints
    return found if isinstance(found, dict) and "kind" in found else {}


@contextmanager
def _job_file(job: Mapping[str, Any]) -> Iterator[str]:
    """Hold a job in a file that only the worker reads."""
    # A folder, because not every system lets a second process open a file held open here.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_bytes(json.dumps({**job, "parent": os.getpid()}).encode())
        yield str(path)
