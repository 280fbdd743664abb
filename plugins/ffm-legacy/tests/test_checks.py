from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ffm_legacy.checks import CLASSIC

from ffm_core.bars.simulate import market
from ffm_core.errors import UnavailableError
from ffm_core.evaluate import evaluate_bars
from ffm_core.evaluate.job import checks_of, named_in
from ffm_core.host.loading import open_host
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.judging import with_constants
from ffm_core.ruler.verdict import decide
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import check_check_set
from ffm_core.testing.worlds_labeler import LABELER


def judge(name, given):
    return next(check for check in CLASSIC.checks if check.name == name).judge(given)


@pytest.fixture
def good(evidence, world):
    given = evidence(world(marked=0.6, skill=0.9), seed=1)
    rng = np.random.default_rng(0)
    probability = rng.random(1000)
    r = np.where(rng.random(1000) < probability, 3.5, -1.0)
    peak = np.maximum(rng.gamma(1.5, 1.0, 1000), 0)
    tables = {
        "probability": probability, "r_dynamic": r, "peak_r": peak,
        "predicted_r": 0.5 * peak + rng.normal(1, 0.5, 1000),
    }  # fmt: skip
    stream = (np.arange(len(given.trades["REAL"])) % 2).astype(np.int16)
    everything = (np.arange(len(given.trades["NAIVE"])) % 2).astype(np.int16)
    return replace(
        given, extra=tables, streams=("ES/5m", "CL/5m"),
        trades={**given.trades, "REAL": replace(given.trades["REAL"], stream=stream),
                "NAIVE": replace(given.trades["NAIVE"], stream=everything)},
    )  # fmt: skip


def changed(given, **columns):
    return replace(given, extra={**given.extra, **columns})


@pytest.mark.parametrize("check", CLASSIC.checks[:-1], ids=lambda c: c.name)
def test_a_good_run_passes_all(good, check):
    found = check.judge(good)
    assert found.outcome == "pass", found.reason
    assert found.interval is None


def test_there_are_six_besides_the_certificate_and_the_report():
    assert len(CLASSIC.checks) == 8
    assert not {c.name for c in CLASSIC.checks[1:-1]} & {c.name for c in STRICT}


class TestThreshold:
    def test_says_that_it_chose_on_test(self, good):
        assert (
            "threshold chosen on the test rows"
            in judge("classic-threshold", good).reason.names["text"]
        )

    def test_lowest_threshold_that_holds_is_reported(self, good):
        found = judge("classic-threshold", good)
        assert found.reason.names["text"].startswith("at probability 0.50")

    def test_best_row_is_shown_on_failure(self, good):
        p = np.full(1000, 0.62)
        r = np.where(np.arange(1000) % 4 == 0, 3.0, -1.0)
        found = judge("classic-threshold", changed(good, probability=p, r_dynamic=r))
        assert found.outcome == "fail"
        assert found.value == pytest.approx(0.0)

    @pytest.mark.parametrize(
        ("r", "n"),
        [(1.49, 1000), (2.0, 99)],
    )
    def test_each_limit_counts(self, good, r, n):
        columns = {"probability": np.where(np.arange(1000) < n, 0.95, 0.1),
                   "r_dynamic": np.full(1000, r)}  # fmt: skip
        assert judge("classic-threshold", changed(good, **columns)).outcome == "fail"

    def test_rare_large_wins_fail_on_the_win_rate(self, good):
        r = np.where(np.arange(1000) % 10 < 4, 9.0, -1.0)
        found = judge("classic-threshold", changed(good, probability=np.ones(1000), r_dynamic=r))
        assert found.outcome == "fail"
        assert found.value == pytest.approx(3.0)

    def test_nobody_reaches_a_threshold(self, good):
        found = judge("classic-threshold", changed(good, probability=np.full(1000, 0.2)))
        assert found.outcome == "fail"


class TestMargins:
    @pytest.mark.parametrize("name", ["classic-shuffle", "classic-random", "classic-naive"])
    def test_noise_fails(self, evidence, world, name):
        assert judge(name, evidence(world(), seed=2)).outcome == "fail"

    @pytest.mark.parametrize("name", ["classic-shuffle", "classic-random", "classic-naive"])
    def test_no_trade_fails(self, good, trades, name):
        none = replace(good, trades={**good.trades, "REAL": trades([], [])})
        assert judge(name, none).outcome == "fail"

    def test_a_missing_arm_is_not_applicable(self, good):
        bare = replace(good, shuffle={}, random_means=np.empty(0), trades={})
        for name in ("classic-shuffle", "classic-random", "classic-naive"):
            found = judge(name, bare)
            assert (found.outcome, found.gates) == ("n/a", False)


