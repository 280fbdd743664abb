from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffm_core.errors import ConfigError
from ffm_core.ruler.operating import operating_point


def streams(n: int, value: int = 0) -> np.ndarray:
    return np.full(n, value, np.int16)


def test_takes_the_wanted_share_of_each_stream():
    rng = np.random.default_rng(0)
    stream = np.repeat(np.array([0, 1], np.int16), 100)
    score = rng.normal(0, 1, 200) + 5.0 * stream  # stream 1 scores higher throughout
    point = operating_point(score, stream, share=0.5)
    taken = point.take(score, stream)
    assert taken[stream == 0].sum() == taken[stream == 1].sum() == 50
    assert point.thresholds[1] > point.thresholds[0]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_other_shares(share):
    score = np.arange(100.0)
    assert operating_point(score, streams(100), share=share).take(
        score, streams(100)
    ).mean() == pytest.approx(share)


def test_unknown_stream_uses_the_pooled_threshold():
    score = np.arange(10.0)
    point = operating_point(score, streams(10))
    assert point.take(np.array([4.0, 6.0]), streams(2, 9)).tolist() == [False, True]


def test_constant_scores_take_everything():
    point = operating_point(np.full(20, 0.3), streams(20))
    assert point.take(np.full(5, 0.3), streams(5)).all()


@pytest.mark.parametrize(
    ("counts", "taken"),
    [((7, 3), 3), ((3, 7), 7), ((5, 5), 5), ((6, 2, 2), 4), ((4, 2, 4), 6), ((2, 7, 1), 8)],
)
def test_ties_stay_together_at_the_nearest_share(counts, taken):
    """Counts of ten decisions by rising score; an even distance takes more."""
    score = np.repeat(np.arange(len(counts), dtype=float), counts)
    assert operating_point(score, streams(10)).take(score, streams(10)).sum() == taken


def test_an_even_distance_is_not_decided_by_rounding():
    score = np.repeat(np.arange(3.0), (6, 2, 2))  # 0.2 and 0.4 are equally far from 0.3
    point = operating_point(score, streams(10), share=0.3)
    assert point.take(score, streams(10)).sum() == 4


def test_nan_scores_are_left_out_and_never_taken():
    score = np.array([np.nan, 1.0, 2.0, 3.0, 4.0])
    point = operating_point(score, streams(5))
    assert point.take(score, streams(5)).tolist() == [False, False, False, True, True]


def test_no_validation_takes_nothing():
    point = operating_point(np.empty(0), streams(0))
    assert not point.take(np.array([1.0, np.inf]), streams(2)).any()
    only_nan = operating_point(np.array([np.nan]), streams(1))
    assert not only_nan.take(np.array([1.0]), streams(1)).any()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_bad_share(share):
    with pytest.raises(ConfigError, match="take share"):
        operating_point(np.arange(5.0), streams(5), share=share)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_order_of_rows_does_not_matter_and_something_is_taken(values, share):
    score = np.array(values)
    a = operating_point(score, streams(len(score)), share=share)
    b = operating_point(score[::-1], streams(len(score)), share=share)
    assert a == b
    assert a.take(score, streams(len(score))).any()
