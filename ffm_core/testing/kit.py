"""Check any strategy, built-in or private, against the contract with one call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.records import Labeler
from ffm_core.testing.checks import CHECKS, Check
from ffm_core.testing.report import CheckFailed, CheckSkipped, Outcome, Report, Status
from ffm_core.testing.subject import Subject

if TYPE_CHECKING:
    import pytest


def check_strategy(
    labeler: Labeler,
    *,
    bars: Bars | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract.

    Parameters
    ----------
    labeler : Labeler
        The strategy.
    bars : Bars, optional
        Default: a small made-up series that suits its warm-up and history.
    expected_failures : mapping of str to str, optional
        Check name to the reason it is excused. An excuse for a check that
        passes has expired and fails.
    on_fail : {"raise", "report"}
        Raise on failures, or leave them to the reader of the report.

    Returns
    -------
    Report
        One outcome per check; a check whose precondition failed is ``skipped``.

    Raises
    ------
    CheckFailed
        When a check fails without an excuse and ``on_fail`` is ``raise``.
    ConfigError
        When an excuse names no check.
    """
    excuses = dict(expected_failures or {})
    _require_known(excuses)
    subject = Subject(labeler, bars)
    outcomes: dict[str, Outcome] = {}
    for check in CHECKS:
        outcomes[check.name] = _run(check, subject, outcomes, excuses.get(check.name))
    report = Report(labeler.name, tuple(outcomes.values()))
    if on_fail == "raise" and report.failed:
        raise CheckFailed(str(report))
    return report


def _require_known(excuses: Mapping[str, str]) -> None:
    known = {check.name for check in CHECKS}
    unknown = sorted(set(excuses) - known)
    if unknown:
        raise ConfigError(
            f"expected_failures names no check: {', '.join(unknown)}",
            fix=f"the checks are {', '.join(sorted(known))}",
        )


def _run(
    check: Check, subject: Subject, earlier: Mapping[str, Outcome], excuse: str | None
) -> Outcome:
    started = time.perf_counter()
    broken = [name for name in check.needs if earlier[name].status in ("failed", "excused")]
    status: Status = "skipped"
    if broken:
        reason = f"needs {broken[0]}"
    else:
        status, reason = _judge(check, subject)
    if excuse is not None and status == "failed":
        status, reason = "excused", excuse
    elif excuse is not None and status == "passed":
        status, reason = "failed", f"the excuse has expired, the check passes: {excuse}"
    return Outcome(check.name, status, reason, time.perf_counter() - started)


def _judge(check: Check, subject: Subject) -> tuple[Status, str]:
    try:
        check.run(subject)
    except CheckFailed as failure:
        return "failed", str(failure)
    except CheckSkipped as skipped:
        return "skipped", str(skipped)
    return "passed", ""


@dataclass(frozen=True)
class BoundCheck:
    """A check for one parametrised test: ``check(strategy)`` raises when it fails.

    Its preconditions run with it, once per strategy, so that every test can be
    selected by itself and still blames the right thing.
    """

    check: Check
    bars: Bars | None
    shared: dict[int, tuple[Subject, dict[str, Outcome]]] = field(repr=False, compare=False)

    def __call__(self, labeler: Labeler) -> None:
        """Run the check on ``labeler``; skip when it does not apply."""
        import pytest

        key = id(labeler)
        if key not in self.shared or self.shared[key][0].labeler is not labeler:
            self.shared[key] = (Subject(labeler, self.bars), {})
        subject, known = self.shared[key]
        for check in _with_needs(self.check):
            if check.name not in known:
                known[check.name] = _run(check, subject, known, None)
        outcome = known[self.check.name]
        if outcome.status == "failed":
            raise CheckFailed(f"{labeler.name}: {self.check.name}: {outcome.reason}")
        if outcome.status == "skipped":
            pytest.skip(outcome.reason)


def _with_needs(check: Check) -> list[Check]:
    by_name = {known.name: known for known in CHECKS}
    wanted: dict[str, None] = {}

    def add(one: Check) -> None:
        for name in one.needs:
            add(by_name[name])
        wanted.setdefault(one.name)

    add(check)
    return [by_name[name] for name in wanted]


def parametrize_with_checks(
    labelers: Sequence[Labeler], *, bars: Bars | None = None
) -> pytest.MarkDecorator:
    """Return a decorator that makes one test of every strategy and check.

    Parameters
    ----------
    labelers : sequence of Labeler
        The strategies.
    bars : Bars, optional
        As in :func:`check_strategy`.

    Returns
    -------
    pytest.MarkDecorator
        For a test with the arguments ``strategy`` and ``check``, whose body is
        ``check(strategy)``.
    """
    import pytest

    shared: dict[int, tuple[Subject, dict[str, Outcome]]] = {}
    cases = [
        pytest.param(labeler, BoundCheck(check, bars, shared), id=f"{labeler.name}-{check.name}")
        for labeler in labelers
        for check in CHECKS
    ]
    return pytest.mark.parametrize(("strategy", "check"), cases)


def load_installed(name: str) -> Labeler:
    """Return the labeler of an installed strategy.

    Parameters
    ----------
    name : str
        As given to ``ffm eval``: ``supertrend`` or ``supertrend:variant``.

    Raises
    ------
    UnknownNameError
        When no installed strategy has this name.
    PluginError
        When it cannot be loaded.
    """
    from ffm_core.host.loading import open_host

    return open_host(name).labeler().record
