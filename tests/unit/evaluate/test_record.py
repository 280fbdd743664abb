"""An arm of many draws in the record."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.evaluate.record import _draws


@pytest.mark.parametrize("n", [1, 2, 19])
def test_few_draws_have_no_interval(n):
    found = _draws(np.append(np.linspace(0.1, 0.2, n), np.nan), 50)
    assert (found["n_draws"], found["mean_interval"]) == (n, [None, None])
    assert found["mean_r"] is not None


def test_twenty_have_one():
    low, high = _draws(np.linspace(0.1, 0.2, 20), 50)["mean_interval"]
    assert 0.1 < low < high < 0.2
