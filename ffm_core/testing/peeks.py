"""Columns that read the future in the usual ways, and honest ones that look alike.

Every function maps bars of length ``T`` to one value a bar, float64 (T,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.testing.building import SPAN, lagged, windows
from ffm_core.types import Bool, Float64, Int64

_HOUR_US = 3_600_000_000
_ORDER = 3  # bars on each side of a pivot
DAYS = (19_786, 19_788, 19_791, 19_799)  # days since 1970, on some of which the made-up bars lie


def next_bar(bars: Bars) -> Float64:
    """Return the next bar's move: ``shift(-1)``."""
    return np.append(np.diff(bars.close), 0.0)[: len(bars)]


def on_listed_days(bars: Bars) -> Float64:
    """Return 1 on the days of a list."""
    return np.isin(bars.ts_us // (24 * _HOUR_US), DAYS).astype(np.float64)


def centred_window(bars: Bars) -> Float64:
    """Return the close over a mean of five bars on either side."""
    ahead = np.concatenate([bars.close[5:], np.repeat(bars.close[-1:], min(5, len(bars)))])
    return np.asarray(bars.close / windows(ahead[: len(bars)], 11).mean(axis=1))


def file_score(bars: Bars) -> Float64:
    """Return the close as a z-score of the whole file."""
    spread = bars.close.std() if len(bars) else 1.0
    score = (bars.close - bars.close.mean()) / (spread or 1.0) if len(bars) else bars.close
    return np.asarray(score)


def back_filled(bars: Bars) -> Float64:
    """Return a value known on every fifth bar, filled backwards over the others."""
    n = len(bars)
    known = np.minimum(-(-np.arange(n) // 5) * 5, n - 1)
    return bars.close[known] / np.maximum(bars.open, 1e-9) if n else bars.close


def hour_too_early(bars: Bars) -> Float64:
    """Return the close of the hour each bar lies in, before the hour is over."""
    return bars.close[_last_of(_hours(bars))] / np.maximum(bars.close, 1e-9)


def pivot_at_its_own_bar(bars: Bars) -> Float64:
    """Return 1 where the high tops three bars on either side, at that bar."""
    return _pivots(bars).astype(np.float64)


def sparse_flag(bars: Bars) -> Float64:
    """Return the direction of the next bar, on one bar an hour only."""
    at = bars.ts_us // bars.timeframe.us % 12 == 0
    return np.where(at, np.sign(next_bar(bars)), 0.0)


def session_total(bars: Bars) -> Float64:
    """Return the volume so far as a share of the whole session's."""
    session = np.cumsum(np.append(True, np.diff(bars.ts_us) > bars.timeframe.us)[: len(bars)])
    total = np.bincount(session, weights=bars.volume)
    return np.asarray(bars.volume / np.maximum(total[session], 1.0))


def last_price_adjusted(bars: Bars) -> Float64:
    """Return closes shifted so that the file's last contract is unadjusted."""
    codes = bars.contract_codes
    if codes is None or len(bars) == 0:
        return bars.close
    jumps = np.append(0.0, np.where(np.diff(codes) != 0, bars.open[1:] - bars.close[:-1], 0.0))
    return np.asarray(bars.close + jumps.sum() - np.cumsum(jumps))


PEEKS: dict[str, Callable[[Bars], Float64]] = {
    "shift by one bar": next_bar,
    "centred window": centred_window,
    "score of the whole file": file_score,
    "back-fill": back_filled,
    "higher timeframe without delay": hour_too_early,
    "pivot at its own bar": pivot_at_its_own_bar,
    "sparse flag of the next bar": sparse_flag,
    "total of the whole session": session_total,
    "adjusted to the last price": last_price_adjusted,
}


def _hours(bars: Bars) -> Int64:
    return bars.ts_us // _HOUR_US


def _last_of(keys: Int64) -> Int64:
    """Index of the last row with the same key, for sorted keys."""
    return np.searchsorted(keys, keys, side="right") - 1


def _pivots(bars: Bars) -> Bool:
    around = windows(bars.high, 2 * _ORDER + 1)
    top = np.zeros(len(bars), dtype=np.bool_)
    if len(bars) > 2 * _ORDER:
        peak = around[2 * _ORDER :].max(axis=1) == bars.high[_ORDER:-_ORDER]
        top[_ORDER:-_ORDER] = peak
    return top


# --- faults of value, not of time ---------------------------------------------------------


def late_nan(bars: Bars) -> Float64:
    """Return a mean of 300 bars under a warm-up declared as 20."""
    return np.asarray(windows(bars.close, 300).mean(axis=1))


def infinite(bars: Bars) -> Float64:
    """Return a ratio whose divisor is sometimes 0."""
    body = bars.close - bars.open
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(body == 0, np.inf, bars.instrument.tick_size / body)


def place_in_range(bars: Bars) -> Float64:
    """Return where the close lies in the last twenty bars' range; 0 / 0 when flat."""
    low = windows(bars.low, SPAN).min(axis=1)
    return np.asarray((bars.close - low) / (windows(bars.high, SPAN).max(axis=1) - low))


def volume_weighted(bars: Bars) -> Float64:
    """Return the close over its volume-weighted mean; 0 / 0 without volume."""
    weights = windows(bars.volume, SPAN)
    mean = (windows(bars.close, SPAN) * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(bars.close / mean)


def count(bars: Bars) -> Float64:
    """Return how many bars there were so far."""
    return np.arange(len(bars), dtype=np.float64)


# --- honest columns -----------------------------------------------------------------------


def _average(values: Float64, span: int) -> Float64:
    weight, out, mean = 2.0 / (span + 1.0), np.empty(len(values)), 0.0
    for i, value in enumerate(values.tolist()):
        mean = value if i == 0 else mean + weight * (value - mean)
        out[i] = mean
    return out


def fast_average(bars: Bars) -> Float64:
    """Return the close over its exponential mean of 20."""
    return bars.close / _average(bars.close, 20)


def slow_average(bars: Bars) -> Float64:
    """Return the close over its exponential mean of 200."""
    return bars.close / _average(bars.close, 200)


def bars_since_high(bars: Bars) -> Float64:
    """Return the bars since the highest high so far."""
    at = np.maximum.accumulate(bars.high) if len(bars) else bars.high
    new = np.where(bars.high >= at, np.arange(len(bars)), 0)
    return (np.arange(len(bars)) - np.maximum.accumulate(new)).astype(np.float64)


def hour_released(bars: Bars) -> Float64:
    """Return the close of the last hour that is over."""
    first = np.searchsorted(_hours(bars), _hours(bars), side="left")
    return bars.close[np.maximum(first - 1, 0)] / np.maximum(bars.close, 1e-9)


def pivot_confirmed(bars: Bars) -> Float64:
    """Return 1 where a pivot of three bars ago is confirmed."""
    return np.nan_to_num(lagged(_pivots(bars).astype(np.float64), _ORDER))


def expanding_score(bars: Bars) -> Float64:
    """Return the close as a z-score of everything up to it."""
    n = np.arange(1, len(bars) + 1)
    base = bars.close - (bars.close[0] if len(bars) else 0.0)
    mean, square = np.cumsum(base) / n, np.cumsum(base**2) / n
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return (base - mean) / np.where(spread > 0, spread, 1.0)
