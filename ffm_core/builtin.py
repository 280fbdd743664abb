"""What ffm-core itself offers, through the same door as everybody else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ffm_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from ffm_core.records import CheckSet, Embedder, ExitPolicy, FeatureSet, Target, VerdictCheck


@hookimpl
def ffm_exit_policies() -> Iterable[ExitPolicy]:
    """Offer fixed RR, dynamic target, session end, and two trails."""
    from ffm_core.labels.policies import EXIT_POLICIES

    return EXIT_POLICIES


@hookimpl
def ffm_feature_sets() -> Iterable[FeatureSet]:
    """Offer the trivial statistics, the richer sets, and context heads fitted here."""
    from ffm_core.context.serving import fitted
    from ffm_core.features.library import built_in, names

    return [*(built_in(name) for name in names()), *fitted().values()]


@hookimpl
def ffm_embedders() -> Iterable[Embedder]:
    """Offer the model in the box, the statistics embedder and what was added here."""
    from ffm_core.embed.catalogue import embedders

    return embedders()


@hookimpl
def ffm_targets() -> Iterable[Target]:
    """Offer the targets of context, barrier and ladder."""
    from ffm_core.labels.targets import TARGETS

    return TARGETS


@hookimpl
def ffm_verdict_checks() -> Iterable[VerdictCheck]:
    """Offer the checks of ``strict``."""
    from ffm_core.ruler.checks import STRICT

    return STRICT


@hookimpl
def ffm_check_sets() -> Iterable[CheckSet]:
    """Offer ``strict``."""
    from ffm_core.records import CheckSet
    from ffm_core.ruler.checks import STRICT

    return [CheckSet(name="strict", checks=STRICT, summary="what every verdict is made of")]
