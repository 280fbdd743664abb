from __future__ import annotations

import numpy as np
import pytest

from ffm_core.bars.primitives import atr_wilder
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import FIXED_RR
from ffm_core.labels.targets import RUNGS, ladder, target
from ffm_core.labels.targets.ladder import HORIZON, rungs_reached
from ffm_core.records import VOIDS, Decisions

SIDES = {"long": 1, "short": -1}


def decisions(bars, rows, side, risk):
    return Decisions(bar=rows, side=np.full(len(rows), side, dtype=np.int8), risk=risk[rows])


@pytest.fixture(scope="module")
def lively(torn):
    """A market whose range falls behind its moves, so that every rung is reached."""
    return torn(31, 1500)


@pytest.mark.parametrize("name", SIDES)
def test_every_bar_agrees_with_the_outcome_of_its_trade(lively, name):
    bars, side = lively, SIDES[name]
    risk = 2.0 * atr_wilder(bars.high, bars.low, bars.close, 14)
    rows = np.arange(13, len(bars) - 1)
    trades = outcomes(bars, decisions(bars, rows, side, risk), FIXED_RR, {"rr": 8.0},
                      horizon_bars=HORIZON)  # fmt: skip
    found = target(f"ladder/{name}").compute(bars)
    assert np.isnan(found.value[:13]).all()
    assert np.isnan(found.value[-1])
    expected = rungs_reached(trades.peak_r)
    # A ladder looks at no later bar, so it does not know the hours that a file keeps.
    same = trades.void_reason != VOIDS.index("hole")
    np.testing.assert_array_equal(found.value[rows][same], expected.astype(np.float32)[same])
    assert set(np.unique(expected[~np.isnan(expected)])) >= {0, 1, 2, 3}
    for reason in ("roll", "data_end"):
        void = trades.void_reason == VOIDS.index(reason)
        assert void.any()
        assert np.isnan(found.value[rows[void]]).all()
    defined = trades.valid
    np.testing.assert_array_equal(found.end_bar[rows[defined]], trades.exit_bar[defined])


def plain_rung(bars, t, side, risk):
    """Highest rung before the stop within the horizon, and the bar that settles it."""
    entry, reached, tick = bars.open[t + 1], 0, bars.instrument.tick_size
    away = np.floor if side > 0 else np.ceil
    risk = side * (entry - tick * away((entry - side * risk) / tick))
    for j in range(t + 1, t + 1 + HORIZON):
        if j >= len(bars):
            return np.nan, -1
        against, along = (bars.low[j], bars.high[j]) if side > 0 else (bars.high[j], bars.low[j])
        if j > t + 1 and side * (bars.open[j] - entry) >= RUNGS[-1] * risk - 1e-9:
            return 5.0, j
        if side * (against - entry) <= -risk:
            return float(reached), j
        reached = max(reached, sum(side * (along - entry) >= x * risk - 1e-9 for x in RUNGS))
        if reached == len(RUNGS):
            return 5.0, j
    return float(reached), t + HORIZON


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("seed", [41, 42])
def test_rungs_equal_the_plain_climb(walk, name, seed):
    bars = walk(seed, 600)
    risk = 2.0 * atr_wilder(bars.high, bars.low, bars.close, 14)
    found = target(f"ladder/{name}").compute(bars)
    for t in range(13, len(bars) - 1):
        assert (found.value[t], found.end_bar[t]) == pytest.approx(
            plain_rung(bars, t, SIDES[name], risk[t]), nan_ok=True
        )


def test_the_rungs_of_decisions_never_rise(lively):
    bars = lively
    risk = 2.0 * atr_wilder(bars.high, bars.low, bars.close, 14)
    rows = np.arange(20, 1400, 7)
    trades = outcomes(bars, decisions(bars, rows, 1, risk), FIXED_RR, {"rr": 3.0},
                      horizon_bars=HORIZON)  # fmt: skip
    found = ladder(trades)
    assert found.reached.shape == (len(rows), 5)
    assert found.reached.dtype == np.int8
    valid = trades.valid
    assert (found.reached[~valid] == -1).all()
    assert (~valid).any()
    climbed = found.reached[valid]
    assert (np.diff(climbed.astype(int), axis=1) <= 0).all()
    for column, rung in enumerate(RUNGS):
        np.testing.assert_array_equal(climbed[:, column], trades.peak_r[valid] >= rung - 1e-9)
    # the target at 3 R does not stop the climb
    assert climbed[:, 2].sum() > 0
    np.testing.assert_array_equal(found.t_end, trades.t_end_max)


def test_the_target_of_the_outcomes_does_not_matter(lively):
    bars = lively
    risk = 2.0 * atr_wilder(bars.high, bars.low, bars.close, 14)
    rows = np.arange(20, 1300, 11)
    near, far = (
        outcomes(bars, decisions(bars, rows, -1, risk), FIXED_RR, {"rr": rr}, horizon_bars=HORIZON)
        for rr in (1.0, 8.0)
    )
    both = near.valid & far.valid  # a near target ends some trades before a roll
    assert both.sum() > 40
    np.testing.assert_array_equal(ladder(near).reached[both], ladder(far).reached[both])


def test_rungs_are_met_by_touching(make_bars):
    assert rungs_reached(np.array([0, 1.99, 2, 2.5, 3, 4, 6, 7.99, 8, 40, np.nan])).tolist() == [
        0, 0, 1, 1, 2, 3, 4, 4, 5, 5, pytest.approx(np.nan, nan_ok=True),
    ]  # fmt: skip
    # 0.1 + 0.2: a target computed from the entry may miss its rung by one last digit
    assert rungs_reached(np.array([3.0 - 4e-16])).tolist() == [2]


def test_the_bar_of_the_stop_counts_for_nothing(make_bars):
    # ATR 1, so 2 points of risk; the second bar runs to 3 R and to the stop.
    quiet = [(100.0, 100.5, 99.5, 100.0)] * 20
    both = (100.0, 106.5, 97.5, 100.0)
    bars = make_bars(*map(list, zip(*quiet, both, *quiet, strict=True)))
    found = target("ladder/long").compute(bars)
    assert (found.value[18], found.end_bar[18]) == (0.0, 20)
    up = (100.0, 106.5, 99.5, 100.0)
    bars = make_bars(*map(list, zip(*quiet, up, both, *quiet, strict=True)))
    found = target("ladder/long").compute(bars)
    assert (found.value[18], found.end_bar[18]) == (2.0, 21)


def test_a_risk_below_four_ticks_is_no_trade(make_bars):
    # 2 ATR are 0.6 points: 0.75 on ticks, of the 1.0 that is needed
    tiny = make_bars(*(np.full(300, 100.0) + x for x in (0, 0.15, -0.15, 0)))
    assert np.isnan(target("ladder/long").compute(tiny).value).all()
    enough = make_bars(*(np.full(300, 100.0) + x for x in (0, 0.25, -0.25, 0)))
    assert (target("ladder/long").compute(enough).value[13:169] == 0.0).all()
