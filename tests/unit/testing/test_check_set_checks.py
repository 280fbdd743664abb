"""The contract of check sets holds for ours and catches what breaks it."""

from __future__ import annotations

import pytest

from ffm_core import CheckSet, VerdictCheck
from ffm_core.records import CheckResult
from ffm_core.ruler.checks import STRICT
from ffm_core.testing import check_check_set

CALLS: list[int] = []


def says(outcome, name="odd"):
    return lambda evidence: CheckResult(name=name, outcome=outcome)


def peeks(evidence):
    return CheckResult(name="odd", outcome="pass" if "peak_r" in evidence.extra else "fail")


def counts(evidence):
    CALLS.append(1)
    return CheckResult(name="odd", outcome="pass", value=float(len(CALLS)))


def spoils(evidence):
    evidence.random_means[:] = 0.0
    return CheckResult(name="odd", outcome="pass")


def of(judge, **more):
    return CheckSet(name="mine", checks=(VerdictCheck(name="odd", judge=judge, **more),))


def test_our_own_keep_it():
    check_check_set(CheckSet(name="strict", checks=STRICT))
    check_check_set(of(peeks, reads=("peak_r",)))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (CheckSet(name="mine", checks=()), "set_is_sound"),
        (CheckSet(name="mine", checks=STRICT[:1] * 2), "set_is_sound"),
        (of(says("pass"), claims=()), "set_is_sound"),
        (of(says("pass"), reads=("r_net",)), "set_is_sound"),
        (of(says("pass"), constants={"margin": float("nan")}), "set_is_sound"),
        (of(says("pass", name="other")), "answers_in_form"),
        (of(says("maybe")), "answers_in_form"),
        (of(lambda evidence: True), "answers_in_form"),
        (of(lambda evidence: evidence.extra["peak_r"]), "answers_in_form"),
        (of(counts), "calls_agree"),
        (of(spoils), "calls_agree"),
        (of(peeks), "columns_are_declared"),
    ],
)
def test_what_breaks_it_is_caught(broken, check):
    report = check_check_set(broken, on_fail="report")
    assert [outcome.check for outcome in report.outcomes if outcome.status == "failed"] == [check]
