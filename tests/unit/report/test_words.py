from __future__ import annotations

import pytest

from ffm_core.report import failures, questions, remarks, words
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.tradable import TRADABLE
from ffm_core.ruler.verdict import UNSEEN
from helpers.reading import plain


@pytest.mark.parametrize("check", STRICT, ids=lambda c: c.name)
def test_every_check_of_the_ruler_is_explained(check):
    known = questions.CHECKS[check.name]
    assert known.title
    assert 0 < len(known.brief) <= 20


def test_no_words_are_left_over_from_checks_that_are_gone():
    assert set(questions.CHECKS) == {c.name for c in STRICT} | {TRADABLE, UNSEEN}


def test_a_check_from_a_plug_in_is_called_by_its_own_name():
    check = {"name": "daily_loss-limit", "value": 0.0412, "threshold": 2.0}
    assert questions.check_words("daily_loss-limit").title == "daily loss limit"
    assert questions.measured(check) == "0.0412"
    assert questions.needed(check) == "2"
    assert questions.needed({"name": "x"}) == "–"


def test_values_read_in_their_unit(runs):
    by_name = {c["name"]: c for c in runs.full()["result"]["checks"]}
    shown = {name: plain(questions.measured(c)) for name, c in by_name.items()}
    assert shown["certificate"] == "nothing found"
    assert shown["sample"] == "3,016"
    assert shown["profit"] == "+0.21 R"
    assert shown["shuffle"] == "p ≥ 0.025"
    assert shown["deflated"] == "0.981"
    assert shown["months"] == "71 %"
    needed = {name: plain(questions.needed(c)) for name, c in by_name.items()}
    assert needed["profit"] == "low end above zero"
    assert needed["sample"] == "at least 100 trades"
    assert needed["generalisation"] == "at most 0.30 R"
    assert plain(questions.fails(by_name["profit"])) == "fails if the high end is below 0.15 R"
    assert questions.fails(by_name["sample"]) == ""
    assert plain(questions.detectable(by_name["shuffle"])) == "0.14 R"


def test_headlines_say_what_happened(runs):
    result = runs.full()["result"]
    assert "beat every control" in words.headline(result)
    assert "data exclude" in words.headline(runs.full(shift=-0.2)["result"])
    assert "uses future bars" in words.headline(runs.refused()["result"])
    assert "cannot tell" in words.headline(runs.inconclusive()["result"])
    assert "own decisions earn" in words.headline(runs.no_learner()["result"])


def _with_outcomes(result, decision, **outcomes):
    result["verdict"]["decision"] = decision
    for check in result["checks"]:
        check["outcome"] = outcomes.get(check["name"], "pass")
    return result


def test_a_rule_that_earns_without_its_model_is_called_so(runs):
    result = _with_outcomes(runs.full()["result"], "FAIL", naive="fail", shuffle="inconclusive")
    result["verdict"]["reasons"] = [{"kind": "choice_ruled_out"}]
    assert words.headline(result).startswith("The model's choice adds no edge worth having")
    assert not any("--learner none" in s for s in words.conclusion(result))
    result["trigger"]["interval"] = [0.02, 0.11]
    assert words.headline(result) == "The rule earns on its own; the model adds nothing."
    assert any("--learner none" in s for s in words.conclusion(result))
    result = _with_outcomes(result, "INCONCLUSIVE", naive="inconclusive")
    assert "not shown" in words.headline(result)
    result["trigger"]["entry_interval"] = [-0.02, 0.11]
    assert words.headline(result) == "These data cannot tell whether the edge is real."
    result["trigger"]["entry_interval"] = None
    assert words.rule_earns(result)


@pytest.mark.parametrize(
    ("failed", "text"),
    [("generalisation", "did not last"), ("custom", "Not every check held: “custom” failed")],
)
def test_other_failures_have_words_of_their_own(runs, failed, text):
    result = runs.full()["result"]
    result["checks"].append({"name": "custom", "outcome": "pass", "gates": True})
    assert text in words.headline(_with_outcomes(result, "FAIL", **{failed: "fail"}))


