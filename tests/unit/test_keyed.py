from __future__ import annotations

import numpy as np

from ffm_core.keyed import keyed


def test_the_same_key_gives_the_same_draws_whatever_came_before():
    first = keyed(7, "random", 3).random(4)
    keyed(7, "other").random(100)
    np.testing.assert_array_equal(keyed(7, "random", 3).random(4), first)


def test_draws_are_pinned_for_good():
    # A change here changes every verdict ever recorded.
    assert keyed(0, "pin", 1).integers(0, 1_000_000, 3).tolist() == PINNED


def test_different_keys_give_different_draws():
    keys = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", "1"), (0, "ab"), (0, "a", "b")]
    draws = {tuple(keyed(*key).integers(0, 2**62, 4)) for key in keys}
    assert len(draws) == len(keys)


PINNED = [397705, 126737, 68096]
