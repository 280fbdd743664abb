"""The contract of exit policies, one named check at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.cutting.series import edited, fingerprint, part
from ffm_core.causal.falsify import falsify
from ffm_core.causal.subjects.exits import ExitSubject, computes, prove_step
from ffm_core.labels.compiling import compile_step, start_of
from ffm_core.labels.entries import Entries, entries_of
from ffm_core.labels.exits import fill
from ffm_core.labels.kernels import Walked
from ffm_core.labels.step import DATA_END, ORDERED, TARGET, TARGET_GAP, TRAIL
from ffm_core.records import Certificate, ExitPolicy, ParamValue, answers
from ffm_core.records.proofs import told
from ffm_core.testing.building import build, hourly, typical
from ffm_core.testing.checks import Check, bad_default, require_no_failure
from ffm_core.testing.market import Kind
from ffm_core.testing.report import CheckFailed, CheckSkipped
from ffm_core.testing.require import require_sound
from ffm_core.testing.subject import MAX_CUTS, UnderTest, standard_bars
from ffm_core.types import Float64

_HORIZON = 120  # bars of the trades the policy is tried on


class ExitUnderTest(UnderTest):
    """One exit policy under check.

    Parameters
    ----------
    policy : ExitPolicy
        The policy, tried with its default settings.
    bars : Bars, optional
        Default: a small standard set that suits its warm-up and history.
    """

    def __init__(self, policy: ExitPolicy, bars: Bars | None = None) -> None:
        self.policy = policy
        self.name = policy.name
        self.warmup_bars = policy.warmup_bars
        self.params: dict[str, ParamValue] = {p.name: p.default for p in policy.params}
        self.bars = standard_bars(policy.warmup_bars, policy.history_bars) if bars is None else bars

    def columns(self, bars: Bars) -> Float64 | None:
        """Return the policy's columns on ``bars``, in the declared form."""
        batch = self.policy.batch
        if batch is None:
            return None
        answer = self.call(batch, part(bars, 0, len(bars)), dict(self.params))
        found: Float64 = self.call(answers.orders, self.policy, answer, bars)
        return found

    def entries(self, bars: Bars) -> Entries:
        """Return an entry after every hour of ``bars``, longs and shorts."""
        rows = hourly(bars)
        decisions = build(bars, rows[rows < len(bars) - 1], typical(bars))
        found, void = entries_of(bars, decisions, self.policy, self.params, horizon_bars=_HORIZON)
        return found.take(np.flatnonzero(void == 0))

    def walked(self, bars: Bars) -> Walked:
        """Return how trades on ``bars`` end under the policy."""
        given = (bars, self.entries(bars), self.policy, self.params, self.columns(bars))
        found: Walked = self.call(fill, *given)
        return found

    @cached_property
    def certificate(self) -> Certificate:
        """What the falsifier says of all that is computed in Python."""
        (found,) = falsify(
            [ExitSubject(self.policy, self.params, self.call)], self.bars, seed=0,
            decision_bars=hourly(self.bars), max_cuts=MAX_CUTS,
        )  # fmt: skip
        return found


def _require_computing(subject: ExitUnderTest) -> None:
    if not computes(subject.policy):
        raise CheckSkipped("it computes nothing in Python")


def _require_batch(subject: ExitUnderTest) -> None:
    if subject.policy.batch is None:
        raise CheckSkipped("it has no columns")


def _require_step(subject: ExitUnderTest) -> None:
    if subject.policy.step is None:
        raise CheckSkipped("it has no step")


# --- form -----------------------------------------------------------------------------------


def record_is_sound(subject: ExitUnderTest) -> None:
    """Declare units, a sensible warm-up and history, and defaults in their own ranges."""
    policy = subject.policy
    require_sound(policy)
    for param in policy.params:
        problem = bad_default(param)
        if problem:
            raise CheckFailed(f"the default of {param.name!r} is {param.default!r}: {problem}")


def returns_a_row_per_bar(subject: ExitUnderTest) -> None:
    """Return float64, one row per bar and one column per declared name; flags are 0 or 1."""
    _require_batch(subject)
    subject.columns(subject.bars)


def columns_say_something(subject: ExitUnderTest) -> None:
    """Give every column a value somewhere on the standard bars."""
    _require_batch(subject)
    found = subject.columns(subject.bars)
    assert found is not None
    silent = ~np.isfinite(found).any(axis=0)
    if silent.any():
        name = subject.policy.columns[int(np.argmax(silent))].name
        raise CheckFailed(f"{name} is NaN on all of {len(subject.bars)} bars")


def state_is_three_arrays(subject: ExitUnderTest) -> None:
    """Start with float64 state, int64 state and float64 constants."""
    if subject.policy.start is None:
        raise CheckSkipped("it has no start")
    subject.call(start_of, subject.policy, subject.params)


def targets_are_sound(subject: ExitUnderTest) -> None:
    """Turn each prediction into a target of at least 1 R, whatever stands beside it."""
    if subject.policy.target_of is None:
        raise CheckSkipped("its target is not predicted")
    subject.call(ExitSubject, subject.policy, subject.params)


def step_compiles(subject: ExitUnderTest) -> None:
    """Give a step that compiles, reads its arguments alone, and returns an order."""
    _require_step(subject)
    subject.call(compile_step, subject.policy, subject.params)


