"""The synthetic corpus: series that no market has printed, endless and seeded.

A backbone that is pretrained on them has seen no bar of any market, so no date is off
limits to it. Most series are price-like: log prices whose volatility follows a clock,
remembers, switches regime, bursts after jumps and gaps at the open, discrete to a tick.
The rest are generic: Gaussian processes with random kernels, seasonal mixtures,
exponential smoothing, autoregressions, steps and intermittent counts.

A batch depends on the seed and its step alone, so that training can go on after a kill
with exactly the batches that it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ffm_backbone_training.synthetic_kernels import price_path, smoothed, standard_t
from ffm_core.keyed import keyed
from ffm_core.types import Bool, Float64

CORPUS = "ffm-synth-1"  # part of every draw: another corpus is another model
PATH_SETTINGS = (
    "fast_keep", "fast_size", "slow_keep", "slow_size", "switch", "spread", "jump_rate",
    "jump_size", "echo", "pull", "drift", "bounce", "tick", "dead",
)  # fmt: skip
_KERNEL_SHARE = 6  # series that share one Gaussian-process kernel
_JITTER = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Series of one training step.

    ``values`` float64 (N, length), generic ones standardised; ``price_like`` bool (N,)
    marks log prices.
    """

    values: Float64
    price_like: Bool


def batch(seed: int, step: int, *, rows: int, length: int, price_share: float) -> Batch:
    """Draw the series of one step.

    Parameters
    ----------
    seed, step : int
        What the draws depend on.
    rows, length : int
        Number of series and their length (context and horizon together).
    price_share : float
        Share of price-like series, from 0 to 1.
    """
    rng = keyed(seed, CORPUS, step)
    prices = round(rows * price_share)
    values = np.empty((rows, length))
    for i in range(prices):
        values[i] = price_like(rng, length)
    for start in range(prices, rows, _KERNEL_SHARE):
        stop = min(start + _KERNEL_SHARE, rows)
        values[start:stop] = generic(rng, stop - start, length)
    return Batch(values=values, price_like=np.arange(rows) < prices)


def price_like(rng: np.random.Generator, length: int) -> Float64:
    """Draw one log price, float64 (length,), in units of a bar's typical volatility."""
    how = _path_settings(rng)
    session = round(math.exp(rng.uniform(math.log(5), math.log(1_400))))
    phase = int(rng.integers(session))
    position = (np.arange(length) + phase) % session
    clock = _clock(rng, position / session) if rng.random() < 0.85 else np.zeros(length)
    opens = np.where(position == 0, _opening_gap(rng), 0.0)
    if rng.random() < 0.5:
        z = standard_t(rng, rng.uniform(2.6, 12.0), length)
    else:
        z = rng.standard_normal(length)
    u, w = rng.random((length, 3)), rng.standard_normal((length, 3))
    out = np.empty(length)
    price_path(z, u, w, clock, opens, how, out)
    return out


def generic(rng: np.random.Generator, rows: int, length: int) -> Float64:
    """Draw series of one generic family, standardised, float64 (rows, length)."""
    families: tuple[Callable[..., Float64], ...] = (
        _gaussian_process, _gaussian_process, _seasonal, _seasonal, _smoothing, _autoregression,
        _steps,
    )  # fmt: skip
    family = families[int(rng.integers(len(families)))]
    values = family(rng, rows, length)
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(values.std(axis=1, keepdims=True), _JITTER))


def _path_settings(rng: np.random.Generator) -> Float64:
    def keep(shortest: float, longest: float) -> float:
        half_life = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
        return float(0.5 ** (1.0 / half_life))

    def often(chance: float, value: float) -> float:
        return value if rng.random() < chance else 0.0

    return np.array([
        keep(2.0, 60.0), rng.uniform(0.05, 0.55), keep(60.0, 2_000.0), rng.uniform(0.0, 0.7),
        often(0.4, math.exp(rng.uniform(math.log(0.002), math.log(0.05)))), rng.uniform(0.1, 0.8),
        often(0.5, rng.uniform(0.0005, 0.02)), rng.uniform(2.0, 8.0),
        often(0.5, rng.uniform(0.1, 1.0)), often(0.25, rng.normal(0.0, 0.12)),
        often(0.15, rng.normal(0.0, 0.15)), often(0.3, rng.uniform(0.0, 0.4)),
        often(0.7, math.exp(rng.uniform(math.log(0.02), math.log(2.0)))),
        often(0.1, rng.uniform(0.002, 0.03)),
    ])  # fmt: skip


