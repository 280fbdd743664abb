"""What a strategy is made of: settings, columns, decisions and the labeler that makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.types import Bool, Float64, Int8, Int32, Int64

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

ParamValue: TypeAlias = bool | int | float | str
Params: TypeAlias = Mapping[str, ParamValue]
Memory: TypeAlias = Literal["finite", "recursive", "event"]
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
    exit_params : tuple of str
        Parameters of the labeler that are the exit policy's as well.
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
    exit_params: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    columns: tuple[Column, ...] = ()
    private: bool = False
    summary: str = ""

    def defaults(self) -> dict[str, ParamValue]:
        """Return every parameter at its default."""
        return {p.name: p.default for p in self.params}


__all__ = ["Column", "DecideFn", "Decisions", "Labeler", "Memory", "Param", "ParamValue", "Params"]
