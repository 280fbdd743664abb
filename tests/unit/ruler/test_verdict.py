"""The decision rule, its words, and how often it is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.records import CheckResult, Examined, Reason, VerdictCheck, because, stated
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.judging import with_constants
from ffm_core.ruler.preregistration import prereg, prereg_hash
from ffm_core.ruler.verdict import (
    decide,
    months_needed,
    random_entries,
    refused,
    trigger_evidence,
)


def fixed(name: str, outcome: str, **more: object) -> VerdictCheck:
    result = CheckResult(name=name, outcome=outcome, **more)
    return VerdictCheck(name=name, judge=lambda evidence: result)


def kinds(verdict) -> list[str]:
    return [reason.kind for reason in verdict.reasons]


@pytest.fixture(scope="module")
def good(evidence, world):
    return evidence(world(marked=0.6, skill=0.9), seed=1)


class TestRule:
    @pytest.mark.parametrize(
        ("outcomes", "decision"),
        [
            (("pass", "pass"), "PASS"),
            (("pass", "info"), "PASS"),
            (("pass", "n/a"), "PASS"),
            (("pass", "inconclusive"), "INCONCLUSIVE"),
            (("inconclusive", "fail", "pass"), "FAIL"),
            (("fail", "refused"), "FAIL"),
            (("info", "n/a"), "INCONCLUSIVE"),
            ((), "INCONCLUSIVE"),
        ],
    )
    def test_combinations(self, good, outcomes, decision):
        checks = [fixed(f"c{i}", outcome) for i, outcome in enumerate(outcomes)]
        assert decide(good, checks).decision == decision

    def test_what_does_not_gate_does_not_count(self, good):
        checks = [fixed("a", "pass"), fixed("b", "fail", gates=False)]
        assert decide(good, checks).decision == "PASS"

    def test_groundwork_alone_is_no_pass(self, good):
        checks = [fixed("certificate", "pass"), fixed("sample", "pass")]
        assert decide(good, checks).decision == "INCONCLUSIVE"
        assert decide(good, [c for c in STRICT if c.name == "months"]).decision == "INCONCLUSIVE"

    def test_checks_of_the_other_claim_are_left_out(self, good):
        names = {r.name for r in decide(good, STRICT).checks}
        assert "entry" not in names
        assert {"naive", "random", "shuffle", "generalisation"} <= names
        names = {r.name for r in decide(replace(good, claim="trigger"), STRICT).checks}
        assert names == {"certificate", "sample", "profit", "entry", "deflated", "months"}

    def test_qualifier_is_carried(self, good):
        assert decide(good, [fixed("a", "pass")], qualifier="mine").qualifier == "mine"


class TestTightening:
    def result(self, outcome, **more):
        return CheckResult(name="extra", outcome=outcome, **more)

    @pytest.mark.parametrize(
        ("outcome", "decision"),
        [("pass", "PASS"), ("info", "PASS"), ("n/a", "PASS"), ("fail", "FAIL"),
         ("inconclusive", "INCONCLUSIVE"), ("refused", "FAIL")],
    )  # fmt: skip
    def test_on_a_pass(self, good, outcome, decision):
        verdict = decide(good, STRICT, tightening=[self.result(outcome)])
        assert verdict.decision == decision
        assert verdict.checks[-1].name == "extra"

    @pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive", "refused"])
    @pytest.mark.parametrize("own", ["fail", "inconclusive", "refused"])
    def test_never_changes_anything_else(self, good, own, outcome):
        checks = [fixed("a", own)]
        alone = decide(good, checks).decision
        assert decide(good, checks, tightening=[self.result(outcome)]).decision == alone

    def test_not_gating(self, good):
        verdict = decide(good, STRICT, tightening=[self.result("fail", gates=False)])
        assert verdict.decision == "PASS"


class TestWords:
    def test_pass_says_over_how_many_months_and_names_what_passed(self, good):
        verdict = decide(good, STRICT)
        assert verdict.decision == "PASS"
        assert verdict.reasons[0] == because("pass_selection", months=20, claim="selection")
        assert because("check", check="profit") in verdict.reasons

    def test_refused_names_the_leak_and_gives_no_figure(self, good, broken):
        verdict = decide(replace(good, certificate=broken), STRICT)
        assert verdict.decision == "REFUSED"
        assert verdict.reasons == (because("refused_look_ahead"), because("failure", place=0))
        assert refused(broken).reasons == verdict.reasons

    @pytest.mark.parametrize(
        ("kind", "check", "fault"),
        [
            ("labeler", "prefix", "look_ahead"),
            ("features", "purity", "contract"),
            ("embedder", "rowwise", "embedder"),
            ("embedder", "access", "contract"),
            ("exit", "purity", "exit"),
            ("learner", "rows", "learner"),
            ("learner", "bytes", "bytes"),
            ("fold", "horizon", "fold"),
        ],
    )
    def test_what_is_wrong_follows_from_what_was_tested_and_how(self, broken, kind, check, fault):
        first = replace(broken.failures[0], subject=Examined(kind, "x"), check=check)
        verdict = refused(replace(broken, failures=(first,) * 7))
        assert verdict.reasons[0].kind == f"refused_{fault}"
        assert len(verdict.reasons) == 6  # the first five failures
        assert verdict.checks[0].value == 7

    def test_a_rule_that_earns_under_a_model_that_adds_nothing(self, evidence, world):
        verdict = decide(evidence(world(base=0.3), seed=1), STRICT)
        assert verdict.decision == "FAIL"
        assert kinds(verdict)[:3] == ["model_adds_nothing", "rule_earns", "choice_ruled_out"]
        assert verdict.reasons[1].numbers["mean"] == pytest.approx(0.3, abs=0.1)

    def test_said_with_care_when_nothing_is_excluded(self, evidence, world):
        verdict = decide(evidence(world(base=0.6, n_days=80, per_day=5, months=4), seed=2), STRICT)
        assert verdict.decision == "INCONCLUSIVE"
        assert kinds(verdict)[:3] == ["model_not_shown", "rule_earns", "unsettled"]

    def test_not_said_of_noise_nor_of_a_market_that_carries_everything(self, evidence, world):
        null = evidence(world(), seed=5)
        drift = evidence(world(base=0.3), seed=1)
        drift = replace(drift, trades={**drift.trades, "ENTRY": drift.trades["NAIVE"]})
        for given in (null, drift):
            verdict = decide(given, STRICT)
            assert verdict.decision == "FAIL"
            assert "model_adds_nothing" not in kinds(verdict)
        assert trigger_evidence(drift).reason.kind == "rule_drifts"
        assert trigger_evidence(null).reason.kind == "rule_flat"

    @pytest.mark.parametrize(
        ("name", "more", "kind"),
        [
            ("profit", {"effect": 0.15, "interval": (-0.2, 0.1)}, "ruled_out"),
            ("shuffle", {"effect": 0.1, "reason": because("shuffle_excluded", value_high=0.05)},
             "choice_ruled_out"),
            ("entry", {"effect": 0.15, "interval": (-0.2, 0.1)}, "timing_ruled_out"),
            ("profit", {"effect": 0.15, "interval": (-0.2, 0.3)}, "checks_failed"),
            ("profit", {"interval": (-0.2, 0.1)}, "checks_failed"),
            ("profit", {"effect": 0.15, "reason": because("excluded")}, "checks_failed"),
            ("generalisation", {"effect": 0.3, "interval": (0.4, 0.6)}, "checks_failed"),
        ],
    )  # fmt: skip
    def test_an_edge_is_ruled_out_only_by_a_check_that_rules_it_out(self, good, name, more, kind):
        checks = [fixed(name, "fail", **more), fixed("d", "pass")]
        assert kind in kinds(decide(good, checks))

    @pytest.mark.parametrize(
        ("outcome", "kind"),
        [("fail", "house_rule_failed"), ("inconclusive", "house_rule_open")],
    )
    def test_when_only_a_house_rule_stands_in_the_way_it_is_named(self, good, outcome, kind):
        house = [
            CheckResult(name="drawdown", outcome=outcome, reason=stated("too deep")),
            CheckResult(name="other", outcome="pass"),
        ]
        verdict = decide(good, STRICT, tightening=house)
        assert verdict.reasons[0] == Reason(kind=kind, names={"whose": "FFM", "1": "drawdown"})
        assert because("check", check="drawdown") in verdict.reasons
        assert "ruled_out" not in kinds(verdict)

    def test_a_house_rule_beside_a_failed_check_changes_no_reason(self, good):
        own = [fixed("profit", "fail", effect=0.15, interval=(-0.2, 0.1)), fixed("d", "pass")]
        house = [CheckResult(name="drawdown", outcome="fail", reason=stated("too deep"))]
        assert "ruled_out" in kinds(decide(good, own, tightening=house))

    def test_open_says_how_many_months(self, evidence, world):
        given = evidence(world(base=0.1, claim="trigger", n_days=80, per_day=4, months=4), seed=1)
        verdict = decide(given, STRICT)
        assert verdict.decision == "INCONCLUSIVE"
        months = months_needed(verdict)
        assert months is not None
        assert months > 4
        assert verdict.reasons[-1] == because("months_to_settle", months=months, so_far=4)

    def test_open_for_ever_says_so(self, evidence, world):
        verdict = decide(evidence(world(base=0.4, share=1.0), seed=1), STRICT)
        assert verdict.decision == "INCONCLUSIVE"
        assert months_needed(verdict) is None
        assert verdict.reasons[-1] == Reason(
            kind="months_settle_nothing", names={"1": "naive", "2": "random", "3": "shuffle"}
        )

    def test_where_nothing_was_measured_no_months_help(self, good):
        assert kinds(decide(good, [fixed("a", "info")]))[-1] == "nothing_measured"

    def test_settled_verdicts_need_no_months(self, good):
        assert months_needed(decide(good, STRICT)) is None


class TestRandomEntries:
    """The last net: what earns without any entry is the market, or an exit that knows."""

    def test_a_pick_that_beats_the_others_and_not_the_market_does_not_pass(self, evidence, world):
        carried = evidence(world(base=0.2, marked=0.5, skill=0.9, entry=1.0), seed=1)
        verdict = decide(carried, STRICT)
        assert verdict.decision == "FAIL"
        assert verdict.reasons[0].kind == "random_entries_earn"
        assert verdict.reasons[0].numbers["mean_low"] > 0
        entry = next(check for check in verdict.checks if check.name == "entry")
        assert (entry.outcome, entry.gates) == ("fail", True)

    def test_an_edge_over_what_random_bars_earn_still_passes_and_says_so_first(
        self, evidence, world
    ):
        carried = evidence(world(base=0.2, marked=0.6, skill=0.9, entry=0.2), seed=1)
        verdict = decide(carried, STRICT)
        assert verdict.decision == "PASS"
        assert verdict.reasons[0].kind == "random_entries_earn"
        assert [c.outcome for c in verdict.checks if c.name == "entry"] == ["pass"]

    def test_nothing_is_said_or_asked_where_random_entries_earn_nothing(self, good):
        # The red twin: the same picks on a market that carries nobody.
        verdict = decide(good, STRICT)
        assert verdict.decision == "PASS"
        assert not any(reason.kind == "random_entries_earn" for reason in verdict.reasons)
        assert not any(check.name == "entry" for check in verdict.checks)

    def test_an_interval_around_zero_is_no_drift(self, evidence, world):
        thin = evidence(world(entry=0.1, n_days=60, per_day=3, months=4), seed=2)
        assert random_entries(thin) is None
        assert random_entries(replace(thin, trades={"REAL": thin.trades["REAL"]})) is None

    def test_the_claim_trigger_says_it_too(self, evidence, world):
        carried = evidence(world(base=0.3, claim="trigger", entry=0.3), seed=4)
        verdict = decide(carried, STRICT)
        assert verdict.reasons[0].kind == "random_entries_earn"
        assert [c.name for c in verdict.checks].count("entry") == 1


class TestTrigger:
    def test_record_holds_numbers(self, evidence, world):
        found = trigger_evidence(evidence(world(base=0.3), seed=1))
        record = found.record()
        assert found.earns
        assert record["mean_r"] == pytest.approx(0.3, abs=0.1)
        assert record["interval"][0] > 0
        assert record["entry_difference"] == pytest.approx(0.3, abs=0.1)

    def test_no_decision(self, good, trades):
        empty = replace(good, trades={"NAIVE": trades([], [])})
        found = trigger_evidence(empty)
        assert not found.earns
        assert found.record()["mean_r"] is None

    def test_without_random_bars(self, good):
        found = trigger_evidence(replace(good, trades={"NAIVE": good.trades["NAIVE"]}))
        assert found.record()["entry_interval"] is None


# Fewer resamples than a real run: the worlds are many.
QUICK = with_constants(
    STRICT,
    {n: {"resamples": 250.0} for n in ("profit", "naive", "entry", "generalisation")},
)


def verdicts(evidence, settings, seeds) -> Counter[str]:
    return Counter(decide(evidence(settings, seed=s), QUICK).decision for s in seeds)


class TestErrorRates:
    """What the ruler is for: noise is told from an edge, at known rates."""

    def test_null_worlds_hardly_ever_pass_and_mostly_fail(self, evidence, world):
        found = verdicts(evidence, world(n_days=200, per_day=9, months=10), range(100))
        assert found["PASS"] <= 1
        assert found["FAIL"] >= 50

    def test_null_worlds_with_little_data_do_not_pass_either(self, evidence, world):
        found = verdicts(evidence, world(n_days=130, per_day=2, months=6), range(60))
        assert found["PASS"] <= 1
        assert found["INCONCLUSIVE"] > 0

    def test_null_triggers_hardly_ever_pass(self, evidence, world):
        settings = world(n_days=250, per_day=4, months=12, claim="trigger")
        found = verdicts(evidence, settings, range(120))
        assert found["PASS"] <= 5

    def test_planted_edges_pass(self, evidence, world):
        found = verdicts(evidence, world(marked=0.6, skill=0.6), range(20))
        assert found["PASS"] >= 19

    def test_small_planted_edges_pass_sometimes_and_are_not_called_failures(self, evidence, world):
        found = verdicts(evidence, world(marked=0.3, skill=0.5), range(20))
        assert found["FAIL"] <= 2

    def test_trigger_worlds(self, evidence, world):
        selection = verdicts(evidence, world(base=0.3), range(20))
        trigger = verdicts(evidence, world(base=0.3, claim="trigger"), range(20))
        assert selection["PASS"] <= 1
        assert trigger["PASS"] >= 19

    def test_lucky_permutations_alone_do_not_pass(self, evidence, world):
        """Each check carries weight: a favourable shuffle does not carry noise through."""
        passed = 0
        for seed in range(30):
            given = evidence(world(n_days=250, per_day=8, months=12), seed=seed)
            lucky = {k: replace(t, draws=t.draws - 9.0) for k, t in given.shuffle.items()}
            passed += decide(replace(given, shuffle=lucky), QUICK).decision == "PASS"
        assert passed <= 1


class TestPreRegistration:
    def test_hash_depends_on_all_it_promises_and_on_nothing_else(self):
        base = prereg_hash("selection", STRICT, {"share": 0.5})
        assert base == prereg_hash("selection", tuple(STRICT), {"share": 0.5})
        others = {
            prereg_hash("trigger", STRICT, {"share": 0.5}),
            prereg_hash("selection", STRICT, {"share": 0.4}),
            prereg_hash("selection", STRICT[:-1], {"share": 0.5}),
            prereg_hash("selection", STRICT[1:], {"share": 0.5}),
            prereg_hash(
                "selection", with_constants(STRICT, {"profit": {"delta": 0.2}}), {"share": 0.5}
            ),
        }
        assert base not in others
        assert len(others) == 5

    def test_order_of_keys_does_not_matter(self):
        a = prereg_hash("trigger", STRICT, {"x": 1, "y": 2})
        assert a == prereg_hash("trigger", STRICT, {"y": 2, "x": 1})

    def test_block_lists_the_checks_of_the_claim(self):
        block = prereg("trigger", STRICT, {})
        assert [c["name"] for c in block["checks"]] == [
            "certificate", "sample", "profit", "entry", "deflated", "months",
        ]  # fmt: skip
        assert block["checks"][2]["constants"]["delta"] == 0.15
        assert len(block["hash"]) == 64

    @pytest.mark.parametrize("value", [float("nan"), np.float64(1.0).dtype, object()])
    def test_what_cannot_be_written_down_is_refused(self, value):
        from ffm_core.errors import ConfigError

        with pytest.raises(ConfigError, match="pre-registration"):
            prereg_hash("selection", STRICT, {"x": value})
