"""The session barrier as the reference computed it: from the close of the bar, without gaps."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.primitives import atr_simple
from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.labels.targets.barrier import (
    ATR_BARS,
    CLASSES,
    DISTANCES,
    LONGEST,
    NONE,
    SOURCE,
    directions,
    part_of,
)
from ffm_core.labels.targets.breaks import make, told
from ffm_core.records import TargetValues

_SECONDS = (180, 300)
_HORIZON = LONGEST * 60 // min(_SECONDS)


def _compute(bars: Bars) -> TargetValues:
    if bars.timeframe.seconds not in _SECONDS:
        raise ConfigError(
            f"barrier-legacy/direction is defined on 3m and 5m bars, not {bars.timeframe.name}",
            fix="use barrier/direction",
        )
    count = len(bars)
    part = part_of(bars)
    atr = atr_simple(bars.high, bars.low, bars.close, ATR_BARS)
    # The reference calls every bar outside these hours a bar without direction.
    value = np.where(part < 0, NONE, np.nan)
    end = np.arange(count, dtype=np.int64)
    rows = np.flatnonzero((part >= 0) & (atr > 0.0) & (end + 1 < count))
    # A walk from the close of a bar is one from the next open, had the bars no gaps.
    opens = np.concatenate((bars.close[:1], bars.close[:-1]))
    value[rows], end[rows] = directions(bars, rows, part[rows], atr[rows], opens)
    return told(value, end)


BARRIER_LEGACY = (
    make(
        "barrier-legacy/direction",
        _compute,
        kind="classes",
        horizon_bars=_HORIZON,
        classes=CLASSES,
        formula=f"{DISTANCES}the side that from C[t] meets its target before its stop",
        source=SOURCE,
        summary="Direction of the next 30 to 60 minutes from the bar's close; 'none' outside the "
        "hours.",
    ),
)
