"""Plain features and faulty twins of them, each with one mistake; marks name those of streams.

The specimens of the contract kit are made of them.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.records import Column, FeatureSet
from ffm_core.testing.building import SPAN, windows
from ffm_core.types import Float32, Float64


def matrix(values: Float64 | pl.Series | pl.DataFrame) -> Float32:
    """Return one column as float32 (T, 1), null as NaN."""
    if isinstance(values, pl.DataFrame):
        values = values.to_series()
    array = values.cast(pl.Float64).to_numpy() if isinstance(values, pl.Series) else values
    return np.array(array, dtype=np.float32).reshape(-1, 1)


def features(
    name: str, batch: Callable[[Bars], Float32], *, missing: str = "", **declared: Any
) -> FeatureSet:
    """Return a feature set of one column; without more it declares the whole past."""
    column = Column(name="value", unit="ratio", description=name, missing=missing)
    given = {"warmup_bars": 0, "history_bars": None, "summary": name} | declared
    return FeatureSet(name=name, columns=(column,), batch=batch, **given)


def move(bars: Bars) -> Float64:
    """Return the close-to-close move in points; NaN at the first bar."""
    return np.append(np.nan, np.diff(bars.close))[: len(bars)]


def mean_ratio(bars: Bars) -> Float32:
    """Return the close over a mean of twenty."""
    return matrix(bars.close / windows(bars.close, SPAN).mean(axis=1))


class MeanStream:
    """The same, bar by bar."""

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        self._closes: deque[float] = deque(maxlen=SPAN)

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Return the row of the bar."""
        self._closes.append(close)
        return self._row()

    def _row(self) -> Float32:
        full = len(self._closes) == SPAN
        ratio = self._closes[-1] / np.mean(list(self._closes)) if full else np.nan
        return np.array([ratio], dtype=np.float32)

    def snapshot(self) -> bytes:
        """Return the window."""
        return pickle.dumps(list(self._closes))

    def restore(self, state: bytes) -> None:
        """Go back to a window."""
        self._closes = deque(pickle.loads(state), maxlen=SPAN)


class EagerStream(MeanStream):
    """Answers before the window is full."""

    def _row(self) -> Float32:
        ratio = self._closes[-1] / np.mean(list(self._closes))  # fault: stream-other-start
        return np.array([ratio], dtype=np.float32)


class ForgetfulStream(MeanStream):
    """Keeps half of the window in its snapshot."""

    def snapshot(self) -> bytes:
        """Return half of the window."""
        return pickle.dumps(list(self._closes)[SPAN // 2 :])  # fault: forgetful-snapshot


class ReusingStream(MeanStream):
    """Hands out the same array for every bar."""

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        super().__init__(instrument, timeframe)
        self._out = np.empty(1, dtype=np.float32)

    def _row(self) -> Float32:
        self._out[:] = super()._row()  # fault: reused-row
        return self._out


# --- twins with one mistake -----------------------------------------------------------------


def next_move(bars: Bars) -> Float32:
    """Return the move to the next close."""
    return matrix(np.append(move(bars)[1:], np.nan)[: len(bars)])


def next_roll(bars: Bars) -> Float32:
    """Return 1 on the last bar of a contract."""
    codes = bars.contract_codes
    if codes is None or len(bars) == 0:
        return matrix(np.zeros(len(bars)))
    return matrix(np.append(np.diff(codes) != 0, False).astype(np.float64))


def edits_closes(bars: Bars) -> Float32:
    """Return moves, after putting a close straight in the table that was given."""
    if len(bars) > SPAN:
        bars.frame[SPAN, "close"] = float(bars.close[SPAN - 1])
    return matrix(move(bars))


def noisy_move(bars: Bars) -> Float32:
    """Return the move with noise from a generator without a seed."""
    return matrix(move(bars) + np.random.default_rng().standard_normal(len(bars)))


def weighed_by_a_text(bars: Bars) -> Float32:
    """Return the move times the hash of a text, which differs between processes."""
    return matrix(move(bars) * (1.0 + hash("weight") % 100))


def over_the_body(bars: Bars) -> Float32:
    """Return the range over the body of the bar, which may be nothing."""
    with np.errstate(divide="ignore"):
        return matrix((bars.high - bars.low + 1.0) / np.abs(bars.close - bars.open))


def over_a_long_mean(bars: Bars) -> Float32:
    """Return the close over a mean of two hundred."""
    return matrix(bars.close / windows(bars.close, 10 * SPAN).mean(axis=1))


def over_a_long_top(bars: Bars) -> Float32:
    """Return the close over the highest high of a hundred."""
    return matrix(bars.close / windows(bars.high, 5 * SPAN).max(axis=1))
