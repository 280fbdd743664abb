"""The few special functions that forecasts and their tests need, without SciPy.

The normal distribution comes from the standard library; Student's t from the
regularised incomplete beta function by its continued fraction (Press et al.,
*Numerical Recipes*, section 6.4), accurate to about twelve digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ffm_core.types import Float64

NORMAL = NormalDist()
_TINY = 1e-300
_STEPS = 300
_CLOSE = 1e-15


def normal_pdf(z: Float64) -> Float64:
    """Return the standard normal density."""
    return np.asarray(np.exp(-0.5 * np.square(z)) / math.sqrt(2.0 * math.pi))


def normal_cdf(z: Float64) -> Float64:
    """Return the standard normal distribution function."""
    flat = np.asarray(z, dtype=np.float64)
    found = [0.5 * math.erfc(-value / math.sqrt(2.0)) for value in flat.ravel().tolist()]
    return np.array(found).reshape(flat.shape)


def normal_scores(levels: Sequence[float] | Float64) -> Float64:
    """Return the standard normal quantiles of levels strictly between 0 and 1."""
    return np.array([NORMAL.inv_cdf(float(level)) for level in levels])


def student_cdf(t: float, nu: float) -> float:
    """Return Student's distribution function with ``nu`` degrees of freedom."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    tail = 0.5 * incomplete_beta(0.5 * nu, 0.5, nu / (nu + t * t))
    return 1.0 - tail if t > 0 else tail


def student_two_sided(t: float, nu: float) -> float:
    """Return the probability of a larger ``|t|``."""
    if math.isinf(t):
        return 0.0
    return incomplete_beta(0.5 * nu, 0.5, nu / (nu + t * t))


def student_quantile(level: float, nu: float) -> float:
    """Return Student's quantile, by bisection on the distribution function."""
    if level == 0.5:
        return 0.0
    wanted = min(level, 1.0 - level)
    low, high = -1.0, 0.0
    while student_cdf(low, nu) > wanted:
        low, high = 2.0 * low, low
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if student_cdf(middle, nu) < wanted:
            low = middle
        else:
            high = middle
    found = 0.5 * (low + high)
    return found if level < 0.5 else -found


def student_pdf(t: float, nu: float) -> float:
    """Return Student's density."""
    log = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu)
    log -= 0.5 * math.log(nu * math.pi) + 0.5 * (nu + 1.0) * math.log1p(t * t / nu)
    return math.exp(log)


def chi2_survival(x: float, degrees: int) -> float:
    """Return the probability that chi-square with 1 or 2 degrees of freedom exceeds ``x``."""
    if degrees not in (1, 2):
        raise ValueError(f"1 or 2 degrees of freedom, got {degrees}")
    x = max(x, 0.0)
    return math.erfc(math.sqrt(0.5 * x)) if degrees == 1 else math.exp(-0.5 * x)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function for ``x`` from 0 to 1."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction by Lentz's method."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    found = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        step = 1.0
        for part in (even, odd):
            d = 1.0 + part * d
            c = 1.0 + part / c
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            step = d * c
            found *= step
        if abs(step - 1.0) < _CLOSE:
            break
    return found
