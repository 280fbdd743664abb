from __future__ import annotations

import math

import numpy as np
import pytest

from ffm_core.ruler.power import (
    Z_DETECT,
    minimum_detectable,
    months_to_settle,
    power_at,
    smallest_edge,
)


def test_two_point_eight():
    assert pytest.approx(2.80, abs=0.005) == Z_DETECT
    assert minimum_detectable(0.1) == pytest.approx(0.28, abs=1e-3)
    assert minimum_detectable(0.1, threshold=0.3) == pytest.approx(0.58, abs=1e-3)
    assert math.isnan(minimum_detectable(math.nan))


def test_power_at_the_minimum_detectable_effect_is_eighty_percent():
    assert power_at(minimum_detectable(0.07), 0.07) == pytest.approx(0.80)
    assert power_at(0.0, 0.07) == pytest.approx(0.025)
    assert math.isnan(power_at(0.1, math.nan))
    assert (power_at(0.1, 0.0), power_at(0.0, 0.0)) == (1.0, 0.0)


def test_power_matches_simulation():
    rng = np.random.default_rng(0)
    se, effect = 0.08, 0.15
    estimates = rng.normal(effect, se, 20_000)
    assert power_at(effect, se) == pytest.approx(np.mean(estimates - 1.96 * se > 0), abs=0.01)


class TestMonths:
    def test_more_months_settle_at_eighty_percent(self):
        months = months_to_settle(12, 0.05, 0.08, effect=0.15)
        se = 0.08 * math.sqrt(12 / months)
        assert power_at(0.15 - 0.05, se) == pytest.approx(0.80)

    def test_an_open_question_always_needs_more_than_there_is(self):
        rng = np.random.default_rng(0)
        for _ in range(300):
            se, value = rng.uniform(0.01, 0.5), rng.uniform(-0.5, 0.7)
            if value - 1.96 * se <= 0 and value + 1.96 * se >= 0.15:
                assert months_to_settle(10, value, se, effect=0.15) > 20

    @pytest.mark.parametrize(
        ("months", "value", "se", "effect"),
        [(0, 0.1, 0.1, 0.15), (9, math.nan, 0.1, 0.15), (9, 0.1, math.nan, 0.15),
         (9, 0.0, 0.1, 0.0), (9, 0.0, 0.0, 0.15)],
    )  # fmt: skip
    def test_unknown(self, months, value, se, effect):
        assert months_to_settle(months, value, se, effect=effect) is None


class TestSmallestEdge:
    def test_deviation_of_a_break_even_bet_is_the_root_of_the_target(self):
        rng = np.random.default_rng(0)
        r = np.where(rng.random(400_000) < 1 / 4, 3.0, -1.0)
        assert smallest_edge(100, 50, 3.0)["sd"] == pytest.approx(r.std(), rel=0.01)

    def test_figures(self):
        found = smallest_edge(400, 100, 3.0)
        assert found["independent"] == pytest.approx(2.80 * math.sqrt(3 / 400), rel=0.01)
        assert found["day_bound"] == pytest.approx(2 * found["independent"])
        assert found["selection"] < found["independent"]

    def test_selection_matches_simulation(self):
        rng = np.random.default_rng(1)
        gaps = []
        for _ in range(3000):
            r = np.where(rng.random(400) < 0.25, 3.0, -1.0)
            gaps.append(r[:200].mean() - r.mean())
        assert smallest_edge(200, 200, 3.0, take_rate=0.5)["selection"] == pytest.approx(
            2.80 * np.std(gaps), rel=0.05
        )

    def test_nothing_to_count(self):
        found = smallest_edge(0, 0, 3.0)
        assert math.isnan(found["independent"])
        assert math.isnan(found["day_bound"])
        assert math.isnan(smallest_edge(10, 5, 3.0, take_rate=1.0)["selection"])