def _clock(rng: np.random.Generator, day: Float64) -> Float64:
    """Return log volatility by share of the session: waves, and bursts at some openings."""
    level = np.zeros(len(day))
    for harmonic in range(1, 4):
        angle = 2.0 * math.pi * (harmonic * day + rng.random())
        level += rng.normal(0.0, 0.45 / harmonic) * np.cos(angle)
    for _ in range(int(rng.integers(0, 4))):
        since = np.mod(day - rng.random(), 1.0)
        level += rng.uniform(0.2, 1.6) * np.exp(-since / rng.uniform(0.01, 0.15))
    if rng.random() < 0.3:  # a quiet part of the session
        level -= np.where(np.mod(day - rng.random(), 1.0) < rng.uniform(0.1, 0.6), 0.8, 0.0)
    return level


def _opening_gap(rng: np.random.Generator) -> float:
    return float(math.exp(rng.uniform(math.log(0.5), math.log(12.0)))) if rng.random() < 0.6 else 0


def _gaussian_process(rng: np.random.Generator, rows: int, length: int) -> Float64:
    t = np.arange(length) / length
    gap = np.abs(t[:, None] - t[None, :])
    cov = _kernel(rng, gap, t)
    for _ in range(int(rng.integers(0, 4))):
        other = _kernel(rng, gap, t)
        cov = cov + other if rng.random() < 0.5 else cov * other
    cov /= max(float(np.mean(np.diag(cov))), _JITTER)
    cov[np.diag_indices(length)] += math.exp(rng.uniform(math.log(1e-4), math.log(0.3)))
    root = np.linalg.cholesky(cov + 1e-5 * np.eye(length))
    return np.asarray((root @ rng.standard_normal((length, rows))).T)


def _kernel(rng: np.random.Generator, gap: Float64, t: Float64) -> Float64:
    kind = int(rng.integers(5))
    scale = math.exp(rng.uniform(math.log(0.01), math.log(1.0)))
    if kind == 0:
        return np.exp(-0.5 * (gap / scale) ** 2)
    if kind == 1:
        return np.exp(-gap / scale)
    if kind == 2:
        return (1.0 + 0.5 * (gap / scale) ** 2) ** -1.0
    if kind == 3:
        period = math.exp(rng.uniform(math.log(0.01), math.log(0.5)))
        return np.exp(-2.0 * (np.sin(math.pi * gap / period) / rng.uniform(0.3, 2.0)) ** 2)
    offset = t - rng.random()
    return np.outer(offset, offset) + 0.05


def _seasonal(rng: np.random.Generator, rows: int, length: int) -> Float64:
    t = np.arange(length, dtype=np.float64)
    out = np.empty((rows, length))
    for i in range(rows):
        values = rng.normal(0.0, 1.5) * t / length + rng.uniform(0.02, 0.8) * rng.standard_normal(
            length
        )
        for _ in range(int(rng.integers(1, 4))):
            period = math.exp(rng.uniform(math.log(4), math.log(length / 2)))
            share = np.mod(t / period + rng.random(), 1.0)
            shapes = (
                np.sin(2.0 * math.pi * share),
                2.0 * share - 1.0,
                np.where(share < rng.uniform(0.05, 0.5), 1.0, 0.0),
                np.exp(-share / rng.uniform(0.02, 0.3)),
            )
            values = values + rng.uniform(0.3, 2.0) * shapes[int(rng.integers(len(shapes)))]
        if rng.random() < 0.2:  # grows with its level
            values = np.exp(0.4 * values)
        out[i] = values
    return out


def _smoothing(rng: np.random.Generator, rows: int, length: int) -> Float64:
    out = np.empty((rows, length))
    for i in range(rows):
        noise = rng.standard_normal(length)
        smoothed(noise, rng.uniform(0.0, 1.0), often_small(rng), out[i])
    return out


def often_small(rng: np.random.Generator) -> float:
    """Return the trend weight of a smoothing path: mostly none, sometimes a little."""
    return float(rng.uniform(0.0, 0.1)) if rng.random() < 0.5 else 0.0


def _autoregression(rng: np.random.Generator, rows: int, length: int) -> Float64:
    noise = rng.standard_normal((rows, length))
    keep = rng.uniform(-0.6, 0.99, rows)
    out = np.empty((rows, length))
    out[:, 0] = noise[:, 0]
    for t in range(1, length):
        out[:, t] = keep * out[:, t - 1] + noise[:, t]
    return out


def _steps(rng: np.random.Generator, rows: int, length: int) -> Float64:
    rate = math.exp(rng.uniform(math.log(0.005), math.log(0.2)))
    jumps = np.where(rng.random((rows, length)) < rate, rng.standard_normal((rows, length)), 0.0)
    levels = np.cumsum(jumps, axis=1) if rng.random() < 0.5 else np.abs(jumps)
    return levels + rng.uniform(0.0, 0.3) * rng.standard_normal((rows, length))
