"""What this package offers to FFM; light, because discovery imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ffm_core import hookimpl

if TYPE_CHECKING:
    from ffm_core.records import Labeler

FFM_HOOK_API = 2


@hookimpl
def ffm_labelers() -> Iterable[Labeler]:
    """Offer the labeler."""
    from ffm_strategy_supertrend.labeler import LABELER

    return [LABELER]
