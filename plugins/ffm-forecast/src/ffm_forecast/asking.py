"""One question to a forecaster or an ensemble, and everything its answer holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ffm_core.bars.sessions import lost_sessions, to_stamp
from ffm_core.bars.table import Bars
from ffm_core.embed.cards import read_card
from ffm_core.embed.catalogue import folders
from ffm_core.errors import FFMError, ModelError, UsageError
from ffm_forecast.curve import Tail
from ffm_forecast.distribution import Forecast
from ffm_forecast.ensemble import Combined, combine
from ffm_forecast.errors import ForecastError
from ffm_forecast.forecasters import Forecaster, forecast_at, forecaster_of, log_closes
from ffm_forecast.origins import season_of
from ffm_forecast.risk import risk
from ffm_forecast.scoring import context_of

RISK_LEVELS = (0.1, 0.05, 0.01)
_MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of one stream.

    Parameters
    ----------
    stream, origin, price
        What was forecast, the close of the last bar that was known (UTC), and its price.
    bar : int
        Index of that bar.
    forecast : Forecast
        Of log prices.
    stamps : tuple of str
        What every forecaster is made of.
    cautions : tuple of str
        What speaks against believing it.
    combined : Combined or None
        The ensemble behind it.
    """

    stream: str
    origin: str
    price: float
    bar: int
    forecast: Forecast
    stamps: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    combined: Combined | None = None

    def facts(self) -> dict[str, Any]:
        """Return what a JSON document holds of it, in prices."""
        found = {
            "stream": self.stream,
            "origin": self.origin,
            "price": self.price,
            "stamps": list(self.stamps),
            "cautions": list(self.cautions),
            "forecast": self.forecast.to("price").facts(),
            "risk": risk_rows(self.forecast),
        }
        if self.combined is not None:
            found["ensemble"] = ensemble_facts(self.combined)
        return found


def origin_of(bars: Bars, stamp: str | None, tz: str | None) -> int:
    """Return the last bar that has closed at a time, or the last one.

    Parameters
    ----------
    stamp : str, optional
        ISO time; without a zone of its own it is read in ``tz``.

    Raises
    ------
    UsageError
        When it is no time, or has no zone.
    ForecastError
        When no bar has closed by then.
    """
    if stamp is None:
        if len(bars) == 0:
            raise ForecastError(f"{bars.stream} contains no bars", fix="give a file with bars")
        return len(bars) - 1
    try:
        when = dt.datetime.fromisoformat(stamp.strip())
    except ValueError as error:
        raise UsageError(
            f"--at {stamp!r} is not a time", fix="write 2025-03-14T15:30Z, or add --tz ZONE"
        ) from error
    if when.tzinfo is None:
        if tz is None:
            raise UsageError(f"--at {stamp!r} has no time zone", fix="append Z, or add --tz ZONE")
        when = when.replace(tzinfo=ZoneInfo(tz))
    us = round(when.timestamp() * _MICRO)
    at = int(np.searchsorted(bars.ts_us + bars.timeframe.us, us, side="right")) - 1
    if at < 0:
        first = to_stamp(int(bars.ts_us[0])) if len(bars) else "none"
        raise ForecastError(
            f"{bars.stream}: no bar has closed at {stamp}; the first opens at {first}",
            fix="choose a later time",
        )
    return at


def ask(
    bars: Bars,
    at: int,
    horizon: int,
    *,
    members: Mapping[str, float | None],
    context: int | None = None,
    levels: Sequence[float] | None = None,
    tail: Tail | None = None,
    allow_partial: bool = False,
) -> Answer:
    """Ask one forecaster, or several as an ensemble, from one bar.

    Parameters
    ----------
    members : mapping of str to float or None
        Names and weights; None for equal ones.
    levels : sequence of float, optional
        Levels of the answer, default the forecaster's own.

    Raises
    ------
    FFMError
        When a name, a level, the horizon or the data cannot be used.
    """
    season = season_of(bars)
    combined: Combined | None = None
    stamps: tuple[str, ...]
    if len(members) == 1:
        forecaster = forecaster_of(next(iter(members)), season=season)
        looked = context_of(forecaster, context)
        found = forecast_at(forecaster, bars, at, horizon, context=looked, levels=levels, tail=tail)
        forecast = found.one(0, tail)
        stamps = (stamp_of(forecaster),)
    else:
        offered = {name: _absent(name, season) for name in members}
        present = {n: m for n, m in offered.items() if isinstance(m, Forecaster)}
        values = log_closes(bars)[: at + 1]
        contexts = {n: values[None, -context_of(m, context) :] for n, m in present.items()}
        looked = max((found.shape[1] for found in contexts.values()), default=1)
        weights = {n: w for n, w in members.items() if w is not None}
        combined = combine(
            offered, contexts, horizon, weights=weights or None, tail=tail or "normal",
            allow_partial=allow_partial,
        )  # fmt: skip
        forecast = combined.forecast.with_tail(tail)
        if levels is not None:
            forecast = _at_levels(forecast, levels)
        stamps = tuple(stamp_of(m) for n, m in present.items() if n in combined.used)
    return Answer(
        stream=bars.stream,
        origin=to_stamp(int(bars.ts_us[at]) + bars.timeframe.us),
        price=float(bars.close[at]),
        bar=at,
        forecast=forecast,
        stamps=stamps,
        cautions=cautions_of(bars, max(at + 1 - looked, 0), at),
        combined=combined,
    )


