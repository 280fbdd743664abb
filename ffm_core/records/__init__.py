"""The records hooks offer and the tables a verdict is made of.

All are frozen and keyword-only; arrays are read-only views. Fields may be
added with defaults; none change meaning within one ``HOOK_API``.
"""

from __future__ import annotations

from ffm_core.records.features import Embedder, FeatureSet, FeatureStream
from ffm_core.records.learning import (
    ANSWERS,
    Answer,
    Control,
    Design,
    Learner,
    Model,
    Plan,
    Target,
    TargetHead,
    TargetLearner,
    TargetValues,
    View,
)
from ffm_core.records.strategy import (
    Column,
    DecideFn,
    Decisions,
    Labeler,
    Memory,
    Param,
    Params,
    ParamValue,
)
from ffm_core.records.trades import (
    OVERLAPS,
    REASONS,
    VOIDS,
    ExitPolicy,
    Fills,
    Orders,
    Outcomes,
    Overlap,
    SimulateFn,
    Trades,
)
from ffm_core.records.verdict import (
    Certificate,
    CheckResult,
    Claim,
    Evidence,
    Failure,
    Outcome,
    ShuffleResult,
    TrialContext,
    Verdict,
    VerdictCheck,
)

__all__ = [
    "ANSWERS",
    "OVERLAPS",
    "REASONS",
    "VOIDS",
    "Answer",
    "Certificate",
    "CheckResult",
    "Claim",
    "Column",
    "Control",
    "DecideFn",
    "Decisions",
    "Design",
    "Embedder",
    "Evidence",
    "ExitPolicy",
    "Failure",
    "FeatureSet",
    "FeatureStream",
    "Fills",
    "Labeler",
    "Learner",
    "Memory",
    "Model",
    "Orders",
    "Outcome",
    "Outcomes",
    "Overlap",
    "Param",
    "ParamValue",
    "Params",
    "Plan",
    "ShuffleResult",
    "SimulateFn",
    "Target",
    "TargetHead",
    "TargetLearner",
    "TargetValues",
    "Trades",
    "TrialContext",
    "Verdict",
    "VerdictCheck",
    "View",
]
