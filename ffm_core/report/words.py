"""Plain words for a verdict: what was asked, what was found, what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ffm_core.records import Reason
from ffm_core.report import numbers
from ffm_core.report.failures import column_of, repair_of, seen, words_of
from ffm_core.report.questions import check_words, measured, needed
from ffm_core.report.reasons import capital, read, sentence, subject, titles
from ffm_core.report.remarks import overlap

Result: TypeAlias = Mapping[str, Any]

ARMS = {
    "REAL": "what the strategy would have traded",
    "NAIVE": "every decision, taken as it comes",
    "RANDOM": "as many decisions, picked at random",
    "SHUFFLE": "a model trained on permuted labels",
    "SHUFFLE block": "the same, labels permuted within weeks",
    "ENTRY": "random entries, same hours, sides and exits",
}
TRIGGER_REAL = "the strategy's own decisions, taken as they come"
NULLS = {
    "random": ("Random picks", "picks at random"),
    "shuffle_full": ("Labels shuffled freely", "models trained on freely permuted labels"),
    "shuffle_block": ("Labels shuffled within weeks",
                      "models trained on labels permuted within each instrument and week"),
}  # fmt: skip


def claim_of(result: Result) -> str:
    """Return ``selection`` or ``trigger``."""
    return str((result.get("prereg") or {}).get("claim") or "selection")


def arm_words(name: str, claim: str) -> str:
    """Return what an arm is; arms of extra controls are called by their name alone."""
    if name == "REAL" and claim == "trigger":
        return TRIGGER_REAL
    return ARMS.get(name, "an extra control")


def arms_in_order(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the arms, REAL first, the known ones next, extra controls by name."""
    known = list(ARMS)

    def place(name: str) -> tuple[int, str]:
        return (known.index(name) if name in known else len(known), name)

    arms = result.get("arms") or {}
    return [(name, arms[name] or {}) for name in sorted(arms, key=place)]


def failing(result: Result, outcome: str) -> list[str]:
    """Return the names of gating checks with this outcome, in the order of the record.

    A check that would refuse a run has failed: the certificate alone can refuse one.
    """
    meant = {"fail": ("fail", "refused")}.get(outcome, (outcome,))
    return [
        c["name"] for c in result.get("checks") or []
        if c.get("outcome") in meant and c.get("gates", True)
    ]  # fmt: skip


def rule_earns(result: Result) -> bool:
    """Say whether taking every decision earns, and beats random entries where there are any."""
    trigger = result.get("trigger") or {}
    over = trigger.get("entry_interval")
    return _above_zero(trigger.get("interval")) and (over is None or _above_zero(over))


def _above_zero(interval: Sequence[object] | None) -> bool:
    low = numbers.finite((interval or [None])[0])
    return low is not None and low > 0


def _rule_alone(result: Result) -> bool:
    """Say whether the rule earns while the model's choice is not shown to help."""
    missed = {*failing(result, "fail"), *failing(result, "inconclusive")}
    return claim_of(result) == "selection" and bool(missed & _SELECTING) and rule_earns(result)


_UNSTEADY = "not_deterministic"
_GROUNDWORK = {"certificate", "sample"}
_SELECTING = {"naive", "random", "shuffle"}


def headline(result: Result) -> str:
    """Return the verdict in one sentence.

    Parameters
    ----------
    result : mapping
        The ``result`` part of a run record.
    """
    decision = (result.get("verdict") or {}).get("decision")
    if decision == "REFUSED":
        if _looks_ahead(result):
            return "The strategy uses future bars, so none of its results can be trusted."
        return "The strategy violates its contract, so none of its results can be trusted."
    if decision == "PASS":
        return _pass_headline(result)
    if decision == "FAIL":
        return _fail_headline(result)
    if _UNSTEADY in _kinds(result):
        return "Runs of this very trial found different results, so none of them shows anything."
    if "untraded" in _kinds(result):
        return "Too many of these decisions could not have been traded: the data are at fault."
    if overlap(result):
        return "A model may have seen the months it is judged on, so they show nothing."
    house = reason_named(result, "house_rule_open")
    if house is not None:
        return f"Every check of {_whose(house)} passed; {_house_rules(house)} still open."
    if "nothing_measured" in _kinds(result):
        return "No check of this run measured an edge."
    if _rule_alone(result):
        return "The rule earns on its own; that the model adds anything is not shown."
    return "These data cannot tell whether the edge is real."


def _kinds(result: Result) -> list[str]:
    """Return the kinds of the verdict's reasons, in order."""
    given = (result.get("verdict") or {}).get("reasons") or []
    return [reason.kind for value in given if (reason := read(value)) is not None]


