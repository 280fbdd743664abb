"""Exit policies with hindsight: in columns of levels and flags, in state, and in targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.bars.primitives import swing_lows
from ffm_core.bars.table import Bars
from ffm_core.records import Column, ExitPolicy, Params
from ffm_core.testing.building import range_of, windows
from ffm_core.types import Float64, Int64
from zoo.fault import Fault

_SPAN = 20
_KNOWN: dict[str, float] = {}


def mean_break_now(bars: Bars, params: Params) -> Float64:
    """Leave at the open of the bar whose close breaks the mean."""
    flag = np.zeros((len(bars), 1))
    mean = windows(bars.close, _SPAN).mean(axis=1)
    flag[:-1, 0] = (bars.close < mean)[1:]  # fault: mean-break-now
    return flag


def out_at_the_high(bars: Bars, params: Params) -> Float64:
    """Set the target at the high of the bar that is to come."""
    target = np.full((len(bars), 1), np.nan)
    target[:-1, 0] = bars.high[1:]  # fault: out-at-the-high
    return target


def early_pivot(bars: Bars, params: Params) -> Float64:
    """Trail below swings, two bars before they are swings."""
    pivot = swing_lows(bars.low, 2)  # fault: exit-early-pivot
    last = np.maximum.accumulate(np.where(pivot, np.arange(len(bars)), -1))
    return np.where(last >= 0, bars.low[last], np.nan).reshape(-1, 1)


def file_scale(bars: Bars, params: Params) -> Float64:
    """Trail at a distance set by the volatility of the file."""
    size = np.std(np.diff(bars.close)) if len(bars) > 1 else 1.0  # fault: exit-file-scale
    return (bars.close - 3.0 * size).reshape(-1, 1)


def from_a_table(bars: Bars, params: Params) -> Float64:
    """Set a trail by a number from a file outside its package."""
    text = Path(__file__).parents[2].joinpath("README.md").read_text()  # fault: exit-reads-a-file
    return (bars.close - range_of(bars, _SPAN) * (1.0 + 1.0 / len(text))).reshape(-1, 1)


def lucky(bars: Bars, params: Params) -> Float64:
    """Leave by chance."""
    drawn = np.random.default_rng().random(len(bars))  # fault: exit-unseeded
    return (drawn < 0.1).astype(np.float64).reshape(-1, 1)


def remembers(bars: Bars, params: Params) -> Float64:
    """Trail below the highest price of all calls."""
    top = max(_KNOWN.get("top", 0.0), float(bars.high.max(initial=0.0)))  # fault: exit-remembers
    _KNOWN["top"] = top  # fault: exit-remembers
    return (bars.close - 0.01 * top).reshape(-1, 1)


def short_history(bars: Bars, params: Params) -> Float64:
    """Trail below the low of forty bars, and say that twenty are enough."""
    level = windows(bars.low, 2 * _SPAN).min(axis=1)  # fault: exit-short-history
    return np.asarray(level).reshape(-1, 1)


def infinite(bars: Bars, params: Params) -> Float64:
    """Order a target that is never reached on quiet bars."""
    size = bars.high - bars.low
    with np.errstate(divide="ignore"):
        target = bars.close + 1.0 / np.where(size > 1.0, size, 0.0)  # fault: exit-infinite
    return target.reshape(-1, 1)


def by_the_clock(params: Params) -> tuple[Float64, Int64, Float64]:
    """Begin with the second of the day."""
    second = float(time.time() % 86_400)  # fault: exit-clock
    return np.zeros(1), np.zeros(1, dtype=np.int64), np.array([second])


def behind(trade: Any, bar: Any, row: Any, f: Any, i: Any, k: Any) -> tuple[float, float, bool]:
    """Follow the close at a distance that hangs on the constant."""
    return bar.close - trade.side * (1.0 + k[0] / 86_400.0) * trade.risk, np.nan, False


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, unit="points") for name in names)


def _fault(
    name: str,
    summary: str,
    batch: Callable[[Bars, Params], Float64],
    column: str = "stop_long",
    **given: Any,
) -> Fault:
    record = ExitPolicy(
        name=name, kind="managed", columns=_columns(column), batch=batch, summary=summary, **given
    )
    return Fault(name=name, kind="exit", summary=summary, record=record, source=__file__,
                 forget=_KNOWN.clear)  # fmt: skip


_BY_THE_CLOCK = ExitPolicy(
    name="exit-clock", kind="managed", step=behind, start=by_the_clock,
    summary="a first state that hangs on the time of day",
)  # fmt: skip

FAULTS = (
    _fault("mean-break-now", "out at the open of the bar whose close says so", mean_break_now,
           "leave_long"),
    _fault("out-at-the-high", "a target at the high of the coming bar", out_at_the_high,
           "target_long"),
    _fault("exit-early-pivot", "a trail below swings that are not confirmed yet", early_pivot),
    _fault("exit-file-scale", "a trail scaled by the volatility of the file", file_scale),
    _fault("exit-reads-a-file", "levels from a file outside its package", from_a_table),
    _fault("exit-unseeded", "exits drawn without a seed", lucky, "leave_long"),
    _fault("exit-remembers", "a level kept between calls", remembers),
    _fault("exit-short-history", "a level that needs more bars than it says", short_history,
           history_bars=_SPAN),
    _fault("exit-infinite", "an infinite level", infinite, "target_long"),
    Fault(name="exit-clock", kind="exit", summary=_BY_THE_CLOCK.summary, record=_BY_THE_CLOCK,
          source=__file__),
)  # fmt: skip
