"""What becomes of decisions: orders, fills, outcomes, and the trades of an arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ffm_core.records.strategy import Param, Params
from ffm_core.records.tables import ArrayTable
from ffm_core.types import Bool, Float64, Int8, Int16, Int32, Int64

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

# Why a trade ended, and why an outcome does not count. Codes are stored as int8.
REASONS = ("none", "stop", "stop_gap", "target", "target_gap", "timeout", "session_end",
           "trail", "data_end", "skipped", "ordered")  # fmt: skip
VOIDS = ("none", "no_next_bar", "data_end", "roll", "hole", "small_risk", "stop_beyond_open",
         "tie_skipped")  # fmt: skip


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
    """Trades of one arm in time order; all arrays (n,).

    ``weight`` is 1 except for arms that average draws. ``row`` indexes the
    pooled decision table (-1 where a trade has no decision).
    """

    row: Int64
    day: Int32  # trading date of the decision, days since 1970
    stream: Int16
    side: Int8
    t_entry: Int64  # microseconds UTC
    t_exit: Int64
    r_net: Float64
    r_gross: Float64
    worst_r: Float64  # mae, as a non-negative number
    best_r: Float64  # mfe
    money: Float64  # net, one contract, in the instrument's currency
    weight: Float64

    def __len__(self) -> int:
        return len(self.day)


__all__ = ["REASONS", "VOIDS", "ExitPolicy", "Fills", "Orders", "Outcomes", "SimulateFn", "Trades"]
