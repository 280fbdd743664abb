"""What this package offers to FFM; light, because discovery imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ffm_core import hookimpl

if TYPE_CHECKING:
    from ffm_core.records import FeatureSet

FFM_HOOK_API = 2


@hookimpl
def ffm_feature_sets() -> Iterable[FeatureSet]:
    """Offer the set ``qe150``."""
    from ffm_features_qe150.assembled import QE150

    return [QE150]