def reason_named(result: Result, *kinds: str) -> Reason | None:
    """Return the verdict's first reason of one of these kinds, None without one."""
    given = (result.get("verdict") or {}).get("reasons") or []
    return next((r for value in given if (r := read(value)) and r.kind in kinds), None)


def _whose(house: Reason) -> str:
    return house.names.get("whose", "FFM")


def _house_rules(house: Reason) -> str:
    """Return the house rules that stand in the way and the verb that fits their number."""
    names = [value for key, value in house.names.items() if key.isdecimal()]
    open_ones = house.kind == "house_rule_open"
    many = len(names) != 1
    verb = ("are" if many else "is") if open_ones else "did not"
    return f"the house rule{'s' if many else ''} {titles(names)} {verb}"


def _pass_headline(result: Result) -> str:
    if "pass_set" in _kinds(result):
        return "Every check of the set passed."
    if claim_of(result) == "selection":
        return "The model's picks earn after costs and beat every control."
    return "The strategy's own decisions earn after costs and beat random entries."


# What a failed verdict rests on, by the reason that says so.
_HEADLINES = {
    "ruled_out": "There is no edge worth having here: the data exclude one.",
    "choice_ruled_out": "The model's choice adds no edge worth having: the data exclude one.",
    "timing_ruled_out": "Random entries at the same hours do about as well.",
}


def _fail_headline(result: Result) -> str:
    failed = failing(result, "fail")
    if (house := reason_named(result, "house_rule_failed")) is not None:
        return f"Every check of {_whose(house)} passed; {_house_rules(house)}."
    if _SELECTING.intersection(failed) and _rule_alone(result):
        return "The rule earns on its own; the model adds nothing."
    if (cause := reason_named(result, *_HEADLINES)) is not None:
        return _HEADLINES[cause.kind]
    if failed == ["generalisation"]:
        return "What looked good in validation did not last into the test months."
    return f"Not every check held: {titles(failed)} failed." if failed else "Not every check held."


def reasons(result: Result, *, findings: bool = True) -> list[tuple[str, str]]:
    """Return the verdict's reasons as (title, text); the title is empty or a check's.

    Parameters
    ----------
    result : mapping
        The ``result`` part of a run record.
    findings : bool
        Whether to repeat what the certificate says of each failure.
    """
    verdict = result.get("verdict") or {}
    given = [r for value in verdict.get("reasons") or [] if (r := read(value)) is not None]
    by_name = {c["name"]: c for c in result.get("checks") or []}
    pairs: list[tuple[str, str]] = []
    groundwork: list[tuple[str, str]] = []
    for reason in given:
        if reason.kind == "failure":
            pairs += _failed(result, reason, first=reason == given[1]) if findings else []
        elif reason.kind == "check":
            name = reason.names["check"]
            pair = (check_words(name).title, _said_of(by_name.get(name) or {"name": name}))
            # That there are enough clean data is no reason to trade: it comes last in a PASS.
            last = name in _GROUNDWORK and verdict.get("decision") == "PASS"
            (groundwork if last else pairs).append(pair)
        else:
            pairs.append(("", capital(sentence(reason))))
    return [*pairs, *groundwork]


def _said_of(check: Mapping[str, Any]) -> str:
    """Return what a check says of itself; its numbers where it says nothing."""
    if check.get("value") is None:
        return sentence(check.get("reason")) or "no figure is shown"
    return sentence(check.get("reason")) or f"{measured(check)}, asked for: {needed(check)}"


def told(result: Result) -> dict[str, Any]:
    """Return headline, reasons and conclusion as text, for whoever shows them elsewhere.

    Of a broken certificate ``failures`` says what was seen and how it is mended, in its order.
    """
    lines = [f"{title}: {text}" if title else text for title, text in reasons(result)]
    failures = (result.get("certificate") or {}).get("failures") or []
    return {"headline": headline(result), "reasons": [_plain(line) for line in lines],
            "conclusion": [_plain(line) for line in conclusion(result)],
            "failures": [words_of(failure) for failure in failures]}  # fmt: skip


def _plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def _failed(result: Result, reason: Reason, *, first: bool) -> list[tuple[str, str]]:
    """Return a failure that is a reason; of the first one also its fix and its line."""
    failures = (result.get("certificate") or {}).get("failures") or []
    place = int(reason.numbers["place"])
    if place >= len(failures):
        return []
    failure = failures[place]
    column, repair = column_of(failure), repair_of(failure)
    told = [f"{subject(failure.get('subject'))}{column and f', {column}'}: {seen(failure)}"]
    if first and repair:
        told.append(f"suggested fix: {repair}")
    if first and failure.get("line"):
        told.append(f"look at {failure['line']}")
    return [("", capital(text)) for text in told]


