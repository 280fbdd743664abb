"""What a forecaster says: quantiles of every step ahead, and all that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from ffm_core.types import Float64, Int64
from ffm_forecast import curve
from ffm_forecast.curve import Tail
from ffm_forecast.errors import ForecastError

Space: TypeAlias = Literal["log_price", "price", "log_return", "simple_return", "value"]
# Spaces a forecast can be moved to; a value is no price and stays what it is.
_MOVES: Mapping[str, tuple[str, ...]] = {
    "log_price": ("price", "log_return", "simple_return"),
    "price": ("log_price", "log_return", "simple_return"),
    "log_return": ("simple_return",),
    "simple_return": ("log_return",),
    "value": (),
}


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """Forecasts of ``N`` origins, ``H`` steps and ``Q`` levels.

    Built by :func:`forecasts_of`, which checks and sorts; steps of one origin are
    forecast one by one, so their quantiles are no paths.

    Parameters
    ----------
    quantiles : float64 (N, H, Q)
        Ascending along the levels.
    levels : float64 (Q,)
        Ascending, in (0, 1).
    space : {"log_price", "price", "log_return", "simple_return", "value"}
        What the numbers mean; returns are counted from the origin's last value.
    reference : float64 (N,)
        The last value that was known at each origin, in the same space.
    crossings : int64 (N,)
        Neighbouring quantiles that were in the wrong order and have been sorted.
    provenance : mapping
        Model, hash of its weights, bars of context, horizon, kind.
    """

    quantiles: Float64
    levels: Float64
    space: Space
    reference: Float64
    crossings: Int64
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.quantiles)

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return int(self.quantiles.shape[1])

    @cached_property
    def point(self) -> Float64:
        """Medians, float64 (N, H)."""
        return curve.quantiles_at(self.quantiles, self.levels, np.array([0.5]), None)[..., 0]

    @cached_property
    def moments(self) -> tuple[Float64, Float64]:
        """Means and standard deviations, float64 (N, H); see :func:`.curve.moments`."""
        return curve.moments(self.quantiles, self.levels)

    def at_levels(self, wanted: Sequence[float] | Float64, tail: Tail | None = None) -> Forecasts:
        """Return the forecasts at other levels.

        Raises
        ------
        ForecastError
            When a level needs a tail that was not asked for.
        """
        levels = curve.checked_levels(np.asarray(wanted))
        found = curve.quantiles_at(self.quantiles, self.levels, levels, tail)
        return replace(self, quantiles=np.sort(found, axis=-1), levels=levels)

    def one(self, origin: int, tail: Tail | None = None) -> Forecast:
        """Return the forecast of one origin."""
        return Forecast(
            quantiles=self.quantiles[origin],
            levels=self.levels,
            space=self.space,
            reference=float(self.reference[origin]),
            crossings=int(self.crossings[origin]),
            tail=tail,
            provenance=dict(self.provenance),
        )


def forecasts_of(
    raw: Float64,
    levels: Sequence[float] | Float64,
    *,
    space: Space,
    reference: Float64,
    provenance: Mapping[str, Any],
) -> Forecasts:
    """Check and sort what a model returned.

    Parameters
    ----------
    raw : float64 (N, H, Q)
        Quantiles in the order of the levels, perhaps crossing.

    Raises
    ------
    ForecastError
        When a number is not finite, or shapes do not fit.
    """
    at = curve.checked_levels(np.asarray(levels))
    raw = np.asarray(raw, dtype=np.float64)
    name = provenance.get("model", "the forecaster")
    if raw.ndim != 3 or raw.shape[2] != len(at) or len(raw) != len(reference):
        raise ForecastError(
            f"{name} returned quantiles of shape {raw.shape} for {len(reference)} origins and "
            f"{len(at)} levels",
            fix="a forecaster returns one array (origins, steps, levels)",
        )
    if not np.isfinite(raw).all():
        origin, step, level = np.argwhere(~np.isfinite(raw))[0]
        raise ForecastError(
            f"{name} returned a non-finite number for origin {origin}, step {step + 1}, "
            f"level {at[level]:g}",
            fix="check the bars before that origin with 'ffm data check'",
        )
    crossings = np.sum(np.diff(raw, axis=-1) < 0.0, axis=(1, 2))
    return Forecasts(
        quantiles=np.sort(raw, axis=-1),
        levels=at,
        space=space,
        reference=np.asarray(reference, dtype=np.float64),
        crossings=crossings.astype(np.int64),
        provenance=provenance,
    )


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The predictive distribution at one origin, ``H`` steps and ``Q`` levels.

    Parameters
    ----------
    quantiles : float64 (H, Q)
        Ascending along the levels.
    levels : float64 (Q,)
        Ascending, in (0, 1).
    space, reference, crossings, provenance
        As in :class:`Forecasts`.
    tail : {"normal", "student_t"}, optional
        What to believe beyond the outermost levels; None for nothing.
    """

    quantiles: Float64
    levels: Float64
    space: Space
    reference: float
    crossings: int = 0
    tail: Tail | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return len(self.quantiles)

    @cached_property
    def point(self) -> Float64:
        """The median of each step, float64 (H,)."""
        return curve.quantiles_at(self.quantiles, self.levels, np.array([0.5]), None)[:, 0]

    @cached_property
    def mean(self) -> Float64:
        """The mean of each step, float64 (H,); normal beyond the outermost levels."""
        return curve.moments(self.quantiles, self.levels)[0]

    @cached_property
    def std(self) -> Float64:
        """The standard deviation of each step, float64 (H,); tails as for the mean."""
        return curve.moments(self.quantiles, self.levels)[1]

    def quantile(self, levels: Sequence[float] | Float64) -> Float64:
        """Return quantiles at any levels, float64 (H, K).

        Raises
        ------
        ForecastError
            Outside the outermost levels, unless the forecast has a tail.
        """
        return curve.quantiles_at(self.quantiles, self.levels, np.asarray(levels), self.tail)

    def interval(self, coverage: float) -> tuple[Float64, Float64]:
        """Return the central interval of a coverage such as 0.8, two float64 (H,)."""
        outer = 0.5 * (1.0 - coverage)
        found = self.quantile([outer, 1.0 - outer])
        return found[:, 0], found[:, 1]

    def cdf_bounds(self, x: float | Float64) -> tuple[Float64, Float64]:
        """Return bounds of the distribution function, two float64 (H,).

        They are equal where it is known; beyond the outermost quantiles, without a
        tail, it lies between 0 and the lowest level or the highest level and 1.
        """
        found = curve.cdf_at(self.quantiles, self.levels, np.asarray(x), self.tail)
        under = np.broadcast_to(np.asarray(x), found.shape) < self.quantiles[:, 0]
        low = np.where(under, 0.0, self.levels[-1])
        high = np.where(under, self.levels[0], 1.0)
        unknown = np.isnan(found)
        return np.where(unknown, low, found), np.where(unknown, high, found)

    def cdf(self, x: float | Float64) -> Float64:
        """Return the probability of at most ``x``, float64 (H,).

        Raises
        ------
        ForecastError
            Beyond the outermost quantiles, unless the forecast has a tail.
        """
        low, high = self.cdf_bounds(x)
        if not np.array_equal(low, high):
            step = int(np.flatnonzero(low != high)[0])
            raise ForecastError(
                f"{float(np.broadcast_to(x, low.shape)[step]):g} lies outside the quantiles of "
                f"step {step + 1}, {self.quantiles[step, 0]:g} to {self.quantiles[step, -1]:g}",
                fix="choose a tail: student_t or normal",
            )
        return low

    def prob_up(self, reference: float | None = None) -> Float64:
        """Return the probability of more than the reference, default the last value."""
        return np.asarray(1.0 - self.cdf(self.reference if reference is None else reference))

    def pinball(self, actual: Float64) -> Float64:
        """Return the pinball loss of what came, float64 (H, Q)."""
        return curve.pinball(self.quantiles, self.levels, np.asarray(actual))

    def crps(self, actual: Float64) -> Float64:
        """Return the continuous ranked probability score of what came, float64 (H,)."""
        return curve.crps(self.quantiles, self.levels, np.asarray(actual))

    def to(self, space: Space) -> Forecast:
        """Return the same forecast in another space.

        Quantiles move exactly, since every move keeps their order; mean, deviation and
        tails are worked out anew in the new space.

        Raises
        ------
        ForecastError
            When there is no way from one space to the other.
        """
        if space == self.space:
            return self
        if space not in _MOVES[self.space]:
            raise ForecastError(
                f"a forecast of a {self.space} cannot be converted to a {space}",
                fix=f"it converts to {' or '.join(_MOVES[self.space]) or 'nothing else'}",
            )
        if self.space == "price" and (self.reference <= 0.0 or self.quantiles[:, 0].min() <= 0.0):
            raise ForecastError(
                "the forecast includes prices of zero or less, which have no return",
                fix="forecast log prices",
            )
        quantiles, reference = _moved(self.quantiles, self.reference, self.space, space)
        return replace(self, quantiles=quantiles, reference=reference, space=space)

    def with_tail(self, tail: Tail | None) -> Forecast:
        """Return the same forecast with another belief about what lies outside."""
        return replace(self, tail=tail)

    def facts(self) -> dict[str, Any]:
        """Return what a JSON document holds of it."""
        low, high = self.cdf_bounds(self.reference)
        return {
            "space": self.space,
            "reference": self.reference,
            "levels": self.levels,
            "quantiles": self.quantiles,
            "median": self.point,
            "mean": self.mean,
            "std": self.std,
            "prob_up": [[1.0 - b, 1.0 - a] for a, b in zip(low, high, strict=True)],
            "crossings": self.crossings,
            "tail": self.tail,
            "moments_tail": "normal",
            "paths": False,
            "provenance": dict(self.provenance),
        }


def _moved(q: Float64, reference: float, old: Space, new: Space) -> tuple[Float64, float]:
    if old == "simple_return":
        return np.log1p(q), 0.0
    if old == "log_return":
        return np.expm1(q), 0.0
    # Around the reference, where float64 is finest.
    ratio = q - reference if old == "log_price" else np.log(q / reference)
    if new == "log_return":
        return ratio, 0.0
    if new == "simple_return":
        return np.expm1(ratio), 0.0
    if new == "price":
        return np.exp(q), float(np.exp(reference))
    return np.log(q), float(np.log(reference))
