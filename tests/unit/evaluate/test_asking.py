"""Junk from a labeler is one clear error before anything relies on it."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.errors import StrategyError
from ffm_core.evaluate.asking import ask
from ffm_core.records import Decisions, Labeler
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


def test_a_decision_inside_the_declared_warm_up_is_an_error():
    late = replace(labeler(lambda bars, params: answer()), warmup_bars=75)
    with pytest.raises(
        StrategyError, match=r"decision 0 is at bar 50 .* warm-up of 75 bars \(3 of"
    ):
        ask(late, BARS, {})
    ask(replace(late, warmup_bars=50), BARS, {})


def test_parameters_are_its_own_to_change():
    params = {"n": 3}

    def decide(bars, params):
        params["n"] = 4
        return answer()

    ask(labeler(decide), BARS, params)
    assert params == {"n": 3}


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
