"""Plain words for a verdict: what was asked, what was found, what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ffm_core.records import Reason
from ffm_core.report import numbers
from ffm_core.report.failures import column_of, repair_of, seen, words_of
from ffm_core.report.questions import check_words, measured, needed
from ffm_core.report.reasons import capital, read, sentence, subject, titles

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


def limits(result: Result) -> list[str]:
    """Return what this run does not show, the ones that apply to it first."""
    lines = [*_limits_of_run(result), *_LIMITS]
    if (result.get("strategy") or {}).get("private"):
        lines.append(
            "Names and parameters of this private strategy are removed. The times of its trades "
            "are not, and they say something about its trigger: think before you share this page."
        )
    return lines


_LIMITS = (
    (
        "Fills are assumed at the next bar's open, stops at their price or at the open behind a "
        "gap, with the stated slippage. Your broker, your size and thin hours can be worse."
    ),
    (
        "R counts the risk of each trade as one. Position size, margin and account rules are not "
        "part of this verdict."
    ),
    (
        "Only trials in this ledger are counted. Ideas tried elsewhere, or read in a book that "
        "tried them, make the real number of tries larger."
    ),
    "Markets change. Test months are behind us; the next one may not be like them.",
)


def _limits_of_run(result: Result) -> list[str]:
    lines = []
    if is_simulated(result):
        lines.append(
            "These markets are simulated. The run shows how FFM judges; it says nothing about any "
            "real market."
        )
    folds = result.get("folds") or {}
    seal = folds.get("seal") or {}
    if seal.get("from") and not seal.get("opened"):
        lines.append(
            f"Everything from {numbers.day(seal['from'])} on is sealed and was not read. It can "
            "be opened once, for a last test."
        )
    if seal.get("opened"):
        lines.append(f"{seal_line(result)} It cannot serve as unseen data again.")
    warned = [
        d
        for d in result.get("data") or []
        if (d.get("audit") or {}).get("level") in ("warn", "refuse")
    ]
    if warned:
        lines.append(
            f"The data audit has findings for {', '.join(_market(d) for d in warned)}; see Data."
        )
    told = (intrabar(result), far_trades(result), positions(result))
    lines += [said for said in told if said]
    return lines


_PLACES = {
    "one_per_stream": "One trade per stream was held at a time",
    "one_at_a_time": "One trade over all streams was held at a time",
}


def positions(result: Result) -> str:
    """Say which picks were held, or how many decisions overlap where every pick was."""
    found = result.get("positions") or {}
    rule = _PLACES.get(str(found.get("overlap")))
    if rule is not None:
        real = found["arms"]["REAL"]
        held, picked = numbers.count(real["held"]), numbers.count(real["picked"])
        return f"{rule}: {held} of {picked} picks. The others found a trade open."
    overlap = numbers.finite((result.get("decisions") or {}).get("overlap_share"))
    if not overlap:
        return ""
    return (
        f"{numbers.percent(overlap)} of the decisions overlap in time and each is judged on "
        "its own. One position at a time would take fewer trades."
    )


def intrabar(result: Result) -> str:
    """Say what hangs on the unknown order of events inside a bar; empty when nothing does."""
    found = result.get("intrabar") or {}
    trades, taken = found.get("trades"), ((result.get("arms") or {}).get("REAL") or {})
    if not trades:
        return ""
    first, second = ("stop", "target") if found.get("counted") != "target_first" else (
        "target", "stop")  # fmt: skip
    return (
        f"In {numbers.count(trades)} of {numbers.count(taken.get('n_trades'))} trades one bar "
        f"touches stop and target, and which came first is not known: the {first} counts. Had "
        f"the {second} come first in all of them, they would have made "
        f"{_signed(found.get('total_r_other'), 1)} R instead of "
        f"{_signed(found.get('total_r'), 1)} R, and the mean would be "
        f"{_signed(found.get('mean_r_other'), 3)} R instead of {_signed(found.get('mean_r'), 3)} R."
    )


def _signed(value: object, digits: int) -> str:
    return numbers.decimal(value, digits, signed=True)


def _market(data: Mapping[str, Any]) -> str:
    return f"{data.get('instrument')}/{data.get('timeframe')}"


def markets(result: Result) -> list[str]:
    """Return the streams of a run as ``instrument/timeframe``."""
    return [_market(d) for d in result.get("data") or []]


def is_simulated(result: Result) -> bool:
    """Say whether every market of the run is a simulated one."""
    data: Sequence[Mapping[str, Any]] = result.get("data") or []
    return bool(data) and all(str(d.get("instrument", "")).startswith("SIM") for d in data)


def embedders(result: Result) -> list[str]:
    """Say which model embedded what, and which decisions it could say nothing about."""
    return [_embedder(item) for item in result.get("embedders") or []]


def _embedder(item: Mapping[str, Any]) -> str:
    words = [f"{item.get('name')}: {item.get('state')}"]
    if weights := item.get("weights_sha256"):
        words.append(f"weights {weights[:12]}")
    words.append(_seen_by(item))
    if item.get("windows") is not None:
        words.append(f"{numbers.count(item['windows'])} windows embedded")
    if reasons := item.get("unusable"):
        listed = ", ".join(f"{numbers.count(n)} {name}" for name, n in reasons.items())
        words.append(f"none at {numbers.count(sum(reasons.values()))} bars ({listed})")
    return ", ".join(words)


def _seen_by(item: Mapping[str, Any]) -> str:
    if item.get("fit_cutoff") == "":
        return "has seen no market"
    if item.get("fit_cutoff"):
        return f"cut-off {numbers.day(item['fit_cutoff'])}"
    if item.get("released"):
        return f"cut-off unknown, released {numbers.day(item['released'])}"
    return "cut-off unknown"


def overlap(result: Result) -> bool:
    """Say whether a model may have seen the test months and nobody accepted it."""
    cuts = result.get("cut_offs") or []
    return any(cut.get("overlaps") and not cut.get("accepted") for cut in cuts)


def far_trades(result: Result) -> str:
    """Name the trades beyond 5 R and their share, and the mean without the best and worst 1 %."""
    found = result.get("far_trades") or {}
    if not found:
        return ""
    inner = (
        f"Without the best and the worst 1 % of the trades the mean is "
        f"{numbers.r_multiple(found.get('middle_mean_r'), 3)} instead of "
        f"{numbers.r_multiple(found.get('mean_r'), 3)}."
    )
    if not found.get("n"):
        return f"No trade lies beyond {numbers.count(found.get('limit_r'))} R. {inner}"
    named = ", ".join(
        f"{one['stream']} {numbers.minute(one['entry_time'])} UTC "
        f"{numbers.r_multiple(one['r_net'], 1)}"
        for one in found.get("largest") or []
    )
    total = ((result.get("arms") or {}).get("REAL") or {}).get("total_r")
    return (
        f"{numbers.counted(found['n'], 'trade')} beyond {numbers.count(found.get('limit_r'))} R "
        f"make {numbers.r_multiple(found.get('total_r'), 1)} of "
        f"{numbers.r_multiple(total, 1)} in all ({named}). {inner}"
    )


def opened_tail(result: Result) -> str:
    """Say what the months that were sealed show by themselves; empty unless they were opened."""
    found = result.get("opened_tail") or {}
    if not found:
        return ""
    start = numbers.day(((result.get("folds") or {}).get("seal") or {}).get("from"))
    if not found.get("n_trades"):
        return f"The months that were sealed, from {start} on, hold no trade."
    mean = numbers.r_multiple(found.get("mean_r"), 3)
    ends = numbers.interval(found.get("interval"), 3)
    least = numbers.r_multiple(found.get("minimum_detectable"), 3).removeprefix("+")
    return (
        f"The months that were sealed, from {start} on, by themselves: "
        f"{numbers.counted(found['n_trades'], 'trade')} earn {mean} (95 % interval {ends}); an "
        f"edge of {least} would have been seen."
    )


def hour_zone(result: Result) -> str:
    """Return the zone that hours of the day are told in, each exchange's own where they differ."""
    zones = dict.fromkeys(d["timezone"] for d in result.get("data") or [] if d.get("timezone"))
    return next(iter(zones)) if len(zones) == 1 else "each exchange's own time"


