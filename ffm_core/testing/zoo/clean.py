"""Honest plug-ins that look like faulty ones; no detector may object to any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from ffm_core.bars.primitives import last_swing, swing_lows
from ffm_core.bars.sessions import session_end_mask, trading_days
from ffm_core.bars.table import Bars
from ffm_core.features.expressions import expression_set
from ffm_core.labels.policies import ATR_TRAIL, FIXED_RR, RS_TRAIL
from ffm_core.labels.step import Bar, OpenTrade
from ffm_core.records import (
    Column,
    Decisions,
    ExitPolicy,
    FeatureSet,
    Labeler,
    Params,
    Target,
    TargetValues,
)
from ffm_core.testing.building import SPAN, build, hourly, lagged, range_of, typical, windows
from ffm_core.testing.zoo.fault import Honest
from ffm_core.testing.zoo.learners import DirectionLearner, along, as_fitted
from ffm_core.testing.zoo.making import (
    features,
    first_of,
    hours,
    labeler,
    matrix,
    move,
    sessions,
    tops,
)
from ffm_core.testing.zoo.streaming import STEPPED, STREAMED
from ffm_core.types import Float32, Float64, Int64

_honest = partial(Honest, source=__file__)
_HOUR_US = 3_600_000_000
_BY_CONTENT: dict[str, Float32] = {}


def last_move(bars: Bars) -> Float32:
    """Return the move before this bar's: ``shift(1)``."""
    return matrix(bars.frame.select(pl.col("close").log().diff().shift(1)))


def trailing_mean(bars: Bars) -> Float32:
    """Return the close over a mean of eleven, each window summed anew."""
    return matrix(bars.close / windows(bars.close, 11).mean(axis=1))


def forward_filled(bars: Bars) -> Float32:
    """Return a reading taken on every fifth bar, kept until the next."""
    taken = pl.when(pl.col("ts").dt.minute() % 25 == 0).then(pl.col("close"))
    return matrix(bars.frame.select(taken.forward_fill() / pl.col("open")))


def earlier_reading(bars: Bars) -> Float32:
    """Return the last reading of a half-hourly series."""
    slow = bars.frame.filter(pl.col("ts").dt.minute() % 30 == 0)
    slow = slow.select("ts", pl.col("close").alias("reading"))
    both = bars.frame.join_asof(slow, on="ts", strategy="backward")
    return matrix(both["reading"] / both["close"])


def expanding_score(bars: Bars) -> Float32:
    """Return the close as a z-score of everything up to it."""
    n = np.arange(1, len(bars) + 1)
    base = bars.close - (bars.close[0] if len(bars) else 0.0)
    mean, square = np.cumsum(base) / n, np.cumsum(base**2) / n
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return matrix((base - mean) / np.where(spread > 0, spread, 1.0))


def confirmed_pivot(bars: Bars) -> Float32:
    """Return 1 where a top of three bars ago is confirmed."""
    return matrix(np.nan_to_num(lagged(tops(bars, 3).astype(np.float64), 3)))


def hour_released(bars: Bars) -> Float32:
    """Return the close of the last hour that is over."""
    return matrix(_close_before(bars, first_of(hours(bars))) / bars.close)


def day_released(bars: Bars) -> Float32:
    """Return the close over the last close of the trading date before."""
    return matrix(bars.close / _close_before(bars, first_of(trading_days(bars).astype(np.int64))))


def _close_before(bars: Bars, rows: Int64) -> Float64:
    if len(bars) == 0:
        return bars.close
    return np.where(rows > 0, bars.close[np.maximum(rows - 1, 0)], np.nan)


def vwap_so_far(bars: Bars) -> Float32:
    """Return the close over the session's volume-weighted price so far."""
    frame = bars.frame.with_columns(pl.Series("session", sessions(bars)))
    paid = (pl.col("close") * pl.col("volume")).cum_sum().over("session")
    traded = pl.col("volume").cum_sum().over("session")
    return matrix(frame.select(pl.when(paid > 0).then(pl.col("close") * traded / paid)))


