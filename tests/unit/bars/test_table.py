"""Bars: what is derived from the table, in one place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from ffm_core.bars import Bars
from ffm_core.testing import make_bars


def test_rolls_count_changes_of_the_contract_up_to_each_bar():
    bars = make_bars("rolls", rows=1_000, seed=0)
    names = bars.frame["contract"].to_list()
    by_hand = np.cumsum([0, *(a != b for a, b in pairwise(names))])
    assert by_hand[-1] > 0
    np.testing.assert_array_equal(bars.rolls, by_hand)
    part = bars[400:900]
    np.testing.assert_array_equal(part.rolls, by_hand[400:900] - by_hand[400])
    assert not bars.rolls.flags.writeable


def test_a_contract_that_comes_back_is_another_roll():
    bars = make_bars("trend", rows=6, seed=0)
    names = pl.Series("contract", ["A", "A", "B", "A", "A", "C"])
    back = Bars(bars.frame.with_columns(names), bars.instrument, bars.timeframe)
    assert back.rolls.tolist() == [0, 0, 1, 2, 2, 3]


def test_without_contracts_no_roll_is_known_but_that_of_a_table():
    bars = make_bars("trend", rows=6, seed=0)
    bare = Bars(bars.frame.drop("contract"), bars.instrument, bars.timeframe)
    assert bare.rolls.tolist() == [0] * 6
    assert bare.rolls_with(None) is bare.rolls
    table = np.array([bare.ts_us[4], bare.ts_us[2]])
    assert bare.rolls_with(table).tolist() == [0, 0, 1, 1, 2, 2]
