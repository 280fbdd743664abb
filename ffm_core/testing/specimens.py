"""Red twins: strategies that break exactly one rule each, and clean ones that break none.

They keep the contract kit honest: every check must catch its own specimen, and no
clean strategy may raise an alarm. All of them decide once an hour, in the
direction of the last twenty bars, and differ in one thing only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Column, Decisions, Input, Labeler, Param, Params
from ffm_core.testing import peeks
from ffm_core.testing.building import HISTORY, SPAN, build, hourly, range_of, typical
from ffm_core.types import Float64

ColumnFn: TypeAlias = Callable[[Bars], Float64]


@dataclass(frozen=True, slots=True)
class Specimen:
    """A labeler and the one check that must catch it; an empty name means clean."""

    name: str
    labeler: Labeler
    breaks: str = ""


class Mode(StrEnum):
    """A setting that is more than its text."""

    FAST = "fast"


# --- deciding in odd ways -----------------------------------------------------------------


def _plain(bars: Bars, params: Params) -> Decisions:
    return build(bars, hourly(bars), typical(bars))


def _with_column(column: ColumnFn, bars: Bars, params: Params) -> Decisions:
    return build(bars, hourly(bars), column(bars))


def _tuples(bars: Bars, params: Params) -> Any:
    return [(int(bar), 1) for bar in hourly(bars)]


def _never(bars: Bars, params: Params) -> Decisions:
    return build(bars, hourly(bars)[:0], typical(bars))


def _other_columns(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return replace(plain, columns={**plain.columns, "spare": plain.columns["value"]})


def _next_bar_index(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return replace(plain, bar=plain.bar + 12)


def _edits(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    if len(bars) > SPAN:
        bars.frame[SPAN, "close"] = 0.0
    return plain


def _not_on_listed_days(bars: Bars, params: Params) -> Decisions:
    rows = hourly(bars)
    listed = np.isin(bars.ts_us[rows] // 86_400_000_000, peeks.DAYS)
    return build(bars, rows[~listed], typical(bars))


def _by_chance(bars: Bars, params: Params) -> Decisions:
    rng = np.random.default_rng()
    return build(bars, hourly(bars), rng.standard_normal(len(bars)))


def _signed_risk(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return replace(plain, risk=plain.side * np.asarray(plain.risk))


def _wrong_stop(bars: Bars, params: Params) -> Decisions:
    rows = hourly(bars)
    plain = build(bars, rows, typical(bars))
    stop = bars.close[rows] + plain.side * np.asarray(plain.risk)
    return replace(plain, risk=None, stop_price=stop)


def _long_lived(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return replace(plain, horizon_bars=np.full(len(plain), 500, np.int32))


class _Memo:
    """Remembers what it said about the longest series that began like this one."""

    def __init__(self) -> None:
        self.longest: dict[tuple[int, float], tuple[int, Decisions]] = {}

    def __call__(self, bars: Bars, params: Params) -> Decisions:
        if len(bars) == 0:
            return _plain(bars, params)
        key = (int(bars.ts_us[0]), float(bars.close[0]))
        if key not in self.longest or self.longest[key][0] < len(bars):
            self.longest[key] = (len(bars), build(bars, hourly(bars), peeks.next_bar(bars)))
        known = self.longest[key][1]
        return known.take(known.bar < len(bars))


def _by_enum(bars: Bars, params: Params) -> Decisions:
    rows = hourly(bars)
    fast = isinstance(params["mode"], Mode)
    return build(bars, rows if fast else rows[::2], typical(bars))


def _by_hash(bars: Bars, params: Params) -> Decisions:
    return build(bars, hourly(bars), np.full(len(bars), float(hash("value") % 1_000_003)))


def _last_price(bars: Bars, params: Params) -> Decisions:
    if len(bars) != 1 and bars.close[-1] < 0:
        raise ValueError("negative price")
    return _plain(bars, params)


def _second_to_last_price(bars: Bars, params: Params) -> Decisions:
    if len(bars) and bars.close[-2] < 0:
        raise ValueError("negative price")
    return _plain(bars, params)


def _no_holes(bars: Bars, params: Params) -> Decisions:
    if (np.diff(bars.ts_us) > 5 * 86_400_000_000).any():
        raise ValueError("the data have a hole")
    return _plain(bars, params)


def _few_contracts(bars: Bars, params: Params) -> Decisions:
    if bars.frame["contract"].n_unique() > 4:
        raise ValueError("too many contracts")
    return _plain(bars, params)


def _local_time(bars: Bars, params: Params) -> Decisions:
    zone = bars.instrument.timezone
    wall = bars.frame["ts"].dt.convert_time_zone(zone).dt.replace_time_zone(None)
    wall.dt.replace_time_zone(zone)  # no such hour in spring, two of them in autumn
    return _plain(bars, params)


def _stop_in_points(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return replace(plain, risk=np.full(len(plain), 10.0))


def _waits(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    return plain.take(plain.bar < len(bars) - 1)


def _withdraws(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    later = np.minimum(plain.bar + 3, len(bars) - 1)
    confirmed = plain.side * (bars.close[later] - bars.close[plain.bar]) >= 0
    return plain.take(confirmed)


def _avoids_later_jumps(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    if len(plain) == 0:
        return plain
    jump = np.append(np.abs(np.diff(np.log(bars.close))) > 0.1, False)
    soon = np.convolve(jump, np.ones(51))[50:][: len(bars)] > 0
    return plain.take(~soon[plain.bar])


def _side_by_next_bar(bars: Bars, params: Params) -> Decisions:
    plain = _plain(bars, params)
    ahead = np.append(np.diff(bars.close), 0.0)[plain.bar]
    return replace(plain, side=np.where(ahead >= 0, 1, -1).astype(np.int8))


# --- labelers -----------------------------------------------------------------------------

_VALUE = (Column(name="value", unit="ratio"),)
CLEAN_LABELER = Labeler(
    name="clean",
    decide=_plain,
    horizon_bars=100,
    warmup_bars=SPAN,
    history_bars=HISTORY,
    memory="finite",
    columns=_VALUE,
)


def _twin(decide: Callable[[Bars, Params], Decisions], **changed: Any) -> Labeler:
    return replace(CLEAN_LABELER, decide=decide, **changed)


def _value(column: ColumnFn, **changed: Any) -> Labeler:
    return _twin(partial(_with_column, column), **changed)


_LOOK_AHEAD = "past_ignores_removed_future"
_LABELERS: dict[str, tuple[str, Labeler]] = {
    "a column without a unit": (
        "record_is_sound",
        replace(CLEAN_LABELER, columns=(Column(name="value", unit=""),)),
    ),
    "a default out of range": (
        "defaults_are_valid",
        replace(CLEAN_LABELER, params=(Param(name="n", default=0, minimum=1),)),
    ),
    "a list of tuples": ("returns_decisions", _twin(_tuples)),
    "never decides": ("decides_somewhere", _twin(_never)),
    "an undeclared column": ("columns_as_declared", _twin(_other_columns)),
    "decisions from the future": ("bars_in_range", _twin(_next_bar_index)),
    "edits its input": ("input_is_not_edited", _twin(_edits)),
    "answers by chance": ("calls_agree", _twin(_by_chance)),
    "a warm-up that is not kept": (
        "warmup_is_kept",
        replace(CLEAN_LABELER, warmup_bars=10 * SPAN, history_bars=10 * SPAN),
    ),
    "a late NaN": ("columns_are_finite", _value(peeks.late_nan, history_bars=400)),
    "an infinite column": ("columns_are_finite", _value(peeks.infinite)),
    "negative risk": ("risk_is_positive", _twin(_signed_risk)),
    "a stop on the winning side": ("risk_is_positive", _twin(_wrong_stop)),
    "a horizon beyond the declared": ("targets_and_horizons_are_sound", _twin(_long_lived)),
    "remembers the longest series": ("keeps_no_state", _twin(_Memo(), history_bars=None)),
    "a parameter that is more than text": (
        "parameters_round_trip",
        _twin(_by_enum, params=(Param(name="mode", default=Mode.FAST, choices=("fast",)),)),
    ),
    "a lambda": ("survives_pickling", _twin(lambda bars, params: _plain(bars, params))),
    "hashes text": ("fresh_process_agrees", _twin(_by_hash)),
    "crashes on no bars": ("no_bars", _twin(_last_price)),
    "crashes on one bar": ("one_bar", _twin(_second_to_last_price)),
    "divides by the range": ("flat_prices", _value(peeks.place_in_range)),
    "divides by volume": ("no_volume", _value(peeks.volume_weighted)),
    "tolerates no holes": ("gaps", _twin(_no_holes)),
    "tolerates few contracts": ("rolls", _twin(_few_contracts)),
    "reads the wall clock back": ("clock_change", _twin(_local_time)),
    "a stop of ten points": ("prices_may_be_scaled", _twin(_stop_in_points)),
    "too short a history": ("history_is_sufficient", _value(peeks.slow_average, history_bars=SPAN)),
    "a count since the start": ("history_is_sufficient", _value(peeks.count, memory="event")),
    "a recursion called finite": ("history_is_sufficient", _value(peeks.fast_average)),
    "a list of days": ("answers_are_computed", _twin(_not_on_listed_days)),
    "waits for the next bar": (_LOOK_AHEAD, _twin(_waits)),
    "withdraws decisions": (_LOOK_AHEAD, _twin(_withdraws)),
    "the next bar's side": (_LOOK_AHEAD, _twin(_side_by_next_bar)),
    "avoids later jumps": ("past_ignores_changed_future", _twin(_avoids_later_jumps)),
    **{
        f"column: {name}": (_LOOK_AHEAD, _value(column, history_bars=None))
        for name, column in peeks.PEEKS.items()
    },
}

SPECIMENS: tuple[Specimen, ...] = tuple(
    Specimen(name, replace(labeler, name=name.replace(" ", "-")), breaks)
    for name, (breaks, labeler) in _LABELERS.items()
)


def _sparse(bars: Bars, params: Params) -> Decisions:
    rows = hourly(bars)
    far = np.abs(typical(bars)[rows]) > 0.75
    return build(bars, rows[far & (bars.ts_us[rows] // 3_600_000_000 % 7 == 0)], typical(bars))


def _grouped(bars: Bars, params: Params) -> Decisions:
    rows = np.repeat(hourly(bars), 2)
    side = np.tile(np.array([-1, 1], np.int8), len(rows) // 2)
    risk = np.maximum(range_of(bars, SPAN)[rows], 4 * bars.instrument.tick_size)
    return Decisions(
        bar=rows,
        side=side,
        stop_price=bars.close[rows] - side * risk,
        target_r=np.full(len(rows), 2.0),
        horizon_bars=np.full(len(rows), 50, np.int32),
        group=np.repeat(np.arange(len(rows) // 2), 2),
        columns={"value": typical(bars)[rows]},
    )


def _by_calendar(bars: Bars, params: Params) -> Decisions:
    from ffm_core.bars.sessions import session_end_mask, trading_days

    parity = (trading_days(bars) % 2).astype(np.float64)
    return build(bars, np.flatnonzero(session_end_mask(bars))[1:], parity)


def _with_input(bars: Bars, params: Params) -> Decisions:
    index = bars.inputs["index"]
    return build(bars, hourly(bars), index["level"] / index.back("level", 1))


_CLEAN: dict[str, Labeler] = {
    "plain": CLEAN_LABELER,
    "whole past": replace(CLEAN_LABELER, history_bars=None),
    "sparse": _twin(_sparse, history_bars=None),
    "groups and stop prices": _twin(_grouped),
    "recursive": _value(peeks.fast_average, memory="recursive", history_bars=600),
    "recursive, whole past": _value(peeks.slow_average, memory="recursive", history_bars=None),
    "event memory": _value(peeks.bars_since_high, memory="event", history_bars=None),
    "higher timeframe, released late": _value(peeks.hour_released, history_bars=None),
    "confirmed pivot": _value(peeks.pivot_confirmed),
    "expanding score": _value(peeks.expanding_score, memory="recursive", history_bars=None),
    "an input": _twin(
        _with_input, history_bars=None, inputs=(Input(name="index", columns=("level",)),)
    ),
    "calendar known ahead": _twin(_by_calendar, history_bars=None, warmup_bars=0),
}
CLEAN: tuple[Specimen, ...] = tuple(
    Specimen(name, replace(labeler, name=f"clean-{name.replace(' ', '-')}"))
    for name, labeler in _CLEAN.items()
)
