from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.errors import ConfigError
from ffm_core.labels.targets import uniqueness


def count_by_hand(start, end, stream):
    """Mean over each span of one over the labels of its stream that are alive."""
    out = []
    for a, b, s in zip(start, end, stream, strict=True):
        shares = []
        for moment in range(a, b + 1):
            alive = sum(
                a2 <= moment <= b2 and s2 == s
                for a2, b2, s2 in zip(start, end, stream, strict=True)
            )
            shares.append(1 / alive)
        out.append(sum(shares) / len(shares))
    return out


spans = st.lists(
    st.tuples(st.integers(-20, 60), st.integers(0, 25), st.integers(0, 2)), min_size=1, max_size=25
)


@settings(deadline=None, max_examples=150)
@given(spans)
def test_weights_equal_a_count_of_every_moment(rows):
    start, length, stream = (np.array(x) for x in zip(*rows, strict=True))
    found = uniqueness(start, start + length, stream, normalise=False)
    np.testing.assert_allclose(found, count_by_hand(start, start + length, stream), rtol=1e-12)
    assert (found > 0).all()
    assert (found <= 1 + 1e-12).all()
    scaled = uniqueness(start, start + length, stream)
    assert scaled.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(scaled * found.mean(), found, rtol=1e-12)


def test_long_spans_in_any_unit_cost_no_memory():
    year = 31_536_000_000_000
    start = np.array([0, year // 2])
    found = uniqueness(start, start + year - 1, normalise=False)
    np.testing.assert_allclose(found, [0.75, 0.75])


def test_the_order_of_rows_means_nothing():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 500, 200)
    end, stream = start + rng.integers(0, 60, 200), rng.integers(0, 4, 200)
    order = rng.permutation(200)
    whole = uniqueness(start, end, stream)
    np.testing.assert_allclose(uniqueness(start[order], end[order], stream[order]), whole[order])


def test_no_labels_have_no_weights():
    none = np.empty(0, dtype=np.int64)
    assert uniqueness(none, none).tolist() == []


def test_an_undefined_label_is_refused():
    with pytest.raises(ConfigError, match="label 1 starts at 6 and ends at -1") as error:
        uniqueness(np.array([1, 6]), np.array([4, -1]))
    assert "leave out undefined labels" in str(error.value)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ConfigError, match=r"start \(2,\), end \(3,\)"):
        uniqueness(np.array([1, 2]), np.array([1, 2, 3]))
