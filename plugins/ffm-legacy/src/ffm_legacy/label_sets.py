"""The four label sets the first encoder was trained on, as they were.

Kept to reproduce the reference; rolls and gaps are bars like others here. Two of
them know rows that may be used as input but carry no loss
(:attr:`~ffm_core.records.TargetValues.MASKED`).
"""

from __future__ import annotations

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.bars.table import Bars
from ffm_core.labels.targets.breaks import ahead, make, told_at
from ffm_core.labels.targets.windows import (
    rolling_extremes,
    rolling_median,
    rolling_rank,
    rolling_sd,
    rolling_sd_of_known,
)
from ffm_core.records import TargetValues
from ffm_core.types import Float64

_SLOW, _FAST = 20, 10  # bars ahead
_NORM, _NORM_LEAST = 200, 50
_RANKED, _RANKED_LEAST = 100, 30
_BEFORE = 12
_BOX = 20

_VOLATILITY_EDGES = np.array([0.25, 0.60, 0.85])  # of the rank
_RANGE_EDGES = np.array([0.2, 0.4, 0.6, 0.8])  # of the place in the range


def _coming_sd(close: Float64, horizon: int) -> Float64:
    """Sample SD of the simple returns of the next ``horizon`` bars, (T,)."""
    step = np.full(len(close), np.nan)
    step[1:] = close[1:] / close[:-1] - 1.0
    return frozen(ahead(rolling_sd(frozen(step), horizon), horizon))


def _regime(bars: Bars) -> TargetValues:
    close = frozen(bars.close)
    move = ahead(close, _SLOW) / close - 1.0
    sd = _coming_sd(close, _SLOW)
    wild = 1.5 * rolling_median(sd, _NORM, _NORM_LEAST)
    far = 0.8 * rolling_sd_of_known(frozen(move), _NORM, _NORM_LEAST)
    value = np.full(len(close), TargetValues.MASKED)
    value[sd > wild] = 3.0
    calm = sd < 0.85 * wild
    value[calm & (move > far)] = 0.0
    value[calm & (move < -far)] = 1.0
    value[calm & (np.abs(move) < 0.6 * far)] = 2.0
    value[~np.isfinite(move + sd + wild + far)] = np.nan
    return told_at(value, _SLOW)


def _volatility(bars: Bars) -> TargetValues:
    sd = _coming_sd(frozen(bars.close), _FAST)
    less, equal, known = rolling_rank(sd, sd, _RANKED)
    rank = (less + (equal + 1) / 2.0) / np.maximum(known, 1)
    value = np.digitize(rank, _VOLATILITY_EDGES).astype(np.float64)
    value[np.isnan(sd) | (known < _RANKED_LEAST)] = np.nan
    return told_at(value, _FAST)


def _structure(bars: Bars) -> TargetValues:
    high, low = frozen(bars.high), frozen(bars.low)
    top, bottom = rolling_extremes(high, low, _BEFORE)
    next_top, next_bottom = (ahead(x, _SLOW) for x in rolling_extremes(high, low, _SLOW))
    value = np.full(len(high), TargetValues.MASKED)
    value[(next_top > top) & (next_bottom > bottom)] = 0.0
    value[(next_top < top) & (next_bottom < bottom)] = 1.0
    value[np.isnan(top) | np.isnan(next_top)] = np.nan
    return told_at(value, _SLOW)


def _range(bars: Bars) -> TargetValues:
    close = frozen(bars.close)
    top, bottom = rolling_extremes(close, close, _BOX)
    width = top - bottom
    width[width == 0.0] = np.nan
    place = np.clip((ahead(close, _FAST) - bottom) / width, 0.0, 1.0)
    value = np.digitize(place, _RANGE_EDGES).astype(np.float64)
    value[np.isnan(place)] = np.nan
    return told_at(value, _FAST)


_SOURCE = "label sets of the reference's first encoder"

LABEL_SETS = (
    make(
        "legacy/regime",
        _regime,
        kind="classes",
        horizon_bars=_SLOW,
        warmup_bars=49,
        classes=("trending_up", "trending_down", "rotational", "volatile_expansion"),
        formula="v = sd of r[t+1..t+20], V = 1.5 median200(v), f = C[t+20]/C[t] - 1, "
        "F = 0.8 sd200(f); 3: v > V; where v < 0.85 V: 0: f > F, 1: f < -F, 2: |f| < 0.6 F",
        source=_SOURCE,
        summary="What the next 20 bars do; undecided rows are masked.",
    ),
    make(
        "legacy/volatility",
        _volatility,
        kind="classes",
        horizon_bars=_FAST,
        warmup_bars=29,
        classes=("low", "normal", "elevated", "extreme"),
        formula="rank p of v = sd of r[t+1..t+10] among v[t-99..t]; "
        "0: p < 0.25, 1: < 0.60, 2: < 0.85, 3: above",
        source=_SOURCE,
        summary="Rank of the coming volatility among coming volatilities.",
    ),
    make(
        "legacy/structure",
        _structure,
        kind="classes",
        horizon_bars=_SLOW,
        warmup_bars=11,
        classes=("bullish", "bearish"),
        formula="0: max H and min L of t+1..t+20 above those of t-11..t; 1: both below; "
        "else masked",
        source=_SOURCE,
        summary="Whether the next 20 bars range higher or lower; mixed rows are masked.",
    ),
    make(
        "legacy/range",
        _range,
        kind="classes",
        horizon_bars=_FAST,
        warmup_bars=19,
        classes=("lowest", "low", "middle", "high", "highest"),
        formula="place of C[t+10] in the range of C[t-19..t], clipped to 0..1, in fifths",
        source=_SOURCE,
        summary="Where the close ten bars on lies in the range of the last 20 closes.",
    ),
)
