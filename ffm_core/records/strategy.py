"""What a strategy is made of: settings, columns, decisions and the labeler that makes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ffm_core.errors import ConfigError
from ffm_core.records.forms import at_bar, exactly, refused, require_rows
from ffm_core.types import Bool, Float64, Int8, Int32, Int64
from ffm_core.wording import span_words

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

ParamValue: TypeAlias = bool | int | float | str
Params: TypeAlias = Mapping[str, ParamValue]
Memory: TypeAlias = Literal["finite", "recursive", "event"]
KNOWN_AT = "known_at"  # the column of an outside table that says when a row was published
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

    def checked(self, value: ParamValue, owner: str) -> ParamValue:
        """Return a value as the default's type; a ``ConfigError`` when it is not allowed."""
        kind = type(self.default)
        where = f"{owner}: parameter {self.name!r}"
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value)
        if kind is str:
            value = str(value)
        if type(value) is not kind:
            raise ConfigError(f"{where} is {value!r}", fix=f"give a value of type {kind.__name__}")
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"{where} is {value!r}", fix=f"choose from: {', '.join(self.choices)}"
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -math.inf if self.minimum is None else self.minimum
            high = math.inf if self.maximum is None else self.maximum
            if not (low <= value <= high) or math.isinf(value):
                raise ConfigError(f"{where} is {value!r}", fix=span_words(low, high))
        return value


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
class Input:
    """An outside table that a plug-in reads beside the bars: a daily VIX, a calendar of releases.

    The user hands it over with ``--input name=PATH``. The host opens it and serves, for
    every bar, the last row that was known at that bar's close: ``bars.inputs[name][column]``.

    Parameters
    ----------
    name : str
        What ``--input`` and ``bars.inputs`` call it.
    columns : tuple of str
        The columns that are read: numbers, or moments, which are served as microseconds
        since 1970 UTC, as ``bars.ts_us`` is.
    lag : timedelta, optional
        Time from a row's ``known_at`` until it could be read. None: ``known_at`` is the
        moment of publication, and a table stamped with the days it sums up is refused.
    max_age : timedelta, optional
        A row that has been readable for longer is served as NaN; default: never.
    description : str
        What the table holds, in one line.
    """

    name: str
    columns: tuple[str, ...]
    lag: timedelta | None = None
    max_age: timedelta | None = None
    description: str = ""


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
        if (self.risk is None) == (self.stop_price is None):
            fix = "give the distance to the stop in points, or the price of the stop"
            raise refused("", "decisions need either 'risk' or 'stop_price', not both", fix)
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            object.__setattr__(self, name, self._column(name, exactly(value, kind, name)))
        columns = {
            name: self._column(name, np.array(value, dtype=np.float64))
            for name, value in self.columns.items()
        }
        object.__setattr__(self, "columns", columns)
        self._check_rows()

    def _column(self, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return a column, read-only and of one number per decision."""
        if array.shape != (len(self),):
            problem = f"decisions.{name} has shape {array.shape}, expected ({len(self)},)"
            raise refused("", problem, "give one number per decision")
        array.setflags(write=False)
        return array

    def _check_rows(self) -> None:
        bar, side = self.bar, self.side
        fine = np.isin(side, (-1, 1))
        require_rows("side", side, fine, bar, "expected +1 or -1", "+1 is long, -1 is short")
        earlier = np.flatnonzero(np.diff(bar) < 0)
        if len(earlier):
            row = int(earlier[0]) + 1
            problem = f"decision {row} {at_bar(bar[row])} follows one {at_bar(bar[row - 1])}"
            raise refused("", f"{problem}, expected the order of bars", "sort decisions by bar")
        key, first = np.unique(2 * bar + (side > 0), return_index=True)
        if len(key) != len(bar):
            row = int(np.setdiff1d(np.arange(len(bar)), first)[0])
            problem = f"decision {row} {at_bar(bar[row])} holds side {side[row]} a second time"
            raise refused("", problem, "give each bar and side one decision at most")

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
    inputs : tuple of Input
        Outside tables that ``decide`` reads.
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
    inputs: tuple[Input, ...] = ()

    def defaults(self) -> dict[str, ParamValue]:
        """Return every parameter at its default."""
        return {p.name: p.default for p in self.params}


__all__ = ["Column", "DecideFn", "Decisions", "Input", "Labeler", "Memory", "Param", "ParamValue",
           "Params"]  # fmt: skip