def cautions_of(bars: Bars, first: int, last: int) -> tuple[str, ...]:
    """Return a line for each flaw between the first and the last bar of a context."""
    found = []
    if lost_sessions(bars)[first] != lost_sessions(bars)[last]:
        found.append("the bars it uses are missing at least one session")
    if bars.rolls[first] != bars.rolls[last]:
        found.append("the contract rolls within the bars it uses; that step is not a price move")
    return tuple(found)


def _absent(name: str, season: int) -> Forecaster | FFMError:
    try:
        return forecaster_of(name, season=season)
    except ModelError:
        raise  # there, and broken: nothing to go on without
    except FFMError as error:
        if error.exit_code == ModelError.exit_code:
            return error
        raise


def _at_levels(forecast: Forecast, levels: Sequence[float]) -> Forecast:
    wanted = np.asarray(levels, dtype=np.float64)
    return Forecast(
        quantiles=forecast.quantile(wanted), levels=wanted, space=forecast.space,
        reference=forecast.reference, crossings=forecast.crossings, tail=forecast.tail,
        provenance=forecast.provenance,
    )  # fmt: skip


def stamp_of(forecaster: Forecaster) -> str:
    """Return one line that says what is forecasting."""
    if forecaster.kind == "normal_residual":
        return f"{forecaster.name}: a control without weights ({forecaster.version})"
    if forecaster.fit_cutoff is None:
        seen = f"newest market bar unknown, taken as {forecaster.released or 'unknown'}"
    elif forecaster.fit_cutoff:
        seen = f"newest market bar {forecaster.fit_cutoff}"
    else:
        seen = "has seen no market bars"
    tuned = ", FINE-TUNED" if forecaster.base else ""
    return (
        f"{forecaster.name}: weights {forecaster.weights_sha256[:12]}{tuned}, {seen}; "
        f"{forecaster.trained_on}"
    )


def unused_tunings(used: Sequence[str]) -> list[str]:
    """Return a line for each fine-tuned backbone on this machine that was not asked."""
    lines = []
    for name, folder in folders().items():
        if name not in used and read_card(folder).base:
            lines.append(
                f"fine-tuned {name} is available but not used; select it with --backbone {name}"
            )
    return lines


def risk_rows(forecast: Forecast) -> list[dict[str, Any]]:
    """Return VaR and ES at the last step, for the levels the forecast can speak of."""
    rows = []
    for level in RISK_LEVELS:
        for side in ("long", "short"):
            try:
                found = risk(forecast, level, side)
            except ForecastError:
                continue
            es = None if found.es is None else float(found.es[-1])
            rows.append(
                {"level": level, "side": side, "var": float(found.var[-1]), "es": es,
                 "tail": found.tail, "step": forecast.horizon}
            )  # fmt: skip
    return rows


def ensemble_facts(combined: Combined) -> dict[str, Any]:
    """Return what a JSON document holds of an ensemble.

    ``point`` and ``normal_approx`` are prices, like the quantiles beside them; what ends in
    ``_log`` is a spread of log prices, about a share of the price.
    """
    return {
        "used": dict(combined.used),
        "failed": dict(combined.failed),
        "absent": dict(combined.absent),
        "point": np.exp(combined.point),
        "std_log": combined.std,
        "disagreement_log": combined.disagreement,
        "disagreement_unweighted_log": combined.disagreement_unweighted,
        "confidence": combined.confidence,
        "normal_approx": [np.exp(end) for end in combined.normal_approx],
    }
