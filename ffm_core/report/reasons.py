"""The words of every reason: one table, from which terminal and page are written alike.

Those of failures lie in :mod:`ffm_core.records.proofs`, where the falsifier can use them.

A template is plain text with fields. ``{trades:n trade}`` is a number and a noun in the
right form, ``{mean:est}`` an estimate with its interval, ``{limit:u2}`` a result in R with
two digits. What stands in square brackets is left out when a field in it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from ffm_core.records import DATA_VOIDS, VOID_WORDS, Examined, Reason, proofs
from ffm_core.records.proofs import FIELD, PHRASES, filled, value_of
from ffm_core.records.verdict import reason_of as read
from ffm_core.report import numbers
from ffm_core.report.questions import check_words

_VERDICT = {
    "pass_selection": "over {months:n test month} the model's picks beat taking every decision, "
    "random picks and permuted labels; past results are no promise",
    "pass_trigger": "over {months:n test month} the strategy's own decisions earned after costs "
    "and beat random entries; past results are no promise",
    "ruled_out": "over {months:n test month} the data rule out an edge worth having: do not trade "
    "{claim:subject}",
    "choice_ruled_out": "over {months:n test month} the data rule out that the model's choice adds "
    "an edge worth having: do not trade {claim:subject}",
    "timing_ruled_out": "over {months:n test month} the data rule out that these moments earn an "
    "edge worth having more than random ones: do not trade {claim:subject}",
    "checks_failed": "not every check held over {months:n test month}[: {1:checks}]",
    "undecided": "{months:n test month} neither show an edge nor rule one out: no conclusion yet "
    "about {claim:subject}",
    "unsettled": "over {months:n test month} the trades earn after costs, but not every check is "
    "settled: no conclusion yet about {claim:subject}",
    "pass_set": "over {months:n test month} every check of the set passed: {1:checks}; past "
    "results are no promise",
    "house_rule_failed": "every check of [{whose}|FFM] passed, but a house rule did not: "
    "{1:checks}",
    "house_rule_open": "every check of [{whose}|FFM] passed, but a house rule is still open: "
    "{1:checks}",
    "house_rule_too": "house rules that did not hold either: {1:checks}",
    "model_adds_nothing": "the rule earns on its own; the model adds nothing",
    "model_not_shown": "the rule earns on its own; these data do not show that the model adds "
    "anything",
    "no_decision": "the strategy made no decision in the test months",
    "rule_earns": "taking every decision earns {mean:est} after costs[, {over:est} more than "
    "random entries in the same months and hours]: the rule has an edge of its own",
    "rule_drifts": "taking every decision earns {mean:est} after costs[, {over:est} more than "
    "random entries in the same months and hours]: a profit, but not one that the rule's timing "
    "is shown to make",
    "rule_flat": "taking every decision earns {mean:est} after costs[, {over:est} more than random "
    "entries in the same months and hours]: no edge of the rule is shown",
    "random_entries_earn": "random entries under this exit policy earn {mean:est} after costs: the "
    "market drifted, or the exit policy knows too much; only the comparison with random entries "
    "says what is left of the edge",
    "months_to_settle": "about {months:n test month} in all would settle it if the figures hold "
    "({so_far:n} so far)",
    "over_50_years": "settling it would take more than 50 years of data like these",
    "months_settle_nothing": "more months like these would not settle {1:checks}",
    "nothing_measured": "no check measured an edge, so more data would settle nothing",
    "not_deterministic": "an earlier run of this trial found another result, and this one counts "
    "as a trial of its own: something here is not deterministic",
}  # fmt: skip
_REFUSED = {
    "refused_look_ahead": "the strategy or a feature uses future bars; nothing else was computed",
    "refused_contract": "the strategy or a feature violates its contract; nothing else was "
    "computed",
    "refused_exit": "the exit policy uses more than a trader could know; nothing else was computed",
    "refused_learner": "the learner's answer for a row depends on more than that row; nothing else "
    "was computed",
    "refused_bytes": "the learner's models do not come back from their bytes as they were; "
    "nothing else was computed",
    "refused_embedder": "the embedder's vector depends on more than its own window; nothing else "
    "was computed",
    "refused_fold": "labels reach across the edge of a fold; nothing else was computed",
    "start_looking": "start looking at {function}() in {file}, line {line:n}; the usual causes are "
    "an index t + 1, shift(-1), roll(-1) and statistics of the whole series",
}
_SEEN = {
    "seen_cutoff": "{block} {name} may have been fitted to the test months: its cut-off is {day}, "
    "and the first test month starts on {begins}",
    "seen_release": "{block} {name} may have been fitted to the test months: its cut-off is "
    "unknown, it was released on {day}, and the first test month starts on {begins}",
    "seen_unknown": "{block} {name} may have been fitted to the test months: it states neither a "
    "cut-off nor a release date, and the first test month starts on {begins}",
    "overlap_accepted": "accepted with --accept-overlap: a model may have seen the test months",
    "overlap_fix": "judge later months (--from DATE), use a model that is older or has seen no "
    "market, or accept the risk with --accept-overlap",
}
_CHECKS = {
    "untraded": "{share:%1} of {decisions:n test decision} could not have been traded with these "
    "data ({void_:voids}); no PASS and no FAIL rests on the others",
    "no_look_ahead": "no look-ahead in {cuts:n cut}; a leak in more than {bound:%2} of the rows "
    "would have shown",
    "little_proven": "no look-ahead in {cuts:n cut}, but too little could be proven: only a leak "
    "in more than {bound:%2} of the rows would have shown; a verdict needs {most:%2} or less",
    "check_raised": "it raised an error instead of answering[: {error}]",
    "failures_found": "{count:n failure}; the certificate has the details",
    "sample_enough": "{trades:n trade} on {days:n day} in {months:n test month}",
    "sample_short": "{trades:n trade} on {days:n day} in {months:n test month}; at least "
    "{min_trades:n trade}, {min_days:n day} and {min_months:n month} are needed",
    "shown": "{measure:measured}",
    "excluded": "{measure:measured}: an edge of {effect:u3} is ruled out",
    "open": "{measure:measured}: neither zero nor an edge of {effect:u3} is ruled out",
    "no_interval": "{measure:measured}: too few days with trades, or too few different ones, for "
    "an interval",
    "no_trade": "no trade was taken",
    "took_everything": "the model took every decision, so there is no selection to compare",
    "arm_missing": "there is no {arm} arm to compare with",
    "no_random_entry": "no random entry could be matched",
    "few_draws": "{draws:n random draw}; at least {needed:n} are needed",
    "no_permutations": "the permutations {variant:labels} were not run",
    "shuffle_passed": "{full:permuted}; {block:permuted}[; p at most {alpha:d3} is asked for]",
    "shuffle_excluded": "{full:permuted}; {block:permuted}: an edge of {effect:u3} is ruled out"
    "[; p at most {alpha:d3} is asked for]",
    "shuffle_open": "{full:permuted}; {block:permuted}[: an edge of {effect:u3} is not ruled out]"
    "[; p at most {alpha:d3} is asked for]",
    "deflated": "probability {probability:d3}[, at least {asked:d2} is asked for,] that the edge "
    "is more than the luckiest of {trials:n trial} would show (daily Sharpe {sharpe:d3}, luck "
    "alone {luck:d3})",
    "no_variation": "daily R does not vary, so it has no Sharpe ratio",
    "no_validation_trade": "there is no validation trade to compare with",
    "generalisation": "from validation to test the mean falls by {value:est}; at most {limit:u2} "
    "is allowed",
    "months_up": "{good:n} of {months:n test month} profitable; a real edge of {effect:u2} would "
    "win in every one with probability {power:d2}",
}

GROUPS: Mapping[str, Mapping[str, str]] = {
    "In a plug-in's own words": {"stated": "{text}"},
    "Verdicts": _VERDICT,
    "Refusals": _REFUSED,
    "Models that may have seen the test months": _SEEN,
    "Checks": _CHECKS,
    **proofs.GROUPS,
}
WORDS: Mapping[str, str] = {kind: text for group in GROUPS.values() for kind, text in group.items()}
_OWN: Mapping[str, str] = {**_VERDICT, **_REFUSED, **_SEEN, **_CHECKS}

_KINDS = {"features": "feature set", "exit": "exit policy"}
_SUBJECTS = {"selection": "the model's picks", "trigger": "these decisions"}
_MEASURED = {
    "profit": "the trades taken earn {value:est}",
    "naive": "{value:est} over taking every decision",
    "random": "{value:est} over random picks",
    "entry": "{value:est} over random entries in the same months and hours",
}
_PERMUTED = {"full": "labels permuted freely", "block": "labels permuted within weeks"}
_LABELS = {"full": "of all labels", "block": "within weeks"}


def sentence(value: object) -> str:
    """Return the words of a reason, without a capital and a full stop.

    Parameters
    ----------
    value : Reason, mapping, str or None
        As a record holds it. A kind that is not known here, as a newer FFM may have
        written, is called by its own name.
    """
    reason = read(value)
    if reason is None:
        return ""
    template = _OWN.get(reason.kind)
    return proofs.told(reason) if template is None else filled(template, reason, _shown)


def subject(value: object) -> str:
    """Return what was examined: ``labeler supertrend on ES/5m``; older records say it in words."""
    if isinstance(value, Examined):
        value = asdict(value)
    if not isinstance(value, Mapping):
        return str(value or "")
    kind, name, stream = (str(value.get(part) or "") for part in ("kind", "name", "stream"))
    if not name:
        return numbers.plural(kind)
    text = f"{_KINDS.get(kind, kind)} {name}"
    return f"{text} on {stream}" if stream else text


def capital(text: str) -> str:
    """Return a sentence that stands alone."""
    return text[:1].upper() + text[1:]


def _shown(reason: Reason, name: str, spec: str) -> str:
    if spec in _WHOLE:
        return _WHOLE[spec](reason, name)
    value = value_of(reason, name)
    if isinstance(value, str):
        return _NAMED[spec][value] if spec in _NAMED and value in _NAMED[spec] else value
    how, _, noun = spec.partition(" ")
    if how == "n":
        return numbers.counted(value, noun) if noun else numbers.count(value)
    letter, digits = spec[:1], spec[1:]
    if letter == "r":
        return numbers.r_multiple(value, int(digits or 3))
    if letter == "u":
        return numbers.r_multiple(value, _digits(reason, name, int(digits))).removeprefix("+")
    if letter == "d":
        return numbers.decimal(value, _digits(reason, name, int(digits)))
    if letter == "%":
        return numbers.percent(value, int(digits or 0))
    return numbers.size(value)


# What numbers of a reason are compared with, and which ones.
_COMPARED = (
    (("effect", "limit"), ("value", "full_over", "block_over")),
    (("alpha",), ("full_p", "block_p")),
    (("asked",), ("probability",)),
)


def _digits(reason: Reason, name: str, digits: int) -> int:
    """Return digits at which a number contradicts nothing that it is compared with.

    Those of a threshold stay few where they say it exactly.
    """
    for marks, judged in _COMPARED:
        if name in marks or name.startswith(judged):
            beside = name in marks
            near = judged if beside else (name,)
            values = [reason.numbers[one] for one in reason.numbers if one.startswith(near)]
            wanted = numbers.beside(values, [reason.numbers.get(one) for one in marks], digits)
            return numbers.mark(value_of(reason, name), digits, wanted) if beside else wanted
    return digits


def _estimate(reason: Reason, name: str) -> str:
    if value_of(reason, name) is None:
        return "nothing that can be measured"
    ends = [value_of(reason, f"{name}_low"), value_of(reason, f"{name}_high")]
    digits = numbers.beside(ends, [0.0], _digits(reason, name, 3))
    text = numbers.r_multiple(value_of(reason, name), digits)
    told = numbers.interval(ends, digits)
    return text if told == numbers.BLANK else f"{text} (95 % interval {told})"


def _measured(reason: Reason, name: str) -> str:
    return filled(_MEASURED.get(str(value_of(reason, name)), "{value:est}"), reason, _shown)


def _permuted(reason: Reason, name: str) -> str:
    """Say what one permutation test drew, found and came to, from its own draws alone."""
    sign = "≥" if value_of(reason, f"{name}_stopped") else "="
    drawn, planned = (value_of(reason, f"{name}_{part}") for part in ("draws", "planned"))
    p = numbers.decimal(value_of(reason, f"{name}_p"), _digits(reason, f"{name}_p", 3))
    told = [f"p {sign} {p} ({numbers.count(drawn)} of {numbers.counted(planned, 'permutation')})"]
    if value_of(reason, f"{name}_over") is not None:
        real = numbers.r_multiple(value_of(reason, f"{name}_real"), 3)
        told.append(f"REAL of one seed, {real}, is {_estimate(reason, f'{name}_over')} above them")
    outcome = value_of(reason, f"{name}_outcome")
    return f"{_PERMUTED[name]}{(outcome and f' ({outcome})') or ''}: {', '.join(told)}"


def _checks(reason: Reason, name: str) -> str:
    named = [value for key, value in reason.names.items() if key.isdecimal()]
    return titles(named)


def titles(names: Iterable[str]) -> str:
    """Return checks by their titles, in quotes."""
    return ", ".join(f"“{check_words(name).title}”" for name in names)


def _voids(reason: Reason, name: str) -> str:
    counts = {
        key.removeprefix(name): n for key, n in reason.numbers.items() if key.startswith(name)
    }
    every = sorted(counts, key=lambda void: -counts[void])
    return ", ".join(f"{numbers.count(counts[void])} {VOID_WORDS[void][0]}" for void in every)


_WHOLE: Mapping[str, Callable[[Reason, str], str]] = {
    "voids": _voids,
    "est": _estimate,
    "measured": _measured,
    "permuted": _permuted,
    "checks": _checks,
}
_NAMED: Mapping[str, Mapping[str, str]] = {"subject": _SUBJECTS, "labels": _LABELS}


_PARTS = ("p", "draws", "planned", "stopped", "real", "over", "over_low", "over_high")


def parts_of(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the numbers and the names that a kind of reason may have."""
    found: dict[str, bool] = {}  # whether it is a number
    for name, spec in FIELD.findall(WORDS[kind]):
        if spec == "est":
            found |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), True)
        elif spec == "permuted":
            found |= dict.fromkeys((f"{name}_{part}" for part in _PARTS), True)
            found[f"{name}_outcome"] = False
        elif spec == "measured":
            found |= {name: False, "value": True, "value_low": True, "value_high": True}
        elif spec == "voids":
            found |= dict.fromkeys((f"{name}{void}" for void in DATA_VOIDS), True)
        elif spec == "checks":
            found[name] = False
        elif spec in PHRASES:
            inner = (FIELD.findall(phrase) for phrase in PHRASES[spec].values())
            found |= {name: False, **{one: True for fields in inner for one, _ in fields}}
        else:
            found[name] = spec not in _NAMED and spec != ""
    return (
        tuple(name for name, number in found.items() if number),
        tuple(name for name, number in found.items() if not number),
    )


__all__ = ["GROUPS", "WORDS", "capital", "parts_of", "read", "sentence", "subject", "titles"]
