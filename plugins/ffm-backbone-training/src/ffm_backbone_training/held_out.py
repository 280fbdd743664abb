"""Synthetic series that no training has drawn, to forecast."""

from __future__ import annotations

import numpy as np
from ffm_forecast.origins import Origins

from ffm_backbone_training.synthetic import batch
from ffm_core.types import Bool

HELD_OUT_SEED = 77  # no training step of a model in the box draws from it
_BLOCK = 96  # series drawn at a time
_CONSTANT = 1e-12


def held_out(
    horizon: int, *, context: int, rows: int, price_like: bool, seed: int = HELD_OUT_SEED
) -> Origins:
    """Return one origin in each of many series that no training step has drawn.

    Every series is divided by the standard deviation of its context, so that each
    counts the same.

    Parameters
    ----------
    rows : int
        Number of series.
    price_like : bool
        Log prices, or the generic families.
    """
    length = context + horizon
    share = 1.0 if price_like else 0.0
    parts = [
        batch(seed, k, rows=min(_BLOCK, rows - start), length=length, price_share=share).values
        for k, start in enumerate(range(0, rows, _BLOCK))
    ]
    values = np.vstack(parts)
    scale = values[:, :context].std(axis=1, keepdims=True)
    keep: Bool = scale[:, 0] > _CONSTANT
    values = values[keep] / scale[keep]
    dropped = {} if keep.all() else {"constant": int(np.sum(~keep))}
    kind = "price-like" if price_like else "generic"
    return Origins(
        name=f"synthetic, {kind}",
        space="value",
        actual=values[:, context:],
        contexts=lambda bars: values[:, context - bars : context],
        longest=context,
        step=horizon,
        season=None,
        stamps=np.empty(0, dtype=np.int64),
        dropped=dropped,
    )