def acts_somewhere(subject: ExitUnderTest) -> None:
    """End some trade of the standard bars by an order; without that, nothing is tested."""
    if subject.policy.flat_at_session_end:
        raise CheckSkipped("it leaves with the session")
    reasons = subject.walked(subject.bars).reason
    if not np.isin(reasons, (TRAIL, ORDERED, TARGET, TARGET_GAP)).any():
        raise CheckFailed(
            f"none of {len(reasons)} trades ends by an order of the policy",
            fix="give check_exit_policy bars on which it acts, or order nearer levels",
        )


# --- repeatable -----------------------------------------------------------------------------


def input_is_not_edited(subject: ExitUnderTest) -> None:
    """Leave bars and settings as they were given."""
    _require_batch(subject)
    given = part(subject.bars, 0, len(subject.bars))
    before, params = fingerprint(given), dict(subject.params)
    assert subject.policy.batch is not None
    subject.call(subject.policy.batch, given, params)
    column = edited(given, before)
    if column is not None:
        raise CheckFailed(f"it edits the bars it is given: {column}", fix="work on a copy")
    if params != subject.params:
        raise CheckFailed("it edits the settings it is given", fix="work on a copy")


def keeps_no_state(subject: ExitUnderTest) -> None:
    """Answer alike on every call, whatever was shown before."""
    _require_computing(subject)
    require_no_failure(subject, "purity")


def fresh_process_agrees(subject: ExitUnderTest) -> None:
    """Answer the same in a new interpreter."""
    _require_computing(subject)
    require_no_failure(subject, "determinism")


def opens_nothing(subject: ExitUnderTest) -> None:
    """Open no file, connection or program."""
    _require_computing(subject)
    require_no_failure(subject, "access")


def step_follows_its_trade(subject: ExitUnderTest) -> None:
    """Give the same orders bar by bar, on every walk and in any order of trades."""
    _require_step(subject)
    bars = subject.bars
    given = (subject.policy, bars, subject.entries(bars), subject.params, subject.columns(bars))
    found: Certificate = subject.call(lambda: prove_step(*given, seed=0))
    if found.failures:
        first = found.failures[0]
        raise CheckFailed(told(first.reason), fix=told(first.repair))


# --- causal ---------------------------------------------------------------------------------


def nothing_is_infinite(subject: ExitUnderTest) -> None:
    """Order no infinite level."""
    _require_batch(subject)
    require_no_failure(subject, "values")


def past_ignores_removed_future(subject: ExitUnderTest) -> None:
    """Keep rows as they are when later bars are removed."""
    _require_batch(subject)
    require_no_failure(subject, "prefix")


def past_ignores_changed_future(subject: ExitUnderTest) -> None:
    """Keep rows as they are when later bars are changed."""
    _require_batch(subject)
    require_no_failure(subject, "mutation")


def history_is_sufficient(subject: ExitUnderTest) -> None:
    """Reproduce rows exactly from the declared history alone."""
    _require_batch(subject)
    require_no_failure(subject, "history")


# --- market ---------------------------------------------------------------------------------


def few_bars(subject: ExitUnderTest) -> None:
    """Accept no bars, and one."""
    for rows in (0, 1):
        subject.columns(subject.bars[:rows])


def _in_market(kind: Kind) -> Callable[[ExitUnderTest], None]:
    def check(subject: ExitUnderTest) -> None:
        bars = subject.market(kind)
        walked = subject.walked(bars)
        open_ended = (walked.reason == DATA_END) & (walked.exit_bar < len(bars) - 1)
        assert not open_ended.any()

    return check


_FORM = ("record_is_sound", "returns_a_row_per_bar", "state_is_three_arrays", "targets_are_sound",
         "step_compiles")  # fmt: skip
_PURE = (*_FORM, "input_is_not_edited", "keeps_no_state")
_CAUSAL = (*_PURE, "past_ignores_removed_future")

_LIST: tuple[tuple[Callable[[ExitUnderTest], None], tuple[str, ...]], ...] = (
    (record_is_sound, ()),
    (returns_a_row_per_bar, ("record_is_sound",)),
    (state_is_three_arrays, ("record_is_sound",)),
    (targets_are_sound, ("record_is_sound",)),
    (step_compiles, ("record_is_sound", "returns_a_row_per_bar", "state_is_three_arrays")),
    (columns_say_something, _FORM),
    (input_is_not_edited, _FORM),
    (keeps_no_state, (*_FORM, "input_is_not_edited")),
    (fresh_process_agrees, _PURE),
    (opens_nothing, _PURE),
    (nothing_is_infinite, _PURE),
    (past_ignores_removed_future, _PURE),
    (past_ignores_changed_future, _CAUSAL),
    (history_is_sufficient, _PURE),
    (step_follows_its_trade, _PURE),
    (acts_somewhere, (*_PURE, "columns_say_something", "step_follows_its_trade")),
    (few_bars, _PURE),
)
_MARKETS: tuple[tuple[str, Kind, str], ...] = (
    ("flat_prices", "flat", "Survive one price for hours."),
    ("no_volume", "quiet", "Survive bars without volume."),
    ("gaps", "gappy", "Survive missing bars, a hole of days and price gaps."),
    ("rolls", "rolls", "Survive several contracts with jumps between them."),
    ("clock_change", "clock", "Survive an hour of local time that happens twice."),
)
_TIDY = (*_PURE, "few_bars", "step_follows_its_trade")

EXIT_CHECKS: tuple[Check, ...] = (
    *(Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST),
    *(Check(name, _in_market(kind), _TIDY, summary) for name, kind, summary in _MARKETS),
)

__all__ = ["EXIT_CHECKS", "ExitUnderTest"]
