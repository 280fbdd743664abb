"""Refitting without a block of columns: what it adds to the picks."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ffm_core.evaluate import evaluate_bars
from ffm_core.evaluate.arms import drop_block
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import make_view
from ffm_core.testing.worlds import make_world

pytestmark = pytest.mark.slow  # whole evaluations


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    world = make_world("planted", 3, edge=1.0, months=14, instruments=1)
    config = EvalConfig(
        strategy="world", features=("trivial8",), ablate=("labeler", "trivial8"), permutations=1,
        random_draws=20, resamples=200, n_seeds=1, jobs=1,
    )  # fmt: skip
    home = tmp_path_factory.mktemp("home")
    return evaluate_bars(world.bars, labeler=world.labeler, config=config, home=home)["result"]


def test_the_block_that_carries_the_edge_adds_and_the_other_does_not(record):
    adds = {item["block"]: item for item in record["ablation"]}
    assert adds["labeler"]["interval"][0] > 0.1  # it marks the half that earns
    low, high = adds["trivial8"]["interval"]
    assert low < 0.05
    assert high < adds["labeler"]["adds_r"]


def test_the_refits_are_arms_of_their_own(record):
    arms = record["arms"]
    gap = arms["REAL"]["mean_r"] - arms["without labeler"]["mean_r"]
    adds = {item["block"]: item["adds_r"] for item in record["ablation"]}
    assert adds["labeler"] == pytest.approx(gap)
    assert arms["without labeler"]["n_trades"] == pytest.approx(arms["REAL"]["n_trades"], rel=0.1)


def test_nothing_is_refitted_unless_asked(small_record):
    assert small_record["result"]["ablation"] == []
    assert not [name for name in small_record["result"]["arms"] if name.startswith("without")]


def test_a_block_without_columns_is_refused_at_once():
    with pytest.raises(ValidationError, match=r"'trivail8'.*labeler, trivial8"):
        EvalConfig(strategy="world", features=("trivial8",), ablate=("trivail8",))


def test_only_the_columns_of_the_block_are_dropped():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    kept = drop_block(make_view(x, names=("side", "a/one", "ab/two")), "a").design
    assert kept.names == ("side", "ab/two")
    assert kept.x.tolist() == [[0.0, 2.0], [3.0, 5.0]]
