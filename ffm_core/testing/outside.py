"""Made-up outside tables, for plug-ins that declare inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ffm_core.bars.inputs import InputTable
from ffm_core.bars.table import Bars
from ffm_core.keyed import keyed
from ffm_core.records import Input

_APART_US = 6 * 3_600_000_000  # between the rows of a made-up table


def with_made_inputs(bars: Bars, inputs: Iterable[Input], *, seed: int = 0) -> Bars:
    """Return bars beside which a made-up table lies for every input that has none yet.

    Rows become known about every six hours, from a week before the first bar on; every
    column is a positive random walk around 20. Give bars of your own, with
    ``dataclasses.replace(bars, tables=...)``, where a column holds something else.
    """
    held = {table.name: table for table in bars.tables}
    for one in inputs:
        if one.name in held or not len(bars):
            continue
        rng = keyed(seed, "made input", one.name)
        first, last = int(bars.ts_us[0]) - 28 * _APART_US, int(bars.ts_us[-1])
        rows = (last - first) // _APART_US + 2
        at = first + _APART_US * np.arange(rows) + rng.integers(0, _APART_US, rows)
        held[one.name] = InputTable(
            name=one.name,
            at_us=np.unique(at),
            columns={
                name: 20 * np.exp(np.cumsum(rng.normal(0, 0.03, len(np.unique(at)))))
                for name in one.columns
            },
            max_age_us=None if one.max_age is None else int(one.max_age.total_seconds() * 1e6),
        )
    return replace(bars, tables=tuple(held.values()))


__all__ = ["with_made_inputs"]
