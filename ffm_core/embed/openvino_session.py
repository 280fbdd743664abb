"""Model files in OpenVINO with bfloat16 arithmetic: faster, and rounder; only when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.embed.cards import verified
from ffm_core.embed.session import OnnxModel
from ffm_core.errors import UnavailableError
from ffm_core.types import Float32


class OpenvinoModel(OnnxModel):
    """A backbone on OpenVINO in bfloat16; calls and batches are those of :class:`.OnnxModel`.

    Raises
    ------
    UnavailableError
        On first use, when OpenVINO is absent or the processor has no bfloat16.
    """

    one_at_a_time = True

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenvinoModel, (self.folder, self.card)

    def _open(self, name: str) -> Any:
        data = verified(self.folder, self.card, name)
        return _Session(data, self._threads)


class _Session:
    """One compiled graph, asked like a session of ONNX Runtime."""

    def __init__(self, data: bytes, threads: int) -> None:
        core = _core()
        if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError(
                "this processor computes no bfloat16, which backend openvino-bf16 is for",
                fix="use the onnx backend",
            )
        chosen = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        self._model = core.compile_model(core.read_model(data), "CPU", chosen)

    def run(self, _: None, given: dict[str, Float32]) -> list[Float32]:
        """Return the outputs for some inputs, as copies."""
        found = self._model(given)
        return [np.array(found[k], dtype=np.float32) for k in range(len(self._model.outputs))]


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise UnavailableError(
            "backend openvino-bf16 needs openvino, which is not installed",
            fix='pip install "ffm-core[openvino]"',
        ) from error
    return openvino.Core()
