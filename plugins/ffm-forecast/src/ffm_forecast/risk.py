"""Value at risk and expected shortfall of a predictive distribution, and their backtests.

A loss is a positive number. For the simple return ``R = P_h / P_0 − 1`` and a level α,
``VaR = −Q_α(R)`` and ``ES = −E[R | R ≤ Q_α(R)]`` for a long position; a short one uses
the upper tail. The integral between the levels is exact (see :mod:`.curve`); what lies
beyond the lowest level comes from a tail model that the answer names.

Sources: Kupiec (1995), *Journal of Derivatives* 3(2); Christoffersen (1998),
*International Economic Review* 39(4); Acerbi and Szekely (2014), *Risk*, December.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import special

from ffm_core.errors import ConfigError, SampleError
from ffm_core.types import Bool, Float64
from ffm_forecast import curve
from ffm_forecast.curve import Tail
from ffm_forecast.distribution import Forecast

Side: TypeAlias = Literal["long", "short"]
LEAST_FORECASTS = 250
_SZEKELY_LIMIT = -0.7  # 5 % critical value over a wide range of tails, Acerbi and Szekely


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Losses of one unit of money in a position, shape (H,) each.

    ``es`` is None when the forecast has no tail: the mean beyond a level always reaches
    where a forecast of some levels says nothing.
    """

    level: float
    side: Side
    tail: Tail | None
    var: Float64
    es: Float64 | None


def risk(forecast: Forecast, level: float = 0.05, side: Side = "long") -> Risk:
    """Return VaR and ES of every step.

    Parameters
    ----------
    forecast : Forecast
        Of log prices, prices or returns.
    level : float
        Probability of a larger loss, from 0 to 0.5.
    side : {"long", "short"}
        The position.

    Raises
    ------
    ForecastError
        When the level lies outside those of the forecast and it has no tail.
    ConfigError
        When the level is no probability of a loss.
    """
    if not 0.0 < level < 0.5:
        raise ConfigError(
            f"a risk level must be between 0 and 0.5, got {level:g}", fix="use 0.05 or 0.01"
        )
    returns = forecast.to("simple_return")
    q, levels = returns.quantiles, returns.levels
    if side == "short":
        q, levels = -q[:, ::-1], 1.0 - levels[::-1]
    var = -curve.quantiles_at(q, levels, np.array([level]), forecast.tail)[:, 0]
    es = None
    if forecast.tail is not None:
        es = np.maximum(-curve.mean_below(q, levels, level, forecast.tail), var)
    return Risk(level=level, side=side, tail=forecast.tail, var=var, es=es)


