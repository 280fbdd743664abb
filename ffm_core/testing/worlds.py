"""Worlds with a known truth, and the labeler that trades them.

A world is two simulated instruments, 30 months of 5-minute bars, with about 150
decisions a month each. What a decision earns on average, after costs, is set by
construction (:mod:`ffm_core.testing.worlds_kernel`):

=========  =============  ==============
world      marked half    other half
=========  =============  ==============
planted    ``edge`` (0.6) 0
null       0              0
trigger    0.3            0.3
rare       0              0
dependent  0              0
=========  =============  ==============

Decisions, sides and marks are announced by the last two digits of a bar's volume,
which the generator draws independently of the price; everything the labeler says is
computed from bars that are closed. Trades stop 2 × ATR14 away, aim at 2 R and end
after 150 bars at the latest; no two of a stream overlap.

Two kinds of null worlds test the intervals. In a *rare* one, stops lie eight times as close and
trades aim at 20 or 30 R: one in twenty wins. In a *dependent* one every trading day has a
mean of its own, from -0.9 to +0.9 R and the same in both instruments, and much of it
lasts to the next day; it is 0 on average over worlds, and strays in a single one. Daily
results correlate by 0.4 to 0.5 with those of the day before.

Measured with the fill kernel on seeds 1000 to 1059 (about 540,000 decisions per row),
mean net R and its standard error:

==============  ===============  ===============  ===================
world           marked half      other half       decisions per month
==============  ===============  ===============  ===================
planted +0.6    0.603 ± 0.003    -0.003 ± 0.003   149
planted +0.4    0.398 ± 0.003    0.000 ± 0.003    150
planted +0.2    0.202 ± 0.003    0.000 ± 0.003    152
null            0.003 ± 0.003    -0.002 ± 0.003   154
trigger +0.3    0.306 ± 0.003    0.300 ± 0.003    148
==============  ===============  ===============  ===================
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from ffm_core.bars.simulate import (
    MarketProfile,
    assemble,
    draw_pace,
    instrument,
    layout_of,
    random_state,
)
from ffm_core.bars.simulate_kernel import autoregression
from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.keyed import keyed
from ffm_core.records import Labeler
from ffm_core.runs.atomic import atomic_write
from ffm_core.testing.worlds_kernel import TARGET_R, world_bars
from ffm_core.testing.worlds_labeler import (
    CODES,
    FIRST_EVENT,
    HISTORY_BARS,
    HORIZON_BARS,
    LABELER,
    RARE_LABELER,
    RARE_PARTS,
    rare_target,
)
from ffm_core.types import Bool, Float64, Int32

WorldKind: TypeAlias = Literal["planted", "null", "trigger", "rare", "dependent"]

KINDS: tuple[WorldKind, ...] = get_args(WorldKind)
MONTHS = 30
LARGEST_EDGE = 1.5

_DEFAULT_EDGE = {"planted": 0.6, "trigger": 0.3}  # the other kinds have none
_CHANCE = 0.075  # of a decision per bar while no trade is open
_RARE_CHANCE = 0.031  # the same where trades are short
_DAY_EDGE, _DAY_MEMORY = 0.9, 0.75  # reach of a day's mean in R, and what lasts to the next
_DAY_LIFT = 0.033  # R, for what more and shorter trades of bad days take from the mean
_PROFILE = MarketProfile(sigma_ticks=24.0, slow=0.30, fast=0.25, jumps_per_day=0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Bars with a known truth, and the labeler whose decisions carry it.

    ``edge`` is the mean net R of the decisions that have one: the marked ones of a
    planted world, all of a trigger world, none of the others.
    """

    kind: WorldKind
    seed: int
    edge: float
    bars: list[Bars]
    labeler: Labeler


def make_world(
    kind: WorldKind,
    seed: int,
    edge: float | None = None,
    *,
    months: int = MONTHS,
    instruments: int = 2,
) -> World:
    """Make one world; the same arguments give the same bytes.

    Parameters
    ----------
    kind : {"planted", "null", "trigger", "rare", "dependent"}
        Where the edge sits, and of what kind a null world is.
    seed : int
        Every seed, kind and edge is another market under another symbol.
    edge : float, optional
        Mean net R where there is an edge, in hundredths from 0.01 to 1.50; default
        0.6 for planted and 0.3 for trigger worlds. The others have none.
    months : int
        Whole calendar months from January 2022.
    instruments : int
        Number of streams, 1 to 26.

    Raises
    ------
    ConfigError
        When the kind is unknown or a number is out of range.
    """
    size = checked_edge(kind, seed, edge)
    if not 1 <= instruments <= 26:
        raise ConfigError(f"a world of {instruments} instruments", fix="choose 1 to 26")
    suffix = f"E{round(size * 100):03d}" if size else ""
    symbols = [f"SIM{kind[0].upper()}{chr(65 + i)}{seed}{suffix}" for i in range(instruments)]
    bars = [_stream(kind, seed, symbol, size, months) for symbol in symbols]
    labeler = RARE_LABELER if kind == "rare" else LABELER
    return World(kind=kind, seed=seed, edge=size, bars=bars, labeler=labeler)


