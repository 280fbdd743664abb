"""One streaming pass over every bar: the proof for features that come bar by bar.

A stream has been given the bars up to now and no other, in a process that holds no
other, so a batch that agrees with it at every bar reads nothing later at any bar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.keyed import keyed
from ffm_core.records import FeatureSet, FeatureStream, answers
from ffm_core.types import Bool, Float32

N_SNAPSHOTS = 50
AFTER_RESTORE = 16  # bars that a restored stream runs beside the one it was taken from


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows of consecutive bars from a stream.

    Parameters
    ----------
    start : int
        The first bar.
    rows : float32 (n, F)
        One row a bar.
    broken : tuple of (int, int)
        Bar and column at which a restored stream went another way.
    """

    start: int
    rows: Float32
    broken: tuple[tuple[int, int], ...] = ()


class Proof:
    """A stream that is fed once, from the first bar to the last.

    Parameters
    ----------
    record : FeatureSet
        The set, which names the columns of a row.
    stream : FeatureStream
        Before its first bar.
    seed : int
        Seed of the run; draws the bars at which a snapshot is taken.
    name : str
        Of the subject.
    total : int
        Bars there will be.
    """

    def __init__(
        self, record: FeatureSet, stream: FeatureStream, seed: int, name: str, total: int
    ) -> None:
        rng = keyed(seed, "snapshots", name)
        size = min(N_SNAPSHOTS, max(total - 1, 0))
        self._record, self._stream = record, stream
        self._marks = set(rng.choice(max(total - 1, 1), size=size, replace=False).tolist())
        self._restored: dict[int, FeatureStream] = {}  # by the bar at which each ends
        self.fed = 0

    def _row(self, answer: object) -> Float32:
        return answers.feature_row(self._record.name, answer, len(self._record.columns))

    def feed(self, bars: Bars, fresh: Callable[[], FeatureStream]) -> Stretch:
        """Take the bars that follow; ``fresh`` makes streams that snapshots are put into."""
        start, rows = self.fed, []
        broken: list[tuple[int, int]] = []
        update = self._stream.update
        columns = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
        for bar in zip(*(values.tolist() for values in columns), strict=True):
            row = self._row(update(*bar))
            rows.append(row)
            for other in self._restored.values():
                off = np.flatnonzero(~same_bits(row, self._row(other.update(*bar))))
                broken += [(self.fed, int(column)) for column in off[:1]]
            self._restored.pop(self.fed, None)
            if self.fed in self._marks:
                kept = fresh()
                who = f"feature set {self._record.name!r}"
                kept.restore(answers.as_bytes(who, "snapshot", self._stream.snapshot()))
                self._restored[self.fed + AFTER_RESTORE] = kept
            self.fed += 1
        table = np.array(rows, dtype=np.float32).reshape(len(rows), -1)
        return Stretch(start=start, rows=table, broken=tuple(broken[:8]))


def same_bits(a: Float32, b: Float32) -> Bool:
    """Return where two float32 arrays hold the same bits; any NaN equals any NaN."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return np.asarray((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b)))


__all__ = ["Proof", "Stretch", "same_bits"]
