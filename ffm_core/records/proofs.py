"""The words of failures: what was proven against a plug-in, and what repairs it.

Everyone who shows a failure makes its sentences here, the falsifier's own errors among
them; :mod:`ffm_core.report.reasons` holds the words of all other reasons. A template is
plain text with fields; ``{full:.6g}`` is a number as Python formats it. What stands in
square brackets is left out when a field in it is missing; of several choices, parted by
``|``, the first that is complete is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from ffm_core.records.verdict import Reason

Value: TypeAlias = float | str | None
Show: TypeAlias = Callable[[Reason, str, str], str]

FIELD = re.compile(r"\{(\w*)(?::([^{}]*))?\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")

_LATER = "[; the first later bar that matters is {later:d} ({later_stamp})]"
_PEEKS = {
    "late": "the decision is missing when bar {last:d} is the last one known",
    "side": "the decision has the other side when bar {last:d} is the last one known",
    "vanishes": "a decision made when bar {last:d} was the last one known vanishes later",
    "value": "the value is {part:.6g} when bar {last:d} is the last one known and {full:.6g} in "
    "the full series",
}
_CHANGED = {
    "changed_late": "the decision disappears",
    "changed_side": "the side of the decision turns",
    "changed_vanishes": "a decision appears",
    "changed_value": "the value moves from {full:.6g} to {part:.6g}",
}
_HISTORY = "[{bars:d} bars and {days:d} trading dates|{bars:d} bars|{days:d} trading dates]"
_FOUND = {
    "edits_bars": "it edits the bars it is given",
    "calls_disagree": "two calls on the same bars disagree",
    "later_call_disagrees": "a later call on the same bars disagrees",
    "remembers": "it remembers bars from earlier calls and answers from them",
    "process_disagrees": "another process, with other threads, hash seed, clock and time zone, "
    "returns different values",
    "infinite": "the value is infinite",
    "stream_disagrees": "the stream says {part:.9g} where the batch says {full:.9g}",
    "snapshot_disagrees": "a stream restored from a snapshot goes another way",
    **{kind: text + _LATER for kind, text in _PEEKS.items()},
    **{
        f"mirrored_{kind}": f"on the mirrored series it reads later bars: {text}{_LATER}"
        for kind, text in _PEEKS.items()
    },
    **{
        kind: f"{text} when bars from {{cut:d}} on are changed[ ({{change}})]{_LATER}"
        for kind, text in _CHANGED.items()
    },
    "history_drifts": f"on {_HISTORY} of history the value differs in its last digits "
    "({relative:.1g} of itself), as a running sum does",
    "history_short": f"{_HISTORY} of history do not reproduce it",
    "stored_dates": "on {days:d} date(s), the first at {first}, the same bars get another answer "
    "when they are moved by whole weeks, and at {times:d} other times that answer is always the "
    "same: it is stored for these dates and not computed",
    "stored_fails": "it fails when the same bars are moved by {weeks:d} weeks, there and back: it "
    "looks up answers that are stored for these dates[ ({error})]",
    "stored_rows": "a simulated walk that begins {skip:d} bars later gets the same {rows:d} "
    "answers row for row, and none in the {behind:d} rows behind them: they are stored by row",
    "stored_ends": "it fails on a simulated walk that is longer than the {rows:d} bars of this "
    "file: it looks up answers that are stored by row[ ({error})]",
}
_LOADED = "[ while it is {when}]"
_OPENED = {
    "opens_something": "it opens a file, a connection or a process while it is loaded or called",
    **{
        kind: text + _LOADED
        for kind, text in {
            "opens_file": "opens the file {file}[ ({reader})]",
            "writes_file": "writes the file {file}",
            "opens_database": "opens the database {file}",
            "connects_to": "connects to {host}",
            "listens_at": "listens at {host}",
            "sends_to": "sends to {host}",
            "looks_up": "looks up {host}",
            "requests": "requests {host}",
            "starts_process": "starts another process",
            "becomes_process": "becomes another process",
            "forks_process": "forks another process",
            "reads_environment": "reads the whole environment",
        }.items()
    },
    "reads_variable": "reads the environment variable {variable}, whose name it computes",
    "imports_module": "imports {module}, whose name it computes",
}
_CARRIED = {
    "carries": "[{name}: ]{form} of {count:,.0f} {of}",
    "carries_source": "[{name}: ]{form}",
    "carries_file": "[the file {file} of its package|a file of its package]",
}
_SPENT = {
    "ran_longer": "it ran longer than {seconds:g} s",
    "calls_ran_longer": "its calls took longer than {seconds:g} s in total",
    "needed_memory": "it needed more than {gib:.3g} GiB of memory",
    "process_died": "its process died ({how}); memory may have run out",
}
_HELD = " ({value:.6g}, end bar {end:d})"
_FULL = "[{full:.6g} with end bar {full_end:d}|undefined]"
_PART = "[{part:.6g} with end bar {part_end:d}|undefined]"
_TARGETS = {
    "target_infinite": f"the value is infinite{_HELD}",
    "target_no_class": f"the value is none of the {{classes:d}} classes{_HELD}",
    "target_undefined": "value and end_bar do not agree on whether the row is defined" + _HELD,
    "target_ends_before": f"it ends before its own bar{_HELD}",
    "target_ends_after": f"it ends after the last bar{_HELD}",
    "target_ends_late": f"it ends more than the declared {{horizon:d}} bars later{_HELD}",
    "target_reads_on": f"it is {_PART} when bar {{last:d}} is the last one known and {_FULL} in "
    f"the full series{_LATER}",
    "target_moves": f"it moves from {_FULL} to {_PART} when bars from {{cut:d}} on are changed "
    "({change})",
    "target_remembers": f"on the mirrored series it is {_PART} when bar {{last:d}} is the last one "
    f"known and {_FULL} later: it remembers earlier calls",
}
_DECISION = "[the decision of {decision}: ]"
_TWO = ": the {answer} is {full:.9g} and {part:.9g}"
_LEARNERS = {
    "row_depends": f"{_DECISION}its {{answer}} is {{full:.6g}} when {{rows:d}} rows are shown and "
    "{part:.6g} when {how:shown}",
    "score_not_finite": f"{_DECISION}the score is not finite",
    "edits_view": "it edits {array} of {view:view}",
    "plans_disagree": f"{_DECISION}two calls of plan() on the same rows disagree{_TWO}",
    "stored_disagrees": f"{_DECISION}the model that went to bytes and back disagrees with itself"
    + _TWO,
    "fits_disagree": f"{_DECISION}two fits with one seed disagree{_TWO}",
    "fit_remembers": f"{_DECISION}a fit on other rows changes the next one{_TWO}",
    "pickled": "its bytes are a pickle, which runs code",
}
_EMBEDDERS = {
    "edits_windows": "it edits the windows it is given",
    "embeds_disagree": "two calls on the same windows disagree",
    "window_depends": "of window {window:d} it says {full:.9g} when {windows:d} windows are shown "
    "and {part:.9g} when {how:shown}",
    "fresh_disagrees": "of window {window:d} it says {full:.9g} here and {part:.9g} in a fresh "
    "process that is asked in another order",
}
_REACHES = (
    "at {end}, but {next_part} begins with the decision of {begins} ({over:d} of {rows:d} "
    "{part} rows reach into {next_part})"
)
_OTHERS = {
    "step_disagrees": "the trade entered at bar {bar:d} ends differently when its step is "
    "{how:asked}",
    "label_known_late": "the label of the decision of {decision} on {stream} is known " + _REACHES,
    "label_open_late": "the label of the decision of {decision} on {stream} could still be open "
    + _REACHES,
    "row_in_two_parts": "the decision of {decision} on {stream} stands in {part} and in "
    "{next_part}",
    "row_tested_twice": "the decision of {decision} on {stream} is tested in fold {fold:d} and "
    "again in fold {again:d}",
}

_REPAIRS = {
    "fix_purity": "return new arrays, draw from a generator seeded inside the call, and keep "
    "nothing between calls",
    "fix_determinism": "use no hash(), set order, clock, time zone of the machine, number of cores "
    "or order of threads",
    "fix_access": "compute from the bars, the parameters, and files of its own package alone; "
    "declare a table from outside as an input and hand it over with --input NAME=FILE",
    "fix_named": "name modules and environment variables in the code, so that they are part of it",
    "fix_budget": "do not wait; keep memory bounded, and time proportional to the number of bars",
    "fix_stream": "compute batch and stream with the same kernel, and put the whole state into "
    "snapshots",
    "fix_stored": "hand outside data over as a declared input (inputs=(Input(name=...),) and "
    "--input NAME=PATH); what can be computed for any date, compute",
    "fix_values": "return NaN where a value is undefined",
    "fix_withdrawn": "a decision once made must stay: a condition on later bars removes it here; "
    "decide on closed bars only and never withdraw",
    "fix_mutation": "a condition on later bars, not met in these data: drop it or test closed bars "
    "only",
    "fix_waits": "decide at the last bar given, too; a decision that waits for a later bar is made "
    "at that later bar",
    "fix_next_bar": "the row reads the next bar: look for shift(-1), a next-bar price or a flag "
    "set one bar early, and stamp the row at the bar that completes it",
    "fix_open_bar": "a {longer} bar is used before it has closed: release it after its last bar",
    "fix_few_bars": "rows up to {reach:d} bars back change: a centred window, a back-fill, or a "
    "pivot stamped at its own bar; stamp the row at the bar that completes it",
    "fix_whole_series": "many earlier rows change: a statistic of the whole file or session (mean, "
    "rank, total, back-fill, adjustment); use rolling or expanding values",
    "fix_running_sum": "declare memory='recursive', or compute every window anew",
    "fix_more_days": "declare more days, or history_days=None",
    "fix_whole_history": "declare history_bars=None: it depends on where the series starts",
    "fix_history": "declare history_bars={bars:d}, which would do here, or None",
    "fix_end_bar": "give as end_bar the last bar the value reads, and NaN with end_bar -1 until "
    "that bar is known",
    "fix_target_purity": "return new arrays, keep nothing between calls and draw from no global "
    "generator",
    "fix_classes": "give class numbers from 0, MASKED, or NaN",
    "fix_undefined": "give end_bar -1 exactly where the value is NaN",
    "fix_last_read": "end_bar is the last bar the value reads",
    "fix_horizon": "declare the horizon_bars it needs; purging relies on it",
    "fix_rows": "take ranks, scales and thresholds from training rows in fit(); plan() answers "
    "each row from that row alone",
    "fix_seed": "draw from the given seed only, with one thread or an order that does not matter",
    "fix_kept_fit": "keep nothing between fits; prepare() and fit() begin anew on every fold",
    "fix_bytes": "to_bytes() stores all that plan() reads, numbers exactly; load() reads back "
    "nothing else",
    "fix_pickle": "store numbers and names (ffm_core.container.pack), never a pickle",
    "fix_plan": "change nothing that is passed in and keep nothing between calls of plan()",
    "fix_score": "score every row",
    "fix_windows": "answer each window from that window alone: no mean, scale or rank over the "
    "windows of a call, and the same arithmetic however many there are (pad every call to one "
    "size)",
    "fix_embed": "change nothing that is passed in and keep nothing between calls",
    "fix_fresh": "keep nothing between calls, draw from a fixed seed inside the call, and use one "
    "number of threads",
    "fix_weights": "load weights when the module is imported; embed() computes from the windows "
    "alone",
    "fix_step": "compute orders from trade, bar, row, f, i and k alone; draw nothing at random",
    "fix_folds": "let the labels end where they say: the horizon a trade is given bounds its "
    "label, and folds are purged by it; if they do, the splitter is at fault: please report this "
    "plan",
}

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Failures": _FOUND,
    "Failures: files, connections and processes": _OPENED,
    "Failures: time and memory": _SPENT,
    "What a plug-in carries": _CARRIED,
    "Failures of targets": _TARGETS,
    "Failures of learners": _LEARNERS,
    "Failures of embedders": _EMBEDDERS,
    "Failures of exit policies and folds": _OTHERS,
    "Repairs": {kind: "[this line: {why}; ]" + text for kind, text in _REPAIRS.items()},
}
_WORDS: Mapping[str, str] = {
    "stated": "{text}",
    **{kind: text for group in GROUPS.values() for kind, text in group.items()},
}

# What a name stands for, by the field that shows it.
PHRASES: Mapping[str, Mapping[str, str]] = {
    "shown": {
        "first": "the first {count:d} are shown",
        "reversed": "the order is reversed",
        "rows_shuffled": "the rows are shuffled",
        "half_rows": "half of the rows are shown",
        "alone": "it is shown alone",
        "without_last": "the last third is left out",
        "windows_shuffled": "the windows are shuffled",
        "half_windows": "half of the windows are shown",
        "among_others": "others stand between the windows",
    },
    "view": {"plan": "the view of a plan"},
    "asked": {"twice": "asked twice", "bar_by_bar": "asked bar by bar"},
}


def told(reason: Reason | None) -> str:
    """Return the words of a failure or its repair, without a capital and a full stop.

    Parameters
    ----------
    reason : Reason, optional
        A kind that is not known here, as a newer FFM may have written, is called by
        its own name.
    """
    if reason is None:
        return ""
    template = _WORDS.get(reason.kind)
    return reason.kind.replace("_", " ") if template is None else filled(template, reason, _shown)


def of_line(repair: Reason | None, why: str) -> Reason | None:
    """Return a repair that also says what the line at fault looks like, where that is known."""
    return replace(repair, names={**repair.names, "why": why}) if repair and why else repair


def number(value: float) -> float | str:
    """Return a value of a plug-in for a reason; one that is not finite by its name.

    Records hold no NaN and no infinity, and the words of a failure may be about one.
    """
    return float(value) if math.isfinite(value) else f"{value:g}"


def filled(template: str, reason: Reason, show: Show) -> str:
    """Fill in a template; ``show(reason, field, how)`` returns the text of a field."""

    def optional(part: re.Match[str]) -> str:
        for choice in part[1].split("|"):
            if all(value_of(reason, name) is not None for name, _ in FIELD.findall(choice)):
                return choice
        return ""

    def field(part: re.Match[str]) -> str:
        return show(reason, part[1], part[2] or "")

    return FIELD.sub(field, _OPTIONAL.sub(optional, template))


def value_of(reason: Reason, name: str) -> Value:
    """Return a name or a finite number of a reason, None where it has none."""
    if name in reason.names:
        return reason.names[name]
    value: object = reason.numbers.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _shown(reason: Reason, name: str, how: str) -> str:
    value = value_of(reason, name)
    if value is None:
        return "–"
    if isinstance(value, str):
        phrase = PHRASES.get(how, {}).get(value)
        return value if phrase is None else filled(phrase, reason, _shown)
    return format(int(value) if how == "d" else value, how)


__all__ = ["FIELD", "GROUPS", "PHRASES", "filled", "number", "of_line", "told", "value_of"]
