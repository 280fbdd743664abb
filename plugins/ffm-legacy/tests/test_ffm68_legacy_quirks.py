"""The quirks that legacy keeps, each against pandas or a hand-made case."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from ffm_legacy.ffm68.assembled import FFM68_LEGACY

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.testing import make_bars

NAMES = [column.name for column in FFM68_LEGACY.columns]
MARCH_4 = pd.Timestamp("2024-03-04", tz="UTC")


@pytest.fixture(scope="module", params=["random", "gappy"])
def both(request):
    """Made-up bars as a frame by UTC stamp, and the features of them."""
    bars = make_bars(request.param, 6_000, seed=11)
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.to_datetime(bars.ts_us, unit="us", utc=True)
    found = pd.DataFrame(FFM68_LEGACY.batch(bars).astype(float), index=frame.index, columns=NAMES)
    return frame, found


def bars_of(rows, seconds=300):
    """Bars of (minutes after Monday 00:00 UTC, open, high, low, close)."""
    minutes, *prices = np.array(rows, dtype=float).T
    ts = MARCH_4.value // 1_000 + (minutes * 60_000_000).astype(np.int64)
    frame = pl.DataFrame({"ts": pl.Series(ts).cast(pl.Datetime("us", "UTC"))}).with_columns(
        **dict(zip(("open", "high", "low", "close"), prices, strict=True)), volume=np.ones(len(ts))
    )
    return Bars(frame, lookup("ES"), Timeframe(seconds))


def values(bars):
    return pd.DataFrame(FFM68_LEGACY.batch(bars).astype(float), columns=NAMES)


def longer(frame, rule):
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    return frame.resample(rule, closed="right", label="right").agg(how).dropna()


def true_range(frame):
    before = frame["close"].shift()
    spans = [frame["high"] - frame["low"], frame["high"] - before, frame["low"] - before]
    return pd.concat(spans, axis=1).abs().max(axis=1)


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=str(found.name))


@pytest.mark.parametrize(("rule", "name", "expiry"), [("60min", "1h", 12), ("240min", "4h", 48)])
def test_sweeps_come_from_right_closed_bars_of_utc(both, rule, name, expiry):
    frame, found = both
    coarse = longer(frame, rule)
    atr = true_range(coarse).rolling(14).mean().fillna(1e-6).clip(lower=1e-6)
    low, high = coarse["low"].shift(), coarse["high"].shift()
    sides = {
        "bull": ((low - coarse["low"]) / atr)[(coarse["low"] < low) & (coarse["close"] > low)],
        "bear": ((coarse["high"] - high) / atr)[(coarse["high"] > high) & (coarse["close"] < high)],
    }
    row = np.arange(len(frame))
    age, magnitude = np.ones(len(frame)), np.zeros(len(frame))
    for side, events in sides.items():
        assert len(events) > 20 if rule == "60min" else len(events) > 3
        fired = pd.Series(np.nan, index=frame.index)
        size = fired.copy()
        at = frame.index.searchsorted(events.index, side="right")
        known = at < len(frame)
        fired.iloc[at[known]] = at[known]
        size.iloc[at[known]] = events.clip(0, 3).to_numpy()[known]
        since = row - fired.ffill()
        active = since < expiry
        agree(found[f"swp_{name}_{side}_active"], active.astype(float))
        age = np.minimum(age, np.where(active, since / expiry, 1.0))
        magnitude = np.maximum(magnitude, np.where(active, size.ffill(), 0.0))
    agree(found[f"swp_{name}_age_norm"], age)
    agree(found[f"swp_{name}_magnitude"], magnitude)


def test_alignment_is_told_twice(both):
    _, found = both
    total = sum(found[f"swp_{n}_bull_active"] - found[f"swp_{n}_bear_active"] for n in ("1h", "4h"))
    agree(found["swp_tf_alignment"], np.sign(total))
    assert found["swp_dominant_dir"].equals(found["swp_tf_alignment"].rename("swp_dominant_dir"))
    assert set(found["swp_tf_alignment"]) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(("rule", "name"), [("60min", "1h"), ("240min", "4h")])
def test_the_running_longer_bar_is_right_closed(both, rule, name):
    frame, found = both
    by = frame.groupby(frame.index.ceil(rule))
    low, high = by["low"].cummin(), by["high"].cummax()
    place = ((frame["close"] - low) / (high - low)).fillna(0.5)
    agree(found[f"htf_{name}_close_pos"], place)
    atr = true_range(frame).rolling(14).mean()
    change = ((frame["close"] - by["open"].transform("first")) / atr).fillna(0.0)
    agree(found[f"htf_{name}_ret"], change)


@pytest.mark.parametrize(("rule", "name"), [("60min", "1h"), ("1D", "daily")])
def test_structure_counts_the_last_three_completed_bars(both, rule, name):
    frame, found = both
    coarse = longer(frame, rule)
    turn = np.sign(coarse["close"].diff())
    total = (turn.shift(1) + turn.shift(2) + turn.shift(3)).fillna(0.0)
    state = np.sign(total.where(total.abs() >= 2, 0.0))
    expected = state.reindex(frame.index.ceil(rule)).to_numpy()
    assert len(set(expected)) > 1
    agree(found[f"htf_{name}_structure"], expected)


def test_sessions_are_hours_of_utc_and_night_and_evening_are_one(both):
    frame, found = both
    hour = frame.index.hour
    session = np.select([(hour >= 3) & (hour < 8), (hour >= 8) & (hour < 12),
                         (hour >= 12) & (hour < 16)], [1, 2, 3], 0)  # fmt: skip
    by = frame.groupby([frame.index.date, session])
    nominal = np.array([96.0, 60.0, 48.0, 48.0])[session]
    agree(found["sess_bars_elapsed"], np.minimum(by.cumcount() / nominal, 1.0))
    atr = true_range(frame).rolling(14).mean()
    close = frame["close"]
    agree(found["sess_dist_from_open"], (close - by["open"].transform("first")) / atr)
    agree(found["sess_dist_from_high"], (close - by["high"].cummax()) / atr)
    agree(found["sess_dist_from_low"], (close - by["low"].cummin()) / atr)
    spread = (frame["high"] - frame["low"]).groupby([frame.index.date, session])
    agree(
        found["bar_size_vs_session"],
        (frame["high"] - frame["low"]) / (spread.cumsum() / (spread.cumcount() + 1)),
    )
    price = (frame["high"] + frame["low"] + close) / 3 * frame["volume"]
    day = frame.index.date
    vwap = price.groupby(day).cumsum() / frame["volume"].groupby(day).cumsum()
    agree(found["sess_dist_from_vwap"], (close - vwap) / atr)
    evening = (session == 0) & (hour >= 16)
    opens = by["open"].transform("first")
    assert (opens[evening] == frame["open"].groupby(day).transform("first")[evening]).mean() > 0.5


def test_the_utc_day_of_a_midnight_bar_is_the_one_it_ends_for_longer_bars_only():
    rows = [(1_435, 10, 12, 9, 11), (1_440, 11, 30, 11, 20), (1_445, 20, 21, 19, 20)]
    found = values(bars_of(rows))
    assert found["htf_1h_close_pos"].tolist() == pytest.approx([2 / 3, 11 / 21, 0.5])
    assert found["sess_bars_elapsed"].tolist() == pytest.approx(
        [0.0, 0.0, 1 / 96]
    )  # a new date at 00:00


def test_a_sweep_reads_three_until_its_mean_range_exists():
    quiet = [(5 * k, 100, 101, 99, 100) for k in range(1, 13)]
    poke = [(60 + 5 * k, 100, 100.5, 98.75 if k == 6 else 99.5, 100) for k in range(1, 13)]
    after = [(120 + 5 * k, 100, 100.5, 99.5, 100) for k in range(1, 14)]
    found = values(bars_of(quiet + poke + after))
    assert not found["swp_1h_bull_active"][:24].any()
    assert found["swp_1h_bull_active"][24:36].all()
    assert not found["swp_1h_bull_active"][36:].any()
    assert set(found["swp_1h_magnitude"][24:36]) == {3.0}
    assert found["swp_1h_age_norm"][24:36].tolist() == pytest.approx(np.arange(12) / 12)
    assert found["swp_1h_age_norm"][36] == 1.0


def test_swings_are_extremes_of_21_bars_told_ten_bars_later(both):
    frame, found = both
    atr = true_range(frame).rolling(14).mean()
    trend = []
    for side, name in (("max", "high"), ("min", "low")):
        values = frame[name]
        extreme = values.rolling(21, center=True).agg(side)
        level = values.where(values == extreme).shift(10)
        assert level.count() > 150
        agree(found[f"str_swing_{name}_dist"], (frame["close"] - level.ffill()) / atr)
        trend.append(np.sign(level.dropna().diff()).reindex(frame.index).ffill())
    agree(found["str_structure_state"], trend[0].where(trend[0] == trend[1], 0.0).fillna(0.0))


def test_momentum_speed_leaves_out_the_current_bar():
    close = 100 + np.cumsum(np.random.default_rng(6).normal(0, 1, 40))

    def speed(close):
        rows = [(5 * k, c, c + 2, c - 2, c) for k, c in enumerate(close)]
        return values(bars_of(rows))["momentum_speed_ratio"]

    before = speed(close)
    assert before[20:].nunique() > 15
    assert speed(np.append(close[:-1], 150.0)).equals(before)
    assert speed(np.append(close[:-2], [150.0, 150.0])).iloc[-1] != before.iloc[-1]


def test_a_tie_publishes_a_swing_that_is_no_change():
    slope = np.arange(80) * 0.01  # no swing but those put in
    high, low = 100 - slope, 90 - slope
    high[[15, 40]] = 105.0
    low[[20, 45]] = 85.0, 88.0
    tie = values(bars_of([(5 * k, 95, high[k], low[k], 95) for k in range(80)]))
    assert set(tie["str_structure_state"]) == {0.0}
    high[40] = 105.5
    higher = values(bars_of([(5 * k, 95, high[k], low[k], 95) for k in range(80)]))
    assert higher["str_structure_state"].tolist() == [0.0] * 55 + [1.0] * 25


@pytest.mark.parametrize(("seconds", "hour", "four"), [(60, 60, 240), (180, 20, 80), (3_600, 1, 4)])
def test_expiry_and_nominal_lengths_follow_the_bar_length(seconds, hour, four):
    minutes = seconds // 60
    rng = np.random.default_rng(2)
    close = 100 + np.cumsum(rng.normal(0, 1, 6_000))
    rows = [
        (minutes * (k + 1), c, c + 1 + rng.random(), c - 1 - rng.random(), c)
        for k, c in enumerate(close)
    ]
    found = values(bars_of(rows, seconds))
    for name, length in (("1h", hour), ("4h", four)):
        ages = set(np.round(found[f"swp_{name}_age_norm"] * length).astype(int)) - {length}
        assert ages == set(range(length))
    assert found["sess_bars_elapsed"].iloc[1] == pytest.approx(1 / (480 / minutes))
