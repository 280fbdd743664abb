from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.keyed import keyed
from ffm_core.records import ShuffleResult
from ffm_core.ruler.arms import (
    can_reach,
    draw_means,
    draw_random,
    exceedances,
    match_entry_bars,
    p_value,
    permute_block,
    permute_full,
)


def keys(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, n).astype(np.int16), rng.integers(24000, 24006, n).astype(np.int32)


class TestRandom:
    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 80), st.integers(0, 1000), st.floats(0, 1))
    def test_same_count_per_instrument_and_month(self, n, seed, rate):
        instrument, month = keys(n, seed)
        taken = np.random.default_rng(seed).random(n) < rate
        picks = draw_random(taken, instrument, month, draws=5, seed=1)
        assert picks.shape == (5, int(taken.sum()))
        wanted = sorted(zip(instrument[taken], month[taken], strict=True))
        for pick in picks:
            assert len(np.unique(pick)) == len(pick)
            assert sorted(zip(instrument[pick], month[pick], strict=True)) == wanted

    def test_every_decision_is_equally_likely(self):
        instrument, month = np.zeros(20, np.int16), np.full(20, 24000, np.int32)
        picks = draw_random(np.arange(20) < 5, instrument, month, draws=4000)
        share = np.bincount(picks.ravel(), minlength=20) / 4000
        assert share == pytest.approx(np.full(20, 0.25), abs=0.03)

    def test_a_draw_depends_on_its_number_alone(self):
        instrument, month = keys(50)
        taken = np.arange(50) % 2 == 0
        few = draw_random(taken, instrument, month, draws=3, seed=7)
        many = draw_random(taken, instrument, month, draws=9, seed=7)
        assert (many[:3] == few).all()
        assert (draw_random(taken, instrument, month, draws=3, seed=8) != few).any()

    def test_means(self):
        r = np.array([1.0, 2.0, 3.0])
        draws = [np.array([0, 1]), np.array([1, 2]), np.array([2]), np.empty(0, np.int64)]
        found = draw_means(r, draws)
        assert found[:3].tolist() == [1.5, 2.5, 3.0]
        assert np.isnan(found[3])


class TestEntry:
    def match(self, n=60, candidates=4000, draws=8, **more):
        rng = np.random.default_rng(3)
        instrument, month = keys(n)
        hour = rng.integers(0, 4, n).astype(np.int8)
        side = np.where(rng.random(n) < 0.7, 1, -1).astype(np.int8)
        pool = (*keys(candidates, 1), rng.integers(0, 4, candidates).astype(np.int8))
        found = match_entry_bars(instrument, month, hour, side, *pool, draws=draws, **more)
        return (instrument, month, hour), side, pool, found

    def test_cells_match_and_long_share_is_kept(self):
        own, side, pool, (candidate, sides) = self.match()
        for draw in range(8):
            for ours, theirs in zip(own, pool, strict=True):
                assert (theirs[candidate[draw]] == ours).all()
            for number in range(3):
                rows = own[0] == number
                assert sorted(sides[draw][rows]) == sorted(side[rows])

    def test_bars_repeat_only_when_a_cell_is_used_up(self):
        _, _, _, (candidate, _) = self.match()
        assert all(len(np.unique(row)) == len(row) for row in candidate)
        zeros = np.zeros(7, np.int16)
        tight, _ = match_entry_bars(
            zeros, zeros.astype(np.int32), zeros.astype(np.int8), np.ones(7, np.int8),
            zeros[:3], zeros[:3].astype(np.int32), zeros[:3].astype(np.int8), draws=4,
        )  # fmt: skip
        for row in tight:
            assert sorted(np.bincount(row, minlength=3)) == [2, 2, 3]

    def test_sides_are_mixed(self):
        _, side, _, (_, sides) = self.match()
        assert (sides != side).any(axis=1).all()

    def test_missing_cells_fall_back(self):
        candidate, _ = match_entry_bars(
            np.array([0, 0, 0, 1], np.int16), np.array([1, 1, 2, 1], np.int32),
            np.array([5, 6, 5, 5], np.int8), np.ones(4, np.int8),
            np.array([0, 0], np.int16), np.array([1, 1], np.int32), np.array([5, 5], np.int8),
            draws=3,
        )  # fmt: skip
        assert (candidate[:, :3] >= 0).all()
        assert (candidate[:, 3] == -1).all()  # no bar of that instrument

    def test_draws_are_keyed(self):
        a = self.match(draws=2)[3][0]
        b = self.match(draws=6)[3][0]
        assert (a == b[:2]).all()
        assert (self.match(draws=2, seed=1)[3][0] != a).any()

    def test_no_decision(self):
        empty = np.zeros(0, np.int16)
        candidate, _ = match_entry_bars(empty, empty.astype(np.int32), empty.astype(np.int8),
                                        empty.astype(np.int8),
                                        *(k[:0] for k in ((*keys(3), empty))),
                                        draws=2)  # fmt: skip
        assert candidate.shape == (2, 0)


