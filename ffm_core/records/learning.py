"""What learners see and answer, targets they may fit, and arms that change what they see."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Literal,
    Protocol,
    TypeAlias,
    get_args,
    runtime_checkable,
)

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.records.trades import Outcomes
from ffm_core.types import Bool, Float32, Float64, Int8, Int16, Int64

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

Answer: TypeAlias = Literal["score", "probability", "predicted_r"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)  # the fields of a plan


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

    def take(self, rows: Int64 | Bool) -> Design:
        """Return the chosen rows."""
        return Design(x=self.x[rows], names=self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Decisions a learner may see, in time order; arrays (N,).

    Parameters
    ----------
    design : Design
        What is known of each decision.
    stream : int16 (N,)
        Stream of each decision, from 0.
    bar : int64 (N,)
        Last bar that was known, in the row's stream.
    side : int8 (N,)
        +1 long, -1 short.
    group : int64 (N,)
        Rows of one number exclude one another; -1 where nothing is excluded.
    t_us : int64 (N,)
        Time of the decision, microseconds UTC: close of ``bar``.
    outcomes : Outcomes, optional
        What became of the rows under the static policy; None where it is kept back, as
        in every view that asks for a plan.
    bars : tuple of Bars, optional
        By stream, up to the last decision of the view and no further; given to learners
        that read bars.
    """

    design: Design
    stream: Int16
    bar: Int64
    side: Int8
    group: Int64
    t_us: Int64
    outcomes: Outcomes | None = None
    bars: tuple[Bars, ...] | None = None

    def __len__(self) -> int:
        return len(self.design)

    @property
    def known(self) -> Outcomes:
        """What became of the rows; a StrategyError where the view keeps it back."""
        if self.outcomes is None:
            raise StrategyError(
                "a learner asks for outcomes where they are kept back",
                fix="read outcomes in prepare() and fit(); plan() answers without them",
            )
        return self.outcomes

    def take(self, rows: Int64 | Bool) -> View:
        """Return the chosen rows, with no bar after the last of them."""
        bar, stream = self.bar[rows], self.stream[rows]
        return View(
            design=self.design.take(rows),
            stream=stream,
            bar=bar,
            side=self.side[rows],
            group=self.group[rows],
            t_us=self.t_us[rows],
            outcomes=None if self.outcomes is None else self.outcomes.take(rows),
            bars=None if self.bars is None else closed_bars(self.bars, stream, bar),
        )

    def blind(self) -> View:
        """Return the same rows without outcomes."""
        return replace(self, outcomes=None)

    def exchanged(self, rows: Int64) -> View:
        """Return the view with the outcomes of other rows of it, as the SHUFFLE arms do.

        When each outcome was known stays as it was, so that purging inside a fit does.
        """
        known = self.known
        swapped = replace(known.take(rows), t_end=known.t_end, t_end_max=known.t_end_max)
        return replace(self, outcomes=swapped)

    def history(self, row: int) -> Bars:
        """Return the bars of a row's stream up to and including its decision bar.

        Raises
        ------
        StrategyError
            When the learner does not declare that it reads bars.
        """
        if self.bars is None:
            raise StrategyError(
                "a learner asks for bars without saying that it reads them",
                fix="state reads_bars = True on the learner",
            )
        own: Bars = self.bars[int(self.stream[row])]
        return own[: int(self.bar[row]) + 1]


def closed_bars(bars: tuple[Bars, ...], stream: Int16, bar: Int64) -> tuple[Bars, ...]:
    """Return the bars of each stream up to the last decision on it; none without one."""
    last = [bar[stream == number] for number in range(len(bars))]
    return tuple(
        own[: int(at.max()) + 1] if len(at) else own[:0] for own, at in zip(bars, last, strict=True)
    )


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
        """Answer the rows of ``view``, each from itself and what lies before it."""
        ...

    def to_bytes(self) -> bytes:
        """Return the model in a form that holds no code; ``Learner.load`` reads it back."""
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

    @property
    def does(self) -> Literal["selects", "manages"]:
        """Whether its models choose among decisions, or manage the trades as well."""
        ...

    @property
    def reads_bars(self) -> bool:
        """Whether its views carry bars; without them folds cross to workers faster."""
        ...

    def prepare(self, train: View) -> object:
        """Build what all arms and seeds of a fold share (for example quantised bins)."""
        ...

    def fit(self, handle: object, train: View, validation: View, *, seed: int,
            answers: Collection[Answer]) -> Model:  # fmt: skip
        """Fit on ``train``; ``validation`` serves calibration only.

        ``answers`` names the fields of a plan that will be read; others may be left out.
        """
        ...

    def load(self, data: bytes) -> Model:
        """Read back what :meth:`Model.to_bytes` gave; it answers the same bits."""
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


__all__ = [
    "ANSWERS",
    "Answer",
    "Control",
    "Design",
    "Learner",
    "Model",
    "Plan",
    "Target",
    "TargetHead",
    "TargetLearner",
    "TargetValues",
    "View",
    "closed_bars",
]
