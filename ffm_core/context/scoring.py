"""Scores of context heads and their intervals from resampled trading days.

Regressions are scored by Pearson's r, classes by the area under the ROC curve. Rows of
one day stay together, whichever stream they come from, and days are drawn in blocks, so
that neither overlapping labels nor markets that move together count twice. Every arm is
scored on the same rows and the same resampled days, which makes differences sharp.

Source: Politis and Romano (1994), The Stationary Bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ffm_core.jit import kernel
from ffm_core.keyed import keyed
from ffm_core.statistics import next_day
from ffm_core.types import Float64, Int32, Int64

RESAMPLES = 1000
BLOCK_DAYS = 5.0
MEASURE = {"regression": "r", "binary": "AUC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreEstimate:
    """A score or a difference of scores with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def above(self) -> bool:
        """Whether the whole interval lies above zero; meant for differences."""
        return self.low > 0.0

    def record(self) -> dict[str, float | None]:
        """Return the entry in a JSON document; NaN becomes None."""
        found = {"value": self.value, "low": self.low, "high": self.high}
        return {key: value if math.isfinite(value) else None for key, value in found.items()}


def day_counts(
    n_days: int, *, resamples: int = RESAMPLES, block_days: float = BLOCK_DAYS, seed: int = 0
) -> Int32:
    """Return how often each day occurs in each resample, int32 (B, D).

    Blocks of a mean of ``block_days`` days wrap round the end.
    """
    out = np.zeros((resamples, n_days), dtype=np.int32)
    if n_days:
        draws = keyed(seed, "context days", n_days).random((resamples, n_days))
        _count_days(draws, 1.0 / block_days, out)
    return out


@kernel
def _count_days(draws: Float64, chance: float, out: Int32) -> None:
    resamples, n_days = draws.shape
    for b in range(resamples):
        place = 0
        for i in range(n_days):
            draw = draws[b, i] if i == 0 else draws[b, i] / chance
            place = next_day(place, draw, n_days)
            out[b, place] += 1


def pearson(x: Float64, y: Float64) -> float:
    """Return Pearson's r; 0 when one of them does not vary."""
    if len(x) < 2:
        return 0.0
    a, b = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0.0 else 0.0


def pearson_samples(x: Float64, y: Float64, day: Int64, counts: Int32) -> Float64:
    """Return r in every resample, (B,).

    Parameters
    ----------
    x, y : float64 (N,)
        Prediction and value.
    day : int64 (N,)
        Index of the row's day, a column of ``counts``.
    counts : int32 (B, D)
        From :func:`day_counts`.
    """
    a, b = x - x.mean(), y - y.mean()
    n_days = counts.shape[1]
    parts = (np.ones(len(a)), a, b, a * a, b * b, a * b)
    sums = np.column_stack([np.bincount(day, weights=p, minlength=n_days) for p in parts])
    n, sa, sb, saa, sbb, sab = (counts.astype(np.float64) @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        both = sab - sa * sb / n
        scale = np.sqrt(np.maximum(saa - sa * sa / n, 0.0) * np.maximum(sbb - sb * sb / n, 0.0))
        found = both / scale
    return np.where(scale > 1e-12, found, 0.0)


def auc(score: Float64, label: Float64) -> float:
    """Return the area under the ROC curve, ties counted half; 0.5 with one class only."""
    day = np.zeros(len(score), dtype=np.int64)
    return float(auc_samples(score, label, day, np.ones((1, 1), dtype=np.int32))[0])


def auc_samples(score: Float64, label: Float64, day: Int64, counts: Int32) -> Float64:
    """Return the AUC in every resample, (B,); arguments as in :func:`pearson_samples`."""
    order = np.argsort(score, kind="stable")
    return _auc(score[order], label[order] > 0.5, day[order], counts)


@kernel
def _auc(score: Float64, positive: np.ndarray, day: Int64, counts: Int32) -> Float64:
    """Walk the rows once a resample, lowest score first, ties as one group."""
    resamples, n = counts.shape[0], len(score)
    out = np.empty(resamples)
    for b in range(resamples):
        below, wins, ones = 0.0, 0.0, 0.0
        i = 0
        while i < n:
            tied_ones, tied_zeros = 0.0, 0.0
            j = i
            while j < n and score[j] == score[i]:
                weight = counts[b, day[j]]
                if positive[j]:
                    tied_ones += weight
                else:
                    tied_zeros += weight
                j += 1
            wins += tied_ones * (below + 0.5 * tied_zeros)
            below += tied_zeros
            ones += tied_ones
            i = j
        out[b] = wins / (ones * below) if ones > 0.0 and below > 0.0 else 0.5
    return out


def days_of(day: Int32, *, resamples: int, block_days: float, seed: int) -> tuple[Int64, Int32]:
    """Return each row's place among the days of some rows, (N,), and :func:`day_counts`."""
    days, place = np.unique(day, return_inverse=True)
    counts = day_counts(len(days), resamples=resamples, block_days=block_days, seed=seed)
    return place, counts


def or_usual(values: Float64, known: Float64) -> Float64:
    """Return values with the mean of those known before in place of NaN; 0 without one."""
    usual = float(np.nanmean(known)) if np.isfinite(known).any() else 0.0
    return np.where(np.isfinite(values), values, usual)


def score_of(kind: str, prediction: Float64, value: Float64) -> float:
    """Return r of a regression, AUC of a class."""
    return pearson(prediction, value) if kind == "regression" else auc(prediction, value)


def samples_of(
    kind: str, prediction: Float64, value: Float64, day: Int64, counts: Int32
) -> Float64:
    """Return the score in every resample, (B,)."""
    draw = pearson_samples if kind == "regression" else auc_samples
    return draw(prediction, value, day, counts)


def interval(value: float, samples: Float64) -> ScoreEstimate:
    """Return a value with the central 95 % of its resamples."""
    usable = samples[np.isfinite(samples)]
    if len(usable) < 2:
        return ScoreEstimate(value=value, low=math.nan, high=math.nan)
    low, high = np.quantile(usable, (0.025, 0.975))
    return ScoreEstimate(value=value, low=float(low), high=float(high))
