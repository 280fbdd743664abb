"""How good forecasts were: one score per forecaster, all on the same origins.

Point forecasts are medians. MAE, RMSE and MAPE are in price; MASE and skill compare MAE
and RMSE with those of ``naive_last`` on the same origins. Quantile loss (twice the
pinball loss, mean over levels), CRPS and widths are in the space of the forecast: log
price for a market, where 1e-4 is a basis point.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.errors import ConfigError
from ffm_core.types import Float64
from ffm_forecast import curve
from ffm_forecast.distribution import Forecasts
from ffm_forecast.forecasters import (
    DECILES,
    LEAST_CONTEXT,
    Advance,
    Forecaster,
    control,
)
from ffm_forecast.origins import Origins
from ffm_forecast.risk import LEAST_FORECASTS, Backtest, backtest
from ffm_forecast.significance import MeanDifference, Share, binomial, diebold_mariano, wilson

ENOUGH_WINDOWS = 200
_ROWS = 64  # origins at a time where two hundred levels are looked at
_RISK_LEVEL = 0.1
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """One forecaster on one set of origins.

    Parameters
    ----------
    n_windows : int
        Origins.
    mae, rmse : float
        In price, or in the value's own unit.
    mape : float or None
        Percent; None where a value is no price.
    mase, skill : float
        MAE over that of naive_last, and one minus the same of RMSE.
    direction : Share
        Median and outcome on the same side of the last value at the last step.
    direction_zeros : int
        Origins where one of them did not move; not counted.
    quantile_loss, quantile_ratio : float
        Twice the pinball loss, and the same over that of naive_last.
    crps, crps_ratio : float
        Continuous ranked probability score, and the same over that of naive_last.
    coverage_50, coverage_80 : Share
        Outcomes inside the central intervals. The 95 % interval takes every origin as
        one trial: steps of one origin move together.
    width_80 : float
        Mean width of the 80 % interval.
    dm, dm_quantile : MeanDifference
        Against naive_last, by absolute error and by quantile loss.
    risk : Backtest or None
        VaR and ES (normal tail) of a long position at 10 % against the return by the last
        step; None with fewer than 250 origins, overlapping targets, or no price.
    low_power : bool
        Fewer than 200 origins whose targets do not meet.
    possibly_seen : int
        Origins at or before the model's fit cut-off.
    """

    forecaster: str
    stream: str
    horizon: int
    context: int
    n_windows: int
    mae: float
    rmse: float
    mape: float | None
    mase: float
    skill: float
    direction: Share
    direction_zeros: int
    quantile_loss: float
    quantile_ratio: float
    crps: float
    crps_ratio: float
    coverage_50: Share
    coverage_80: Share
    width_80: float
    dm: MeanDifference
    dm_quantile: MeanDifference
    risk: Backtest | None
    crossings: int
    low_power: bool
    possibly_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Losses:
    absolute: Float64  # (N,) mean over steps
    square: Float64  # (N,)
    quantile: Float64  # (N,)
    crps: float
    forecasts: Forecasts


def context_of(forecaster: Forecaster, context: int | None) -> int:
    """Return how many bars a forecaster looks at when asked for ``context`` of them.

    Raises
    ------
    ConfigError
        When nothing can be forecast from so few.
    """
    wanted = forecaster.context_bars if context is None else context
    if wanted < LEAST_CONTEXT:
        raise ConfigError(
            f"a context of {wanted} bars is too short", fix=f"give {LEAST_CONTEXT} bars or more"
        )
    wanted = max(wanted, forecaster.least_context)
    return wanted if forecaster.most_context is None else min(wanted, forecaster.most_context)


def score(
    forecasters: Sequence[Forecaster],
    origins: Origins,
    *,
    context: int | None = None,
    advance: Advance | None = None,
) -> list[ForecastScore]:
    """Score forecasters on the same origins.

    Parameters
    ----------
    forecasters : sequence of Forecaster
        In the order of the answer; naive_last is worked out in any case.
    context : int, optional
        Bars to look at, default what each likes.
    advance : callable, optional
        Called with the number of forecasts done.
    """
    naive = _losses(control("naive_last"), origins, context, None)
    answers = []
    for forecaster in forecasters:
        if forecaster.name == "naive_last":
            found = naive
            if advance is not None:
                advance(len(origins))
        else:
            found = _losses(forecaster, origins, context, advance)
        answers.append(_score(forecaster, origins, found, naive))
    return answers


def _losses(
    forecaster: Forecaster, origins: Origins, context: int | None, advance: Advance | None
) -> _Losses:
    bars = min(context_of(forecaster, context), origins.longest)
    found = forecaster.forecast(
        origins.contexts(bars), origins.horizon, levels=DECILES, space=origins.space,
        advance=advance,
    )  # fmt: skip
    miss = _in_price(origins, found.point) - _in_price(origins, origins.actual)
    parts = [
        curve.crps(
            found.quantiles[k : k + _ROWS], found.levels, origins.actual[k : k + _ROWS]
        ).mean(axis=1)
        for k in range(0, len(origins), _ROWS)
    ]
    losses = curve.pinball(found.quantiles, found.levels, origins.actual)
    return _Losses(
        absolute=np.abs(miss).mean(axis=1),
        square=(miss**2).mean(axis=1),
        quantile=2.0 * losses.mean(axis=(1, 2)),
        crps=float(np.concatenate(parts).mean()),
        forecasts=found,
    )


def _in_price(origins: Origins, values: Float64) -> Float64:
    return np.exp(values) if origins.space == "log_price" else values


def _score(
    forecaster: Forecaster, origins: Origins, found: _Losses, naive: _Losses
) -> ForecastScore:
    forecasts, actual = found.forecasts, origins.actual
    mae, rmse = float(found.absolute.mean()), math.sqrt(float(found.square.mean()))
    quantile = float(found.quantile.mean())
    direction, zeros = _direction(forecasts, actual)
    lag = origins.overlap
    return ForecastScore(
        forecaster=forecaster.name,
        stream=origins.name,
        horizon=origins.horizon,
        context=int(forecasts.provenance["context"]),
        n_windows=len(origins),
        mae=mae,
        rmse=rmse,
        mape=_mape(origins, forecasts.point),
        mase=_ratio(mae, float(naive.absolute.mean())),
        skill=1.0 - _ratio(rmse, math.sqrt(float(naive.square.mean()))),
        direction=direction,
        direction_zeros=zeros,
        quantile_loss=quantile,
        quantile_ratio=_ratio(quantile, float(naive.quantile.mean())),
        crps=found.crps,
        crps_ratio=_ratio(found.crps, naive.crps),
        coverage_50=_coverage(forecasts, actual, 0.5),
        coverage_80=_coverage(forecasts, actual, 0.8),
        width_80=float(np.mean(np.diff(_interval(forecasts, 0.8), axis=-1))),
        dm=diebold_mariano(found.absolute, naive.absolute, lag=lag),
        dm_quantile=diebold_mariano(found.quantile, naive.quantile, lag=lag),
        risk=_risk(origins, forecasts),
        crossings=int(forecasts.crossings.sum()),
        low_power=origins.separate < ENOUGH_WINDOWS,
        possibly_seen=seen_before(forecaster, origins),
    )


def _ratio(value: float, base: float) -> float:
    return value / base if base > 0.0 else math.nan


def _mape(origins: Origins, point: Float64) -> float | None:
    if origins.space != "log_price":
        return None
    return float(100.0 * np.mean(np.abs(np.expm1(point - origins.actual))))


def _direction(forecasts: Forecasts, actual: Float64) -> tuple[Share, int]:
    """Compare the last step with the last value known, not with the first step."""
    said = np.sign(forecasts.point[:, -1] - forecasts.reference)
    came = np.sign(actual[:, -1] - forecasts.reference)
    moved = (said != 0.0) & (came != 0.0)
    hits = int(np.sum(said[moved] == came[moved]))
    return binomial(hits, int(moved.sum())), int(np.sum(~moved))


def _interval(forecasts: Forecasts, coverage: float) -> Float64:
    outer = 0.5 * (1.0 - coverage)
    wanted = np.array([outer, 1.0 - outer])
    return curve.quantiles_at(forecasts.quantiles, forecasts.levels, wanted, None)


def _coverage(forecasts: Forecasts, actual: Float64, coverage: float) -> Share:
    edges = _interval(forecasts, coverage)
    inside = (actual >= edges[..., 0]) & (actual <= edges[..., 1])
    return wilson(float(inside.mean()), len(actual))


def _risk(origins: Origins, forecasts: Forecasts) -> Backtest | None:
    if origins.space != "log_price" or origins.overlap or len(origins) < LEAST_FORECASTS:
        return None
    last, level = forecasts.reference, _RISK_LEVEL
    returns = np.expm1(origins.actual[:, -1] - last)
    q = np.expm1(forecasts.quantiles[:, -1] - last[:, None])
    var = -curve.quantiles_at(q, forecasts.levels, np.array([level]), None)[:, 0]
    es = np.maximum(-curve.mean_below(q, forecasts.levels, level, "normal"), var)
    usable = bool(np.all(es > 0.0))
    return backtest(returns, var, es if usable else None, level)


def seen_before(forecaster: Forecaster, origins: Origins) -> int:
    """Return how many origins lie at or before the day up to which a model was fitted.

    An unknown cut-off counts as the date of release.
    """
    cutoff = forecaster.released if forecaster.fit_cutoff is None else forecaster.fit_cutoff
    if not cutoff or len(origins.stamps) == 0:
        return 0
    day = dt.date.fromisoformat(cutoff[:10]) - dt.date(1970, 1, 1)
    return int(np.sum(origins.stamps < (day.days + 1) * _DAY_US))
