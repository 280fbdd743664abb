"""The words of a verdict follow from the checks that failed: a table of cases."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import combinations

import pytest

from ffm_core.records import CheckResult, VerdictCheck, because, stated
from ffm_core.report import words
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.verdict import decide, months_needed
from helpers.evidence import evidence, trades, world  # noqa: F401
from helpers.reading import plain

SELECTION = ("profit", "naive", "random", "shuffle", "deflated", "generalisation")
TRIGGER = ("profit", "entry", "deflated")
EXCLUDING = {"profit", "naive", "random", "shuffle", "entry"}
EXCLUDED = "exclude one"


def answer(name: str, outcome: str) -> CheckResult:
    """Return what the check of that name answers, as those of the ruler do."""
    ends = {"pass": (0.4, 0.8), "fail": (-0.1, 0.05), "inconclusive": (-0.1, 0.4)}.get(outcome)
    if name not in EXCLUDING:
        return CheckResult(name=name, outcome=outcome, value=0.6, threshold=0.3, effect=0.3,
                           interval=None if ends is None else (0.35, 0.9),
                           reason=because("generalisation", value=0.6, limit=0.3))  # fmt: skip
    kind = {"pass": "shown", "fail": "excluded"}.get(outcome, "open")
    return CheckResult(
        name=name, outcome=outcome, value=0.61, interval=ends, threshold=0.0, effect=0.15,
        reason=because(kind, measure=name, value=0.61, effect=0.15),
    )  # fmt: skip


def house(name: str, outcome: str, **more) -> CheckResult:
    return CheckResult(name=name, outcome=outcome, **more)


@pytest.fixture
def told(evidence, world):  # noqa: F811
    """Judge the checks given and return the decision and everything that is said."""
    base = evidence(world(marked=0.6, skill=0.9), seed=1)

    def judged(own, houses=(), *, claim="selection", qualifier=""):
        results = {r.name: r for r in own}
        checks = [VerdictCheck(name=n, judge=lambda e, r=r: r) for n, r in results.items()]
        verdict = decide(replace(base, claim=claim), checks, tightening=houses,
                         qualifier=qualifier)  # fmt: skip
        result = {
            "prereg": {"claim": claim},
            "checks": [asdict(check) for check in verdict.checks],
            "verdict": {
                "decision": verdict.decision, "qualifier": verdict.qualifier,
                "reasons": [asdict(reason) for reason in verdict.reasons],
                "months_needed": months_needed(verdict),
            },
            "arms": {"REAL": {"mean_interval": [0.4, 0.8]}},
        }  # fmt: skip
        said = words.told(result)
        return verdict.decision, plain(said["headline"]), said["reasons"], said["conclusion"]

    return judged


def own(claim: str, **outcomes: str) -> list[CheckResult]:
    names = SELECTION if claim == "selection" else TRIGGER
    return [answer(name, outcomes.get(name, "pass")) for name in names]


ALONE = [
    ("selection", "profit", "There is no edge worth having here: the data exclude one."),
    ("selection", "naive", "The model's choice adds no edge worth having: the data exclude one."),
    ("selection", "random", "The model's choice adds no edge worth having: the data exclude one."),
    ("selection", "shuffle", "The model's choice adds no edge worth having: the data exclude one."),
    ("selection", "generalisation",
     "What looked good in validation did not last into the test months."),
    ("selection", "deflated", "Not every check held: “Better than the luckiest try” failed."),
    ("trigger", "profit", "There is no edge worth having here: the data exclude one."),
    ("trigger", "entry", "Random entries at the same hours do about as well."),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "failed", "headline"), ALONE)
def test_each_check_alone_is_said_for_what_it_is(told, claim, failed, headline):
    decision, said, reasons, conclusion = told(own(claim, **{failed: "fail"}), claim=claim)
    assert (decision, said) == ("FAIL", headline)
    title = words.check_words(failed).title
    assert f"“{title}”" in conclusion[0]
    assert any(line.startswith(title) for line in reasons)
    every = " ".join((said, *reasons, *conclusion))
    assert ("an edge worth having, and it is not there" in every) == (failed == "profit")
    assert ("exclude" in said or "rule out" in " ".join(reasons)) == (failed in EXCLUDING)


@pytest.mark.parametrize("pair", [*combinations(SELECTION, 2)], ids="+".join)
def test_pairs_say_the_most_that_one_of_them_shows_and_name_both(told, pair):
    decision, said, _, conclusion = told(own("selection", **dict.fromkeys(pair, "fail")))
    assert decision == "FAIL"
    for name in pair:
        assert f"“{words.check_words(name).title}”" in f"{said} {conclusion[0]}"
    assert (EXCLUDED in said) == bool(EXCLUDING.intersection(pair))
    if "profit" in pair:
        assert said == "There is no edge worth having here: the data exclude one."


def test_a_check_that_fails_without_an_effect_excludes_nothing(told):
    bare = replace(answer("profit", "fail"), effect=None)
    wide = replace(answer("profit", "fail"), interval=(-0.1, 0.4))
    for result in (bare, wide):
        _, said, reasons, conclusion = told([result, *own("selection")[1:]])
        assert said == "Not every check held: “Earns after costs” failed."
        every = " ".join((said, *reasons, *conclusion))
        assert "rule out an edge" not in every
        assert "not there" not in every


@pytest.mark.parametrize("claim", ["selection", "trigger"])
@pytest.mark.parametrize(
    ("failing", "text"),
    [(("daily-loss",), "the house rule “daily loss” did not."),
     (("daily-loss", "max_drawdown"),
      "the house rules “daily loss”, “max drawdown” did not.")],
)  # fmt: skip
def test_when_only_house_rules_fail_ffm_says_that_its_own_checks_passed(told, claim, failing, text):
    houses = [house(name, "fail", value=4.0, threshold=2.0) for name in failing]
    decision, said, reasons, conclusion = told(own(claim), houses, claim=claim)
    assert decision == "FAIL"
    assert said == f"Every check of FFM passed; {text}"
    assert [line for line in reasons if line.startswith("daily loss")] == [
        "daily loss: 4, asked for: 2"
    ]
    assert conclusion == [
        "By the rule of the house, do not trade this; by the checks of FFM you could."
    ]
    every = " ".join((said, *reasons, *conclusion))
    assert "exclude" not in every
    assert "rule out" not in every


def test_a_house_rule_is_no_excluded_edge_whatever_it_claims(told):
    reason = because("excluded", measure="profit", value=0.61, effect=1.0)
    greedy = house("edge-of-one-r", "fail", effect=1.0, interval=(0.4, 0.8), reason=reason)
    _, said, reasons, _ = told(own("selection"), [greedy])
    assert said == "Every check of FFM passed; the house rule “edge of one r” did not."
    assert not any("rule out" in line for line in reasons)


def test_an_open_house_rule_leaves_no_doubt_about_the_edge(told):
    decision, said, _, conclusion = told(own("trigger"), [house("x", "inconclusive")],
                                         claim="trigger")  # fmt: skip
    assert decision == "INCONCLUSIVE"
    assert said == "Every check of FFM passed; the house rule “x” is still open."
    assert "neither shown nor ruled out" not in " ".join(conclusion)


@pytest.mark.parametrize("outcome", ["fail", "refused"])
def test_failed_house_rules_stand_among_the_reasons_of_every_verdict(told, outcome):
    rule = house("daily-loss", outcome, reason=stated("lost 3 R on a day"))
    for changes in ({}, {"profit": "fail"}, {"profit": "inconclusive"}):
        _, _, reasons, _ = told(own("selection", **changes), [rule])
        assert "daily loss: lost 3 R on a day" in reasons


def test_a_set_of_a_plug_in_is_not_called_the_checks_of_ffm(told):
    classic = [answer("certificate", "pass"), house("classic-threshold", "pass"),
               house("classic-naive", "pass")]  # fmt: skip
    decision, said, reasons, _ = told(classic, qualifier="judged with checks=classic")
    assert (decision, said) == ("PASS", "Every check of the set passed.")
    assert "beat every control" not in said
    assert reasons[0].startswith("Over 20 test months every check of the set passed: “")
    _, said, *_ = told(classic, [house("x", "fail")])
    assert said == "Every check of the set passed; the house rule “x” did not."


def test_a_set_of_a_plug_in_that_fails_excludes_no_edge(told):
    failed = house("classic-naive", "fail", value=0.1, threshold=0.2,
                   reason=stated("+0.100 R over taking every decision; no interval"))  # fmt: skip
    _, said, reasons, conclusion = told([house("classic-threshold", "pass"), failed])
    assert said == "Not every check held: “classic naive” failed."
    assert "That excludes no edge" in conclusion[0]
    assert not any("rule out" in line for line in reasons)


def test_a_check_other_than_the_certificate_cannot_accuse_of_looking_ahead(told):
    decision, said, *_ = told([*own("selection"), house("mine", "refused")])
    assert decision == "FAIL"
    assert said == "Not every check held: “mine” failed."


def test_an_override_changes_no_word_but_the_qualifier(told):
    _, said, _, conclusion = told(own("selection"), qualifier="judged with resamples=500")
    assert said == "The model's picks earn after costs and beat every control."
    assert any("qualified (judged with resamples=500)" in line for line in conclusion)


@pytest.mark.parametrize("claim", ["selection", "trigger"])
def test_trades_that_earn_are_not_called_unshown_because_luck_is_not_excluded(told, claim):
    _, said, reasons, conclusion = told(own(claim, deflated="inconclusive"), claim=claim)
    assert said == "These data cannot tell whether the edge is real."
    assert "the trades earn after costs, but not every check is settled" in reasons[0]
    assert "open is: “Better than the luckiest try”" in conclusion[0]


def test_where_nothing_measures_an_edge_that_is_said(told):
    _, said, *_ = told([answer("certificate", "pass"), answer("sample", "pass")])
    assert said == "No check of this run measured an edge."


def test_the_table_holds_every_gating_check():
    gating = {check.name for check in STRICT} - {"certificate", "sample", "months"}
    assert {name for _, name, _ in ALONE} >= gating - {"deflated"}
