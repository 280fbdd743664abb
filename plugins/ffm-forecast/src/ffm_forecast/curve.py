"""Quantile functions: what lies between the levels of a forecast, and beyond them.

Between two levels the quantile function is a straight line over the normal score
``z = Φ⁻¹(p)``, so a normal distribution known at any two levels is known everywhere, and
integrals have closed forms. Beyond the outermost levels nothing is known; a tail model
must be asked for by name:

``normal``
    the line through the two outermost levels goes on;
``student_t``
    Student's t around the median. Its degrees of freedom, 3 to 200, are those for which
    the two outermost levels of that side lie as far from the median as they do; its
    scale makes the curve continuous.

Quantiles are float64 (..., Q), ascending along the last axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from scipy import special

from ffm_core.types import Float64
from ffm_forecast.errors import ForecastError

Tail: TypeAlias = Literal["normal", "student_t"]
LEAST_NU, MOST_NU = 3.0, 200.0
_CRPS_POINTS = 200
_ROUNDING = 1e-12


def checked_levels(levels: Float64) -> Float64:
    """Return levels as float64 (Q,), at least two, ascending, strictly between 0 and 1.

    Raises
    ------
    ForecastError
        When they are not.
    """
    found = np.array(levels, dtype=np.float64)
    good = found.ndim == 1 and len(found) >= 2 and bool(np.all(np.diff(found) > 0))
    if not good or not (found[0] > 0.0 and found[-1] < 1.0):
        raise ForecastError(
            f"levels {found.tolist()} cannot be used",
            fix="give two or more, ascending, strictly between 0 and 1",
        )
    return found


def require_native(levels: Float64, wanted: Float64, tail: Tail | None) -> None:
    """Refuse levels beyond the outermost ones when no tail was asked for.

    Raises
    ------
    ForecastError
        When a level is not in (0, 1), or lies outside and ``tail`` is None.
    """
    wanted = np.atleast_1d(wanted)
    if not np.all((wanted > 0.0) & (wanted < 1.0)):
        raise ForecastError(
            f"{wanted.tolist()} are not levels", fix="give levels strictly between 0 and 1"
        )
    outside = (wanted < levels[0] - _ROUNDING) | (wanted > levels[-1] + _ROUNDING)
    if tail is None and outside.any():
        raise ForecastError(
            f"level {wanted[outside][0]:g} is outside the levels of the forecast, "
            f"{levels[0]:g} to {levels[-1]:g}",
            fix="choose a tail: student_t or normal",
        )


def weights(levels: Float64, wanted: Float64) -> Float64:
    """Return the matrix (Q, K) that turns quantiles into those at other levels.

    Outside the outermost levels it follows the normal tail.
    """
    z, at = special.ndtri(levels), special.ndtri(wanted)
    right = np.clip(np.searchsorted(z, at), 1, len(z) - 1)
    share = (at - z[right - 1]) / (z[right] - z[right - 1])
    out = np.zeros((len(z), len(at)))
    columns = np.arange(len(at))
    out[right - 1, columns] = 1.0 - share
    out[right, columns] += share
    return out


def quantiles_at(q: Float64, levels: Float64, wanted: Float64, tail: Tail | None) -> Float64:
    """Return quantiles at other levels, float64 (..., K).

    Raises
    ------
    ForecastError
        When a level needs a tail that was not asked for.
    """
    wanted = np.atleast_1d(np.asarray(wanted, dtype=np.float64))
    require_native(levels, wanted, tail)
    out = np.asarray(q @ weights(levels, wanted))
    if tail == "student_t":
        for k, level in enumerate(wanted.tolist()):
            if not levels[0] <= level <= levels[-1]:
                side = student_tail(q, levels, lower=level < levels[0])
                out[..., k] = side.quantile(level)
    return out


def cdf_at(q: Float64, levels: Float64, x: Float64, tail: Tail | None) -> Float64:
    """Return the distribution function at ``x``, shape (...) like both without levels.

    NaN where ``x`` lies beyond the outermost quantiles and no tail was asked for.
    """
    x = np.broadcast_to(np.asarray(x, dtype=np.float64), q.shape[:-1])
    z = special.ndtri(levels)
    below = np.sum(q <= x[..., None], axis=-1)
    right = np.clip(below, 1, len(z) - 1)
    x0 = np.take_along_axis(q, right[..., None] - 1, axis=-1)[..., 0]
    x1 = np.take_along_axis(q, right[..., None], axis=-1)[..., 0]
    rise = np.where(x1 > x0, x1 - x0, 1.0)
    score = z[right - 1] + (x - x0) / rise * (z[right] - z[right - 1])
    score = np.where(x1 > x0, score, np.where(x < x0, -np.inf, np.inf))
    found = special.ndtr(score)
    low, high = below == 0, (below == len(z)) & (x > q[..., -1])
    found = np.where((below == len(z)) & ~high, levels[-1], found)
    if tail is None:
        return np.asarray(np.where(low | high, np.nan, found))
    if tail == "student_t":
        for side, rows in ((True, low), (False, high)):
            if rows.any():
                found = np.where(rows, student_tail(q, levels, lower=side).cdf(x), found)
    return np.asarray(found)


def moments(q: Float64, levels: Float64) -> tuple[Float64, Float64]:
    """Return mean and standard deviation by integrating the quantile function.

    The parts beyond the outermost levels follow the normal tail.
    """
    z = special.ndtri(levels)
    edges = np.concatenate([[-np.inf], z[1:-1], [np.inf]])
    slope = np.diff(q, axis=-1) / np.diff(z)
    base = q[..., :-1] - slope * z[:-1]
    mass, first, second = _pieces(edges)
    mean = base @ mass + slope @ first
    # Around the mean, or a small spread at a large level would drown.
    base = base - mean[..., None]
    square = base**2 @ mass + 2.0 * (base * slope) @ first + slope**2 @ second
    return np.asarray(mean), np.sqrt(np.maximum(square, 0.0))


def mean_below(q: Float64, levels: Float64, level: float, tail: Tail | None) -> Float64:
    """Return the mean of the outcomes up to the quantile at ``level``, shape (...).

    Raises
    ------
    ForecastError
        When no tail was asked for: the mean always reaches beyond the lowest level.
    """
    if tail is None:
        raise ForecastError(
            f"the mean beyond the level {level:g} needs the outcomes below {levels[0]:g}, "
            "on which the forecast says nothing",
            fix="choose a tail: student_t or normal",
        )
    require_native(levels, np.array([level]), tail)
    z, stop = special.ndtri(levels), float(special.ndtri(level))
    start = -np.inf
    total = np.zeros(q.shape[:-1])
    if tail == "student_t":
        side = student_tail(q, levels, lower=True)
        part = min(level, float(levels[0]))
        total = total + side.partial_mean(part)
        start = float(z[0])
        if level <= levels[0]:
            return np.asarray(total / level)
    inside = z[1:-1][(z[1:-1] > start) & (z[1:-1] < stop)]
    edges = np.concatenate([[start], inside, [stop]])
    right = np.clip(np.searchsorted(z, edges[1:]), 1, len(z) - 1)
    slope = (q[..., right] - q[..., right - 1]) / (z[right] - z[right - 1])
    base = q[..., right] - slope * z[right]
    mass, first, _ = _pieces(edges)
    return np.asarray((total + base @ mass + slope @ first) / level)


def _pieces(edges: Float64) -> tuple[Float64, Float64, Float64]:
    """Return ∫φ, ∫zφ and ∫z²φ between neighbouring scores."""
    cdf, pdf = special.ndtr(edges), np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi)
    product = np.where(np.isfinite(edges), edges, 0.0) * pdf
    return np.diff(cdf), -np.diff(pdf), np.diff(cdf) - np.diff(product)


def crps(q: Float64, levels: Float64, actual: Float64) -> Float64:
    """Return the continuous ranked probability score, shape (...); smaller is better.

    Twice the pinball loss integrated over the levels (200 midpoints), with normal tails.
    """
    grid = (np.arange(_CRPS_POINTS) + 0.5) / _CRPS_POINTS
    miss = actual[..., None] - q @ weights(levels, grid)
    return np.asarray(2.0 * np.maximum(grid * miss, (grid - 1.0) * miss).mean(axis=-1))


def pinball(q: Float64, levels: Float64, actual: Float64) -> Float64:
    """Return the pinball loss of every level, shape (..., Q)."""
    miss = actual[..., None] - q
    return np.asarray(np.maximum(levels * miss, (levels - 1.0) * miss))


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentTail:
    """One side's tail: ``centre + scale · t`` with ``nu`` degrees of freedom; shapes (...)."""

    centre: Float64
    scale: Float64
    nu: Float64

    def quantile(self, level: float) -> Float64:
        """Return the quantile at one level."""
        return np.asarray(self.centre + self.scale * special.stdtrit(self.nu, level))

    def cdf(self, x: Float64) -> Float64:
        """Return the distribution function; a tail without spread is a step."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.scale > 0.0, (x - self.centre) / self.scale, np.inf)
        t = np.where((self.scale > 0.0) | (x >= self.centre), t, -np.inf)
        return np.asarray(special.stdtr(self.nu, t))

    def partial_mean(self, level: float) -> Float64:
        """Return the integral of the quantile function from 0 to ``level``."""
        nu = self.nu
        t = special.stdtrit(nu, level)
        density = np.exp(-0.5 * (nu + 1.0) * np.log1p(t * t / nu) - special.betaln(0.5 * nu, 0.5))
        first = -density / np.sqrt(nu) * (nu + t * t) / (nu - 1.0)
        return np.asarray(self.centre * level + self.scale * first)


def student_tail(q: Float64, levels: Float64, *, lower: bool) -> StudentTail:
    """Fit Student's t to the two outermost levels of one side.

    Raises
    ------
    ForecastError
        When fewer than two levels lie on that side of the median.
    """
    side = q if lower else -q[..., ::-1]
    at = levels if lower else 1.0 - levels[::-1]
    if len(at) < 3 or at[1] >= 0.5:
        raise ForecastError(
            "Student's t needs two levels on each side of the median",
            fix="use the normal tail, or a forecast with more levels",
        )
    median = quantiles_at(side, at, np.array([0.5]), None)[..., 0]
    far, near = median - side[..., 0], median - side[..., 1]
    table_nu, ratio = _ratios(float(at[0]), float(at[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(near > 0.0, far / near, ratio[0])
    # Ratios fall as the degrees of freedom rise; np.interp wants them ascending.
    nu = np.exp(np.interp(seen, ratio[::-1], np.log(table_nu[::-1])))
    scale = -far / special.stdtrit(nu, at[0])
    return StudentTail(centre=median if lower else -median, scale=scale, nu=nu)


@lru_cache(maxsize=64)
def _ratios(far: float, near: float) -> tuple[Float64, Float64]:
    nu = np.exp(np.linspace(math.log(LEAST_NU), math.log(MOST_NU), 33))
    return nu, special.stdtrit(nu, far) / special.stdtrit(nu, near)
