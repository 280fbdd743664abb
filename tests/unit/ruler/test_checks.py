"""Every strict check: what makes it pass, and the twin that makes it not."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.errors import ConfigError
from ffm_core.records import CheckResult, Evidence, ShuffleResult, TrialContext, because
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.judging import excludes, with_constants
from ffm_core.ruler.verdict import decide


def judge(name: str, given: Evidence, **constants: float) -> CheckResult:
    changed = with_constants(STRICT, {name: constants} if constants else {})
    return next(check for check in changed if check.name == name).judge(given)


@pytest.fixture(scope="module")
def good(evidence, world) -> Evidence:
    return evidence(world(marked=0.6, skill=0.9), seed=1)


@pytest.fixture(scope="module")
def null(evidence, world) -> Evidence:
    return evidence(world(), seed=2)


@pytest.fixture(scope="module")
def short(evidence, world) -> Evidence:
    """Forty days of little: nothing can be told."""
    return evidence(world(n_days=40, per_day=3, months=2), seed=5)


def stopped(test: ShuffleResult, draws: list[float]) -> ShuffleResult:
    return replace(test, draws=np.array(draws), stopped=True)


@pytest.mark.parametrize("name", [c.name for c in STRICT if c.name not in ("months", "entry")])
def test_a_real_edge_passes_every_check(good, name):
    found = judge(name, good)
    assert found.outcome == "pass", found.reason
    assert found.gates


@pytest.mark.parametrize("name", ["profit", "naive", "random", "shuffle"])
def test_noise_of_twenty_months_fails(null, name):
    found = judge(name, null)
    assert found.outcome == "fail"
    assert found.reason.kind in ("excluded", "shuffle_excluded")
    assert found.power > 0.5
    assert found.months_needed is None


@pytest.mark.parametrize("name", ["profit", "naive", "random", "shuffle"])
def test_noise_of_two_months_is_open(short, name):
    found = judge(name, short)
    assert found.outcome == "inconclusive"
    assert found.months_needed > 2
    assert found.minimum_detectable > found.effect


class TestCertificate:
    def test_broken_is_refused(self, good, broken):
        found = judge("certificate", replace(good, certificate=broken))
        assert found.outcome == "refused"
        assert found.reason == because("failures_found", count=1)

    def test_clean_says_what_it_would_have_seen(self, good):
        found = judge("certificate", good).reason
        assert found == because("no_look_ahead", cuts=2000, bound=0.0023)

    def test_a_leak_that_would_not_have_been_seen_holds_a_verdict_back(self, good):
        unproven = replace(good.certificate, detection_bound=0.06)
        found = judge("certificate", replace(good, certificate=unproven))
        assert found.outcome == "inconclusive"
        assert found.reason == because("little_proven", cuts=2000, bound=0.06, most=0.05)
        assert decide(replace(good, certificate=unproven), STRICT).decision == "INCONCLUSIVE"
        assert decide(good, STRICT).decision == "PASS"


class TestSample:
    @pytest.mark.parametrize(
        ("changes", "factor"),
        [
            ({"min_trades": 10_000}, 10_000 / 2520),
            ({"min_days": 840}, 2.0),
            ({"min_months": 40}, 2),
        ],
    )
    def test_each_shortage_is_open_and_says_how_long(self, good, changes, factor):
        found = judge("sample", good, **changes)
        assert found.outcome == "inconclusive"
        assert found.months_needed == pytest.approx(20 * factor, rel=0.01)

    def test_no_trade_never_fails(self, good, trades):
        found = judge("sample", replace(good, trades={"REAL": trades([], [])}))
        assert found.outcome == "inconclusive"
        assert found.months_needed is None


class TestBounds:
    def test_minimum_detectable_is_2_80_standard_errors(self, null):
        found = judge("profit", null)
        width = found.interval[1] - found.interval[0]
        assert found.minimum_detectable == pytest.approx(2.80 * width / (2 * 1.96), rel=0.05)

    def test_effect_of_a_selection_shrinks_with_the_take_rate(self, null):
        assert judge("profit", null).effect == 0.15
        assert judge("naive", null).effect == pytest.approx(0.075, abs=0.001)
        assert judge("random", replace(null, take_rate=0.8)).effect == pytest.approx(0.03)

    def test_a_smaller_effect_asked_for_turns_fail_into_open(self, null):
        found = judge("profit", null, delta=0.01)
        assert found.outcome == "inconclusive"

    def test_months_needed_shrink_the_error_enough(self, short):
        found = judge("profit", short)
        se = found.minimum_detectable / 2.80
        distance = max(found.value, 0.15 - found.value)
        assert 2.80 * se * np.sqrt(2 / found.months_needed) == pytest.approx(distance, rel=0.01)

    def test_few_days_with_trades_give_no_interval(self, good, trades):
        """Three losses on three days exclude nothing, however alike they are."""
        few = trades(good.days[:3], [-1.0, -1.0, -1.0])
        found = judge("profit", replace(good, trades={"REAL": few}))
        assert (found.outcome, found.interval, found.value) == ("inconclusive", None, -1.0)
        enough = trades(good.days[:30], [-1.0] * 30)
        assert judge("profit", replace(good, trades={"REAL": enough})).outcome == "fail"


class TestSelectionNeedsSomethingLeftOut:
    @pytest.mark.parametrize("name", ["naive", "random", "shuffle"])
    def test_taking_everything_compares_nothing(self, evidence, world, name):
        everything = evidence(world(base=0.5, share=1.0), seed=3)
        assert everything.take_rate == 1.0
        found = judge(name, everything)
        assert found.outcome == "inconclusive"
        assert found.reason == because("took_everything")
        assert judge("profit", everything).outcome == "pass"

    @pytest.mark.parametrize("check", STRICT, ids=lambda c: c.name)
    def test_no_trade_never_passes_or_fails(self, good, trades, check):
        nothing = replace(
            good, trades={name: trades([], []) for name in good.trades}, take_rate=0.0,
            random_means=np.full(200, np.nan), validation_trades=None, validation_mean_r=np.nan,
            shuffle={
                kind: replace(test, real=np.nan, draws=np.full(39, np.nan))
                for kind, test in good.shuffle.items()
            },
        )  # fmt: skip
        found = check.judge(nothing)
        assert found.outcome == ("pass" if check.name == "certificate" else
                                 "info" if check.name == "months" else "inconclusive")  # fmt: skip
        assert check.name == "certificate" or found.reason

    def test_missing_naive_arm(self, good):
        found = judge("naive", replace(good, trades={"REAL": good.trades["REAL"]}))
        assert (found.outcome, found.reason) == (
            "inconclusive",
            because("arm_missing", arm="NAIVE"),
        )


class TestRandom:
    def test_passes_only_above_the_percentile(self, good):
        real = good.trades["REAL"].r_net.mean()
        draws = np.linspace(real - 1.0, real + 1.0, 200)
        top = np.sort(draws)[195]  # at most 4 of 200 lie above: a 2.5 % test
        just_above, just_below = draws - top + real - 1e-6, draws - top + real + 1e-6
        assert judge("random", replace(good, random_means=just_above)).outcome == "pass"
        assert judge("random", replace(good, random_means=just_below)).outcome != "pass"

    def test_too_few_draws(self, good):
        found = judge("random", replace(good, random_means=good.random_means[:199]))
        assert found.outcome == "inconclusive"
        assert found.reason == because("few_draws", draws=199, needed=200.0)

    @pytest.mark.parametrize("name", ["random", "shuffle"])
    def test_no_setting_makes_an_interval_of_few_draws(self, name):
        with pytest.raises(ConfigError, match="min_draws"):
            with_constants(STRICT, {name: {"min_draws": 1.0}})

    def test_equal_draws_are_not_beaten_by_rounding(self, good):
        real = good.trades["REAL"].r_net.mean()
        equal = replace(good, random_means=np.full(200, real - 1e-15))
        assert judge("random", equal).outcome != "pass"


class TestShuffle:
    def test_both_kinds_must_pass(self, good):
        block = good.shuffle["block"]
        beaten = replace(block, draws=np.append(block.draws[:-1], block.real + 0.01))
        found = judge("shuffle", replace(good, shuffle={**good.shuffle, "block": beaten}))
        assert found.value == pytest.approx(2 / 40)
        assert found.outcome == "inconclusive"  # well above the draws in R, yet p > 0.025
        assert found.reason.kind == "shuffle_open"
        assert found.reason.numbers["block_p"] > found.reason.numbers["full_p"]

    def test_stopped_is_a_bound_and_never_passes(self, null):
        real = null.shuffle["full"].real
        tests = {k: stopped(t, [real + 0.001]) for k, t in null.shuffle.items()}
        found = judge("shuffle", replace(null, shuffle=tests))
        assert found.outcome != "pass"
        assert found.value == pytest.approx(2 / 40)
        told = found.reason.numbers
        assert (told["full_stopped"], told["full_draws"], told["full_planned"]) == (1, 1, 39)

    def test_a_test_cut_short_proves_nothing(self, good):
        tests = {k: stopped(t, [t.real - 1.0]) for k, t in good.shuffle.items()}
        assert judge("shuffle", replace(good, shuffle=tests)).outcome != "pass"

    def test_one_draw_borrows_the_spread_of_random_picks(self, null):
        real = null.shuffle["full"].real
        tests = {k: stopped(t, [real + 0.001]) for k, t in null.shuffle.items()}
        found = judge("shuffle", replace(null, shuffle=tests))
        spread = null.random_means.std(ddof=1) * np.sqrt(2)
        assert found.minimum_detectable == pytest.approx(2.80 * spread, rel=0.01)

    def test_few_draws_exclude_nothing(self, null):
        """A check fails on evidence that is printed with it, and one draw makes no interval."""
        tests = {k: stopped(t, [t.real + 9.0]) for k, t in null.shuffle.items()}
        found = judge("shuffle", replace(null, shuffle=tests))
        assert found.outcome == "inconclusive"
        assert found.months_needed is not None
        assert not {"full_over_low", "block_over_high"} & set(found.reason.numbers)
        assert not excludes(found)

    def test_it_fails_by_the_test_whose_interval_excludes(self, null):
        """The full test may be stopped after one draw: only the block test excludes."""
        one = stopped(null.shuffle["full"], [null.shuffle["full"].real + 0.001])
        found = judge("shuffle", replace(null, shuffle={**null.shuffle, "full": one}))
        told = found.reason
        assert (found.outcome, told.kind) == ("fail", "shuffle_excluded")
        assert (told.names["full_outcome"], told.names["block_outcome"]) == ("inconclusive", "fail")
        assert told.numbers["block_over_high"] < found.effect
        assert "full_over_high" not in told.numbers
        assert found.value == told.numbers["block_p"]
        assert excludes(found)

    def test_each_test_tells_its_own(self, good):
        told = judge("shuffle", good).reason.numbers
        for kind, test in good.shuffle.items():
            assert told[f"{kind}_real"] == test.real
            assert told[f"{kind}_over"] == pytest.approx(test.real - test.draws.mean())
            assert told[f"{kind}_over_low"] < told[f"{kind}_over"] < told[f"{kind}_over_high"]

    def test_nothing_to_borrow_stays_open(self, null):
        tests = {k: stopped(t, [9.0]) for k, t in null.shuffle.items()}
        bare = replace(null, shuffle=tests, random_means=np.empty(0))
        assert judge("shuffle", bare).outcome == "inconclusive"

    def test_not_run(self, good):
        found = judge("shuffle", replace(good, shuffle={"full": good.shuffle["full"]}))
        assert found.outcome == "inconclusive"
        assert found.reason == because("no_permutations", variant="block")

    def test_too_few_permutations_cannot_pass(self, good):
        few = {k: replace(t, draws=t.draws[:20], planned=20) for k, t in good.shuffle.items()}
        assert judge("shuffle", replace(good, shuffle=few)).outcome == "inconclusive"


class TestEntry:
    @pytest.fixture
    def rule(self, evidence, world):
        return evidence(world(base=0.3, claim="trigger"), seed=4)

    def test_better_than_random_bars(self, rule):
        assert judge("entry", rule).outcome == "pass"

    def test_a_market_that_carries_everything_is_no_entry_edge(self, rule):
        drift = {**rule.trades, "ENTRY": rule.trades["NAIVE"]}
        found = judge("entry", replace(rule, trades=drift))
        assert judge("profit", rule).outcome == "pass"
        assert found.outcome == "fail"

    def test_no_random_bar(self, rule, trades):
        bare = {**rule.trades, "ENTRY": trades([], [])}
        assert judge("entry", replace(rule, trades=bare)).outcome == "inconclusive"


class TestDeflated:
    def test_counting_trials_turns_a_pass_into_an_open_question(self, evidence, world):
        given = evidence(world(base=0.1, marked=0.1, skill=0.5), seed=6)
        alone = judge("deflated", given)
        many = TrialContext(n_trials=500, sharpe_variance=0.02, effective_n=200.0, ledger_since="")
        counted = judge("deflated", replace(given, trial=many))
        assert alone.outcome == "pass"
        assert counted.outcome == "inconclusive"
        assert counted.power < alone.power
        assert counted.reason.numbers["trials"] == 500

    def test_never_fails(self, good):
        lost = replace(good.trades["REAL"], r_net=-np.abs(good.trades["REAL"].r_net))
        found = judge("deflated", replace(good, trades={"REAL": lost}))
        assert found.outcome == "inconclusive"
        assert found.months_needed is None

    def test_months_needed_when_short(self, evidence, world):
        given = evidence(world(base=0.1, n_days=120, per_day=4, months=6), seed=3)
        found = judge("deflated", given)
        assert found.outcome == "inconclusive"
        assert found.months_needed > 6

    def test_constant_daily_r_has_no_ratio(self, good, trades):
        same = trades(good.days, np.full(len(good.days), 0.2))
        found = judge("deflated", replace(good, trades={"REAL": same}))
        assert (found.outcome, found.value) == ("inconclusive", None)


class TestGeneralisation:
    def test_a_large_drop_fails(self, evidence, world):
        found = judge("generalisation", evidence(world(gap=0.8), seed=1))
        assert found.outcome == "fail"
        assert found.interval[0] > 0.30

    def test_a_drop_near_the_limit_is_open(self, evidence, world):
        given = evidence(world(gap=0.36, n_days=60, per_day=6, months=3), seed=1)
        found = judge("generalisation", given)
        assert found.value > 0.30
        assert found.outcome == "inconclusive"
        assert found.months_needed > 3

    def test_better_on_test_passes(self, evidence, world):
        assert judge("generalisation", evidence(world(gap=-0.5), seed=1)).outcome == "pass"

    def test_no_validation(self, good):
        found = judge("generalisation", replace(good, validation_trades=None))
        assert found.outcome == "inconclusive"
        assert found.reason == because("no_validation_trade")


class TestMonthly:
    def test_reports_and_never_gates(self, good, null):
        for given in (good, null):
            found = judge("months", given)
            assert (found.outcome, found.gates) == ("info", False)
        assert judge("months", good).value > judge("months", null).value

    def test_power_is_small_at_realistic_counts(self, evidence, world):
        few = judge("months", evidence(world(n_days=750, per_day=2, months=36), seed=1))
        many = judge("months", evidence(world(n_days=420, per_day=90, months=20), seed=1))
        assert few.power < 0.01
        assert many.power > 0.5


class TestConstants:
    def test_every_check_survives_a_process_border(self):
        for check in STRICT:
            assert pickle.loads(pickle.dumps(check.judge)) is not None

    def test_unknown_names_are_refused(self):
        with pytest.raises(ConfigError, match="no check named 'profits'"):
            with_constants(STRICT, {"profits": {"delta": 1.0}})
        with pytest.raises(ConfigError, match="no constant 'epsilon'"):
            with_constants(STRICT, {"profit": {"epsilon": 1.0}})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), True])
    def test_bad_values_are_refused(self, value):
        with pytest.raises(ConfigError, match="finite number"):
            with_constants(STRICT, {"profit": {"delta": value}})

    def test_changes_reach_the_judge_and_leave_the_set_alone(self, null):
        before = [dict(check.constants) for check in STRICT]
        assert judge("profit", null, delta=0.4).effect == 0.4
        assert [dict(check.constants) for check in STRICT] == before
        with pytest.raises(TypeError):
            STRICT[2].constants["delta"] = 9.0  # type: ignore[index]

    def test_same_evidence_same_bytes(self, good):
        assert judge("naive", good) == judge("naive", good)
        other = replace(good, settings={"seed": 1.0})
        assert judge("naive", other).interval != judge("naive", good).interval
