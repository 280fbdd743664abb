"""Positions after selection, against a plain simulation that opens and closes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.errors import ConfigError
from ffm_core.records import OVERLAPS
from ffm_core.ruler.positions import hold


def plain(stream, t_entry, t_exit, overlap):
    """Keep the trades that are open in a list, and look through it at every entry."""
    held, is_open = [False] * len(stream), []
    for row in sorted(range(len(stream)), key=lambda i: (t_entry[i], i)):
        is_open = [other for other in is_open if t_exit[other] > t_entry[row]]
        rivals = {
            "each": [],
            "one_per_stream": [other for other in is_open if stream[other] == stream[row]],
            "one_at_a_time": is_open,
        }[overlap]
        if not rivals:
            held[row] = True
            is_open.append(row)
    return held


@st.composite
def picks(draw):
    n = draw(st.integers(0, 40))
    stream = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    entry = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n))
    length = draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
    entry = np.array(entry, dtype=np.int64)
    return np.array(stream, dtype=np.int16), entry, entry + np.array(length, dtype=np.int64)


@settings(deadline=None, max_examples=300)
@given(picks(), st.sampled_from(OVERLAPS))
def test_the_kernel_agrees_with_the_plain_simulation(made, overlap):
    assert hold(*made, overlap).tolist() == plain(*made, overlap)


@settings(deadline=None)
@given(picks(), st.randoms())
def test_what_is_never_picked_blocks_nothing(made, chance):
    stream, entry, leave = made
    picked = np.array([chance.random() < 0.5 for _ in stream], dtype=bool)
    after = np.zeros(len(stream), dtype=bool)
    after[picked] = hold(stream[picked], entry[picked], leave[picked], "one_per_stream")
    # The same picks beside others that nobody took are held just the same.
    assert after[picked].tolist() == plain(
        stream[picked], entry[picked], leave[picked], "one_per_stream"
    )
    assert not after[~picked].any()


def test_thinning_before_selection_is_something_else():
    """The red twin: a decision nobody picked blocks the one that was."""
    stream = np.zeros(2, dtype=np.int16)
    entry, leave = np.array([0, 5]), np.array([10, 15])
    picked = np.array([False, True])
    thinned = hold(stream, entry, leave, "one_per_stream") & picked
    held = np.zeros(2, dtype=bool)
    held[picked] = hold(stream[picked], entry[picked], leave[picked], "one_per_stream")
    assert thinned.tolist() == [False, False]
    assert held.tolist() == [False, True]


@pytest.mark.parametrize("overlap", ["one_per_stream", "one_at_a_time"])
def test_a_fill_at_an_open_frees_the_place_for_an_entry_at_that_open(overlap):
    stream = np.zeros(3, dtype=np.int16)
    entry, leave = np.array([0, 10, 19]), np.array([10, 20, 30])
    assert hold(stream, entry, leave, overlap).tolist() == [True, True, False]


def test_one_at_a_time_is_one_over_all_streams():
    stream = np.array([0, 1, 1, 0], dtype=np.int16)
    entry, leave = np.array([0, 3, 5, 6]), np.array([5, 9, 8, 7])
    assert hold(stream, entry, leave, "each").all()
    assert hold(stream, entry, leave, "one_per_stream").tolist() == [True, True, False, True]
    assert hold(stream, entry, leave, "one_at_a_time").tolist() == [True, False, True, False]


def test_entries_of_one_moment_go_to_the_first_given_whatever_the_order_of_the_rest():
    stream = np.array([2, 0, 0], dtype=np.int16)
    entry, leave = np.array([7, 7, 1]), np.array([9, 9, 2])
    assert hold(stream, entry, leave, "one_at_a_time").tolist() == [True, False, True]


def test_another_rule_is_an_error():
    with pytest.raises(ConfigError, match="use one of each, one_per_stream, one_at_a_time"):
        hold(np.zeros(1, np.int16), np.zeros(1, np.int64), np.ones(1, np.int64), "none")
