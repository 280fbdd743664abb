"""What ffm_xgb offers to the host; light, the libraries load when a head is fitted."""

from __future__ import annotations

from collections.abc import Iterable

from ffm_core import hookimpl
from ffm_core.records import Learner


@hookimpl
def ffm_learners() -> Iterable[Learner]:
    """Offer the default learner and its named heads."""
    from ffm_xgb.learner import LEARNERS

    return LEARNERS