def save_world(world: World, folder: Path) -> list[Path]:
    """Write the bars of ``world`` as Parquet files that ``ffm eval --data`` reads.

    Parameters
    ----------
    world : World
        From :func:`make_world`.
    folder : pathlib.Path
        Created when missing; older files of the same world are replaced.

    Returns
    -------
    list of pathlib.Path
        One file per instrument, named ``<symbol>_5m.parquet``.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    paths = []
    for bars in world.bars:
        content = io.BytesIO()
        bars.frame.write_parquet(content)
        paths.append(folder / f"{bars.instrument.symbol}_{bars.timeframe}.parquet")
        atomic_write(paths[-1], content.getvalue())
    return paths


def checked_edge(kind: str, seed: int, edge: float | None) -> float:
    """Return the edge a world would have, in R.

    Raises
    ------
    ConfigError
        When the kind is unknown or a number is out of range.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no world {kind!r}", fix=f"choose one of {', '.join(KINDS)}")
    if not 0 <= seed < 10**9:
        raise ConfigError(f"seed {seed} is out of range", fix="choose 0 to 999999999")
    if kind not in _DEFAULT_EDGE:
        if edge:
            raise ConfigError(
                f"a {kind} world has no edge, {edge:g} R was asked for",
                fix="leave the edge out, or choose the planted or trigger world",
            )
        return 0.0
    size = _DEFAULT_EDGE[kind] if edge is None else edge
    if not 0.005 <= size <= LARGEST_EDGE:
        raise ConfigError(
            f"an edge of {size:g} R cannot be planted",
            fix=f"choose 0.01 to {LARGEST_EDGE:g}, or the null world for no edge",
        )
    return round(size, 2)


def _stream(kind: WorldKind, seed: int, symbol: str, edge: float, months: int) -> Bars:
    row = instrument(symbol)
    layout, step = layout_of(months, "5m")
    pace = draw_pace(layout, step, _PROFILE, symbol)
    rng = keyed(0, "ffm-world-1", symbol)
    size = len(layout)
    codes = rng.integers(FIRST_EVENT, CODES, size)
    rare = kind == "rare"
    chance = _RARE_CHANCE if rare else _CHANCE
    eligible = (rng.random(size) < chance) & _clear_of_rolls(layout.contract)
    coin, mark = ((codes - FIRST_EVENT) >> 2) & 1, (codes >> 1) & 1
    pays = mark > 0 if kind == "planted" else np.ones(size, dtype=np.bool_)
    means = np.where(pays, edge, 0.0)
    if kind == "dependent":
        means = _day_means(layout.first, seed)
    ticks, decided = world_bars(
        row.ticks(_PROFILE.start_price),
        HORIZON_BARS,
        row.cost_points() / row.tick_size,
        means,
        np.column_stack([pace.inside, pace.before, pace.roll]),
        layout.first,
        eligible,
        np.where(codes & 1, 1, -1),
        rare_target(coin) if rare else np.full(size, TARGET_R),
        RARE_PARTS if rare else 1,
        random_state(symbol, "walk"),
    )
    digits = np.where(decided, codes, rng.integers(0, FIRST_EVENT, size))
    volume = np.floor(pace.volume / CODES) * CODES + digits
    return assemble(ticks, volume, layout, row, step)


def _day_means(first: Bool, seed: int) -> Float64:
    """Return the mean net R of decisions at each bar (T,), which lasts from day to day."""
    day = np.cumsum(first) - 1
    noise = keyed(0, "ffm-world-days-1", seed).standard_normal(int(day[-1]) + 1)
    means = _DAY_LIFT + _DAY_EDGE * np.tanh(autoregression(noise, _DAY_MEMORY))
    return np.asarray(means[day])


def _clear_of_rolls(contract: Int32) -> Bool:
    """Mark bars whose history and longest trade hold no roll and stay inside the data."""
    size = len(contract)
    rolls = np.flatnonzero(np.diff(contract)) + 1
    edges = np.concatenate([[0], rolls, [size]])
    bar = np.arange(size)
    after = np.searchsorted(edges, bar, side="right")
    since, until = bar - edges[after - 1], edges[after] - bar
    return np.asarray((since >= HISTORY_BARS) & (until > HORIZON_BARS + 1))
