"""Small helpers the exhibits share, so that each shows little but its fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Column, Decisions, FeatureSet, Labeler, Params
from ffm_core.testing.building import HISTORY, SPAN
from ffm_core.testing.feature_twins import features, matrix, move
from ffm_core.types import Bool, Float32, Int64
from zoo.fault import Fault

HOUR_US = 3_600_000_000


def faults_of(source: str) -> Callable[..., Fault]:
    """Return a maker of faulty feature sets that are written in ``source``.

    The maker takes a name, a summary, and either ``bars -> float32 (T, 1)`` with what
    is declared of it, or a whole feature set.
    """

    def fault(
        name: str,
        summary: str,
        made: Callable[[Bars], Float32] | FeatureSet,
        *,
        forget: Callable[[], None] | None = None,
        **declared: Any,
    ) -> Fault:
        record = made if isinstance(made, FeatureSet) else features(name, made, **declared)
        return Fault(
            name=name, kind="features", summary=summary, record=record, source=source, forget=forget
        )

    return fault


def labeler(name: str, decide: Callable[[Bars, Params], Decisions], **declared: Any) -> Labeler:
    """Return a labeler with one column and the windows of :mod:`ffm_core.testing.building`."""
    given: dict[str, Any] = {
        "horizon_bars": 40,
        "warmup_bars": SPAN,
        "history_bars": HISTORY,
        "memory": "finite",
        "columns": (Column(name="value", unit="ratio"),),
        "summary": name,
    }
    return Labeler(name=name, decide=decide, **(given | declared))


def sessions(bars: Bars) -> Int64:
    """Return a running number of the session each bar lies in: a hole begins a new one."""
    first = np.append(True, np.diff(bars.ts_us) > bars.timeframe.us)[: len(bars)]
    return np.asarray(np.cumsum(first), dtype=np.int64)


def hours(bars: Bars) -> Int64:
    """Return the UTC hour each bar opens in, hours since 1970."""
    return np.asarray(bars.ts_us // HOUR_US)


def last_of(keys: Int64) -> Int64:
    """Return the last row with the same key, for sorted keys."""
    return np.searchsorted(keys, keys, side="right") - 1


def first_of(keys: Int64) -> Int64:
    """Return the first row with the same key, for sorted keys."""
    return np.searchsorted(keys, keys, side="left")


def tops(bars: Bars, order: int) -> Bool:
    """Return the bars whose high tops ``order`` bars on either side."""
    span = 2 * order + 1
    found = np.zeros(len(bars), dtype=np.bool_)
    if len(bars) >= span:
        around = np.lib.stride_tricks.sliding_window_view(bars.high, span)
        found[order:-order] = around.max(axis=1) == bars.high[order:-order]
    return found


__all__ = [
    "faults_of",
    "features",
    "first_of",
    "hours",
    "labeler",
    "last_of",
    "matrix",
    "move",
    "sessions",
    "tops",
]