def units(
    *, budget: float, equity: float, es: float, price: float, point_value: float, most: float
) -> float:
    """Return how many contracts lose the budget on average in the bad cases.

    ``budget · equity / (ES · price · point value)``, at most ``most``.

    Parameters
    ----------
    budget : float
        Share of the equity that may be lost, from 0 to 1.
    es : float
        Expected shortfall of the simple return; without a loss the cap decides.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """
    for name, value in (("equity", equity), ("price", price), ("point_value", point_value)):
        if not 0.0 < value < math.inf:
            raise ConfigError(f"{name} must be positive, got {value:g}", fix="give a number > 0")
    if not 0.0 <= budget <= 1.0 or not most >= 0.0 or not math.isfinite(es):
        raise ConfigError(
            f"cannot size with a budget of {budget:g}, a cap of {most:g} and an ES of {es:g}",
            fix="give a budget from 0 to 1, a cap of 0 or more and a finite ES",
        )
    if es <= 0.0:
        return most
    return min(budget * equity / (es * price * point_value), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """One likelihood ratio with its p-value; NaN where the data cannot say."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How often and how badly losses went beyond what was forecast.

    Parameters
    ----------
    n, exceptions : int
        Forecasts, and losses beyond VaR.
    kupiec : LikelihoodRatio
        Whether exceptions are as frequent as they should be; chi-square, 1 degree.
    independence : LikelihoodRatio
        Whether exceptions come alone (Christoffersen); chi-square, 1 degree.
    coverage : LikelihoodRatio
        Both together; chi-square, 2 degrees.
    z2 : float or None
        Acerbi and Szekely's second statistic: 0 expected, negative when losses are
        larger or more frequent than ES says; None without ES.
    z2_rejects : bool or None
        Whether it lies below −0.7, the 5 % limit.
    """

    level: float
    n: int
    exceptions: int
    kupiec: LikelihoodRatio
    independence: LikelihoodRatio
    coverage: LikelihoodRatio
    z2: float | None
    z2_rejects: bool | None


def backtest(returns: Float64, var: Float64, es: Float64 | None, level: float) -> Backtest:
    """Compare forecast losses with what came.

    Parameters
    ----------
    returns : float64 (N,)
        Returns of the position in order of time, each over the forecast's horizon;
        horizons that overlap make exceptions come together.
    var, es : float64 (N,)
        Forecast losses, positive.

    Raises
    ------
    SampleError
        With fewer than 250 forecasts.
    """
    if not len(returns) == len(var) == (len(var) if es is None else len(es)):
        raise ConfigError(
            f"{len(returns)} returns for {len(var)} forecasts of VaR",
            fix="give one return for every forecast",
        )
    if len(returns) < LEAST_FORECASTS:
        raise SampleError(
            f"a backtest of VaR needs {LEAST_FORECASTS} forecasts, got {len(returns)}",
            fix="use a longer span or a shorter horizon",
        )
    beyond = returns < -var
    frequency, alone = kupiec(beyond, level), christoffersen(beyond)
    both = frequency.statistic + alone.statistic
    z2 = None if es is None else acerbi_szekely(returns, beyond, es, level)
    return Backtest(
        level=level,
        n=len(returns),
        exceptions=int(beyond.sum()),
        kupiec=frequency,
        independence=alone,
        coverage=LikelihoodRatio(statistic=both, p_value=float(special.chdtrc(2, both))),
        z2=z2,
        z2_rejects=None if z2 is None else z2 < _SZEKELY_LIMIT,
    )


def kupiec(beyond: Bool, level: float) -> LikelihoodRatio:
    """Return the proportion-of-failures test of exceptions, bool (N,)."""
    n, x = len(beyond), int(beyond.sum())
    null = _log_likelihood(n - x, x, level)
    statistic = max(-2.0 * (null - _log_likelihood(n - x, x, x / n)), 0.0)
    return LikelihoodRatio(statistic=statistic, p_value=float(special.chdtrc(1, statistic)))


def christoffersen(beyond: Bool) -> LikelihoodRatio:
    """Return the test of independence of neighbouring exceptions, bool (N,).

    NaN when there was no exception, or nothing else.
    """
    before, after = beyond[:-1], beyond[1:]
    n00, n01 = int(np.sum(~before & ~after)), int(np.sum(~before & after))
    n10, n11 = int(np.sum(before & ~after)), int(np.sum(before & after))
    if n00 + n01 == 0 or n10 + n11 == 0:
        return LikelihoodRatio(statistic=math.nan, p_value=math.nan)
    share = (n01 + n11) / (n00 + n01 + n10 + n11)
    null = _log_likelihood(n00 + n10, n01 + n11, share)
    full = _log_likelihood(n00, n01, n01 / (n00 + n01))
    full += _log_likelihood(n10, n11, n11 / (n10 + n11))
    statistic = max(-2.0 * (null - full), 0.0)
    return LikelihoodRatio(statistic=statistic, p_value=float(special.chdtrc(1, statistic)))


def acerbi_szekely(returns: Float64, beyond: Bool, es: Float64, level: float) -> float:
    """Return ``Z₂ = Σ R·1{exception} / (N α ES) + 1``."""
    return float(np.sum(np.where(beyond, returns / es, 0.0)) / (len(returns) * level) + 1.0)


def _log_likelihood(misses: int, hits: int, share: float) -> float:
    total = 0.0
    if misses:
        total += misses * math.log1p(-share) if share < 1.0 else -math.inf
    if hits:
        total += hits * math.log(share) if share > 0.0 else -math.inf
    return total
