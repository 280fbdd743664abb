"""What learners see and answer, targets they may fit, and arms that change what they see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from ffm_core.types import Float32, Float64, Int8, Int16, Int64

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars


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


__all__ = [
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
]
