"""What plug-ins must answer: every rule once, for all who ask them.

An evaluation, the falsifier, streams and the contract kit call these functions, so one
mistake reads alike wherever it comes up. Each returns the answer it was given, or raises
:class:`~ffm_core.errors.StrategyError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ffm_core.records.features import Embedder, FeatureSet
from ffm_core.records.forms import (
    array_of,
    at_bar,
    first_place,
    of_kind,
    refused,
    require_rows,
    require_unique,
)
from ffm_core.records.learning import (
    ANSWERS,
    Control,
    Learner,
    Model,
    Plan,
    Target,
    TargetValues,
    View,
)
from ffm_core.records.strategy import KNOWN_AT, Decisions, Input, Labeler
from ffm_core.records.trades import ENTRY_LEVELS, LEVELS, ExitPolicy
from ffm_core.records.verdict import CheckResult, VerdictCheck
from ffm_core.types import Bool, Float32, Float64

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

FLAGS = LEVELS[len(ENTRY_LEVELS) :]  # columns that order to leave
Fine: TypeAlias = Callable[[Any], Bool]


def _a_target(values: Float64) -> Bool:
    return np.isfinite(values) & (values >= 1.0)


_TARGET_RULE = "expected a finite target of 1 R or more"
_TARGET_FIX = "give a target of at least 1 R; a nearer one only buys its hit rate with costs"
# What the numbers of a decision must be, field by field: fine, the rule, the fix.
TRADABLE: dict[str, tuple[Fine, str, str]] = {
    "risk": (
        lambda risk: np.isfinite(risk) & (risk >= 0),  # 0 is void, not wrong
        "expected a finite distance in points, 0 or more",
        "leave out decisions whose risk is not known yet; it is a distance in points",
    ),
    "stop_price": (
        np.isfinite,
        "expected a finite price",
        "leave out decisions whose stop is not known yet",
    ),
    "target_r": (_a_target, _TARGET_RULE, _TARGET_FIX),
    "horizon_bars": (
        lambda bars: bars >= 1,
        "expected 1 bar or more",
        "a trade lasts at least one bar, its entry bar",
    ),
}
_START_FIX = "return (f, i, k): float64 (n,), int64 (n,) and finite float64 (n,) arrays"

# --- labelers -----------------------------------------------------------------------------


def decisions(labeler: Labeler, answer: object, bars: Bars, *, tradable: bool = True) -> Decisions:
    """Return what ``decide`` answered for ``bars``: known bars, declared columns, fair numbers."""
    found, who = as_decisions(labeler, answer, bars), f"labeler {labeler.name!r}"
    require_known_bars(found, bars, who=who)
    require_declared(labeler, found)
    if tradable:
        require_tradable(found, bars, who=who)
        require_warm(labeler, found, bars)
    return found


def checked_inputs(record: Labeler | FeatureSet) -> tuple[Input, ...]:
    """Return the outside tables a record reads, which have to be declared soundly."""
    who = f"{'labeler' if isinstance(record, Labeler) else 'feature set'} {record.name!r}"
    require_unique(who, "input", [one.name for one in record.inputs])
    for one in record.inputs:
        require_unique(f"{who}, input {one.name!r}", "column", one.columns)
        if not one.columns or KNOWN_AT in one.columns or "=" in one.name:
            raise refused(
                who,
                f"input {one.name!r} declares the columns {list(one.columns)}",
                f"list the columns that are read, {KNOWN_AT} not among them; no '=' in names",
            )
        if any(span is not None and span.total_seconds() < 0 for span in (one.lag, one.max_age)):
            raise refused(
                who,
                f"input {one.name!r} declares a negative time",
                f"a row is known after {KNOWN_AT}, never before: give a lag of 0 or more",
            )
    if record.inputs and getattr(record, "stream", None) is not None:
        raise refused(
            who,
            "it reads inputs and offers a stream, which is shown bars alone",
            "leave out stream, or put what reads inputs into a set of its own",
        )
    return record.inputs


def as_decisions(labeler: Labeler, answer: object, bars: Bars) -> Decisions:
    """Return what ``decide`` answered, if it is decisions at all."""
    fix = "return ffm_core.Decisions(bar=..., side=..., risk=...), empty when there is none"
    return of_kind(f"labeler {labeler.name!r}", f"decide on {bars.stream}", answer, Decisions, fix)


def require_declared(labeler: Labeler, found: Decisions) -> None:
    """Require the columns that a labeler declares, and no others."""
    odd = sorted({column.name for column in labeler.columns} ^ set(found.columns))
    if odd:
        raise refused(
            f"labeler {labeler.name!r}",
            f"declared and returned columns differ in {', '.join(odd)}",
            "declare every column in Labeler.columns and return all of them every time",
        )


def require_known_bars(found: Decisions, bars: Bars, *, who: str = "") -> None:
    """Require every decision to lie on a bar that was given."""
    outside = (found.bar < 0) | (found.bar >= len(bars))
    if outside.any():
        row = int(np.argmax(outside))
        raise refused(
            who,
            f"decision {row} is {at_bar(int(found.bar[row]), bars)}, which has {len(bars)} bars",
            "'bar' is the index of a bar given to decide, from 0 to len(bars) - 1",
        )


def require_warm(labeler: Labeler, found: Decisions, bars: Bars) -> None:
    """Require that nothing is decided inside the declared warm-up."""
    warmup = labeler.warmup_bars
    early = np.flatnonzero(found.bar < warmup)
    if len(early):
        row = int(early[0])
        raise refused(
            f"labeler {labeler.name!r}",
            f"decision {row} is {at_bar(int(found.bar[row]), bars)}, inside its declared warm-up "
            f"of {warmup:,} bars ({len(early):,} of {len(found):,} decisions are)",
            "declare as warmup_bars the bars before the first decision, or drop earlier decisions",
        )


def require_tradable(
    found: Decisions, bars: Bars, *, who: str = "", only: Iterable[str] = TRADABLE
) -> None:
    """Require numbers that can be a risk, a stop, a target and a horizon."""
    for name in only:
        values, (fine, rule, fix) = getattr(found, name), TRADABLE[name]
        if values is not None:
            require_rows(name, values, fine(values), found.bar, rule, fix, who=who, bars=bars)


# --- features and embedders ---------------------------------------------------------------


def features(feature_set: FeatureSet, answer: object, bars: Bars) -> Float32:
    """Return what ``batch`` of a feature set answered for ``bars``: float32 (T, F)."""
    who, shape = f"feature set {feature_set.name!r}", (len(bars), len(feature_set.columns))
    return array_of(who, f"batch on {bars.stream}", answer, np.float32, shape)


def feature_row(name: str, answer: object, width: int) -> Float32:
    """Return what ``update`` of a stream answered for a bar: float32 (F,)."""
    fix = "return a new float32 array (F,) for every bar, one number per declared column"
    return array_of(f"feature set {name!r}", "update", answer, np.float32, (width,), fix)


def as_bytes(who: str, function: str, answer: object) -> bytes:
    """Return what ``snapshot`` of a stream, or ``to_bytes`` of a model, answered: bytes."""
    fix = "return the whole state as bytes, so that it can be stored and sent"
    return of_kind(who, function, answer, bytes, fix)


def vectors(embedder: Embedder, answer: object, rows: int, *, finite: bool = True) -> Float32:
    """Return what ``embed`` answered for ``rows`` windows: finite float32 (N, dim)."""
    who, shape = f"embedder {embedder.name!r}", (rows, embedder.dim)
    fix = "return one row per window, one number per declared column"
    found = array_of(who, "embed", answer, np.float32, shape, fix)
    if finite and (bad := first_place(~np.isfinite(found))) is not None:
        row, column = bad
        raise refused(
            who,
            f"{embedder.columns[column].name} of window {row} is {found[bad]}, expected a finite "
            "number",
            "every window is finite and normalised; guard divisions and logarithms",
        )
    return found


# --- exit policies ------------------------------------------------------------------------


def orders(policy: ExitPolicy, answer: object, bars: Bars) -> Float64:
    """Return what ``batch`` of an exit policy answered for ``bars``: float64 (T, K)."""
    who, shape = f"exit policy {policy.name!r}", (len(bars), len(policy.columns))
    found = array_of(who, f"batch on {bars.stream}", answer, np.float64, shape)
    flags = () if policy.step is not None else policy.columns
    for at, column in enumerate(flags):
        odd = ~(np.isnan(found[:, at]) | np.isin(found[:, at], (0.0, 1.0)))
        if column.name in FLAGS and odd.any():
            bar = int(np.argmax(odd))
            raise refused(
                who,
                f"{column.name} is {found[bar, at]:g} {at_bar(bar, bars)}, expected a flag",
                "an exit flag is 1 to leave at the next open, else 0 or NaN",
            )
    return found


def first_state(policy: ExitPolicy, answer: object) -> tuple[Any, Any, Any]:
    """Return what ``start`` answered: state f and i, and finite constants k."""
    who, kinds = f"exit policy {policy.name!r}", (np.float64, np.int64, np.float64)
    given = of_kind(who, "start", answer, tuple, _START_FIX)
    if len(given) != len(kinds):
        raise refused(who, f"start returned {len(given)} parts, expected (f, i, k)", _START_FIX)
    f, i, k = (
        array_of(who, f"start, as {name!r},", part, kind, (np.size(part),), _START_FIX)
        for name, part, kind in zip("fik", given, kinds, strict=True)
    )
    if not np.isfinite(k).all():
        place = int(np.argmin(np.isfinite(k)))
        raise refused(who, f"k[{place}] of start is {k[place]}, expected finite", _START_FIX)
    return f, i, k


def targets(policy: ExitPolicy, answer: object, peaks: Float64) -> Float64:
    """Return what ``target_of`` answered to predicted peaks (N,): a target in R for each."""
    who, found = f"exit policy {policy.name!r}", np.asarray(answer)
    if found.shape != peaks.shape or found.dtype.kind not in "fiu":
        raise refused(
            who,
            f"target_of returned {found.dtype} of shape {found.shape} for {len(peaks)} peaks",
            "return one finite target per row, at least 1 R",
        )
    fine = _a_target(found)
    if not fine.all():
        row = int(np.argmin(fine))
        problem = f"target_of answers {found[row]} to a peak of {peaks[row]} R (row {row})"
        raise refused(who, f"{problem}, {_TARGET_RULE}", _TARGET_FIX)
    return found


# --- learners, targets, controls and checks -----------------------------------------------


def as_model(learner: Learner, function: str, answer: object) -> Model:
    """Return what ``fit`` or ``load`` of a learner answered: a model."""
    fix = "return an object with plan(view), which returns ffm_core.records.Plan, and to_bytes()"
    kind: Any = Model  # a protocol
    found: Model = of_kind(f"learner {learner.name!r}", function, answer, kind, fix)
    return found


def as_plan(learner: str, answer: object, rows: int, *, finite: bool = True) -> Plan:
    """Return what ``plan`` of a model answered for ``rows`` rows: a finite score for each."""
    who = f"learner {learner!r}"
    found = of_kind(who, "plan", answer, Plan, "return ffm_core.records.Plan(score=...)")
    for name in ANSWERS:
        values = getattr(found, name)
        if (name == "score" or values is not None) and np.shape(values) != (rows,):
            raise refused(
                who,
                f"plan returned {name} of shape {np.shape(values)} for {rows} rows",
                "answer every row, in the order given",
            )
    unscored = np.flatnonzero(~np.isfinite(np.asarray(found.score, float)))
    if finite and len(unscored):
        raise refused(who, f"the score of row {unscored[0]} is not finite", "score every row")
    return found


def target_values(target: Target, answer: object, bars: Bars) -> TargetValues:
    """Return what ``compute`` of a target answered for ``bars``."""
    who = f"target {target.name!r}"
    fix = "return ffm_core.records.TargetValues(value=..., end_bar=...)"
    found = of_kind(who, f"compute on {bars.stream}", answer, TargetValues, fix)
    for name, kind in (("value", np.float32), ("end_bar", np.int64)):
        array_of(
            who, f"compute on {bars.stream}, as {name!r},", getattr(found, name), kind, (len(bars),)
        )
    return found


def changed_view(control: Control, answer: object, given: View) -> View:
    """Return what ``change`` of a control answered: training rows with the same columns."""
    who, fix = f"control {control.name!r}", "return the view given, changed by dataclasses.replace"
    found = of_kind(who, "change", answer, View, fix)
    if found.design.names != given.design.names or found.outcomes is None:
        what = "no outcomes" if found.outcomes is None else "other columns than it was given"
        raise refused(who, f"change returned a view with {what}", fix)
    return found


def check_result(check: VerdictCheck, answer: object) -> CheckResult:
    """Return what ``judge`` of a verdict check answered."""
    fix = "return ffm_core.records.CheckResult(name=..., outcome=...)"
    return of_kind(f"verdict check {check.name!r}", "judge", answer, CheckResult, fix)
