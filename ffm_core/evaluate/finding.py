"""What an evaluation is given, and what it finds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ffm_core.bars import Bars
from ffm_core.evaluate.pick import Picks
from ffm_core.evaluate.plan import Prepared
from ffm_core.evaluate.streams import Source
from ffm_core.records import (
    CheckResult,
    Control,
    Embedder,
    Evidence,
    Learner,
    Outcomes,
    Verdict,
    VerdictCheck,
)
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ticket
from ffm_core.types import Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything an evaluation needs, found and opened.

    ``checks`` is the pre-registered set, ``tightening`` are checks of extensions.
    ``strategy`` and ``data`` are facts for the run record.
    """

    config: EvalConfig
    bars: Sequence[Bars]
    source: Source
    learner: Learner | None
    controls: Sequence[Control]
    checks: Sequence[VerdictCheck]
    tightening: Sequence[VerdictCheck]
    strategy: dict[str, Any]
    data: Sequence[dict[str, Any]]
    code_hash: str
    home: Path
    jobs: int
    qualifier: str = ""
    redact: Any = None  # a Redactor when a private labeler is judged, or a private embedder used
    embedders: tuple[Embedder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the evaluation found; :mod:`ffm_core.evaluate.record` writes it down."""

    job: Job
    prereg: dict[str, Any]
    prepared: Prepared
    ticket: Ticket | None  # None when refused before anything was judged
    evidence: Evidence | None
    verdict: Verdict
    test: Picks | None
    outcomes: Outcomes | None
    random: list[Int64] | None  # pooled rows that each RANDOM draw holds
    classic: tuple[CheckResult, ...] = ()
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    seconds: float = 0.0
    cache: dict[str, int] = field(default_factory=dict)
    ablated: dict[str, Ticket] = field(default_factory=dict)  # trials of --ablate, by block
