"""Folds against a brute-force oracle and against two other libraries."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import purge
from skfolio.model_selection import WalkForward

from ffm_core.errors import ConfigError, SampleError
from ffm_core.records import VOIDS
from ffm_core.ruler.folds import (
    DecisionTable,
    FoldSettings,
    choose_seal,
    plan_folds,
    whole_months,
)
from ffm_core.ruler.months import month_of, month_start

DAY_US = 86_400_000_000


def weekdays(first: str, last: str) -> np.ndarray:
    dates = pd.bdate_range(first, last)
    return dates.values.astype("datetime64[D]").astype(np.int32)


def opens(days: np.ndarray) -> np.ndarray:
    """Sessions open at 23:00 UTC of the evening before, like futures in New York."""
    return days.astype(np.int64) * DAY_US - DAY_US // 24


def make_table(day, t_decision, t_end_max, void=None) -> DecisionTable:
    n = len(day)
    day = np.asarray(day, np.int32)
    return DecisionTable(
        stream=np.zeros(n, np.int16),
        bar=np.arange(n, dtype=np.int64),
        side=np.ones(n, np.int8),
        t_decision=np.asarray(t_decision, np.int64),
        day=day,
        month=month_of(day),
        hour=np.zeros(n, np.int8),
        t_end_max=np.asarray(t_end_max, np.int64),
        void=np.zeros(n, np.int8) if void is None else np.asarray(void, np.int8),
        streams=("ES/5m",),
    )


def steady(days: np.ndarray, per_day: int = 4, life_us: int = DAY_US // 8) -> DecisionTable:
    day = np.repeat(days, per_day)
    t = np.repeat(opens(days), per_day) + np.tile(np.arange(per_day), len(days)) * DAY_US // 6
    return make_table(day, t, t + life_us)


def plan(table, days, chosen=None, **more):
    return plan_folds(
        table, days, opens(days), chosen or FoldSettings(),
        first_day=int(more.pop("first_day", days[0])),
        last_day=int(more.pop("last_day", days[-1])), **more,
    )  # fmt: skip


@pytest.fixture
def year() -> np.ndarray:
    return weekdays("2024-01-01", "2024-12-31")


def test_geometry_of_a_plain_year(year):
    folds = plan(steady(year), year).folds
    assert len(folds) == 12 - 5 + 1
    first = folds[0]
    assert [str(np.datetime64(d, "D")) for d in first.train_days] == ["2024-01-01", "2024-03-29"]
    assert [str(np.datetime64(d, "D")) for d in first.validation_days] == [
        "2024-04-01",
        "2024-04-30",
    ]
    assert [str(np.datetime64(d, "D")) for d in first.test_days] == ["2024-05-01", "2024-05-31"]
    assert folds[-1].test_days[1] == year[-1]


def test_test_rows_are_never_used_twice_and_tile_the_test_days(year):
    found = plan(steady(year), year)
    rows = np.concatenate([fold.test for fold in found.folds])
    assert len(np.unique(rows)) == len(rows)
    assert set(found.test_days) == set(year[year >= found.folds[0].test_days[0]])
    assert found.n_test_months == len(np.unique(found.month_days)) == 8


def test_an_outcome_known_exactly_at_the_boundary_is_purged(year):
    start = opens(year)
    april = int(np.searchsorted(year, month_start(12 * 2024 + 3)))
    table = steady(year)
    ends = table.t_end_max.copy()
    rows = np.flatnonzero(table.month == 12 * 2024)[:2]
    ends[rows] = start[april - 1] - np.array([0, 1])  # one trading day of embargo
    fold = plan(make_table(table.day, table.t_decision, ends), year).folds[0]
    assert rows[0] not in fold.train
    assert rows[1] in fold.train


@st.composite
def worlds(draw):
    days = weekdays("2024-01-01", "2024-08-30")
    n = draw(st.integers(60, 160))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    place = np.sort(rng.integers(0, len(days), n))
    t = opens(days)[place] + rng.integers(0, DAY_US * 22 // 24, n)
    t.sort()
    day = days[np.searchsorted(opens(days), t, side="right") - 1]
    life = rng.exponential(draw(st.sampled_from([0.1, 1.0, 6.0])), n)
    seal = draw(st.sampled_from([None, int(days[120]), int(days[135]) + 1]))
    return (
        days,
        make_table(day, t, t + (life * DAY_US).astype(np.int64), rng.random(n) <= 0.1),
        draw(st.integers(0, 3)),
        seal,
    )


def oracle(table, days, fold, embargo, seal):
    """Every rule by comparing single rows and days, one at a time."""
    start = dict(zip(days.tolist(), opens(days).tolist(), strict=True))
    grid = days.tolist()
    sealed = [start[d] for d in grid if seal is not None and d >= seal]

    def members(first, last, forbidden):
        rows, gone = [], 0
        for i in range(len(table)):
            if not (first <= table.day[i] <= last and table.valid[i]):
                continue
            if seal is not None and (
                table.day[i] >= seal or any(table.t_end_max[i] >= s for s in sealed)
            ):
                continue
            # The life of the row may touch no forbidden day, seen as [open, infinity).
            if any(table.t_end_max[i] >= start[d] for d in forbidden):
                gone += 1
            else:
                rows.append(i)
        return rows, gone

    def guard(first_day):
        place = grid.index(next(d for d in grid if d >= first_day))
        return grid[max(0, place - embargo) :]

    train, a = members(*fold.train_days, guard(fold.validation_days[0]))
    validation, b = members(*fold.validation_days, guard(fold.test_days[0]))
    test, _ = members(*fold.test_days, [])
    return train, validation, test, a + b


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_rows_match_a_brute_force_oracle(world):
    days, table, embargo, seal = world
    chosen = FoldSettings(
        embargo_days=embargo, min_train=0, min_validation=0, min_month_decisions=0
    )
    found = plan(table, days, chosen, seal_day=seal)
    assert found.folds
    for fold in found.folds:
        train, validation, test, gone = oracle(table, days, fold, embargo, seal)
        assert fold.train.tolist() == train
        assert fold.validation.tolist() == validation
        assert fold.test.tolist() == test
        assert fold.n_purged == gone
        # No life of a row used for fitting overlaps a later part, pair by pair.
        for i in train:
            assert all(table.t_end_max[i] < table.t_decision[j] for j in validation + test)
        for i in validation:
            assert all(table.t_end_max[i] < table.t_decision[j] for j in test)


def test_purge_matches_purgedcv_and_the_embargo_drops_more(year):
    table = steady(year, life_us=3 * DAY_US + 1)  # their intervals are half-open, ours closed
    pred = pd.Series(pd.to_datetime(table.t_decision, unit="us"))
    evaluation = pd.Series(pd.to_datetime(table.t_end_max, unit="us"))
    without = plan(table, year, FoldSettings(embargo_days=0)).folds
    embargoed = plan(table, year, FoldSettings(embargo_days=1)).folds
    for fold, stricter in zip(without, embargoed, strict=True):
        month = (table.day >= fold.train_days[0]) & (table.day <= fold.train_days[1])
        later = np.concatenate([fold.validation, fold.test])
        kept = purge(np.flatnonzero(month), later, pred, evaluation)
        assert set(fold.train) == set(kept)
        assert set(stricter.train) <= set(kept)
    assert sum(len(f.train) for f in embargoed) < sum(len(f.train) for f in without)


def test_months_match_skfolio(year):
    frame = pd.DataFrame({"x": 0.0}, index=pd.DatetimeIndex(year.astype("datetime64[D]")))
    table = steady(year, per_day=1, life_us=1)
    found = plan(table, year, FoldSettings(embargo_days=0, min_month_decisions=20, min_train=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(WalkForward(test_size=1, train_size=4, freq="MS").split(frame))
    ours = [(np.union1d(f.train, f.validation), f.test) for f in found.folds]
    assert len(theirs) >= 6
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=False):
        assert train.tolist() == their_train.tolist()
        assert test.tolist() == their_test.tolist()


def test_few_decisions_stretch_every_length_together():
    days = weekdays("2020-01-01", "2024-12-31")
    chosen = FoldSettings(min_month_decisions=60)
    found = plan(steady(days, per_day=1), days, chosen)
    assert found.multiplier == 3  # a median month has 22 weekdays
    assert found.lengths == (9, 3, 3)
    assert found.folds[1].test_days[0] > found.folds[0].test_days[1]
    assert found.n_test_months == 3 * len(found.folds)


def test_multiplier_counts_void_decisions_too(year):
    table = steady(year, per_day=4)
    void = make_table(table.day, table.t_decision, table.t_end_max, np.arange(len(table)) % 2)
    found = plan(void, year)
    assert found.multiplier == 1
    used = np.concatenate([np.concatenate([f.train, f.validation, f.test]) for f in found.folds])
    assert void.valid[used].all()


def test_multiplier_is_smallest():
    days = weekdays("2018-01-01", "2024-12-31")
    found = plan(steady(days, per_day=1), days, FoldSettings(min_month_decisions=44))
    assert found.multiplier == 2


def test_partial_months_are_dropped(year):
    inside = year[(year >= month_start(12 * 2024 + 0) + 9) & (year <= year[-1] - 12)]
    found = plan(steady(inside), year, first_day=inside[0], last_day=inside[-1])
    assert found.months == tuple(range(12 * 2024 + 1, 12 * 2024 + 11))


def test_a_holiday_at_the_edge_does_not_make_a_month_partial():
    first = int(np.datetime64("2024-01-02", "D").astype(int))  # New Year's Day is closed
    last = int(np.datetime64("2024-03-28", "D").astype(int))  # Good Friday was the 29th
    assert whole_months(first, last) == (12 * 2024, 12 * 2024 + 1, 12 * 2024 + 2)
    assert whole_months(first + 1, last) == (12 * 2024 + 1, 12 * 2024 + 2)
    assert whole_months(first, last - 1) == (12 * 2024, 12 * 2024 + 1)


class TestSeal:
    def test_nothing_after_the_seal_is_read(self, year):
        table = steady(year, life_us=3 * DAY_US)
        seal = int(weekdays("2024-10-01", "2024-10-01")[0])
        found = plan(table, year, seal_day=seal)
        start = opens(np.array([seal]))[0]
        for fold in found.folds:
            for rows in (fold.train, fold.validation, fold.test):
                assert (table.day[rows] < seal).all()
                assert (table.t_end_max[rows] < start).all()
        assert found.n_sealed == int((table.day >= seal).sum())
        assert found.n_cut > 0
        assert found.months[-1] == 12 * 2024 + 8

    def test_changing_rows_after_the_seal_changes_no_fold(self, year):
        table = steady(year)
        seal = int(weekdays("2024-10-01", "2024-10-01")[0])
        keep = (table.day < seal) | (np.arange(len(table)) % 3 == 0)
        fewer = make_table(table.day[keep], table.t_decision[keep], table.t_end_max[keep])
        a, b = plan(table, year, seal_day=seal), plan(fewer, year, seal_day=seal)
        assert [f.test.tolist() for f in a.folds] == [f.test.tolist() for f in b.folds]

    def test_opening_continues_the_same_folds(self, year):
        table = steady(year)
        seal = int(weekdays("2024-10-01", "2024-10-01")[0])
        closed = plan(table, year, seal_day=seal)
        opened = plan(table, year, seal_day=seal, unsealed=True)
        assert opened.unsealed
        assert len(opened.folds) > len(closed.folds)
        for a, b in zip(closed.folds, opened.folds, strict=False):
            assert a.test_days == b.test_days
            assert a.train.tolist() == b.train.tolist()
        assert opened.folds[-1].test_days[1] == year[-1]

    def test_lengths_come_from_the_months_before_the_seal(self):
        days = weekdays("2022-01-01", "2024-12-31")
        seal = int(weekdays("2023-01-02", "2023-01-02")[0])
        sparse = steady(days[days < seal], per_day=2)
        day = np.concatenate([sparse.day, np.repeat(days[days >= seal], 40)])
        t = np.concatenate([sparse.t_decision, np.repeat(opens(days[days >= seal]), 40)])
        table = make_table(day, t, t + 1)
        assert plan(table, days, seal_day=seal).multiplier == 2
        assert plan(table, days, seal_day=seal, unsealed=True).multiplier == 2

    def test_choice_is_a_share_at_least_two_months_and_a_month_start(self):
        days = weekdays("2022-01-03", "2024-06-28")
        seal = choose_seal(days)
        assert str(np.datetime64(seal, "D")) == "2024-02-01"
        assert (days >= seal).mean() >= 0.15
        short = weekdays("2024-01-02", "2024-06-28")
        assert str(np.datetime64(choose_seal(short), "D")) == "2024-05-01"
        partial = weekdays("2024-01-02", "2024-06-14")
        assert str(np.datetime64(choose_seal(partial), "D")) == "2024-04-01"

    def test_too_short_to_seal(self):
        with pytest.raises(SampleError, match="too few"):
            choose_seal(weekdays("2024-05-01", "2024-06-28"))


class TestRefusals:
    def test_poor_folds_are_skipped_by_name(self, year):
        april = (year >= month_start(12 * 2024 + 3)) & (year < month_start(12 * 2024 + 4))
        table = steady(year[~april])
        found = plan(table, year)
        assert found.skipped[0].index == 0
        assert found.skipped[0].skipped == "0 validation decisions, at least 10 needed"
        assert 0 not in [fold.index for fold in found.folds]
        gone = {f.test_days for f in found.skipped}
        assert not any(a <= d <= b for d in found.test_days for a, b in gone)

    def test_no_test_decision(self, year):
        may = (year >= month_start(12 * 2024 + 4)) & (year < month_start(12 * 2024 + 5))
        assert plan(steady(year[~may]), year).skipped[0].skipped == "no test decision"

    def test_what_became_of_the_decisions_is_said(self, year):
        table = steady(year)
        void = np.zeros(len(table), np.int8)
        april = np.flatnonzero(table.month == 12 * 2024 + 3)
        void[april[:80]] = VOIDS.index("small_risk")
        void[april[80:84]] = VOIDS.index("hole")
        found = plan(replace(table, void=void), year).skipped[0]
        assert found.skipped == (
            "0 validation decisions, at least 10 needed: of 88 in these months 80 risk less than 4 "
            "ticks, 4 cross a hole in the data, 4 may still be open when the next part begins"
        )

    def test_where_voids_are_the_cause_a_busier_strategy_is_no_answer(self, year):
        table = steady(year)
        void = np.full(len(table), VOIDS.index("small_risk"), np.int8)
        void[::9] = 0
        with pytest.raises(SampleError, match="risk less than 4 ticks") as caught:
            plan(replace(table, void=void), year, FoldSettings(min_train=100))
        assert "place stops farther" in caught.value.fix
        assert "busier" not in str(caught.value)

    def test_too_few_training_decisions(self, year):
        chosen = FoldSettings(min_train=10_000)
        with pytest.raises(SampleError, match="training decisions, at least 10000"):
            plan(steady(year), year, chosen)

    def test_too_short(self, year):
        with pytest.raises(SampleError, match="needs 5 whole months, the data hold 3"):
            plan(steady(year), year, last_day=month_start(12 * 2024 + 3) - 1)

    def test_no_decision_at_all(self, year):
        empty = make_table([], [], [])
        with pytest.raises(SampleError):
            plan(empty, year)

    def test_no_common_day(self, year):
        with pytest.raises(SampleError, match="no trading day in common"):
            plan(steady(year), year, first_day=year[-1], last_day=year[0])

    def test_overlapping_tests_are_refused(self):
        with pytest.raises(ConfigError, match="traded twice"):
            FoldSettings(test=2, stride=1)

    @pytest.mark.parametrize("name", ["train", "validation", "test", "stride"])
    def test_zero_lengths_are_refused(self, name):
        with pytest.raises(ConfigError, match="expected 1 or more"):
            FoldSettings(**{name: 0})

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match="shape"):
            make_table([1, 2], [1, 2, 3], [1, 2])


def test_rows_come_in_time_order_whatever_the_order_of_the_table(year):
    table = steady(year)
    mixed = np.random.default_rng(0).permutation(len(table))
    shuffled = make_table(table.day[mixed], table.t_decision[mixed], table.t_end_max[mixed])
    for a, b in zip(plan(table, year).folds, plan(shuffled, year).folds, strict=True):
        assert (np.diff(shuffled.t_decision[b.train]) > 0).all()
        assert mixed[b.train].tolist() == a.train.tolist()


def test_month_numbers():
    days = np.array([0, 30, 31, -1], np.int32)
    assert month_of(days).tolist() == [12 * 1970, 12 * 1970, 12 * 1970 + 1, 12 * 1969 + 11]
    assert month_start(12 * 1970 + 1) == 31
