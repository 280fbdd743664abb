"""The one step driven bar by bar, as paper trading does it.

Walks over arrays live in :mod:`ffm_core.labels.kernels`. Both call the same compiled
step and give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.jit import kernel
from ffm_core.labels.compiling import compile_step, start_of
from ffm_core.labels.entries import Entries
from ffm_core.labels.exits import rules_of
from ffm_core.labels.kernels import last_bar
from ffm_core.labels.step import (
    HOLD,
    Bar,
    OpenTrade,
    Order,
    Position,
    Rules,
    obeyed,
    step,
)
from ffm_core.records import ExitPolicy, Params
from ffm_core.types import Float64


@kernel
def advance(position: Position, bar: Bar, order: Order, ends: int, rules: Rules) -> Position:
    """Move one trade by one closed bar, as paper trading does.

    Parameters
    ----------
    position : Position
        From :func:`opened`, or from the bar before.
    bar : Bar
        The bar that has just closed; the entry bar first.
    order : Order
        What was ordered at the close before it; ``HOLD`` for nothing.
    ends : int
        Reason (index into ``REASONS``) for which the trade ends at this bar's close at
        the latest; 0 when it may go on.
    rules : Rules
        How bars are read that leave the order of events open.
    """
    return step(obeyed(position, order, rules), bar, order.leave, ends, rules)


def opened(side: int, entry: float, stop: float, target: float) -> Position:
    """Return a trade before its entry bar, whose open is ``entry``."""
    return Position(float(side), entry, stop, target, False, entry, entry, 0, entry)


def follow(
    bars: Bars,
    entries: Entries,
    row: int,
    policy: ExitPolicy,
    params: Params,
    columns: Float64 | None,
) -> tuple[int, float, int, float, float]:
    """Follow one trade under an exit policy, one closed bar after the other.

    Nothing is computed ahead: at every close the position is moved by the bar and the
    policy is asked, as paper trading does it.

    Parameters
    ----------
    bars : Bars
        The stream.
    entries : Entries
        Trades, of which the one at ``row`` is followed.
    policy, params
        The exit policy and its settings.
    columns : float64 (T, K), optional
        The policy's columns.

    Returns
    -------
    tuple
        Exit bar, exit price, reason, best and worst excursion in R: one row of
        :class:`~ffm_core.labels.kernels.Walked`.
    """
    e, side = int(entries.bar[row]), int(entries.side[row])
    entry, risk = float(entries.price[row]), float(entries.risk[row])
    asks = _asking(policy, params, side, entry, risk, float(entries.atr[row]))
    position = opened(side, entry, float(entries.stop[row]), float(entries.target[row]))
    rows = np.zeros((len(bars), 0)) if columns is None else columns
    last, why = last_bar(e, int(entries.horizon_bars[row]), len(bars), entries.flat_at)
    rules, bar = rules_of(policy, params, bars.instrument), e
    series = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    order = HOLD if policy.step is not None else asks(None, rows[e - 1], 0)
    while True:
        closed = Bar(*(float(values[bar]) for values in series))
        position = advance(position, closed, order, why if bar == last else 0, rules)
        if position.reason:
            break
        order = asks(closed, rows[bar], bar - e + 1)
        bar += 1
    up, down = (position.top - entry) / risk, (entry - position.bottom) / risk
    best, worst = (up, down) if side > 0 else (down, up)
    return bar, float(position.price), int(position.reason), best, worst


def _asking(
    policy: ExitPolicy, params: Params, side: int, entry: float, risk: float, atr: float
) -> Callable[[Bar | None, Float64, int], Order]:
    """Return how a policy is asked for its order: bar, its own row, bars held."""
    if policy.step is not None:
        decide = compile_step(policy, params).decide
        f, i, k = start_of(policy, params)
        f, i = f.copy(), i.copy()

        def ask(bar: Bar | None, row: Float64, age: int) -> Order:
            trade = OpenTrade(float(side), entry, risk, atr, age)
            stop, target, leave = decide(trade, bar, row.copy(), f, i, k)
            return Order(float(stop), float(target), bool(leave))

        return ask
    names = [column.name for column in policy.columns]
    way = "long" if side > 0 else "short"

    def read(bar: Bar | None, row: Float64, age: int) -> Order:
        if age > 0 and policy.kind != "managed":
            return HOLD
        given = dict(zip(names, row.tolist(), strict=True))
        stop, target = (given.get(f"{what}_{way}", float("nan")) for what in ("stop", "target"))
        return Order(stop, target, age > 0 and given.get(f"leave_{way}", 0.0) > 0.0)

    return read
