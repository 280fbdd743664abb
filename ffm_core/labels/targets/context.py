"""Eight targets about the state of the market, from closes alone.

Seven describe the next ten or twenty bars, the eighth which of two known swing
levels breaks first. Rolls and gaps are respected; see
:mod:`~ffm_core.labels.targets.breaks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial

import numpy as np

from ffm_core.bars.primitives import frozen, swing_highs, swing_lows
from ffm_core.bars.table import Bars
from ffm_core.labels.targets.breaks import ahead, broken, make, told_at, whole_behind
from ffm_core.labels.targets.structure import first_break
from ffm_core.labels.targets.windows import (
    rolling_extremes,
    rolling_median,
    rolling_rank,
    rolling_sd,
    rolling_sd_of_known,
    rolling_sum,
)
from ffm_core.records import Target, TargetValues
from ffm_core.types import Bool, Float64, Int64

HORIZON = 20  # bars ahead of the slower targets
SHORT = 10  # bars ahead of volatility and range_bound
BREAK_HORIZON = 30  # closes in which a swing level may break
PIVOT_ORDER = 10  # closes on each side of a swing

_NORM, _LEAST = 200, 50  # bars of the trailing norm, and how many it needs
_RANKED = 100
_BEFORE = 12  # bars the structure compares with
_BOX = 20  # bars whose range a range-bound market stays in
_CLIP = 4.0


class Closes:
    """What the context targets share, computed at most once; values are (T,).

    Parameters
    ----------
    bars : Bars
        Length ``T``.
    in_one_piece : bool
        Take the bars for one piece: rolls and gaps are bars like any other.
    """

    def __init__(self, bars: Bars, *, in_one_piece: bool = False) -> None:
        self.close = frozen(bars.close)
        self.bars = len(bars)
        self._pieces: Int64 | None = None if in_one_piece else broken(bars)
        self.rolled: Int64 | None = None if in_one_piece else bars.rolls

    @cached_property
    def log(self) -> Float64:
        """Log close."""
        return np.log(self.close)

    @cached_property
    def step(self) -> Float64:
        """Log return of each bar; NaN at the first and across a roll."""
        out = np.full(self.bars, np.nan)
        out[1:] = np.diff(self.log)
        out[~self.behind(2)] = np.nan
        return frozen(out)

    @cached_property
    def sd10(self) -> Float64:
        """Sample SD of the last ten returns."""
        return frozen(rolling_sd(self.step, SHORT))

    @cached_property
    def sd20(self) -> Float64:
        """Sample SD of the last twenty returns."""
        return frozen(rolling_sd(self.step, HORIZON))

    @cached_property
    def usual(self) -> Float64:
        """Median of ``sd20`` over the last 200 bars."""
        return rolling_median(self.sd20, _NORM, _LEAST)

    @cached_property
    def box20(self) -> tuple[Float64, Float64]:
        """Highest and lowest of the last twenty closes."""
        return rolling_extremes(self.close, self.close, HORIZON)

    @cached_property
    def move20(self) -> Float64:
        """Log return over the next twenty bars."""
        return ahead(self.log, HORIZON) - self.log

    def behind(self, window: int) -> Bool:
        """Mark bars whose last ``window`` bars hold no roll."""
        return whole_behind(self.rolled, self.bars, window)

    def told(self, value: Float64, horizon: int) -> TargetValues:
        """Return the values whose next ``horizon`` bars exist and are in one piece."""
        return told_at(value, horizon, self._pieces)


def _fwd_return(x: Closes) -> TargetValues:
    past = np.full(x.bars, np.nan)
    past[HORIZON:] = x.log[HORIZON:] - x.log[:-HORIZON]
    past[~x.behind(HORIZON + 1)] = np.nan
    spread = rolling_sd_of_known(frozen(past), _NORM, _LEAST)
    spread[spread == 0.0] = np.nan
    return x.told(np.clip(x.move20 / spread, -_CLIP, _CLIP), HORIZON)


def _truth(holds: Bool, *known: Float64) -> Float64:
    """1 where it holds, 0 where not, NaN where one of ``known`` is missing."""
    out = holds.astype(np.float64)
    for values in known:
        out[np.isnan(values)] = np.nan
    return out


def _vol_expansion(x: Closes) -> TargetValues:
    coming = ahead(x.sd20, HORIZON)
    return x.told(_truth(coming > 1.5 * x.usual, coming, x.usual), HORIZON)


def _volatility(x: Closes) -> TargetValues:
    coming = ahead(x.sd10, SHORT)
    less, _, known = rolling_rank(x.sd10, frozen(coming), _RANKED)
    share = less / float(_RANKED)
    share[(known < _RANKED) | np.isnan(coming)] = np.nan
    return x.told(share, SHORT)


def _structure(x: Closes) -> TargetValues:
    top, bottom = rolling_extremes(x.close, x.close, _BEFORE)
    next_top, next_bottom = ahead(x.box20[0], HORIZON), ahead(x.box20[1], HORIZON)
    value = np.full(x.bars, np.nan)
    value[(next_top > top) & (next_bottom > bottom)] = 1.0
    value[(next_top < top) & (next_bottom < bottom)] = 0.0
    value[~x.behind(_BEFORE)] = np.nan
    return x.told(value, HORIZON)


def _quiet_persist(x: Closes) -> TargetValues:
    coming = ahead(x.sd20, HORIZON)
    value = _truth(coming <= 1.25 * x.usual, coming, x.usual)
    value[~(x.sd20 <= x.usual)] = np.nan
    return x.told(value, HORIZON)


def _trendiness(x: Closes) -> TargetValues:
    path = ahead(rolling_sum(frozen(np.abs(x.step)), HORIZON), HORIZON)
    path[path == 0.0] = np.nan
    # Rounding alone may carry a straight line past 1.
    return x.told(np.minimum(np.abs(x.move20) / path, 1.0), HORIZON)


def _range_bound(x: Closes) -> TargetValues:
    top, bottom = x.box20
    highs, lows = rolling_extremes(x.close, x.close, SHORT)
    next_top, next_bottom = ahead(highs, SHORT), ahead(lows, SHORT)
    value = _truth((next_top <= top) & (next_bottom >= bottom), top, next_top)
    value[~x.behind(_BOX)] = np.nan
    return x.told(value, SHORT)


def _structure_break(x: Closes) -> TargetValues:
    highs, lows = swing_highs(x.close, PIVOT_ORDER), swing_lows(x.close, PIVOT_ORDER)
    rolled = np.zeros(x.bars, dtype=np.int64) if x.rolled is None else x.rolled
    return x.told(
        first_break(x.close, highs, lows, rolled, PIVOT_ORDER, BREAK_HORIZON), BREAK_HORIZON
    )


RULES: dict[str, Callable[[Closes], TargetValues]] = {
    "fwd_return": _fwd_return,
    "vol_expansion": _vol_expansion,
    "volatility": _volatility,
    "structure": _structure,
    "quiet_persist": _quiet_persist,
    "trendiness": _trendiness,
    "range_bound": _range_bound,
    "structure_break": _structure_break,
}
NAMES = tuple(RULES)


def context_values(bars: Bars, names: Iterable[str] = NAMES) -> dict[str, TargetValues]:
    """Compute several context targets at once, sharing what they have in common.

    Parameters
    ----------
    bars : Bars
        Length ``T``.
    names : iterable of str
        Names without their group, for example ``"trendiness"``.

    Returns
    -------
    dict of str to TargetValues
        The values of the targets of the same names, bit for bit.
    """
    shared = Closes(bars)
    return {name: RULES[name](shared) for name in names}


def _compute(name: str, bars: Bars) -> TargetValues:
    return RULES[name](Closes(bars))


# name: kind, horizon, warm-up, classes, formula, summary
_ABOUT: dict[str, tuple[str, int, int, tuple[str, ...], str, str]] = {
    "fwd_return": (
        "regression", HORIZON, 69, (),
        "clip((ln C[t+20] - ln C[t]) / sd200(ln C[t] - ln C[t-20]), -4, 4)",
        "Return of the next 20 bars in units of the usual 20-bar return.",
    ),
    "vol_expansion": (
        "binary", HORIZON, 69, ("calm", "expanding"),
        "sd20(r)[t+20] > 1.5 median200(sd20(r))[t]",
        "Whether the next 20 bars are half as volatile again as usual.",
    ),
    "volatility": (
        "regression", SHORT, 109, (),
        "share of sd10(r)[t-99..t] below sd10(r)[t+10]",
        "Rank of the coming 10-bar volatility among the last 100 values, 0 to 1.",
    ),
    "structure": (
        "binary", HORIZON, 11, ("lower", "higher"),
        "1: max and min of C[t+1..t+20] above those of C[t-11..t]; 0: both below; else undefined",
        "Whether the next 20 closes make a higher or a lower range.",
    ),
    "quiet_persist": (
        "binary", HORIZON, 69, ("ends", "persists"),
        "where sd20(r)[t] <= m: sd20(r)[t+20] <= 1.25 m, m = median200(sd20(r))[t]",
        "Whether a quiet market stays quiet; undefined when it is not quiet now.",
    ),
    "trendiness": (
        "regression", HORIZON, 0, (),
        "|ln C[t+20] - ln C[t]| / sum |r[t+1..t+20]|",
        "Efficiency ratio of the next 20 bars, 0 to 1.",
    ),
    "range_bound": (
        "binary", SHORT, 19, ("leaves", "stays"),
        "min C[t-19..t] <= C[t+1..t+10] <= max C[t-19..t]",
        "Whether the next 10 closes stay in the range of the last 20.",
    ),
    "structure_break": (
        "regression", BREAK_HORIZON, 31, (),
        ("which of the last confirmed swing closes (10 bars each side) is exceeded first in "
         "C[t+1..t+30]: +1 with the trend of the swings, -1 against it, 0 neither or no trend"),
        "Whether structure breaks with its trend, against it, or not at all.",
    ),
}  # fmt: skip
_SOURCES = {"trendiness": "Kaufman (1995), Smarter Trading: efficiency ratio"}


def describe(name: str, group: str, compute: Callable[[Bars], TargetValues]) -> Target:
    """Return the target ``group/name``, described as the context target of that name."""
    kind, horizon, warmup, classes, formula, summary = _ABOUT[name]
    return make(
        f"{group}/{name}",
        compute,
        kind=kind,
        horizon_bars=horizon,
        warmup_bars=warmup,
        classes=classes,
        formula=formula,
        source=_SOURCES.get(name, "context heads of the reference, version 2.1"),
        summary=summary,
    )


CONTEXT = tuple(describe(name, "context", partial(_compute, name)) for name in NAMES)
