"""The fits of a fold: groups, permutations, early end of the shuffle test."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.fit import FoldData, RealTask, ShuffleTask, fit_real, fit_shuffles, take_rows
from ffm_core.evaluate.shuffle import _Run
from ffm_core.records import Design, View
from ffm_xgb.learner import LEARNERS

LEARNER = next(item for item in LEARNERS if item.name == "xgb:linear")


def view(n: int, seed: int, *, signal: float = 0.0, labels: bool = True) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    label = (rng.random(n) < 0.3 + signal * (x[:, 0] > 0)).astype(np.int8)
    t = np.arange(n, dtype=np.int64) * 10**9
    nothing = np.empty(0)
    return View(
        design=Design(x=x, names=("a", "b", "c", "d")),
        side=np.ones(n, dtype=np.int8),
        stream=(np.arange(n) % 2).astype(np.int16),
        t_us=t,
        t_end=t + 10**8,
        label=label if labels else nothing.astype(np.int8),
        r_net=label * 3.0 - 1.0 if labels else nothing,
        peak_r=label * 3.0 if labels else nothing,
    )


def fold(signal: float = 0.0, group: np.ndarray | None = None) -> FoldData:
    return FoldData(
        index=0,
        train=view(600, 1, signal=signal),
        validation=view(200, 2, signal=signal),
        test=view(200, 3, labels=False),
        group_validation=np.full(200, -1),
        group_test=np.full(200, -1) if group is None else group,
        top_share=0.5,
    )


def test_real_prefers_the_marked_rows() -> None:
    data = fold(signal=0.4)
    answer = fit_real(RealTask(learner=LEARNER, data=data, seeds=(0, 1), signal_only=True))
    marked = data.test.design.x[:, 0] > 0
    assert answer.taken_test[marked].mean() > 0.9
    assert answer.taken_test[~marked].mean() < 0.2


def test_permuted_labels_do_not_find_the_marked_rows() -> None:
    data = fold(signal=0.4)
    draws = (("full", 0), ("full", 1), ("block", 0))
    taken = fit_shuffles(ShuffleTask(learner=LEARNER, data=data, seed=0, draws=draws))
    marked = data.test.design.x[:, 0] > 0
    gaps = [abs(t[marked].mean() - t[~marked].mean()) for t in taken]
    assert np.mean(gaps) < 0.6
    again = fit_shuffles(ShuffleTask(learner=LEARNER, data=data, seed=0, draws=draws[::-1]))
    for one, other in zip(taken, again[::-1], strict=True):
        np.testing.assert_array_equal(one, other)  # a draw depends on its number alone


def test_only_the_best_of_a_group_is_taken() -> None:
    group = np.repeat(np.arange(100), 2)
    data = fold(group=group)
    score = np.arange(200, dtype=np.float64)
    _, taken = take_rows(data, np.zeros(200), score)
    assert taken.sum() == 100
    assert taken[1::2].all()


def test_shuffle_stops_at_the_first_draw_that_beats_real() -> None:
    run = _Run(real=0.5, planned=39)
    assert [run.add(value) for value in (0.1, 0.6, 0.2)] == [1, 1, 0]
    assert run.stopped
    assert run.result().draws.tolist() == [0.1, 0.6]


def test_shuffle_that_is_never_beaten_runs_to_its_end() -> None:
    run = _Run(real=0.5, planned=39)
    assert sum(run.add(0.0) for _ in range(50)) == 39
    assert not run.stopped


def double(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_come_in_the_order_of_the_arguments(jobs: int) -> None:
    assert list(Executor(jobs).run(double, list(range(20)))) == [2 * i for i in range(20)]
