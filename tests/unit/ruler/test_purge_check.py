"""Finished fold plans: ours are clean, a plan that was not purged is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.records import Examined
from ffm_core.records.proofs import told
from ffm_core.ruler.folds import DecisionTable, FoldPlan, FoldSettings, plan_folds
from ffm_core.ruler.months import month_of
from ffm_core.ruler.purge_check import check_purged

DAY_US = 86_400_000_000
DAYS = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")
DAYS = DAYS[np.is_busday(DAYS)].astype(np.int32)
OPENS = DAYS.astype(np.int64) * DAY_US - DAY_US // 24


def table_of(life_us: int | np.ndarray, per_day: int = 4) -> DecisionTable:
    """Decisions every six hours whose label may take ``life_us``."""
    day = np.repeat(DAYS, per_day)
    t = np.repeat(OPENS, per_day) + np.tile(np.arange(1, per_day + 1), len(DAYS)) * DAY_US // 6
    n = len(day)
    return DecisionTable(
        stream=np.zeros(n, np.int16),
        bar=np.arange(n, dtype=np.int64),
        side=np.ones(n, np.int8),
        t_decision=t,
        day=day,
        month=month_of(day),
        hour=np.zeros(n, np.int8),
        t_end_max=t + life_us,
        void=np.zeros(n, np.int8),
        streams=("ES/5m",),
    )


def plan_of(table: DecisionTable, embargo: int = 1) -> FoldPlan:
    settings = FoldSettings(embargo_days=embargo)
    first, last = int(DAYS[0]), int(DAYS[-1])
    return plan_folds(table, DAYS, OPENS, settings, first_day=first, last_day=last)


@pytest.mark.parametrize("days", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("embargo", [0, 1, 3])
def test_a_purged_plan_is_clean(days, embargo):
    table = table_of(int(days * DAY_US))
    plan = plan_of(table, embargo)
    found = check_purged(table, plan, table.t_end_max)
    assert found.failures == ()
    assert found.detection_bound == 0.0
    assert found.rows_compared == sum(
        len(f.train) + len(f.validation) + len(f.test) for f in plan.folds
    )


def test_labels_that_reach_on_are_found_in_a_plan_that_was_not_purged():
    short = table_of(DAY_US // 10)
    truth = table_of(5 * DAY_US)  # what the labels came to be
    plan = plan_of(short)
    found = check_purged(truth, plan, truth.t_end_max)
    assert found.status == "broken"
    assert {(f.check, f.column) for f in found.failures} == {
        ("horizon", "train"), ("horizon", "validation"),
    }  # fmt: skip
    first = found.failures[0]
    assert first.subject == Examined("fold", "0")
    assert "but validation begins with the decision of 2024-04" in told(first.reason)
    rows = plan.folds[0].train
    begins = truth.t_decision[plan.folds[0].validation].min()
    over = (truth.t_end_max[rows] >= begins).sum()
    assert f"({over} of {len(rows)} train rows" in told(first.reason)


def test_one_label_that_outlives_its_horizon_is_enough():
    table = table_of(DAY_US // 10)
    plan = plan_of(table)
    fold = plan.folds[2]
    plan = replace(plan, folds=(fold,))  # in other folds the row stands elsewhere
    t_end = table.t_end_max.copy()
    t_end[fold.train[-1]] = table.t_decision[fold.validation].min()
    found = check_purged(table, plan, t_end)
    (failure,) = found.failures
    assert failure.subject == Examined("fold", "2")
    assert failure.bar == int(table.bar[fold.train[-1]])
    t_end[fold.train[-1]] -= 1
    assert check_purged(table, plan, t_end).status == "clean"


def test_a_label_that_reaches_over_validation_into_test_is_found_twice():
    table = table_of(DAY_US // 10)
    plan = plan_of(table)
    t_end = table.t_end_max.copy()
    t_end[plan.folds[0].train[0]] = table.t_decision[plan.folds[0].test].min()
    messages = [told(f.reason) for f in check_purged(table, plan, t_end).failures]
    assert sum("but validation begins" in m for m in messages) == 1
    assert sum("but test begins" in m for m in messages) == 1


def test_rows_in_two_parts_and_rows_tested_twice_are_found():
    table = table_of(DAY_US // 10)
    plan = plan_of(table)
    fold = plan.folds[0]
    mixed = replace(fold, validation=np.append(fold.validation, fold.train[-1:]))
    found = check_purged(table, replace(plan, folds=(mixed,)), table.t_end_max)
    assert ("rows", "train") in {(f.check, f.column) for f in found.failures}
    twice = replace(plan, folds=(fold, replace(plan.folds[1], test=fold.test)))
    found = check_purged(table, twice, table.t_end_max)
    assert any("tested in fold 0 and again in fold 1" in told(f.reason) for f in found.failures)
