"""Features that take values from later bars: shifts, centred windows, fills, joins."""

from __future__ import annotations

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.features.expressions import expression_set
from ffm_core.records import Column
from ffm_core.types import Float32
from zoo.making import faults_of, matrix, tops

fault = faults_of(__file__)
_SMOOTH = np.array([-3.0, 12.0, 17.0, 12.0, -3.0]) / 35.0  # a parabola through five points


def next_close(bars: Bars) -> Float32:
    """Return the log return to the next close."""
    return matrix(bars.frame.select(pl.col("close").log().diff().shift(-1)))  # fault: next-close


def next_high(bars: Bars) -> Float32:
    """Return how far the next high lies above the close."""
    ahead = np.append(bars.high[1:], bars.high[-1:])  # fault: next-high
    return matrix(ahead - bars.close)


def next_volume(bars: Bars) -> Float32:
    """Return the next bar's volume over this one's."""
    later = pl.col("volume").shift(-1)  # fault: next-volume
    return matrix(bars.frame.select(later / (pl.col("volume") + 1.0)))


def centred_mean(bars: Bars) -> Float32:
    """Return the close over a mean of five bars on either side."""
    mean = pl.col("close").rolling_mean(11, center=True)  # fault: centred-mean
    return matrix(bars.frame.select(pl.col("close") / mean - 1.0))


def parabola(bars: Bars) -> Float32:
    """Return the close against a parabola laid through it and its neighbours."""
    if len(bars) < len(_SMOOTH):
        return matrix(np.full(len(bars), np.nan))
    smooth = np.convolve(bars.close, _SMOOTH, mode="same")  # fault: savitzky-golay
    return matrix(bars.close - smooth)


def both_ways(bars: Bars) -> Float32:
    """Return the close against an average run forwards and then backwards."""
    once = bars.frame["close"].ewm_mean(span=10, adjust=False)
    twice = once.reverse().ewm_mean(span=10, adjust=False).reverse()  # fault: both-ways-filter
    return matrix(bars.frame["close"] - twice)


def slope(bars: Bars) -> Float32:
    """Return the slope of the close."""
    if len(bars) < 2:
        return matrix(np.full(len(bars), np.nan))
    return matrix(np.gradient(bars.close))  # fault: central-difference


def low_pass(bars: Bars) -> Float32:
    """Return the close against its slow waves."""
    if len(bars) == 0:
        return matrix(bars.close)
    waves = np.fft.rfft(bars.close - bars.close[0])  # fault: fft-low-pass
    waves[len(waves) // 20 + 1 :] = 0.0
    return matrix(bars.close - bars.close[0] - np.fft.irfft(waves, len(bars)))


def phase(bars: Bars) -> Float32:
    """Return the phase of the analytic signal of the close."""
    n = len(bars)
    if n == 0:
        return matrix(bars.close)
    weight = np.zeros(n)
    weight[: (n + 1) // 2] = 2.0
    weight[0] = weight[n // 2] = 1.0
    signal = np.fft.ifft(np.fft.fft(bars.close - bars.close[0]) * weight)  # fault: hilbert-phase
    return matrix(np.angle(signal))


def back_filled(bars: Bars) -> Float32:
    """Return a reading taken on every fifth bar; the others get the nearest later one."""
    taken = pl.when(pl.col("ts").dt.minute() % 25 == 0).then(pl.col("close"))
    filled = taken.fill_null(strategy="backward")  # fault: back-fill
    return matrix(bars.frame.select(filled / pl.col("open")))


def interpolated(bars: Bars) -> Float32:
    """Return a reading taken on every fifth bar, with straight lines between."""
    taken = pl.when(pl.col("ts").dt.minute() % 25 == 0).then(pl.col("close"))
    filled = taken.interpolate()  # fault: interpolation
    return matrix(bars.frame.select(filled / pl.col("open")))


def nearest_join(bars: Bars) -> Float32:
    """Return the reading of a half-hourly series that lies nearest in time."""
    slow = bars.frame.filter(pl.col("ts").dt.minute() % 30 == 0)
    slow = slow.select("ts", pl.col("close").alias("reading"))
    both = bars.frame.join_asof(slow, on="ts", strategy="nearest")  # fault: nearest-join
    return matrix(both["reading"] / both["close"])


def next_print(bars: Bars) -> Float32:
    """Return the reading of a half-hourly series that comes next."""
    slow = bars.frame.filter(pl.col("ts").dt.minute() % 30 == 0)
    slow = slow.select("ts", pl.col("close").alias("reading"))
    both = bars.frame.join_asof(slow, on="ts", strategy="forward")  # fault: forward-join
    return matrix(both["reading"] / both["close"])


def pivot(bars: Bars) -> Float32:
    """Return 1 where the high tops three bars on either side."""
    return matrix(tops(bars, 3).astype(np.float64))  # fault: early-pivot


def room_above(bars: Bars) -> Float32:
    """Return how far the highest high of the twenty bars to come lies above the close."""
    ahead = bars.frame["high"].reverse().rolling_max(20, min_samples=1)  # fault: coming-high
    return matrix(ahead.reverse() - bars.frame["close"])


_MEDIAN = Column(name="median_9", unit="ratio", description="close over a median of nine")
_RATIO = pl.col("close") / pl.col("close").rolling_median(9, center=True)  # fault: centred-median
CENTRED_MEDIAN = expression_set(
    "centred-median", {_MEDIAN: _RATIO}, warmup_bars=8, history_bars=9, memory="finite"
)

FAULTS = (
    fault("next-close", "shift(-1) of the close", next_close),
    fault("next-high", "the next bar's high, appended by hand", next_high),
    fault("next-volume", "shift(-1) of the volume", next_volume),
    fault("centred-mean", "a rolling mean with center=True", centred_mean),
    fault("centred-median", "the same as an expression, with a median", CENTRED_MEDIAN),
    fault("savitzky-golay", "a parabola through the bars on both sides", parabola),
    fault("both-ways-filter", "a filter run forwards and backwards", both_ways),
    fault("central-difference", "numpy.gradient, whose middle is one bar ahead", slope),
    fault("fft-low-pass", "slow waves of the whole series", low_pass),
    fault("hilbert-phase", "the analytic signal of the whole series", phase),
    fault("back-fill", "gaps filled from the next reading", back_filled),
    fault("interpolation", "gaps filled by straight lines to the next reading", interpolated),
    fault("nearest-join", "an as-of join with strategy='nearest'", nearest_join),
    fault("forward-join", "an as-of join with strategy='forward'", next_print),
    fault("early-pivot", "a pivot stamped at its own bar", pivot),
    fault("coming-high", "a rolling extreme of the reversed series", room_above),
)
