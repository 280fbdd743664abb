"""Feature sets whose bar-by-bar driver and batch driver are not the same thing."""

from __future__ import annotations

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
from ffm_core.testing import feature_twins
from ffm_core.testing.building import SPAN
from ffm_core.testing.feature_twins import (
    EagerStream,
    ForgetfulStream,
    MeanStream,
    ReusingStream,
    features,
    mean_ratio,
)
from ffm_core.types import Float32, Float64, Int64
from zoo.making import faults_of

fault = faults_of(__file__)
twin = faults_of(feature_twins.__file__)  # the kit has these as well
_COLUMN = Column(name="value", unit="ratio", description="close over its mean")


class SharingStream(MeanStream):
    """Shares one window among all streams of the process; a new one empties it."""

    shared: ClassVar[deque[float]] = deque(maxlen=SPAN)

    def __init__(self, instrument: Instrument, timeframe: Timeframe) -> None:
        super().__init__(instrument, timeframe)
        self.shared.clear()
        self._closes = self.shared  # fault: shared-window


# --- step kernels ---------------------------------------------------------------------------


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    return State(
        f=np.full(SPAN, np.nan),
        i=np.zeros(1, np.int64),
        k=np.array([instrument.tick_size]),
        n=np.array([SPAN], np.int64),
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
    warmup_bars=SPAN - 1, history_bars=SPAN, summary="stepped",
)  # fmt: skip


def _ahead(bars: Bars) -> Float32:
    later = np.append(bars.close[1:], bars.close[-1:])  # fault: run-reads-ahead
    frame = bars.frame.with_columns(pl.Series("close", later))
    return STEPPED.batch(Bars(frame, bars.instrument, bars.timeframe))


def _streamed(name: str, stream: type[MeanStream]) -> FeatureSet:
    made = features(name, mean_ratio, warmup_bars=SPAN - 1, history_bars=SPAN)
    return replace(made, stream=stream)


STREAMED = _streamed("streamed", MeanStream)
FAULTS = (
    twin(
        "stream-other-start",
        "a stream that answers where batch does not",
        _streamed("stream-other-start", EagerStream),
    ),
    twin(
        "forgetful-snapshot",
        "a snapshot that leaves half of the window out",
        _streamed("forgetful-snapshot", ForgetfulStream),
    ),
    twin(
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
