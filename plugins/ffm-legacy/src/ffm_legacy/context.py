"""The context targets as the reference heads were trained: bars as they come.

Rolls and gaps are bars like any other here, and a swing is every close that equals the
extreme of its window, ties included.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.labels.targets.breaks import ahead
from ffm_core.labels.targets.context import (
    BREAK_HORIZON,
    NAMES,
    PIVOT_ORDER,
    RULES,
    Closes,
    describe,
)
from ffm_core.labels.targets.structure import first_break
from ffm_core.labels.targets.windows import rolling_extremes
from ffm_core.records import Target, TargetValues


def _structure_break(x: Closes) -> TargetValues:
    highs, lows = (
        np.equal(ahead(values, PIVOT_ORDER), x.close)
        for values in rolling_extremes(x.close, x.close, 2 * PIVOT_ORDER + 1)
    )
    whole = np.zeros(x.bars, dtype=np.int64)
    value = first_break(x.close, highs, lows, whole, PIVOT_ORDER, BREAK_HORIZON)
    value[np.isnan(value)] = 0.0
    return x.told(value, BREAK_HORIZON)


_RULES = {**RULES, "structure_break": _structure_break}


def _compute(name: str, bars: Bars) -> TargetValues:
    return _RULES[name](Closes(bars, in_one_piece=True))


def _target(name: str) -> Target:
    found = describe(name, "context-legacy", partial(_compute, name))
    warmup = 0 if name == "structure_break" else found.warmup_bars
    summary = f"{found.summary} Rolls and gaps are taken as bars like others."
    return replace(found, warmup_bars=warmup, summary=summary)


CONTEXT_LEGACY = tuple(_target(name) for name in NAMES)
