"""The planted edge against exact arithmetic: a chain of states, no random draws."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.testing.worlds_kernel import (
    TARGET_R,
    climb_odds,
    expected_steps,
    risk_ticks,
    risks,
    traded_walk,
)


def _chain(risk, steps, odds=None):
    """Probability of each profit after ``steps``, and the mean steps walked."""
    width = (1 + TARGET_R) * risk
    up = np.full(width + 1, 0.5)
    if odds is not None:
        up[:width] = odds / 2.0**32
    here, walked = np.zeros(width + 1), 0.0
    here[risk] = 1.0
    for _ in range(steps):
        alive = here.copy()
        alive[[0, width]] = 0.0
        walked += alive.sum()
        here = here - alive
        here[1:] += (alive * up)[:-1]
        here[:-1] += (alive * (1 - up))[1:]
    return here, walked


@pytest.mark.parametrize("risk", [8, 15, 40])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 4.0])
def test_expected_steps_match_the_chain(risk, share):
    steps = int(share * TARGET_R * risk * risk)
    _, walked = _chain(risk, steps)
    assert expected_steps(risk, float(steps)) == pytest.approx(walked, rel=0.02)


def test_expected_steps_without_a_cut_are_the_product_of_the_distances():
    assert expected_steps(20, 1e9) == pytest.approx(TARGET_R * 20 * 20)


@pytest.mark.parametrize("edge", [0.0, 0.05, 0.3, 0.65, 1.2])
@pytest.mark.parametrize("share", [1.0, 3.0, 20.0])
def test_mean_profit_is_the_edge(edge, share):
    risk = 20
    steps = int(share * TARGET_R * risk * risk)
    here, _ = _chain(risk, steps, climb_odds(risk, edge, float(steps)))
    mean = here @ (np.arange(len(here)) - risk) / risk
    assert mean == pytest.approx(edge, abs=0.004)


def test_fair_odds_win_one_time_in_three():
    risk = 12
    here, _ = _chain(risk, 20_000, climb_odds(risk, 0.0, 20_000.0))
    assert here[-1] == pytest.approx(1 / (1 + TARGET_R), abs=1e-9)
    assert here[0] + here[-1] == pytest.approx(1.0)


def test_an_edge_too_large_for_its_horizon_is_cut_not_broken():
    odds = climb_odds(10, 1.9, 20.0) / 2.0**32
    assert ((odds >= 0) & (odds <= 1)).all()


@pytest.mark.parametrize("side", [1, -1])
def test_walk_ends_exactly_on_its_levels(side):
    risk, state = 9, np.array([3], dtype=np.uint64)
    odds, out = climb_odds(risk, 0.3, 1e6), np.zeros(3, dtype=np.int64)
    ends = []
    for _ in range(4000):
        trade = np.array([risk, side, 0, 100])
        left = traded_walk(5000, trade, odds, state, out)
        assert trade[2] in (-risk, TARGET_R * risk)
        assert trade[3] == -1
        assert left > 0
        assert out[0] == side * trade[2]
        assert out[1] >= max(out[0], 0)
        assert out[2] <= min(out[0], 0)
        ends.append(trade[2] / risk)
    assert np.mean(ends) == pytest.approx(0.3, abs=0.08)


def test_walk_in_two_parts_stays_inside_its_levels():
    risk, state = 30, np.array([4], dtype=np.uint64)
    odds, out = climb_odds(risk, 0.0, 1e6), np.zeros(3, dtype=np.int64)
    trade = np.array([risk, 1, 0, 100])
    moved = 0
    for steps in (1, 2, 7, 20):  # odd and even: no bit is used twice or left out
        assert traded_walk(steps, trade, odds, state, out) == 0
        moved += out[0]
        assert moved == trade[2]
        assert trade[3] == 100


def test_single_steps_are_fair():
    # A walk asked for one step at a time must not lean: every call starts a new word.
    risk, state = 8, np.array([6], dtype=np.uint64)
    odds, out = climb_odds(risk, 0.0, 1e6), np.zeros(3, dtype=np.int64)
    total = 0
    for _ in range(20_000):
        traded_walk(1, np.array([risk, 1, 0, 100]), odds, state, out)
        total += out[0]
    assert abs(total) < 4 * np.sqrt(20_000)


def test_risk_is_twice_the_mean_true_range_in_whole_ticks():
    rng = np.random.default_rng(0)
    close = 1000 + np.cumsum(rng.integers(-9, 10, 60))
    opened = close + rng.integers(-3, 4, 60)
    high = np.maximum(opened, close) + rng.integers(0, 9, 60)
    low = np.minimum(opened, close) - rng.integers(0, 9, 60)
    bars = np.column_stack([opened, high, low, close]).astype(np.int64)
    ranges = [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(31 - 14, 31)]
    assert risk_ticks(bars, 30) == int(np.floor(2 * np.mean(ranges) + 0.5))
    assert risks(bars, np.array([30, 40])).tolist() == [risk_ticks(bars, 30), risk_ticks(bars, 40)]
    assert risk_ticks(np.full((20, 4), 7), 19) == 8
