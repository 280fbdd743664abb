from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ffm_legacy.plugin import ffm_targets

from ffm_core.labels.targets import target as ours
from ffm_core.labels.targets.context import NAMES
from ffm_core.records import TargetValues

MASK = TargetValues.MASKED
OFFERED = {one.name: one for one in ffm_targets()}


def target(name):
    return OFFERED[name]


def ahead(values, bars):
    return values.shift(-bars)


def regime(o, h, low, c):
    step = c.pct_change()
    sd, move = ahead(step.rolling(20).std(), 20), ahead(c, 20) / c - 1
    wild = 1.5 * sd.rolling(200, min_periods=50).median()
    far = 0.8 * move.rolling(200, min_periods=50).std()
    out = pd.Series(MASK, index=c.index)
    out[sd > wild] = 3
    calm = sd < 0.85 * wild
    out[calm & (move > far)] = 0
    out[calm & (move < -far)] = 1
    out[calm & (move.abs() < 0.6 * far)] = 2
    out[sd.isna() | move.isna() | wild.isna() | far.isna()] = np.nan
    return out


def volatility(o, h, low, c):
    sd = ahead(c.pct_change().rolling(10).std(), 10)
    rank = sd.rolling(100, min_periods=30).rank(pct=True)
    return pd.cut(rank, [-1, 0.25, 0.6, 0.85, 2], right=False, labels=False).astype(float)


def structure(o, h, low, c):
    top, bottom = h.rolling(12).max(), low.rolling(12).min()
    next_top, next_bottom = ahead(h.rolling(20).max(), 20), ahead(low.rolling(20).min(), 20)
    out = pd.Series(MASK, index=c.index)
    out[(next_top > top) & (next_bottom > bottom)] = 0
    out[(next_top < top) & (next_bottom < bottom)] = 1
    out[top.isna() | next_top.isna()] = np.nan
    return out


def range_(o, h, low, c):
    top, bottom = c.rolling(20).max(), c.rolling(20).min()
    place = ((ahead(c, 10) - bottom) / (top - bottom).where(top > bottom)).clip(0, 1)
    return pd.cut(place, [-1, 0.2, 0.4, 0.6, 0.8, 2], right=False, labels=False).astype(float)


def context(c):
    """The seven context targets in pandas, bars as they come."""
    log = np.log(c)
    step = log.diff()
    sd10, sd20 = step.rolling(10).std(), step.rolling(20).std()
    usual = sd20.rolling(200, min_periods=50).median()
    move, later = ahead(log, 20) - log, ahead(sd20, 20)
    spread = (log - log.shift(20)).rolling(200, min_periods=50).std()
    known = later.notna() & usual.notna()
    coming = ahead(sd10, 10)
    below = pd.concat([sd10.shift(k) < coming for k in range(100)], axis=1).sum(axis=1) / 100
    top, bottom = c.rolling(12).max(), c.rolling(12).min()
    next_top, next_bottom = ahead(c.rolling(20).max(), 20), ahead(c.rolling(20).min(), 20)
    shape = pd.Series(np.nan, index=c.index)
    shape[(next_top > top) & (next_bottom > bottom)] = 1
    shape[(next_top < top) & (next_bottom < bottom)] = 0
    box = c.rolling(20).max(), c.rolling(20).min()
    stays = (ahead(c.rolling(10).max(), 10) <= box[0]) & (ahead(c.rolling(10).min(), 10) >= box[1])
    path = ahead(step.abs().rolling(20).sum(), 20)
    return {
        "fwd_return": (move / spread.where(spread > 0)).clip(-4, 4),
        "vol_expansion": (later > 1.5 * usual).astype(float).where(known),
        "volatility": below.where(sd10.rolling(100).count().eq(100) & coming.notna()),
        "structure": shape,
        "quiet_persist": (later <= 1.25 * usual).astype(float).where(known & (sd20 <= usual)),
        "trendiness": move.abs() / path.where(path > 0),
        "range_bound": stays.astype(float).where(box[0].notna() & ahead(c, 10).notna()),
    }


PANDAS = {"regime": regime, "volatility": volatility, "structure": structure, "range": range_}


