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
from ffm_core.jit import kernel
from ffm_core.records import Target, TargetValues
from ffm_core.types import Bool, Float32, Float64, Int64

GAP_BARS = 20  # the longest window of the context targets: a gap longer than the window

_ONE_PIECE = np.empty(0, dtype=np.int64)


def broken(bars: Bars) -> Int64:
    """Return how many rolls and gaps lie up to each bar, shape (T,).

    A window of bars ``a`` to ``b`` is in one piece when ``broken[a] == broken[b]``.
    """
    count = bars.rolls.copy()
    if len(bars) > 1:
        gap = np.diff(bars.ts_us) > (GAP_BARS + 1) * bars.timeframe.us
        count[1:] += np.cumsum(gap)
    return count


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


def told(value: Float64, end_bar: Int64) -> TargetValues:
    """Return read-only target values; rows without a value have no end bar."""
    return _read_only(value.astype(np.float32), np.where(np.isnan(value), np.int64(-1), end_bar))


def told_at(value: Float64, horizon: int, pieces: Int64 | None = None) -> TargetValues:
    """Return target values that all read ``horizon`` bars ahead.

    A row whose next ``horizon`` bars are not all there, or with ``pieces`` (from
    :func:`broken`) not in one piece, has no value.
    """
    return _read_only(*_told_at(value, _ONE_PIECE if pieces is None else pieces, horizon))


@kernel
def _told_at(value: Float64, pieces: Int64, horizon: int) -> tuple[Float32, Int64]:
    bars = len(value)
    out = np.full(bars, np.nan, dtype=np.float32)
    end = np.full(bars, -1, dtype=np.int64)
    for t in range(bars - horizon):
        if len(pieces) > 0 and pieces[t] != pieces[t + horizon]:
            continue
        if value[t] == value[t]:
            out[t] = value[t]
            end[t] = t + horizon
    return out, end


def _read_only(value: Float32, end_bar: Int64) -> TargetValues:
    value.setflags(write=False)
    end_bar.setflags(write=False)
    return TargetValues(value=value, end_bar=end_bar)


def make(name: str, compute: Callable[[Bars], TargetValues], **about: Any) -> Target:
    """Return a target; its group is what stands before the slash of its name."""
    return Target(name=name, compute=compute, group=name.split("/")[0], **about)