def test_checks_that_do_not_gate_are_no_reason(runs):
    result = _with_outcomes(runs.full()["result"], "FAIL", months="fail", profit="fail")
    assert words.failing(result, "fail") == ["profit"]


def test_a_pass_is_no_promise_and_a_fail_names_where(runs):
    passed = " ".join(words.conclusion(runs.full()["result"]))
    assert "no promise" in passed
    assert "low end, +0.12 R" in plain(passed)
    failed = " ".join(words.conclusion(runs.full(shift=-0.2)["result"]))
    assert "Do not put money" in failed
    assert "“Earns after costs”" in failed
    assert "“Better than random picks”" in failed


def test_open_questions_say_how_long_they_stay_open(runs):
    result = runs.inconclusive()["result"]
    assert "About 44 test months" in " ".join(words.conclusion(result))
    result["verdict"]["months_needed"] = None
    assert "cannot be said" in " ".join(words.conclusion(result))


def test_a_qualifier_is_spelt_out(runs):
    result = runs.full()["result"]
    assert not any("qualified" in s for s in words.conclusion(result))
    result["verdict"]["qualifier"] = "custom checks"
    assert any("qualified (custom checks)" in s for s in words.conclusion(result))


def test_reasons_carry_titles_and_groundwork_comes_last_in_a_pass(runs):
    told = words.reasons(runs.full()["result"])
    assert told[0][1].startswith("Over 21 test months the model's picks beat")
    assert told[1][0] == "Earns after costs"
    assert plain(told[1][1]) == "the trades taken earn +0.210 R (95 % interval +0.120 to +0.300)"
    assert [title for title, _ in told[-2:]] == ["No look-ahead", "Enough to judge"]
    result = runs.inconclusive()["result"]
    assert words.reasons(result)[0] == (
        "Enough to judge",
        (
            "61 trades on 38 days in 4 test months; at least 100 trades, 60 days and 6 months are "
            "needed"
        ),
    )
    assert plain(words.reasons(result)[1][1]).endswith("neither zero nor an edge of 0.150 R is "
                                                       "ruled out")  # fmt: skip


def test_a_refusal_names_what_was_found_unless_the_certificate_is_shown_beside_it(runs):
    result = runs.refused()["result"]
    said = [text for _, text in words.reasons(result)]
    assert said[0].startswith("The strategy or a feature uses future bars")
    assert said[1].startswith("Labeler simulated-demo on SIMA7/5m, labeler/swing_high: the value")
    assert said[2] == "Suggested fix: confirm the swing two bars later"
    assert len(said) == 3
    assert [text for _, text in words.reasons(result, findings=False)] == said[:1]


def test_a_house_rule_is_named_and_nothing_is_said_to_be_ruled_out(runs):
    result = runs.full()["result"]
    result["verdict"].update(decision="FAIL", reasons=[
        {"kind": "house_rule_failed", "numbers": {}, "names": {"1": "daily-loss"}},
        {"kind": "check", "numbers": {}, "names": {"check": "daily-loss"}},
    ])  # fmt: skip
    stated = {"kind": "stated", "numbers": {}, "names": {"text": "lost 3 R on a day"}}
    result["checks"].append({"name": "daily-loss", "outcome": "fail", "reason": stated})
    assert words.headline(result) == (
        "Every check of FFM passed; the house rule “daily loss” did not."
    )
    assert words.reasons(result) == [
        ("", "Every check of FFM passed, but a house rule did not: “daily loss”"),
        ("daily loss", "lost 3 R on a day"),
    ]
    assert "house" in words.conclusion(result)[0]
    result["verdict"]["decision"] = "INCONCLUSIVE"
    result["verdict"]["reasons"][0]["kind"] = "house_rule_open"
    assert words.headline(result) == (
        "Every check of FFM passed; the house rule “daily loss” is still open."
    )


