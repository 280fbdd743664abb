"""``trivial8``: eight statistics of closes that any richer feature set must beat.

Every window is summed on its own, never from a running total, so that a row is
the same bit for bit however much history stands before its window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.timeframe import Timeframe
from ffm_core.features.steps import Program, State, step_set
from ffm_core.jit import kernel
from ffm_core.records import Column
from ffm_core.types import Float32, Float64, Int64

_LONGEST = 100  # closes the z-score looks at, the current one among them

_SOURCE = "The eight statistics of closes a context head must beat in FFM's own ablations"


def _column(name: str, unit: str, lag: int, formula: str, text: str, **more: Any) -> Column:
    return Column(
        name=name,
        unit=unit,
        description=text,
        group="closes",
        formula=formula,
        source=_SOURCE,
        warmup_bars=lag,
        memory="finite",
        history_bars=lag + 1,
        **more,
    )


def _log_return(lag: int) -> Column:
    text = f"log return over {lag} bar" + "s" * (lag > 1)
    return _column(f"ret_{lag}", "log return", lag, f"ln(C / C[{lag}])", text, signed=True)


def _volatility(bars: int) -> Column:
    text = f"sample SD of the last {bars} bar returns"
    return _column(f"vol_{bars}", "log return", bars, f"SD{bars}(ln(C / C[1])), ddof 1", text)


COLUMNS = (
    *(_log_return(lag) for lag in (1, 5, 20, 60)),
    *(_volatility(bars) for bars in (10, 20)),
    _column(
        "range_pos_20",
        "fraction",
        19,
        "(C - min20(C)) / (max20(C) - min20(C))",
        "place of the close in the range of the last 20 closes",
        missing="0.5 when the 20 closes are equal",
    ),
    _column(
        "zscore_100",
        "SD",
        _LONGEST - 1,
        "(C - mean100(C)) / SD100(C), ddof 1",
        "close against mean and sample SD of the last 100 closes",
        missing="0 when the 100 closes are equal",
        signed=True,
    ),
)


# State: three rings, each written twice so that any window of them lies in one piece.
_CLOSES, _LOGS, _STEPS = 0, 2 * _LONGEST, 4 * _LONGEST


def _start(instrument: Instrument, timeframe: Timeframe) -> State:
    return State(
        f=np.full(6 * _LONGEST, np.nan),
        i=np.zeros(1, dtype=np.int64),
        k=np.empty(0),
        n=np.empty(0, dtype=np.int64),
    )


@kernel
def _sample_sd(values: Float64, first: int, stop: int) -> float:
    count = stop - first
    total = 0.0
    for k in range(first, stop):
        total += values[k]
    mean = total / count
    square = 0.0
    for k in range(first, stop):
        square += (values[k] - mean) * (values[k] - mean)
    return float(np.sqrt(square / (count - 1)))


@kernel
def _range_position(f: Float64, stop: int, close: float) -> float:
    low = close
    high = close
    for k in range(stop - 20, stop):
        low = min(low, f[k])
        high = max(high, f[k])
    return (close - low) / (high - low) if high > low else 0.5


@kernel
def _zscore(f: Float64, stop: int, close: float) -> float:
    total = 0.0
    flat = True
    for k in range(stop - _LONGEST, stop):
        total += f[k]
        flat = flat and f[k] == close
    if flat:
        return 0.0
    return (close - total / _LONGEST) / _sample_sd(f, stop - _LONGEST, stop)


@kernel
def _step(
    ts: int,
    o: float,
    h: float,
    l: float,  # noqa: E741
    c: float,
    v: float,
    f: Float64,
    i: Int64,
    k: Float64,
    n: Int64,
    out: Float32,
    at: int,
) -> None:
    seen = i[0]
    place = seen % _LONGEST
    log = np.log(c)
    move = log - f[_LOGS + (seen - 1) % _LONGEST] if seen > 0 else np.nan
    for copy in (place, place + _LONGEST):
        f[_CLOSES + copy] = c
        f[_LOGS + copy] = log
        f[_STEPS + copy] = move
    last = place + _LONGEST  # the newest value of each ring
    for column in range(8):
        out[at + column] = np.nan
    for column, lag in enumerate((1, 5, 20, 60)):
        if seen >= lag:
            out[at + column] = log - f[_LOGS + last - lag]
    if seen >= 10:
        out[at + 4] = _sample_sd(f, _STEPS + last - 9, _STEPS + last + 1)
    if seen >= 20:
        out[at + 5] = _sample_sd(f, _STEPS + last - 19, _STEPS + last + 1)
    if seen >= 19:
        out[at + 6] = _range_position(f, _CLOSES + last + 1, c)
    if seen >= _LONGEST - 1:
        out[at + 7] = _zscore(f, _CLOSES + last + 1, c)
    i[0] = seen + 1


TRIVIAL8 = step_set(
    "trivial8",
    [Program(columns=COLUMNS, start=_start, step=_step)],
    memory="finite",
    warmup_bars=_LONGEST - 1,
    history_bars=_LONGEST,
    summary="Eight plain statistics of closes, the floor for richer sets.",
)