class TestPermutations:
    def test_full_keeps_the_labels_and_their_count(self):
        labels = (np.arange(100) < 30).astype(np.int8)
        rows = permute_full(100, keyed(0, "full", 1))
        assert labels[rows].sum() == 30
        assert (labels[rows] != labels).any()
        assert (permute_full(100, keyed(0, "full", 1)) == rows).all()

    def test_block_keeps_every_block(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 300).astype(np.int8)
        stream = rng.integers(0, 2, 300).astype(np.int16)
        week = rng.integers(2800, 2810, 300)
        mixed = labels[permute_block(stream, week, keyed(0, "block", 1))]
        assert (mixed != labels).any()
        for s in range(2):
            for w in range(2800, 2810):
                rows = (stream == s) & (week == w)
                assert mixed[rows].sum() == labels[rows].sum()

    def test_block_is_uniform_inside(self):
        labels = np.array([1, 0, 0, 0], np.int8)
        zero = np.zeros(4, np.int16)
        week = zero.astype(np.int64)
        mixed = [labels[permute_block(zero, week, keyed(i))] for i in range(2000)]
        assert np.mean(mixed, axis=0) == pytest.approx(np.full(4, 0.25), abs=0.04)

    def test_single_rows_stay(self):
        week = np.array([1, 2, 3])
        assert permute_block(np.zeros(3, np.int16), week, keyed(0)).tolist() == [0, 1, 2]


class TestPValue:
    def result(self, real, draws, planned=39, stopped=False):
        return ShuffleResult(real=real, draws=np.array(draws, float), planned=planned,
                             stopped=stopped)  # fmt: skip

    def test_above_all_draws(self):
        assert p_value(self.result(1.0, np.zeros(39))) == pytest.approx(1 / 40)

    def test_ties_count_against_real(self):
        assert p_value(self.result(0.0, np.zeros(39))) == 1.0

    def test_a_stopped_test_is_a_lower_bound(self):
        assert p_value(self.result(1.0, [0.0, 2.0], stopped=True)) == pytest.approx(2 / 40)
        full = [0.0, 2.0] + [0.0] * 37
        assert p_value(self.result(1.0, full)) == pytest.approx(2 / 40)

    def test_an_aborted_test_divides_by_what_ran(self):
        assert p_value(self.result(1.0, [0.0] * 5)) == pytest.approx(1 / 6)

    @pytest.mark.parametrize(("real", "draws"), [(np.nan, [0.0] * 3), (1.0, [np.nan] * 3)])
    def test_nothing_traded_counts_against_real(self, real, draws):
        assert exceedances(real, np.array(draws)) == 3

    def test_stopping_rule_never_changes_the_answer(self):
        rng = np.random.default_rng(0)
        for _ in range(200):
            real, draws = rng.normal(1.5), rng.normal(0, 1, 39)
            stop = next((i + 1 for i in range(39) if not can_reach(real, draws[: i + 1], 39)), None)
            full = p_value(self.result(real, draws))
            assert (stop is None) == (full <= 0.025)
            if stop:
                bound = p_value(self.result(real, draws[:stop], stopped=True))
                assert 0.025 < bound <= full

    def test_under_the_null_p_is_uniform(self):
        rng = np.random.default_rng(1)
        draws = rng.normal(0, 1, (3000, 40))
        found = np.array([p_value(self.result(d[0], d[1:])) for d in draws])
        for low, high in pairwise([0.025, 0.1, 0.5, 0.9]):
            assert np.mean((found > low) & (found <= high)) == pytest.approx(high - low, abs=0.03)
        assert np.mean(found <= 0.025) == pytest.approx(0.025, abs=0.01)
