"""The simulated market: seeded futures bars in which nothing can be earned.

Prices are fair tick walks (:mod:`ffm_core.bars.simulate_kernel`) whose pace follows
the clock and a clustered volatility that is independent of direction. The bars have
what real ones have: quiet nights and busy opens, bursts of volatility that last hours
and days, jumps, overnight and weekend gaps, a daily break, holidays, early closes and
quarterly rolls. Between rolls the price is a martingale, so before costs every rule
earns nothing on average and after costs it loses them: an honest null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.simulate_calendar import Grid, grid
from ffm_core.bars.simulate_kernel import UInt64, autoregression, free_bars
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError, ContractError
from ffm_core.keyed import keyed
from ffm_core.types import Float64, Int64

TICK_SIZE = 0.25
DEMO_MONTHS = 28
MAX_MONTHS = 120

_SYMBOL = re.compile(r"SIM([A-Z]{1,8})(\d{1,9})(?:E(\d{3}))?")
_VERSION = "ffm-sim-1"  # part of every key: another generator is another market
_FIVE_MINUTES = 300

# Minutes since 18:00 New York: evening, Europe's open, 09:30, noon, 16:00, 17:00.
_CLOCK = (0, 120, 480, 560, 900, 930, 950, 1080, 1200, 1300, 1320, 1335, 1380)
_VOLATILITY = (0.7, 0.45, 0.45, 0.8, 0.7, 2.0, 1.9, 1.1, 1.0, 1.5, 1.6, 0.7, 0.45)
_VOLUME = (0.5, 0.15, 0.15, 0.5, 0.5, 4.0, 3.6, 1.6, 1.4, 3.0, 3.6, 0.6, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProfile:
    """Character of one simulated market.

    ``sigma_ticks`` is the typical 5-minute standard deviation at the first price,
    ``slow`` and ``fast`` the standard deviations of log volatility from day to day
    and within hours, ``jumps_per_day`` their rate, ``carry`` the roll step as a
    fraction of the price, ``volume`` the typical volume of five minutes.
    """

    start_price: float = 12_000.0
    sigma_ticks: float = 20.0
    slow: float = 0.35
    fast: float = 0.30
    jumps_per_day: float = 0.35
    carry: float = 0.009
    volume: float = 4_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far each bar may walk: the volatility path, drawn before any direction.

    ``inside`` and ``before`` are steps within a bar and in the gap before its open
    (at the first price level), ``roll`` fractions of the price, ``volume`` whole
    contracts; float64 (T,).
    """

    inside: Float64
    before: Float64
    roll: Float64
    volume: Float64


