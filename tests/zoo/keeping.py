"""Features that keep something between calls, or change what they are given."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.types import Float32
from zoo.making import faults_of, matrix, move

fault = faults_of(__file__)

_SEEN: list[float] = []
_LONGEST: dict[int, Float32] = {}
_BY_LENGTH: dict[int, Float32] = {}
_FIRST: dict[str, float] = {}


def running_scale(bars: Bars) -> Float32:
    """Return moves over the average size of all moves of all calls."""
    size = float(np.nanmean(np.abs(move(bars)))) if len(bars) > 1 else 1.0
    _SEEN.append(size)  # fault: global-state
    return matrix(move(bars) / (np.mean(_SEEN) + 1e-9))  # fault: global-state


def counts_calls(bars: Bars) -> Float32:
    """Return moves, smoothed a little more with every call."""
    calls = getattr(counts_calls, "calls", 0) + 1  # fault: function-attribute
    counts_calls.calls = calls  # type: ignore[attr-defined]
    return matrix(move(bars) / (1.0 + calls))


def _forget_calls() -> None:
    counts_calls.calls = 0  # type: ignore[attr-defined]


def _make_level() -> tuple[Callable[[Bars], Float32], Callable[[], None]]:
    level = [0.0]

    def batch(bars: Bars) -> Float32:
        level[0] = max(level[0], float(bars.high.max(initial=0.0)))  # fault: closure-state
        return matrix(bars.close / max(level[0], 1.0))

    def forget() -> None:
        level[0] = 0.0

    return batch, forget


def longest_known(bars: Bars) -> Float32:
    """Return the next move, from the longest series that began at the same moment."""
    if len(bars) == 0:
        return matrix(bars.close)
    key = int(bars.ts_us[0])
    if len(_LONGEST.get(key, ())) < len(bars):
        _LONGEST[key] = matrix(np.append(np.diff(bars.close), 0.0))  # fault: memory-memo
    return _LONGEST[key][: len(bars)].copy()


def by_length(bars: Bars) -> Float32:
    """Return moves, computed once for every number of bars."""
    if len(bars) not in _BY_LENGTH:
        _BY_LENGTH[len(bars)] = matrix(move(bars))  # fault: length-cache
    return _BY_LENGTH[len(bars)].copy()


def first_level(bars: Bars) -> Float32:
    """Return the close over the last close of the first series ever given."""
    if len(bars) == 0:
        return matrix(bars.close)
    level = _FIRST.setdefault(bars.instrument.symbol, float(bars.close[-1]))  # fault: symbol-cache
    return matrix(bars.close / level)


def on_disk(bars: Bars) -> Float32:
    """Return the next move, from a file that keeps the longest series seen."""
    if len(bars) == 0:
        return matrix(bars.close)
    place = _place()
    raw = place.read_bytes() if place.exists() else b""  # fault: file-memo
    known: dict[int, Float32] = pickle.loads(raw) if raw else {}
    key = int(bars.ts_us[0])
    if len(known.get(key, ())) < len(bars):
        known[key] = matrix(np.append(np.diff(bars.close), 0.0))  # fault: file-memo
        place.write_bytes(pickle.dumps(known))  # fault: file-memo
    return known[key][: len(bars)].copy()


def _place() -> Path:
    return Path(tempfile.gettempdir()) / f"ffm-zoo-memo-{os.getpid()}.pickle"


def tidies_up(bars: Bars) -> Float32:
    """Return moves, after replacing odd closes in the table that was given."""
    if len(bars) > 20:
        bars.frame[10, "close"] = float(bars.close[9])  # fault: edited-bars
    return matrix(move(bars))


class Smoother:
    """A smoother that goes on from where the last call ended."""

    def __init__(self) -> None:
        self.level: float | None = None

    def __call__(self, bars: Bars) -> Float32:
        """Return the close over its running average."""
        out = np.empty(len(bars))
        level = self.level  # fault: object-state
        for i, close in enumerate(bars.close.tolist()):
            level = close if level is None else level + 0.1 * (close - level)
            out[i] = close / level
        self.level = level  # fault: object-state
        return matrix(out)


_LEVEL, _forget_level = _make_level()
_SMOOTHER = Smoother()


def _forget_smoother() -> None:
    _SMOOTHER.level = None


def _forget_file() -> None:
    _place().unlink(missing_ok=True)


FAULTS = (
    fault("global-state", "a list in the module grows", running_scale, forget=_SEEN.clear),
    fault("function-attribute", "a counter on the function", counts_calls, forget=_forget_calls),
    fault("closure-state", "a level in a closure", _LEVEL, forget=_forget_level),
    fault("object-state", "a callable object goes on", _SMOOTHER, forget=_forget_smoother),
    fault("length-cache", "a cache keyed by length", by_length, forget=_BY_LENGTH.clear),
    fault("symbol-cache", "a cache keyed by symbol", first_level, forget=_FIRST.clear),
    fault("memory-memo", "the longest series, kept", longest_known, forget=_LONGEST.clear),
    fault("file-memo", "the longest series, kept on disk", on_disk, forget=_forget_file),
    fault("edited-bars", "the bars are changed in place", tidies_up, warmup_bars=1, history_bars=2),
)
