"""Targets against values published for the closed-form series."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_legacy.plugin import ffm_targets

from ffm_core.labels.targets import target
from ffm_core.labels.targets.context import NAMES
from ffm_core.records import TargetValues
from ffm_core.testing.golden import golden_bars

ROWS = [250, 777, 1000, 1234]
MASK = TargetValues.MASKED
OFFERED = {one.name: one for one in ffm_targets()}

# name: values at ROWS, how often each class occurs
LEGACY = {
    "regime": ([0, 2, 0, 1], {MASK: 279, 0: 329, 1: 367, 2: 456, 3: 0}, 69),
    "volatility": ([2, 2, 2, 0], {0: 339, 1: 517, 2: 365, 3: 240}, 39),
    "structure": ([0, 1, 0, MASK], {MASK: 312, 0: 542, 1: 615}, 31),
    "range": ([3, 0, 4, 4], {0: 530, 1: 150, 2: 159, 3: 153, 4: 479}, 29),
}


def offered(name):
    return OFFERED[name]


@pytest.fixture(scope="module")
def bars():
    return golden_bars()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "structure_break"])
def test_a_daily_halt_is_no_gap_so_both_readings_agree(bars, name):
    old, new = (
        offered(f"context-legacy/{name}").compute(bars),
        target(f"context/{name}").compute(bars),
    )
    np.testing.assert_array_equal(old.value, new.value)


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_label_sets_match_the_published_counts(bars, name):
    values, counts, undefined = LEGACY[name]
    found = offered(f"legacy/{name}").compute(bars).value
    assert found[ROWS].tolist() == values
    assert {key: int((found == key).sum()) for key in counts} == counts
    assert np.isnan(found).sum() == undefined


def test_the_session_barrier_matches_the_published_counts(bars):
    found = offered("barrier-legacy/direction").compute(bars).value
    assert [int((found == code).sum()) for code in (0, 1, 2)] == [149, 1278, 73]
    first = np.flatnonzero(found != 1)[:12]
    assert first.tolist() == [175, *range(182, 193)]
    assert found[first].tolist() == [2.0] + [0.0] * 11


def test_the_strict_barrier_agrees_where_bars_open_at_the_last_close(bars):
    old = offered("barrier-legacy/direction").compute(bars)
    new = target("barrier/direction").compute(bars)
    inside = ~np.isnan(new.value)
    assert inside.sum() == 360  # five mornings of 72 bars
    np.testing.assert_array_equal(new.value[inside], old.value[inside])
    np.testing.assert_array_equal(new.end_bar[inside], old.end_bar[inside])
