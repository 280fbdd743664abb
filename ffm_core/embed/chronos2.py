"""Chronos-2 in ONNX Runtime: how far it forecasts is part of what its encoder sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.embed.cards import ENCODER, Card
from ffm_core.embed.session import Advance, OnnxModel
from ffm_core.types import Float32


class Chronos2Model(OnnxModel):
    """A Chronos-2 backbone; calls and batches are those of :class:`.OnnxModel`.

    Embeddings are those of ``pipeline.embed``, which looks one patch ahead.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return Chronos2Model, (self.folder, self.card)

    def quantiles(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return forecasts in the units of the windows, float32 (N, levels, horizon)."""
        shape = (len(values), len(self.card.quantiles), self.card.horizon)
        patches = self.card.horizon // self.card.patch
        out = np.empty(shape, dtype=np.float32)
        encoder, decoder = self._encoder, self._decoder

        def answer(given: Float32, mask: Float32) -> Float32:
            hidden = encoder.ahead({"values": given, "mask": mask}, patches)
            found: Float32 = decoder.run(None, {"tokens": hidden[:, -patches:]})[0]
            return found

        self._fill(values, out, answer, advance)
        return out

    def _open(self, name: str) -> Any:
        session = super()._open(name)
        return _Encoder(session) if name == ENCODER else session


def opened(folder: Path, card: Card, *, threads: int | None = None) -> OnnxModel:
    """Return the model of a folder on ONNX Runtime, of whichever architecture it is."""
    kind = Chronos2Model if card.architecture == "chronos-2" else OnnxModel
    return kind(folder, card, threads=threads)


class _Encoder:
    """A session that looks one patch ahead and keeps that patch's token to itself."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def ahead(self, given: dict[str, Float32], patches: int) -> Float32:
        """Return all tokens, those of the patches to come last."""
        found: Float32 = self._session.run(
            None, {**given, "ahead": np.array([patches], dtype=np.int64)}
        )[0]
        return found

    def run(self, _: None, given: dict[str, Float32]) -> list[Float32]:
        """Return the tokens of past patches and of the whole window."""
        return [self.ahead(given, 1)[:, :-1]]
