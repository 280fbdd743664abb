"""What makes two trials look at the same market: days and their price changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ffm_core.evaluate.streams import Stream
from ffm_core.runs.markets import Returns
from ffm_core.types import Int32

MIN_CHANGES = 5  # non-zero changes a day needs to be told from another market's day
MIN_KINDS = 4  # different changes among them


def day_fingerprints(stream: Stream, days: Int32) -> list[str]:
    """Hash each day's close-to-close changes, in ticks.

    Changes in whole ticks survive a renamed file, another price offset and another
    vendor's file format; another simulated seed gives others.

    Parameters
    ----------
    stream : Stream
        Prepared stream.
    days : int32 (D,)
        Trading dates wanted, ascending.

    Returns
    -------
    list of str
        Sixteen hexadecimal digits per day with enough movement to tell markets apart.
    """
    bars = stream.bars
    ticks = np.rint(np.diff(bars.close) / bars.instrument.tick_size).astype(np.int64)
    day = stream.day[1:]
    same_day = stream.day[1:] == stream.day[:-1]
    starts = np.searchsorted(day, days, side="left")
    stops = np.searchsorted(day, days, side="right")
    found = []
    for start, stop in zip(starts, stops, strict=True):
        changes = ticks[start:stop][same_day[start:stop]]
        # Quiet or short days look alike in every market and would link strangers.
        if np.count_nonzero(changes) >= MIN_CHANGES and len(np.unique(changes)) >= MIN_KINDS:
            found.append(hashlib.sha256(changes.tobytes()).hexdigest()[:16])
    return found


def daily_returns(streams: Sequence[Stream]) -> dict[str, Returns]:
    """Return the daily close-to-close log returns of each instrument.

    The newest day is left out, since it may not be over; of several streams of one
    instrument the longest speaks.
    """
    found: dict[str, Returns] = {}
    for stream in streams:
        last = np.flatnonzero(np.diff(stream.day, append=np.int32(stream.day[-1] + 1)))
        with np.errstate(divide="ignore", invalid="ignore"):  # prices may be negative
            change = np.diff(np.log(stream.bars.close[last]))[:-1]
        days, known = stream.day[last][1:-1].astype(np.int64), np.isfinite(change)
        symbol = stream.bars.instrument.symbol
        if symbol not in found or known.sum() > len(found[symbol][0]):
            found[symbol] = (days[known], change[known])
    return dict(sorted(found.items()))


def days_by_instrument(streams: Sequence[Stream], days: Int32) -> dict[str, list[int]]:
    """Return the test days of each instrument on which it has bars."""
    found: dict[str, set[int]] = {}
    for stream in streams:
        traded = np.intersect1d(stream.day, days)
        found.setdefault(stream.bars.instrument.symbol, set()).update(traded.tolist())
    return {symbol: sorted(held) for symbol, held in sorted(found.items())}
