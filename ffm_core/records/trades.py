"""What becomes of decisions: exit policies, outcomes, and the trades of an arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from ffm_core.records.forms import refused, require_unique
from ffm_core.records.strategy import Column, Param, Params
from ffm_core.records.tables import ArrayTable
from ffm_core.types import Bool, Float64, Int8, Int16, Int32, Int64, Text

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

# Why a trade ended, and why an outcome does not count. Codes are stored as int8.
REASONS = ("none", "stop", "stop_gap", "target", "target_gap", "timeout", "session_end",
           "trail", "data_end", "skipped", "ordered")  # fmt: skip
VOIDS = ("none", "no_next_bar", "data_end", "roll", "hole", "small_risk", "stop_beyond_open",
         "tie_skipped", "no_volume", "contract_unknown")  # fmt: skip
DATA_VOIDS = ("hole", "no_volume", "contract_unknown")  # the data's fault, not the decision's
# What each reason says of a decision, and what to do when it says so of many.
VOID_WORDS = {
    "no_next_bar": ("have no next bar", "bring a longer span of data"),
    "data_end": ("are open when the data end", "bring a longer span, or shorten the horizon"),
    "roll": ("cross a roll", "shorten the horizon, or leave before contracts change"),
    "hole": ("cross a hole in the data", "bring data without holes"),
    "small_risk": ("risk less than 4 ticks", "place stops farther from the entry"),
    "stop_beyond_open": ("open beyond their stop", "place stops behind the next bar's open"),
    "no_volume": ("enter or leave on a bar without volume", "bring a contract that is traded"),
    "contract_unknown": ("hold a contract without a name", "fill the contract column"),
    "tie_skipped": ("touch stop and target in one bar", "use the tie policy stop_first"),
}


def voids_told(codes: Int8) -> tuple[str, str]:
    """Return why decisions are void, most of them first, and what mends the most; else empty.

    Parameters
    ----------
    codes : int8 (n,)
        Indices into ``VOIDS``.
    """
    counts = np.bincount(codes[codes > 0], minlength=len(VOIDS))
    found = [int(code) for code in np.argsort(-counts, kind="stable") if counts[code]]
    told = ", ".join(f"{counts[code]:,} {VOID_WORDS[VOIDS[code]][0]}" for code in found)
    return told, VOID_WORDS[VOIDS[found[0]]][1] if found else ""


# When a trade may block the next one: never, on its own stream, or on every stream.
Overlap: TypeAlias = Literal["each", "one_per_stream", "one_at_a_time"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
# Columns that the host itself turns into orders: levels in points, and whether to leave.
ENTRY_LEVELS = ("stop_long", "stop_short", "target_long", "target_short")
LEVELS = (*ENTRY_LEVELS, "leave_long", "leave_short")

TargetFn: TypeAlias = Callable[[Float64, Params], Float64]
BatchFn: TypeAlias = "Callable[[Bars, Params], Float64]"
StepFn: TypeAlias = Callable[..., tuple[float, float, bool]]
StartFn: TypeAlias = Callable[[Params], tuple[Float64, Int64, Float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPolicy:
    """How a trade ends: a policy gives orders, the one step fills them.

    Parameters
    ----------
    name : str
        What ``--exit`` takes.
    kind : {"static", "predicted", "managed"}
        ``static``: everything is known at the decision. ``predicted``: the target comes
        from the risk head. ``managed``: orders follow the trade bar by bar.
    params : tuple of Param
        Settings. Three names mean the same in every policy that declares them: ``rr``
        (target at entry, R), ``tie`` and ``target_gap`` (how a bar is filled).
    summary : str
        One line for lists.
    target_of : callable, optional
        ``(predicted_r (N,), params) -> target_r (N,)``, row by row, at least 1 R.
    columns : tuple of Column
        What ``batch`` returns. Without a ``step`` they are levels and exit flags by the
        names of ``LEVELS``, and the host turns them into orders: a ``managed`` policy's at
        every bar, the others' (levels alone) at the decision bar.
    batch : callable, optional
        ``(bars, params) -> float64 (T, K)``; row ``t`` is known at the close of bar
        ``t`` and holds from the next open. NaN: no order.
    step : callable, optional
        ``(trade, bar, row, f, i, k) -> (stop, target, leave)`` of a ``managed`` policy,
        compiled by the host and called at the close of every bar of an open trade, the
        entry bar first. ``trade`` is ``(side, entry, risk, atr, age)``, ``bar`` is ``(open,
        high, low, close, volume)``, ``row`` the policy's own columns there, float64 (K,);
        ``f`` float64 and ``i`` int64 are the trade's own state, ``k`` float64 constants.
        What it returns holds from the next open; NaN leaves a level as it is.
    start : callable, optional
        ``(params) -> (f, i, k)``: the state every trade begins with, and the constants.
    warmup_bars : int
        Bars before ``batch`` has values.
    history_bars : int, optional
        Bars, its own among them, from which a row of ``batch`` is reproduced exactly;
        None: only from the whole series.
    flat_at_session_end : bool
        Close with the scheduled end of the session whatever the run says.
    needs_atr : bool
        Refuse decisions at which the ATR is not known yet.

    Raises
    ------
    StrategyError
        When the parts do not fit together.

    Notes
    -----
    A stop never loosens. The stop at entry is the decision's, and the distance to it is
    the R of the trade. A target ordered later replaces the one before.
    """

    name: str
    kind: Literal["static", "predicted", "managed"]
    params: tuple[Param, ...] = ()
    summary: str = ""
    target_of: TargetFn | None = None
    columns: tuple[Column, ...] = ()
    batch: BatchFn | None = None
    step: StepFn | None = None
    start: StartFn | None = None
    warmup_bars: int = 0
    history_bars: int | None = None
    flat_at_session_end: bool = False
    needs_atr: bool = False
    simulate: InitVar[object] = None  # was its own fill function; says so when it is given

    def __post_init__(self, simulate: object) -> None:
        problem, fix = _unfit(self, given_fills=simulate is not None)
        who = f"exit policy {self.name!r}"
        if problem:
            raise refused(who, problem, fix)
        require_unique(who, "column", [column.name for column in self.columns])

    def declares(self, name: str) -> bool:
        """Whether the policy has a setting of this name."""
        return any(param.name == name for param in self.params)


def _unfit(policy: ExitPolicy, *, given_fills: bool) -> tuple[str, str]:
    """Return what is wrong with the parts of a policy, and what to do; empty when sound."""
    names = [column.name for column in policy.columns]
    allowed = LEVELS if policy.kind == "managed" else ENTRY_LEVELS
    strange = [] if policy.step is not None else [name for name in names if name not in allowed]
    faults = (
        (
            given_fills,
            "fills its own trades with 'simulate'; policies give orders now",
            (
                "give the target at entry, columns of levels, or a step; "
                "see docs/how-to/write-an-exit-policy.md"
            ),
        ),
        (
            policy.kind not in ("static", "predicted", "managed"),
            f"is of kind {policy.kind!r}",
            "use 'static', 'predicted' or 'managed'",
        ),
        (
            (policy.kind == "predicted") != (policy.target_of is not None),
            "is 'predicted' without 'target_of', or has one and is not",
            "a predicted policy, and no other, turns predictions into targets with 'target_of'",
        ),
        (
            policy.step is not None and policy.kind != "managed",
            f"has a step and is {policy.kind!r}",
            "kind='managed' follows a trade bar by bar",
        ),
        (
            policy.kind == "managed" and policy.step is None and policy.batch is None,
            "is managed and gives no orders",
            "give it columns with a batch, or a step",
        ),
        (
            bool(names) != (policy.batch is not None),
            "declares columns without a batch, or has a batch without columns",
            "declare in 'columns' what 'batch' returns, in its order",
        ),
        (
            policy.start is not None and policy.step is None,
            "has a start without a step",
            "'start' is the state of a step; leave it out",
        ),
        (
            bool(strange),
            f"has a column {strange[0] if strange else ''!r} that orders nothing",
            f"without a step, columns are called {', '.join(allowed)}",
        ),
    )
    return next(((problem, fix) for wrong, problem, fix in faults if wrong), ("", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes(ArrayTable):
    """What became of each decision under one exit policy; all arrays (N,).

    ``r_gross`` and ``r_net`` are multiples of ``risk``; times are microseconds UTC.
    ``t_exit`` is when the trade was left; ``t_end`` and ``t_end_max`` are when the
    outcome, or the latest outcome any policy of the run could still produce, is known
    (bar close). ``peak_r`` is the best excursion ignoring the target (the risk head's
    label). Void rows keep NaN in the R columns. Rows of several streams may stand in one
    table; bars count within a row's own stream.

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
    cost_points: Float64  # commission and fees of this round trip, points, no slippage
    tick_size: Float64
    slippage_ticks: Float64  # per side
    peak_r: Float64
    mfe_r: Float64
    mae_r: Float64
    t_entry: Int64  # open of the entry bar, or of the bar that would have been it
    t_exit: Int64  # of the fill: the bar's open where it filled there, else its close
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
    "DATA_VOIDS",
    "ENTRY_LEVELS",
    "LEVELS",
    "OVERLAPS",
    "REASONS",
    "VOIDS",
    "VOID_WORDS",
    "ExitPolicy",
    "Outcomes",
    "Overlap",
    "Trades",
    "voids_told",
]