class TestRisk:
    def test_error_and_correlation_both_count(self, good):
        peak = good.extra["peak_r"]
        assert judge("classic-risk", changed(good, predicted_r=peak + 2.6)).outcome == "fail"
        assert judge("classic-risk", changed(good, predicted_r=peak[::-1])).outcome == "fail"
        assert judge("classic-risk", changed(good, predicted_r=np.ones(1000))).outcome == "fail"

    def test_without_a_risk_head(self, evidence, world):
        given = evidence(world(), seed=1)
        assert judge("classic-risk", given).outcome == "n/a"
        assert judge("classic-threshold", given).outcome == "n/a"

    def test_one_prediction(self, good):
        only = np.where(np.arange(1000) == 0, 1.0, np.nan)
        assert judge("classic-risk", changed(good, predicted_r=only)).outcome == "fail"


class TestInstruments:
    def test_one_instrument_on_two_timeframes_is_not_applicable(self, good):
        found = judge("classic-instruments", replace(good, streams=("ES/5m", "ES/15m")))
        assert found.outcome == "n/a"

    def test_both_must_improve(self, good):
        real = good.trades["REAL"]
        worse = np.where(real.stream == 0, -1.0, real.r_net)
        given = replace(good, trades={**good.trades, "REAL": replace(real, r_net=worse)})
        found = judge("classic-instruments", given)
        assert (found.outcome, found.value) == ("fail", 1.0)

    def test_an_untraded_instrument_beats_nothing(self, good):
        real = good.trades["REAL"]
        only = replace(real, stream=np.zeros(len(real), np.int16))
        found = judge("classic-instruments", replace(good, trades={**good.trades, "REAL": only}))
        assert found.outcome == "fail"


def test_verdict_under_the_classic_set(good):
    verdict = decide(good, CLASSIC.checks, qualifier="classic")
    assert (verdict.decision, verdict.qualifier) == ("PASS", "classic")
    assert decide(replace(good, claim="trigger"), CLASSIC.checks).decision == "INCONCLUSIVE"


def test_the_contract_of_check_sets():
    check_check_set(CLASSIC)


def test_the_name_switches_the_package_on_and_the_checks_on():
    config = EvalConfig(strategy="x", checks="classic")
    host = open_host(naming=named_in(config))
    assert [item.name for item in host.extensions] == ["legacy"]
    checks = checks_of(config, host)
    assert config.overrides() == ("checks=classic",)
    assert [check.name for check in checks] == [check.name for check in CLASSIC.checks]


def test_without_the_package_the_name_says_what_to_install():
    with pytest.raises(UnavailableError, match="comes with ffm-legacy, which is not in") as caught:
        open_host().check_set("classic")
    assert caught.value.fix == "pip install ffm-legacy"


def test_the_page_says_what_the_code_says(repository):
    page = (repository / "plugins" / "ffm-legacy" / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `classic")}
    assert list(rows) == [check.name for check in CLASSIC.checks[1:-1]]
    for check in CLASSIC.checks[1:-1]:
        constants = ", ".join(f"`{key}` {value:g}" for key, value in check.constants.items())
        assert rows[check.name] == f"| `{check.name}` | {check.summary} | {constants} |"


@pytest.mark.slow
def test_a_run_gives_the_checks_what_they_read(tmp_path):
    config = EvalConfig(
        strategy="world", features=("trivial8",), permutations=3, random_draws=20, resamples=200,
        jobs=1, checks="classic",
    )  # fmt: skip
    bars = [market("SIMA3", months=12)]
    result = evaluate_bars(bars, labeler=LABELER, config=config, home=tmp_path)["result"]
    outcomes = {check["name"]: check["outcome"] for check in result["checks"]}
    assert outcomes["classic-threshold"] in ("pass", "fail")
    assert outcomes["classic-risk"] in ("pass", "fail")
    assert outcomes["classic-instruments"] == "n/a"  # one instrument
    assert "checks=classic" in result["verdict"]["qualifier"]


def test_classic_passes_noise_more_often_than_strict(evidence, world):
    """Fixed margins without an interval: what they let through on little data."""
    lifts = ("classic-shuffle", "classic-random", "classic-naive")
    quick = with_constants(
        STRICT, {name: {"resamples": 200.0} for name in ("profit", "naive", "generalisation")}
    )
    passed = strict = 0
    for seed in range(60):
        given = evidence(world(n_days=60, per_day=2, months=6), seed=seed)
        passed += all(judge(name, given).outcome == "pass" for name in lifts)
        strict += decide(given, quick).decision == "PASS"
    assert passed >= 5
    assert strict <= 1
