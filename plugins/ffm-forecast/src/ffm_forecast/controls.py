"""Forecasts without a model, always at hand: what a backbone has to beat.

Each looks at a context and says a normal distribution for every step ahead. Its spread
comes from the errors the same rule made one step ahead inside the context:

========================  =====================  ====================================
rule                      centre                 spread of step h
========================  =====================  ====================================
``naive_last``            the last value         σ √h
``drift``                 the mean step goes on  σ √(h (1 + h / (L − 1)))
``seasonal_naive(m)``     one season ago         σ √(⌊(h − 1) / m⌋ + 1)
``ar(p)``                 least squares          σ √(Σ ψⱼ², j < h)
``ets``                   smoothed level         σ √(1 + (h − 1) α²)
========================  =====================  ====================================

Source: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, 3rd edition,
sections 5.5, 8.1 and 9.8. Contexts are float64 (N, L) and finite; answers are centres and
spreads, two float64 (N, H).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ffm_core.types import Float64

Rule: TypeAlias = Callable[[Float64, int], tuple[Float64, Float64]]
MOST_LAGS = 10
_LARGEST_ROOT = 0.995  # an autoregression at or beyond is pulled back to it
_RIDGE = 1e-10
_ALPHAS = np.arange(1, 21) / 20.0
_ROWS = 256  # contexts at a time; their lagged copies are eleven times as large


def naive_last(values: Float64, horizon: int) -> tuple[Float64, Float64]:
    """Expect the last value; a random walk without drift."""
    steps = np.diff(values, axis=1)
    sigma = np.sqrt(np.mean(steps**2, axis=1))
    ahead = np.arange(1, horizon + 1)
    return _repeat(values[:, -1], horizon), sigma[:, None] * np.sqrt(ahead)


def drift(values: Float64, horizon: int) -> tuple[Float64, Float64]:
    """Expect the mean step of the context to go on."""
    steps = np.diff(values, axis=1)
    slope, count = steps.mean(axis=1), steps.shape[1]
    sigma = np.sqrt(np.sum((steps - slope[:, None]) ** 2, axis=1) / (count - 1))
    ahead = np.arange(1, horizon + 1)
    centre = values[:, -1:] + slope[:, None] * ahead
    return centre, sigma[:, None] * np.sqrt(ahead * (1.0 + ahead / count))


def seasonal_naive(values: Float64, horizon: int, *, season: int) -> tuple[Float64, Float64]:
    """Expect the value of one season ago."""
    off = values[:, season:] - values[:, :-season]
    sigma = np.sqrt(np.mean(off**2, axis=1))
    ahead = np.arange(horizon)
    centre = values[:, values.shape[1] - season + ahead % season]
    return centre, sigma[:, None] * np.sqrt(ahead // season + 1.0)


def ets(values: Float64, horizon: int) -> tuple[Float64, Float64]:
    """Expect an exponentially smoothed level; its weight makes the smallest errors."""
    level = np.repeat(values[:, :1], len(_ALPHAS), axis=1)
    squares = np.zeros_like(level)
    for t in range(1, values.shape[1]):
        off = values[:, t : t + 1] - level
        squares += off**2
        level += _ALPHAS * off
    best = np.argmin(squares, axis=1)
    rows = np.arange(len(values))
    alpha = _ALPHAS[best]
    sigma = np.sqrt(squares[rows, best] / (values.shape[1] - 2))
    ahead = np.arange(horizon)
    spread = sigma[:, None] * np.sqrt(1.0 + ahead * alpha[:, None] ** 2)
    return _repeat(level[rows, best], horizon), spread


def autoregression(
    values: Float64, horizon: int, *, lags: int | None = None
) -> tuple[Float64, Float64]:
    """Expect what least squares on the last values say.

    Parameters
    ----------
    lags : int, optional
        Number of lags; default the one from 1 to 10 with the smallest BIC, context by
        context.
    """
    parts = [
        _autoregression(values[start : start + _ROWS], horizon, lags)
        for start in range(0, len(values), _ROWS)
    ]
    if not parts:
        return np.empty((0, horizon)), np.empty((0, horizon))
    centres, spreads = zip(*parts, strict=True)
    return np.vstack(centres), np.vstack(spreads)


def _autoregression(values: Float64, horizon: int, lags: int | None) -> tuple[Float64, Float64]:
    most = lags or MOST_LAGS
    base, scale = values[:, -1:], values.std(axis=1, keepdims=True)
    scale = np.where(scale > 0.0, scale, 1.0)
    x = (values - base) / scale
    count = x.shape[1] - most
    target = x[:, most:]
    lagged = [x[:, most - k : x.shape[1] - k] for k in range(1, most + 1)]
    design = np.stack([np.ones_like(target), *lagged], axis=2)
    gram = np.einsum("nti,ntj->nij", design, design)
    cross = np.einsum("nti,nt->ni", design, target)
    total = np.einsum("nt,nt->n", target, target)
    best = np.full(len(x), np.inf)
    coefficients = np.zeros((len(x), most + 1))
    order = np.zeros(len(x))
    for p in (most,) if lags else range(1, most + 1):
        found = np.zeros_like(coefficients)
        square = gram[:, : p + 1, : p + 1] + _RIDGE * count * np.eye(p + 1)
        found[:, : p + 1] = np.linalg.solve(square, cross[:, : p + 1, None])[..., 0]
        misses = _squares(found, gram, cross, total)
        bic = count * np.log(misses / count + 1e-300) + (p + 1) * np.log(count)
        better = bic < best
        best, order = np.where(better, bic, best), np.where(better, p, order)
        coefficients = np.where(better[:, None], found, coefficients)
    coefficients = _stationary(coefficients, gram[:, 0] / count, cross[:, 0] / count)
    misses = _squares(coefficients, gram, cross, total)
    sigma = np.sqrt(misses / np.maximum(count - order - 1, 1))
    centre, gain = _iterated(coefficients, x, horizon)
    return base + scale * centre, scale * sigma[:, None] * gain


def _squares(b: Float64, gram: Float64, cross: Float64, total: Float64) -> Float64:
    fitted = np.einsum("ni,nij,nj->n", b, gram, b)
    return np.asarray(np.maximum(total - 2.0 * np.einsum("ni,ni->n", b, cross) + fitted, 0.0))


def _stationary(b: Float64, means: Float64, target: Float64) -> Float64:
    """Pull autoregressions whose largest root is too large back, and refit the level."""
    lags = b.shape[1] - 1
    companion = np.zeros((len(b), lags, lags))
    companion[:, 0] = b[:, 1:]
    companion[:, np.arange(1, lags), np.arange(lags - 1)] = 1.0
    largest = np.abs(np.linalg.eigvals(companion)).max(axis=1)
    shrink = np.minimum(1.0, _LARGEST_ROOT / np.maximum(largest, _RIDGE))
    out = b.copy()
    out[:, 1:] *= shrink[:, None] ** np.arange(1, lags + 1)
    level = target - np.einsum("ni,ni->n", out[:, 1:], means[:, 1:])
    out[:, 0] = np.where(shrink < 1.0, level, b[:, 0])
    return out


def _iterated(b: Float64, x: Float64, horizon: int) -> tuple[Float64, Float64]:
    """Return the forecasts and the growth of their spread, two float64 (N, H)."""
    lags = b.shape[1] - 1
    past, pulse = x[:, : -lags - 1 : -1].copy(), np.zeros((len(x), lags))
    pulse[:, 0] = 1.0
    centre, gain = np.empty((len(x), horizon)), np.ones((len(x), horizon))
    for h in range(horizon):
        centre[:, h] = b[:, 0] + np.einsum("ni,ni->n", b[:, 1:], past)
        past = np.hstack([centre[:, h : h + 1], past[:, :-1]])
        if h + 1 < horizon:
            psi = np.einsum("ni,ni->n", b[:, 1:], pulse)
            gain[:, h + 1] = gain[:, h] + psi**2
            pulse = np.hstack([psi[:, None], pulse[:, :-1]])
    return centre, np.sqrt(gain)


def _repeat(values: Float64, horizon: int) -> Float64:
    return np.repeat(values[:, None], horizon, axis=1)
