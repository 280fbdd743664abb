"""A closed-form series of bars, the same to the last digit on every machine.

Published values of the reference features, targets and labels belong to this
series, so an implementation can be checked without any market data.
"""

from __future__ import annotations

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.testing.market import bars_of
from ffm_core.types import Int64

GOLDEN_BARS = 1_500

_MINUTE_US = 60_000_000
_FIRST_US = 1_709_510_400_000_000  # 2024-03-04 00:00 UTC, a Monday
_SLOTS_A_DAY, _HALT = 288, range(252, 264)  # five-minute slots; the daily halt is 21:00 to 22:00


def golden_bars() -> Bars:
    """Return 1,500 bars of ES at 5 minutes, made of sines and remainders.

    Returns
    -------
    Bars
        2024-03-04 00:00 to 2024-03-09 09:55 UTC with a daily halt from 21:00 to
        22:00; prices are off the tick grid and every bar opens at the last close.
    """
    i = np.arange(GOLDEN_BARS)
    waves = 0.6 * np.sin(i / 7) + 0.9 * np.sin(i / 23 + 1) + 1.7 * np.sin(i / 91 + 2)
    close = 5000.0 + 10.0 * (waves + 0.25 * ((i * 7919 % 101) / 50.0 - 1.0))
    opens = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opens, close) + 0.25 * (1.0 + (31 * i % 17) / 4.0)
    low = np.minimum(opens, close) - 0.25 * (1.0 + (17 * i % 13) / 4.0)
    volume = 100.0 + (37 * i % 211) + np.where(i % 78 == 0, 50.0, 0.0)
    return bars_of(opens, high, low, close, volume=volume, ts_us=_stamps())


def _stamps() -> Int64:
    slots = np.arange(GOLDEN_BARS + 20 * len(_HALT), dtype=np.int64)
    within = slots % _SLOTS_A_DAY
    trading = (within < _HALT.start) | (within >= _HALT.stop)
    return np.asarray(_FIRST_US + slots[trading][:GOLDEN_BARS] * 5 * _MINUTE_US)
