"""Check a strategy, feature set or embedder, built-in or private, against its contract."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.records import CheckSet, Embedder, ExitPolicy, FeatureSet, Labeler, Target
from ffm_core.testing.check_set_checks import CHECK_SET_CHECKS, CheckSetUnderTest
from ffm_core.testing.checks import CHECKS, Check
from ffm_core.testing.embedder_checks import EMBEDDER_CHECKS, EmbedderUnderTest
from ffm_core.testing.exit_checks import EXIT_CHECKS, ExitUnderTest
from ffm_core.testing.feature_checks import FEATURE_CHECKS
from ffm_core.testing.report import (
    CheckFailed,
    CheckSkipped,
    Excuse,
    Excuses,
    Outcome,
    Report,
    Status,
)
from ffm_core.testing.subject import FeatureSetUnderTest, StrategyUnderTest, UnderTest
from ffm_core.testing.target_checks import TARGET_CHECKS, TargetSubject

if TYPE_CHECKING:
    import pytest


Plugin: TypeAlias = Labeler | FeatureSet


def check_strategy(
    labeler: Labeler,
    *,
    bars: Bars | None = None,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of strategies.

    Parameters
    ----------
    labeler : Labeler
        The strategy.
    bars : Bars, optional
        Default: a small made-up series that suits its warm-up and history.
    expected_failures : mapping of str to str or Excuse, optional
        Check name to the reason it is excused; an :class:`Excuse` may carry a
        last day. An excuse for a check that passes, or one whose last day is
        over, has expired and fails.
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
        When an excuse names no check, gives no reason, or has a date that is none.
    """
    return _check_all(StrategyUnderTest(labeler, bars), CHECKS, expected_failures, on_fail)


