"""The heads: what they find, that they repeat, and what they refuse to look at."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ffm_core.container import pack, unpack
from ffm_core.errors import ModelError
from ffm_core.records import ANSWERS, View
from ffm_core.testing import make_view
from ffm_xgb.calibrate import fit_platt
from ffm_xgb.heads import Constant, blend, fit_linear, fit_trees
from ffm_xgb.learner import LEARNERS, SCHEMA, XGBLearner
from ffm_xgb.matrix import Standardiser, build, inner_split
from ffm_xgb.settings import SIGNAL

HEADS = [learner for learner in LEARNERS if learner.name != "xgb"]


EVERYTHING = frozenset(ANSWERS)
PICKS = frozenset({"score", "probability"})


def rows(n: int = 900, seed: int = 0, *, nan_share: float = 0.0) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12)).astype(np.float32)
    won = (rng.random(n) < 0.2 + 0.3 * (x[:, 5] > 0)).astype(np.int8)
    x[rng.random(x.shape) < nan_share] = np.nan
    t = np.arange(n, dtype=np.int64) * 10**9
    return make_view(
        x, r=won * 4.0 - 1.0, peak_r=won * 3.0 + rng.random(n), t_us=t, t_end=t + 5 * 10**9,
        stream=(np.arange(n) % 3).astype(np.int16),
    )  # fmt: skip


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_head_finds_a_marked_column_on_fresh_rows(learner: XGBLearner) -> None:
    train, fresh = rows(), rows(seed=1)
    model = learner.fit(learner.prepare(train), train, rows(seed=2), seed=0, answers=PICKS)
    assert roc_auc_score(fresh.known.label, model.plan(fresh).score) > 0.58


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_same_seed_gives_the_same_bytes_and_labels_of_others_leave_no_trace(
    learner: XGBLearner,
) -> None:
    train, validation = rows(), rows(seed=2)
    handle = learner.prepare(train)
    first = learner.fit(handle, train, validation, seed=3, answers=EVERYTHING).plan(validation)
    noise = train.exchanged(np.random.default_rng(9).permutation(len(train)))
    # Shares the matrix, must not spoil it.
    learner.fit(handle, noise, validation, seed=3, answers=EVERYTHING)
    again = learner.fit(handle, train, validation, seed=3, answers=EVERYTHING).plan(validation)
    assert first.score.tobytes() == again.score.tobytes()
    assert first.probability is not None
    assert first.predicted_r is not None
    assert again.predicted_r is not None
    assert first.predicted_r.tobytes() == again.predicted_r.tobytes()


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
def test_missing_values_are_welcome(learner: XGBLearner) -> None:
    train = rows(nan_share=0.2)
    plan = learner.fit(learner.prepare(train), train, train, seed=0, answers=EVERYTHING).plan(train)
    assert np.isfinite(plan.score).all()


def test_ranking_does_not_use_validation_labels() -> None:
    learner = LEARNERS[0]
    train, validation = rows(), rows(seed=2)
    turned = replace(
        validation, outcomes=replace(validation.known, r_gross=-validation.known.r_gross)
    )
    handle = learner.prepare(train)
    straight = learner.fit(handle, train, validation, seed=0, answers=PICKS).plan(validation)
    other = learner.fit(handle, train, turned, seed=0, answers=PICKS).plan(validation)
    assert straight.score.tobytes() == other.score.tobytes()
    assert straight.probability is not None
    assert other.probability is not None
    assert straight.probability.tobytes() != other.probability.tobytes()


def test_scores_of_rows_do_not_depend_on_the_rows_beside_them() -> None:
    learner = next(item for item in LEARNERS if item.head == "blend")
    train = rows()
    model = learner.fit(learner.prepare(train), train, train, seed=0, answers=PICKS)
    whole = model.plan(train).score
    half = model.plan(train.take(np.arange(100)).blind()).score
    np.testing.assert_array_equal(whole[:100], half)


def test_inner_split_leaves_no_label_open_when_the_watch_begins() -> None:
    t = np.arange(100, dtype=np.int64) * 10
    early, late = inner_split(t, t + 35)
    assert len(late) == 25
    assert (t[early] + 35 < t[late].min()).all()
    assert len(early) == 75 - 3  # 35 reaches over three steps of 10


def test_linear_head_agrees_with_the_plain_regression() -> None:
    train = rows()
    matrix = build(train)
    scorer = fit_linear(matrix, train.known.label)
    z = np.empty(train.design.x.shape)
    for stream in range(3):  # clipped z-scores by hand
        own = train.stream == stream
        part = train.design.x[own].astype(np.float64)
        z[own] = np.clip((part - part.mean(0)) / part.std(0), -3, 3)
    plain = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.05, intercept_scaling=10.0,
                               random_state=0).fit(z, train.known.label)  # fmt: skip
    np.testing.assert_allclose(scorer.score(train), z @ plain.coef_.ravel(), atol=1e-9)


def test_one_class_gives_no_ranking() -> None:
    train = rows()
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

    train = rows(4)
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
    train, fresh = rows(), rows(seed=4)
    plan = learner.fit(learner.prepare(train), train, train, seed=0, answers=EVERYTHING).plan(fresh)
    assert plan.predicted_r is not None
    assert (plan.predicted_r >= 0).all()
    assert np.corrcoef(plan.predicted_r, fresh.known.peak_r)[0, 1] > 0.1


def test_platt_recovers_a_known_line_and_falls_back_to_the_base_rate() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    label = (rng.random(20_000) < 1 / (1 + np.exp(-(0.8 * score - 0.4)))).astype(np.int8)
    platt = fit_platt(score, label)
    p = platt.apply(np.array([0.0, 1.0]))
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-np.array([-0.4, 0.4]))), atol=0.02)
    few = fit_platt(score[:10], label[:10])
    assert len(np.unique(few.apply(score))) == 1


# --- bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", HEADS, ids=lambda item: item.head)
@pytest.mark.parametrize("answers", [EVERYTHING, PICKS, frozenset({"score"})], ids=len)
def test_a_model_comes_back_from_its_bytes_and_answers_the_same_bits(
    learner: XGBLearner, answers: frozenset
) -> None:
    train, fresh = rows(nan_share=0.1), rows(seed=5, nan_share=0.1)
    model = learner.fit(learner.prepare(train), train, rows(seed=2), seed=3, answers=answers)
    again = learner.load(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    for name in ANSWERS:
        before, after = getattr(model.plan(fresh), name), getattr(again.plan(fresh), name)
        assert (before is None) == (name not in answers)
        assert (before is None and after is None) or before.tobytes() == after.tobytes()


def test_a_model_without_ranking_and_a_constant_column_come_back_too() -> None:
    learner = next(item for item in LEARNERS if item.head == "blend")
    won = rows()
    x = won.design.x.copy()
    x[:, 3] = 1.0  # its spread is 0
    train = replace(won, design=replace(won.design, x=x))
    model = learner.fit(learner.prepare(train), train, train, seed=0, answers=PICKS)
    same = learner.load(model.to_bytes()).plan(train).score
    assert same.tobytes() == model.plan(train).score.tobytes()
    none = make_view(x, np.ones(len(x)))
    model = learner.fit(learner.prepare(none), none, none, seed=0, answers=PICKS)
    assert learner.load(model.to_bytes()).plan(none).score.any() == model.plan(none).score.any()


def test_what_is_not_asked_for_is_not_fitted() -> None:
    learner, train = LEARNERS[0], rows()
    model = learner.fit(learner.prepare(train), train, train, seed=0, answers=frozenset({"score"}))
    assert (model.platt, model.risk) == (None, None)


def test_damaged_foreign_and_incomplete_bytes_are_typed_errors() -> None:
    learner, train = LEARNERS[0], rows(200)
    data = learner.fit(learner.prepare(train), train, train, seed=0, answers=PICKS).to_bytes()
    _, blocks = unpack(data, SCHEMA)
    for broken in (
        b"", data[:-1], data[:300] + b"x" + data[301:], pack("other/1", {}), pickle.dumps(blocks),
        pack(SCHEMA, {"platt": None}), pack(SCHEMA, {"platt": None, "scorer": {"kind": "odd"}}),
        pack(SCHEMA, {"platt": None, "scorer": {"kind": "trees", "block": "a"}}, {"a": b"no"}),
    ):  # fmt: skip
        with pytest.raises(ModelError):
            learner.load(broken)
