from __future__ import annotations

import numpy as np
import pytest

from ffm_core.bars.sessions import trading_days
from ffm_core.errors import ConfigError
from ffm_core.testing import make_bars
from ffm_core.testing.market import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [0, 1, 2, 1_500])
def test_made_bars_are_valid_and_as_many_as_asked_for(kind, rows):
    bars = make_bars(kind, rows=rows, seed=4)
    assert len(bars) == rows
    assert (np.diff(bars.ts_us) > 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.low > 0).all()
    np.testing.assert_array_equal(bars.close % bars.instrument.tick_size, 0)
    assert bars.frame.null_count().sum_horizontal().sum() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes(kind):
    assert make_bars(kind, 300, 1).sha256 == make_bars(kind, 300, 1).sha256
    if kind != "flat":
        assert make_bars(kind, 300, 1).sha256 != make_bars(kind, 300, 2).sha256


def test_ordinary_bars_have_sessions_weekends_and_one_roll():
    bars = make_bars("trend", rows=3_000, seed=0)
    holes = np.diff(bars.ts_us) // 60_000_000
    # A break of one hour, a weekend of 49 hours, and one of 48 when the clock changes.
    assert set(holes.tolist()) == {5, 65, 49 * 60 + 5, 48 * 60 + 5}
    assert bars.frame["contract"].n_unique() == 2
    assert len(np.unique(trading_days(bars))) > 6


def test_sessions_follow_new_york_through_the_change_of_clocks():
    bars = make_bars("random", rows=2_500, seed=0)
    local = bars.frame["ts"].dt.convert_time_zone("America/New_York")
    assert 17 not in set(local.dt.hour().to_list())
    opens = np.flatnonzero(np.diff(bars.ts_us) > 3_600_000_000) + 1
    assert {local[int(i)].hour for i in opens} == {18}
    assert len({bars.frame["ts"][int(i)].hour for i in opens}) == 2


def test_each_kind_brings_its_trouble():
    assert (make_bars("flat", 300, 0).high == make_bars("flat", 300, 0).low).all()
    assert (make_bars("quiet", 300, 0).volume == 0).all()
    assert make_bars("rolls", 1_000, 0).frame["contract"].n_unique() == 5
    gappy = make_bars("gappy", 1_000, 0)
    assert np.diff(gappy.ts_us).max() > 10 * 86_400_000_000
    assert (np.diff(gappy.ts_us) == 2 * gappy.timeframe.us).any()
    clock = make_bars("clock", 600, 0)
    wall = clock.frame["ts"].dt.convert_time_zone("America/New_York").dt.strftime("%d %H:%M")
    assert wall.n_unique() == 600 - 12


def test_a_trend_moves_further_than_noise():
    def run(kind):
        close = make_bars(kind, 2_000, 3).close
        return np.abs(close[40::40] - close[:-40:40]).mean()

    assert run("trend") > 2 * run("random")


@pytest.mark.parametrize(("kind", "rows"), [("sideways", 10), ("trend", -1)])
def test_other_kinds_and_negative_lengths_are_refused(kind, rows):
    with pytest.raises(ConfigError):
        make_bars(kind, rows=rows)