@pytest.mark.parametrize("name", PANDAS)
@pytest.mark.parametrize("seed", [11, 12])
def test_label_sets_equal_pandas(torn, name, seed):
    bars = torn(seed, 1200)
    prices = [pd.Series(x.copy()) for x in (bars.open, bars.high, bars.low, bars.close)]
    expected = PANDAS[name](*prices).to_numpy()
    rule = target(f"legacy/{name}")
    found = rule.compute(bars)
    np.testing.assert_array_equal(found.value, expected.astype(np.float32))
    defined = ~np.isnan(expected)
    assert set(expected[defined]) - {MASK} == set(range(len(rule.classes)))
    np.testing.assert_array_equal(
        found.end_bar, np.where(defined, np.arange(1200) + rule.horizon_bars, -1)
    )


@pytest.mark.parametrize("seed", [13, 14])
def test_legacy_context_targets_equal_pandas(torn, seed):
    bars = torn(seed, 1200)
    expected = context(pd.Series(bars.close.copy()))
    assert set(NAMES) - set(expected) == {"structure_break"}
    for name, values in expected.items():
        found = target(f"context-legacy/{name}").compute(bars).value
        np.testing.assert_allclose(found, values.to_numpy(), rtol=1e-6, err_msg=name)


def test_legacy_structure_breaks_count_tied_pivots(make_bars):
    # Two equal tops eight bars apart: the strict rule wants a unique one and sees
    # none, the reference takes both, and has a state (none) from the first bar on.
    close = np.interp(np.arange(160), [0, 20, 26, 28, 50, 80, 110, 159],
                      [100, 110, 105, 110, 98, 112, 103, 125])  # fmt: skip
    bars = make_bars(close, close, close, close)
    strict = ours("context/structure_break").compute(bars)
    legacy = target("context-legacy/structure_break").compute(bars)
    assert np.isnan(strict.value[:-30]).any()
    assert not np.isnan(legacy.value[:-30]).any()
    assert np.isnan(legacy.value[-30:]).all()


def shaped(make_bars, close):
    return make_bars(close, close, close, close)


@pytest.mark.parametrize(("rate", "side", "fifth"), [(0.001, 0.0, 4.0), (-0.001, 1.0, 0.0)])
def test_a_straight_line(make_bars, rate, side, fifth):
    bars = shaped(make_bars, 100 * (1 + rate) ** np.arange(400))
    value = {name: target(f"legacy/{name}").compute(bars).value for name in PANDAS}
    assert (value["structure"][11:-20] == side).all()
    assert (value["range"][19:-10] == fifth).all()
    assert (value["volatility"][29:-10] == 1.0).all()  # all alike: the middle of the ranks
    assert (value["regime"][49:-20] == MASK).all()  # no volatility to be calm against


def test_a_flat_market_has_no_place_in_its_range(make_bars):
    assert np.isnan(
        target("legacy/range").compute(shaped(make_bars, np.full(200, 5.0))).value
    ).all()


def test_a_burst_is_a_volatile_expansion(make_bars):
    step = np.random.default_rng(3).normal(0, 0.0005, 500)
    step[300:330] *= 20
    bars = shaped(make_bars, 100 * np.cumprod(1 + step))
    assert target("legacy/regime").compute(bars).value[299] == 3.0
    assert target("legacy/volatility").compute(bars).value[299] == 3.0


def test_structure_knows_two_classes_and_only_two_sets_mask_rows(torn):
    found = {name: target(f"legacy/{name}").compute(torn(15, 1200)).value for name in PANDAS}
    assert 2.0 not in found["structure"]
    assert {name for name, value in found.items() if (value == MASK).any()} == {
        "regime",
        "structure",
    }


@pytest.mark.parametrize("rate", [0.001, -0.001])
def test_context_targets_of_a_straight_line(make_bars, rate):
    bars = shaped(make_bars, 100 * (1 + rate) ** np.arange(400))
    value = {name: target(f"context-legacy/{name}").compute(bars).value for name in NAMES}
    assert (value["trendiness"][:-20] == 1.0).all()
    assert (value["structure"][11:-20] == (1.0 if rate > 0 else 0.0)).all()
    assert (value["structure_break"][:-30] == 0.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_rolls_and_gaps_are_bars_like_any_other(torn, name):
    found = target(f"context-legacy/{name}")
    value, horizon = found.compute(torn(16)).value, found.horizon_bars
    assert np.isnan(value[-horizon:]).all()
    if name not in ("structure", "quiet_persist"):  # undefined where there is nothing to say
        assert np.isfinite(value[110:-horizon]).all()
