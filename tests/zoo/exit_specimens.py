"""Red twins of the checks of exit policies: each breaks exactly one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.labels.policies import EXIT_POLICIES
from ffm_core.labels.step import Bar, OpenTrade
from ffm_core.records import Column, ExitPolicy, Param, Params
from ffm_core.testing.building import SPAN, windows
from ffm_core.types import Float64, Int64
from zoo import CLEAN, FAULTS

Ordered = tuple[float, float, bool]


@dataclass(frozen=True, slots=True)
class ExitSpecimen:
    """An exit policy and the one check that must catch it; an empty name means clean."""

    name: str
    policy: ExitPolicy
    breaks: str = ""


def mean_of(bars: Bars, params: Params) -> Float64:
    """Return the mean close of twenty bars."""
    return np.asarray(windows(bars.close, SPAN).mean(axis=1)).reshape(-1, 1)


def _as_float32(bars: Bars, params: Params) -> Any:
    return mean_of(bars, params).astype(np.float32)


def _flags_of_two(bars: Bars, params: Params) -> Float64:
    return np.full((len(bars), 1), 2.0)


def _silence(bars: Bars, params: Params) -> Float64:
    return np.full((len(bars), 1), np.nan)


def _edits(bars: Bars, params: Params) -> Float64:
    if len(bars) > SPAN:
        bars.frame[SPAN, "close"] = float(bars.close[0])
    return mean_of(bars, params)


def _by_the_hash(bars: Bars, params: Params) -> Float64:
    return mean_of(bars, params) * (1.0 + hash("a stop") % 97 / 1e6)


def _far(bars: Bars, params: Params) -> Float64:
    return (0.5 * bars.close).reshape(-1, 1)


def _avoids_jumps(bars: Bars, params: Params) -> Float64:
    found = mean_of(bars, params)
    jump = np.append(np.abs(np.diff(np.log(bars.close))) > 0.1, False)
    soon = np.convolve(jump, np.ones(51))[50:][: len(bars)] > 0
    found[soon[: len(found)]] = np.nan
    return found


def _positive_volume(bars: Bars, params: Params) -> Float64:
    if len(bars) > SPAN and not (bars.volume > 0).any():
        raise ValueError("no volume")
    return mean_of(bars, params)


def _moving_prices(bars: Bars, params: Params) -> Float64:
    if len(bars) > SPAN and np.ptp(bars.close) == 0.0:
        raise ValueError("prices stand still")
    return mean_of(bars, params)


def _no_holes(bars: Bars, params: Params) -> Float64:
    if len(bars) and (np.diff(bars.ts_us) > 8 * 86_400_000_000).any():
        raise ValueError("the data have a hole")
    return mean_of(bars, params)


def _few_contracts(bars: Bars, params: Params) -> Float64:
    if "contract" in bars.frame.columns and bars.frame["contract"].n_unique() > 4:
        raise ValueError("too many contracts")
    return mean_of(bars, params)


def _local_time(bars: Bars, params: Params) -> Float64:
    zone = bars.instrument.timezone
    wall = bars.frame["ts"].dt.convert_time_zone(zone).dt.replace_time_zone(None)
    wall.dt.replace_time_zone(zone)  # no such hour in spring, two of them in autumn
    return mean_of(bars, params)


def _some_bars(bars: Bars, params: Params) -> Float64:
    bars.close[0]  # there is none in an empty series
    return mean_of(bars, params)


def after_ten(
    trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64
) -> Ordered:
    """Leave after ten bars."""
    return np.nan, np.nan, trade.age >= 10


def _misspelt(trade: Any, bar: Any, row: Float64, f: Float64, i: Int64, k: Float64) -> Ordered:
    return bar.higgh, np.nan, False


def _short_state(
    trade: OpenTrade, bar: Bar, row: Float64, f: Float64, i: Int64, k: Float64
) -> Ordered:
    if trade.age > 3:
        return f[3], np.nan, False  # nobody made room for it
    return np.nan, np.nan, False


def _list_of_state(params: Params) -> Any:
    return [0.0], [0], [1.0]


def _below_one(predicted_r: Float64, params: Params) -> Float64:
    return 0.5 * predicted_r


def _managed(name: str, batch: Any, column: str = "stop_long", **given: Any) -> ExitPolicy:
    columns = (Column(name=column, unit=given.pop("unit", "points")),)
    return ExitPolicy(name=name, kind="managed", columns=columns, batch=batch, **given)


CLEAN_EXIT = _managed("mean-stop", mean_of, warmup_bars=SPAN, history_bars=SPAN)
_STEPPING = ExitPolicy(name="after-ten", kind="managed", step=after_ten)
_WILD = Param(name="distance", default=9.0, maximum=3.0)
_ZOO = {fault.name: fault.record for fault in FAULTS if isinstance(fault.record, ExitPolicy)}

EXIT_SPECIMENS: tuple[ExitSpecimen, ...] = (
    ExitSpecimen("no-unit", _managed("no-unit", mean_of, unit=""), "record_is_sound"),
    ExitSpecimen("wild-default", replace(CLEAN_EXIT, params=(_WILD,)), "record_is_sound"),
    ExitSpecimen("float32", _managed("float32", _as_float32), "returns_a_row_per_bar"),
    ExitSpecimen(
        "flag-of-two", _managed("flag-of-two", _flags_of_two, "leave_long"),
        "returns_a_row_per_bar",
    ),
    ExitSpecimen(
        "state-of-lists", replace(_STEPPING, name="lists", start=_list_of_state),
        "state_is_three_arrays",
    ),
    ExitSpecimen(
        "target-below-one",
        ExitPolicy(name="below-one", kind="predicted", target_of=_below_one),
        "targets_are_sound",
    ),
    ExitSpecimen("misspelt", replace(_STEPPING, name="misspelt", step=_misspelt), "step_compiles"),
    ExitSpecimen("silence", _managed("silence", _silence), "columns_say_something"),
    ExitSpecimen("edits", _managed("edits", _edits), "input_is_not_edited"),
    ExitSpecimen("unseeded", _ZOO["exit-unseeded"], "keeps_no_state"),
    ExitSpecimen("by-the-hash", _managed("by-the-hash", _by_the_hash), "fresh_process_agrees"),
    ExitSpecimen("reads-a-file", _ZOO["exit-reads-a-file"], "opens_nothing"),
    ExitSpecimen("infinite", _ZOO["exit-infinite"], "nothing_is_infinite"),
    ExitSpecimen("mean-break-now", _ZOO["mean-break-now"], "past_ignores_removed_future"),
    ExitSpecimen(
        "avoids-jumps", _managed("avoids-jumps", _avoids_jumps), "past_ignores_changed_future"
    ),
    ExitSpecimen("short-history", _ZOO["exit-short-history"], "history_is_sufficient"),
    ExitSpecimen(
        "short-state", replace(_STEPPING, name="short-state", step=_short_state),
        "step_follows_its_trade",
    ),
    ExitSpecimen("far", _managed("far", _far), "acts_somewhere"),
    ExitSpecimen("some-bars", _managed("some-bars", _some_bars), "few_bars"),
    ExitSpecimen("moving", _managed("moving", _moving_prices), "flat_prices"),
    ExitSpecimen("volume", _managed("volume", _positive_volume), "no_volume"),
    ExitSpecimen("holes", _managed("holes", _no_holes), "gaps"),
    ExitSpecimen("contracts", _managed("contracts", _few_contracts), "rolls"),
    ExitSpecimen("local-time", _managed("local-time", _local_time), "clock_change"),
)  # fmt: skip
CLEAN_EXITS: tuple[ExitSpecimen, ...] = (
    ExitSpecimen("mean-stop", CLEAN_EXIT),
    ExitSpecimen("after-ten", _STEPPING),
    *(ExitSpecimen(policy.name, policy) for policy in EXIT_POLICIES),
    *(
        ExitSpecimen(one.name, one.record)
        for one in CLEAN
        if isinstance(one.record, ExitPolicy) and one.record not in EXIT_POLICIES
    ),
)

__all__ = ["CLEAN_EXIT", "CLEAN_EXITS", "EXIT_SPECIMENS", "ExitSpecimen"]
