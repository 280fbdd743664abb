"""``records.md``: the public records, field by field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from typing import Any

from _pages import markdown as md
from ffm_core import records
from ffm_core.bars import Bars, Timeframe

_INTRO = """# Records

What hooks offer and what a verdict is made of. All are frozen and keyword-only; arrays
are read-only. Fields may be added with a default; none changes its meaning within one
`HOOK_API`. Import them from `ffm_core.records`; the ones a plug-in author needs most
(`Labeler`, `Decisions`, `Column`, `Param`, `FeatureSet`, `ExitPolicy`, `Control`,
`VerdictCheck`, `CheckSet`) also from `ffm_core`.

Axes: `T` bars, `N` decisions, `F` features, `D` trading days, `n` trades. Times are UTC.
`R` is the distance from entry to stop.

"""
_GROUPS = {
    "What a strategy is made of": ("Labeler", "Decisions", "Param", "Column", "Input"),
    "What extensions offer": (
        "FeatureSet", "FeatureStream", "Embedder", "ExitPolicy", "Control", "VerdictCheck",
        "CheckSet", "Command",
    ),
    "Targets": ("Target", "TargetValues"),
    "What a learner sees and answers": (
        "Design", "View", "Plan", "Model", "Learner", "TargetHead", "TargetLearner",
    ),
    "What becomes of decisions": ("Outcomes", "Trades"),
    "What a verdict is made of": (
        "Certificate", "Examined", "Failure", "TrialContext", "ShuffleResult", "Evidence",
        "CheckResult", "Reason", "Verdict",
    ),
}  # fmt: skip

_COMMON = {
    "name": "As typed and shown.",
    "summary": "One line for lists and reports.",
    "params": "Settings, in order of display.",
    "columns": "Declared columns, in order.",
    "description": "In words.",
    "memory": "`finite`, `recursive` or `event`: how far back a value reaches.",
    "default": "Value when nothing is set; its type is the setting's type.",
    "minimum": "Smallest value allowed; None for no bound.",
    "maximum": "Largest value allowed; None for no bound.",
    "choices": "Values allowed; empty for any.",
    "change": "`(view, rng) -> view`: the training view the arm is fitted on.",
    "judge": "`evidence -> CheckResult`.",
    "claims": "Claims the check belongs to.",
    "constants": "Numbers of the check; part of the pre-registration.",
    "unit": "Unit of the values, such as `ATR` or `ratio`.",
}


def page() -> str:
    """Return the page."""
    parts = [_INTRO, "## Bars\n", md.plain(inspect.getdoc(Bars) or "").split("\n\n")[0] + "\n"]
    parts.append(_members(Bars))
    parts.append(f"### `Timeframe`\n\n{md.summary(Timeframe)}\n\n{_members(Timeframe)}")
    for title, names in _GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_record(name) for name in names]
    parts.append(_codes())
    return md.join(parts)


def public() -> set[str]:
    """Return the names of every record and protocol of ``ffm_core.records``."""
    return {
        name
        for name, value in vars(records).items()
        if inspect.isclass(value) and value.__module__.startswith(f"{records.__name__}.")
    }


def listed() -> set[str]:
    """Return the names this page describes."""
    return {name for names in _GROUPS.values() for name in names}


def _record(name: str) -> str:
    kind: Any = getattr(records, name)
    body = md.sections(kind)
    parts = [f"### `{name}`\n", md.plain(body[""]) + "\n"]
    if dataclasses.is_dataclass(kind):
        parts.append(fields_of(kind, body.get("Parameters", "")))
    methods = _members(kind)
    return md.join([*parts, methods])


def fields_of(kind: Any, documented: str) -> str:
    """Return the fields of a dataclass; ``documented`` is its Parameters section."""
    told: dict[str, tuple[str, str]] = {}
    for names, shape, text in md.entries(documented):
        for name in names.split(","):
            told[name.strip()] = (shape, text)
    notes = {**_COMMON, **_notes(kind)}
    rows = []
    for field in dataclasses.fields(kind):
        shape, text = told.get(field.name, ("", ""))
        shown = shape.replace("``", "`").replace("`", "") or str(field.type)
        rows.append((md.code(field.name), md.code(shown), _default(field),
                     text or notes.get(field.name, "")))  # fmt: skip
    return md.table(("field", "type", "default", "meaning"), rows)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return md.code(repr(field.default))
    return "empty" if field.default_factory is not dataclasses.MISSING else "required"


def _notes(kind: Any) -> dict[str, str]:
    """Return the comment behind each field, which says its unit or meaning."""
    source = inspect.getsource(kind)
    lines = source.split("\n")
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            _, mark, note = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
            if mark:
                found[node.target.id] = md.plain(note.strip())
    return found


def _members(kind: Any) -> str:
    """Return public methods and properties with their first line."""
    rows = []
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            rows.append((md.code(name), md.summary(value)))
        elif inspect.isfunction(value) or isinstance(value, classmethod):
            call = getattr(kind, name)
            arguments = [str(p).split(":")[0] for p in inspect.signature(call).parameters.values()
                         if p.name != "self"]  # fmt: skip
            rows.append((md.code(f"{name}({', '.join(arguments)})"), md.summary(call)))
        elif hasattr(value, "func") and hasattr(value, "attrname"):
            rows.append((md.code(name), md.summary(value.func)))
    return md.table(("member", "what it gives"), rows) if rows else ""


def _codes() -> str:
    reasons = ", ".join(md.code(name) for name in records.REASONS)
    voids = ", ".join(md.code(name) for name in records.VOIDS)
    return (
        "## Codes\n\n"
        f"`Outcomes.reason` indexes `REASONS`: {reasons}.\n\n"
        f"`Outcomes.void_reason` indexes `VOIDS`: {voids}.\n"
    )