def check_feature_set(
    feature_set: FeatureSet,
    *,
    bars: Bars | None = None,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of feature sets.

    Parameters
    ----------
    feature_set : FeatureSet
        The set.
    bars, expected_failures, on_fail
        As in :func:`check_strategy`.

    Returns
    -------
    Report
        As in :func:`check_strategy`.

    Raises
    ------
    CheckFailed, ConfigError
        As in :func:`check_strategy`.
    """
    return _check_all(
        FeatureSetUnderTest(feature_set, bars), FEATURE_CHECKS, expected_failures, on_fail
    )


def check_embedder(
    embedder: Embedder,
    *,
    bars: Bars | None = None,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of embedders.

    It has to state what it is (a SHA-256 as identity, columns, cut-off), answer each
    normalised window with finite float32 numbers, and do so from that window alone: alike
    to the byte alone or among others, on every call, in every process.

    Parameters
    ----------
    embedder : Embedder
        The embedder.
    bars : Bars, optional
        Where the windows come from; default: a small made-up series.
    expected_failures, on_fail
        As in :func:`check_strategy`.

    Returns
    -------
    Report
        As in :func:`check_strategy`.

    Raises
    ------
    CheckFailed, ConfigError
        As in :func:`check_strategy`.
    """
    return _check_all(
        EmbedderUnderTest(embedder, bars), EMBEDDER_CHECKS, expected_failures, on_fail
    )


def check_target(
    target: Target,
    *,
    bars: Bars | None = None,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of targets.

    Parameters
    ----------
    target : Target
        The target.
    bars, expected_failures, on_fail
        As in :func:`check_strategy`.

    Returns
    -------
    Report
        As in :func:`check_strategy`.

    Raises
    ------
    CheckFailed, ConfigError
        As in :func:`check_strategy`.
    """
    return _check_all(TargetSubject(target, bars), TARGET_CHECKS, expected_failures, on_fail)


def check_exit_policy(
    policy: ExitPolicy,
    *,
    bars: Bars | None = None,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of exit policies, with its default settings.

    It has to give orders in the declared form, from the bars and trades it is shown and
    from nothing else, and to end some trades by them.

    Parameters
    ----------
    policy : ExitPolicy
        The policy.
    bars, expected_failures, on_fail
        As in :func:`check_strategy`.

    Returns
    -------
    Report
        As in :func:`check_strategy`.

    Raises
    ------
    CheckFailed, ConfigError
        As in :func:`check_strategy`.
    """
    return _check_all(ExitUnderTest(policy, bars), EXIT_CHECKS, expected_failures, on_fail)


def check_check_set(
    check_set: CheckSet,
    *,
    expected_failures: Excuses | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Run every check of the contract of check sets.

    Parameters
    ----------
    check_set : CheckSet
        The set.
    expected_failures, on_fail
        As in :func:`check_strategy`.

    Returns
    -------
    Report
        As in :func:`check_strategy`.

    Raises
    ------
    CheckFailed, ConfigError
        As in :func:`check_strategy`.
    """
    subject = CheckSetUnderTest(check_set)
    return _check_all(subject, CHECK_SET_CHECKS, expected_failures, on_fail)


def _check_all(
    subject: UnderTest,
    checks: Sequence[Check],
    expected_failures: Excuses | None,
    on_fail: Literal["raise", "report"],
) -> Report:
    excuses = _written(expected_failures or {}, checks)
    outcomes: dict[str, Outcome] = {}
    for check in checks:
        outcomes[check.name] = _run(check, subject, outcomes, excuses.get(check.name))
    report = Report(subject.name, tuple(outcomes.values()))
    if on_fail == "raise" and report.failed:
        raise CheckFailed(str(report))
    return report


def _written(given: Excuses, checks: Sequence[Check]) -> dict[str, Excuse]:
    known = {check.name for check in checks}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigError(
            f"expected_failures names no check: {', '.join(unknown)}",
            fix=f"the checks are {', '.join(sorted(known))}",
        )
    return {
        name: excuse if isinstance(excuse, Excuse) else Excuse(excuse)
        for name, excuse in given.items()
    }


def _run(
    check: Check, subject: UnderTest, earlier: Mapping[str, Outcome], excuse: Excuse | None
) -> Outcome:
    started = time.perf_counter()
    broken = [name for name in check.needs if earlier[name].status in ("failed", "excused")]
    status: Status = "skipped"
    if broken:
        reason = f"needs {broken[0]}"
    else:
        status, reason = _judge(check, subject)
    if excuse is not None:
        status, reason = _excused(excuse, status, reason)
    return Outcome(check.name, status, reason, time.perf_counter() - started)


def _excused(excuse: Excuse, status: Status, reason: str) -> tuple[Status, str]:
    """Return what becomes of an outcome that has an excuse."""
    if status == "passed":
        return "failed", f"the excuse has expired, the check passes: {excuse.reason}"
    if status != "failed":
        return status, reason
    if excuse.is_over(_today()):
        return "failed", f"the excuse ran out on {excuse.until} ({excuse.reason}): {reason}"
    return "excused", excuse.reason


def _today() -> date:
    return datetime.now(UTC).date()


def _judge(check: Check, subject: UnderTest) -> tuple[Status, str]:
    try:
        check.run(subject)
    except CheckFailed as failure:
        return "failed", str(failure)
    except CheckSkipped as skipped:
        return "skipped", str(skipped)
    return "passed", ""


@dataclass(frozen=True)
class BoundCheck:
    """A check for one parametrised test: ``check(plugin)`` raises when it fails.

    Its preconditions run with it, once per plug-in, so that every test can be
    selected by itself and still blames the right thing.
    """

    check: Check
    bars: Bars | None
    shared: dict[int, tuple[UnderTest, dict[str, Outcome]]] = field(repr=False, compare=False)

    def __call__(self, plugin: Plugin) -> None:
        """Run the check on ``plugin``; skip when it does not apply."""
        import pytest

        if id(plugin) not in self.shared:  # kept alive by its parameter, so the id is its own
            self.shared[id(plugin)] = (_subject(plugin, self.bars), {})
        subject, known = self.shared[id(plugin)]
        for check in _with_needs(self.check, _checks(plugin)):
            if check.name not in known:
                known[check.name] = _run(check, subject, known, None)
        outcome = known[self.check.name]
        if outcome.status == "failed":
            raise CheckFailed(f"{subject.name}: {self.check.name}: {outcome.reason}")
        if outcome.status == "skipped":
            pytest.skip(outcome.reason)


def _subject(plugin: Plugin, bars: Bars | None) -> UnderTest:
    return (
        StrategyUnderTest(plugin, bars)
        if isinstance(plugin, Labeler)
        else FeatureSetUnderTest(plugin, bars)
    )


def _checks(plugin: Plugin) -> tuple[Check, ...]:
    return CHECKS if isinstance(plugin, Labeler) else FEATURE_CHECKS


def _with_needs(check: Check, checks: Sequence[Check]) -> list[Check]:
    by_name = {known.name: known for known in checks}
    wanted: dict[str, None] = {}

    def add(one: Check) -> None:
        for name in one.needs:
            add(by_name[name])
        wanted.setdefault(one.name)

    add(check)
    return [by_name[name] for name in wanted]


def parametrize_with_checks(
    plugins: Sequence[Labeler] | Sequence[FeatureSet], *, bars: Bars | None = None
) -> pytest.MarkDecorator:
    """Return a decorator that makes one test of every plug-in and check.

    Parameters
    ----------
    plugins : sequence of Labeler or of FeatureSet
        All of one kind.
    bars : Bars, optional
        As in :func:`check_strategy`.

    Returns
    -------
    pytest.MarkDecorator
        For a test with the arguments ``strategy`` and ``check``, whose body is
        ``check(strategy)``; with feature sets the first is ``feature_set``.

    Raises
    ------
    ConfigError
        When strategies and feature sets are mixed, or nothing is given.
    """
    import pytest

    kinds = {isinstance(plugin, Labeler) for plugin in plugins}
    if len(kinds) != 1:
        raise ConfigError(
            "parametrize_with_checks takes strategies, or feature sets, and at least one",
            fix="write one test for each kind",
        )
    shared: dict[int, tuple[UnderTest, dict[str, Outcome]]] = {}
    cases = [
        pytest.param(plugin, BoundCheck(check, bars, shared), id=f"{plugin.name}-{check.name}")
        for plugin in plugins
        for check in _checks(plugin)
    ]
    what = "strategy" if kinds == {True} else "feature_set"
    return pytest.mark.parametrize((what, "check"), cases)


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


def load_features(name: str, *, extensions: Sequence[str] = ()) -> FeatureSet:
    """Return a feature set of the core, or of an installed package that its name switches on.

    Parameters
    ----------
    name : str
        As given to ``--features``.
    extensions : sequence of str
        Installed extensions to switch on, as with ``--with``.

    Raises
    ------
    UnknownNameError
        When nothing that is loaded offers it.
    PluginError
        When an extension cannot be loaded.
    """
    from ffm_core.host.loading import open_host

    host = open_host(None, extensions, naming=[(name, ("ffm_feature_sets",))])
    return host.feature_set(name).record
