"""Vectors for a few bars: read where they are stored, computed where not, never stored.

Live bars and the falsifier ask for short stretches by the thousand, the falsifier for
prices that never were; storing those would fill the cache with what nobody asks again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.embed.embedding import Embedded, embed_at
from ffm_core.embed.vectors import CHUNK_ROWS, VectorCache
from ffm_core.paths import ffm_home
from ffm_core.records import Embedder
from ffm_core.types import Float32, Int64


class VectorReader(VectorCache):
    """The cache as it was when a process first asked; a segment is opened once."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._opened: dict[tuple[Path, int], list[Any]] = {}

    def _segments(self, folder: Path, dim: int) -> list[Any]:
        known = self._opened.get((folder, dim))
        if known is None:
            known = self._opened[folder, dim] = super()._segments(folder, dim)
        return known

    def _write(self, folder: Path, keys: np.ndarray, rows: np.ndarray) -> None:
        """Store nothing."""

    def _tidy(self, folder: Path) -> None:
        """Remove nothing."""


@lru_cache(maxsize=4)
def _reader(home: Path) -> VectorReader:
    return VectorReader(home)


def _read(home: Path, embedder: Embedder, windows: Float32) -> Float32:
    return _reader(home).vectors(embedder.identity, windows, embedder.dim, embedder.embed)


def vectors_at(embedder: Embedder, bars: Bars, at: Int64) -> Embedded:
    """Return the rows of an embedder at some bars; long series are stored, short ones read.

    Parameters
    ----------
    embedder : Embedder
        What turns windows into vectors.
    bars : Bars
        The stream.
    at : int64 (N,)
        Decision bars.
    """
    home = ffm_home()
    if len(at) >= CHUNK_ROWS:
        return embed_at(embedder, bars, at, home=home)
    reading = replace(embedder, embed=partial(_read, home, embedder))
    return embed_at(reading, bars, at)
