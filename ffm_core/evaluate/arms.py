"""From fitted folds to arms: REAL, NAIVE, RANDOM, ENTRY and extra controls."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ffm_core.evaluate.pick import Picks
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.streams import StreamTask, simulate
from ffm_core.evaluate.trades import hold, trades_of, trades_of_bars
from ffm_core.records import Decisions, ExitPolicy, Outcomes, Overlap, Params, Trades
from ffm_core.ruler import positions
from ffm_core.ruler.arms import draw_random, match_entry_bars
from ffm_core.ruler.months import month_of
from ffm_core.types import Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """What is needed to run the run's exits again with other targets."""

    policy: ExitPolicy
    params: Params
    tasks: tuple[StreamTask, ...]


def predicted_outcomes(pool: Pool, part: Picks, exits: Exits) -> Outcomes:
    """Run a predicted policy with each row's own target; other rows keep theirs.

    Every arm shares these targets, so that arms differ in what they take and in
    nothing else.
    """
    target_of = exits.policy.target_of
    assert target_of is not None
    target = target_of(part.predicted_r, exits.params)
    merged = {name: values.copy() for name, values in pool.outcomes.arrays().items()}
    for number, (stream, task) in enumerate(zip(pool.streams, exits.tasks, strict=True)):
        mine = np.flatnonzero(pool.table.stream[part.row] == number)
        mine = mine[np.argsort(part.row[mine], kind="stable")]
        if len(mine) == 0:
            continue
        rows = part.row[mine]
        decisions = stream.decisions.take(pool.source_row[rows])
        found = simulate(
            stream.bars, decisions, exits.policy, exits.params, task, target_r=target[mine]
        )
        for name, values in found.arrays().items():
            merged[name][rows] = values
    return Outcomes(**merged)


def random_rows(
    pool: Pool, part: Picks, outcomes: Outcomes, *, draws: int, seed: int, overlap: Overlap
) -> list[Int64]:
    """Return the pooled rows that each RANDOM draw holds."""
    rows, table = part.row, pool.table
    drawn = draw_random(part.picked, table.stream[rows], table.month[rows], draws=draws, seed=seed)
    return [hold(rows[draw], table.stream, outcomes, overlap) for draw in drawn]


def entry_trades(
    pool: Pool,
    rows: Int64,
    outcomes: Outcomes,
    exits: Exits,
    *,
    draws: int,
    seed: int,
    overlap: Overlap,
) -> Trades:
    """Return the trades of random bars matched to the decisions, all draws together.

    Each stands for one decision: same stream, month and hour, same risk in ATR,
    same target and horizon, same exits, held as the other arms are. A trade weighs
    ``1 / draws``.
    """
    candidates = [_candidate_bars(pool, number, rows) for number in range(len(pool.streams))]
    stream_of = np.concatenate([np.full(len(c), n) for n, c in enumerate(candidates)])
    bars = np.concatenate(candidates)
    months = np.concatenate([_stream_months(pool, n)[c] for n, c in enumerate(candidates)]).astype(
        np.int32
    )
    hours = np.concatenate([pool.streams[n].hour[c] for n, c in enumerate(candidates)])
    match = match_entry_bars(
        pool.table.stream[rows],
        pool.table.month[rows],
        pool.table.hour[rows],
        pool.table.side[rows],
        stream_of.astype(np.int16),
        months,
        hours,
        draws=draws,
        seed=seed,
    )
    held = [trades_of(pool, rows[:0], outcomes)]
    for draw in range(draws):
        parts = []
        for number, task in enumerate(exits.tasks):
            chosen = (match.candidate[draw] >= 0) & (pool.table.stream[rows] == number)
            if chosen.any():
                at = bars[match.candidate[draw][chosen]]
                parts.append(
                    _entry_draw(pool, number, rows[chosen], at, match.side[draw][chosen],
                                outcomes, exits, task, 1.0 / draws)
                )  # fmt: skip
        if parts:
            trades = Trades.concat(parts).in_time_order()
            places = positions.hold(trades.stream, trades.t_entry, trades.t_exit, overlap)
            held.append(trades.take(places))
    return Trades.concat(held).in_time_order()


def _entry_draw(
    pool: Pool,
    number: int,
    rows: Int64,
    at: Int64,
    side: np.ndarray,
    outcomes: Outcomes,
    exits: Exits,
    task: StreamTask,
    weight: float,
) -> Trades:
    stream = pool.streams[number]
    order = np.lexsort((side, at))
    rows, at, side = rows[order], at[order], side[order]
    # A cell with fewer bars than decisions repeats a bar; one trade per (bar, side) stands.
    fresh = np.ones(len(at), dtype=np.bool_)
    fresh[1:] = (at[1:] != at[:-1]) | (side[1:] != side[:-1])
    rows, at, side = rows[fresh], at[fresh], side[fresh]
    own = pool.source_row[rows]
    scale = stream.atr[at] / stream.atr[stream.decisions.bar[own]]
    horizon = stream.decisions.horizon_bars
    decisions = Decisions(
        bar=at,
        side=side,
        risk=outcomes.risk[rows] * scale,
        target_r=outcomes.target_r[rows],
        horizon_bars=None if horizon is None else horizon[own],
    )
    found = simulate(
        stream.bars, decisions, exits.policy, exits.params, task, target_r=decisions.target_r
    )
    return trades_of_bars(pool, number, at, side, found, weight)


def _stream_months(pool: Pool, number: int) -> np.ndarray:
    return month_of(pool.streams[number].day)


def _candidate_bars(pool: Pool, number: int, rows: Int64) -> Int64:
    """Return bars of a stream on which a random trader could have decided.

    Bars of the test rows' months with a known ATR; decisions themselves are not
    excluded, since a random trader may hit one.
    """
    stream = pool.streams[number]
    months = np.unique(pool.table.month[rows[pool.table.stream[rows] == number]])
    wanted = np.isin(_stream_months(pool, number), months) & np.isfinite(stream.atr)
    wanted &= stream.atr > 0
    if len(wanted):
        wanted[-1] = False  # no next bar to enter on
    return np.flatnonzero(wanted)


def held_picks(pool: Pool, part: Picks, outcomes: Outcomes, overlap: Overlap) -> Picks:
    """Mark the picks that are really held; rows that the run's exits made void are dropped."""
    part = part.take(outcomes.valid[part.row])
    rows = hold(part.row[part.picked], pool.table.stream, outcomes, overlap)
    return replace(part, taken=part.picked & np.isin(part.row, rows))