def from_the_first_contract(bars: Bars) -> Float32:
    """Return closes joined forwards, so that the first contract stays as it is."""
    codes = bars.contract_codes
    if codes is None or len(bars) == 0:
        return matrix(bars.close)
    jumps = np.append(0.0, np.where(np.diff(codes) != 0, bars.open[1:] - bars.close[:-1], 0.0))
    return matrix(bars.close - np.cumsum(jumps))


def scheduled_close(bars: Bars) -> Float32:
    """Return 1 on the last bar of a session by the calendar, which is known ahead."""
    return matrix(session_end_mask(bars).astype(np.float64))


def keyed_noise(bars: Bars) -> Float32:
    """Return noise that is a function of the bar's stamp."""
    mixed = bars.ts_us.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return matrix((mixed >> np.uint64(40)).astype(np.float64) / 2.0**24)


def kept_by_content(bars: Bars) -> Float32:
    """Return moves, computed once for the same bars."""
    key = bars.sha256
    if key not in _BY_CONTENT:
        _BY_CONTENT[key] = matrix(move(bars))
    return _BY_CONTENT[key].copy()


def share_of_known_maximum(bars: Bars) -> Float32:
    """Return the close over the highest high so far."""
    return (
        matrix(bars.close / np.maximum.accumulate(bars.high)) if len(bars) else matrix(bars.close)
    )


# --- labelers -------------------------------------------------------------------------------


def in_trend(bars: Bars, params: Params) -> Decisions:
    """Decide once an hour in the direction of the window."""
    return build(bars, hourly(bars), typical(bars))


def at_confirmed_tops(bars: Bars, params: Params) -> Decisions:
    """Sell four bars after a top."""
    rows = np.flatnonzero(tops(bars, 4)).astype(np.int64) + 4
    rows = rows[(rows >= SPAN) & (rows < len(bars))]
    plain = build(bars, rows, typical(bars))
    return replace(plain, side=np.full(len(rows), -1, np.int8))


