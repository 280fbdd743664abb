"""What stands beside a verdict: limits, markets, embedders, far trades, the sealed tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ffm_core.report import numbers
from ffm_core.report.reasons import capital, sentence

Result: TypeAlias = Mapping[str, Any]


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
