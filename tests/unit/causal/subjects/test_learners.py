"""The falsifier on learners: ours are clean, each fault is caught by its detector."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from ffm_core.causal.subjects.learners import falsify_learner, thin
from ffm_core.container import pack, unpack
from ffm_core.errors import StrategyError
from ffm_core.records import Examined, Plan, View
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars, make_view
from ffm_xgb.learner import LEARNERS

N_COLUMNS = 6


def view(n: int, seed: int, *, labels: bool = True, whole: bool = False, begin: int = 0) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_COLUMNS)).astype(np.float32)
    if whole:  # few values, so that many rows score the same
        x = np.round(x)
    label = (rng.random(n) < 0.3 + 0.3 * (x[:, 0] > 0)).astype(np.int8)
    t_us = begin + np.arange(n, dtype=np.int64) * 3_600_000_000
    stream = (np.arange(n) % 2).astype(np.int16)
    return make_view(x, label if labels else None, stream=stream, t_us=t_us, names="abcdef")


def along(x, weights):
    return np.asarray((x.astype(np.float64) * weights).sum(axis=1))


@dataclass
class Model:
    weights: Any
    scoring: Any

    def plan(self, view):
        return Plan(score=self.scoring(view, self.weights))

    def to_bytes(self):
        return pack("simple/1", self.weights.tolist())


@dataclass
class Simple:
    """The direction from losers to winners; ``scoring`` says how rows are scored."""

    scoring: Any
    fitting: Any = None
    name: str = "simple"
    summary: str = ""
    fitted: list = field(default_factory=list)
    does: str = "selects"
    reads_bars: bool = False

    def prepare(self, train):
        return None

    def fit(self, handle, train, validation, *, seed, answers):
        won = train.known.label == 1
        weights = train.design.x[won].mean(axis=0) - train.design.x[~won].mean(axis=0)
        if self.fitting is not None:
            weights = self.fitting(self, weights, seed)
        return Model(weights, self.scoring)

    def load(self, data):
        return Model(np.array(unpack(data, "simple/1")[0]), self.scoring)


def falsify(scoring, fitting=None, test=None):
    test = view(300, 3, labels=False, begin=10**15) if test is None else test
    return falsify_learner(Simple(scoring, fitting), view(200, 1), view(60, 2), test, seed=0)


def honest(view, weights):
    return along(view.design.x, weights)


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda item: item.name)
@pytest.mark.parametrize("whole", [False, True], ids=["any numbers", "whole numbers"])
def test_the_built_in_learners_are_clean(learner, whole):
    found = falsify_learner(
        learner,
        view(250, 1, whole=whole),
        view(80, 2, whole=whole),
        view(200, 3, labels=False, whole=whole),
        seed=0,
    )
    assert found.failures == ()
    assert found.subjects == (Examined("learner", learner.name),)
    assert found.detection_bound == pytest.approx(1.0 - 0.01 ** (1.0 / 300))


def test_a_clean_learner_is_clean_and_what_was_done_is_said():
    found = falsify(honest)
    assert found.failures == ()
    assert found.cuts > 25
    assert found.rows_compared > 1_000
    assert falsify(honest) == found


def ranked(view, weights):
    score = along(view.design.x, weights)
    return np.argsort(np.argsort(score)) / len(score)


def over_median(view, weights):
    score = along(view.design.x, weights)
    return (score > np.median(score)).astype(np.float64)


def rescaled(view, weights):
    spread = view.design.x.std(axis=0) + 1e-9
    return along(view.design.x / spread, weights)


def next_row(view, weights):
    score = along(view.design.x, weights)
    later = np.append(score[1:], 0.0)
    return score + later


def by_place(view, weights):
    return along(view.design.x, weights) + np.arange(len(view)) / 100


def by_count(view, weights):
    return along(view.design.x, weights) * len(view)


@pytest.mark.parametrize(
    ("scoring", "line"),
    [
        (ranked, "np.argsort(np.argsort(score))"),
        (over_median, "score > np.median(score)"),
        (rescaled, "spread = view.design.x.std(axis=0) + 1e-9"),
        (next_row, "later = np.append(score[1:], 0.0)"),
        (by_place, ""),
        (by_count, ""),
    ],
)
def test_a_score_that_depends_on_other_rows_is_a_failure_of_rows(scoring, line):
    (failure,) = falsify(scoring).failures
    assert (failure.check, failure.column) == ("rows", "score")
    assert failure.stamp in told(failure.reason)
    assert "fit()" in told(failure.repair)
    assert line in failure.line


def test_one_row_in_a_hundred_is_enough():
    def rare(view, weights):
        score = along(view.design.x, weights)
        odd = np.floor(view.t_us / 3_600_000_000).astype(int) % 97 == 3
        return np.where(odd, score - score.mean(), score)

    (failure,) = falsify(rare).failures
    assert failure.check == "rows"


def test_a_probability_scaled_on_the_rows_asked_for_is_found():
    class Calibrated(Model):
        def plan(self, view):
            score = along(view.design.x, self.weights)
            return Plan(score=score, probability=(score - score.min()) / np.ptp(score + [0.0, 1.0][
                0]) if len(score) > 1 else score, predicted_r=np.ones(len(score)))  # fmt: skip

    class Learner(Simple):
        def fit(self, handle, train, validation, *, seed, answers):
            model = super().fit(handle, train, validation, seed=seed, answers=answers)
            return Calibrated(model.weights, self.scoring)

        def load(self, data):
            return Calibrated(super().load(data).weights, self.scoring)

    found = falsify_learner(
        Learner(honest), view(200, 1), view(60, 2), view(300, 3, labels=False), seed=0
    )
    assert {(f.check, f.column) for f in found.failures} == {("rows", "probability")}


def test_last_digits_may_depend_on_the_number_of_rows():
    def product(view, weights):
        return (view.design.x @ weights.astype(np.float32)).astype(np.float64)

    assert falsify(product).failures == ()


def test_chance_in_plan_is_a_failure_of_purity_and_nothing_else():
    def noisy(view, weights):
        return along(view.design.x, weights) + np.random.default_rng().normal(size=len(view))

    (failure,) = falsify(noisy).failures
    assert failure.check == "purity"
    assert "default_rng()" in failure.line


def test_chance_in_fit_is_a_failure_of_determinism():
    def fitting(learner, weights, seed):
        return weights + np.random.default_rng().normal(size=len(weights))

    (failure,) = falsify(honest, fitting).failures
    assert failure.check == "determinism"


def test_a_fit_that_depends_on_its_seed_is_none():
    def fitting(learner, weights, seed):
        return weights + np.random.default_rng(seed).normal(size=len(weights))

    assert falsify(honest, fitting).failures == ()


def test_what_is_kept_from_another_fold_is_a_failure_of_purity():
    def fitting(learner, weights, seed):
        learner.fitted.append(weights)
        return np.mean(learner.fitted, axis=0)

    (failure,) = falsify(honest, fitting).failures
    assert failure.check == "purity"
    assert "a fit on other rows" in told(failure.reason)


def test_rows_that_were_answered_before_may_not_change_the_answer():
    def drifting(view, weights):
        drifting.seen = getattr(drifting, "seen", 0) + len(view)
        return along(view.design.x, weights) + drifting.seen

    assert falsify(drifting).failures[0].check == "purity"


def test_a_view_that_is_edited_is_a_failure_of_purity():
    def edits(view, weights):
        view.design.x[:, 0] = 0.0
        return along(view.design.x, weights)

    found = falsify(edits)
    assert ("purity", "design.x") in {(f.check, f.column) for f in found.failures}


def test_a_score_that_is_no_number_is_a_failure_of_values():
    def broken(view, weights):
        score = along(view.design.x, weights)
        return np.where(view.design.x[:, 0] > 1.5, np.nan, score)

    (failure,) = falsify(broken).failures
    assert failure.check == "values"


def test_outcomes_are_never_shown_to_a_plan():
    shown = []

    def looks(view, weights):
        shown.append(view.outcomes)
        return along(view.design.x, weights)

    assert falsify(looks, test=view(300, 3)).failures == ()
    assert set(shown) == {None}


def test_a_plan_that_asks_for_outcomes_is_an_error_of_the_learner():
    with pytest.raises(StrategyError, match="asks for outcomes where they are kept back"):
        falsify(lambda view, weights: view.known.r_net)


# --- bytes --------------------------------------------------------------------------------


def bytes_of(learner):
    return falsify_learner(learner, view(200, 1), view(60, 2), view(300, 3, labels=False), seed=0)


@dataclass
class Stored(Simple):
    """A learner whose models are stored as ``store`` says and read back by ``read``."""

    store: Any = None
    read: Any = None

    def fit(self, handle, train, validation, *, seed, answers):
        return self.kept(super().fit(handle, train, validation, seed=seed, answers=answers))

    def load(self, data):
        return self.kept(Model(self.read(data), self.scoring))

    def kept(self, model):
        model.to_bytes = lambda: self.store(model.weights)
        return model


def test_a_model_that_comes_back_with_other_digits_is_a_failure_of_bytes():
    def rounded(weights):
        return pack("simple/1", np.round(weights.astype(float), 12).tolist())

    twin = Stored(honest, store=rounded, read=lambda data: np.array(unpack(data, "simple/1")[0]))
    (failure,) = bytes_of(twin).failures
    assert (failure.check, failure.column) == ("bytes", "score")
    assert "disagrees with itself" in told(failure.reason)
    twin.store = lambda weights: pack("simple/1", weights.astype(float).tolist())
    assert bytes_of(twin).failures == ()


def test_a_pickle_is_a_failure_of_bytes():
    twin = Stored(honest, store=pickle.dumps, read=pickle.loads)
    (failure,) = bytes_of(twin).failures
    assert (failure.check, failure.column) == ("bytes", "")
    assert "a pickle, which runs code" in told(failure.reason)


def test_bytes_are_bytes():
    with pytest.raises(StrategyError, match="to_bytes returned list, expected bytes"):
        bytes_of(Stored(honest, store=lambda weights: weights.tolist(), read=np.array))


# --- bars ---------------------------------------------------------------------------------


def with_bars(rows, bars):
    """Return a view of decisions on every other bar, which carries the bars as the run does."""
    at = np.arange(30, 30 + 2 * rows, 2)
    x = np.random.default_rng(rows).normal(size=(rows, 2))
    won = x[:, 0] > 0
    full = make_view(x, won, bar=at, bars=(bars,), t_us=bars.ts_us[at])
    return full.take(np.arange(rows))


@dataclass
class Reader(Simple):
    reads_bars: bool = True


def falsify_reader(scoring):
    bars = make_bars("trend", rows=1_000, seed=3)
    whole = with_bars(400, bars)
    parts = [whole.take(rows) for rows in (np.arange(200), np.arange(200, 260))]
    test = whole.take(np.arange(260, 400)).blind()
    return falsify_learner(Reader(scoring), *parts, test, seed=0)


def test_a_learner_that_reads_closed_bars_is_clean():
    def moved(view, weights):
        return np.array([view.history(i).close[-1] / view.history(i).close[-20] for i in range(
            len(view))])  # fmt: skip

    assert falsify_reader(moved).failures == ()


def test_a_learner_that_reads_bars_after_its_row_is_found():
    def peeks(view, weights):
        close = view.bars[0].close
        return np.array([close[min(at + 3, len(close) - 1)] / close[at] for at in view.bar])

    assert {failure.check for failure in falsify_reader(peeks).failures} == {"rows"}


def test_few_test_rows_are_joined_by_older_ones():
    asked = []

    def counts(view, weights):
        asked.append(len(view))
        return along(view.design.x, weights)

    falsify(counts, test=view(10, 3, labels=False))
    assert max(asked) == 200 + 60 + 10
    falsify(counts, test=view(1_000, 3, labels=False))
    assert max(asked) == 300


def test_no_row_proves_nothing():
    nothing = thin(view(0, 1), 5)
    found = falsify_learner(Simple(honest), nothing, nothing, nothing, seed=0)
    assert (found.status, found.detection_bound) == ("clean", 1.0)


def test_thinning_keeps_rows_in_order_and_the_ends():
    whole = view(100, 1)
    few = thin(whole, 7)
    assert len(few) == 7
    assert few.t_us[0] == whole.t_us[0]
    assert few.t_us[-1] == whole.t_us[-1]
    assert (np.diff(few.t_us) > 0).all()
    assert thin(whole, 200) is whole


def test_another_shape_or_type_breaks_the_contract():
    with pytest.raises(StrategyError, match="shape"):
        falsify(lambda view, weights: np.zeros(len(view) - 1))
    learner = Simple(honest)
    learner.fit = lambda *args, **kwargs: replace  # type: ignore[method-assign]
    with pytest.raises(StrategyError, match="fit returned function, expected Model"):
        falsify_learner(learner, view(50, 1), view(20, 2), view(20, 3), seed=0)
