"""Every hook a plug-in may implement.

``HOOK_API`` counts breaking changes and is stored in every run. A hook appears
here together with the first thing that uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ffm_core.records import (
        CheckSet,
        Command,
        Control,
        Embedder,
        ExitPolicy,
        FeatureSet,
        Labeler,
        Learner,
        Target,
        VerdictCheck,
    )

PROJECT = "ffm"
HOOK_API = 2

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ffm_labelers() -> Iterable[Labeler]:
    """Offer labelers; called once per evaluation, before any data is read.

    Returns
    -------
    iterable of Labeler
        The one named like the entry point is the default; others are named
        ``name:variant``. Each maps bars of length ``T`` to ``Decisions`` with
        ``N`` rows, and row ``i`` reads bars up to and including ``bar[i]``.

    Raises
    ------
    ConfigError
        When the offer cannot be made.

    Example
    -------
    ::

        @hookimpl
        def ffm_labelers():
            from .labeler import LABELER
            return [LABELER]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_feature_sets() -> Iterable[FeatureSet]:
    """Offer feature sets; called once per evaluation.

    Returns
    -------
    iterable of FeatureSet
        ``batch(bars)`` gives float32 ``(T, F)``; row ``t`` uses bars up to and
        including ``t``; NaN during warm-up, never infinite.

    Example
    -------
    ::

        @hookimpl
        def ffm_feature_sets():
            from .features import MY_SET
            return [MY_SET]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_embedders() -> Iterable[Embedder]:
    """Offer embedders; called once per evaluation, before any weights are read.

    Returns
    -------
    iterable of Embedder
        ``embed(windows)`` maps float32 ``(N, context_bars)`` of normalised log closes
        that end at the decision bar to finite float32 ``(N, dim)``, row by row.

    Example
    -------
    ::

        @hookimpl
        def ffm_embedders():
            from .model import MY_EMBEDDER
            return [MY_EMBEDDER]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_learners() -> Iterable[Learner]:
    """Offer learners; called once per evaluation.

    Returns
    -------
    iterable of Learner
        Deterministic for a seed and any number of threads.

    Example
    -------
    ::

        @hookimpl
        def ffm_learners():
            from .heads import MyLearner
            return [MyLearner()]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_exit_policies() -> Iterable[ExitPolicy]:
    """Offer exit policies; called once per evaluation.

    Returns
    -------
    iterable of ExitPolicy
        Of kind static, predicted or managed; labels always use a static one. A
        policy gives orders and never fills them.

    Example
    -------
    ::

        @hookimpl
        def ffm_exit_policies():
            from .exits import CHANDELIER
            return [CHANDELIER]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_targets() -> Iterable[Target]:
    """Offer targets for tables of learning data; called once per command.

    Returns
    -------
    iterable of Target
        Named ``group/name``. ``compute(bars)`` gives float32 ``(T,)`` values and the last
        bar that each of them looked at, -1 where there is no value.

    Example
    -------
    ::

        @hookimpl
        def ffm_targets():
            from .targets import NEXT_HOUR
            return [NEXT_HOUR]

    Since
    -----
    0.2
    """
    raise NotImplementedError


@hookspec
def ffm_commands() -> Iterable[Command]:
    """Offer subcommands of ``ffm``; called when one of them is.

    Returns
    -------
    iterable of Command
        ``load()`` returns a ``click.Command`` or ``click.Group``; results go to stdout,
        and what goes wrong is raised as an ``FFMError``. Every name is listed in the
        package's metadata as well, so that ``ffm --help`` imports nothing.

    Example
    -------
    ::

        @hookimpl
        def ffm_commands():
            from ffm_core.records import Command
            return [Command(name="account", summary="Rules of accounts.", load=load)]

    Since
    -----
    0.2
    """
    raise NotImplementedError


@hookspec
def ffm_controls() -> Iterable[Control]:
    """Offer extra control arms; they are reported and gate nothing.

    Returns
    -------
    iterable of Control
        ``change(view, rng)`` returns the training view the arm is fitted on.

    Example
    -------
    ::

        @hookimpl
        def ffm_controls():
            from .controls import PERSISTENCE
            return [PERSISTENCE]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_verdict_checks() -> Iterable[VerdictCheck]:
    """Offer verdict checks; from a plug-in they can only tighten a verdict.

    Returns
    -------
    iterable of VerdictCheck
        ``judge(evidence)`` gives one ``CheckResult``.

    Example
    -------
    ::

        @hookimpl
        def ffm_verdict_checks():
            from .checks import MAX_DRAWDOWN
            return [MAX_DRAWDOWN]

    Since
    -----
    0.1
    """
    raise NotImplementedError


@hookspec
def ffm_check_sets() -> Iterable[CheckSet]:
    """Offer sets of checks; the one that ``--checks`` names judges in place of ``strict``.

    Returns
    -------
    iterable of CheckSet
        A PASS under any of them is a qualified one.

    Example
    -------
    ::

        @hookimpl
        def ffm_check_sets():
            from .checks import HOUSE_RULES
            return [HOUSE_RULES]

    Since
    -----
    0.2
    """
    raise NotImplementedError
