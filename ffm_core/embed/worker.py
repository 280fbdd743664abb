"""A backbone through torch, in a process of its own: the reference for the other backends.

The process starts with the first window and is kept until :meth:`TorchModel.close`, the
end of this process, or an error. torch never enters this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

import ffm_core
from ffm_core.embed.cards import Card
from ffm_core.embed.session import BATCH_ROWS, Advance
from ffm_core.embed.verification import checkpoint_sha256
from ffm_core.embed.workers.protocol import PROTOCOL, Message, failure, receive, send
from ffm_core.errors import ModelError, UnavailableError
from ffm_core.paths import kind_of
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


def start(
    module: str, *words: str, threads: int, said: Any, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a worker that hears on standard input and answers on standard output.

    Parameters
    ----------
    module : str
        Dotted name, run as ``python -m``.
    *words : str
        Its arguments.
    threads : int
        Threads of its arithmetic.
    said : file
        Where its standard error goes.
    variables : mapping of str to str, optional
        More of its environment.
    """
    root = str(Path(ffm_core.__file__).parent.parent)
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return subprocess.Popen(
        # -P: a file called torch.py in the working folder is not what is meant.
        [sys.executable, "-P", "-m", module, *words],
        env=os.environ
        | {
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **(variables or {}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,  # Ctrl-C is for this process, which ends the worker
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker at once and leave nothing of it."""
    with suppress(OSError):
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


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
        process = start(module, path, threads=job["threads"], said=said, variables=variables)
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
        self._process: subprocess.Popen[bytes] | None = None
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
        self._process = None

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
        mine = self._process if os.getpid() == self._owner else None
        process = mine or self._begin()
        header = {"ask": ask, "rows": len(part), "context": part.shape[1]}
        body = np.ascontiguousarray(part, dtype="<f4").tobytes()
        message, answer = self._exchange(process, header, body, self.batch_seconds)
        return np.frombuffer(answer, dtype="<f4").reshape(message["shape"])

    def _begin(self) -> subprocess.Popen[bytes]:
        """Start the process and make sure that it loaded what the card speaks of."""
        checkpoint = _checkpoint(self.card)
        require_torch("the torch backend")
        self._said = TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        process = start(_SERVE, str(os.getpid()), threads=self._threads, said=self._said)
        self._stop = weakref.finalize(self, _end, process, self._said, os.getpid())
        job = {
            "checkpoint": str(checkpoint), "threads": self._threads,
            "rounded": self.card.facts.get("stored") == "float16",
        }  # fmt: skip
        self.hello, _ = self._exchange(process, job, b"", self.start_seconds)
        expected = (PROTOCOL, self.card.facts["checkpoint_sha256"])
        if (self.hello["protocol"], self.hello["weights"]) != expected:
            self.close()
            raise _other_weights(self.card, checkpoint)
        self._process, self._owner = process, os.getpid()
        return process

    def _exchange(
        self, process: subprocess.Popen[bytes], header: Message, body: bytes, seconds: float
    ) -> tuple[Message, bytes]:
        """Send a frame and read the answer; a process that is silent too long is ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()
        clock = threading.Timer(seconds, _end_late, (process, late))
        clock.daemon = True
        clock.start()
        try:
            message, answer = _ask(process.stdin, process.stdout, header, body)
        except (EOFError, OSError) as error:
            stop(process)
            broken = _broken(_SERVE, process.returncode, self._said)
            self.close()
            if late.is_set():
                raise UnavailableError(
                    f"the torch process did not answer within {seconds:g} seconds",
                    fix="use the onnx backend, or give it more memory and fewer neighbours",
                ) from error
            raise broken from error
        except BaseException:  # Ctrl-C between question and answer: the wire is out of step
            self.close()
            raise
        finally:
            clock.cancel()
        if message["kind"] == "failed":
            if not self.hello:
                self.close()
            raise failure(message)
        return message, answer


def _ask(
    sink: BinaryIO | Any, source: BinaryIO | Any, header: Message, body: bytes
) -> tuple[Message, bytes]:
    send(sink, header, body)
    return receive(source)


def _end(process: subprocess.Popen[bytes], said: Any, owner: int) -> None:
    if os.getpid() == owner:  # a fork holds the same process, which is not its own to end
        stop(process)
        said.close()


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        process.kill()


def _checkpoint(card: Card) -> Path:
    place = str(card.facts.get("checkpoint", ""))
    if not place or kind_of(Path(place)) != "folder":
        raise UnavailableError(
            f"the torch backend needs the checkpoint that {card.name} was converted from, and "
            + (f"{place} is gone" if place else "its card names none"),
            fix="use the onnx backend, or add the checkpoint's folder under another name",
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
            f"the system ended the torch process (signal {-code}); memory may have run out",
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
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({**job, "parent": os.getpid()}, file)
        file.flush()
        yield file.name
