"""Embedders in an evaluation: proven first, then every decision's window embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ffm_core.causal.subjects.embedders import MAX_WINDOWS, EmbedderSubject, falsify_embedder
from ffm_core.embed.embedding import Embedded, columns_of, embed_at
from ffm_core.embed.windows import windows_at
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.streams import (
    Parts,
    Source,
    Stream,
    StreamTask,
    load_certificate,
    save_json,
    without_lines,
)
from ffm_core.records import Certificate, Decisions, Embedder
from ffm_core.runs.cache import Cache
from ffm_core.runs.record import NUMERICS
from ffm_core.types import Float32, Int64


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


def _subjects(source: Source) -> tuple[EmbedderSubject, ...]:
    return tuple(EmbedderSubject(embedder) for embedder in source.open().embedders)


def certify_embedders(task: StreamTask, parts: Parts, decisions: Decisions) -> list[Certificate]:
    """Return certificates of the embedders, from the cache where nothing changed.

    Each is shown real windows of one stream, those of decisions first of all.
    """
    cache, found = Cache(task.home), []
    for index, embedder in enumerate(parts.embedders):
        windows = _shown(task, embedder, decisions.bar)
        key = cache.key(
            "certify-embedder", NUMERICS, task.code_hash, embedder.name, embedder.identity,
            task.seed, windows,
        )  # fmt: skip
        certificate = load_certificate(cache, key)
        if certificate is None:
            certificate = falsify_embedder(
                embedder, windows, task.bars, seed=task.seed, index=index,
                opener=partial(_subjects, task.source),
            )  # fmt: skip
            if embedder.private or parts.labeler.private:  # one package may hold both
                certificate = without_lines(certificate)
            save_json(cache, key, asdict(certificate))
        found.append(certificate)
    return found


def _shown(task: StreamTask, embedder: Embedder, decided: Int64) -> Float32:
    """Return usable windows at decisions, filled up with others where there are few."""
    total, context = len(task.bars), embedder.context_bars
    spread = np.linspace(0, max(total - 1, 0), min(total, 2 * MAX_WINDOWS)).astype(np.int64)
    at = np.unique(decided)
    if len(at) < MAX_WINDOWS:
        at = np.union1d(at, spread)
    elif len(at) > 2 * MAX_WINDOWS:
        at = at[np.linspace(0, len(at) - 1, 2 * MAX_WINDOWS).astype(np.int64)]
    windows = windows_at(task.bars, at, context_bars=context)
    return np.ascontiguousarray(windows.values[windows.usable])


def embed_streams(
    parts: Parts,
    streams: Sequence[Stream],
    home: Path,
    progress: Progress,
    *,
    proven: Sequence[Certificate] = (),
) -> tuple[list[Stream], tuple[EmbeddedBlock, ...]]:
    """Embed the windows of every decision, once for all folds, arms and seeds.

    Vectors come from the cache under ``home`` and go there as they are made, so an
    interrupted run goes on where it stopped. Where something reads the future nothing
    is embedded, and the rows stay empty.

    Returns
    -------
    streams : list of Stream
        With one more entry of ``features`` per embedder, NaN where a window is unusable.
    blocks : tuple of EmbeddedBlock
        What it came to.
    """
    proofs = [*proven, *(stream.certificate for stream in streams)]
    broken = any(proof.status == "broken" for proof in proofs)
    rows: list[dict[str, Float32]] = [dict(stream.features) for stream in streams]
    blocks = []
    for embedder in parts.embedders:
        block = EmbeddedBlock(embedder=embedder, flaws={})
        if not broken:
            n = sum(len(np.unique(stream.decisions.bar)) for stream in streams)
            stage = progress.stage(f"embedding {n:,} windows", n)
        for stream, found in zip(streams, rows, strict=True):
            bars = stream.decisions.bar
            if broken:
                shape = (len(bars), len(columns_of(embedder)))
                found[embedder.name] = np.full(shape, np.nan, dtype=np.float32)
                continue
            at, back = np.unique(bars, return_inverse=True)  # both sides of a bar share a window
            answer = embed_at(embedder, stream.bars, at, home=home, advance=stage.advance)
            stage.advance(sum(answer.flaws.values()))
            found[embedder.name] = answer.rows[back.reshape(-1)]
            block = _added(block, answer)
        blocks.append(block)
    made = [replace(one, features=found) for one, found in zip(streams, rows, strict=True)]
    return made, () if broken else tuple(blocks)


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


__all__ = ["EmbeddedBlock", "certify_embedders", "embed_streams"]
