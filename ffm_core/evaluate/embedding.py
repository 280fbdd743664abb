"""Embedders in an evaluation: every decision's window embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ffm_core.embed.embedding import Embedded, embed_at
from ffm_core.evaluate.streams import Stream
from ffm_core.records import Embedder
from ffm_core.types import Float32

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedBlock:
    """What embedding the decisions of a run came to.

    Parameters
    ----------
    embedder : Embedder
        Who embedded.
    bars : int
        Decision bars, over all streams.
    windows : int
        Different windows that end at them and can be used.
    computed : int
        Of these, not in the cache.
    flaws : mapping of str to int
        Decision bars without a vector, by reason.
    """

    embedder: Embedder
    bars: int = 0
    windows: int = 0
    computed: int = 0
    flaws: dict[str, int]


def embed_streams(
    job: Job, streams: Sequence[Stream], progress: Progress
) -> tuple[list[Stream], tuple[EmbeddedBlock, ...]]:
    """Embed the windows of every decision, once for all folds, arms and seeds.

    Vectors come from the cache and go there as they are made, so an interrupted run
    goes on where it stopped.

    Returns
    -------
    streams : list of Stream
        With one more entry of ``features`` per embedder, NaN where a window is unusable.
    blocks : tuple of EmbeddedBlock
        What it came to.
    """
    rows: list[dict[str, Float32]] = [dict(stream.features) for stream in streams]
    blocks = []
    for embedder in job.parts.embedders:
        block = EmbeddedBlock(embedder=embedder, flaws={})
        n = sum(len(np.unique(stream.decisions.bar)) for stream in streams)
        stage = progress.stage(f"embedding {n:,} windows", n)
        for stream, found in zip(streams, rows, strict=True):
            # Both sides of a bar share a window.
            at, back = np.unique(stream.decisions.bar, return_inverse=True)
            answer = embed_at(embedder, stream.bars, at, home=job.home, advance=stage.advance)
            stage.advance(sum(answer.flaws.values()))
            found[embedder.name] = answer.rows[back.reshape(-1)]
            block = _added(block, answer)
        blocks.append(block)
    made = [replace(one, features=found) for one, found in zip(streams, rows, strict=True)]
    return made, tuple(blocks)


def _added(block: EmbeddedBlock, answer: Embedded) -> EmbeddedBlock:
    flaws = {
        name: block.flaws.get(name, 0) + answer.flaws.get(name, 0)
        for name in {**block.flaws, **answer.flaws}
    }
    return replace(
        block,
        bars=block.bars + len(answer.rows),
        windows=block.windows + answer.windows,
        computed=block.computed + answer.computed,
        flaws=flaws,
    )


__all__ = ["EmbeddedBlock", "embed_streams"]
