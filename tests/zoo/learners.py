"""Learners that look at the rows they are tested on, or at earlier folds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ffm_core.container import pack, unpack
from ffm_core.records import Answer, Plan, View
from ffm_core.types import Float64
from zoo.fault import Fault

_KEPT: list[Float64] = []
Scoring = Callable[[Float64, Float64], Float64]


@dataclass(frozen=True, slots=True)
class Direction:
    """A fitted direction: rows are scored by how far they lie along it."""

    weights: Float64
    scoring: Scoring

    def plan(self, view: View) -> Plan:
        """Score the rows of ``view``."""
        x = np.nan_to_num(view.design.x.astype(np.float64))
        return Plan(score=self.scoring(x, self.weights))

    def to_bytes(self) -> bytes:
        """Return the weights."""
        return pack("zoo-direction/1", self.weights.tolist())


@dataclass(frozen=True, slots=True)
class DirectionLearner:
    """The direction from the mean of losers to the mean of winners."""

    name: str
    summary: str
    scoring: Scoring
    fitting: Callable[[Float64], Float64]
    does: Literal["selects"] = "selects"
    reads_bars: bool = False

    def prepare(self, train: View) -> object:
        """Return the rows without gaps."""
        return np.nan_to_num(train.design.x.astype(np.float64))

    def fit(
        self, handle: object, train: View, validation: View, *, seed: int,
        answers: Collection[Answer],
    ) -> Direction:  # fmt: skip
        """Fit on ``train``."""
        x = np.asarray(handle, dtype=np.float64)
        won = train.known.label == 1
        up = x[won].mean(axis=0) if won.any() else np.zeros(x.shape[1])
        down = x[~won].mean(axis=0) if (~won).any() else np.zeros(x.shape[1])
        return Direction(self.fitting(up - down), self.scoring)

    def load(self, data: bytes) -> Direction:
        """Read the weights back."""
        return Direction(np.array(unpack(data, "zoo-direction/1")[0]), self.scoring)


def along(x: Float64, weights: Float64) -> Float64:
    """Return how far each row lies along the direction."""
    return np.asarray((x * weights).sum(axis=1))


def as_fitted(weights: Float64) -> Float64:
    """Return the direction as it was fitted."""
    return weights


def rank_in_view(x: Float64, weights: Float64) -> Float64:
    """Return 1 for the better half of the rows that are asked for."""
    score = along(x, weights)
    return (score > np.median(score)).astype(np.float64)  # fault: test-threshold


def scaled_by_view(x: Float64, weights: Float64) -> Float64:
    """Scale by the rows that are asked for."""
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)  # fault: test-scaler
    return along(scaled, weights)


def with_next_row(x: Float64, weights: Float64) -> Float64:
    """Add the score of the row that follows."""
    score = along(x, weights)
    return score + 0.5 * np.append(score[1:], 0.0)  # fault: next-row


def with_noise(x: Float64, weights: Float64) -> Float64:
    """Break ties by chance."""
    noise = np.random.default_rng().normal(size=len(x))  # fault: learner-unseeded
    return along(x, weights) + noise


def with_earlier_folds(weights: Float64) -> Float64:
    """Average with the directions of all fits so far."""
    _KEPT.append(weights)  # fault: learner-state
    kept = [known for known in _KEPT if len(known) == len(weights)]  # fault: learner-state
    return np.asarray(np.mean(kept, axis=0))


def _fault(
    name: str,
    summary: str,
    *,
    scoring: Scoring = along,
    fitting: Callable[[Float64], Float64] = as_fitted,
    forget: Callable[[], None] | None = None,
) -> Fault:
    record = DirectionLearner(name, summary, scoring, fitting)
    return Fault(
        name=name, kind="learner", summary=summary, record=record, source=__file__, forget=forget
    )


FAULTS = (
    _fault("test-threshold", "a threshold read on the test rows", scoring=rank_in_view),
    _fault("test-scaler", "a scaler fitted on the test rows", scoring=scaled_by_view),
    _fault("next-row", "the score of the next row", scoring=with_next_row),
    _fault("learner-unseeded", "ties broken without a seed", scoring=with_noise),
    _fault("learner-state", "directions kept from fold to fold", fitting=with_earlier_folds,
           forget=_KEPT.clear),
)  # fmt: skip
