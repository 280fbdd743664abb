"""The tick walk against a plain one, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.bars.simulate_kernel import (
    autoregression,
    byte_table,
    fair_walk,
    free_bars,
    next_word,
    scaled,
)

# The first outputs published for SplitMix64 with seed 1234567.
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
             16408922859458223821]  # fmt: skip


def test_random_words_are_splitmix64():
    state = np.array([1234567], dtype=np.uint64)
    assert [int(next_word(state)) for _ in PUBLISHED] == PUBLISHED


@pytest.mark.parametrize("steps", [0, 1, 7, 8, 63, 64, 65, 200, 1001])
def test_walk_in_bytes_equals_walk_in_bits(steps):
    state = np.array([99], dtype=np.uint64)
    words = [int(next_word(state)) for _ in range(steps // 64 + 1)]
    moves = [1 if words[i // 64] >> (i % 64) & 1 else -1 for i in range(steps)]
    path = np.concatenate([[0], np.cumsum(moves)]).astype(int)
    out = np.zeros(3, dtype=np.int64)
    fair_walk(steps, np.array([99], dtype=np.uint64), byte_table(), out)
    assert out.tolist() == [path[-1], path.max(), path.min()]


def test_walk_is_fair_and_as_wide_as_its_steps():
    state, table, out = np.array([5], dtype=np.uint64), byte_table(), np.zeros(3, dtype=np.int64)
    ends = np.empty(20_000)
    for i in range(len(ends)):
        fair_walk(100, state, table, out)
        ends[i] = out[0]
    assert abs(ends.mean()) < 4 * 10 / np.sqrt(len(ends))
    assert ends.var() == pytest.approx(100, rel=0.05)


def test_price_cannot_reach_zero():
    assert scaled(1e9, 1.0, 41) == 41
    size = 2000
    wild = np.full(size, 1e6)
    ticks = free_bars(
        20,
        wild,
        wild,
        np.zeros(size),
        np.ones(size, dtype=np.bool_),
        np.array([1], dtype=np.uint64),
    )
    assert ticks.min() >= 1


def test_autoregression_has_unit_variance_and_memory():
    x = autoregression(np.random.default_rng(0).standard_normal(200_000), 0.9)
    assert x.var() == pytest.approx(1.0, rel=0.05)
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0.9, abs=0.01)
