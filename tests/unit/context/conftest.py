from __future__ import annotations

import pytest

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market
from ffm_xgb.learner import LEARNERS


@pytest.fixture(scope="session")
def streams() -> list[Bars]:
    """Two simulated markets of four months; volatility in them can be told, direction cannot."""
    return [market(name, months=4, timeframe="15m") for name in ("SIMA1", "SIMB2")]


@pytest.fixture(scope="session")
def learner():
    return LEARNERS[0]
