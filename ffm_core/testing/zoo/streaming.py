"""Feature sets whose bar-by-bar driver and batch driver are not the same thing."""

from __future__ import annotations

import pickle
from collections import deque
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.steps import Program, State, step_set
from ffm_core.jit import kernel
from ffm_core.records import Column, FeatureSet
from ffm_core.testing.building import windows
from ffm_core.testing.zoo.making import faults_of, features, matrix
from ffm_core.types import Float32, Float64, Int64

fault = faults_of(__file__)
_SPAN = 20
_COLUMN = Column(name="value", unit="ratio", description="close over its mean")


def mean_ratio(bars: Bars) -> Float32:
    """Return the close over a mean of twenty."""
    return matrix(bars.close / windows(bars.close, _SPAN).mean(axis=1))


class MeanStream:
    """The same, bar by bar."""

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        self._closes: deque[float] = deque(maxlen=_SPAN)

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Return the row of the bar."""
        self._closes.append(close)
        return self._row()

    def _row(self) -> Float32:
        full = len(self._closes) == _SPAN
        ratio = self._closes[-1] / np.mean(list(self._closes)) if full else np.nan
        return np.array([ratio], dtype=np.float32)

    def snapshot(self) -> bytes:
        """Return the window."""
        return pickle.dumps(list(self._closes))

    def restore(self, state: bytes) -> None:
        """Go back to a window."""
        self._closes = deque(pickle.loads(state), maxlen=_SPAN)


class EagerStream(MeanStream):
    """Answers before the window is full."""

    def _row(self) -> Float32:
        ratio = self._closes[-1] / np.mean(list(self._closes))  # fault: stream-other-start
        return np.array([ratio], dtype=np.float32)


class ForgetfulStream(MeanStream):
    """Keeps half of the window in its snapshot."""

    def snapshot(self) -> bytes:
        """Return half of the window."""
        return pickle.dumps(list(self._closes)[_SPAN // 2 :])  # fault: forgetful-snapshot


class ReusingStream(MeanStream):
    """Hands out the same array for every bar."""

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        super().__init__(instrument, timeframe)
        self._out = np.empty(1, dtype=np.float32)

    def _row(self) -> Float32:
        self._out[:] = super()._row()  # fault: reused-row
        return self._out


class SharingStream(MeanStream):
    """Shares one window among all streams of the process; a new one empties it."""

    shared: ClassVar[deque[float]] = deque(maxlen=_SPAN)

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        super().__init__(instrument, timeframe)
        self.shared.clear()
        self._closes = self.shared  # fault: shared-window


# --- step kernels ---------------------------------------------------------------------------


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    return State(
        f=np.full(_SPAN, np.nan),
        i=np.zeros(1, np.int64),
        k=np.array([instrument.tick_size]),
        n=np.array([_SPAN], np.int64),
    )


@kernel
def _step(
    ts: int, o: float, h: float, l: float, c: float, v: float,  # noqa: E741
    f: Float64, i: Int64, k: Float64, n: Int64, out: Float32, at: int,
) -> None:  # fmt: skip
    span = n[0]
    f[i[0] % span] = c
    i[0] += 1
    out[at] = np.nan
    if i[0] >= span:
        top = f[0]
        for j in range(1, span):
            top = max(top, f[j])
        out[at] = c / top


STEPPED = step_set(
    "stepped", [Program(columns=(_COLUMN,), start=_start, step=_step)], memory="finite",
    warmup_bars=_SPAN - 1, history_bars=_SPAN, summary="stepped",
)  # fmt: skip


def _ahead(bars: Bars) -> Float32:
    later = np.append(bars.close[1:], bars.close[-1:])  # fault: run-reads-ahead
    frame = bars.frame.with_columns(pl.Series("close", later))
    return STEPPED.batch(Bars(frame, bars.instrument, bars.timeframe))


def _streamed(name: str, stream: type[MeanStream]) -> FeatureSet:
    made = features(name, mean_ratio, warmup_bars=_SPAN - 1, history_bars=_SPAN)
    return replace(made, stream=stream)


STREAMED = _streamed("streamed", MeanStream)
FAULTS = (
    fault(
        "stream-other-start",
        "a stream that answers where batch does not",
        _streamed("stream-other-start", EagerStream),
    ),
    fault(
        "forgetful-snapshot",
        "a snapshot that leaves half of the window out",
        _streamed("forgetful-snapshot", ForgetfulStream),
    ),
    fault(
        "reused-row",
        "one array handed out for every bar",
        _streamed("reused-row", ReusingStream),
    ),
    fault(
        "shared-window",
        "one window for all streams",
        _streamed("shared-window", SharingStream),
        forget=SharingStream.shared.clear,
    ),
    fault(
        "run-reads-ahead",
        "a batch that hands the next close to each step",
        replace(STEPPED, name="run-reads-ahead", batch=_ahead),
    ),
)  # fmt: skip
