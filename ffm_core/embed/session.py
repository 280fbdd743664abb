"""Model files in ONNX Runtime, in this process, always in batches of one size.

Every call is padded to the same number of rows, so that a window meets the same
arithmetic whether it comes alone, among 64 or among 4,096.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.embed.cards import DECODER, ENCODER, Card, verified
from ffm_core.embed.recipe import Pool
from ffm_core.errors import ModelError, UnavailableError
from ffm_core.types import Float32

BATCH_ROWS = 64  # part of every result's arithmetic; changing it changes the recipe
Advance = Callable[[int], None]
Answer = Callable[[Float32, Float32], Float32]
_THREADS = "FFM_EMBED_THREADS"


class OnnxModel:
    """A backbone on ONNX Runtime; files are read and verified on first use.

    Parameters
    ----------
    folder : pathlib.Path
        Where card and files lie.
    card : Card
        The card, already read.
    threads : int, optional
        Batches at once; default ``FFM_EMBED_THREADS`` or every core.
    """

    def __init__(self, folder: Path, card: Card, *, threads: int | None = None) -> None:
        self.folder = folder
        self.card = card
        self.threads = threads or _threads()

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxModel, (self.folder, self.card)

    def tokens(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return the encoder's tokens.

        Parameters
        ----------
        values : float32 (N, context)
            Normalised windows; NaN marks bars that are not there. The context is a
            multiple of the patch.
        advance : callable, optional
            Called with the number of rows done since the last call.

        Returns
        -------
        float32 (N, context / patch + 1, d_model)
            The last token stands for the whole window.
        """
        width = (self._tokens_of(values), self.card.d_model)
        out = np.empty((len(values), *width), dtype=np.float32)
        encoder = self._encoder

        def answer(given: Float32, mask: Float32) -> Float32:
            found: Float32 = encoder.run(None, {"values": given, "mask": mask})[0]
            return found

        self._fill(values, out, answer, advance)
        return out

    def vectors(self, values: Float32, pool: Pool, advance: Advance | None = None) -> Float32:
        """Return the pooled tokens of windows, float32 (N, d) or (N, 2 d).

        The same as :func:`pooled` of :meth:`tokens`, which need never exist all at once.
        """
        self._tokens_of(values)
        width = self.card.d_model * (2 if pool in ("meanreg", "last2") else 1)
        out = np.empty((len(values), width), dtype=np.float32)
        encoder = self._encoder

        def answer(given: Float32, mask: Float32) -> Float32:
            return pooled(encoder.run(None, {"values": given, "mask": mask})[0], pool)

        self._fill(values, out, answer, advance)
        return out

    def _tokens_of(self, values: Float32) -> int:
        """Return how many tokens a window becomes; refuse what the model cannot take."""
        context = int(values.shape[1])
        if context % self.card.patch or not 0 < context <= self.card.context_length:
            raise ModelError(
                f"{self.card.name} takes windows of a multiple of {self.card.patch} bars up to "
                f"{self.card.context_length}, got {context}",
                fix=f"choose a context that is a multiple of {self.card.patch}",
            )
        return context // self.card.patch + 1

    def quantiles(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return forecasts in the units of the windows, float32 (N, levels, horizon).

        Raises
        ------
        ModelError
            When the model only embeds.
        """
        if DECODER not in self.card.files:
            raise ModelError(
                f"{self.card.name} embeds but does not forecast",
                fix="choose another backbone; 'ffm backbone list' shows which ones forecast",
            )
        shape = (len(values), len(self.card.quantiles), self.card.horizon)
        out = np.empty(shape, dtype=np.float32)
        encoder, decoder = self._encoder, self._decoder

        def answer(given: Float32, mask: Float32) -> Float32:
            hidden = encoder.run(None, {"values": given, "mask": mask})[0]
            found: Float32 = decoder.run(None, {"tokens": hidden, "mask": mask})[0]
            return found

        self._fill(values, out, answer, advance)
        return out

    def _fill(self, values: Float32, out: Float32, answer: Answer, advance: Advance | None) -> None:
        """Answer batch by batch into ``out``, as many at once as there are threads.

        A batch has one thread to itself: two halves of a machine do more than a machine
        that meets after every product.
        """

        def do(start: int) -> int:
            part = values[start : start + BATCH_ROWS]
            out[start : start + len(part)] = answer(*_padded(part))[: len(part)]
            return len(part)

        starts = range(0, len(values), BATCH_ROWS)
        if self.threads == 1 or len(starts) < 2:
            for done in map(do, starts):
                if advance is not None:
                    advance(done)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for done in pool.map(do, starts):
                if advance is not None:
                    advance(done)

    @cached_property
    def _encoder(self) -> Any:
        return self._open(ENCODER)

    @cached_property
    def _decoder(self) -> Any:
        return self._open(DECODER)

    def _open(self, name: str) -> Any:
        data = verified(self.folder, self.card, name)
        try:
            import onnxruntime
        except ImportError as error:
            raise UnavailableError(
                "embeddings need onnxruntime, which is not installed",
                fix="pip install onnxruntime",
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def pooled(tokens: Float32, pool: Pool) -> Float32:
    """Pool tokens float32 (N, P + 1, d) to vectors float32 (N, d) or (N, 2 d)."""
    if pool == "reg":
        return np.ascontiguousarray(tokens[:, -1])
    if pool == "last2":
        return np.ascontiguousarray(tokens[:, -2:].reshape(len(tokens), -1))
    # Token by token in a fixed order: a sum over an axis may group rows by their number.
    total = tokens[:, 0].astype(np.float64)
    for k in range(1, tokens.shape[1]):
        total += tokens[:, k]
    mean = (total / tokens.shape[1]).astype(np.float32)
    return mean if pool == "mean" else np.hstack([mean, tokens[:, -1]])


def _padded(part: Float32) -> tuple[Float32, Float32]:
    """Return windows and mask of exactly :data:`BATCH_ROWS` rows, zeros below."""
    given = np.zeros((BATCH_ROWS, part.shape[1]), dtype=np.float32)
    mask = np.ones_like(given)
    seen = ~np.isnan(part)
    given[: len(part)] = np.where(seen, part, np.float32(0.0))
    mask[: len(part)] = seen
    return given, mask


def _threads() -> int:
    asked = os.environ.get(_THREADS, "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else (os.cpu_count() or 1)
