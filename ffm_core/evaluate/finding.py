"""What an evaluation found; :mod:`ffm_core.evaluate.record` writes it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ffm_core.evaluate.arms import Holdings
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.pool import Folded
from ffm_core.records import Certificate, Decisions, Evidence, Verdict
from ffm_core.runs.ledger import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Everything the record is made of; parts a refusal never came to are None."""

    job: Job
    promise: dict[str, Any]
    decisions: Sequence[Decisions]  # by stream
    certificate: Certificate
    verdict: Verdict
    folded: Folded | None = None
    ticket: Ticket | None = None
    evidence: Evidence | None = None
    real: Holdings | None = None


__all__ = ["Finding"]
