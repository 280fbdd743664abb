"""All streams in one table, in order of time, the design matrix and the folds beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.embed.embedding import columns_of
from ffm_core.evaluate.embedding import EmbeddedBlock
from ffm_core.evaluate.streams import Stream
from ffm_core.records import Column, Design, Embedder, FeatureSet, Labeler, Outcomes, View
from ffm_core.records.learning import closed_bars
from ffm_core.ruler.folds import DecisionTable, FoldPlan
from ffm_core.ruler.months import month_of
from ffm_core.types import Bool, Float32, Float64, Int32, Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every decision of every stream, sorted by (time, stream, bar, side); arrays (N,)."""

    streams: tuple[Stream, ...]
    table: DecisionTable
    source_row: Int64  # row in the stream's own decisions
    design: Design
    labels: Outcomes  # under the static policy: what heads are trained on
    outcomes: Outcomes  # under the run's exits; for predicted targets see ``predicted_outcomes``
    group: Int64

    def __len__(self) -> int:
        return len(self.source_row)

    def view(self, rows: Int64, *, outcomes: bool, bars: bool = False) -> View:
        """Return rows as a learner may see them; outcomes and bars only where asked for."""
        stream, bar = self.table.stream[rows], self.table.bar[rows]
        every = tuple(one.bars for one in self.streams)
        return View(
            design=self.design.take(rows),
            stream=stream,
            bar=bar,
            side=self.table.side[rows],
            group=self.group[rows],
            t_us=self.table.t_decision[rows],
            outcomes=self.labels.take(rows) if outcomes else None,
            bars=closed_bars(every, stream, bar) if bars else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The earliest seal of the run's instruments."""

    day: int  # first sealed trading date, days since 1970
    opened: bool
    by_instrument: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Every decision in one table, and the folds over it; nothing is judged yet."""

    pool: Pool
    plan: FoldPlan
    seal: Seal
    days: Int32  # union grid of trading days
    day_start_us: Int64
    embedded: tuple[EmbeddedBlock, ...]

    @property
    def first_test_us(self) -> int:
        """Open of the first test day over all streams, microseconds UTC."""
        day = min(fold.test_days[0] for fold in self.plan.folds)
        place = min(int(np.searchsorted(self.days, day)), len(self.days) - 1)
        return int(self.day_start_us[place])

    @property
    def test_rows(self) -> Int64:
        """Rows of every decision of the used test months, void ones too, none sealed."""
        day, inside = self.pool.table.day, np.zeros(len(self.pool), dtype=np.bool_)
        for fold in self.plan.folds:
            first, last = fold.test_days
            inside |= (day >= first) & (day <= last)
        return np.flatnonzero(inside & ~self.sealed)

    @property
    def sealed(self) -> Bool:
        """Decisions whose outcome could reach past the seal, (N,); none once it is opened."""
        table = self.pool.table
        place = int(np.searchsorted(self.days, self.seal.day))
        if self.seal.opened or place == len(self.days):
            return np.zeros(len(table), dtype=np.bool_)
        return np.asarray(table.t_end_max >= self.day_start_us[place])


def pool_streams(
    streams: Sequence[Stream], labeler: Labeler, blocks: Sequence[FeatureSet | Embedder]
) -> Pool:
    """Concatenate streams, sort by time, and lay out the design matrix."""
    stream = _join([np.full(len(s.decisions), i) for i, s in enumerate(streams)]).astype(np.int16)
    bar = _join([s.decisions.bar for s in streams])
    side = _join([s.decisions.side for s in streams])
    t_decision = _join([s.bars.ts_us[s.decisions.bar] + s.bars.timeframe.us for s in streams])
    order = np.lexsort((side, bar, stream, t_decision))
    day = _join([s.day[s.decisions.bar] for s in streams]).astype(np.int32)
    labels = Outcomes.concat([s.labels for s in streams]).take(order)
    outcomes = Outcomes.concat([s.outcomes for s in streams]).take(order)
    table = DecisionTable(
        stream=stream[order],
        bar=bar[order],
        side=side[order],
        t_decision=t_decision[order],
        day=day[order],
        month=month_of(day)[order],
        hour=_join([s.hour[s.decisions.bar] for s in streams]).astype(np.int8)[order],
        t_end_max=labels.t_end_max,
        void=np.where(labels.void_reason > 0, labels.void_reason, outcomes.void_reason),
        streams=tuple(s.bars.stream for s in streams),
    )
    return Pool(
        streams=tuple(streams),
        table=table,
        source_row=_join([np.arange(len(s.decisions)) for s in streams])[order],
        design=_design(streams, labeler, blocks, order),
        labels=labels,
        outcomes=outcomes,
        group=_groups(streams)[order],
    )


def _join(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts)


def _groups(streams: Sequence[Stream]) -> Int64:
    """Return group numbers unique over all streams; -1 where a row has no group."""
    parts = []
    base = 0
    for stream in streams:
        group = stream.decisions.group
        if group is None or len(group) == 0:
            parts.append(np.full(len(stream.decisions), -1, dtype=np.int64))
            continue
        _, code = np.unique(group, return_inverse=True)
        parts.append(code.astype(np.int64) + base)
        base += int(code.max()) + 1
    return _join(parts)


def _design(
    streams: Sequence[Stream],
    labeler: Labeler,
    blocks: Sequence[FeatureSet | Embedder],
    order: Int64,
) -> Design:
    """Lay out: side, risk over ATR, instrument | labeler columns | the blocks in their order."""
    parts: list[Float32] = []
    symbols = sorted({s.bars.instrument.symbol for s in streams})
    for stream in streams:
        decisions = stream.decisions
        side = decisions.side.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            risk_atr = stream.labels.risk / stream.atr[decisions.bar]
        instrument = np.full(len(side), float(symbols.index(stream.bars.instrument.symbol)))
        columns = [side, risk_atr, instrument]
        columns.extend(
            _oriented(decisions.columns[column.name], column, side) for column in labeler.columns
        )
        for block in blocks:
            matrix = stream.features[block.name]
            columns.extend(
                _oriented(matrix[:, i], column, side) for i, column in enumerate(_columns_of(block))
            )
        parts.append(np.column_stack(columns).astype(np.float32))  # (N, F)
    x = np.concatenate(parts)[order]
    x[~np.isfinite(x)] = np.nan
    return Design(x=np.ascontiguousarray(x), names=_names(labeler, blocks))


def _columns_of(block: FeatureSet | Embedder) -> tuple[Column, ...]:
    return columns_of(block) if isinstance(block, Embedder) else block.columns


def _oriented(values: np.ndarray, column: Column, side: Float64) -> np.ndarray:
    return values * side if column.signed else values


def _names(labeler: Labeler, blocks: Sequence[FeatureSet | Embedder]) -> tuple[str, ...]:
    names = ["side", "risk_atr", "instrument"]
    names += [f"labeler/{column.name}" for column in labeler.columns]
    for block in blocks:
        names += [f"{block.name}/{column.name}" for column in _columns_of(block)]
    return tuple(names)
