"""The fits of a fold: groups, permutations, early end of the shuffle test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce

import numpy as np
import pytest

from ffm_core.errors import ModelError
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.fit import FoldViews, fit_real, fit_shuffled
from ffm_core.evaluate.pick import Picks, pick
from ffm_core.evaluate.selector import Selector, take
from ffm_core.evaluate.shuffle import one_more
from ffm_core.records import ShuffleResult, View
from ffm_core.ruler.folds import Fold, FoldPlan, FoldSettings
from ffm_core.ruler.operating import OperatingPoint, operating_point
from ffm_core.testing import make_view
from ffm_xgb.learner import LEARNERS

LEARNER = next(item for item in LEARNERS if item.name == "xgb:linear")


def view(n: int, seed: int, *, signal: float = 0.0, labels: bool = True, group=None) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    won = rng.random(n) < 0.3 + signal * (x[:, 0] > 0)
    t = np.arange(n, dtype=np.int64) * 10**10
    return make_view(
        x, won if labels else None, t_us=t, stream=(np.arange(n) % 2).astype(np.int16), group=group
    )


def fold(signal: float = 0.0, group: np.ndarray | None = None) -> FoldViews:
    return FoldViews(
        index=0,
        train=view(600, 1, signal=signal),
        validation=view(200, 2, signal=signal),
        test=view(200, 3, labels=False, group=group),
    )


def fitted(views: FoldViews, *, seeds=(0, 1), learner=LEARNER) -> Selector:
    fit = partial(fit_real, learner=learner, seeds=seeds, share=0.5)
    return Selector.of(fit(views, answers=frozenset({"score", "probability"})), learner)


def picked(views: FoldViews, selector: Selector) -> Picks:
    """Return the picks of the test rows of one fold."""
    days = (0, 1)
    plan = FoldPlan(
        multiplier=1, settings=FoldSettings(), span=days, months=(), skipped=(),
        test_days=np.arange(2, dtype=np.int32),
        folds=(Fold(index=0, train_days=days, validation_days=days, test_days=days, n_purged=0,
                    train=np.arange(600), validation=np.arange(200), test=np.arange(200)),),
    )  # fmt: skip
    return pick(plan, [views], [selector])[0]


def test_real_prefers_the_marked_rows() -> None:
    data = fold(signal=0.4)
    found = picked(data, fitted(data))
    marked = data.test.design.x[:, 0] > 0
    assert found.picked[marked].mean() > 0.9
    assert found.picked[~marked].mean() < 0.2
    assert np.isnan(found.predicted_r).all()
    assert ((found.probability > 0) & (found.probability < 1)).all()


def test_permuted_labels_do_not_find_the_marked_rows() -> None:
    data = fold(signal=0.4)
    draws = (("full", 0), ("full", 1), ("block", 0))
    shuffled = partial(fit_shuffled, data, learner=LEARNER, seed=0, share=0.5)
    taken = shuffled(draws=draws)
    marked = data.test.design.x[:, 0] > 0
    gaps = [abs(t[marked].mean() - t[~marked].mean()) for t in taken]
    assert np.mean(gaps) < 0.6
    again = shuffled(draws=draws[::-1])
    for one, other in zip(taken, again[::-1], strict=True):
        np.testing.assert_array_equal(one, other)  # a draw depends on its number alone


def test_only_the_best_of_a_group_is_taken() -> None:
    group = np.repeat(np.arange(100), 2)
    data = fold(group=group)
    point = operating_point(np.zeros(200), data.validation.stream)
    taken = take(point, data.test, np.arange(200, dtype=np.float64))
    assert taken.sum() == 100
    assert taken[1::2].all()


def test_a_fitted_fold_comes_back_from_its_bytes_with_its_operating_point() -> None:
    data = fold(signal=0.4)
    first = fitted(data)
    data_bytes = first.to_bytes()
    again = Selector.of(data_bytes, LEARNER)
    assert again.point == first.point
    assert again.to_bytes() == data_bytes
    before, after = picked(data, first), picked(data, again)
    for name, values in before.arrays().items():
        np.testing.assert_array_equal(values, getattr(after, name))


def test_a_stream_without_validation_keeps_its_unknown_threshold() -> None:
    point = OperatingPoint(share=0.5, thresholds={1: -np.inf, 7: 0.1 + 0.2}, pooled=float("nan"))
    first = replace(fitted(fold()), point=point)
    again = Selector.of(first.to_bytes(), LEARNER).point
    assert (again.thresholds, again.share) == (point.thresholds, 0.5)
    assert np.isnan(again.pooled)


def test_bytes_of_another_learner_and_other_columns_are_refused() -> None:
    data = fold()
    selector = fitted(data)
    other = next(item for item in LEARNERS if item.name == "xgb:xgb")
    with pytest.raises(ModelError, match="was fitted by 'xgb:linear', not by 'xgb:xgb'"):
        Selector.of(selector.to_bytes(), other)
    design = replace(data.test.design, names=("made/0", "made/1", "made/2", "made/9"))
    with pytest.raises(ModelError, match="made/3, made/9"):
        selector.plans(replace(data.test, design=design))


def test_shuffled_rows_bring_their_whole_outcome_and_leave_when_it_was_known() -> None:
    train = view(50, 1)
    rows = np.random.default_rng(0).permutation(50)
    mixed = train.exchanged(rows)
    np.testing.assert_array_equal(mixed.known.r_net, train.known.r_net[rows])
    np.testing.assert_array_equal(mixed.known.peak_r, train.known.peak_r[rows])
    np.testing.assert_array_equal(mixed.known.t_end, train.known.t_end)


def draws_of(values: Sequence[float]) -> ShuffleResult:
    test = ShuffleResult(real=0.5, draws=np.empty(0), planned=39, stopped=False)
    return reduce(one_more, values, test)


def test_shuffle_stops_at_the_first_draw_that_beats_real() -> None:
    test = draws_of((0.1, 0.6, 0.2))
    assert test.stopped
    assert test.draws.tolist() == [0.1, 0.6]


def test_shuffle_that_is_never_beaten_runs_to_its_end() -> None:
    test = draws_of([0.0] * 50)
    assert len(test.draws) == 39
    assert not test.stopped


def double(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_come_in_the_order_of_the_arguments(jobs: int) -> None:
    assert list(Executor(jobs).run(double, list(range(20)))) == [2 * i for i in range(20)]
