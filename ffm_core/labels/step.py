"""The one step: what a bar does to an open trade.

Labels, economics, replays, trades in lock-step and paper trading all move a trade by
this function; nothing else fills an order. Prices are raw, costs come later. The entry
bar counts like any other. On a bar, in this order:

1. an open at or beyond the stop, then the target, fills there, whatever was ordered;
2. an ordered exit fills at the open;
3. stop and target inside the bar; when one bar touches both, the tie rule decides;
4. the end of session, horizon or data, at the close.

Orders are given at the close of a bar and hold from the next bar's open. A moved stop
never loosens. Stops and targets lie on ticks, rounded against the trader.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffm_core.jit import inlined
from ffm_core.records import REASONS

STOP = REASONS.index("stop")
STOP_GAP = REASONS.index("stop_gap")
TARGET = REASONS.index("target")
TARGET_GAP = REASONS.index("target_gap")
TIMEOUT = REASONS.index("timeout")
SESSION_END = REASONS.index("session_end")
TRAIL = REASONS.index("trail")
DATA_END = REASONS.index("data_end")
SKIPPED = REASONS.index("skipped")
ORDERED = REASONS.index("ordered")

TIES = ("stop_first", "target_first", "skip")
TARGET_FIRST = TIES.index("target_first")
SKIP = TIES.index("skip")


class Bar(NamedTuple):
    """One closed bar, raw prices in points."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class OpenTrade(NamedTuple):
    """What an exit policy's step is told of the trade; prices in points."""

    side: float  # +1 long, −1 short
    entry: float
    risk: float
    atr: float  # Wilder's over 14 bars at the signal bar; NaN where not known
    age: int  # bars held, the entry bar among them: 1 at its close


class Order(NamedTuple):
    """What is ordered at a close for the bars after it; NaN leaves a level as it is."""

    stop: float
    target: float
    leave: bool


class Rules(NamedTuple):
    """How bars are read that leave the order of events open, and where levels may lie."""

    tie: int  # index into ``TIES``
    gap_at_open: bool  # whether an open beyond the target fills there or at the target
    tick: float = 0.0  # points; 0 leaves levels where they are
    per_point: float = 0.0  # ticks in a point where that is a whole number above 1, else 0


class Position(NamedTuple):
    """A trade between two bars: all that the next step needs.

    ``top`` and ``bottom`` are the highest and lowest price it has seen for certain. Of
    the exit bar only the fill counts as best, and everything up to the fill as worst.
    """

    side: float  # +1 long, −1 short
    entry: float
    stop: float
    target: float
    moved: bool  # whether the stop is another one than at entry
    top: float
    bottom: float
    reason: int  # index into ``REASONS``; 0 while open
    price: float  # of the exit; of no meaning while open


HOLD = Order(float("nan"), float("nan"), False)
STOP_FIRST = Rules(TIES.index("stop_first"), True, 0.0, 0.0)
_NOISE = 1e-6  # of a tick: as far from the grid as arithmetic leaves a price that lies on it


def rules_on(tick_size: float, *, tie: str = TIES[0], gap_at_open: bool = True) -> Rules:
    """Return the rules on a market of this tick size, points."""
    whole = round(1.0 / tick_size)
    per_point = float(whole) if whole > 1 and abs(whole * tick_size - 1.0) < 1e-9 else 0.0
    return Rules(TIES.index(tie), gap_at_open, tick_size, per_point)


@inlined
def on_tick(price: float, upward: bool, rules: Rules) -> float:
    """Return the first tradable price at or above ``price``, or at or below it.

    It is made of whole ticks, so that it is the double that its decimals parse to.
    """
    if rules.tick <= 0.0 or not np.isfinite(price):
        return price
    ticks = price * rules.per_point if rules.per_point > 0.0 else price / rules.tick
    whole: float = np.rint(ticks)
    if abs(ticks - whole) > _NOISE:
        whole = np.ceil(ticks) if upward else np.floor(ticks)
    return whole / rules.per_point if rules.per_point > 0.0 else whole * rules.tick


@inlined
def entered(side: float, entry: float, stop: float, target: float) -> Position:
    """Return the position of a trade before its entry bar."""
    return Position(side, entry, stop, target, False, entry, entry, 0, entry)


@inlined
def obeyed(position: Position, order: Order, rules: Rules) -> Position:
    """Return the position with an order in force; a stop never loosens.

    Levels lie on ticks, rounded against the trader: a stop away from the price, a target
    beyond what was asked for.
    """
    side, stop, target, moved = position.side, position.stop, position.target, position.moved
    if side * (order.stop - stop) > 0.0:
        level = on_tick(order.stop, side < 0.0, rules)
        if side * (level - stop) > 0.0:
            stop = level
            moved = True
    if order.target == order.target:
        target = on_tick(order.target, side > 0.0, rules)
    return Position(side, position.entry, stop, target, moved, position.top,
                    position.bottom, position.reason, position.price)  # fmt: skip


@inlined
def step(position: Position, bar: Bar, leave: bool, ends: int, rules: Rules) -> Position:
    """Return the position after a bar; ``reason`` is not 0 when the trade is over.

    Parameters
    ----------
    position : Position
        An open trade, with all orders in force.
    bar : Bar
        The next bar.
    leave : bool
        Whether to leave at its open.
    ends : int
        Why the trade ends at this bar's close at the latest; 0 when it may go on.
    rules : Rules
        How bars are read that leave the order of events open.
    """
    side, stop, target = position.side, position.stop, position.target
    top, bottom = position.top, position.bottom
    lower = stop if side > 0 else target
    upper = target if side > 0 else stop
    if bar.low > lower and bar.high < upper and not leave:
        # A bar that touches neither level changes nothing but the extremes.
        top = max(top, bar.high)
        bottom = min(bottom, bar.low)
        reason = ends
        price = bar.close
    else:
        hit_stop = bar.low <= stop if side > 0 else bar.high >= stop
        hit_target = bar.high >= target if side > 0 else bar.low <= target
        if side * (bar.open - stop) <= 0.0:
            reason = TRAIL if position.moved else STOP_GAP
            price = bar.open
        elif side * (bar.open - target) >= 0.0:
            reason = TARGET_GAP
            price = bar.open if rules.gap_at_open else target
        elif leave:
            reason = ORDERED
            price = bar.open
        elif hit_stop and hit_target and rules.tie == SKIP:
            reason = SKIPPED
            price = float("nan")
        elif hit_stop and not (hit_target and rules.tie == TARGET_FIRST):
            reason = TRAIL if position.moved else STOP
            price = stop
        else:
            reason = TARGET
            price = target
            # the bar's own dip came before the target for all we know
            if side > 0:
                bottom = min(bottom, max(bar.low, stop))
            else:
                top = max(top, min(bar.high, stop))
        top = max(top, price)
        bottom = min(bottom, price)
    return Position(side, position.entry, stop, target, position.moved, top, bottom, reason, price)