def test_a_record_of_before_is_shown_as_it_was_written(runs):
    """Reasons of ``ffm-run/1`` were sentences, and so was all that a failure said."""
    result = runs.refused()["result"]
    result["verdict"]["reasons"] = ["the strategy reads the future", "profit: the mean is low"]
    result["checks"][0]["reason"] = "no look-ahead in 12 cuts"
    result["trigger"] = {"sentence": "Taking every decision earns nothing."}
    failure = result["certificate"]["failures"][0]
    del failure["reason"], failure["repair"]
    failure.update(subject="labeler old on ES/5m", message="it peeks", fix="do not")
    assert words.reasons(result) == [
        ("", "The strategy reads the future"), ("", "Profit: the mean is low"),
    ]  # fmt: skip
    assert remarks.trigger(result) == "Taking every decision earns nothing."
    assert failures.place(failure).startswith("labeler old on ES/5m (prefix), column swing_high")
    assert failures.finding(failure) == ["it peeks", "fix: do not"]
    assert words.told(result)["failures"] == [{"reason": "it peeks", "repair": "do not"}]
    assert "with a suggested fix" in words.conclusion(result)[1]


def test_a_p_value_of_stopped_permutations_is_a_bound(runs):
    result = runs.full()["result"]
    check = next(c for c in result["checks"] if c["name"] == "shuffle")
    assert questions.measured(check) == "p ≥ 0.025"
    check["reason"]["numbers"]["block_stopped"] = 0
    assert questions.measured(check) == "p = 0.025"
    check["reason"]["numbers"] |= {"block_stopped": 1, "block_p": 0.05, "full_p": 0.3}
    check["value"] = 0.3  # the larger p is exact, whatever the other test is
    assert questions.measured(check) == "p = 0.300"
    check["reason"] = None
    assert questions.measured(check) == "p = 0.300"


@pytest.mark.parametrize(
    ("name", "fields", "shown"),
    [
        ("profit", {"value": 0.07, "interval": [0.0004, 0.14]}, "+0.0004 to +0.1400"),
        ("profit", {"value": 0.07, "interval": [-0.0004, 0.14]}, "−0.0004 to +0.1400"),
        ("profit", {"value": 0.07, "interval": [-0.01, 0.1496]}, "−0.0100 to +0.1496"),
        ("profit", {"value": 0.07, "interval": [-0.01, 0.14996]}, "−0.01000 to +0.14996"),
        ("profit", {"value": 0.07, "interval": [-0.01, 0.09]}, "−0.01 to +0.09"),
    ],
)
def test_no_end_of_an_interval_contradicts_its_check(name, fields, shown):
    check = {"name": name, "threshold": 0.0, "effect": 0.15, **fields}
    assert plain(questions.interval(check)) == shown


@pytest.mark.parametrize(
    ("name", "value", "threshold", "shown", "asked"),
    [
        ("deflated", 0.9496, 0.95, "0.9496", "at least 0.950"),
        ("deflated", 0.9504, 0.95, "0.9504", "at least 0.950"),
        ("deflated", 0.95, 0.95, "0.950", "at least 0.950"),
        ("generalisation", 0.3004, 0.30, "+0.3004 R", "at most 0.30 R"),
        ("generalisation", 0.298, 0.30, "+0.298 R", "at most 0.30 R"),
        ("of-a-house", 0.030004, 0.03, "0.030004", "0.0300"),
        ("of-a-house", 1500.3, 1500.2, "1,500.3", "1,500.2"),
        ("shuffle", 0.0251, 0.025, "p = 0.0251", "p at most 0.025"),
        ("shuffle", 0.02514, 0.02512, "p = 0.02514", "p at most 0.02512"),
    ],
)
def test_no_value_contradicts_its_threshold(name, value, threshold, shown, asked):
    check = {"name": name, "value": value, "threshold": threshold, "effect": 9.0}
    assert plain(questions.measured(check)) == shown
    assert plain(questions.needed(check)) == asked


def test_only_known_checks_with_an_interval_need_no_reason(runs):
    by_name = {c["name"]: c for c in runs.full()["result"]["checks"]}
    told = {name for name, c in by_name.items() if not questions.explains_itself(c)}
    assert told == {"certificate", "sample", "shuffle", "deflated", "months"}
    assert not questions.explains_itself({"name": "foreign", "interval": [0.0, 1.0]})
