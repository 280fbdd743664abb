"""Features scaled by something that is known only once the file has ended."""

from __future__ import annotations

import numpy as np
import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.testing.building import windows
from ffm_core.types import Float32, Float64
from zoo.making import faults_of, matrix

fault = faults_of(__file__)


def score(bars: Bars) -> Float32:
    """Return the close as a z-score of the whole file."""
    close = pl.col("close")
    scaled = (close - close.mean()) / (close.std() + 1e-9)  # fault: file-score
    return matrix(bars.frame.select(scaled))


def rank(bars: Bars) -> Float32:
    """Return the rank of the volume among all bars."""
    place = pl.col("volume").rank() / pl.len()  # fault: file-rank
    return matrix(bars.frame.select(place))


def place_in_file(bars: Bars) -> Float32:
    """Return where the close lies between the file's lowest and highest."""
    if len(bars) == 0:
        return matrix(bars.close)
    low, high = bars.low.min(), bars.high.max()  # fault: file-range
    return matrix((bars.close - low) / (high - low + 1e-9))


def loud(bars: Bars) -> Float32:
    """Return 1 on bars with more volume than 90 % of the file."""
    if len(bars) == 0:
        return matrix(bars.volume)
    level = np.quantile(bars.volume, 0.9)  # fault: file-quantile
    return matrix((bars.volume > level).astype(np.float64))


def without_trend(bars: Bars) -> Float32:
    """Return the close against a straight line through the file."""
    if len(bars) < 2:
        return matrix(np.zeros(len(bars)))
    at = np.arange(len(bars)) / len(bars)
    line = np.polyfit(at, bars.close, 1)  # fault: file-trend
    return matrix(bars.close - np.polyval(line, at))


def main_component(bars: Bars) -> Float32:
    """Return the first principal component of returns over four spans."""
    log = np.log(bars.close)
    table = np.stack([_change(log, span) for span in (1, 3, 6, 12)], axis=1)
    if len(bars) < 20:
        return matrix(np.full(len(bars), np.nan))
    axes = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)[2]  # fault: file-pca
    return matrix(table @ (axes[0] * np.sign(axes[0, 0])))


def _change(log: Float64, span: int) -> Float64:
    out = np.zeros(len(log))
    out[span:] = log[span:] - log[:-span]
    return out


def clustered(bars: Bars) -> Float32:
    """Return which of eight equally full classes of the file the range falls into."""
    if len(bars) < 8:
        return matrix(np.full(len(bars), np.nan))
    size = bars.high - bars.low
    borders = np.quantile(size, np.arange(1, 8) / 8)  # fault: file-classes
    return matrix(np.searchsorted(borders, size).astype(np.float64))


def from_the_last_contract(bars: Bars) -> Float32:
    """Return closes moved so that the last contract stays as it is."""
    jumps = _jumps(bars)
    moved = bars.close + jumps.sum() - np.cumsum(jumps)  # fault: difference-adjusted
    return matrix(moved)


def scaled_to_the_last_contract(bars: Bars) -> Float32:
    """Return closes scaled so that the last contract stays as it is."""
    jumps = _jumps(bars)
    steps = np.log(bars.close) - np.log(bars.close - jumps)
    scaled = bars.close * np.exp(steps.sum() - np.cumsum(steps))  # fault: ratio-adjusted
    return matrix(scaled)


def _jumps(bars: Bars) -> Float64:
    codes = bars.contract_codes
    if codes is None or len(bars) == 0:
        return np.zeros(len(bars))
    return np.append(0.0, np.where(np.diff(codes) != 0, bars.open[1:] - bars.close[:-1], 0.0))


def busiest_contract(bars: Bars) -> Float32:
    """Return whether the contract is the one that trades most."""
    if "contract" not in bars.frame.columns:
        return matrix(np.zeros(len(bars)))
    total = pl.col("volume").sum().over("contract")  # fault: future-volume
    return matrix(bars.frame.select((total == total.max()).cast(pl.Float64)))


def widest_so_far(bars: Bars) -> Float32:
    """Return the range of twenty bars over the largest of the file."""
    size = windows(bars.high, 20).max(axis=1) - windows(bars.low, 20).min(axis=1)
    if not np.isfinite(size).any():
        return matrix(np.full(len(bars), np.nan))
    return matrix(size / np.nanmax(size))  # fault: file-maximum


FAULTS = (
    fault("file-score", "a z-score of the whole file", score),
    fault("file-rank", "a rank among all bars", rank),
    fault("file-range", "a place between the file's extremes", place_in_file),
    fault("file-quantile", "a threshold that is a quantile of the file", loud),
    fault("file-trend", "a straight line fitted to the file", without_trend),
    fault("file-pca", "a principal component of the file", main_component),
    fault("file-classes", "equally full classes of the file", clustered),
    fault("file-maximum", "a share of the largest value of the file", widest_so_far),
    fault(
        "difference-adjusted", "contracts joined backwards from the last", from_the_last_contract
    ),
    fault("ratio-adjusted", "the same by ratios", scaled_to_the_last_contract),
    fault("future-volume", "a contract chosen by its whole volume", busiest_contract),
)
