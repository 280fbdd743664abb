"""ContextRows that context heads learn from: decision bars, their columns, their targets.

A bar is used when enough of the past stands before it and its window can be embedded;
every ``stride``-th of them is taken. Each target keeps the time from which its value
was known, and every split is purged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.context.baselines import persistence
from ffm_core.embed.cutoff import cut_offs
from ffm_core.embed.embedding import columns_of, embed_at
from ffm_core.embed.windows import windows_at
from ffm_core.errors import SampleError
from ffm_core.labels.targets import context_values, target, uniqueness
from ffm_core.records import Embedder, FeatureSet, answers
from ffm_core.types import Bool, Float32, Float64, Int16, Int32, Int64

# In the order of the reference's heads.
HEADS = ("fwd_return", "vol_expansion", "volatility", "structure", "quiet_persist",
         "trendiness", "range_bound")  # fmt: skip
KINDS: dict[str, Literal["regression", "binary"]] = {
    name: "regression" if target(f"context/{name}").kind == "regression" else "binary"
    for name in HEADS
}
STRIDE = 8
FIRST_BAR = 200  # bars before a decision: the trailing norm of the targets
DAY_US = 86_400_000_000
EMBARGO_DAYS = 1
_NEEDED = ("fwd_return", "vol_expansion", "volatility")

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRows:
    """Decision bars of all streams, ordered by time within a stream; ``N`` rows.

    Parameters
    ----------
    streams : tuple of str
        Names; ``stream`` indexes them.
    bar : int64 (N,)
        Index of the decision bar in its stream.
    t_us : int64 (N,)
        Close of the decision bar, microseconds UTC.
    day : int32 (N,)
        Its trading date.
    blocks : mapping of str to float32 (N, F)
        Columns by what computed them.
    columns : mapping of str to tuple of str
        Their names.
    value : mapping of str to float64 (N,)
        Targets by name, NaN where undefined.
    end_bar : mapping of str to int64 (N,)
        Last bar a value looked at, -1 where undefined.
    t_end : mapping of str to int64 (N,)
        When the value was known: close of that bar.
    persistence : mapping of str to float64 (N,)
        What the present alone says of a target.
    left_out : mapping of str to int
        Bars of the stride that could not be used, by reason.
    """

    streams: tuple[str, ...]
    stream: Int16
    bar: Int64
    t_us: Int64
    day: Int32
    blocks: Mapping[str, Float32]
    columns: Mapping[str, tuple[str, ...]]
    value: Mapping[str, Float64]
    end_bar: Mapping[str, Int64]
    t_end: Mapping[str, Int64]
    persistence: Mapping[str, Float64]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bar)

    def by_stream(self, rows: Int64) -> dict[str, Bool]:
        """Mark, of some rows, those of each stream; nothing where there is only one."""
        if len(self.streams) == 1:
            return {}
        return {name: self.stream[rows] == k for k, name in enumerate(self.streams)}

    def known(self, name: str) -> Bool:
        """Mark rows that have a value of a target."""
        return np.isfinite(self.value[name])

    def weight(self, name: str, rows: Int64) -> Float64:
        """Return the uniqueness of the labels of ``rows``, mean 1; see :func:`.uniqueness`."""
        return uniqueness(self.bar[rows] + 1, self.end_bar[name][rows], self.stream[rows])

    def effective(self, name: str, rows: Int64) -> float:
        """Return the number of labels less what they share: the sum of their uniqueness."""
        start, end = self.bar[rows] + 1, self.end_bar[name][rows]
        return float(uniqueness(start, end, self.stream[rows], normalise=False).sum())


def admissible(bars: Bars, stride: int = STRIDE) -> Int64:
    """Return the decision bars of a stream: every ``stride``-th with its three targets."""
    values = context_values(bars, _NEEDED)
    good = np.arange(len(bars)) >= FIRST_BAR
    for found in values.values():
        good &= np.isfinite(found.value)
    return np.asarray(np.flatnonzero(good)[::stride], dtype=np.int64)


def rows_of(
    streams: Sequence[Bars],
    embedders: Mapping[str, Embedder],
    sets: Sequence[FeatureSet],
    *,
    stride: int = STRIDE,
    home: Path | None = None,
    advance: Advance | None = None,
) -> ContextRows:
    """Compute the rows of some streams.

    Parameters
    ----------
    streams : sequence of Bars
        One instrument and timeframe each.
    embedders : mapping of str to Embedder
        By the name of the block; rows are left out where a window of one is unusable.
    sets : sequence of FeatureSet
        Each gives a block of its own name.
    stride : int
        Bars from one admissible decision bar to the next.
    home : pathlib.Path, optional
        ``FFM_HOME``, whose cache of vectors is used.
    advance : callable, optional
        Called with the number of streams done.

    Raises
    ------
    SampleError
        When not a single decision bar is left.
    """
    parts = []
    for number, bars in enumerate(streams):
        parts.append(_one_stream(bars, number, embedders, sets, stride, home))
        if advance is not None:
            advance(1)
    rows = _joined(tuple(bars.stream for bars in streams), parts)
    if len(rows) == 0:
        raise SampleError(
            f"{', '.join(rows.streams)}: no bar has {FIRST_BAR} bars before it, known targets "
            "and a complete window",
            fix="give a longer series without gaps",
        )
    return rows


def _one_stream(
    bars: Bars,
    number: int,
    embedders: Mapping[str, Embedder],
    sets: Sequence[FeatureSet],
    stride: int,
    home: Path | None,
) -> ContextRows:
    found = context_values(bars, HEADS)
    at = admissible(bars, stride)
    usable = np.ones(len(at), dtype=np.bool_)
    left_out: dict[str, int] = {}
    for embedder in embedders.values():
        windows = windows_at(bars, at, context_bars=embedder.context_bars)
        usable &= windows.usable
        left_out |= {f"window: {why}": count for why, count in windows.counts().items()}
    at = at[usable]
    blocks = {
        name: embed_at(embedder, bars, at, home=home).rows for name, embedder in embedders.items()
    }
    columns = {name: tuple(c.name for c in columns_of(one)) for name, one in embedders.items()}
    for one in sets:
        blocks[one.name] = np.ascontiguousarray(answers.features(one, one.batch(bars), bars)[at])
        columns[one.name] = tuple(c.name for c in one.columns)
    closes = bars.ts_us + bars.timeframe.us
    end_bar = {name: found[name].end_bar[at] for name in HEADS}
    return ContextRows(
        streams=(bars.stream,),
        stream=np.full(len(at), number, dtype=np.int16),
        bar=at,
        t_us=closes[at],
        day=trading_days(bars)[at],
        blocks=blocks,
        columns=columns,
        value={name: found[name].value[at].astype(np.float64) for name in HEADS},
        end_bar=end_bar,
        t_end={name: np.where(end >= 0, closes[end], -1) for name, end in end_bar.items()},
        persistence={name: values[at] for name, values in persistence(bars).items()},
        left_out=left_out,
    )


def _joined(names: tuple[str, ...], parts: Sequence[ContextRows]) -> ContextRows:
    def all_of(field_name: str, name: str) -> np.ndarray:
        return np.concatenate([getattr(part, field_name)[name] for part in parts])

    first = parts[0]
    left_out: dict[str, int] = {}
    for part in parts:
        for why, count in part.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    return ContextRows(
        streams=names,
        stream=np.concatenate([part.stream for part in parts]),
        bar=np.concatenate([part.bar for part in parts]),
        t_us=np.concatenate([part.t_us for part in parts]),
        day=np.concatenate([part.day for part in parts]),
        blocks={name: all_of("blocks", name) for name in first.blocks},
        columns=first.columns,
        value={name: all_of("value", name) for name in HEADS},
        end_bar={name: all_of("end_bar", name) for name in HEADS},
        t_end={name: all_of("t_end", name) for name in HEADS},
        persistence={name: all_of("persistence", name) for name in HEADS},
        left_out=left_out,
    )


def share_date(streams: Sequence[Bars], share: float) -> int:
    """Return a time before which every stream has at least ``share`` of its span.

    One date serves all streams: markets move together, and a model that had seen one of
    them in a month would know that month of the others.

    Returns
    -------
    int
        Microseconds UTC, the start of a UTC day.
    """
    points = [
        int(bars.ts_us[0]) + share * (int(bars.ts_us[-1]) - int(bars.ts_us[0])) for bars in streams
    ]
    return int(-(-max(points) // DAY_US) * DAY_US)


def before(
    rows: ContextRows, name: str, stop_us: int, *, embargo_days: int = EMBARGO_DAYS
) -> Int64:
    """Return rows whose value of ``name`` was known an embargo before ``stop_us``."""
    limit = stop_us - embargo_days * DAY_US
    return np.flatnonzero(rows.known(name) & (rows.t_end[name] <= limit))


def between(rows: ContextRows, name: str, start_us: int, stop_us: int | None = None) -> Int64:
    """Return rows decided from ``start_us`` on whose value was known by ``stop_us``."""
    chosen = rows.known(name) & (rows.t_us >= start_us)
    if stop_us is not None:
        chosen &= rows.t_end[name] <= stop_us
    return np.flatnonzero(chosen)


def seen_warnings(embedder: Embedder, start_us: int) -> tuple[str, ...]:
    """Return a warning when an embedder's weights may have seen rows from a time on."""
    return tuple(
        f"the weights of {item.name} may have seen the test rows; cut-off: {item.day or 'unknown'}"
        for item in cut_offs((embedder,))
        if item.overlaps(start_us)
    )
