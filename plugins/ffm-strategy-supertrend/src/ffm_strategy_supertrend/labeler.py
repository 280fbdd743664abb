"""The labeler: every flip of SuperTrend is a candidate trade."""

from __future__ import annotations

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.records import Column, Decisions, Labeler, Param, Params
from ffm_core.types import Float64, Int64
from ffm_strategy_supertrend.indicator import SuperTrend, supertrend

_STOP_ATR_BARS = 14
_LOOKBACK = 100  # longest window of a column, bars
_LONGEST_TREND = 500  # trend ages are capped here, so that memory is bounded
_MIN_WARMUP = 200

PARAMS = (
    Param(name="atr_period", default=10, minimum=2, maximum=100, description="ATR of bands, bars"),
    Param(name="multiplier", default=3.0, minimum=0.1, maximum=20, description="band width, ATR"),
    Param(name="stop_atr", default=2.0, minimum=0.1, maximum=20, description="stop, ATR(14)"),
    Param(name="rr", default=3.0, minimum=1.0, maximum=50, description="target, R"),
    Param(name="horizon_bars", default=130, minimum=1, maximum=2000,
          description="bars a trade may last, counting the entry bar"),
)  # fmt: skip

COLUMNS = (
    Column(name="line_distance", unit="ATR", signed=True,
           description="close above the new line (positive) or below it"),
    Column(name="break_size", unit="ATR", signed=True,
           description="close beyond the line that broke"),
    Column(name="trend_bars", unit="bars",
           description=f"age of the trend that ended, at most {_LONGEST_TREND}"),
    Column(name="trend_move", unit="ATR", signed=True,
           description="close since the flip before, over at most that age"),
    Column(name="atr_ratio", unit="ratio",
           description=f"ATR(14) over its mean of {_LOOKBACK} bars"),
    Column(name="bar_range", unit="ATR", description="range of the flip bar"),
    Column(name="close_place", unit="fraction", signed=True,
           description="close within the bar, −1 low to +1 high; 0 for a bar without range"),
    Column(name="return_20", unit="ATR·√20", signed=True, description="close against 20 bars ago"),
)  # fmt: skip


def decide(bars: Bars, params: Params) -> Decisions:
    """Return one decision per flip, in the direction of the new trend.

    Parameters
    ----------
    bars : Bars
        Length ``T``.
    params : mapping
        See ``PARAMS``.

    Returns
    -------
    Decisions
        ``bar`` is the bar whose close made the flip; stop ``stop_atr`` × ATR(14)
        of that bar, target ``rr``, horizon ``horizon_bars``.
    """
    high, low, close = bars.high, bars.low, bars.close
    trend = supertrend(
        high,
        low,
        close,
        atr_period=int(params["atr_period"]),
        multiplier=float(params["multiplier"]),
    )
    atr = atr_wilder(high, low, close, _STOP_ATR_BARS)
    flips = np.flatnonzero(np.diff(trend.direction)) + 1
    flips = flips[(flips >= _MIN_WARMUP) & (atr[flips] > 0)]
    return Decisions(
        bar=flips,
        side=trend.direction[flips],
        risk=float(params["stop_atr"]) * atr[flips],
        target_r=np.full(len(flips), float(params["rr"])),
        horizon_bars=np.full(len(flips), int(params["horizon_bars"]), dtype=np.int32),
        columns=_columns(bars, trend, atr, flips),
    )


def _columns(bars: Bars, trend: SuperTrend, atr: Float64, at: Int64) -> dict[str, Float64]:
    close, high, low = bars.close, bars.high, bars.low
    up = trend.direction[at] > 0
    new_line = np.where(up, trend.lower[at], trend.upper[at])
    old_line = np.where(up, trend.upper[at], trend.lower[at])
    age = _trend_age(trend)[at - 1]
    unit = atr[at]
    spread = high[at] - low[at]
    centred = 2.0 * close[at] - high[at] - low[at]
    return {
        "line_distance": (close[at] - new_line) / unit,
        "break_size": (close[at] - old_line) / unit,
        "trend_bars": age.astype(np.float64),
        "trend_move": (close[at] - close[at - age]) / unit,
        "atr_ratio": unit / _mean_before(atr, at),
        "bar_range": spread / unit,
        "close_place": np.divide(centred, spread, out=np.zeros(len(at)), where=spread > 0),
        "return_20": (close[at] - close[at - 20]) / (unit * np.sqrt(20.0)),
    }


def _trend_age(trend: SuperTrend) -> Int64:
    # Bars the current direction has lasted at each bar, 1 on its flip bar.
    direction = trend.direction
    index = np.arange(len(direction), dtype=np.int64)
    turned = np.zeros(len(direction), dtype=np.bool_)
    turned[1:] = direction[1:] != direction[:-1]
    start = np.maximum.accumulate(np.where(turned, index, 0))
    return np.minimum(index - start + 1, np.minimum(index + 1, _LONGEST_TREND))


def _mean_before(values: Float64, at: Int64) -> Float64:
    window = at[:, None] - np.arange(_LOOKBACK)
    mean: Float64 = values[window].mean(axis=1)
    return mean


LABELER = Labeler(
    name="supertrend",
    decide=decide,
    horizon_bars=130,
    warmup_bars=_MIN_WARMUP,
    history_bars=2000,
    memory="recursive",
    exit_params=("rr",),
    params=PARAMS,
    columns=COLUMNS,
    summary="SuperTrend(10, 3) flips; stop 2 × ATR(14), target 3 R, 130 bars.",
)