def instrument(symbol: str) -> Instrument:
    """Return the contract of a simulated market.

    Parameters
    ----------
    symbol : str
        ``SIM`` + letters + seed, for example ``SIMA7``; worlds with a planted edge
        append it in hundredths of R (``SIMPA7E060``).

    Raises
    ------
    ContractError
        When the symbol is not of that form.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise ContractError(
            f"{symbol!r} is not a simulated market",
            fix="write SIM, a letter and a seed, for example SIMA7",
        )
    return Instrument(
        symbol=symbol,
        name=f"Simulated index future {symbol}",
        exchange="SIMULATED",
        group="simulated",
        tick_size=TICK_SIZE,
        point_value=50.0,
        commission_per_side=0.85,
        fees_per_side=1.40,
        slippage_ticks=1.0,
        months="HMUZ",
        calendar="CME Globex Equity",
        kind="simulated",
        source="ffm_core.bars.simulate",
    )


def market(
    symbol: str, *, seed: int | None = None, months: int = 24, timeframe: str | Timeframe = "5m"
) -> Bars:
    """Simulate one driftless market.

    Parameters
    ----------
    symbol : str
        ``SIMA7``, or ``SIMA`` or ``A`` together with ``seed``. ``SIMB…`` is a
        calmer market with rarer but larger bursts.
    seed : int, optional
        Seed when the symbol does not carry it.
    months : int
        Whole calendar months from January 2022, 1 to 120.
    timeframe : str or Timeframe
        Bar length; divides an hour.

    Returns
    -------
    Bars
        With a ``contract`` column; the same arguments give the same bytes.

    Raises
    ------
    ConfigError
        When ``months`` or ``timeframe`` cannot be simulated.
    ContractError
        When the symbol is not a simulated one.
    """
    row = instrument(full_symbol(symbol, seed))
    layout, step = layout_of(months, timeframe)
    profile = profile_of(row.symbol)
    pace = draw_pace(layout, step, profile, row.symbol)
    state = random_state(row.symbol, "walk")
    start = row.ticks(profile.start_price)
    ticks = free_bars(start, pace.inside, pace.before, pace.roll, layout.first, state)
    return assemble(ticks, pace.volume, layout, row, step)


def demo_market(seed: int = 0) -> list[Bars]:
    """Simulate the two instruments of the demo: 28 months of 5-minute bars each."""
    return [market(f"SIM{letter}{seed}", months=DEMO_MONTHS) for letter in "AB"]


def full_symbol(symbol: str, seed: int | None) -> str:
    """Complete ``A`` or ``SIMA`` with a seed; a complete symbol passes unchanged."""
    name = symbol if symbol.startswith("SIM") else f"SIM{symbol}"
    return name if seed is None or name[-1].isdigit() else f"{name}{seed}"


def layout_of(months: int, timeframe: str | Timeframe) -> tuple[Grid, Timeframe]:
    """Return the bar opens and the parsed timeframe, after checking both."""
    step = timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe)
    if not 1 <= months <= MAX_MONTHS:
        raise ConfigError(f"cannot simulate {months} months", fix=f"choose 1 to {MAX_MONTHS}")
    if 3600 % step.seconds or step.seconds < 60:
        raise ConfigError(
            f"cannot simulate bars of {step}", fix="choose a length that divides an hour, 1m to 1h"
        )
    return grid(months, step.seconds), step


def profile_of(symbol: str) -> MarketProfile:
    """Return the character that belongs to the letters of ``symbol``."""
    found = _SYMBOL.fullmatch(symbol)
    if found is not None and found[1] == "B":
        return MarketProfile(start_price=9_000.0, sigma_ticks=16.0, slow=0.42, jumps_per_day=0.25)
    return MarketProfile()


def draw_pace(layout: Grid, step: Timeframe, profile: MarketProfile, key: str) -> Pace:
    """Draw volatility, gaps, jumps, rolls and volume; nothing here knows a direction."""
    rng = keyed(0, _VERSION, key, "pace")
    size, scale = len(layout), step.seconds / _FIVE_MINUTES
    sigma = _sigma(layout, step, profile, rng)
    inside = np.maximum(np.rint(sigma**2 * scale * layout.fraction), 4.0)
    # Shut hours move the price as the square root of their number, in typical bars.
    typical = profile.sigma_ticks**2 * np.exp(2 * _per_session(layout, np.log(sigma)))
    shut = 1.2 * np.sqrt(layout.hours_shut) * rng.gamma(2.0, 0.5, size) * typical
    chance = profile.jumps_per_day * step.seconds / (23 * 3600)
    jump = (rng.random(size) < chance) * rng.uniform(9.0, 49.0, size) * sigma**2
    flicker = rng.choice((0.0, 0.0, 1.0, 2.0), size)
    before = np.rint(np.where(layout.first, shut, jump) + flicker)
    rolls = np.flatnonzero(np.diff(layout.contract)) + 1
    roll = np.zeros(size)
    roll[rolls] = profile.carry * rng.uniform(0.7, 1.3, len(rolls))
    busy = np.interp(layout.minute, _CLOCK, _VOLUME) * scale * layout.fraction
    volume = profile.volume * busy * np.sqrt(sigma / profile.sigma_ticks)
    volume = np.rint(volume * np.exp(0.35 * rng.standard_normal(size))) + 100.0
    return Pace(inside=inside, before=before, roll=roll, volume=volume)


def assemble(ticks: Int64, volume: Float64, layout: Grid, row: Instrument, step: Timeframe) -> Bars:
    """Turn walked ticks (T, 4) and stamps into ``Bars`` on the tick grid."""
    names = np.array([f"{row.symbol}.{name}" for name in layout.contract_names], dtype=object)
    columns = {
        name: ticks[:, i] * row.tick_size for i, name in enumerate(("open", "high", "low", "close"))
    }
    frame = pl.DataFrame({
        "ts": pl.Series(layout.ts_us, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        **columns,
        "volume": volume,
        "contract": pl.Series(names[layout.contract], dtype=pl.String),
    })  # fmt: skip
    return Bars(frame, row, step)


def random_state(key: str, purpose: str) -> UInt64:
    """Return a fresh state for the kernels, keyed by market and purpose."""
    return keyed(0, _VERSION, key, purpose).integers(0, 2**64, 1, dtype=np.uint64)


def _sigma(
    layout: Grid, step: Timeframe, profile: MarketProfile, rng: np.random.Generator
) -> Float64:
    """Draw the standard deviation of five minutes, in ticks at the first price level."""
    session = np.cumsum(layout.first) - 1
    slow = autoregression(rng.standard_normal(int(session[-1]) + 1), 0.95)
    memory = 0.97 ** (step.seconds / _FIVE_MINUTES)
    fast = autoregression(rng.standard_normal(len(layout)), memory)
    clock = np.interp(layout.minute, _CLOCK, _VOLATILITY)
    log = profile.slow * slow[session] + profile.fast * fast
    # Mean variance stays that of the profile: E exp(2z) = exp(2 var z).
    log -= profile.slow**2 + profile.fast**2
    return np.asarray(profile.sigma_ticks * clock * np.exp(log), dtype=np.float64)


def _per_session(layout: Grid, log_sigma: Float64) -> Float64:
    """Mean log volatility of each bar's session against the whole market's mean."""
    session = np.cumsum(layout.first) - 1
    means = np.bincount(session, log_sigma) / np.bincount(session)
    return np.asarray((means - log_sigma.mean())[session], dtype=np.float64)
