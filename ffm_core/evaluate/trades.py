"""Trades of an arm, and the tables that describe them by day, month, hour and side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.evaluate.pool import Pool
from ffm_core.records import Outcomes, Overlap, Trades
from ffm_core.ruler import positions
from ffm_core.ruler.months import month_name, month_of
from ffm_core.types import Float64, Int8, Int16, Int32, Int64


def hold(rows: Int64, stream: Int16, outcomes: Outcomes, overlap: Overlap) -> Int64:
    """Return those of the picked rows that are traded, ascending.

    Rows that the run's exits made void are not. ``stream`` is that of every row of
    ``outcomes``.
    """
    rows = np.sort(rows)
    rows = rows[outcomes.valid[rows]]
    entry, leave = outcomes.t_entry[rows], outcomes.t_exit[rows]
    return rows[positions.hold(stream[rows], entry, leave, overlap)]


def trades_of(pool: Pool, rows: Int64, outcomes: Outcomes) -> Trades:
    """Return the trades of pooled rows that were held, in order of entry."""
    stream = pool.table.stream[rows]
    return _trades(pool, outcomes.take(rows), row=rows, day=pool.table.day[rows], stream=stream,
                   side=pool.table.side[rows])  # fmt: skip


def trades_of_bars(pool: Pool, number: int, bar: Int64, side: Int8, outcomes: Outcomes) -> Trades:
    """Return trades entered after bars of a stream that are no decisions (the ENTRY arm)."""
    kept = np.flatnonzero(outcomes.valid)
    n = len(kept)
    return _trades(
        pool,
        outcomes.take(kept),
        row=np.full(n, -1, dtype=np.int64),
        day=pool.streams[number].day[bar[kept]],
        stream=np.full(n, number, dtype=np.int16),
        side=side[kept],
    )


def _trades(
    pool: Pool,
    outcomes: Outcomes,
    *,
    row: Int64,
    day: Int32,
    stream: Int16,
    side: Int8,
) -> Trades:
    instruments = [one.bars.instrument for one in pool.streams]
    return Trades(
        row=row,
        day=day,
        stream=stream,
        side=side,
        quantity=np.ones(len(row)),
        t_entry=outcomes.t_entry,
        t_exit=outcomes.t_exit,
        entry_price=outcomes.entry_price,
        exit_price=outcomes.exit_price,
        risk=outcomes.risk,
        point_value=np.array([one.point_value for one in instruments])[stream],
        currency=np.array([one.currency for one in instruments], dtype=np.str_)[stream],
        r_gross=outcomes.r_gross,
        r_net=outcomes.r_net,
        worst_r=outcomes.mae_r,
        best_r=outcomes.mfe_r,
        weight=np.ones(len(row)),
    ).in_time_order()


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
        open_until[stream] = max(open_until[stream], int(pool.outcomes.t_exit[row]))
    return overlapping / len(rows) if len(rows) else 0.0
