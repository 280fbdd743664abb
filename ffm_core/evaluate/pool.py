"""All streams in one table, in order of time; the design matrix beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.embed.embedding import columns_of
from ffm_core.evaluate.streams import Stream
from ffm_core.records import Column, Design, Embedder, FeatureSet, Labeler, Outcomes, View
from ffm_core.ruler.folds import DecisionTable
from ffm_core.ruler.months import month_of
from ffm_core.types import Bool, Float32, Float64, Int8, Int64

US_PER_WEEK = 7 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What became of pooled rows under the run's exits; all arrays (N,)."""

    r_net: Float64
    r_gross: Float64
    mfe_r: Float64
    mae_r: Float64
    peak_r: Float64
    entry_price: Float64
    exit_price: Float64
    risk: Float64
    target_r: Float64
    t_entry: Int64
    t_exit: Int64
    reason: Int8
    void_reason: Int8
    cost_r: Float64  # commission and fees of a round trip, R
    tick_r: Float64  # one tick, R

    def net_at(self, slippage_ticks: float) -> Float64:
        """Return net R with another slippage per side."""
        return self.r_gross - self.cost_r - 2.0 * slippage_ticks * self.tick_r


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every decision of every stream, sorted by (time, stream, bar, side); arrays (N,)."""

    streams: tuple[Stream, ...]
    table: DecisionTable
    source_row: Int64  # row in the stream's own decisions
    design: Design
    label: Int8
    label_r: Float64  # static policy, net R
    peak_r: Float64
    t_end: Int64
    trainable: Bool
    group: Int64
    week: Int64
    results: Results

    def __len__(self) -> int:
        return len(self.source_row)

    def view(self, rows: Int64, *, labels: bool) -> View:
        """Return rows as a learner may see them; labels only where asked for."""
        nothing = np.empty(0)
        return View(
            design=self.design.take(rows),
            side=self.table.side[rows],
            stream=self.table.stream[rows],
            t_us=self.table.t_decision[rows],
            t_end=self.t_end[rows] if labels else nothing.astype(np.int64),
            label=self.label[rows] if labels else nothing.astype(np.int8),
            r_net=self.label_r[rows] if labels else nothing,
            peak_r=self.peak_r[rows] if labels else nothing,
        )


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
    labels = [s.labels for s in streams]
    table = DecisionTable(
        stream=stream[order],
        bar=bar[order],
        side=side[order],
        t_decision=t_decision[order],
        day=day[order],
        month=month_of(day)[order],
        hour=_join([s.hour[s.decisions.bar] for s in streams]).astype(np.int8)[order],
        t_end_max=_join([o.t_end_max for o in labels])[order],
        valid=_join([o.valid & r.outcomes.valid for o, r in zip(labels, streams, strict=True)])[
            order
        ],
        streams=tuple(s.bars.stream for s in streams),
    )
    return Pool(
        streams=tuple(streams),
        table=table,
        source_row=_join([np.arange(len(s.decisions)) for s in streams])[order],
        design=_design(streams, labeler, blocks, order),
        label=_join([o.label for o in labels])[order],
        label_r=_join([o.r_net for o in labels])[order],
        peak_r=_join([o.peak_r for o in labels])[order],
        t_end=_join([o.t_end for o in labels])[order],
        trainable=_join([o.valid for o in labels])[order],
        group=_groups(streams)[order],
        week=(t_decision // US_PER_WEEK)[order],
        results=gather(streams, [s.outcomes for s in streams], order),
    )


def gather(streams: Sequence[Stream], found: Sequence[Outcomes], order: Int64) -> Results:
    """Lay the outcomes of all streams side by side, in pooled order."""

    def join(name: str) -> Float64:
        return _join([getattr(o, name) for o in found])[order]

    def stamps(name: str, *, closing: bool) -> Int64:
        parts = []
        for stream, outcome in zip(streams, found, strict=True):
            at = np.clip(getattr(outcome, name), 0, len(stream.bars) - 1)
            parts.append(stream.bars.ts_us[at] + (stream.bars.timeframe.us if closing else 0))
        return _join(parts)[order]

    risk = join("risk")
    tick = _join([np.full(len(o), o.tick_size) for o in found])[order]
    with np.errstate(divide="ignore", invalid="ignore"):
        cost_r = join("cost_points") / risk
        tick_r = tick / risk
    return Results(
        r_net=join("r_net"), r_gross=join("r_gross"), mfe_r=join("mfe_r"), mae_r=join("mae_r"),
        peak_r=join("peak_r"), entry_price=join("entry_price"), exit_price=join("exit_price"),
        risk=risk, target_r=join("target_r"), t_entry=stamps("entry_bar", closing=False),
        t_exit=stamps("exit_bar", closing=True), reason=join("reason").astype(np.int8),
        void_reason=join("void_reason").astype(np.int8), cost_r=cost_r, tick_r=tick_r,
    )  # fmt: skip


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
