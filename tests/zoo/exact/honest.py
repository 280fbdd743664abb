"""Honest plug-ins with long memories, large numbers, grids and warm-ups."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, FeatureSet, Labeler, Params
from ffm_core.testing.building import SPAN, build, hourly, range_of, typical, windows
from ffm_core.types import Float32, Float64
from zoo.exact.features import HOUR_BARS, average
from zoo.fault import Honest
from zoo.making import features, first_of, labeler, matrix, move, sessions

_honest = partial(Honest, source=__file__)
_WEIGHTS = np.linspace(0.1, 1.0, SPAN)


def slow_average(bars: Bars) -> Float32:
    """Return the close over an average of five hundred that never ends."""
    return matrix(average(bars, span=500))


def fast_average(bars: Bars) -> Float32:
    """Return the close over an average of twenty."""
    return matrix(average(bars, span=20))


def filtered_level(bars: Bars) -> Float32:
    """Return the close against a level and slope that are filtered bar by bar."""
    level = slope = 0.0
    out = np.empty(len(bars))
    for i, close in enumerate(bars.close.tolist()):
        if i == 0:
            level = close
        guess = level + slope
        level = guess + 0.2 * (close - guess)
        slope += 0.02 * (level - guess)
        out[i] = close - level
    return matrix(out)


def balance_of_volume(bars: Bars) -> Float32:
    """Return volume bought less volume sold since the file began."""
    return matrix(np.cumsum(np.sign(np.nan_to_num(move(bars))) * bars.volume))


def session_grid(bars: Bars) -> Float32:
    """Return the place in blocks of an hour that are counted from the session's start."""
    first = first_of(sessions(bars))
    return matrix(((np.arange(len(bars)) - first) % HOUR_BARS).astype(np.float64))


def range_since_open(bars: Bars) -> Float32:
    """Return the range of the session so far."""
    frame = bars.frame.with_columns(pl.Series("session", sessions(bars)))
    top = pl.col("high").cum_max().over("session")
    return matrix(frame.select(top - pl.col("low").cum_min().over("session")))


def trillions(bars: Bars) -> Float32:
    """Return the average in billionths of a point."""
    return matrix(1e12 + 1e9 * average(bars, span=20))


def anything_early(bars: Bars) -> Float32:
    """Return a mean of what is there until the window is full."""
    count = np.minimum(np.arange(1, len(bars) + 1), SPAN)
    total = np.nansum(windows(bars.close, SPAN), axis=1)
    return matrix(bars.close / (total / count))


def weighted_window(bars: Bars) -> Float32:
    """Return a weighted mean of twenty closes, each window by itself."""
    return matrix((windows(bars.close, SPAN) * _WEIGHTS).sum(axis=1))


def spread_so_far(bars: Bars) -> Float32:
    """Return the standard deviation of all moves so far."""
    moves, n = np.nan_to_num(move(bars)), np.arange(1, len(bars) + 1)
    mean, square = np.cumsum(moves) / n, np.cumsum(moves**2) / n
    return matrix(np.sqrt(np.maximum(square - mean**2, 0.0)))


# --- labelers -------------------------------------------------------------------------------


def _trend(bars: Bars) -> Float64:
    """Return 1 or -1: the side of a trailing band, remembered until it breaks."""
    side, stop = 1.0, -np.inf
    out = np.empty(len(bars))
    size = np.nan_to_num(range_of(bars, SPAN))
    for i, (close, width) in enumerate(zip(bars.close.tolist(), size.tolist(), strict=True)):
        if side * (close - stop) < 0:
            side, stop = -side, close + side * width
        stop = max(stop, close - width) if side > 0 else min(stop, close + width)
        out[i] = side
    return out


def follows_the_band(bars: Bars, params: Params) -> Decisions:
    """Decide once an hour, with the side of a band that began with the file as a column."""
    return build(bars, hourly(bars), _trend(bars))


def in_trillions(bars: Bars, params: Params) -> Decisions:
    """Give a column of the size of a trillion."""
    return build(bars, hourly(bars), 1e12 + average(bars, span=20))


def at_the_grid(bars: Bars, params: Params) -> Decisions:
    """Decide every second hour since the session's start."""
    place = np.arange(len(bars)) - first_of(sessions(bars))
    rows = np.flatnonzero((place % (2 * HOUR_BARS) == 0) & (np.arange(len(bars)) >= SPAN))
    return build(bars, rows.astype(np.int64), typical(bars))


_FEATURES: tuple[FeatureSet, ...] = (
    features("slow-average", slow_average, memory="recursive"),
    features("fast-average", fast_average, memory="recursive", history_bars=500),
    features("filtered-level", filtered_level, memory="recursive"),
    features("balance-of-volume", balance_of_volume, memory="recursive"),
    features("session-grid", session_grid, memory="event"),
    features("range-since-open", range_since_open, memory="event"),
    features("trillions", trillions, memory="recursive", history_bars=600),
    features("anything-early", anything_early, warmup_bars=SPAN - 1, history_bars=None),
    features("long-warm-up-honest", slow_average, warmup_bars=10**7, memory="recursive"),
    features("weighted-window", weighted_window, warmup_bars=SPAN - 1, history_bars=SPAN),
    features("spread-so-far", spread_so_far, memory="recursive"),
)
_LABELERS: tuple[Labeler, ...] = (
    labeler("follows-the-band", follows_the_band, memory="recursive", history_bars=None),
    labeler("in-trillions", in_trillions, memory="recursive", history_bars=600),
    labeler("at-the-grid", at_the_grid, memory="event", history_bars=None),
)
CLEAN: tuple[Honest, ...] = (
    *(_honest(name=s.name, kind="features", summary=s.summary, record=s) for s in _FEATURES),
    *(_honest(name=s.name, kind="labeler", summary=s.summary, record=s) for s in _LABELERS),
)
