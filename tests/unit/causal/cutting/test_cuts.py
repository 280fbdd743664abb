from __future__ import annotations

import numpy as np
import pytest

from ffm_core.causal.cutting.cuts import (
    MIN_RANDOM,
    REPLAYED_BARS,
    detection_bound,
    edges,
    replayed,
    sample_cuts,
)
from ffm_core.testing import make_bars


@pytest.fixture(scope="module")
def bars():
    return make_bars("trend", rows=9_000, seed=1)


DECIDED = np.arange(100, 9_000, 150)


def _cuts(bars, **changed):
    settings = {"seed": 3, "subject": "x", "max_cuts": 2_000} | changed
    return sample_cuts(bars, DECIDED, **settings)


def test_cuts_are_few_enough_random_enough_and_in_order(bars):
    cuts = _cuts(bars)
    assert len(cuts) <= 2_000
    assert len(cuts.drawn) >= MIN_RANDOM
    assert np.isin(cuts.drawn, cuts.at).all()
    assert (np.diff(cuts.at) > 0).all()
    assert cuts.at[0] >= 1
    assert cuts.at[-1] < len(bars)


def test_every_decision_is_cut_two_bars_before_to_two_bars_after(bars):
    last_bars = set((_cuts(bars).at - 1).tolist())
    for bar in DECIDED.tolist():
        assert {bar + k for k in range(-2, 3)} <= last_bars


def test_rolls_and_session_edges_are_cut_on_both_sides(bars):
    at = set(_cuts(bars).at.tolist())
    found = edges(bars)
    for place in (*found["roll"].tolist(), *found["session"].tolist()):
        assert {place - 1, place, place + 1} <= at


def test_many_decisions_do_not_crowd_out_random_cuts(bars):
    cuts = sample_cuts(bars, np.arange(len(bars)), seed=0, subject="x", max_cuts=1_000)
    assert len(cuts) <= 1_000
    assert len(cuts.drawn) >= MIN_RANDOM


def test_a_short_series_is_cut_at_every_bar():
    bars = make_bars("random", rows=200, seed=0)
    cuts = sample_cuts(bars, np.array([50]), seed=0, subject="x")
    np.testing.assert_array_equal(cuts.at, np.arange(1, 200))


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_is_cut_where_there_is_no_later_bar(rows):
    bars = make_bars("random", rows=rows, seed=0)
    assert len(sample_cuts(bars, np.empty(0, np.int64), seed=0, subject="x")) == 0


def test_cuts_depend_on_seed_and_subject_and_on_nothing_else(bars):
    np.testing.assert_array_equal(_cuts(bars).at, _cuts(bars).at)
    assert not np.array_equal(_cuts(bars).drawn, _cuts(bars, seed=4).drawn)
    assert not np.array_equal(_cuts(bars).drawn, _cuts(bars, subject="y").drawn)


def test_edges_lie_where_hours_days_sessions_and_contracts_begin(bars):
    found = edges(bars)
    stamps = bars.ts_us
    hour = 3_600_000_000
    assert all(stamps[i] // hour != stamps[i - 1] // hour for i in found["1h"])
    assert all(stamps[i] - stamps[i - 1] > bars.timeframe.us for i in found["session"])
    names = bars.frame["contract"].to_list()
    assert [names[i - 1] != names[i] for i in found["roll"]] == [True]
    local = bars.frame["ts"].dt.convert_time_zone("America/New_York")
    midnights = {i for i in range(1, len(bars)) if local[i].date() != local[i - 1].date()}
    assert midnights <= set(found["1d"].tolist())


def test_every_decision_is_replayed_unless_that_shows_too_many_bars():
    def replays(start, max_cuts=2_000):
        return replayed(DECIDED, 9_000, start, seed=0, subject="x", max_cuts=max_cuts)

    every = replays(lambda cut: cut - 100)
    np.testing.assert_array_equal(every, DECIDED[DECIDED < 8_999] + 1)
    assert len(replays(lambda cut: cut - 100, max_cuts=20)) == 30
    few = replays(lambda cut: cut - REPLAYED_BARS // 7)
    assert len(few) == 7
    assert np.isin(few, every).all()


def test_daily_bars_have_no_higher_timeframe():
    from dataclasses import replace

    from ffm_core.bars import Timeframe

    bars = make_bars("random", rows=100, seed=0)
    found = edges(replace(bars, timeframe=Timeframe(86_400)))
    assert len(found["1d"]) == len(found["1h"]) == 0


@pytest.mark.parametrize(
    ("cuts", "rate"),
    # From the binomial rule: cuts needed to see a leak of this row rate at 99 %.
    [(228, 0.02), (101, 0.0446), (44, 0.0994), (300, 0.01523)],
)
def test_the_bound_is_the_rate_that_escapes_one_time_in_a_hundred(cuts, rate):
    bound = detection_bound(cuts)
    assert bound == pytest.approx(rate, rel=0.01)
    assert (1 - bound) ** cuts == pytest.approx(0.01)


def test_without_cuts_nothing_is_excluded():
    assert detection_bound(0) == 1.0
