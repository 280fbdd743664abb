"""Intervals of mean R per trade that hold where days depend on one another and wins are rare.

The unit is the trading day. A mean, or a difference of means on the same days, is made
linear: each day's part of its error, ``u = (Σ R·w - mean · Σ w) / (Σ w per day)``, shared by
all trades of that day. From these daily sums come two intervals, and the verdict uses their
**outer ends**:

* a t interval whose standard error adds up the dependence of days (Bartlett weights up to a
  lag of ``lag · √D`` days) and whose critical value knows that this error is itself estimated
  (fixed-b asymptotics). It holds where days depend on one another;
* a studentised bootstrap: days are drawn in blocks of random length, and the same t is formed
  in every resample. It holds where results are skewed, as with rare large wins.

How often either end misses is measured in ``docs/reference/validation.md``.

Sources: Kiefer and Vogelsang (2005), A New Asymptotic Theory for Heteroskedasticity-
Autocorrelation Robust Tests; Politis and Romano (1994), The Stationary Bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from ffm_core.jit import kernel
from ffm_core.keyed import keyed
from ffm_core.ruler.bootstrap import DaySums, Estimate
from ffm_core.statistics import next_day
from ffm_core.types import Float64

# How intervals are made; constants of every check that has one.
SAMPLING: Mapping[str, float] = MappingProxyType({
    "level": 0.95, "resamples": 2000.0, "block_days": 10.0, "lag": 1.3, "min_interval_days": 20.0,
})  # fmt: skip
LEVELS = (0.80, 0.99)  # two-sided; the critical values are known in between

_NORMAL = NormalDist()
_CHUNK = 256  # resamples drawn at once, to bound memory; draws do not depend on it
_DAYS_PER_BLOCK = 10.0  # a block is at most a tenth of the days
_FLAT = 1e-12  # errors below this share of the size of R are rounding
# Fixed-b critical values under Bartlett weights: normal quantile + c1·b + c2·b² + c3·b³, by
# the normal quantile. Kiefer and Vogelsang (2005), table 1; the last row is simulated.
_FIXED_B = np.array([
    [1.2816, 1.3040, 0.5135, -0.3386],
    [1.6449, 2.1859, 0.3142, -0.3427],
    [1.9600, 2.9694, 0.4160, -0.5324],
    [2.3263, 4.1618, 0.5368, -0.9060],
    [2.5758, 5.0436, 0.2068, -0.8360],
])  # fmt: skip


def mean_estimate(
    arm: DaySums, constants: Mapping[str, float] = SAMPLING, *, seed: int = 0
) -> Estimate:
    """Mean R per trade of one arm with its interval.

    Parameters
    ----------
    arm : DaySums
        An arm on a grid of D days, empty ones too.
    constants : mapping
        As in ``SAMPLING``.
    seed : int
        Of the resampled days, which depend on it and on D alone.
    """
    return _estimate(arm.mean, influence(arm), constants, seed, arm)


def difference_estimate(
    left: DaySums, right: DaySums, constants: Mapping[str, float] = SAMPLING, *, seed: int = 0
) -> Estimate:
    """Difference of two means of R, paired by day; arguments as in :func:`mean_estimate`."""
    off = influence(left) - influence(right)
    return _estimate(left.mean - right.mean, off, constants, seed, left, right)


def influence(arm: DaySums) -> Float64:
    """Return what each day adds to the error of the mean of an arm, (D,); it averages 0."""
    size = float(arm.weight.sum())
    if not size > 0:
        return np.full(len(arm.total), np.nan)
    return (arm.total - arm.mean * arm.weight) * (len(arm.total) / size)


def _estimate(
    value: float, off: Float64, constants: Mapping[str, float], seed: int, *arms: DaySums
) -> Estimate:
    """Return an estimate; no interval where too few days hold trades for one to mean anything.

    ``se`` is that of a normal interval as wide as this one, so that power and smallest
    detectable effects speak of the interval that decides.
    """
    none = Estimate(value=value, low=math.nan, high=math.nan, se=math.nan)
    days = min(int(np.count_nonzero(arm.weight)) for arm in arms)
    if days < max(2.0, constants["min_interval_days"]) or not np.isfinite(off).all():
        return none
    scale = max(float(np.abs(arm.total).max()) / float(arm.weight.mean()) for arm in arms)
    if float(np.abs(off).max()) <= _FLAT * scale:  # no day differs from another
        return Estimate(value=value, low=value, high=value, se=0.0)
    n_days, level = len(off), constants["level"]
    block = mean_block(n_days, constants["block_days"])
    chunks = day_draws(n_days, int(constants["resamples"]), seed)
    below, above = outer_ends(off, chunks, block=block, lag=lag_of(n_days, constants["lag"]),
                              level=level)  # fmt: skip
    if not (math.isfinite(below) and math.isfinite(above)):
        return none
    se = (above - below) / (2.0 * _NORMAL.inv_cdf(0.5 + level / 2.0))
    return Estimate(value=value, low=value + below, high=value + above, se=se)


def lag_of(n_days: int, factor: float) -> int:
    """Return the number of days up to which dependence is added up: ``factor · √D``."""
    return min(n_days, max(1, round(factor * math.sqrt(n_days))))


def mean_block(n_days: int, longest: float) -> float:
    """Return the mean length of a block: a tenth of the days, from one day to ``longest``."""
    return max(1.0, min(longest, n_days / _DAYS_PER_BLOCK))


def critical_value(b: float, level: float) -> float:
    """Return the two-sided critical value of a t under Bartlett weights.

    Parameters
    ----------
    b : float
        Lag over number of days, 0 to 1; 0 gives the normal value.
    level : float
        Two-sided, within ``LEVELS``.
    """
    z = _NORMAL.inv_cdf(0.5 + level / 2.0)
    c1, c2, c3 = (float(np.interp(z, _FIXED_B[:, 0], column)) for column in _FIXED_B.T[1:])
    return z + c1 * b + c2 * b**2 + c3 * b**3


def day_draws(n_days: int, resamples: int, seed: int = 0) -> Iterator[Float64]:
    """Yield uniform draws for days of resamples, (b, D) a time, (resamples, D) in all."""
    rng = keyed(seed, "bootstrap", n_days)
    for first in range(0, resamples, _CHUNK):
        yield rng.random((min(_CHUNK, resamples - first), n_days))


def outer_ends(
    off: Float64, chunks: Iterable[Float64], *, block: float, lag: int, level: float
) -> tuple[float, float]:
    """Return the ends of an interval of a mean, relative to the mean.

    Parameters
    ----------
    off : float64 (D,)
        What each day adds to the error of the mean; averages 0.
    chunks : iterable of float64 (b, D)
        From :func:`day_draws`.
    block : float
        Mean length of a block in days; blocks wrap round the end.
    lag : int
        Days up to which dependence is added up.

    Returns
    -------
    low, high : float
        Infinite where too many resamples hold one kind of day alone: nothing is known then.
    """
    tail = (1.0 - level) / 2.0
    smallest = _FLAT * float(np.abs(off).max())
    found = [_resampled_t(off, draws, 1.0 / block, lag, smallest) for draws in chunks]
    ordered = np.sort(np.concatenate(found))
    rank = min(len(ordered) - 1, math.ceil((1.0 - tail) * len(ordered)))
    se, value = standard_error(off, lag), critical_value(lag / len(off), level)
    upper, lower = max(value, ordered[rank]), min(-value, ordered[-1 - rank])
    return float(-upper * se), float(-lower * se)


@kernel
def standard_error(off: Float64, lag: int) -> float:
    """Return the standard error of the mean of ``off`` (D,), dependence added up to ``lag``.

    The Bartlett-weighted sum of autocovariances, as the mean square of moving sums over
    ``lag`` days with nothing beyond the ends.
    """
    n_days = len(off)
    mean = off.mean()
    window, squares = 0.0, 0.0
    for i in range(n_days + lag - 1):
        if i < n_days:
            window += off[i] - mean
        if i >= lag:
            window -= off[i - lag] - mean
        squares += window * window
    return float(np.sqrt(squares / lag) / n_days)


@kernel
def _resampled_t(
    off: Float64, draws: Float64, chance: float, lag: int, smallest: float
) -> Float64:  # pragma: no cover - compiled
    """Return the t of every resample, (b,); infinite where all of its days are alike.

    One uniform draw per day serves twice: below ``chance`` a new block begins,
    and the same draw, stretched to [0, 1), says where.
    """
    n_days = len(off)
    resample = np.empty(n_days)
    out = np.empty(len(draws))
    for b in range(len(draws)):
        place = 0
        for i in range(n_days):
            draw = draws[b, i] if i == 0 else draws[b, i] / chance
            place = next_day(place, draw, n_days)
            resample[i] = off[place]
        mean, error = resample.mean(), standard_error(resample, lag)
        if error > smallest:
            out[b] = mean / error
        else:
            out[b] = 0.0 if abs(mean) <= smallest else np.sign(mean) * np.inf
    return out
