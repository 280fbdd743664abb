"""The walk of a world: fair everywhere but inside the trades that carry an edge.

While a trade is open its walk is reweighted by ``1 + c·x``, where ``x`` is the
profit in ticks and ``c`` is chosen so that the mean profit is exactly the wanted
one: under the fair walk ``E[x] = 0`` and ``E[x²] = E[steps until the end]``, hence
``E[x (1 + c·x)] = c · E[steps]``. The step up from ``x`` then has probability
``1/2 + c / (2 (1 + c·x))``. Stop and target are whole ticks away, so both are hit
exactly, and the number of steps is drawn without regard to direction; nothing known
at the decision tells a winner from a loser but the edge itself.
"""

from __future__ import annotations

import numpy as np

from ffm_core.bars.simulate_kernel import UInt64, byte_table, fair_walk, next_word, scaled
from ffm_core.jit import kernel
from ffm_core.types import Bool, Float64, Int64

ATR_BARS = 14
TARGET_R = 2
MIN_RISK_TICKS = 8
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_STEEPEST = 0.98  # keeps 1 + c·x above zero at the stop, and at the target when c is negative
_TERMS = 60
_RISK, _SIDE, _PROFIT, _LAST = 0, 1, 2, 3  # an open trade; _LAST is -1 when there is none


