"""Who forecasts: backbones with a decoder, and controls that need nothing.

A forecaster is there or it is not. One that is absent is an error with the command that
brings it; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from scipy import special

from ffm_core import __version__
from ffm_core.bars.table import Bars
from ffm_core.embed.cards import DECODER, Card, read_card
from ffm_core.embed.catalogue import HUB, folder_of, folders, model_of
from ffm_core.errors import ConfigError, ModelError, UnknownNameError
from ffm_core.types import Float32, Float64, Int64
from ffm_core.wording import suggest
from ffm_forecast import controls
from ffm_forecast.curve import Tail, checked_levels
from ffm_forecast.distribution import Forecasts, Space, forecasts_of
from ffm_forecast.errors import ForecastError

LEAST_CONTEXT = 32
DECILES = tuple(k / 10 for k in range(1, 10))
CONTROLS = ("naive_last", "drift", "seasonal_naive", "ar", "ets")
Advance: TypeAlias = Callable[[int], None]
Quantiles: TypeAlias = Callable[[Float32, Advance | None], Float32]
Predict: TypeAlias = Callable[[Float64, int, Float64, Advance | None], Float64]
_CONSTANT = 1e-12  # standard deviation of a context that says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """Something that turns contexts into predictive distributions.

    Parameters
    ----------
    name, version : str
        What the user types, and what it was.
    kind : {"native_quantile", "normal_residual"}
        Quantiles a model was trained for, or a normal around a rule.
    predict : callable
        ``(contexts float64 (N, L), horizon, levels, advance) -> float64 (N, H, Q)``.
    levels : tuple of float
        Native levels; empty when every level can be asked for.
    least_context, context_bars : int
        Fewest bars it can look at, and how many it looks at by default.
    most_context, most_horizon : int, optional
        Limits; None for none.
    weights_sha256 : str
        Identity of the weights, or "".
    fit_cutoff, released : str
        See :class:`.Card`; "" for a control, which has seen nothing.
    trained_on, base : str
        Training data in a sentence; identity of what it was fine-tuned from.
    """

    name: str
    version: str
    kind: Literal["native_quantile", "normal_residual"]
    predict: Predict
    levels: tuple[float, ...] = ()
    least_context: int = LEAST_CONTEXT
    context_bars: int = 256
    most_context: int | None = None
    most_horizon: int | None = None
    weights_sha256: str = ""
    fit_cutoff: str | None = ""
    released: str = ""
    trained_on: str = ""
    base: str = ""

    def forecast(
        self,
        contexts: Float64,
        horizon: int,
        *,
        levels: Sequence[float] | None = None,
        space: Space = "log_price",
        tail: Tail | None = None,
        advance: Advance | None = None,
    ) -> Forecasts:
        """Forecast from many contexts at once.

        Parameters
        ----------
        contexts : float64 (N, L)
            Values up to each origin, newest last, finite. More than the forecaster can
            look at are cut off on the left, which the provenance says.
        horizon : int
            Steps ahead.
        levels : sequence of float, optional
            Default the native ones, or the nine deciles.
        space : str
            What the values are; the forecaster does not care.
        tail : str, optional
            Needed for levels beyond the native ones.
        advance : callable, optional
            Called with the number of contexts done.

        Raises
        ------
        ForecastError
            When the contexts are too short, not finite or constant, or a level lies
            outside the native ones.
        ConfigError
            When the horizon is out of range.
        """
        values = np.asarray(contexts, dtype=np.float64)
        self._check(values, horizon)
        given = values.shape[1]
        if self.most_context is not None:
            values = values[:, -self.most_context :]
        native = self.levels or tuple(DECILES if levels is None else levels)
        raw = self.predict(values, horizon, checked_levels(np.array(native)), advance)
        found = forecasts_of(
            raw,
            native,
            space=space,
            reference=values[:, -1],
            provenance={
                "model": self.name,
                "version": self.version,
                "weights_sha256": self.weights_sha256,
                "kind": self.kind,
                "context": values.shape[1],
                "context_given": given,
                "horizon": horizon,
                "fit_cutoff": self.fit_cutoff,
            },
        )
        if levels is None or tuple(levels) == tuple(native):
            return found
        return found.at_levels(levels, tail)

    def _check(self, values: Float64, horizon: int) -> None:
        if values.ndim != 2 or values.shape[1] < self.least_context:
            bars = values.shape[-1] if values.ndim else 0
            raise ForecastError(
                f"{self.name} needs at least {self.least_context} bars before the origin, "
                f"got {bars}",
                fix="choose a later origin, or give more bars or a longer context",
            )
        if not np.isfinite(values).all():
            row, bar = np.argwhere(~np.isfinite(values))[0]
            raise ForecastError(
                f"context {row} contains a non-finite value "
                f"{values.shape[1] - 1 - bar} bars before its origin",
                fix="check the data with 'ffm data check'; log prices need prices above zero",
            )
        if horizon < 1 or (self.most_horizon is not None and horizon > self.most_horizon):
            most = "" if self.most_horizon is None else f" to {self.most_horizon}"
            raise ConfigError(
                f"{self.name} forecasts 1{most or ' or more'} steps, got {horizon}",
                fix=f"choose a horizon from 1{most}" if most else "choose a horizon of 1 or more",
            )


def backbone(card: Card, quantiles: Quantiles) -> Forecaster:
    """Return the forecaster of a backbone.

    Parameters
    ----------
    card : Card
        What it is.
    quantiles : callable
        ``(windows float32 (N, L), advance) -> float32 (N, Q, H)`` in the units of the
        normalised windows; L is a multiple of the patch, NaN marks bars not there.
    """
    return Forecaster(
        name=card.name,
        version=f"{card.architecture} {card.weights_sha256[:12]}",
        kind="native_quantile",
        predict=partial(_from_backbone, card, quantiles),
        levels=card.quantiles,
        context_bars=card.context_length,
        most_context=card.context_length,
        most_horizon=card.horizon,
        weights_sha256=card.weights_sha256,
        fit_cutoff=card.fit_cutoff,
        released=card.released,
        trained_on=card.trained_on,
        base=card.base,
    )


def _from_backbone(
    card: Card, quantiles: Quantiles, values: Float64, horizon: int, levels: Float64,
    advance: Advance | None,
) -> Float64:  # fmt: skip
    """Normalise in float64, ask, and put centre and scale back in float64."""
    last = values[:, -1:]
    centred = values - last
    mean = centred.mean(axis=1, keepdims=True)
    scale = centred.std(axis=1, keepdims=True)
    if len(values) and float(scale.min()) < _CONSTANT:
        raise ForecastError(
            f"context {int(np.argmin(scale))} is constant, so {card.name} cannot scale it",
            fix="choose an origin at which the market moves",
        )
    short = -values.shape[1] % card.patch
    windows = np.full((len(values), short + values.shape[1]), np.nan, dtype=np.float32)
    windows[:, short:] = (centred - mean) / scale
    told = quantiles(windows, advance)[:, :, :horizon].astype(np.float64)
    return np.asarray(told.transpose(0, 2, 1) * scale[..., None] + (mean + last)[..., None])


def _from_rule(
    rule: controls.Rule, values: Float64, horizon: int, levels: Float64, advance: Advance | None
) -> Float64:
    centre, spread = rule(values, horizon)
    if advance is not None:
        advance(len(values))
    return np.asarray(centre[..., None] + spread[..., None] * special.ndtri(levels))


def control(name: str, *, season: int | None = None) -> Forecaster:
    """Return a control by name: ``naive_last``, ``drift``, ``seasonal_naive:m``, ``ar:p``, ``ets``.

    Parameters
    ----------
    season : int, optional
        Bars of a season where the name does not say.

    Raises
    ------
    ConfigError
        When a number is missing or out of range.
    """
    kind, _, number = name.partition(":")
    least, title = LEAST_CONTEXT, kind
    if number and (not number.isdigit() or kind not in ("seasonal_naive", "ar")):
        raise ConfigError(
            f"{name!r} cannot be read",
            fix="write seasonal_naive:24 or ar:3, and others without a number",
        )
    rules: dict[str, controls.Rule] = {
        "naive_last": controls.naive_last,
        "drift": controls.drift,
        "ets": controls.ets,
    }
    if kind == "seasonal_naive":
        season = int(number) if number else season
        if not season:
            raise ConfigError(
                "seasonal_naive needs the number of bars in a season", fix="write seasonal_naive:24"
            )
        rule: controls.Rule = partial(controls.seasonal_naive, season=season)
        least, title = season + LEAST_CONTEXT, f"{kind}:{season}"
    elif kind == "ar":
        lags = int(number) if number else None
        if lags is not None and not 1 <= lags <= controls.MOST_LAGS:
            raise ConfigError(
                f"ar takes 1 to {controls.MOST_LAGS} lags, got {lags}",
                fix="write ar to choose the best order",
            )
        rule, title = partial(controls.autoregression, lags=lags), name
    else:
        rule = rules[kind]
    return Forecaster(
        name=title,
        version=f"ffm-core {__version__}",
        kind="normal_residual",
        predict=partial(_from_rule, rule),
        least_context=least,
        context_bars=max(least, 256),
    )


def forecaster_of(name: str, *, season: int | None = None) -> Forecaster:
    """Return the forecaster called ``name``: a control, or a backbone on this machine.

    Raises
    ------
    UnavailableError
        When it is a published model that was not added yet.
    UnknownNameError
        When nothing is known by that name.
    ModelError
        When the backbone only embeds, or its card is broken.
    """
    if name.partition(":")[0] in CONTROLS:
        return control(name, season=season)
    try:
        folder = folder_of(name)
    except UnknownNameError as error:
        known = [*CONTROLS, *folders(), *HUB]
        fix = suggest(name, known, noun="forecasters")
        raise UnknownNameError(f"there is no forecaster named {name!r}", fix=fix) from error
    card = read_card(folder)
    if DECODER not in card.files or not card.quantiles:
        raise ModelError(
            f"{name} embeds but does not forecast",
            fix="choose another backbone; 'ffm backbone list' shows which ones forecast",
        )
    return backbone(card, partial(_ask, name))


def _ask(name: str, windows: Float32, advance: Advance | None) -> Float32:
    return model_of(name).quantiles(windows, advance)


def contexts_at(values: Float64, at: Int64, bars: int) -> Float64:
    """Return the ``bars`` values that end at each index, float64 (N, bars).

    Raises
    ------
    ForecastError
        When an index has too few values before it.
    """
    at = np.asarray(at, dtype=np.int64)
    if len(at) and (int(at.min()) < bars - 1 or int(at.max()) >= len(values)):
        raise ForecastError(
            f"origins from {int(at.min())} to {int(at.max())} need {bars} bars each, and there "
            f"are {len(values)}",
            fix=f"choose origins from {bars - 1} to {len(values) - 1}",
        )
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, bars)[at - bars + 1])


def log_closes(bars: Bars) -> Float64:
    """Return the logarithm of every close, float64 (T,); NaN where it has none."""
    close = bars.close
    good = np.isfinite(close) & (close > 0.0)
    return np.log(np.where(good, close, np.nan))


def forecast_at(
    forecaster: Forecaster,
    bars: Bars,
    at: int,
    horizon: int,
    *,
    context: int | None = None,
    levels: Sequence[float] | None = None,
    tail: Tail | None = None,
) -> Forecasts:
    """Forecast log prices from one bar; a short history makes the context shorter.

    Parameters
    ----------
    at : int
        Index of the last bar that is known; it must have closed.
    context : int, optional
        Bars to look at, default what the forecaster likes.

    Raises
    ------
    ForecastError, ConfigError
        See :meth:`Forecaster.forecast`.
    """
    wanted = max(context or forecaster.context_bars, forecaster.least_context)
    values = log_closes(bars)[max(at + 1 - wanted, 0) : at + 1]
    return forecaster.forecast(values[None], horizon, levels=levels, tail=tail)
