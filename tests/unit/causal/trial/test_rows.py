from __future__ import annotations

import numpy as np
import pytest

from ffm_core.causal.trial.rows import Rows, Tolerance, differences, spread

EXACT = Tolerance(exact=True, scale=np.zeros(2))


def _rows(*marks, values=None, group=None):
    key = np.array([2 * bar + (side > 0) for bar, side in marks], dtype=np.int64)
    table = np.zeros((len(key), 2)) if values is None else np.asarray(values)
    return Rows(key=key, names=("a", "b"), values=table, group=group)


def _one(full, part, tolerance=EXACT):
    (found,) = differences(full, part, tolerance)
    return found


def test_equal_rows_do_not_differ_and_nan_equals_nan():
    a = _rows((3, 1), (5, -1), values=[[1.0, np.nan], [2.0, 3.0]])
    b = _rows((3, 1), (5, -1), values=[[1.0, np.nan], [2.0, 3.0]])
    assert differences(a, b, EXACT) == []


def test_nan_against_a_number_differs():
    found = _one(_rows((3, 1), values=[[1.0, np.nan]]), _rows((3, 1), values=[[1.0, 2.0]]))
    assert (found.column, found.bar, found.kind) == ("b", 3, "value")


def test_a_decision_only_in_the_full_series_is_late():
    found = _one(_rows((3, 1), (5, -1)), _rows((3, 1)))
    assert (found.column, found.bar, found.side, found.kind) == ("decision", 5, -1, "late")


def test_a_decision_only_in_the_part_vanishes():
    found = _one(_rows((3, 1)), _rows((3, 1), (5, 1)))
    assert (found.bar, found.side, found.kind) == (5, 1, "vanishes")


def test_another_side_at_the_same_bar_is_said_as_such():
    found = _one(_rows((3, 1), (5, -1)), _rows((3, 1), (5, 1)))
    assert (found.column, found.bar, found.kind) == ("side", 5, "side")


def test_values_are_compared_even_where_decisions_differ():
    full = _rows((3, 1), (5, -1), values=[[1.0, 0.0], [9.0, 0.0]])
    found = differences(full, _rows((3, 1), values=[[2.0, 0.0]]), EXACT)
    assert [(f.column, f.bar) for f in found] == [("decision", 5), ("a", 3)]


def test_a_difference_knows_its_last_and_its_earliest_bar():
    full = _rows((3, 1), (5, 1), (9, 1))
    changed = _rows((3, 1), (5, 1), (9, 1), values=[[1, 0], [0, 0], [1, 0]])
    found = _one(full, changed)
    assert (found.earliest, found.bar) == (3, 9)


def test_groups_are_compared_as_a_partition():
    marks = ((3, 1), (3 + 1, 1), (9, 1))
    full = _rows(*marks, group=np.array([7, 7, 2]))
    assert differences(full, _rows(*marks, group=np.array([0, 0, 1])), EXACT) == []
    assert _one(full, _rows(*marks, group=np.array([0, 1, 1]))).column == "group"
    assert _one(full, _rows(*marks)).column == "group"


@pytest.mark.parametrize(("drift", "differs"), [(1e-10, False), (1e-8, True)])
def test_recursive_memory_may_drift_by_a_billionth_of_its_spread(drift, differs):
    full = _rows((3, 1), values=[[5_000.0, 1.0]])
    part = _rows((3, 1), values=[[5_000.0 + 20.0 * drift, 1.0]])
    tolerance = Tolerance(exact=False, scale=np.array([20.0, 0.0]))
    assert bool(differences(full, part, tolerance)) is differs
    assert differences(full, part, EXACT)


def test_a_value_near_zero_is_measured_by_the_spread_of_its_column():
    tolerance = Tolerance(exact=False, scale=np.array([3.0, 0.0]))
    full, part = _rows((3, 1), values=[[1e-12, 0.0]]), _rows((3, 1), values=[[2e-12, 0.0]])
    assert differences(full, part, tolerance) == []
    assert differences(full, part, Tolerance(exact=False, scale=np.zeros(2)))


def test_float32_may_round_either_way_but_not_further():
    one = np.array([[np.float32(0.1), np.float32(0.0)]])
    next_up = np.nextafter(one, np.float32(1.0))
    two_up = np.nextafter(next_up, np.float32(1.0))
    tolerance = Tolerance(exact=False, scale=np.zeros(2))
    base = _rows((3, 1), values=one)
    up = next_up.copy()
    up[0, 1] = 0.0
    assert differences(base, _rows((3, 1), values=up), tolerance) == []
    far = two_up.copy()
    far[0, 1] = 0.0
    assert differences(base, _rows((3, 1), values=far), tolerance)
    assert differences(base, _rows((3, 1), values=up), EXACT)


def test_infinities_never_pass_as_close():
    tolerance = Tolerance(exact=False, scale=np.zeros(2))
    full, part = _rows((3, 1), values=[[np.inf, 0.0]]), _rows((3, 1), values=[[1.0, 0.0]])
    assert differences(full, part, tolerance)


def test_the_spread_of_a_column_ignores_its_level_and_what_is_not_finite():
    values = np.column_stack([1e12 + np.arange(9.0), [7.0] * 8 + [16.0], [np.nan] * 9])
    values[0, 1] = np.inf
    np.testing.assert_allclose(spread(values), [4.0, np.std([7.0] * 7 + [16.0]), 0.0])