@kernel
def risk_ticks(bars: Int64, t: int) -> int:
    """Return 2 × the mean true range of the last 14 bars, in whole ticks.

    ``bars`` holds open, high, low, close in ticks (T, 4); ``t`` is at least 14.
    """
    total = 0
    for i in range(t - ATR_BARS + 1, t + 1):
        before = bars[i - 1, 3]
        total += max(bars[i, 1], before) - min(bars[i, 2], before)
    return max((2 * total + ATR_BARS // 2) // ATR_BARS, MIN_RISK_TICKS)


@kernel
def small_risk_ticks(bars: Int64, t: int, parts: int) -> int:
    """Return one of ``parts`` equal parts of :func:`risk_ticks`, the smallest risk at least."""
    return max(risk_ticks(bars, t) // parts, MIN_RISK_TICKS)


@kernel
def risks(bars: Int64, at: Int64, parts: int = 1) -> Int64:
    """Return :func:`small_risk_ticks` of each bar in ``at``, (N,)."""
    out = np.empty(len(at), dtype=np.int64)
    for i in range(len(at)):
        out[i] = small_risk_ticks(bars, at[i], parts)
    return out


@kernel
def expected_steps(risk: int, steps: float, target: int = TARGET_R) -> float:
    """Return the mean number of fair steps until stop, target or ``steps`` of them.

    The exit time of a walk from (-risk, target · risk) without the cut, less the
    series of what lies beyond it.
    """
    width = (1.0 + target) * risk
    beyond = 0.0
    for i in range(_TERMS):
        turn = (2 * i + 1) * np.pi / width
        rate = 0.5 * turn * turn
        share = 4.0 / (turn * width) * np.sin(turn * risk)
        beyond += share * np.exp(-rate * steps) / rate
    return max(target * risk * risk - beyond, 1.0)


@kernel
def climb_odds(risk: int, edge: float, steps: float, target: int = TARGET_R) -> UInt64:
    """Tabulate the probability of a step up as 32-bit thresholds, per profit in ticks.

    Entry ``risk + x`` belongs to profit ``x``; ``edge`` is the mean gross R wanted,
    ``steps`` how many steps the horizon holds.
    """
    slope = min(edge * risk / expected_steps(risk, steps, target), _STEEPEST / risk)
    slope = max(slope, -_STEEPEST / (target * risk))
    odds = np.empty((1 + target) * risk, dtype=np.uint64)
    for i in range(len(odds)):
        up = 0.5 + 0.5 * slope / (1.0 + slope * (i - risk))
        odds[i] = np.uint64(min(up, 1.0) * 4294967296.0)
    return odds


@kernel
def traded_walk(steps: int, trade: Int64, odds: UInt64, state: UInt64, out: Int64) -> int:
    """Walk an open trade until stop, target or ``steps``; return the steps not used.

    ``trade`` is advanced and closed when a level is reached; ``out`` gets the
    price change, its highest and its lowest value in ticks (3,).
    """
    risk, start = trade[_RISK], trade[_PROFIT]
    x, high, low, left, ended = start, start, start, steps, False
    word = np.uint64(0)
    while left > 0 and not ended:
        word = word >> _HALF if (steps - left) % 2 else next_word(state)
        x += 1 if (word & _LOW_HALF) < odds[risk + x] else -1
        high, low = max(high, x), min(low, x)
        ended = x == -risk or x + risk == len(odds)  # the odds reach from stop to target
        left -= 1
    trade[_PROFIT] = x
    if ended:
        trade[_LAST] = -1
    up, high, low = x - start, high - start, low - start
    long = trade[_SIDE] > 0
    out[0] = up if long else -up
    out[1] = high if long else -low
    out[2] = low if long else -high
    return left


@kernel
def world_bars(
    start: int,
    horizon: int,
    cost_ticks: float,
    edge: Float64,
    pace: Float64,
    first: Bool,
    eligible: Bool,
    side: Int64,
    target: Int64,
    parts: int,
    state: UInt64,
) -> tuple[Int64, Bool]:
    """Walk a world; return ticks (T, 4) and the bars at which a decision was made.

    Parameters
    ----------
    start, horizon : int
        First price in ticks; bars a trade may last.
    cost_ticks : float
        Cost of a round trip, added to every edge so that it holds after costs.
    edge : float64 (T,)
        Mean net R of a decision at the bar.
    pace : float64 (T, 3)
        Steps inside the bar, steps before its open, roll as a fraction of price.
    first, eligible : bool (T,)
        First bar of a session; bars that may bring a decision when no trade is open.
    side, target : int64 (T,)
        What a decision at the bar would be: ±1, and its target in R.
    parts : int
        Risk is one of so many equal parts of the usual one.
    state : uint64 (1,)
        Random state, advanced in place.
    """
    count, table, walked = len(first), byte_table(), np.zeros(3, dtype=np.int64)
    out, decided = np.empty((count, 4), dtype=np.int64), np.zeros(count, dtype=np.bool_)
    total = np.cumsum(pace[:, 0] + pace[:, 1])
    price, level, entry = start, 1.0, -1
    trade, odds = np.array([0, 0, 0, -1]), np.empty(0, dtype=np.uint64)
    for t in range(count):
        if first[t]:
            level = price / start
        steps = scaled(pace[t, 1], level, price - 1)
        if trade[_LAST] >= 0 and t > entry:
            # A gap that reaches stop or target opens exactly there.
            traded_walk(steps, trade, odds, state, walked)
        else:
            fair_walk(steps, state, table, walked)
        price += walked[0] + int(np.rint(pace[t, 2] * price))
        opened, high, low = price, price, price
        left = scaled(pace[t, 0], level, price - 1)
        if trade[_LAST] >= 0:
            left = traded_walk(left, trade, odds, state, walked)
            high, low = price + walked[1], price + walked[2]
            price += walked[0]
        fair_walk(left, state, table, walked)
        high, low = max(high, price + walked[1]), min(low, price + walked[2])
        price += walked[0]
        out[t, 0], out[t, 1], out[t, 2], out[t, 3] = opened, high, low, price
        if trade[_LAST] == t:
            trade[_LAST] = -1
        if trade[_LAST] < 0 and eligible[t]:
            decided[t], entry = True, t + 1
            risk = small_risk_ticks(out, t, parts)
            trade[_RISK], trade[_SIDE] = risk, side[t]
            trade[_PROFIT], trade[_LAST] = 0, t + horizon
            ahead = (total[t + horizon] - total[t] - pace[entry, 1]) * level * level
            odds = climb_odds(risk, edge[t] + cost_ticks / risk, ahead, target[t])
    return out, decided
