"""Two backbones on the same decisions: the rule, the pairing, the ledger."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from ffm_backbone_training.comparison import (
    Arm,
    Comparison,
    _edge,
    _spread_of,
    compare,
    jobs_of,
    judge,
    promise_of,
    require_same,
)

from ffm_core.bars.simulate import market
from ffm_core.embed.stats import STATS
from ffm_core.errors import ConfigError, SampleError
from ffm_core.evaluate.job import Job, direct_job
from ffm_core.evaluate.progress import Silent
from ffm_core.host.loading import open_host
from ffm_core.ruler.bootstrap import Estimate
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger
from ffm_core.testing.worlds_labeler import LABELER

CONFIG = EvalConfig(
    strategy="world", features=(), permutations=2, random_draws=2, entry_draws=1, resamples=200,
    n_seeds=1, jobs=1,
)  # fmt: skip


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, se=(high - low) / 4)


@pytest.mark.parametrize(
    ("found", "judgement"),
    [
        ((0.15, 0.02, 0.28), "adds value"),
        ((0.08, 0.02, 0.14), "inconclusive"),  # above 0, and smaller than what matters
        ((0.15, -0.02, 0.32), "inconclusive"),
        ((-0.15, -0.28, -0.02), "hurts"),
        ((-0.15, -0.32, 0.02), "inconclusive"),
        ((0.03, -0.03, 0.09), "no material difference"),
        ((0.03, 0.01, 0.05), "no material difference"),
        ((0.03, -0.11, 0.09), "inconclusive"),
        ((0.50, math.nan, math.nan), "inconclusive"),
    ],
)
def test_the_rule(found: tuple[float, float, float], judgement: str) -> None:
    assert judge(estimate(*found), 0.10)[0] == judgement


def test_shuffle_widens_the_interval_of_the_edge() -> None:
    def arm(shuffle: float, se: float) -> Arm:
        return Arm(name="x", real=0.0, shuffle=shuffle, shuffle_se=se, n_trades=9,
                   decision="FAIL", overlaps=False)  # fmt: skip

    real = estimate(0.10, 0.04, 0.16)
    sharp = _edge(real, arm(0.01, 0.0), arm(0.03, 0.0))
    assert sharp.value == pytest.approx(0.08)
    assert (sharp.low, sharp.high) == (pytest.approx(0.02), pytest.approx(0.14))
    wide = _edge(real, arm(0.01, 0.03), arm(0.03, 0.04))
    assert wide.value == pytest.approx(0.08)
    assert wide.high - wide.value == pytest.approx(math.hypot(0.06, 1.959964 * 0.05))
    assert math.isnan(_edge(real, arm(math.nan, math.nan), arm(0.0, 0.0)).low)


@pytest.mark.parametrize("n", [0, 1, 2, 19, 20])
def test_few_draws_of_shuffle_make_no_interval(n: int) -> None:
    assert math.isfinite(_spread_of(np.linspace(0.0, 0.1, n))) == (n >= 20)


def test_the_promise_is_fixed_before_and_changes_with_every_part() -> None:
    promise = promise_of(CONFIG, "one", "two")
    assert promise["minimum_effect_r"] == 0.10
    assert promise_of(CONFIG, "one", "two")["hash"] == promise["hash"]
    others = [promise_of(CONFIG, "two", "one"), promise_of(CONFIG, "one", "two", 0.2),
              promise_of(CONFIG.model_copy(update={"seed": 1}), "one", "two")]  # fmt: skip
    assert len({promise["hash"], *(other["hash"] for other in others)}) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one", "one"), "--a and --b are both 'one'"),
        (("one", "two", 0.0), "the minimum effect is 0.0"),
        (("one", "two", math.nan), "the minimum effect is nan"),
    ],
)
def test_a_promise_that_promises_nothing(words: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        promise_of(CONFIG, *words)
    assert caught.value.problem == said


def test_without_a_learner_there_is_nothing_to_compare() -> None:
    config = EvalConfig(strategy="world", features=(), learner="none")
    with pytest.raises(ConfigError, match="without a learner"):
        promise_of(config, "one", "two")


def test_a_feature_set_is_no_backbone(tmp_path: Path) -> None:
    config = EvalConfig(strategy="supertrend", demo=True)
    with pytest.raises(ConfigError, match="'trivial8' is not a backbone"):
        jobs_of(config, "trivial8", "stats", tmp_path)


def job(home: Path, **changes: float) -> Job:
    learner = open_host().learner("xgb:linear").record
    config = CONFIG.model_copy(update={"features": (STATS.name,), **changes})
    return direct_job([market("SIMA3", months=14, timeframe="30m")], LABELER, config, home, learner)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    home = tmp_path_factory.mktemp("home")
    # Another share taken stands in for another backbone: the picks differ, nothing else.
    jobs = (job(home), job(home, top_share=0.3))
    promise = promise_of(CONFIG, "stats", "sparing")
    return compare(jobs, promise, Silent())[0], home


def test_both_arms_are_paired_and_counted(compared: tuple[Comparison, Path]) -> None:
    found, home = compared
    assert found.real.value == pytest.approx(found.b.real - found.a.real)
    assert found.real.low < found.real.value < found.real.high
    assert found.edge.value == pytest.approx(
        found.real.value - found.b.shuffle + found.a.shuffle, abs=1e-12
    )
    assert found.n_decisions > found.a.n_trades > 0
    assert Ledger(home).verify().trials["closed"] == 2
    record = found.record()
    assert record["differences"]["real"]["value"] == found.real.value
    assert record["judgement"] == judge(found.real, 0.10)[0]


def test_an_arm_against_itself_differs_by_nothing(compared: tuple[Comparison, Path]) -> None:
    _, home = compared
    twice = (job(home), job(home))
    found, _ = compare(twice, promise_of(CONFIG, "stats", "again"), Silent())
    assert (found.real.value, found.real.low, found.real.high) == (0.0, 0.0, 0.0)
    assert found.judgement == "no material difference"
    assert Ledger(home).verify().trials["closed"] == 2  # a repeat is not counted


def test_a_model_that_may_have_seen_the_months_settles_nothing(
    compared: tuple[Comparison, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, home = compared
    seen = job(home)
    late = replace(STATS, fit_cutoff="2022-12-30")
    source = SimpleNamespace(parts=replace(seen.parts, embedders=(late,)))
    twice = (job(home), replace(seen, source=source))
    found, _ = compare(twice, promise_of(CONFIG, "stats", "late"), Silent())
    assert (found.a.overlaps, found.b.overlaps) == (False, True)
    assert found.judgement == "inconclusive"
    assert found.reason == "a model of arm late may have seen the test months"


def test_other_decisions_are_not_compared() -> None:
    same = pl.DataFrame({
        "stream": ["ES/5m"] * 2, "bar_time": [1, 2], "side": [1, -1], "fold": [None, 0],
        "sealed": [False, False], "trading_day": [3, 3], "score": [0.1, 0.2],
    })  # fmt: skip
    require_same(same, same.with_columns(score=pl.Series([0.3, None])))
    for column, values in (("side", [1, 1]), ("fold", [0, 0]), ("bar_time", [1, 3])):
        with pytest.raises(SampleError, match="different decisions"):
            require_same(same, same.with_columns(pl.Series(column, values)))
    with pytest.raises(SampleError):
        require_same(same, same[:1])
