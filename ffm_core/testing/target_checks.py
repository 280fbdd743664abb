"""The contract of targets, one named check at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.subjects.targets import falsify_target
from ffm_core.records import Certificate, Target, TargetValues, answers
from ffm_core.testing.checks import Check, require_no_failure
from ffm_core.testing.market import make_bars
from ffm_core.testing.report import CheckFailed
from ffm_core.testing.subject import UnderTest

_ROWS = 1_500
_MAX_CUTS = 120
_FEW = (0, 1, 2, 15, 40)  # bars that a target must do with


class TargetSubject(UnderTest):
    """One target under check.

    Parameters
    ----------
    target : Target
        The target.
    bars : Bars, optional
        Default: a small standard set.
    """

    def __init__(self, target: Target, bars: Bars | None = None) -> None:
        self.target = target
        self.name = target.name
        self.warmup_bars = target.warmup_bars
        rows = _ROWS + target.warmup_bars + target.horizon_bars
        self.bars = make_bars("trend", rows=rows, seed=7) if bars is None else bars

    @cached_property
    def full(self) -> TargetValues:
        """The values of the standard bars."""
        answer: TargetValues = self.call(self.target.compute, self.bars)
        return answer

    @cached_property
    def certificate(self) -> Certificate:
        """What the falsifier says, on the standard bars."""
        return falsify_target(self.target, self.bars, seed=0, max_cuts=_MAX_CUTS, call=self.call)


def record_is_sound(subject: TargetSubject) -> None:
    """Be named ``group/name``, and name the classes where there are classes, and only there."""
    target = subject.target
    group, slash, name = target.name.partition("/")
    if not (slash and name) or target.group != group:
        raise CheckFailed(
            f"the name is {target.name!r} and the group {target.group!r}",
            fix="name it 'group/name', with the group once more in 'group'",
        )
    if bool(target.classes) == (target.kind == "regression"):
        raise CheckFailed(
            f"a target of kind {target.kind} has the classes {target.classes}",
            fix="name the classes in order, and none for a regression",
        )


def answers_in_form(subject: TargetSubject) -> None:
    """Return float32 values and int64 end bars, one of each per bar, on any number of bars."""
    for rows in (*_FEW, len(subject.bars)):
        bars = subject.bars[:rows]
        answer = subject.call(subject.target.compute, bars)
        subject.call(answers.target_values, subject.target, answer, bars)


def values_match_the_record(subject: TargetSubject) -> None:
    """Give finite values after the warm-up, class numbers for classes, and some of them."""
    target, found = subject.target, subject.full
    defined = ~np.isnan(found.value)
    used = found.value[defined & (found.value != TargetValues.MASKED)]
    if not len(used):
        raise CheckFailed(
            f"no bar of {len(found.value)} has a value, so nothing else means anything",
            fix="give the check bars long enough for warm-up and horizon",
        )
    if np.argmax(defined) < target.warmup_bars:
        raise CheckFailed(
            f"bar {np.argmax(defined)} has a value, the warm-up is {target.warmup_bars} bars",
            fix="declare the first bar that can have a value",
        )
    known = np.arange(len(target.classes))
    if not (np.isin(used, known).all() if len(known) else np.isfinite(used).all()):
        raise CheckFailed(
            f"it has values such as {used[~np.isin(used, known) | ~np.isfinite(used)][0]}",
            fix="number the classes from 0; a regression is finite or NaN",
        )


def calls_agree(subject: TargetSubject) -> None:
    """Answer the same bars in the same way, however often it is asked, and leave them alone."""
    require_no_failure(subject, "purity")


def end_bars_are_honest(subject: TargetSubject) -> None:
    """Read no bar after the ``end_bar`` of a value, and none beyond the declared horizon."""
    require_no_failure(subject, "values")
    require_no_failure(subject, "horizon")


_FORM = ("record_is_sound", "answers_in_form")
_LIST: tuple[tuple[Callable[[TargetSubject], None], tuple[str, ...]], ...] = (
    (record_is_sound, ()),
    (answers_in_form, ("record_is_sound",)),
    (calls_agree, _FORM),
    (values_match_the_record, (*_FORM, "calls_agree")),
    (end_bars_are_honest, (*_FORM, "calls_agree", "values_match_the_record")),
)

TARGET_CHECKS: tuple[Check, ...] = tuple(
    Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST
)