def both_sides(bars: Bars, params: Params) -> Decisions:
    """Offer a long and a short, one of which may be taken."""
    rows = np.repeat(hourly(bars), 2)
    side = np.tile(np.array([-1, 1], np.int8), len(rows) // 2)
    risk = np.maximum(range_of(bars, SPAN)[rows], 4 * bars.instrument.tick_size)
    return Decisions(
        bar=rows,
        side=side,
        stop_price=bars.close[rows] - side * risk,
        group=np.repeat(np.arange(len(rows) // 2), 2),
        columns={"value": typical(bars)[rows]},
    )


# --- exits and targets ----------------------------------------------------------------------


def chandelier(bars: Bars, params: Params) -> Float64:
    """Hang the stop three ranges below the highest high of twenty bars; shorts mirrored."""
    size = 3.0 * windows(bars.high - bars.low, SPAN).mean(axis=1)
    top, bottom = windows(bars.high, SPAN).max(axis=1), windows(bars.low, SPAN).min(axis=1)
    return np.column_stack([top - size, bottom + size])


def below_confirmed_swings(bars: Bars, params: Params) -> Float64:
    """Trail below the last swing low that two later bars have confirmed."""
    at = last_swing(swing_lows(bars.low, 2), 2)
    return np.where(at >= 0, bars.low[np.maximum(at, 0)], np.nan).reshape(-1, 1)


def twelve_bars(
    trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64
) -> tuple[float, float, bool]:
    """Leave after twelve bars."""
    return np.nan, np.nan, trade.age >= 12


def return_ahead(bars: Bars) -> TargetValues:
    """Return the log return over the next twelve bars, and when it is known."""
    n = len(bars)
    value, end = np.full(n, np.nan, np.float32), np.full(n, -1, np.int64)
    if n > 12:
        value[:-12] = np.log(bars.close[12:] / bars.close[:-12])
        end[:-12] = np.arange(12, n)
    return TargetValues(value=value, end_bar=end)


_RANGE = Column(name="range_5", unit="points", description="range of five bars")
_MEDIAN = Column(name="median_9", unit="ratio", description="close over a median of nine")
EXPRESSIONS = expression_set(
    "expressions",
    {
        _RANGE: pl.col("high").rolling_max(5) - pl.col("low").rolling_min(5),
        _MEDIAN: pl.col("close") / pl.col("close").rolling_median(9),
    },
    warmup_bars=8,
    history_bars=9,
    memory="finite",
    summary="rolling extremes and a rolling median",
)


def _features(
    name: str, batch: Callable[[Bars], Float32], warmup: int, history: int | None, **more: Any
) -> FeatureSet:
    return features(name, batch, warmup_bars=warmup, history_bars=history, **more)


_FEATURES: tuple[FeatureSet, ...] = (
    _features("lagged-move", last_move, 2, 3),
    _features("trailing-mean", trailing_mean, 10, 11),
    _features("forward-fill", forward_filled, 0, None, memory="event"),
    _features("backward-join", earlier_reading, 0, None, memory="event"),
    _features("expanding-score", expanding_score, 0, None, memory="recursive"),
    _features("confirmed-pivot", confirmed_pivot, 6, 7),
    _features("released-hour", hour_released, 12, None, memory="event"),
    _features("released-day", day_released, 300, None, history_days=2, memory="event"),
    _features(
        "vwap-so-far", vwap_so_far, 0, None, memory="event", missing="before the first trade"
    ),
    _features("forward-adjusted", from_the_first_contract, 0, None),
    _features("scheduled-close", scheduled_close, 0, 1),
    _features("keyed-noise", keyed_noise, 0, 1),
    _features("kept-by-content", kept_by_content, 1, 2),
    _features("known-maximum", share_of_known_maximum, 0, None),
    EXPRESSIONS,
    STREAMED,
    STEPPED,
)
_LABELERS: tuple[Labeler, ...] = (
    labeler("in-trend", in_trend),
    labeler("confirmed-tops", at_confirmed_tops),
    labeler("both-sides", both_sides),
)
_EXITS: tuple[ExitPolicy, ...] = (
    FIXED_RR,
    ATR_TRAIL,
    RS_TRAIL,
    ExitPolicy(
        name="chandelier",
        kind="managed",
        batch=chandelier,
        warmup_bars=SPAN,
        history_bars=SPAN,
        columns=(Column(name="stop_long", unit="points"), Column(name="stop_short", unit="points")),
        summary="A stop that hangs from the highest high.",
    ),
    ExitPolicy(
        name="confirmed-swings",
        kind="managed",
        batch=below_confirmed_swings,
        columns=(Column(name="stop_long", unit="points"),),
        summary="A trail below confirmed swings.",
    ),
    ExitPolicy(
        name="twelve-bars",
        kind="managed",
        step=twelve_bars,
        summary="Out after twelve bars.",
    ),
)

CLEAN: tuple[Honest, ...] = (
    *(_honest(name=s.name, kind="features", summary=s.summary, record=s,
              forget=_BY_CONTENT.clear) for s in _FEATURES),
    *(_honest(name=s.name, kind="labeler", summary=s.summary, record=s) for s in _LABELERS),
    *(_honest(name=s.name, kind="exit", summary=s.summary, record=s) for s in _EXITS),
    _honest(
        name="return-ahead",
        kind="target",
        summary="a return that says when it is known",
        record=Target(
            name="return-ahead", kind="regression", compute=return_ahead, horizon_bars=12
        ),
    ),
    _honest(
        name="direction",
        kind="learner",
        summary="a direction from the training rows alone",
        record=DirectionLearner("direction", "from losers to winners", along, as_fitted),
    ),
)  # fmt: skip
