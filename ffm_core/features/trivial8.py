"""``trivial8``: eight statistics of closes that any richer feature set must beat.

Every window is summed on its own, never from a running total, so that a row is
the same bit for bit however much history stands before its window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.bars.table import Bars
from ffm_core.jit import kernel
from ffm_core.records import Column, FeatureSet
from ffm_core.types import Float32, Float64

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


def batch(bars: Bars) -> Float32:
    """Return the eight columns of every bar.

    Parameters
    ----------
    bars : Bars
        Length ``T``.

    Returns
    -------
    float32 (T, 8)
        Row ``t`` uses the closes of the 100 bars up to and including ``t``; a
        column is NaN until its own window is full.
    """
    return _trivial8(frozen(bars.close))


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
def _trivial8(close: Float64) -> Float32:
    bars = len(close)
    out = np.full((bars, 8), np.nan, dtype=np.float32)
    log = np.log(close)
    step = np.empty(bars)
    for t in range(1, bars):
        step[t] = log[t] - log[t - 1]
    for t in range(bars):
        for column, lag in enumerate((1, 5, 20, 60)):
            if t >= lag:
                out[t, column] = log[t] - log[t - lag]
        if t >= 10:
            out[t, 4] = _sample_sd(step, t - 9, t + 1)
        if t >= 20:
            out[t, 5] = _sample_sd(step, t - 19, t + 1)
        if t >= 19:
            low = close[t]
            high = close[t]
            for k in range(t - 19, t):
                low = min(low, close[k])
                high = max(high, close[k])
            out[t, 6] = (close[t] - low) / (high - low) if high > low else 0.5
        if t >= _LONGEST - 1:
            first = t - _LONGEST + 1
            total = 0.0
            flat = True
            for k in range(first, t + 1):
                total += close[k]
                flat = flat and close[k] == close[t]
            sd = _sample_sd(close, first, t + 1)
            out[t, 7] = 0.0 if flat else (close[t] - total / _LONGEST) / sd
    return out


TRIVIAL8 = FeatureSet(
    name="trivial8",
    columns=COLUMNS,
    batch=batch,
    warmup_bars=_LONGEST - 1,
    history_bars=_LONGEST,
    memory="finite",
    summary="Eight plain statistics of closes, the floor for richer sets.",
)
