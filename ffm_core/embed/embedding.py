"""From bars to rows of a design matrix: windows, vectors from the cache, extras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.embed.recipe import EXTRAS
from ffm_core.embed.vectors import VectorCache
from ffm_core.embed.windows import RETURN_SHAPE, Windows, windows_at
from ffm_core.host.code import code_behind
from ffm_core.records import Column, Embedder, answers
from ffm_core.runs.canonical import sha256_json
from ffm_core.types import Float32, Int64

EXTRA_COLUMNS = {
    "return_shape": tuple(
        Column(
            name=name,
            unit="log return" if name in ("return_mean", "return_std") else "1",
            signed=name in ("return_mean", "return_skew"),
            description=f"{name.replace('_', ' ')} of the window's log returns",
        )
        for name in RETURN_SHAPE
    ),
    "log_scale": (
        Column(
            name="log_scale",
            unit="log",
            description="logarithm of the window's standard deviation of log closes",
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Rows of an embedder, float32 (N, len(columns)); NaN where a window is unusable."""

    rows: Float32
    columns: tuple[Column, ...]
    windows: int  # unique windows asked for
    computed: int  # of them, not in the cache
    flaws: dict[str, int]  # unusable windows by reason


def columns_of(embedder: Embedder) -> tuple[Column, ...]:
    """Return the columns of an embedder's rows, the host's extras last."""
    extras = (column for name in EXTRAS if name in embedder.extras
              for column in EXTRA_COLUMNS[name])  # fmt: skip
    return (*embedder.columns, *extras)


def embed_at(
    embedder: Embedder,
    bars: Bars,
    at: Int64,
    *,
    home: Path | None = None,
    advance: Callable[[int], None] | None = None,
) -> Embedded:
    """Embed the windows that end at some bars.

    Parameters
    ----------
    embedder : Embedder
        What turns windows into vectors.
    bars : Bars
        The stream.
    at : int64 (N,)
        Decision bars, each the last bar of its window.
    home : pathlib.Path, optional
        ``FFM_HOME``, whose cache is used; None computes everything.
    advance : callable, optional
        Called with the number of windows done.

    Raises
    ------
    StrategyError
        When the embedder breaks its contract.
    ModelError, UnavailableError
        When its weights cannot be used.
    """
    windows = windows_at(bars, at, context_bars=embedder.context_bars)
    usable = np.flatnonzero(windows.usable)
    given = windows.values[usable]

    def compute(some: Float32) -> Float32:
        return answers.vectors(embedder, embedder.embed(some), len(some))

    if home is None:
        cache = None
        found = compute(given) if len(given) else np.empty((0, embedder.dim), dtype=np.float32)
        if advance is not None:
            advance(len(given))
    else:
        cache = VectorCache(home)
        found = cache.vectors(_identity(embedder), given, embedder.dim, compute, advance)
    columns = columns_of(embedder)
    rows = np.full((len(at), len(columns)), np.nan, dtype=np.float32)
    rows[usable, : embedder.dim] = found
    rows[usable, embedder.dim :] = _extras(embedder, windows)[usable]
    return Embedded(
        rows=rows,
        columns=columns,
        windows=len(given) if cache is None else cache.hits + cache.misses,
        computed=len(given) if cache is None else cache.misses,
        flaws=windows.counts(),
    )


def _identity(embedder: Embedder) -> str:
    """Return what a vector depends on beside its window: a plug-in's code is part of it."""
    code = code_behind(embedder.embed)
    return sha256_json([embedder.identity, code]) if code else embedder.identity


def _extras(embedder: Embedder, windows: Windows) -> Float32:
    parts = []
    if "return_shape" in embedder.extras:
        parts.append(windows.shape)
    if "log_scale" in embedder.extras:
        with np.errstate(invalid="ignore"):
            parts.append(np.log(windows.scale)[:, None])
    if not parts:
        return np.empty((len(windows), 0), dtype=np.float32)
    return np.hstack(parts).astype(np.float32)
