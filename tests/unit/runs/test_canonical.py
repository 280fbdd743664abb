"""One spelling per value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffm_core.runs.canonical import canonical_json, jsonable, sha256_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_reading_back_gives_the_same_bytes(value):
    written = canonical_json(value)
    assert canonical_json(json.loads(written)) == written


def test_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": [1.5, "x"]}) == b'{"a":[1.5,"x"],"b":1}'
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})


def test_whole_floats_and_integers_stay_apart():
    assert canonical_json([3, 3.0, True]) == b"[3,3.0,true]"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_numbers_json_cannot_carry_become_null(value):
    assert canonical_json([value]) == b"[null]"


def test_numpy_values_equal_their_python_twins():
    numpy = {"a": np.arange(3, dtype=np.int32), "b": np.float64(0.1), "c": np.bool_(True)}
    assert jsonable(numpy) == {"a": [0, 1, 2], "b": 0.1, "c": True}


def test_a_float32_keeps_its_exact_value():
    assert jsonable(np.float32(0.1)) == float(np.float32(0.1)) != 0.1


def test_dates_times_and_paths():
    zone = dt.timezone(dt.timedelta(hours=-5))
    assert jsonable(dt.date(2024, 3, 1)) == "2024-03-01"
    assert jsonable(dt.datetime(2024, 3, 1, 9, 30, tzinfo=zone)) == "2024-03-01T14:30:00Z"
    assert jsonable(Path("some/where/ES_5m.csv")) == "ES_5m.csv"


def test_dataclasses_sets_and_tuples():
    @dataclasses.dataclass
    class Point:
        x: float
        tags: frozenset[str]

    assert jsonable((Point(1.0, frozenset("ba")),)) == [{"x": 1.0, "tags": ["a", "b"]}]


def test_a_file_name_that_is_no_text_is_still_spelled():
    assert json.loads(canonical_json("odd\udcff.csv")) == "odd\\udcff.csv"


@pytest.mark.parametrize("value", [b"x", {1: 2}, object(), dt.datetime(2024, 1, 1), 1j])
def test_what_has_no_agreed_spelling_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)
