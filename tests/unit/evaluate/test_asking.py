"""Junk from a labeler is one clear error before anything relies on it."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from ffm_core.errors import StrategyError
from ffm_core.evaluate.asking import ask
from ffm_core.records import Column, Decisions, Labeler
from ffm_core.testing import make_bars

BARS = make_bars("trend", rows=200, seed=1)
AT = np.arange(50, 150, 10)
ONES = np.ones(len(AT))


def answer(**changes):
    return Decisions(**{"bar": AT, "side": ONES, "risk": 5 * ONES, **changes})


def labeler(decide, columns=()):
    return Labeler(name="it", decide=decide, horizon_bars=5, warmup_bars=5, columns=columns)


def bad(values, row=3, value=np.nan):
    changed = np.array(values, dtype=float)
    changed[row] = value
    return changed


def test_a_good_answer_comes_back_as_it_is():
    given = answer(target_r=2 * ONES, horizon_bars=7 * ONES, group=AT)
    assert ask(labeler(lambda bars, params: given), BARS, {}) is given


def test_no_decision_is_an_answer_and_a_risk_of_zero_is_no_fault():
    assert len(ask(labeler(lambda bars, params: answer().take(AT < 0)), BARS, {})) == 0
    ask(labeler(lambda bars, params: answer(risk=0 * ONES)), BARS, {})


def test_parameters_are_its_own_to_change():
    params = {"n": 3}

    def decide(bars, params):
        params["n"] = 4
        return answer()

    ask(labeler(decide), BARS, params)
    assert params == {"n": 3}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: None, "returned NoneType on"),
        (lambda: {"bar": AT}, "returned dict on"),
        (lambda: answer(bar=AT + 100), "bars 150 to 240 of"),
        (lambda: answer(bar=AT - 51), "bars -1 to 89 of"),
        (lambda: answer(risk=bad(ONES)), r"risk of decision 3 is nan \(bar 80 of"),
        (lambda: answer(risk=bad(ONES, value=-2)), "risk of decision 3 is -2.0"),
        (lambda: answer(risk=bad(ONES, value=np.inf)), "risk of decision 3 is inf"),
        (lambda: answer(risk=None, stop_price=bad(ONES)), "stop_price of decision 3 is nan"),
        (lambda: answer(target_r=bad(2 * ONES, value=0.5)), "target_r of decision 3 is 0.5"),
        (lambda: answer(target_r=np.inf * ONES), "target_r of decision 0 is inf"),
        (lambda: answer(horizon_bars=0 * ONES), "horizon_bars of decision 0 is 0"),
        (lambda: answer(columns={"x": ONES}), "columns differ in x"),
    ],
)
def test_junk_is_named_with_its_row_and_bar(make, words):
    with pytest.raises(StrategyError, match=words) as caught:
        ask(labeler(lambda bars, params: make()), BARS, {})
    assert caught.value.fix


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bar": AT + 0.5}, r"decisions.bar\[0\] is 50.5, which is no int64"),
        ({"side": 257 * ONES}, r"decisions.side\[0\] is 257.0, which is no int8"),
        ({"bar": bad(AT, row=9)}, r"decisions.bar\[9\] is nan"),
        ({"horizon_bars": 2.5 * ONES}, "2.5, which is no int32"),
        ({"group": 2.0**70 * ONES}, "which is no int64"),
    ],
)
def test_numbers_that_would_be_rounded_are_refused(changes, words):
    with pytest.raises(StrategyError, match=words):
        answer(**changes)


def test_whole_numbers_of_another_type_and_unknown_risks_are_kept():
    found = answer(bar=AT.astype(np.float32), side=ONES.astype(bool), risk=bad(ONES))
    assert (found.bar == AT).all()
    assert np.isnan(found.risk[3])


def test_a_declared_column_that_is_missing_is_named():
    with pytest.raises(StrategyError, match="differ in width"):
        ask(labeler(lambda b, p: answer(), (Column(name="width", unit="points"),)), BARS, {})


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (lambda: np.random.seed(3), "numpy's global random state"),  # noqa: NPY002
        (lambda: np.random.random(), "numpy's global random state"),  # noqa: NPY002
        (lambda: random.random(), "Python's global random state"),
        (lambda: np.seterr(all="raise"), "floating-point errors"),
        (lambda: os.chdir("/"), "the working folder"),
    ],
)
def test_meddling_with_what_a_process_shares_is_an_error(meddle, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def decide(bars, params):
        meddle()
        return answer()

    with np.errstate(), pytest.raises(StrategyError, match=words):
        ask(labeler(decide), BARS, {})


def test_what_is_put_back_is_no_meddling():
    def decide(bars, params):
        with np.errstate(all="raise"):
            np.random.default_rng(3).random()
        return answer()

    ask(labeler(decide), BARS, {})
