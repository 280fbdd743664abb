"""What every check asks, in one line, and how its numbers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ffm_core.records.verdict import reason_of
from ffm_core.report import numbers

Unit: TypeAlias = Literal["r", "count", "share", "probability", "p", "other"]
OUTCOMES = ("pass", "fail", "inconclusive", "refused", "info", "n/a")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWords:
    """What a check asks, in one line, and how its numbers read.

    ``needs`` holds ``{}`` where the threshold goes and ``fails`` where the effect
    asked for goes; ``unit`` is the unit of the value and the threshold.
    """

    title: str
    brief: str = ""  # at most 20 letters, for the terminal
    question: str = ""
    unit: Unit = "other"
    needs: str = "{}"
    fails: str = ""


_ABOVE = "low end above {}"
_EXCLUDED = "fails if the high end is below {}"

CHECKS = {
    "certificate": CheckWords(
        title="No look-ahead", brief="no look-ahead",
        question="Does anything change when later bars are hidden or altered?",
        unit="count", needs="nothing found"),
    "sample": CheckWords(
        title="Enough to judge", brief="enough to judge",
        question="Are there enough trades, days with trades and test months?",
        unit="count", needs="at least {} trades"),
    "profit": CheckWords(
        title="Earns after costs", brief="earns after costs",
        question="Is the mean net result per trade above zero beyond doubt?",
        unit="r", needs=_ABOVE, fails=_EXCLUDED),
    "naive": CheckWords(
        title="Better than taking everything", brief="beats taking all",
        question="How much more does a pick earn than the average decision?",
        unit="r", needs=_ABOVE, fails=_EXCLUDED),
    "random": CheckWords(
        title="Better than random picks", brief="beats random picks",
        question="How much more does it earn than as many picks at random?",
        unit="r", needs=_ABOVE, fails=_EXCLUDED),
    "shuffle": CheckWords(
        title="Better than shuffled labels", brief="beats shuffled",
        question="How often does a model trained on scrambled outcomes do as well?",
        unit="p", needs="p at most {}", fails="fails if an edge of {} is excluded"),
    "entry": CheckWords(
        title="Better than random entries", brief="beats random entries",
        question="Do the moments matter, or would any bar of those hours do?",
        unit="r", needs=_ABOVE, fails=_EXCLUDED),
    "deflated": CheckWords(
        title="Better than the luckiest try", brief="beats lucky tries",
        question="How likely does it beat what the luckiest of all your trials would show by "
        "chance?",
        unit="probability", needs="at least {}"),
    "generalisation": CheckWords(
        title="Holds up after validation", brief="holds up in test",
        question="How much does it lose from validation to the test months?",
        unit="r", needs="at most {}"),
    "unseen": CheckWords(
        title="Test months no model has seen", brief="months unseen",
        question="Was every fitted model finished before the first test month?",
        unit="count", needs="no overlap"),
    "tradable": CheckWords(
        title="Could have been traded", brief="could be traded",
        question="How many test decisions do holes and bars without volume make void?",
        unit="share", needs="at most {}"),
    "months": CheckWords(
        title="Every test month up", brief="every month up",
        question="Even real edges lose in some months; its power says how rarely they do not.",
        unit="share", needs="all"),
}  # fmt: skip

_UNITS: Mapping[Unit, tuple[Callable[[object, int], str], int]] = {  # and its usual digits
    "r": (numbers.r_multiple, 2),
    "count": (numbers.decimal, 0),
    "share": (numbers.percent, 0),
    "probability": (numbers.decimal, 3),
    "p": (numbers.decimal, 3),
    "other": (numbers.size, 0),
}


def check_words(name: str) -> CheckWords:
    """Return the words of a check; a check from a plug-in is called by its own name."""
    known = CHECKS.get(name)
    plain = name.replace("_", " ").replace("-", " ")
    return known or CheckWords(title=plain, brief=plain)


def _marks(check: Mapping[str, Any]) -> tuple[object, object]:
    """Return what the numbers of a check are compared with."""
    unit = check_words(check["name"]).unit
    return check.get("threshold"), check.get("effect") if unit == "r" else None


def _digits(check: Mapping[str, Any], unit: Unit, *values: object) -> int:
    """Return digits at which none of some values of a check contradicts its outcome."""
    scale = 100.0 if unit == "share" else 1.0
    known, marks = ([scale * n for x in group if (n := numbers.finite(x)) is not None]
                    for group in (values, _marks(check)))  # fmt: skip
    return numbers.beside(known, marks, _UNITS[unit][1])


def measured(check: Mapping[str, Any]) -> str:
    """Return the value of a check in its unit, without its interval.

    Where permutations stopped early, p is a bound.
    """
    unit = check_words(check["name"]).unit
    if check["name"] == "certificate":
        n = numbers.finite(check.get("value"))
        return "nothing found" if not n else f"{numbers.count(n)} found"
    show, _ = _UNITS[unit]
    text = show(check.get("value"), _digits(check, unit, check.get("value")))
    if unit == "p" and text != numbers.BLANK:
        return f"p {'≥' if _is_bound(check) else '='} {text}"
    return text


def _is_bound(check: Mapping[str, Any]) -> bool:
    """Say whether the p shown is that of permutations which stopped early."""
    reason = reason_of(check.get("reason"))
    told = reason.numbers if reason else {}
    return any(
        told.get(f"{kind}_stopped") and told.get(f"{kind}_p") == check.get("value")
        for kind in ("full", "block")
    )


def interval(check: Mapping[str, Any]) -> str:
    """Return the interval of a check, with digits that agree with its outcome."""
    ends = check.get("interval") or ()
    return numbers.interval(ends, _digits(check, check_words(check["name"]).unit, *ends))


def needed(check: Mapping[str, Any]) -> str:
    """Return what the check asked for, its threshold filled in."""
    words = check_words(check["name"])
    if "{}" not in words.needs:
        return words.needs
    threshold = numbers.finite(check.get("threshold"))
    if threshold is None:
        return numbers.BLANK
    if threshold == 0 and words.unit == "r":
        return words.needs.format("zero")
    return words.needs.format(_mark(check, threshold, words.unit))


def fails(check: Mapping[str, Any]) -> str:
    """Return when the check would have failed rather than stayed open; may be empty."""
    words = check_words(check["name"])
    effect = numbers.finite(check.get("effect"))
    if not words.fails or effect is None:
        return ""
    return words.fails.format(_mark(check, effect, "r"))


def _mark(check: Mapping[str, Any], value: float, unit: Unit) -> str:
    show, digits = _UNITS[unit]
    scaled = 100.0 * value if unit == "share" else value
    wanted = _digits(check, unit, check.get("value"), *(check.get("interval") or ()))
    return show(value, numbers.mark(scaled, digits, wanted)).removeprefix("+")


def explains_itself(check: Mapping[str, Any]) -> bool:
    """Say whether value, interval and need already say all that the reason says."""
    known = CHECKS.get(check["name"])
    return known is not None and known.unit == "r" and bool(check.get("interval"))


def detectable(check: Mapping[str, Any]) -> str:
    """Return the smallest effect the check could have seen; R for the shuffle test too."""
    unit = check_words(check["name"]).unit
    show, digits = _UNITS["r" if unit == "p" else unit]
    return show(check.get("minimum_detectable"), digits).removeprefix("+")
