"""Streaming for feature sets that only know how to do whole series.

The bars of the declared history are kept and the set is computed on them anew at
every bar. That is slow next to a step kernel, but it is the same function, and a
set whose declared history suffices gives the same values as over the whole series.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import COLUMNS, Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError
from ffm_core.records import FeatureSet, FeatureStream, answers
from ffm_core.types import Float32, Float64, Int64

_SPARE = 1024  # bars the buffer may outgrow the window before it is moved


def open_stream(
    feature_set: FeatureSet, instrument: Instrument, timeframe: Timeframe
) -> FeatureStream:
    """Return a stream of any feature set: its own, or one over its declared history.

    Raises
    ------
    ConfigError
        When the set has no stream and needs the whole series.
    """
    if feature_set.stream is not None:
        return feature_set.stream(instrument, timeframe)
    return WindowStream(feature_set, instrument, timeframe)


def window_start(bars: Bars, history_bars: int | None, history_days: int | None) -> int:
    """Return where the history of the last bar begins; 0 when all is needed.

    Parameters
    ----------
    bars : Bars
        ``T`` bars, the last of which is to be reproduced.
    history_bars, history_days : int, optional
        As a :class:`~ffm_core.records.FeatureSet` declares them; with both, the
        earlier start wins.
    """
    starts: list[int] = []
    if history_bars is not None:
        starts.append(max(len(bars) - history_bars, 0))
    if history_days is not None:
        days = trading_days(bars)
        changes = np.flatnonzero(np.diff(days)) + 1
        starts.append(int(changes[-history_days]) if len(changes) >= history_days else 0)
    return min(starts, default=0)


class WindowStream:
    """A feature set computed anew on its history at every bar.

    Parameters
    ----------
    feature_set : FeatureSet
        With ``history_bars`` or ``history_days``.
    instrument, timeframe
        What the bars are bars of.
    """

    def __init__(
        self, feature_set: FeatureSet, instrument: Instrument, timeframe: Timeframe
    ) -> None:
        if feature_set.inputs:
            raise ConfigError(
                f"feature set {feature_set.name!r} reads inputs, and a stream is shown bars alone",
                fix="compute it over whole series",
            )
        if feature_set.history_bars is None and feature_set.history_days is None:
            raise ConfigError(
                f"feature set {feature_set.name!r} needs the whole series and has no stream",
                fix="declare history_bars or history_days, or offer stream()",
            )
        self._set = feature_set
        self._instrument, self._timeframe = instrument, timeframe
        self._stamps: Int64 = np.empty(0, dtype=np.int64)
        self._values: Float64 = np.empty((0, 5))
        self._first = self._stop = 0

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Take the next closed bar and return its row, float32 (F,)."""
        self._append(ts_us, (open, high, low, close, volume))
        bars = self._bars()
        self._first += window_start(bars, self._set.history_bars, self._set.history_days)
        bars = self._bars()
        row: Float32 = answers.features(self._set, self._set.batch(bars), bars)[-1].copy()
        return row

    def snapshot(self) -> bytes:
        """Return the bars held."""
        held = io.BytesIO()
        rows = slice(self._first, self._stop)
        np.savez(held, stamps=self._stamps[rows], values=self._values[rows])
        return held.getvalue()

    def restore(self, state: bytes) -> None:
        """Go back to a snapshot.

        Raises
        ------
        ConfigError
            When ``state`` is no snapshot of such a stream.
        """
        try:
            with np.load(io.BytesIO(state)) as kept:
                stamps, values = kept["stamps"], kept["values"]
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                "the snapshot is not one of a windowed stream",
                fix="warm the stream up again from history",
            ) from error
        self._stamps, self._values = stamps.astype(np.int64), values.astype(np.float64)
        self._first, self._stop = 0, len(stamps)

    def _append(self, ts_us: int, values: Sequence[float]) -> None:
        if self._stop == len(self._stamps):
            held = self._stop - self._first
            stamps = np.empty(held + max(held, _SPARE), dtype=np.int64)
            table = np.empty((len(stamps), 5))
            stamps[:held] = self._stamps[self._first : self._stop]
            table[:held] = self._values[self._first : self._stop]
            self._stamps, self._values, self._first, self._stop = stamps, table, 0, held
        self._stamps[self._stop] = ts_us
        self._values[self._stop] = values
        self._stop += 1

    def _bars(self) -> Bars:
        # Copies, so that what a plug-in keeps or edits is not the stream's own.
        rows = slice(self._first, self._stop)
        stamps = pl.Series("ts", self._stamps[rows].copy()).cast(pl.Datetime("us", "UTC"))
        columns = [pl.Series(n, self._values[rows, j].copy()) for j, n in enumerate(COLUMNS[1:])]
        return Bars(pl.DataFrame([stamps, *columns]), self._instrument, self._timeframe)
