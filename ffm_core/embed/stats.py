"""``stats``: an embedder without a model, statistics of the window's shape.

It costs nothing and is what a learned embedding has to beat.
"""

from __future__ import annotations

import math

import numpy as np

from ffm_core.embed.recipe import CONTEXT_BARS, EXTRAS, EmbeddingRecipe
from ffm_core.jit import kernel
from ffm_core.records import Column, Embedder
from ffm_core.runs.cache import key
from ffm_core.types import Float32, Float64

_SPANS = (5, 10, 20, 60)
_BLOCKS = 8
_VERSION = "stats-1"


def _columns() -> tuple[Column, ...]:
    made = [
        Column(name=f"vol_{n}", unit="log ratio",
               description=f"volatility of the last {n} bars against the window's")
        for n in _SPANS
    ]  # fmt: skip
    made += [
        Column(name=f"move_{n}", unit="standard deviations", signed=True,
               description=f"change of the last {n} bars over √{n} of the window's volatility")
        for n in _SPANS
    ]  # fmt: skip
    made += [
        Column(name=f"place_{n}", unit="share", signed=False,
               description=f"place of the close in the range of the last {n} closes")
        for n in _SPANS
    ]  # fmt: skip
    made += [
        Column(name=f"block_{k}", unit="log ratio",
               description=f"volatility of the {k + 1}. eighth of the window, oldest first")
        for k in range(_BLOCKS)
    ]  # fmt: skip
    made += [
        Column(name="efficiency", unit="share", description="net change over path length"),
        Column(name="range", unit="standard deviations", description="range of the closes"),
        Column(name="level", unit="standard deviations", signed=True,
               description="the close against the window's mean"),
    ]  # fmt: skip
    return tuple(made)


def embed(windows: Float32) -> Float32:
    """Return the statistics of normalised windows, float32 (N, 23)."""
    out = np.zeros((len(windows), len(COLUMNS)), dtype=np.float32)
    _statistics(windows.astype(np.float64), np.array(_SPANS), out)
    return out


@kernel
def _volatility(row: Float64, start: int, stop: int) -> float:
    mean, n = (row[stop] - row[start]) / (stop - start), stop - start
    total = 0.0
    for j in range(start, stop):
        off = row[j + 1] - row[j] - mean
        total += off * off
    return math.sqrt(total / n)


@kernel
def _statistics(windows: Float64, spans: np.ndarray, out: Float32) -> None:
    last, blocks = windows.shape[1] - 1, 8
    tiny = 1e-6
    for i in range(len(windows)):
        row = windows[i]
        own = _volatility(row, 0, last) + tiny
        for k in range(len(spans)):
            n = spans[k]
            out[i, k] = math.log((_volatility(row, last - n, last) + tiny) / own)
            out[i, 4 + k] = (row[last] - row[last - n]) / (own * math.sqrt(n))
            low, high = row[last - n + 1], row[last - n + 1]
            for j in range(last - n + 1, last + 1):
                low, high = min(low, row[j]), max(high, row[j])
            out[i, 8 + k] = (row[last] - low) / (high - low) if high > low else 0.5
        size = len(row) // blocks
        for k in range(blocks):
            stop = min((k + 1) * size, last)
            out[i, 12 + k] = math.log((_volatility(row, k * size, stop) + tiny) / own)
        path, low, high = 0.0, row[0], row[0]
        for j in range(last):
            path += abs(row[j + 1] - row[j])
            low, high = min(low, row[j + 1]), max(high, row[j + 1])
        out[i, 20] = abs(row[last] - row[0]) / path if path > 0.0 else 0.0
        out[i, 21] = high - low
        out[i, 22] = row[last]


COLUMNS = _columns()
STATS = Embedder(
    name="stats",
    context_bars=CONTEXT_BARS,
    columns=COLUMNS,
    identity=EmbeddingRecipe(backend="onnx").identity(key(_VERSION)),
    embed=embed,
    extras=EXTRAS,
    fit_cutoff="",
    backend="numba",
    source="ffm_core.embed.stats",
    summary="23 statistics of the window's shape; no model, no training",
)
