"""The heads: what they find, that they repeat, and what they refuse to look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ffm_core.records import Design, View
from ffm_xgb.calibrate import fit_platt
from ffm_xgb.heads import Constant, blend, fit_linear, fit_trees
from ffm_xgb.learner import LEARNERS, XGBLearner
from ffm_xgb.matrix import Standardiser, build, inner_split
from ffm_xgb.settings import SIGNAL

HEADS = [learner for learner in LEARNERS if learner.name != "xgb"]


def make_view(n: int = 900, seed: int = 0, *, nan_share: float = 0.0) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12)).astype(np.float32)
    label = (rng.random(n) < 0.2 + 0.3 * (x[:, 5] > 0)).astype(np.int8)
    x[rng.random(x.shape) < nan_share] = np.nan
    t = np.arange(n, dtype=np.int64) * 10**9
    return View(
        design=Design(x=x, names=tuple(f"c{i}" for i in range(12))),
        side=np.ones(n, dtype=np.int8),
        stream=(np.arange(n) % 3).astype(np.int16),
        t_us=t,
        t_end=t + 5 * 10**9,
        label=label,
        r_net=label * 4.0 - 1.0,
        peak_r=label * 3.0 + rng.random(n),
    )


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_head_finds_a_marked_column_on_fresh_rows(learner: XGBLearner) -> None:
    train, fresh = make_view(), make_view(seed=1)
    model = learner.fit(learner.prepare(train), train, make_view(seed=2), seed=0, signal_only=True)
    assert roc_auc_score(fresh.label, model.plan(fresh).score) > 0.58


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_same_seed_gives_the_same_bytes_and_labels_of_others_leave_no_trace(
    learner: XGBLearner,
) -> None:
    train, validation = make_view(), make_view(seed=2)
    handle = learner.prepare(train)
    first = learner.fit(handle, train, validation, seed=3).plan(validation)
    noise = train.with_label(np.random.default_rng(9).permutation(train.label))
    learner.fit(handle, noise, validation, seed=3)  # shares the matrix, must not spoil it
    again = learner.fit(handle, train, validation, seed=3).plan(validation)
    assert first.score.tobytes() == again.score.tobytes()
    assert first.probability is not None
    assert first.predicted_r is not None
    assert again.predicted_r is not None
    assert first.predicted_r.tobytes() == again.predicted_r.tobytes()


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_missing_values_are_welcome(learner: XGBLearner) -> None:
    train = make_view(nan_share=0.2)
    plan = learner.fit(learner.prepare(train), train, train, seed=0).plan(train)
    assert np.isfinite(plan.score).all()


def test_ranking_does_not_use_validation_labels() -> None:
    learner = LEARNERS[0]
    train, validation = make_view(), make_view(seed=2)
    turned = replace(validation, label=(1 - validation.label).astype(np.int8))
    handle = learner.prepare(train)
    straight = learner.fit(handle, train, validation, seed=0, signal_only=True).plan(validation)
    other = learner.fit(handle, train, turned, seed=0, signal_only=True).plan(validation)
    assert straight.score.tobytes() == other.score.tobytes()
    assert straight.probability is not None
    assert other.probability is not None
    assert straight.probability.tobytes() != other.probability.tobytes()


def test_scores_of_rows_do_not_depend_on_the_rows_beside_them() -> None:
    learner = next(item for item in LEARNERS if item.head == "blend")
    train = make_view()
    model = learner.fit(learner.prepare(train), train, train, seed=0, signal_only=True)
    whole = model.plan(train).score
    half = model.plan(replace(train, design=train.design.take(np.arange(100)),
                              stream=train.stream[:100], side=train.side[:100])).score  # fmt: skip
    np.testing.assert_array_equal(whole[:100], half)


def test_inner_split_leaves_no_label_open_when_the_watch_begins() -> None:
    t = np.arange(100, dtype=np.int64) * 10
    early, late = inner_split(t, t + 35)
    assert len(late) == 25
    assert (t[early] + 35 < t[late].min()).all()
    assert len(early) == 75 - 3  # 35 reaches over three steps of 10


def test_linear_head_agrees_with_the_plain_regression() -> None:
    train = make_view()
    matrix = build(train)
    scorer = fit_linear(matrix, train.label)
    z = np.empty(train.design.x.shape)
    for stream in range(3):  # clipped z-scores by hand
        rows = train.stream == stream
        part = train.design.x[rows].astype(np.float64)
        z[rows] = np.clip((part - part.mean(0)) / part.std(0), -3, 3)
    plain = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.05, intercept_scaling=10.0,
                               random_state=0).fit(z, train.label)  # fmt: skip
    np.testing.assert_allclose(scorer.score(train), z @ plain.coef_.ravel(), atol=1e-9)


def test_one_class_gives_no_ranking() -> None:
    train = make_view()
    matrix = build(train)
    ones = np.ones(len(train), dtype=np.int8)
    assert isinstance(fit_trees(matrix, ones, SIGNAL, 0), Constant)
    assert isinstance(fit_linear(matrix, ones), Constant)


def test_blend_is_the_mean_of_training_ranks() -> None:
    class Fixed:
        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def score(self, view: View) -> np.ndarray:
            return self.values

    train = make_view(4)
    parts = (Fixed(np.array([4.0, 3.0, 2.0, 1.0])), Fixed(np.array([1.0, 1.0, 1.0, 1.0])))
    score = blend(parts, train).score(train)
    np.testing.assert_allclose(score, [(7 / 8 + 0.5) / 2, (5 / 8 + 0.5) / 2, (3 / 8 + 0.5) / 2,
                                       (1 / 8 + 0.5) / 2])  # fmt: skip


def test_constant_column_scores_nothing_and_unknown_stream_is_pooled() -> None:
    x = np.column_stack([np.ones(50), np.arange(50)]).astype(np.float32)
    standardiser = Standardiser.fit(x, np.zeros(50, dtype=np.int16))
    z = standardiser.apply(x, np.full(50, 7, dtype=np.int16))
    assert (z[:, 0] == 0).all()
    assert z[:, 1].mean() == pytest.approx(0.0, abs=1e-12)


def test_risk_head_predicts_more_where_more_happens() -> None:
    learner = LEARNERS[0]
    train, fresh = make_view(), make_view(seed=4)
    plan = learner.fit(learner.prepare(train), train, train, seed=0).plan(fresh)
    assert plan.predicted_r is not None
    assert (plan.predicted_r >= 0).all()
    assert np.corrcoef(plan.predicted_r, fresh.peak_r)[0, 1] > 0.1


def test_platt_recovers_a_known_line_and_falls_back_to_the_base_rate() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    label = (rng.random(20_000) < 1 / (1 + np.exp(-(0.8 * score - 0.4)))).astype(np.int8)
    platt = fit_platt(score, label)
    p = platt.apply(np.array([0.0, 1.0]))
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-np.array([-0.4, 0.4]))), atol=0.02)
    few = fit_platt(score[:10], label[:10])
    assert len(np.unique(few.apply(score))) == 1