_AHEAD = {"prefix", "repaint", "mutation", "horizon", "rows", "rowwise"}


def _looks_ahead(result: Result) -> bool:
    """Say whether a failure can be look-ahead, rather than a promise that is not kept."""
    failures = (result.get("certificate") or {}).get("failures") or []
    return not failures or any(f.get("check") in _AHEAD for f in failures)


def conclusion(result: Result) -> list[str]:
    """Return what an honest trader should conclude, as a few short sentences."""
    verdict = result.get("verdict") or {}
    sentences = {
        "PASS": _on_pass, "FAIL": _on_fail, "REFUSED": _on_refused,
    }.get(str(verdict.get("decision")), _on_inconclusive)(result)  # fmt: skip
    if verdict.get("qualifier"):
        sentences.append(
            f"This verdict is qualified ({verdict['qualifier']}), so it does not count as a "
            "plain one under the standard checks."
        )
    if _rule_alone(result):
        sentences.append(
            "Ask about the rule itself: the same command with “--learner none” judges its "
            "decisions as they come."
        )
    return sentences


def _on_pass(result: Result) -> list[str]:
    real = (result.get("arms") or {}).get("REAL") or {}
    low = numbers.finite((real.get("mean_interval") or [None])[0])
    floor = f" Plan with the low end, {numbers.r_multiple(low)} per trade." if low else ""
    return [
        (
            "The evidence is good enough to go on: trade it on paper, then in the smallest size, "
            "and stop when live results leave the interval." + floor
        ),
        "A pass is about these markets, these months and these costs. It is no promise.",
    ]


def _subject(result: Result) -> str:
    return "the model's picks" if claim_of(result) == "selection" else "these decisions"


_EXCLUDED = {
    "ruled_out": "The data are enough to see an edge worth having, and it is not there.",
    "choice_ruled_out": "The data are enough to see a choice that adds an edge worth having, and "
    "this one does not.",
    "timing_ruled_out": "Whatever they earn, random entries at the same hours with the same exits "
    "earn about as much.",
}


def _on_fail(result: Result) -> list[str]:
    house = reason_named(result, "house_rule_failed")
    if house is not None:
        passed = f"by the checks of {_whose(house)} you could"
        return [f"By the rule of the house, do not trade this; {passed}."]
    cause = reason_named(result, *_EXCLUDED)
    failed = titles(failing(result, "fail"))
    said = [
        f"Do not put money on {_subject(result)}.",
        _EXCLUDED[cause.kind] if cause else "",
        f"Where it fails: {failed}." if failed else "",
        "" if cause else "That excludes no edge; it says that what was promised did not hold.",
    ]
    return [
        " ".join(part for part in said if part),
        (
            "Change the idea rather than the settings: every further try is counted and makes the "
            "next pass harder."
        ),
    ]


def _on_inconclusive(result: Result) -> list[str]:
    if _UNSTEADY in _kinds(result):
        return [
            (
                f"Do not put money on {_subject(result)}: what it does is not the same twice. Find "
                "what draws at random, or depends on the clock, the order of threads or another "
                "library's version, and judge it again."
            )
        ]
    if "untraded" in _kinds(result):
        return [
            (
                f"Do not put money on {_subject(result)} yet, and do not drop the idea either: "
                "bring whole data of a contract that was traded, and judge it again."
            )
        ]
    if overlap(result):
        return [
            (
                f"Do not put money on {_subject(result)} yet: what the test months show is no "
                "evidence while a model may have been fitted to them."
            )
        ]
    house = reason_named(result, "house_rule_open")
    if house is not None:
        found = f"every check of {_whose(house)} passed, but a house rule is still open."
    elif reason_named(result, "unsettled") is not None:
        found = f"they earn after costs, but open is: {titles(failing(result, 'inconclusive'))}."
    else:
        found = "an edge is neither shown nor ruled out."
    months = numbers.finite((result.get("verdict") or {}).get("months_needed"))
    wait = (
        f"About {numbers.count(months)} test months in all would settle it, if the figures stay "
        "as they are."
        if months
        else "How many more months would settle it cannot be said from these data."
    )
    return [f"Do not put money on {_subject(result)} yet: {found} {wait}"]


def _on_refused(result: Result) -> list[str]:
    failures = (result.get("certificate") or {}).get("failures") or []
    fixes = [failure for failure in failures if repair_of(failure)]
    ahead = (
        "Any profit it shows would be fiction: in live trading the bars it looks at do not exist "
        "yet."
    )
    other = "In live trading it would return different values than here, or return them too late."
    return [
        ahead if _looks_ahead(result) else other,
        (
            "Fix what the certificate names"
            + (" (with a suggested fix)" if fixes else "")
            + " and run again."
        ),
    ]
