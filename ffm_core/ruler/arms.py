"""Control arms on arrays: random picks, random entry bars, permuted labels.

Every draw has its own key, so the draws are the same whoever computes them and
in whatever order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ffm_core.keyed import keyed
from ffm_core.records import ShuffleResult
from ffm_core.types import Bool, Float64, Int8, Int16, Int32, Int64


def draw_random(
    taken: Bool, instrument: Int16, month: Int32, *, draws: int = 200, seed: int = 0
) -> Int64:
    """Pick as many decisions as were taken, per instrument and month, at random.

    Parameters
    ----------
    taken : bool (N,)
        What REAL took of all valid test decisions.
    instrument : int16 (N,)
        Instrument of each decision.
    month : int32 (N,)
        Month number of its trading date.

    Returns
    -------
    int64 (draws, K)
        Row indices, ascending within a draw; K is REAL's number of trades.
    """
    group = _group(instrument, month)
    wanted = np.bincount(group[taken], minlength=int(group.max(initial=-1)) + 1)
    first = _first_of_group(group)
    out = np.empty((draws, int(wanted.sum())), np.int64)
    for draw in range(draws):
        # Group and chance in one key: the whole part sorts groups, the rest mixes them.
        order = np.argsort(group + keyed(seed, "random", draw).random(len(group)))
        rank = np.arange(len(group)) - first[group[order]]
        out[draw] = np.sort(order[rank < wanted[group[order]]])
    return out


def draw_means(r_net: Float64, draws: Sequence[Int64]) -> Float64:
    """Mean R of the rows of each draw, (draws,); NaN where a draw is empty."""
    return np.array([r_net[rows].mean() if len(rows) else np.nan for rows in draws])


def match_entry_bars(
    instrument: Int16,
    month: Int32,
    hour: Int8,
    side: Int8,
    candidate_instrument: Int16,
    candidate_month: Int32,
    candidate_hour: Int8,
    *,
    draws: int = 20,
    seed: int = 0,
) -> tuple[Int64, Int8]:
    """Match decisions with random bars of the same instrument, month and hour.

    Parameters
    ----------
    instrument, month, hour, side : (N,)
        Keys and sides of the decisions.
    candidate_instrument, candidate_month, candidate_hour : (C,)
        Keys of the bars a random trader could have acted on.

    Notes
    -----
    Bars are drawn without replacement within a cell while it lasts, then again
    from all of it. Sides are the instrument's own sides in random order, so each
    draw keeps the long share of the decisions exactly.
    """
    n = len(instrument)
    pools = _match_pools((instrument, month, hour),
                         (candidate_instrument, candidate_month, candidate_hour))  # fmt: skip
    candidate = np.full((draws, n), -1, np.int64)
    sides = np.empty((draws, n), np.int8)
    for draw in range(draws):
        rng = keyed(seed, "entry", draw)
        for rows, pool in pools:
            if len(pool):
                candidate[draw, rows] = _sample(rng, pool, len(rows))
        for number in np.unique(instrument):
            rows = np.flatnonzero(instrument == number)
            sides[draw, rows] = side[rng.permutation(rows)]
    return candidate, sides


def _match_pools(
    keys: tuple[Int16, Int32, Int8], candidates: tuple[Int16, Int32, Int8]
) -> list[tuple[Int64, Int64]]:
    """Return (decision rows, candidate rows) per cell; without a full match a looser one."""
    codes, pool_codes = _codes(keys, candidates)
    order = np.argsort(pool_codes, kind="stable")
    ordered = pool_codes[order]
    out: list[tuple[Int64, Int64]] = []
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        low, high = np.searchsorted(ordered, (code, code + 1))
        pool = order[low:high]
        out.append((rows, pool if len(pool) else _looser(rows[0], keys, candidates)))
    return out


def _looser(
    row: int, keys: tuple[Int16, Int32, Int8], candidates: tuple[Int16, Int32, Int8]
) -> Int64:
    """Return candidates of the same instrument and month, else of the instrument."""
    same = candidates[0] == keys[0][row]
    pool = np.flatnonzero(same & (candidates[1] == keys[1][row]))
    return pool if len(pool) else np.flatnonzero(same)


def _codes(
    keys: tuple[Int16, Int32, Int8], candidates: tuple[Int16, Int32, Int8]
) -> tuple[Int64, Int64]:
    """Fold (instrument, month, hour) into one integer, for decisions and candidates."""

    def fold(parts: tuple[Int16, Int32, Int8]) -> Int64:
        instrument, month, hour = (p.astype(np.int64) for p in parts)
        return (instrument * 100_000 + month) * 32 + hour

    return fold(keys), fold(candidates)


def _sample(rng: np.random.Generator, pool: Int64, size: int) -> Int64:
    """Draw ``size`` members, repeating none before all were drawn."""
    rounds = math.ceil(size / len(pool))
    drawn = np.concatenate([rng.permutation(pool) for _ in range(rounds)])
    return np.asarray(drawn[:size], np.int64)


def permute_full(n: int, rng: np.random.Generator) -> Int64:
    """Return ``n`` row numbers in random order: whose outcome each row is given."""
    return rng.permutation(n)


def permute_block(stream: Int16, week: Int64, rng: np.random.Generator) -> Int64:
    """Return row numbers permuted within (stream, week) only.

    Parameters
    ----------
    stream : int16 (N,)
        Instrument, or stream, of each row.
    week : int64 (N,)
        Week number of each row.

    Returns
    -------
    int64 (N,)
        Whose outcome each row is given.
    """
    group = _group(stream, week)
    stable = np.argsort(group, kind="stable")
    rows = np.empty(len(group), dtype=np.int64)
    rows[stable] = np.lexsort((rng.random(len(group)), group))
    return rows


def can_reach(real: float, draws: Float64, planned: int, *, threshold: float = 0.025) -> bool:
    """Whether ``p ≤ threshold`` is still possible after these draws of ``planned``."""
    return (1 + exceedances(real, draws)) / (planned + 1) <= threshold


def exceedances(real: float, draws: Float64) -> int:
    """Count draws at or above REAL; an empty draw, or an empty REAL, counts against it."""
    if not math.isfinite(real):
        return len(draws)
    return int(np.sum(~(draws < real)))


def p_value(result: ShuffleResult) -> float:
    """One-sided permutation p of REAL: ``(1 + draws ≥ real) / (draws + 1)``.

    A test that stopped early divides by all planned draws and is a lower bound.
    """
    k = exceedances(result.real, result.draws)
    ran = len(result.draws)
    return (1 + k) / ((max(result.planned, ran) if result.stopped else ran) + 1)


def _group(left: Int16, right: Int32 | Int64) -> Int64:
    """Return dense group numbers of the pair, (N,)."""
    pair = left.astype(np.int64) * (1 << 40) + right.astype(np.int64)
    return np.unique(pair, return_inverse=True)[1].astype(np.int64)


def _first_of_group(group: Int64) -> Int64:
    """Return where each group begins once rows are sorted by group."""
    counts = np.bincount(group) if len(group) else np.zeros(0, np.int64)
    return np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
