"""Turning what a head says into numbers that mean what they say.

A map is fitted on a later slice than the head itself. Probabilities go through a line on
their log-odds (Platt) or, with rows enough, a staircase (isotonic), whichever does better
on the later half of the slice; values go through a line, and get a band that held the
middle 80 % of what followed similar values.

Sources: Platt (1999), Probabilistic Outputs for Support Vector Machines; Zadrozny and
Elkan (2002), Transforming Classifier Scores into Accurate Multiclass Probability Estimates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ffm_core.statistics import logistic_line, ols_line
from ffm_core.types import Float64

BAND_SHARE = 0.8
_BAND_BINS = 5
_CLIP = 1e-6
_MIN_STAIRS = 1_000  # rows below which a staircase fits noise
_MIN_ROWS = 50  # below this a map is the base rate or the identity, not a fit


def logit(p: Float64) -> Float64:
    """Return log-odds of probabilities, cut off at 1e-6."""
    inside = np.clip(p, _CLIP, 1.0 - _CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def log_loss(p: Float64, y: Float64) -> float:
    """Return the mean negative log-likelihood of labels 0 and 1."""
    inside = np.clip(p, _CLIP, 1.0 - _CLIP)
    return -float(np.mean(y * np.log(inside) + (1.0 - y) * np.log1p(-inside)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A monotone map from what a head says to what it means.

    Parameters
    ----------
    kind : {"platt", "isotonic", "line"}
        ``platt``: σ(intercept + slope · logit p); ``isotonic``: straight between the
        points ``x``, ``y``; ``line``: intercept + slope · value.
    """

    kind: Literal["platt", "isotonic", "line"]
    slope: float = 1.0
    intercept: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def apply(self, said: Float64) -> Float64:
        """Return the mapped numbers, (N,)."""
        if self.kind == "isotonic":
            return np.asarray(np.interp(said, self.x, self.y))
        if self.kind == "line":
            return np.asarray(self.intercept + self.slope * said)
        return np.asarray(1.0 / (1.0 + np.exp(-(self.intercept + self.slope * logit(said)))))

    def record(self) -> dict[str, Any]:
        """Return what a manifest keeps."""
        return {
            "kind": self.kind, "slope": self.slope, "intercept": self.intercept,
            "x": list(self.x), "y": list(self.y),
        }  # fmt: skip

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Map:
        """Read back what :meth:`record` gave."""
        return cls(
            kind=stored["kind"], slope=float(stored["slope"]),
            intercept=float(stored["intercept"]), x=tuple(stored["x"]), y=tuple(stored["y"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where the middle 80 % of the values lay, by what was said.

    Parameters
    ----------
    edges : tuple of float
        Inner edges of the bins of mapped values, ascending.
    low, high : tuple of float
        Ends of the interval in each bin, one more than edges.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def apply(self, said: Float64) -> tuple[Float64, Float64]:
        """Return the ends of the intervals, (N,) each."""
        place = np.searchsorted(np.asarray(self.edges), said, side="right")
        return np.asarray(self.low)[place], np.asarray(self.high)[place]

    def record(self) -> dict[str, list[float]]:
        """Return what a manifest keeps."""
        return {"edges": list(self.edges), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Band:
        """Read back what :meth:`record` gave."""
        return cls(
            edges=tuple(stored["edges"]), low=tuple(stored["low"]), high=tuple(stored["high"])
        )


def fit_probability(said: Float64, label: Float64) -> Map:
    """Fit a map of probabilities to labels 0 and 1, rows in time order."""
    if len(label) < _MIN_ROWS or len(np.unique(label)) < 2 or np.ptp(said) < 1e-12:
        base = float((label.sum() + 1.0) / (len(label) + 2.0))
        return Map(kind="platt", slope=0.0, intercept=math.log(base / (1.0 - base)))
    if len(label) < _MIN_STAIRS:
        return fit_platt(said, label)
    half = len(label) // 2
    tried = []
    for fit in (fit_platt, fit_isotonic):
        early = fit(said[:half], label[:half])
        tried.append(log_loss(early.apply(said[half:]), label[half:]))
    chosen = fit_platt if tried[0] <= tried[1] else fit_isotonic
    return chosen(said, label)


def fit_platt(said: Float64, label: Float64) -> Map:
    """Fit the line on log-odds; where none has a finite best, the base rate alone."""
    slope, intercept = logistic_line(logit(said), label)
    if math.isfinite(slope) and slope > 0.0:
        return Map(kind="platt", slope=slope, intercept=intercept)
    base = float((label.sum() + 1.0) / (len(label) + 2.0))
    return Map(kind="platt", slope=0.0, intercept=math.log(base / (1.0 - base)))


def fit_isotonic(said: Float64, label: Float64) -> Map:
    """Fit the best rising staircase (pool adjacent violators), straight between its steps."""
    from scipy.optimize import isotonic_regression  # half a second to import

    order, n = np.argsort(said, kind="stable"), len(label)
    steps = isotonic_regression(label[order]).x
    starts = np.flatnonzero(np.diff(steps, prepend=-1.0) > 0.0)
    middle = np.add.reduceat(said[order], starts) / np.diff(starts, append=n)
    # One case on each side that nobody saw keeps the ends from saying never and always.
    height = np.clip(steps[starts], 1.0 / (n + 2.0), (n + 1.0) / (n + 2.0))
    return Map(kind="isotonic", x=tuple(middle.tolist()), y=tuple(height.tolist()))


def fit_line(said: Float64, value: Float64) -> Map:
    """Fit the least-squares line of values on what was said; a falling one becomes flat."""
    slope, intercept = ols_line(said, value)
    if len(value) >= _MIN_ROWS and math.isfinite(slope) and slope > 0.0:
        return Map(kind="line", slope=slope, intercept=intercept)
    return Map(kind="line", slope=0.0, intercept=float(np.mean(value)) if len(value) else 0.0)


def fit_band(mapped: Float64, value: Float64) -> Band:
    """Take the middle 80 % of the values in five bins of equal mass of what was said."""
    tail = (1.0 - BAND_SHARE) / 2.0
    bins = _BAND_BINS if np.ptp(mapped) > 1e-12 else 1
    edges = np.unique(np.quantile(mapped, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, mapped, side="right")
    low, high = [], []
    for k in range(len(edges) + 1):
        inside = value[place == k] if (place == k).any() else value
        ends = np.quantile(inside, (tail, 1.0 - tail))
        low.append(float(ends[0]))
        high.append(float(ends[1]))
    return Band(edges=tuple(edges.tolist()), low=tuple(low), high=tuple(high))