def audit_warnings(result: Result) -> list[str]:
    """Return what the data audit warns of, each with its stream."""
    return [
        f"{_market(data)}: {finding.get('message')}"
        for data in result.get("data") or []
        for finding in (data.get("audit") or {}).get("findings") or []
        if finding.get("level") in ("warn", "refuse")
    ]


def carried(result: Result) -> list[str]:
    """Return the tables, texts and files that plug-ins bring along, each in words."""
    found = (result.get("certificate") or {}).get("carries") or []
    return [sentence(one) for one in found]


def seal_line(result: Result) -> str:
    """Return one sentence about the sealed tail, or an empty string."""
    seal = (result.get("folds") or {}).get("seal") or {}
    if not seal.get("from"):
        return ""
    start = numbers.day(seal["from"])
    if seal.get("opened"):
        when = f" on {numbers.day(seal['opened'])}" if isinstance(seal["opened"], str) else ""
        return f"The tail from {start} on has been opened{when}."
    n = numbers.count(seal.get("n_decisions"))
    return f"The tail from {start} on is sealed; its decisions ({n}) were not read."


def trigger(result: Result) -> str:
    """Say what the rule does by itself, in a sentence; empty where it was not measured."""
    found = result.get("trigger") or {}
    text = sentence(found.get("reason") or found.get("sentence"))
    return f"{capital(text).rstrip('.')}." if text else ""


def ablation(result: Result) -> list[str]:
    """Say what each block of columns that was left out adds to the picks."""
    lines = []
    for item in result.get("ablation") or []:
        size = numbers.r_multiple(item.get("adds_r"))
        lines.append(
            f"{item.get('block')} adds {size} to a pick "
            f"(95 % interval {numbers.interval(item.get('interval'))}), paired by day"
        )
    return lines
