"""Which way the next half hour to an hour goes: a triple barrier set by the clock.

Stop, target and length of a trial trade depend on the part of the New York day
the bar opens in. A long and a short are walked by the fill kernel; the direction
is that of the one that reaches its target before its stop, which at most one can.

``barrier/direction`` enters where every trade of this project enters, at the next
bar's open, fills gaps at the open, and closes at the session's end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ffm_core.bars.primitives import atr_simple, frozen
from ffm_core.bars.sessions import session_end_mask, wall_us
from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.labels.kernels import fill_barriers, next_flat
from ffm_core.labels.step import DATA_END, STOP_FIRST, TARGET, TARGET_GAP
from ffm_core.labels.targets.breaks import broken, make, told, whole_behind
from ffm_core.records import TargetValues
from ffm_core.types import Bool, Float64, Int8, Int64

ATR_BARS = 14
CLASSES = ("short", "none", "long")
SHORT, NONE, LONG = 0.0, 1.0, 2.0

_MINUTE_US = 60_000_000
_ZONE = "America/New_York"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the day: minutes since midnight, distances in ATR, and a length."""

    name: str
    begin: int
    end: int
    target_atr: float
    stop_atr: float
    minutes: int


PARTS = (
    Part("open", 570, 660, 2.00, 1.25, 60),
    Part("midday", 660, 840, 1.25, 1.00, 40),
    Part("close", 840, 930, 1.50, 1.00, 30),
)
LONGEST = max(part.minutes for part in PARTS)


def part_of(bars: Bars) -> Int64:
    """Index into ``PARTS`` of each bar's open in New York, -1 outside; shape (T,)."""
    there = replace(bars.instrument, timezone=_ZONE)
    minute = wall_us(Bars(bars.frame, there, bars.timeframe)) // _MINUTE_US % 1440
    out = np.full(len(bars), -1, dtype=np.int64)
    for index, part in enumerate(PARTS):
        out[(minute >= part.begin) & (minute < part.end)] = index
    return out


def _bars_of(bars: Bars) -> Int64:
    """Length of each part in bars."""
    minutes = bars.timeframe.seconds // 60
    return np.array([max(1, part.minutes // minutes) for part in PARTS], dtype=np.int64)


def _check_timeframe(bars: Bars) -> None:
    seconds = bars.timeframe.seconds
    if seconds % 60 or not 60 <= seconds <= 1800:
        raise ConfigError(
            f"barrier/direction on {bars.timeframe.name} bars: its trades last 30 to 60 minutes",
            fix="use bars of 1 to 30 whole minutes",
        )


def directions(
    bars: Bars, rows: Int64, part: Int64, atr: Float64, opens: Float64, flat: Bool | None = None
) -> tuple[Float64, Int64]:
    """Return the direction of some bars and the bar that settled it.

    Parameters
    ----------
    bars : Bars
        Length ``T``.
    rows : int64 (N,)
        Bars that have a next one.
    part, atr : int64 and float64 (N,)
        Index into :data:`PARTS`, and the unit of distances in points.
    opens : float64 (T,)
        Opens of the bars, as the walk is to see them.
    flat : bool (T,), optional
        Bars at whose close everything is closed.

    Returns
    -------
    tuple of float64 (N,) and int64 (N,)
        ``SHORT``, ``NONE`` or ``LONG``, NaN where the data end before; and the bar.
    """
    flat_at = next_flat(flat)
    entry = opens[rows + 1]
    risk = np.array([p.stop_atr for p in PARTS])[part] * atr
    reward = np.array([p.target_atr / p.stop_atr for p in PARTS])[part]
    length = _bars_of(bars)[part].astype(np.int32)
    value = np.full(len(rows), NONE)
    last = rows.copy()
    for side, name in ((1, LONG), (-1, SHORT)):
        sides: Int8 = np.full(len(rows), side, dtype=np.int8)
        walked = fill_barriers(
            frozen(opens), frozen(bars.high), frozen(bars.low), frozen(bars.close), flat_at,
            rows + 1, sides, entry - side * risk, entry + side * reward * risk, risk, length,
            STOP_FIRST,
        )  # fmt: skip
        value[(walked.reason == TARGET) | (walked.reason == TARGET_GAP)] = name
        value[walked.reason == DATA_END] = np.nan
        last = np.maximum(last, walked.exit_bar)
    return value, last


def _compute(bars: Bars) -> TargetValues:
    _check_timeframe(bars)
    count = len(bars)
    part = part_of(bars)
    atr = atr_simple(bars.high, bars.low, bars.close, ATR_BARS)
    atr[~whole_behind(bars.rolls, count, ATR_BARS + 1)] = np.nan
    value = np.full(count, np.nan)
    end = np.arange(count, dtype=np.int64)
    rows = np.flatnonzero((part >= 0) & (atr > 0.0) & (end + 1 < count))
    flat = session_end_mask(bars)
    value[rows], end[rows] = directions(bars, rows, part[rows], atr[rows], bars.open, flat)
    pieces = broken(bars)
    value[pieces[end] != pieces] = np.nan
    return told(value, end)


DISTANCES = (
    "a = mean of the last 14 true ranges; New York 09:30-11:00: target 2.00 a, stop 1.25 a, "
    "60 min; 11:00-14:00: 1.25 a, 1.00 a, 40 min; 14:00-15:30: 1.50 a, 1.00 a, 30 min; "
)
SOURCE = "López de Prado (2018), chapter 3: triple barrier; distances of the reference, v2.1"

BARRIER = (
    make(
        "barrier/direction",
        _compute,
        kind="classes",
        horizon_bars=LONGEST,
        warmup_bars=ATR_BARS,
        classes=CLASSES,
        formula=f"{DISTANCES}the side that from O[t+1] meets its target before its stop",
        source=SOURCE,
        summary="Direction of the next 30 to 60 minutes; undefined outside 09:30-15:30 New York.",
    ),
)
