"""The records hooks offer and the tables a verdict is made of.

All are frozen and keyword-only; arrays are read-only views. Fields may be
added with defaults; none change meaning within one ``HOOK_API``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.types import Bool, Float32, Float64, Int8, Int16, Int32, Int64

if TYPE_CHECKING:
    from ffm_core.bars.instrument import Instrument
    from ffm_core.bars.table import Bars
    from ffm_core.bars.timeframe import Timeframe

ParamValue: TypeAlias = bool | int | float | str
Params: TypeAlias = Mapping[str, ParamValue]
Memory: TypeAlias = Literal["finite", "recursive", "event"]
Claim: TypeAlias = Literal["selection", "trigger"]
Outcome: TypeAlias = Literal["pass", "fail", "inconclusive", "refused", "info", "n/a"]

# Why a trade ended, and why an outcome does not count. Codes are stored as int8.
REASONS = ("none", "stop", "stop_gap", "target", "target_gap", "timeout", "session_end",
           "trail", "data_end", "skipped")  # fmt: skip
VOIDS = ("none", "no_next_bar", "data_end", "roll", "hole", "small_risk", "stop_beyond_open",
         "tie_skipped")  # fmt: skip

# What the fields of decisions are stored as.
_KINDS: Mapping[str, type[np.generic]] = {
    "bar": np.int64, "side": np.int8, "risk": np.float64, "stop_price": np.float64,
    "target_r": np.float64, "horizon_bars": np.int32, "group": np.int64,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A setting of a labeler or exit policy, set with ``--set name=value``."""

    name: str
    default: ParamValue
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A declared column: its unit, its sign, and how much of the past it needs.

    Parameters
    ----------
    name, unit, description : str
        What it is called, in which unit it is, and what it says in one line.
    signed : bool
        True: multiplied by the trade's side in the design matrix.
    group : str
        Heading it is listed under.
    formula, source : str
        The definition, and where it is published.
    missing : str
        When the value is NaN and what stands in for a ratio without a denominator.
    warmup_bars : int, optional
        Bars before the first value; default that of the feature set.
    memory : {"finite", "recursive", "event"}, optional
        Default that of the feature set. When given, ``history_bars`` and
        ``history_days`` below hold for this column instead of the set's.
    history_bars, history_days : int, optional
        The value of a bar is reproduced from a series that holds this many bars
        (its own among them) and this many whole trading dates (its own among
        them); both None: only from the whole series.
    """

    name: str
    unit: str
    description: str = ""
    signed: bool = False
    group: str = ""
    formula: str = ""
    source: str = ""
    missing: str = ""
    warmup_bars: int | None = None
    memory: Memory | None = None
    history_bars: int | None = None
    history_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Candidate trades of one stream; ``N`` rows in order of ``bar``.

    Parameters
    ----------
    bar : int64 (N,)
        Index of the last bar that was known. Entry is the next bar's open.
    side : int8 (N,)
        +1 long, -1 short; the pair (bar, side) is unique.
    risk : float64 (N,), optional
        Distance from entry to stop in points. Give this **or** ``stop_price``.
    stop_price : float64 (N,), optional
        Stop in points, below a long entry and above a short one.
    target_r : float64 (N,), optional
        Static target as a multiple of risk; default from the exit policy.
    horizon_bars : int32 (N,), optional
        Bars a trade may last, counting the entry bar; default from the labeler.
    group : int64 (N,), optional
        Rows that exclude one another.
    columns : mapping of str to float64 (N,)
        The labeler's declared columns.
    """

    bar: Int64
    side: Int8
    risk: Float64 | None = None
    stop_price: Float64 | None = None
    target_r: Float64 | None = None
    horizon_bars: Int32 | None = None
    group: Int64 | None = None
    columns: Mapping[str, Float64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.bar)
        if (self.risk is None) == (self.stop_price is None):
            raise StrategyError("decisions need either 'risk' or 'stop_price', not both")
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = _exactly(value, kind, name)
            if array.shape != (n,):
                raise StrategyError(f"decisions.{name} has shape {array.shape}, expected ({n},)")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        columns = {}
        for name, value in self.columns.items():
            array = np.array(value, dtype=np.float64)
            if array.shape != (n,):
                raise StrategyError(f"column {name!r} has shape {array.shape}, expected ({n},)")
            array.setflags(write=False)
            columns[name] = array
        object.__setattr__(self, "columns", columns)
        self._check_rows()

    def _check_rows(self) -> None:
        if len(self) == 0:
            return
        if not np.isin(self.side, (-1, 1)).all():
            raise StrategyError("decisions.side must be +1 or -1")
        key = self.bar * 2 + (self.side > 0)
        if (np.diff(self.bar) < 0).any():
            raise StrategyError("decisions must be in order of bar")
        if len(np.unique(key)) != len(key):
            raise StrategyError("decisions hold the same (bar, side) twice")

    def __len__(self) -> int:
        return len(self.bar)

    def take(self, rows: Int64 | Bool) -> Decisions:
        """Return the chosen rows, in their order."""
        return Decisions(
            bar=self.bar[rows],
            side=self.side[rows],
            risk=None if self.risk is None else self.risk[rows],
            stop_price=None if self.stop_price is None else self.stop_price[rows],
            target_r=None if self.target_r is None else self.target_r[rows],
            horizon_bars=None if self.horizon_bars is None else self.horizon_bars[rows],
            group=None if self.group is None else self.group[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )


def _exactly(value: Any, kind: type[np.generic], name: str) -> np.ndarray[Any, Any]:
    """Return a copy as ``kind``; 2.7 is no bar, and 257 must not become side 1."""
    given = np.asarray(value)
    with np.errstate(invalid="ignore"):
        array = np.array(given, dtype=kind)
    if given.dtype != array.dtype:
        lost = np.flatnonzero((array != given) & (array == array))  # NaN may stay NaN
        if len(lost):
            raise StrategyError(
                f"decisions.{name}[{lost[0]}] is {given.flat[lost[0]]}, which is no {array.dtype}",
                fix=f"give numbers that {array.dtype} can hold exactly",
            )
    return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of each decision under one exit policy; all arrays (N,).

    ``r_gross`` and ``r_net`` are multiples of ``risk``; ``t_end`` and
    ``t_end_max`` are microseconds UTC at which the outcome, or the latest
    outcome any policy of the run could still produce, is known (bar close).
    ``peak_r`` is the best excursion ignoring the target (the risk head's label).
    Void rows keep NaN in the R columns.
    """

    entry_bar: Int64
    entry_price: Float64
    risk: Float64  # points
    target_r: Float64
    exit_bar: Int64
    exit_price: Float64
    r_gross: Float64
    r_net: Float64
    cost_points: Float64  # commission and fees of a round trip, points, no slippage
    tick_size: float
    slippage_ticks: float
    peak_r: Float64
    mfe_r: Float64
    mae_r: Float64
    t_end: Int64
    t_end_max: Int64
    reason: Int8  # index into REASONS
    void_reason: Int8  # index into VOIDS

    def __len__(self) -> int:
        return len(self.entry_bar)

    @property
    def valid(self) -> Bool:
        """Rows that may be trained on and traded."""
        return np.asarray(self.void_reason == 0)

    @property
    def label(self) -> Int8:
        """1 where net R is positive, else 0; meaningless where void."""
        return (np.nan_to_num(self.r_net, nan=-1.0) > 0).astype(np.int8)

    def net_at(self, slippage_ticks: float) -> Float64:
        """Net R with another slippage per side, in ticks, from the same outcomes."""
        points = self.cost_points + 2.0 * slippage_ticks * self.tick_size
        return self.r_gross - points / self.risk


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


DecideFn: TypeAlias = "Callable[[Bars, Params], Decisions]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Finds candidate trades in bars.

    Parameters
    ----------
    decide : callable
        ``(bars, params) -> Decisions``. Row ``i`` may read bars up to and
        including ``bar[i]`` and no further.
    horizon_bars : int
        Longest life of a trade, counting the entry bar.
    warmup_bars : int
        Bars before the first decision may be trusted.
    history_bars : int, optional
        Bars before a decision that suffice to reproduce it; None means all.
    exit_name : str
        Static exit policy of the labels, by name.
    private : bool
        Columns, parameters and paths are redacted in every artefact.
    """

    name: str
    decide: DecideFn
    horizon_bars: int
    warmup_bars: int
    history_bars: int | None = None
    memory: Memory = "recursive"
    exit_name: str = "fixed_rr"
    params: tuple[Param, ...] = ()
    columns: tuple[Column, ...] = ()
    private: bool = False
    summary: str = ""

    def defaults(self) -> dict[str, ParamValue]:
        """Return every parameter at its default."""
        return {p.name: p.default for p in self.params}


class FeatureStream(Protocol):
    """Features bar by bar; bit for bit what ``FeatureSet.batch`` gives."""

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Take the next closed bar; return its row, float32 (F,), a new array.

        ``ts_us`` is the bar's open in microseconds UTC, prices are in points.
        """
        ...

    def snapshot(self) -> bytes:
        """Return the whole state; :meth:`restore` in another process continues from it."""
        ...

    def restore(self, state: bytes) -> None:
        """Go back to a snapshot of the same feature set, instrument and timeframe."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Causal columns of bars.

    Parameters
    ----------
    batch : callable
        ``bars -> float32 (T, F)``; row ``t`` uses bars up to and including
        ``t``; NaN during warm-up, never infinite.
    history_bars, history_days : int, optional
        Bars and whole trading dates, the row's own among them, that suffice to
        reproduce a row; both None means all. A column may declare its own.
    stream : callable, optional
        ``(instrument, timeframe) -> FeatureStream`` with the same values bar by
        bar. Without it a set is streamed by calling ``batch`` on its history.
    version : str
        Raised when a formula changes; part of every cache key.
    fit_cutoff : str, optional
        ISO date of the newest bar its numbers were fitted to; "" where nothing is
        fitted, None when nobody knows.
    """

    name: str
    columns: tuple[Column, ...]
    batch: Callable[[Bars], Float32]
    warmup_bars: int
    history_bars: int | None
    memory: Memory = "finite"
    summary: str = ""
    history_days: int | None = None
    stream: Callable[[Instrument, Timeframe], FeatureStream] | None = None
    version: str = "1"
    fit_cutoff: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A frozen model that turns the last bars into a vector.

    Parameters
    ----------
    context_bars : int
        Bars of a window; the last one is the decision bar.
    columns : tuple of Column
        One per number of the vector, in order, without the host's extras.
    identity : str
        SHA-256, 64 hex digits, of the weights and the recipe (context, centring,
        pooling, backend). Equal identities give equal vectors; part of every cache key.
    embed : callable
        ``windows -> vectors``: float32 (N, context_bars) of instance-normalised log
        closes, mean 0 and standard deviation 1 a row, all finite, to finite float32
        (N, len(columns)). A row depends on its window alone.
    extras : tuple of str
        What the host appends to every vector from the same window before it was
        normalised: ``return_shape`` (7 columns) and ``log_scale`` (1 column).
    fit_cutoff : str, optional
        ISO date of the newest bar the weights were fitted to; "" when no bar of any
        market was seen; None when nobody knows, and then ``released`` counts.
    released : str
        ISO date on which the weights were published, "" for those made here.
    private : bool
        Names and paths are redacted in every artefact.
    """

    name: str
    context_bars: int
    columns: tuple[Column, ...]
    identity: str
    embed: Callable[[Float32], Float32]
    extras: tuple[str, ...] = ()
    fit_cutoff: str | None = None
    released: str = ""
    backend: str = ""
    source: str = ""
    summary: str = ""
    private: bool = False

    @property
    def dim(self) -> int:
        """Numbers in a vector, without the host's extras."""
        return len(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetValues:
    """What a target says of every bar; arrays (T,).

    ``value`` is NaN where it is undefined; a class target gives class numbers,
    and ``MASKED`` where a row may be used but carries no loss. ``end_bar`` is
    the last bar the value looked at, -1 where it is undefined.
    """

    value: Float32
    end_bar: Int64

    MASKED: ClassVar[float] = -100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something about the future of a bar that a head may learn; never a feature.

    Parameters
    ----------
    compute : callable
        ``bars -> TargetValues``; the value of bar ``t`` reads bars up to
        ``end_bar[t] <= t + horizon_bars`` and no further.
    horizon_bars : int
        Most bars after ``t`` that a value may read.
    """

    name: str
    kind: Literal["regression", "binary", "classes"]
    compute: Callable[[Bars], TargetValues]
    horizon_bars: int
    warmup_bars: int = 0
    classes: tuple[str, ...] = ()
    group: str = ""
    formula: str = ""
    source: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Design matrix ``x`` float32 (N, F) with names ``<set>/<column>``."""

    x: Float32
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Int64) -> Design:
        """Return the chosen rows."""
        return Design(x=self.x[rows], names=self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Rows a learner may see, in time order; labels only where it may see them.

    ``label``, ``r_net`` and ``peak_r`` come from the static policy and are empty
    arrays in the view that asks for a plan.
    """

    design: Design
    side: Int8
    stream: Int16
    t_us: Int64  # decision time: close of ``bar``
    t_end: Int64  # when the label was known, for purging inside train; empty in a plan's view
    label: Int8
    r_net: Float64
    peak_r: Float64

    def __len__(self) -> int:
        return len(self.design)

    def with_label(self, label: Int8) -> View:
        """Return the same rows with other labels (used by the SHUFFLE arms)."""
        return replace(self, label=label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model's answer per row: rank score, calibrated probability, target."""

    score: Float64  # higher is better; only its order is used
    probability: Float64 | None = None  # calibrated P(r_net > 0)
    predicted_r: Float64 | None = None  # predicted peak excursion, R


@runtime_checkable
class Model(Protocol):
    """A fitted learner."""

    def plan(self, view: View) -> Plan:
        """Score the rows of ``view``; uses no label."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Fits models on training rows; deterministic for a seed and any thread count."""

    @property
    def name(self) -> str:
        """What the user types after ``--learner``."""
        ...

    @property
    def summary(self) -> str:
        """One line for lists and reports."""
        ...

    def prepare(self, train: View) -> object:
        """Build what all arms and seeds of a fold share (for example quantised bins)."""
        ...

    def fit(self, handle: object, train: View, validation: View, *, seed: int,
            signal_only: bool = False) -> Model:  # fmt: skip
        """Fit on ``train``; ``validation`` serves calibration only."""
        ...


@runtime_checkable
class TargetHead(Protocol):
    """A fitted model of one target."""

    def predict(self, x: Float32) -> Float64:
        """Return a value, or P(class 1), for every row of float32 (N, F); shape (N,).

        A row depends on its own columns alone; NaN is a missing column.
        """
        ...

    def to_bytes(self) -> bytes:
        """Return the model in a form that holds no code; ``load_target`` reads it back."""
        ...


@runtime_checkable
class TargetLearner(Protocol):
    """A learner that also fits targets; what context heads are made of."""

    @property
    def name(self) -> str:
        """What the user types after ``--learner``."""
        ...

    def fit_target(self, x: Float32, y: Float64, *, kind: Literal["regression", "binary"],
                   x_validation: Float32 | None = None, y_validation: Float64 | None = None,
                   weight: Float64 | None = None, seed: int = 0,
                   rounds: int | None = None) -> TargetHead:  # fmt: skip
        """Fit float32 (N, F) to float64 (N,); the same bytes for any number of threads.

        With validation rows the size of the model comes from them; ``rounds`` bounds it.
        """
        ...

    def load_target(self, data: bytes) -> TargetHead:
        """Read back what :meth:`TargetHead.to_bytes` gave."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An extra arm: what it changes in the labels or the design of a fold."""

    name: str
    change: Callable[[View, np.random.Generator], View]
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One proof of look-ahead or impurity."""

    subject: str
    check: str  # the detector: purity, prefix, mutation, history, stream, horizon, …
    column: str
    bar: int
    stamp: str
    first_future_bar: int | None
    message: str
    fix: str = ""
    line: str = ""  # "file.py:42: source", where it could be found out


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the falsifier did and found, over all subjects of a run.

    Parameters
    ----------
    cuts, rows_compared : int
        Cuts made, and rows compared before them.
    detection_bound : float
        Smallest share of bars at which a leak would have shown with 99 %
        probability; 0 when every bar was proven.
    sampled : mapping of str to int
        Cuts by what they lie at (``decision``, ``session``, ``roll``, ``clock``,
        ``1h``, ``4h``, ``1d``, ``random``); one cut may count under several.
    proven_bars : int
        Bars at which a stream and its batch agreed, over all subjects.
    """

    status: Literal["clean", "broken"]
    subjects: tuple[str, ...]
    cuts: int
    rows_compared: int
    detection_bound: float
    failures: tuple[Failure, ...] = ()
    sampled: Mapping[str, int] = field(default_factory=dict)
    proven_bars: int = 0

    @property
    def sentence(self) -> str:
        """What was tried, and the smallest leak that would have shown, in one sentence."""
        places = ", ".join(f"{count:,} {name}" for name, count in self.sampled.items() if count)
        tried = f"{self.cuts:,} cuts" + (f" ({places})" if places else "")
        if self.proven_bars:
            tried += f" and a streaming pass over {self.proven_bars:,} bars"
        if self.detection_bound == 0.0:
            return f"{tried}; every bar was proven"
        return (
            f"{tried}; a leak on {self.detection_bound:.2%} of the bars or more would have "
            "shown with 99 % probability"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """What the ledger knew when this trial was first opened (frozen)."""

    n_trials: int
    sharpe_variance: float  # variance of per-day Sharpe over the lineage's trials
    effective_n: float
    ledger_since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a verdict check may look at; tables, not where they came from."""

    claim: Claim
    certificate: Certificate
    days: Int32  # (D,) every trading day of the test folds, empty ones too
    n_test_months: int
    trades: Mapping[str, Trades]  # REAL, NAIVE, ENTRY, extra controls
    take_rate: float
    random_means: Float64  # mean R per RANDOM draw
    shuffle: Mapping[str, ShuffleResult]  # "full", "block"; empty without a learner
    validation_mean_r: float  # REAL's rows at its operating point on validation, NaN if none
    validation_trades: Trades | None
    trial: TrialContext
    streams: tuple[str, ...]
    currencies: tuple[str, ...]
    month_days: Int32  # (D,) month number (12·year + month − 1) of each day
    settings: Mapping[str, float]  # the constants of the check set
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleResult:
    """One permutation test: REAL of one seed against the permuted refits."""

    real: float
    draws: Float64  # mean R per permutation actually run, in index order
    planned: int
    stopped: bool  # p ≤ threshold became unreachable; p_value is then a lower bound


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of the verdict."""

    name: str
    outcome: Outcome
    value: float | None = None
    interval: tuple[float, float] | None = None
    threshold: float | None = None
    effect: float | None = None  # asked for, in the unit of value
    power: float | None = None
    minimum_detectable: float | None = None
    months_needed: float | None = None
    gates: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCheck:
    """A pre-registered check; from a plug-in it can only tighten."""

    name: str
    judge: Callable[[Evidence], CheckResult]
    claims: tuple[Claim, ...] = ("selection", "trigger")
    constants: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, with its reasons in plain words."""

    decision: Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]
    reasons: tuple[str, ...]
    qualifier: str = ""
    checks: tuple[CheckResult, ...] = ()
