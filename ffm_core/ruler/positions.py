"""Positions: which picks are really held, when a trade may block the next one.

A stage of its own after selection, the same for every arm and every draw. It sees when
picks are entered and left and nothing else, so what is never picked blocks nothing.
"""

from __future__ import annotations

import numpy as np

from ffm_core.errors import ConfigError
from ffm_core.jit import kernel
from ffm_core.records import OVERLAPS, Overlap
from ffm_core.types import Bool, Int16, Int64


def hold(stream: Int16, t_entry: Int64, t_exit: Int64, overlap: Overlap) -> Bool:
    """Mark the picks that are held, (n,).

    Parameters
    ----------
    stream : int16 (n,)
        Stream of each pick, from 0.
    t_entry, t_exit : int64 (n,)
        Times of the fills, microseconds UTC.
    overlap : {"each", "one_per_stream", "one_at_a_time"}
        Hold every pick; one trade per stream at a time; or one trade over all streams.

    Returns
    -------
    bool (n,)
        A pick is held when no held trade of its place is open at its entry. A trade
        closed at an open frees its place for an entry at that same open. Picks are
        asked in order of entry, equal times in the order given.

    Raises
    ------
    ConfigError
        For another rule.
    """
    if overlap not in OVERLAPS:
        raise ConfigError(f"overlap is {overlap!r}", fix=f"use one of {', '.join(OVERLAPS)}")
    n = len(t_entry)
    if overlap == "each" or n == 0:
        return np.ones(n, dtype=np.bool_)
    places = stream.astype(np.int64) if overlap == "one_per_stream" else np.zeros(n, np.int64)
    order = np.argsort(t_entry, kind="stable").astype(np.int64)
    return _walk(order, places, np.ascontiguousarray(t_entry), np.ascontiguousarray(t_exit))


@kernel
def _walk(order: Int64, places: Int64, t_entry: Int64, t_exit: Int64) -> Bool:
    free = np.full(places.max() + 1, np.iinfo(np.int64).min)
    held = np.zeros(len(order), dtype=np.bool_)
    for row in order:
        place = places[row]
        if t_entry[row] >= free[place]:
            held[row] = True
            free[place] = t_exit[row]
    return held


__all__ = ["hold"]
