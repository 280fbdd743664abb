"""The survival ladder: how far a trade goes, in multiples of its risk, before its stop.

Heads learn P(reach X) for every rung X. A rung that is reached has all lower ones
below it, so the labels of one row never rise along the ladder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ffm_core.bars.primitives import atr_wilder, frozen
from ffm_core.bars.sessions import lost_sessions
from ffm_core.bars.table import Bars
from ffm_core.labels.entries import MIN_RISK_TICKS, TICK_SLACK
from ffm_core.labels.kernels import fill_barriers, next_flat, on_ticks
from ffm_core.labels.step import DATA_END, STOP_FIRST, rules_on
from ffm_core.labels.targets.breaks import make, told
from ffm_core.records import Outcomes, TargetValues
from ffm_core.types import Float64, Int8, Int64

RUNGS = (2.0, 3.0, 4.0, 6.0, 8.0)  # R
CLASSES = ("below 2 R", "2 R", "3 R", "4 R", "6 R", "8 R")
ATR_BARS, STOP_ATR, HORIZON = 14, 2.0, 130

_SLACK = 1e-9  # R: a target's price divided by the risk again


def rungs_reached(best_r: Float64) -> Float64:
    """Return the highest rung reached, as a class: 0 for none, 5 for 8 R; (N,).

    Parameters
    ----------
    best_r : float64 (N,)
        Best excursion before the stop, R; NaN stays NaN.
    """
    reached = np.searchsorted(np.array(RUNGS) - _SLACK, best_r, side="right").astype(np.float64)
    reached[np.isnan(best_r)] = np.nan
    return reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Which rungs each decision reached before its stop.

    Parameters
    ----------
    reached : int8 (N, 5)
        1 where the trade reached the rung of that column of ``RUNGS``, 0 where it
        did not, -1 in rows that do not count. Never rises along a row.
    t_end : int64 (N,)
        Microseconds UTC at which all of a row is known, for purging.
    """

    reached: Int8
    t_end: Int64


def ladder(outcomes: Outcomes) -> Ladder:
    """Return the rungs of decisions from their outcomes.

    The excursion is the one that ignores the target (``peak_r``), so it does not
    matter under which target the outcomes were made; what it needs is known by
    ``t_end_max``. The bar that touches the stop counts for nothing.
    """
    rung = rungs_reached(np.where(outcomes.valid, outcomes.peak_r, np.nan))
    reached = (rung[:, None] > np.arange(len(RUNGS))).astype(np.int8)
    reached[np.isnan(rung)] = -1
    return Ladder(reached=reached, t_end=outcomes.t_end_max)


def _compute(side: int, bars: Bars) -> TargetValues:
    count = len(bars)
    distance = STOP_ATR * atr_wilder(bars.high, bars.low, bars.close, ATR_BARS)
    bar = np.arange(count, dtype=np.int64)
    rules, smallest = rules_on(bars.instrument.tick_size), _smallest_risk(bars)
    rows = np.flatnonzero(np.isfinite(distance) & (bar + 1 < count))
    entry = bars.open[rows + 1]
    stop = on_ticks(entry - side * distance[rows], np.full(len(rows), side < 0), rules)
    wide = side * (entry - stop) >= smallest
    rows, entry, stop = rows[wide], entry[wide], stop[wide]
    value = np.full(count, np.nan)
    end = bar.copy()
    if len(rows):
        value[rows], end[rows] = _climb(bars, rows, side, entry, stop)
        for breaks in (bars.rolls, lost_sessions(bars)):
            value[breaks[end] != breaks] = np.nan
    return told(value, end)


def _smallest_risk(bars: Bars) -> float:
    return (MIN_RISK_TICKS - TICK_SLACK) * bars.instrument.tick_size


def _climb(
    bars: Bars, rows: Int64, side: int, entry: Float64, stop: Float64
) -> tuple[Float64, Int64]:
    n, rules = len(rows), rules_on(bars.instrument.tick_size)
    risk = side * (entry - stop)
    highest = on_ticks(entry + side * RUNGS[-1] * risk, np.full(n, side > 0), rules)
    walked = fill_barriers(
        frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close),
        next_flat(None), rows + 1, np.full(n, side, dtype=np.int8), stop, highest,
        risk, np.full(n, HORIZON, dtype=np.int32), STOP_FIRST,
    )  # fmt: skip
    best = np.where(walked.reason == DATA_END, np.nan, walked.best)
    return rungs_reached(best), walked.exit_bar


LADDER = tuple(
    make(
        f"ladder/{name}",
        partial(_compute, side),
        kind="classes",
        horizon_bars=HORIZON,
        warmup_bars=ATR_BARS - 1,
        classes=CLASSES,
        formula="highest of 2, 3, 4, 6, 8 R reached from O[t+1] before the stop or within "
        "130 bars; R = 2 ATR14 (Wilder) of bar t, the stop on a tick",
        source="own definition",
        summary=f"How far a {name} opened at the next bar goes before its stop.",
    )
    for name, side in (("long", 1), ("short", -1))
)
