"""A converted model against its original: the windows, the differences, the limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from ffm_core.embed.cards import file_sha256
from ffm_core.embed.session import pooled
from ffm_core.errors import ModelError
from ffm_core.keyed import keyed
from ffm_core.types import Float32, Float64

# Differences are absolute where a window's numbers stay below 1, and relative to the
# largest of them above that: float32 rounds no finer.
LIMITS = {"embedding": 1e-5, "quantiles": 1e-4}
KINDS = ("normal", "constant", "quiet", "trending", "NaN-leading", "random walk")
_SEED = 4
ROWS = 6  # windows of a kind


class Answers(Protocol):
    """What gives tokens and quantiles for windows."""

    def tokens(self, values: Float32) -> Float32:
        """Return tokens, float32 (N, P + 1, d_model)."""
        ...

    def quantiles(self, values: Float32) -> Float32:
        """Return quantiles, float32 (N, levels, horizon)."""
        ...


def battery(context: int, *, every: int = 1) -> Float32:
    """Return windows of every kind, float32 (N, context), normalised in float64.

    NaN marks bars that are not there; a constant window is all zeros. ``every`` takes
    only each so many of them, with :data:`ROWS` one of a kind.
    """
    rng = keyed(_SEED, "verification", context)
    steps = rng.standard_normal((ROWS, context))
    calm = steps * 1e-5 * (rng.random((ROWS, context)) < 0.1)
    gone = np.cumsum(steps[::-1], axis=1)
    for row, share in zip(gone, (0.05, 0.2, 0.4, 0.6, 0.8, 0.95), strict=True):
        row[: int(context * share)] = np.nan
    wild = rng.standard_t(3, (ROWS, context))
    log_prices = (
        np.cumsum(wild * 1e-3, axis=1),
        np.zeros((ROWS, context)),
        np.cumsum(calm, axis=1),
        np.cumsum(steps * 1e-4 + 3e-4, axis=1),
        gone,
        np.cumsum(steps, axis=1),
    )
    return normalised(np.vstack(log_prices))[::every]


def normalised(values: Float64) -> Float32:
    """Centre and scale rows by what is there of them; constant rows become zeros.

    Parameters
    ----------
    values : float64 (N, L)
        Log prices, NaN where there is no bar.
    """
    mean = np.nanmean(values, axis=1, keepdims=True)
    deviation = np.nanstd(values, axis=1, keepdims=True)
    return np.asarray((values - mean) / np.where(deviation > 0.0, deviation, 1.0), dtype=np.float32)


def differences(original: Answers, converted: Answers, windows: Float32) -> dict[str, float]:
    """Return the largest differences over some windows, by the names of :data:`LIMITS`.

    The embedding is taken both as the mean of all tokens and as the last one.
    """
    theirs, ours = original.tokens(windows), converted.tokens(windows)
    return {
        "embedding": max(
            largest(pooled(theirs, pool), pooled(ours, pool)) for pool in ("mean", "reg")
        ),
        "quantiles": largest(original.quantiles(windows), converted.quantiles(windows)),
    }


def largest(theirs: Float32, ours: Float32) -> float:
    """Return the largest difference, relative to each window's largest number above 1.

    Parameters
    ----------
    theirs, ours : float32 (N, ...)
        What the original and the converted model say of N windows.

    Returns
    -------
    float
        Infinity where shapes differ or a number is not finite.
    """
    if theirs.shape != ours.shape or not (np.isfinite(theirs).all() and np.isfinite(ours).all()):
        return float("inf")
    flat = theirs.reshape(len(theirs), -1).astype(np.float64)
    scale = np.maximum(1.0, np.abs(flat).max(axis=1, keepdims=True))
    return float((np.abs(ours.reshape(flat.shape) - flat) / scale).max())


def require_close(name: str, found: Mapping[str, float]) -> None:
    """Accept a conversion only when it agrees with its original.

    Raises
    ------
    ModelError
        When a difference is above its limit.
    """
    for what, limit in LIMITS.items():
        if not found[what] <= limit:
            raise ModelError(
                f"{name} was not added: after conversion its {what} differ from torch's by "
                f"{found[what]:.2g}, more than the {limit:g} allowed",
                fix="check that the checkpoint is a Chronos-Bolt as it is published, and report it",
            )


def checkpoint_sha256(folder: Path) -> str:
    """Return the hash over ``config.json`` and the weight files of a folder."""
    digest = hashlib.sha256()
    for pattern in ("config.json", "*.safetensors", "*.bin"):
        for path in sorted(folder.glob(pattern)):
            digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()
