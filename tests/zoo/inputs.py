"""Outside tables as declared inputs: read ahead, and read as they were known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from ffm_core.bars.inputs import InputTable
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, Input, Params
from ffm_core.testing.building import HISTORY, build, hourly, typical
from ffm_core.testing.outside import with_made_inputs
from ffm_core.types import Float32, Float64
from zoo.fault import Fault, Honest
from zoo.making import faults_of, features, labeler, matrix, move

fault = faults_of(__file__)
_honest = partial(Honest, source=__file__)

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
VIX = Input(name="vix", columns=("close",))
RELEASES = Input(name="releases", columns=("next",), description="when the next release is due")
SEASON = (0.3, -0.1, 0.2, 0.0, -0.4, 0.1, 0.2, 0.5, -0.2, 0.1, 0.0, 0.4)  # of a month


def with_tables(bars: Bars) -> Bars:
    """Return bars beside which the tables of this module lie."""
    at = bars.ts_us[0] - 7 * _DAY_US + 2 * _DAY_US * np.arange(12)
    calendar = InputTable(name="releases", at_us=at, columns={"next": (at + 3 * _DAY_US) * 1.0},
                          moments=frozenset({"next"}))  # fmt: skip
    return with_made_inputs(replace(bars, tables=(calendar,)), (VIX,))


def _level(bars: Bars) -> Float64:
    return bars.inputs["vix"]["close"]


# --- faults -------------------------------------------------------------------------------


def next_row(bars: Bars) -> Float32:
    """Return the level at the bar after."""
    return matrix(np.append(_level(bars)[1:], np.nan)[: len(bars)])  # fault: input-shifted


def filled_back(bars: Bars) -> Float32:
    """Return the level where it is new, else the one that follows."""
    level = pl.Series(_level(bars))
    fresh = pl.when(level.diff() != 0).then(level)
    filled = pl.select(fresh.fill_nan(None).backward_fill())  # fault: input-filled-back
    return matrix(filled.to_series())


def against_all(bars: Bars) -> Float32:
    """Return the level against the mean of the whole table."""
    mean = np.mean(np.append(bars.tables[-1].columns["close"], 20.0))  # fault: input-mean
    return matrix(_level(bars) / mean)


def nearest(bars: Bars) -> Float32:
    """Return the nearest row of the table, earlier or later."""
    table = pl.DataFrame({"at": bars.tables[-1].at_us, "level": bars.tables[-1].columns["close"]})
    stamps = pl.DataFrame({"at": bars.ts_us})
    both = stamps.join_asof(table, on="at", strategy="nearest")  # fault: input-nearest
    return matrix(both["level"])


def if_it_will_fall(bars: Bars, params: Params) -> Decisions:
    """Decide once an hour where the level falls within the next hour."""
    rows = hourly(bars)
    later = np.minimum(rows + 12, len(bars) - 1)
    falls = _level(bars)[later] < _level(bars)[rows]  # fault: input-decides
    return build(bars, rows[falls], typical(bars))


FAULTS = (
    fault("input-shifted", "an input, one bar ahead", next_row, inputs=(VIX,)),
    fault("input-filled-back", "an input, filled backwards", filled_back, history_bars=None,
          inputs=(VIX,)),
    fault("input-mean", "an input over its mean in the file", against_all, history_bars=None,
          inputs=(VIX,)),
    fault("input-nearest", "the nearest row of an input", nearest, inputs=(VIX,)),
    Fault(name="input-decides", kind="labeler", summary="decisions where an input will fall",
          record=labeler("input-decides", if_it_will_fall, inputs=(VIX,)), source=__file__),
)  # fmt: skip


# --- honest ones --------------------------------------------------------------------------


def level_of(bars: Bars) -> Float32:
    """Return the last known level."""
    return matrix(_level(bars))


def since_row_before(bars: Bars) -> Float32:
    """Return the change since the row before."""
    return matrix(_level(bars) / bars.inputs["vix"].back("close", 1))


def mean_of_five(bars: Bars) -> Float32:
    """Return the mean of the last five rows."""
    return matrix(np.mean([bars.inputs["vix"].back("close", k) for k in range(5)], axis=0))


def per_range(bars: Bars) -> Float32:
    """Return the level over the range of the bar."""
    return matrix(_level(bars) / (bars.high - bars.low + bars.instrument.tick_size))


def age_of_row(bars: Bars) -> Float32:
    """Return the hours since the last row became known."""
    return matrix(bars.inputs["vix"].age_us / _HOUR_US)


def hours_to_release(bars: Bars) -> Float32:
    """Return the hours to the next release, announced before."""
    return matrix((bars.inputs["releases"]["next"] - bars.ts_us) / _HOUR_US)


def when_calm(bars: Bars, params: Params) -> Decisions:
    """Decide once an hour while the level lies below twenty."""
    rows = hourly(bars)
    return build(bars, rows[_level(bars)[rows] < 20], typical(bars))


def hour_of_day(bars: Bars) -> Float32:
    """Return the hour in UTC, as a sine."""
    return matrix(np.sin(2 * np.pi * (bars.ts_us % _DAY_US) / _DAY_US))


def time_itself(bars: Bars) -> Float32:
    """Return the days since 1970."""
    return matrix((bars.ts_us - bars.ts_us[:1]) / _DAY_US + 100.0 * (len(bars) > 0))


def season(bars: Bars) -> Float32:
    """Return one of twelve numbers, by month, times the last move."""
    month = bars.frame["ts"].dt.month().to_numpy().astype(np.int64)
    return matrix(np.array(SEASON)[month - 1] * move(bars))


def to_third_friday(bars: Bars) -> Float32:
    """Return the days to the third Friday of the month, 0 behind it."""
    ts = bars.frame["ts"]
    first = ts.dt.month_start().dt.weekday().to_numpy().astype(np.int64)
    third = 15 + (5 - first) % 7
    return matrix(np.maximum(third - ts.dt.day().to_numpy().astype(np.int64), 0))


def day_after_a_gap(bars: Bars) -> Float32:
    """Return 1 on the first trading date of a week."""
    days = trading_days(bars).astype(np.int64)
    return matrix((days + 3) % 7 == 0)


def tick_value(bars: Bars) -> Float32:
    """Return a constant of the instrument."""
    return matrix(np.full(len(bars), bars.instrument.tick_size * 50))


def drawn_by_row(bars: Bars) -> Float32:
    """Return noise from a seed, one number a row."""
    return matrix(np.random.default_rng(7).random(len(bars)))


def every_thirtieth(bars: Bars, params: Params) -> Decisions:
    """Decide at every thirtieth row, whatever it is."""
    rows = np.arange(60, len(bars), 30)
    return build(bars, rows, typical(bars))


def _features(name: str, batch: Any, history: int | None = 1, **more: Any) -> Honest:
    record = features(name, batch, history_bars=history, **more)
    return _honest(name=name, kind="features", summary=record.summary or name, record=record)


def _decides(name: str, decide: Any, **more: Any) -> Honest:
    return _honest(name=name, kind="labeler", summary=(decide.__doc__ or name).splitlines()[0],
                   record=labeler(name, decide, **more))  # fmt: skip


CLEAN = (
    _features("input-level", level_of, inputs=(VIX,)),
    _features("input-change", since_row_before, inputs=(VIX,)),
    _features("input-mean-of-five", mean_of_five, inputs=(VIX,)),
    _features("input-per-range", per_range, inputs=(VIX,)),
    _features("input-age", age_of_row, inputs=(VIX,)),
    _features("release-calendar", hours_to_release, inputs=(RELEASES,)),
    _decides("input-filter", when_calm, inputs=(VIX,), history_bars=HISTORY),
    _features("hour-of-day", hour_of_day),
    _features("time-itself", time_itself, None),
    _features("season", season, 2, warmup_bars=1),
    _features("third-friday", to_third_friday),
    _features("first-of-week", day_after_a_gap),
    _features("tick-value", tick_value),
    _features("drawn-by-row", drawn_by_row, None),
    _decides("every-thirtieth", every_thirtieth, history_bars=None),
)
