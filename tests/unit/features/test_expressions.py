"""Feature sets of polars expressions, and their streaming over declared history."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ffm_core.errors import ConfigError, StrategyError
from ffm_core.features.expressions import expression_set
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.features.windowed import open_stream, window_start
from ffm_core.records import Column
from ffm_core.testing import make_bars

RANGE = Column(name="range_5", unit="points")
DAY_HIGH = Column(name="highest_20", unit="points")


def ranges(**changes):
    made = {
        RANGE: pl.col("high").rolling_max(5) - pl.col("low").rolling_min(5),
        DAY_HIGH: pl.col("high").rolling_max(20),
    }
    settings = {"warmup_bars": 19, "history_bars": 20, "memory": "finite"} | changes
    return expression_set("ranges", made, **settings)


def streamed(feature_set, bars, stream=None):
    stream = stream or open_stream(feature_set, bars.instrument, bars.timeframe)
    series = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return np.array([stream.update(*values) for values in zip(*series, strict=True)])


def test_expressions_give_one_float32_row_a_bar():
    bars = make_bars("random", rows=100, seed=1)
    values = ranges().batch(bars)
    assert values.dtype == np.float32
    assert values.shape == (100, 2)
    assert np.isnan(values[:4, 0]).all()
    assert np.isnan(values[:19, 1]).all()
    expected = bars.high[30:50].max()
    assert values[49, 1] == np.float32(expected)


@pytest.mark.parametrize("feature_set", [ranges(), TRIVIAL8], ids=lambda s: s.name)
def test_streaming_over_the_declared_history_equals_batch_bit_for_bit(feature_set):
    bars = make_bars("random", rows=400, seed=2)
    assert streamed(feature_set, bars).tobytes() == feature_set.batch(bars).tobytes()


def test_a_history_that_does_not_suffice_shows_in_the_stream():
    bars = make_bars("random", rows=200, seed=2)
    short = ranges(history_bars=19)
    assert not np.array_equal(streamed(short, bars), short.batch(bars), equal_nan=True)


def test_history_in_days_begins_with_a_trading_date():
    bars = make_bars("random", rows=2_000, seed=3)
    days = ranges(history_bars=None, history_days=2)
    cut = bars[:1_500]
    start = window_start(cut, None, 2)
    from ffm_core.bars.sessions import trading_days

    dates = trading_days(cut)
    assert dates[start] != dates[start - 1]
    assert len(np.unique(dates[start:])) == 2
    assert window_start(cut, 1_499, 2) == 1  # the earlier start wins
    assert window_start(cut, None, None) == 0
    part = bars[:700]
    assert streamed(days, part).tobytes() == days.batch(part).tobytes()


def test_a_snapshot_goes_on_where_it_was_taken():
    bars = make_bars("random", rows=300, seed=4)
    first = open_stream(ranges(), bars.instrument, bars.timeframe)
    streamed(ranges(), bars[:150], first)
    second = open_stream(ranges(), bars.instrument, bars.timeframe)
    second.restore(first.snapshot())
    rest = bars[150:]
    assert streamed(ranges(), rest, second).tobytes() == ranges().batch(bars)[150:].tobytes()
    with pytest.raises(ConfigError, match="not one of a windowed stream"):
        second.restore(b"something else")


def test_without_a_declared_history_there_is_no_stream():
    bars = make_bars("random", rows=30, seed=4)
    whole = ranges(history_bars=None)
    with pytest.raises(ConfigError, match="needs the whole series and has no stream"):
        open_stream(whole, bars.instrument, bars.timeframe)


def test_an_expression_that_cannot_be_computed_names_its_set_and_the_columns():
    bars = make_bars("random", rows=30, seed=4)
    wrong = expression_set("odd", {RANGE: pl.col("hgih")}, warmup_bars=0, history_bars=1)
    with pytest.raises(StrategyError, match=r"(?s)'odd'.*hgih.*ts, open, high"):
        wrong.batch(bars)
    shorter = expression_set("odd", {RANGE: pl.col("high").head(3)}, warmup_bars=0, history_bars=1)
    with pytest.raises(StrategyError, match=r"shape \(3, 1\), expected \(30, 1\)"):
        shorter.batch(bars)
