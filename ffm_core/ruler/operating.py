"""The operating point: a score threshold per stream, fixed on validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ffm_core.errors import ConfigError
from ffm_core.types import Bool, Float64, Int16


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Thresholds chosen on validation scores.

    A decision is taken when its score is at or above the threshold of its
    stream; a stream that validation never saw uses ``pooled``. NaN scores are
    never taken.
    """

    share: float
    thresholds: Mapping[int, float]
    pooled: float  # NaN when validation held no score: nothing is taken

    def take(self, score: Float64, stream: Int16) -> Bool:
        """Return which decisions are taken; arrays (N,)."""
        bar = np.full(len(score), self.pooled)
        for number, threshold in self.thresholds.items():
            bar[stream == number] = threshold
        with np.errstate(invalid="ignore"):
            return np.asarray(score >= bar)


def operating_point(score: Float64, stream: Int16, *, share: float = 0.5) -> OperatingPoint:
    """Choose the thresholds that take the top ``share`` of validation, per stream.

    Parameters
    ----------
    score : float64 (N,)
        Validation scores; higher is better. NaN scores are left out.
    stream : int16 (N,)
        Stream of each score.
    share : float
        Share of decisions to take, in (0, 1].

    Notes
    -----
    Equal scores are taken or left together. Of the two cuts around the wanted
    share the nearer one is used, the larger one when both are equally near, and
    never a cut that takes nothing; so a constant score takes everything.

    Raises
    ------
    ConfigError
        When ``share`` lies outside (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"take share is {share}, expected above 0 and at most 1")
    known = np.isfinite(score)
    thresholds = {
        int(number): _threshold(score[known & (stream == number)], share)
        for number in np.unique(stream[known])
    }
    return OperatingPoint(
        share=share, thresholds=thresholds, pooled=_threshold(score[known], share)
    )


def _threshold(score: Float64, share: float) -> float:
    """Return the distinct score whose upper tail is nearest to ``share``."""
    if len(score) == 0:
        return float("nan")
    values, counts = np.unique(score, return_counts=True)
    taken = np.cumsum(counts[::-1])[::-1] / len(score)  # share at or above each value
    gap = np.round(np.abs(taken - share), 12)  # ties decided on shares, not on rounding
    return float(values[int(np.argmin(gap))])
