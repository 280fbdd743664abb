from __future__ import annotations

import pytest

from ffm_core.bars import Bars
from ffm_core.testing import bars_of, golden_bars, walk_bars


@pytest.fixture(scope="session")
def make_bars():
    return bars_of


@pytest.fixture(scope="session")
def wave() -> Bars:
    """The closed-form series the published fixtures were computed on."""
    return golden_bars()


@pytest.fixture(scope="session")
def walk():
    """A random walk on the tick grid with gaps; the seed fixes it."""
    return walk_bars
