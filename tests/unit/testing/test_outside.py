"""What plug-ins do with outside tables: read them as they were known, or read ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ffm_core.causal import falsify_feature_set, falsify_labeler
from ffm_core.records import Column, Decisions, FeatureSet, Input
from ffm_core.testing import make_bars
from ffm_core.testing.building import HISTORY, build, hourly
from ffm_core.testing.outside import with_made_inputs
from ffm_core.testing.specimens import CLEAN_LABELER

VIX = Input(name="vix", columns=("close",))
BARS = with_made_inputs(make_bars("trend", rows=1_000, seed=7), [VIX])


def level(bars):
    return bars.inputs["vix"]["close"]


def change(bars):
    return level(bars) / bars.inputs["vix"].back("close", 1) - 1


def mean_of_five(bars):
    return np.mean([bars.inputs["vix"].back("close", k) for k in range(5)], axis=0)


def against_range(bars):
    return level(bars) / (bars.high - bars.low + 1)


def next_bars_row(bars):
    return np.append(level(bars)[1:], np.nan)[: len(bars)]


def back_filled(bars):
    late = np.where(np.arange(len(bars)) % 50 < 10, np.nan, level(bars))
    return pl.Series(late).fill_nan(None).backward_fill().to_numpy().astype(float)


def last_row_of_all(bars):
    rows = bars.tables[0].columns["close"]
    return np.full(len(bars), rows[-1] if len(rows) else np.nan)


def mean_of_all(bars):
    return level(bars) - np.nanmean(np.append(level(bars), 0.0))


def by_its_date(bars):
    table = bars.tables[0]
    at, close = table.at_us // 86_400_000_000, table.columns["close"]
    days = {int(day): value for day, value in zip(at, close, strict=True)}
    return np.array([days.get(int(t // 86_400_000_000), np.nan) for t in bars.ts_us])


HONEST = (level, change, mean_of_five, against_range)
AHEAD = (next_bars_row, back_filled, last_row_of_all, mean_of_all, by_its_date)


def features(column):
    def batch(bars):
        return column(bars).astype(np.float32)[:, None]

    return FeatureSet(name="set", columns=(Column(name="value", unit="points"),), batch=batch,
                      warmup_bars=10, history_bars=None, inputs=(VIX,))  # fmt: skip


def proven(column, **declared):
    found = replace(features(column), **declared)
    return falsify_feature_set(found, BARS, decisions_bars=[500, 900], seed=0, max_cuts=300)


@pytest.mark.parametrize("column", HONEST)
def test_as_of_columns_are_causal_on_the_whole_series_and_on_short_windows(column):
    assert proven(column).status == "clean", proven(column).failures
    assert proven(column, history_bars=1).status == "clean"


@pytest.mark.parametrize("column", AHEAD)
def test_what_depends_on_rows_not_yet_known_is_refused_with_its_line(column):
    (failure,) = proven(column).failures[:1]
    assert failure.check in ("prefix", "mutation", "history")
    assert failure.line.startswith("test_outside.py")


def test_a_condition_on_later_rows_alone_is_found_by_changing_them():
    highest = 1.2 * BARS.tables[0].columns["close"].max()

    def unless_it_jumps(bars):
        return level(bars) + (bars.tables[0].columns["close"].max(initial=0.0) > highest)

    (failure,) = proven(unless_it_jumps).failures
    assert failure.check == "mutation"


@pytest.mark.parametrize(("column", "status"), [(level, "clean"), (next_bars_row, "broken")])
def test_decisions_are_held_to_the_same(column, status):
    def decide(bars, params):
        rows = hourly(bars)
        chosen = rows[column(bars)[rows] > 18]
        return build(bars, chosen, column(bars))

    made = replace(CLEAN_LABELER, decide=decide, inputs=(VIX,), history_bars=HISTORY)
    assert isinstance(decide(BARS, {}), Decisions)
    found = falsify_labeler(made, BARS, {}, seed=0, max_cuts=300)
    assert found.status == status, found.failures
