"""The overlap rule in a whole run: after selection, and the same for every arm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ffm_core.bars.simulate import market
from ffm_core.evaluate import evaluate
from ffm_core.evaluate.job import direct_job
from ffm_core.host.loading import open_host
from ffm_core.runs.config import EvalConfig
from ffm_core.testing.worlds_labeler import LABELER

pytestmark = pytest.mark.slow  # whole evaluations

SMALL: dict[str, Any] = {
    "strategy": "world", "features": ("trivial8",), "permutations": 2, "random_draws": 10,
    "resamples": 200, "n_seeds": 1, "jobs": 1, "learner": "xgb:linear",
}  # fmt: skip
BARS = [market(symbol, months=12, timeframe="15m") for symbol in ("SIMA3", "SIMB4")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def judged(home):
    """Return the evaluation under each rule."""
    learner = open_host().learner("xgb:linear").record
    return {
        overlap: evaluate(
            direct_job(BARS, LABELER, EvalConfig(**SMALL, overlap=overlap), home, learner)
        )
        for overlap in ("each", "one_per_stream", "one_at_a_time")
    }


def arm(evaluation, name):
    return evaluation.trades.filter(evaluation.trades["arm"] == name)


def most_open(trades):
    """Return how many trades are open at once."""
    entry = trades["entry_time"].cast(int).to_numpy()
    leave = trades["exit_time"].cast(int).to_numpy()
    return max(int(((entry <= at) & (leave > at)).sum()) for at in entry)


def test_the_model_picks_the_same_whatever_is_held(judged):
    picked = [evaluation.decisions["picked"].to_list() for evaluation in judged.values()]
    assert picked[0] == picked[1] == picked[2]
    folds = [evaluation.record["result"]["folds"]["items"] for evaluation in judged.values()]
    n_train = [[fold["n_train"] for fold in items] for items in folds]
    assert n_train[0] == n_train[1] == n_train[2]  # no training row is lost


@pytest.mark.parametrize("name", ["REAL", "NAIVE"])
def test_places_are_kept_in_every_arm(judged, name):
    counts = [len(arm(evaluation, name)) for evaluation in judged.values()]
    assert counts[0] > counts[1] > counts[2] > 0
    assert most_open(arm(judged["each"], name)) > 1
    assert most_open(arm(judged["one_at_a_time"], name)) == 1
    for _, trades in arm(judged["one_per_stream"], name).group_by("stream"):
        assert most_open(trades) == 1


def test_what_nobody_picked_blocks_nothing(judged):
    decisions = judged["one_per_stream"].decisions
    for _, part in decisions.filter(decisions["picked"]).group_by("stream"):
        free = 0
        part = part.sort("entry_time", "row")
        for entry, leave, taken in zip(
            part["entry_time"].cast(int), part["exit_time"].cast(int), part["taken"], strict=True
        ):
            assert taken == (entry >= free)
            free = leave if taken else free


def test_the_record_says_what_was_held_and_draws_hold_no_more(judged):
    for overlap, evaluation in judged.items():
        result = evaluation.record["result"]
        found = result["positions"]
        assert found["overlap"] == overlap
        for name in ("REAL", "NAIVE"):
            assert found["arms"][name]["held"] == len(arm(evaluation, name))
            assert found["arms"][name]["held"] == result["arms"][name]["n_trades"]
        assert found["arms"]["NAIVE"]["picked"] > found["arms"]["REAL"]["picked"]
    entry = [e.record["result"]["arms"]["ENTRY"]["n_trades"] for e in judged.values()]
    assert entry[0] > entry[1] > entry[2]


def test_trades_stand_in_order_of_entry_with_their_money(judged):
    for evaluation in judged.values():
        trades = arm(evaluation, "NAIVE")
        entry = trades["entry_time"].cast(int).to_numpy()
        assert (np.diff(entry) >= 0).all()
        assert trades["stream"].n_unique() == 2
        assert (trades["quantity"] == 1.0).all()
        points = trades["side"] * (trades["exit_price"] - trades["entry_price"])
        values = {b.stream: b.instrument.point_value for b in BARS}
        worth = np.array([values[name] for name in trades["stream"]])
        gross = points.to_numpy() * worth
        np.testing.assert_allclose(trades["money"] + trades["costs"], gross, atol=1e-6)
        assert (trades["costs"] > 0).all()
