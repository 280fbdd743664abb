"""Where a stream of bars is no longer one piece, and what that does to a window.

Two things break a stream. A **roll** known from the contract column: prices
before and after it belong to different contracts, so no window of any kind may
hold both. A **gap** in which more than :data:`GAP_BARS` bars are missing: twenty
bars over a weekend are not twenty bars of trading, so no window into the future
may cross one; what happened before the bar is history as it was, gaps included.

The daily break of a futures session is no gap at 3 minutes and slower (an hour
is at most twenty bars there); a weekend always is, up to bars of two hours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.labels.outcomes import rolls
from ffm_core.records import Target, TargetValues
from ffm_core.types import Bool, Float64, Int64

GAP_BARS = 20  # the longest window of the context targets: a gap longer than the window


def broken(bars: Bars) -> Int64:
    """Return how many rolls and gaps lie up to each bar, shape (T,).

    A window of bars ``a`` to ``b`` is in one piece when ``broken[a] == broken[b]``.
    """
    count = rolls(bars)
    if len(bars) > 1:
        gap = np.diff(bars.ts_us) > (GAP_BARS + 1) * bars.timeframe.us
        count[1:] += np.cumsum(gap)
    return count


def whole_ahead(count: Int64 | None, bars: int, horizon: int) -> Bool:
    """Mark the bars whose next ``horizon`` bars exist and are in one piece, (T,)."""
    out = np.zeros(bars, dtype=np.bool_)
    if bars > horizon:
        out[: bars - horizon] = (
            True if count is None else count[horizon:] == count[: bars - horizon]
        )
    return out


def whole_behind(count: Int64 | None, bars: int, window: int) -> Bool:
    """Mark the bars whose last ``window`` bars, their own among them, are in one piece."""
    out = np.zeros(bars, dtype=np.bool_)
    if bars >= window:
        out[window - 1 :] = (
            True if count is None else count[window - 1 :] == count[: bars - window + 1]
        )
    return out


def ahead(values: Float64, bars_ahead: int) -> Float64:
    """Return at ``t`` the value of bar ``t + bars_ahead``; NaN beyond the data."""
    out = np.full(len(values), np.nan)
    if len(values) > bars_ahead:
        out[: len(values) - bars_ahead] = values[bars_ahead:]
    return out


def told(value: Float64, end_bar: Int64 | int) -> TargetValues:
    """Return read-only target values; ``end_bar`` is a bar per row, or bars ahead of it."""
    if isinstance(end_bar, int):
        end_bar = np.arange(len(value), dtype=np.int64) + end_bar
    end = np.where(np.isnan(value), np.int64(-1), end_bar)
    narrow = value.astype(np.float32)
    for array in (narrow, end):
        array.setflags(write=False)
    return TargetValues(value=narrow, end_bar=end)


def make(name: str, compute: Callable[[Bars], TargetValues], **about: Any) -> Target:
    """Return a target; its group is what stands before the slash of its name."""
    return Target(name=name, compute=compute, group=name.split("/")[0], **about)
