"""What a backbone is told about synthetic prices while it learns, beside the forecast.

Linear heads on the pooled embedding are asked for these, so that the embedding carries
in plain sight what heads on real bars will look for: how wild the next bars are, against
the context's own wildness, and where the price stands in its recent range. They are
computed on synthetic series only.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ffm_core.types import Float64

HINTS = (
    "forward 10-bar volatility", "forward 20-bar volatility", "forward 60-bar volatility",
    "trailing 10-bar volatility", "trailing 20-bar volatility", "forward 20 to median 20",
    "rank of forward 10", "stays in the 20-bar range", "higher highs or lower lows",
    "forward efficiency", "place in the 20-bar range",
)  # fmt: skip
_TINY = 1e-9
_LIMIT = 3.0


def hints(values: Float64, context: int) -> Float64:
    """Return the hints of log prices, float64 (N, len(HINTS)); NaN where undefined.

    Parameters
    ----------
    values : float64 (N, T)
        Log prices, of which the first ``context`` are what the model sees; at least 60
        more follow.
    context : int
        Bars the model sees.
    """
    moves = np.diff(values, axis=1)
    past, ahead = moves[:, : context - 1], moves[:, context - 1 :]
    own = past.std(axis=1) + _TINY
    before10 = sliding_window_view(past, 10, axis=1).std(axis=2)
    before20 = sliding_window_view(past, 20, axis=1).std(axis=2)
    ahead10, ahead20, ahead60 = (ahead[:, :n].std(axis=1) for n in (10, 20, 60))

    def ratio(top: Float64, bottom: Float64) -> Float64:
        return np.asarray(np.clip(np.log((top + _TINY) / (bottom + _TINY)), -_LIMIT, _LIMIT))

    now = values[:, context - 1]
    recent20, recent12 = values[:, context - 20 : context], values[:, context - 12 : context]
    low, high = recent20.min(axis=1), recent20.max(axis=1)
    next10, next20 = values[:, context : context + 10], values[:, context : context + 20]
    inside = ((next10 >= low[:, None]) & (next10 <= high[:, None])).all(axis=1)
    up = (next20.max(axis=1) > recent12.max(axis=1)) & (next20.min(axis=1) > recent12.min(axis=1))
    down = (next20.max(axis=1) < recent12.max(axis=1)) & (next20.min(axis=1) < recent12.min(axis=1))
    walked = np.abs(ahead[:, :20]).sum(axis=1)
    gone = np.abs(next20[:, -1] - now)
    columns = (
        ratio(ahead10, own), ratio(ahead20, own), ratio(ahead60, own),
        ratio(before10[:, -1], own), ratio(before20[:, -1], own),
        ratio(ahead20, np.median(before20, axis=1)),
        (before10[:, -100:] < ahead10[:, None]).mean(axis=1),
        inside.astype(np.float64),
        np.where(up, 1.0, np.where(down, 0.0, np.nan)),
        np.where(walked > 0.0, gone / np.maximum(walked, _TINY), np.nan),
        np.where(high > low, (now - low) / np.maximum(high - low, _TINY), np.nan),
    )  # fmt: skip
    return np.column_stack(columns)
