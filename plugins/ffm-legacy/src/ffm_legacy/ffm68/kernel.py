"""The step kernel of ``ffm68-legacy``: one bar in, 68 values out.

Sums run over the window anew at every bar, oldest first, so that a value of
finite memory has the same bits wherever the series starts.
"""

from __future__ import annotations

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_legacy.ffm68.htf import longer_bars, write_context, write_sweeps
from ffm_legacy.ffm68.layout import ATR, RING, SEEN, SPAN
from ffm_legacy.ffm68.levels import write_session, write_swings
from ffm_legacy.ffm68.windows import (
    remember,
    write_anatomy,
    write_candles,
    write_extremes,
    write_returns,
    write_volatility,
    write_volume,
)

_WIDTH = 68


@kernel
def step(
    ts: int,
    o: float,
    h: float,
    l: float,  # noqa: E741
    c: float,
    v: float,
    f: Float64,
    i: Int64,
    k: Float64,
    n: Int64,
    out: Float32,
    at: int,
) -> None:
    """Take one bar; see :class:`~ffm_core.features.steps.Program`."""
    seen = i[SEEN]
    now = RING + seen % RING
    remember(o, h, l, c, v, f, now, seen)
    atr = f[ATR * SPAN + now]
    scale = atr if atr > 0.0 else np.nan
    write_anatomy(o, h, l, c, scale, out, at)
    write_returns(o, c, f, now, out, at)
    write_volume(o, h, l, c, v, f, now, out, at)
    write_volatility(f, now, out, at)
    write_session(ts, o, h, l, c, v, scale, f, i, k, out, at)
    write_swings(c, scale, f, now, seen, out, at)
    write_extremes(c, scale, f, now, seen, out, at)
    longer_bars(ts, o, h, l, c, f, i, n)
    write_sweeps(f, i, n, out, at)
    write_candles(o, h, l, c, f, now, seen, out, at)
    write_context(c, scale, f, i, out, at)
    for column in range(at, at + _WIDTH):
        if np.isinf(out[column]):
            out[column] = np.nan
    i[SEEN] = seen + 1
