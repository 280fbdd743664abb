"""Trades of an arm, and the tables that describe them by day, month, hour and side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ffm_core.evaluate.pool import Pool
from ffm_core.records import Outcomes, Trades
from ffm_core.ruler.months import month_name, month_of
from ffm_core.types import Float64, Int16, Int32, Int64


def trades_of(pool: Pool, rows: Int64, outcomes: Outcomes) -> Trades:
    """Return the trades of pooled rows, in order of decision time."""
    rows = np.sort(rows)
    stream = pool.table.stream[rows]
    return Trades(
        row=rows,
        day=pool.table.day[rows],
        stream=stream,
        side=pool.table.side[rows],
        t_entry=outcomes.t_entry[rows],
        t_exit=outcomes.t_end[rows],
        r_net=outcomes.r_net[rows],
        r_gross=outcomes.r_gross[rows],
        worst_r=outcomes.mae_r[rows],
        best_r=outcomes.mfe_r[rows],
        money=outcomes.r_net[rows] * outcomes.risk[rows] * point_values(pool)[stream],
        weight=np.ones(len(rows)),
    )


def trades_of_bars(
    pool: Pool,
    stream_index: int,
    bar: Int64,
    side: np.ndarray,
    found: Outcomes,
    weight: float,
) -> Trades:
    """Return trades entered on bars that are no decisions (the ENTRY arm)."""
    keep = np.flatnonzero(found.valid)
    stream = pool.streams[stream_index]
    bars = stream.bars
    value = bars.instrument.point_value
    return Trades(
        row=np.full(len(keep), -1, dtype=np.int64),
        day=stream.day[bar[keep]],
        stream=np.full(len(keep), stream_index, dtype=np.int16),
        side=side[keep],
        t_entry=bars.ts_us[found.entry_bar[keep]],
        t_exit=found.t_end[keep],
        r_net=found.r_net[keep],
        r_gross=found.r_gross[keep],
        worst_r=found.mae_r[keep],
        best_r=found.mfe_r[keep],
        money=found.r_net[keep] * found.risk[keep] * value,
        weight=np.full(len(keep), weight),
    )


def join_trades(parts: Sequence[Trades]) -> Trades:
    """Concatenate trades and put them in order of entry time."""
    names = Trades.__dataclass_fields__
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    order = np.lexsort((joined["stream"], joined["t_entry"]))
    return Trades(**{name: values[order] for name, values in joined.items()})


def no_trades() -> Trades:
    """Return an arm that traded nothing."""
    kinds = {
        "row": np.int64, "day": np.int32, "stream": np.int16, "side": np.int8,
        "t_entry": np.int64, "t_exit": np.int64,
    }  # fmt: skip
    names = Trades.__dataclass_fields__
    return Trades(**{name: np.empty(0, dtype=kinds.get(name, np.float64)) for name in names})


def point_values(pool: Pool) -> Float64:
    """Money per point of each stream, in its own currency; shape (S,)."""
    return np.array([s.bars.instrument.point_value for s in pool.streams])


def daily_r(trades: Trades, days: Int32) -> Float64:
    """Sum net R by trading day over the grid of days, empty days 0; shape (D,)."""
    at = np.searchsorted(days, trades.day)
    sums = np.bincount(at, weights=trades.r_net * trades.weight, minlength=len(days))
    return np.asarray(sums, dtype=np.float64)


def mean_r(trades: Trades) -> float:
    """Return mean net R per trade, NaN without trades."""
    total = trades.weight.sum()
    return float((trades.r_net * trades.weight).sum() / total) if total > 0 else float("nan")


def month_table(trades: Trades, months: Int32, streams: tuple[str, ...]) -> dict[str, Any]:
    """Return total R and trade counts by stream and month; ``months`` ascending."""
    month = month_of(trades.day)
    column = np.searchsorted(months, month)
    cell = trades.stream.astype(np.int64) * len(months) + column
    size = len(streams) * len(months)
    total = np.bincount(cell, weights=trades.r_net, minlength=size)
    count = np.bincount(cell, minlength=size)
    return {
        "months": [month_name(int(m)) for m in months],
        "streams": list(streams),
        "total_r": total.reshape(len(streams), -1).tolist(),
        "n_trades": count.reshape(len(streams), -1).tolist(),
    }


def side_table(trades: Trades) -> list[dict[str, Any]]:
    """Return one row per side that traded."""
    rows = []
    for side, name in ((1, "long"), (-1, "short")):
        r = trades.r_net[trades.side == side]
        if len(r):
            rows.append({"side": name, **_summary(r), "win_rate": float((r > 0).mean())})
    return rows


def hour_table(trades: Trades, hour: np.ndarray) -> list[dict[str, Any]]:
    """Return one row per exchange hour that traded; ``hour`` is (n,)."""
    return [{"hour": int(h), **_summary(trades.r_net[hour == h])} for h in np.unique(hour)]


def _summary(r: Float64) -> dict[str, Any]:
    return {"n": len(r), "mean_r": float(r.mean()), "total_r": float(r.sum())}


def cost_table(outcomes: Outcomes, arms: dict[str, Int64]) -> list[dict[str, Any]]:
    """Return mean and total net R at 0, 1 and 2 ticks of slippage per side."""
    table = []
    for ticks in (0, 1, 2):
        net = outcomes.slipping(ticks).r_net
        row = {
            name: {"mean_r": float(net[rows].mean()), "total_r": float(net[rows].sum())}
            for name, rows in arms.items()
            if len(rows)
        }
        table.append({"slippage_ticks": ticks, "arms": row})
    return table


def overlap_share(pool: Pool, rows: Int64) -> float:
    """Return the share of rows decided while an earlier trade of the stream is open."""
    open_until = np.full(len(pool.streams), np.iinfo(np.int64).min)
    overlapping = 0
    for row in np.sort(rows):
        stream = int(pool.table.stream[row])
        overlapping += bool(pool.outcomes.t_entry[row] < open_until[stream])
        open_until[stream] = max(open_until[stream], int(pool.outcomes.t_end[row]))
    return overlapping / len(rows) if len(rows) else 0.0


def one_per_stream(pool: Pool) -> np.ndarray:
    """Mark the decisions that find their stream without an open trade; bool (N,)."""
    open_until: dict[int, int] = {}
    keep = pool.table.valid.copy()
    stream: Int16 = pool.table.stream
    for row in np.flatnonzero(keep):
        key = int(stream[row])
        if pool.outcomes.t_entry[row] < open_until.get(key, -(2**62)):
            keep[row] = False
            continue
        open_until[key] = int(pool.outcomes.t_end[row])
    return keep
