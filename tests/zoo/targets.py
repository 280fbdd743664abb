"""Targets that say less about their own future than they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Target, TargetValues
from ffm_core.types import Float64, Int64
from zoo.fault import Fault

_SPAN = 12


def _ahead(bars: Bars, span: int = _SPAN) -> tuple[Float64, Int64]:
    """Return the log return over ``span`` bars to come, and its last bar."""
    n = len(bars)
    value, end = np.full(n, np.nan), np.full(n, -1, np.int64)
    if n > span:
        value[:-span] = np.log(bars.close[span:] / bars.close[:-span])
        end[:-span] = np.arange(span, n)
    return value, end


def _answer(value: Float64, end: Int64) -> TargetValues:
    return TargetValues(value=value.astype(np.float32), end_bar=np.where(np.isnan(value), -1, end))


def known_too_early(bars: Bars) -> TargetValues:
    """Say that a return over twelve bars is known after six."""
    value, end = _ahead(bars)
    return _answer(value, end - _SPAN // 2)  # fault: target-early-end


def known_at_once(bars: Bars) -> TargetValues:
    """Say that the label of a trade is known when it is entered."""
    value, _ = _ahead(bars)
    return _answer(value, np.arange(len(bars)))  # fault: label-overlap


def further_than_declared(bars: Bars) -> TargetValues:
    """Read thirty bars where twelve are declared."""
    value, end = _ahead(bars, 30)  # fault: target-horizon
    return _answer(value, end)


def scaled_by_the_file(bars: Bars) -> TargetValues:
    """Divide by the volatility of the file."""
    value, end = _ahead(bars)
    known = value[np.isfinite(value)]
    spread = known.std() + 1e-9 if len(known) else 1.0  # fault: target-file-scale
    return _answer(value / spread, end)


def cut_short(bars: Bars) -> TargetValues:
    """Give the last rows a return over the bars that are left."""
    n = len(bars)
    end = np.minimum(np.arange(n) + _SPAN, n - 1)  # fault: target-cut-short
    return _answer(np.log(bars.close[end] / bars.close), end)


def ranked(bars: Bars) -> TargetValues:
    """Call the upper half of the file 1."""
    value, end = _ahead(bars)
    known = value[np.isfinite(value)]
    middle = np.median(known) if len(known) else 0.0  # fault: target-file-median
    return _answer(np.where(np.isnan(value), np.nan, value > middle), end)


def noisy(bars: Bars) -> TargetValues:
    """Add noise without a seed."""
    value, end = _ahead(bars)
    noise = np.random.default_rng().normal(size=len(bars))  # fault: target-unseeded
    return _answer(value + noise, end)


def _fault(
    name: str, summary: str, compute: Callable[[Bars], TargetValues], **declared: Any
) -> Fault:
    given: dict[str, Any] = {"kind": "regression", "horizon_bars": _SPAN, "summary": summary}
    record = Target(name=name, compute=compute, **(given | declared))
    return Fault(name=name, kind="target", summary=summary, record=record, source=__file__)


FAULTS = (
    _fault("target-early-end", "twelve bars read, known after six", known_too_early),
    _fault("label-overlap", "a label said to be known at entry", known_at_once),
    _fault("target-horizon", "thirty bars read, twelve declared", further_than_declared),
    _fault("target-file-scale", "a target divided by the file's volatility", scaled_by_the_file),
    _fault("target-file-median", "classes split at the file's median", ranked, kind="binary"),
    _fault("target-cut-short", "a shorter target at the end of the data", cut_short),
    _fault("target-unseeded", "noise without a seed", noisy),
)
