"""Model files in OpenVINO with bfloat16 arithmetic: faster, and rounder; only when asked for."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np

from ffm_core.embed.cards import verified
from ffm_core.embed.session import OnnxModel
from ffm_core.errors import UnavailableError
from ffm_core.types import Float32

_Shapes: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


class OpenvinoModel(OnnxModel):
    """A backbone on OpenVINO in bfloat16; calls and batches are those of :class:`.OnnxModel`.

    Raises
    ------
    UnavailableError
        On first use, when OpenVINO is absent or the processor has no bfloat16.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenvinoModel, (self.folder, self.card)

    def _open(self, name: str) -> Any:
        return _Session(verified(self.folder, self.card, name), self.threads)


class _Session:
    """A graph, compiled for every shape it is asked for; asked like a session of ONNX Runtime.

    A batch has one thread to itself, and there are as many seats as threads.
    """

    def __init__(self, data: bytes, threads: int) -> None:
        self._core = _core()
        if "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError(
                "this processor computes no bfloat16, which backend openvino-bf16 is for",
                fix="use the onnx backend",
            )
        self._data = data
        self._threads = threads
        self._seats: dict[_Shapes, SimpleQueue[Any]] = {}
        self._lock = threading.Lock()

    def run(self, _: None, given: dict[str, Float32]) -> list[Float32]:
        """Return the outputs for some inputs, as copies."""
        seats = self._seats_for(tuple((name, array.shape) for name, array in given.items()))
        seat = seats.get()
        try:
            found = seat.infer(given)
            return [np.array(found[k], dtype=np.float32) for k in range(len(found))]
        finally:
            seats.put(seat)

    def _seats_for(self, shapes: _Shapes) -> SimpleQueue[Any]:
        with self._lock:
            if shapes not in self._seats:
                self._seats[shapes] = self._compiled(shapes)
            return self._seats[shapes]

    def _compiled(self, shapes: _Shapes) -> SimpleQueue[Any]:
        model = self._core.read_model(self._data)
        model.reshape({name: list(shape) for name, shape in shapes})
        chosen = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": self._threads,
            "ENABLE_CPU_PINNING": False,
            # Its fused attention is slower than its parts on so few tokens.
            "SNIPPETS_MODE": "DISABLE",
        }
        compiled = self._core.compile_model(model, "CPU", chosen)
        seats: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._threads):
            seats.put(compiled.create_infer_request())
        return seats


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise UnavailableError(
            "backend openvino-bf16 needs openvino, which is not installed",
            fix='pip install "ffm-core[openvino]"',
        ) from error
    return openvino.Core()
