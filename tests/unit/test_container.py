"""The container of fitted things: exact numbers, no code, no damage unnoticed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.container import numbers, pack, spelled, unpack
from ffm_core.errors import ModelError

DATA = pack("made/1", {"a": [0.1, 1e-300], "b": None}, {"trees": b"\x00\xff" * 40, "none": b""})


def test_value_and_blocks_come_back_and_the_bytes_are_the_same():
    value, blocks = unpack(DATA, "made/1")
    assert value == {"a": [0.1, 1e-300], "b": None}
    assert blocks == {"trees": b"\x00\xff" * 40, "none": b""}
    assert pack("made/1", value, blocks) == DATA


@given(st.lists(st.floats(width=64), max_size=20))
def test_every_float_comes_back_to_the_bit(values):
    value, _ = unpack(pack("made/1", spelled(values)), "made/1")
    back = numbers(value)
    assert np.array(values, dtype=np.float64).shape == back.shape
    for before, after in zip(values, back.tolist(), strict=True):
        assert before.hex() == after.hex()


@settings(deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_changed_byte_and_any_cut_is_a_typed_error(place, change):
    flipped = bytearray(DATA)
    flipped[place] ^= change
    for data in (bytes(flipped), DATA[:place], DATA + b"x"):
        with pytest.raises(ModelError) as caught:
            unpack(data, "made/1")
        assert caught.value.fix


@pytest.mark.parametrize("data", [b"", b"PK", pickle.dumps({"a": 1}), b"{}"])
def test_foreign_bytes_are_a_typed_error(data):
    with pytest.raises(ModelError, match="hold no made/1"):
        unpack(data, "made/1")


def test_another_schema_is_named():
    with pytest.raises(ModelError, match="hold made/1, expected made/2"):
        unpack(DATA, "made/2")


def test_numbers_json_has_no_word_for_are_not_written_silently():
    with pytest.raises(ValueError, match="JSON"):
        pack("made/1", float("nan"))
