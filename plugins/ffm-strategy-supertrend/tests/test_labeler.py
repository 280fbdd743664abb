from __future__ import annotations

import numpy as np
import pytest
from ffm_strategy_supertrend.indicator import supertrend
from ffm_strategy_supertrend.labeler import COLUMNS, LABELER
from ffm_strategy_supertrend.plugin import ffm_labelers

from ffm_core.bars.primitives import atr_wilder


def decide(bars, **changed):
    return LABELER.decide(bars, LABELER.defaults() | changed)


def test_the_package_offers_its_default_labeler():
    assert [labeler.name for labeler in ffm_labelers()] == ["supertrend"]


def test_every_flip_after_the_warm_up_is_a_decision(wave):
    trend = supertrend(wave.high, wave.low, wave.close, atr_period=10, multiplier=3.0)
    flips = np.flatnonzero(np.diff(trend.direction)) + 1
    found = decide(wave)
    assert found.bar.tolist() == [t for t in flips if t >= LABELER.warmup_bars]
    np.testing.assert_array_equal(found.side, trend.direction[found.bar])
    assert (found.side[1:] == -found.side[:-1]).all()


def test_stop_target_and_horizon_follow_the_parameters(wave):
    atr = atr_wilder(wave.high, wave.low, wave.close, 14)
    plain, changed = decide(wave), decide(wave, stop_atr=1.5, rr=2.0, horizon_bars=40)
    np.testing.assert_array_equal(plain.risk, 2.0 * atr[plain.bar])
    assert set(plain.target_r) == {3.0}
    assert set(plain.horizon_bars) == {130}
    np.testing.assert_array_equal(changed.risk, 1.5 * atr[plain.bar])
    assert (set(changed.target_r), set(changed.horizon_bars)) == ({2.0}, {40})


def test_the_bands_follow_the_parameters(walk):
    bars = walk(1)
    assert len(decide(bars, multiplier=1.5)) > len(decide(bars)) > len(decide(bars, multiplier=5.0))
    assert decide(bars, atr_period=30).bar.tolist() != decide(bars).bar.tolist()


def test_the_columns_are_those_declared_and_finite(walk):
    found = decide(walk(2))
    assert set(found.columns) == {column.name for column in COLUMNS}
    assert len(found) > 30
    for values in found.columns.values():
        assert np.isfinite(values).all()


def test_one_row_by_hand(wave):
    found = decide(wave)
    row = found.bar.tolist().index(333)  # short; the flip before was at 263
    atr = atr_wilder(wave.high, wave.low, wave.close, 14)
    trend = supertrend(wave.high, wave.low, wave.close, atr_period=10, multiplier=3.0)
    close, unit = wave.close, atr[333]
    expected = {
        "line_distance": (close[333] - trend.upper[333]) / unit,
        "break_size": (close[333] - trend.lower[333]) / unit,
        "trend_bars": 70.0,
        "trend_move": (close[333] - close[263]) / unit,
        "atr_ratio": unit / atr[234:334].mean(),
        "bar_range": (wave.high[333] - wave.low[333]) / unit,
        "close_place": 2 * (close[333] - wave.low[333]) / (wave.high[333] - wave.low[333]) - 1,
        "return_20": (close[333] - close[313]) / unit / np.sqrt(20),
    }
    for name, value in expected.items():
        assert found.columns[name][row] == pytest.approx(value, rel=1e-9), name
    assert found.columns["line_distance"][row] < 0 > found.columns["break_size"][row]


def test_signed_columns_turn_with_the_price(walk, make_bars):
    bars = walk(3)
    turned = make_bars(*(10_000 - bars[name] for name in ("open", "low", "high", "close")))
    one, other = decide(bars), decide(turned)
    # The direction starts at +1 on both, so only flips after the first agree.
    shared = np.intersect1d(one.bar, other.bar)
    assert len(shared) > 20
    a, b = np.isin(one.bar, shared), np.isin(other.bar, shared)
    np.testing.assert_array_equal(one.side[a], -other.side[b])
    for column in COLUMNS:
        sign = -1.0 if column.signed else 1.0
        np.testing.assert_allclose(
            one.columns[column.name][a], sign * other.columns[column.name][b], atol=1e-9
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_declared_history_reproduces_a_decision(walk, seed):
    bars = walk(seed, 2600)
    whole = decide(bars)
    for row in np.flatnonzero(whole.bar >= LABELER.history_bars)[:5]:
        bar = int(whole.bar[row])
        part = decide(bars[bar + 1 - LABELER.history_bars : bar + 1])
        assert part.bar[-1] == LABELER.history_bars - 1
        assert part.side[-1] == whole.side[row]
        assert part.risk[-1] == pytest.approx(whole.risk[row], rel=1e-12)
        for name, values in part.columns.items():
            assert values[-1] == pytest.approx(whole.columns[name][row], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 9, 150])
def test_too_few_bars_give_no_decision(wave, rows):
    assert len(decide(wave[:rows])) == 0


def test_flat_prices_give_no_decision(make_bars):
    assert len(decide(make_bars(*[np.full(400, 100.0)] * 4))) == 0
