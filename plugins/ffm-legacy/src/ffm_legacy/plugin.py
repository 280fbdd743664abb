"""What this package offers to FFM; light, because discovery imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ffm_core import hookimpl

if TYPE_CHECKING:
    from ffm_core.records import CheckSet, FeatureSet, Target

FFM_HOOK_API = 2


@hookimpl
def ffm_feature_sets() -> Iterable[FeatureSet]:
    """Offer the set ``ffm68-legacy``."""
    from ffm_legacy.ffm68.assembled import FFM68_LEGACY

    return [FFM68_LEGACY]


@hookimpl
def ffm_targets() -> Iterable[Target]:
    """Offer the first encoder's label sets, and context and barrier as they were."""
    from ffm_legacy.barrier import BARRIER_LEGACY
    from ffm_legacy.context import CONTEXT_LEGACY
    from ffm_legacy.label_sets import LABEL_SETS

    return [*LABEL_SETS, *CONTEXT_LEGACY, *BARRIER_LEGACY]


@hookimpl
def ffm_check_sets() -> Iterable[CheckSet]:
    """Offer the set ``classic``."""
    from ffm_legacy.checks import CLASSIC

    return [CLASSIC]
