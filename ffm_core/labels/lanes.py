"""The one step driven other ways: many trades in lock-step, or one trade bar by bar.

Walks over arrays live in :mod:`ffm_core.labels.kernels`. All drivers call the same
compiled step and give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ffm_core.bars.primitives import frozen
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
    entered,
    obeyed,
    step,
)
from ffm_core.records import ExitPolicy, Params
from ffm_core.types import Bool, Float64, Int8, Int32, Int64

# Columns of the state of a lane; a snapshot is a copy of both arrays.
SIDE, ENTRY, STOP_AT, TARGET_AT, TOP, BOTTOM, PRICE = range(7)  # of ``f``
NEXT, LAST, WHY, MOVED, REASON = range(5)  # of ``i``: bar to come, last bar and its reason


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


@dataclass(frozen=True, slots=True)
class Lanes:
    """Trades in lock-step on one stream: each lane is one trade at a bar of its own.

    Parameters
    ----------
    f : float64 (N, 7)
        Side, entry, stop, target, highest and lowest price seen for certain, exit price.
    i : int64 (N, 5)
        Next bar, last bar it may see and the reason it ends there, whether the stop has
        moved, and the reason it ended (0 while open).
    """

    f: Float64
    i: Int64

    @property
    def open(self) -> Bool:
        """Lanes whose trade is still open."""
        return np.asarray(self.i[:, REASON] == 0)

    @property
    def exit_bar(self) -> Int64:
        """Bar on which each trade ended; for open ones the next bar; (N,)."""
        return np.where(self.open, self.i[:, NEXT], self.i[:, NEXT] - 1)


def start_lanes(bars: Bars, entries: Entries) -> Lanes:
    """Return one lane per entry, each before its entry bar."""
    n = len(entries)
    f, i = np.zeros((n, 7)), np.zeros((n, 5), dtype=np.int64)
    _start(
        frozen(bars.open), entries.flat_at, entries.bar, entries.side, entries.stop,
        entries.target, entries.horizon_bars, f, i,
    )  # fmt: skip
    return Lanes(f, i)


@kernel
def _start(
    open_: Float64,
    flat_at: Int64,
    entry_bar: Int64,
    side: Int8,
    stop: Float64,
    target: Float64,
    horizon: Int32,
    f: Float64,
    i: Int64,
) -> None:
    for n in range(len(entry_bar)):
        e = entry_bar[n]
        last, why = last_bar(e, horizon[n], len(open_), flat_at)
        i[n, NEXT], i[n, LAST], i[n, WHY] = e, last, why
        _store(entered(float(side[n]), open_[e], stop[n], target[n]), f, i, n)


@kernel
def _load(f: Float64, i: Int64, n: int) -> Position:
    return Position(f[n, SIDE], f[n, ENTRY], f[n, STOP_AT], f[n, TARGET_AT], i[n, MOVED] != 0,
                    f[n, TOP], f[n, BOTTOM], i[n, REASON], f[n, PRICE])  # fmt: skip


@kernel
def _store(position: Position, f: Float64, i: Int64, n: int) -> None:
    f[n, SIDE], f[n, ENTRY] = position.side, position.entry
    f[n, STOP_AT], f[n, TARGET_AT] = position.stop, position.target
    f[n, TOP], f[n, BOTTOM], f[n, PRICE] = position.top, position.bottom, position.price
    i[n, MOVED], i[n, REASON] = position.moved, position.reason


@kernel
def _advance(
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    f: Float64,
    i: Int64,
    stop: Float64,
    target: Float64,
    leave: Bool,
    rules: Rules,
) -> None:
    for n in range(len(i)):
        if i[n, REASON] == 0:
            at = i[n, NEXT]
            bar = Bar(open_[at], high[at], low[at], close[at], 0.0)
            ends = i[n, WHY] if at == i[n, LAST] else 0
            position = obeyed(_load(f, i, n), Order(stop[n], target[n], leave[n]), rules)
            _store(step(position, bar, leave[n], ends, rules), f, i, n)
            i[n, NEXT] = at + 1


def advance_lanes(
    lanes: Lanes, bars: Bars, rules: Rules, *, stop: Float64, target: Float64, leave: Bool
) -> None:
    """Move every open trade by its next bar, in place.

    Parameters
    ----------
    lanes : Lanes
        From :func:`start_lanes`.
    bars : Bars
        The stream.
    rules : Rules
        How bars are read that leave the order of events open.
    stop, target : float64 (N,)
        Levels ordered at the close before; NaN leaves a level as it is.
    leave : bool (N,)
        Whether to leave at the next bar's open.
    """
    prices = (frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close))
    _advance(*prices, lanes.f, lanes.i, stop, target, leave, rules)


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
