"""What becomes of decisions: orders, fills, outcomes, and the trades of an arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from ffm_core.records.strategy import Param, Params
from ffm_core.records.tables import ArrayTable
from ffm_core.types import Bool, Float64, Int8, Int16, Int32, Int64, Text

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

# Why a trade ended, and why an outcome does not count. Codes are stored as int8.
REASONS = ("none", "stop", "stop_gap", "target", "target_gap", "timeout", "session_end",
           "trail", "data_end", "skipped", "ordered")  # fmt: skip
VOIDS = ("none", "no_next_bar", "data_end", "roll", "hole", "small_risk", "stop_beyond_open",
         "tie_skipped")  # fmt: skip


# When a trade may block the next one: never, on its own stream, or on every stream.
Overlap: TypeAlias = Literal["each", "one_per_stream", "one_at_a_time"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Entries ready for a fill kernel: next-bar opens with risk in points; (N,)."""

    entry_bar: Int64
    side: Int8
    risk: Float64
    target_r: Float64
    horizon_bars: Int32
    atr: Float64  # at the signal bar, points; NaN where a policy does not need it
    flat: Bool | None = None  # (T,) session-end mask, None when positions may be held


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """Raw answers of a fill kernel; all arrays (N,), prices in points."""

    entry_bar: Int64
    entry_price: Float64
    exit_bar: Int64
    exit_price: Float64
    reason: Int8
    mfe_r: Float64
    mae_r: Float64
    r_gross: Float64


SimulateFn: TypeAlias = "Callable[[Bars, Orders, Params], Fills]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicy:
    """How a trade ends.

    ``static`` policies know everything at the decision; ``predicted`` ones take
    their target from the risk head; ``managed`` ones follow the trade bar by bar.
    """

    name: str
    kind: Literal["static", "predicted", "managed"]
    simulate: SimulateFn
    params: tuple[Param, ...] = ()
    summary: str = ""
    target_of: Callable[[Float64, Params], Float64] | None = None  # predicted: R̂ → target_r
    needs_atr: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes(ArrayTable):
    """What became of each decision under one exit policy; all arrays (N,).

    ``r_gross`` and ``r_net`` are multiples of ``risk``; times are microseconds UTC.
    ``t_end`` and ``t_end_max`` are when the outcome, or the latest outcome any policy
    of the run could still produce, is known (bar close). ``peak_r`` is the best
    excursion ignoring the target (the risk head's label). Void rows keep NaN in the R
    columns. Rows of several streams may stand in one table; bars count within a row's
    own stream.

    Net R and the costs are never stored: :attr:`r_net` is the only place that charges
    them.
    """

    entry_bar: Int64  # -1 where nothing was entered
    entry_price: Float64
    risk: Float64  # points
    target_r: Float64
    exit_bar: Int64
    exit_price: Float64
    r_gross: Float64
    cost_points: Float64  # commission and fees of a round trip, points, no slippage
    tick_size: Float64
    slippage_ticks: Float64  # per side
    peak_r: Float64
    mfe_r: Float64
    mae_r: Float64
    t_entry: Int64  # open of the entry bar, or of the bar that would have been it
    t_end: Int64
    t_end_max: Int64
    reason: Int8  # index into REASONS
    void_reason: Int8  # index into VOIDS

    def __len__(self) -> int:
        return len(self.entry_bar)

    @property
    def r_net(self) -> Float64:
        """Gross R less commission, fees and the slippage of both sides."""
        points = self.cost_points + 2.0 * self.slippage_ticks * self.tick_size
        return self.r_gross - points / self.risk

    @property
    def valid(self) -> Bool:
        """Rows that may be trained on and traded."""
        return np.asarray(self.void_reason == 0)

    @property
    def label(self) -> Int8:
        """1 where net R is positive, else 0; meaningless where void."""
        return (np.nan_to_num(self.r_net, nan=-1.0) > 0).astype(np.int8)

    def slipping(self, slippage_ticks: float) -> Outcomes:
        """Return the same outcomes with another slippage per side, in ticks."""
        return replace(self, slippage_ticks=np.full(len(self), float(slippage_ticks)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades(ArrayTable):
    """Trades of one arm in order of entry, over all streams; all arrays (n,).

    What was really held: a pick that found its place taken is not among them. Times are
    those of the fills, microseconds UTC; prices and ``risk`` are in points. ``worst_r``
    and ``best_r`` are the worst and best open result while the trade was held, before
    costs. ``weight`` is 1 except for arms that average draws. ``row`` indexes the pooled
    decision table (-1 where a trade has no decision).
    """

    row: Int64
    day: Int32  # trading date of the decision, days since 1970
    stream: Int16
    side: Int8
    quantity: Float64  # contracts
    t_entry: Int64
    t_exit: Int64
    entry_price: Float64
    exit_price: Float64
    risk: Float64  # points from entry to stop
    point_value: Float64  # money a point of one contract is worth
    currency: Text  # of the money columns
    r_gross: Float64
    r_net: Float64
    worst_r: Float64  # mae, as a non-negative number
    best_r: Float64  # mfe
    weight: Float64

    def __len__(self) -> int:
        return len(self.day)

    @property
    def money(self) -> Float64:
        """Net result of the trade, in its currency."""
        return self._in_money(self.r_net)

    @property
    def costs(self) -> Float64:
        """Commission, fees and slippage of the round trip, in its currency."""
        return self._in_money(self.r_gross - self.r_net)

    @property
    def worst_money(self) -> Float64:
        """Worst open result while it was held, before costs, as a non-negative number."""
        return self._in_money(self.worst_r)

    @property
    def best_money(self) -> Float64:
        """Best open result while it was held, before costs, in its currency."""
        return self._in_money(self.best_r)

    def _in_money(self, r: Float64) -> Float64:
        return r * self.risk * self.point_value * self.quantity

    def in_time_order(self) -> Trades:
        """Return the trades by entry, those of one moment by stream."""
        return self.take(np.lexsort((self.stream, self.t_entry)))


__all__ = [
    "OVERLAPS",
    "REASONS",
    "VOIDS",
    "ExitPolicy",
    "Fills",
    "Orders",
    "Outcomes",
    "Overlap",
    "SimulateFn",
    "Trades",
]
