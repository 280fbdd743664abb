"""Labels: fill kernels, exit policies, and what became of each decision.

The function ``outcomes`` lives in the module of the same name and is imported
from there.
"""

from __future__ import annotations

from ffm_core.labels.policies import (
    ATR_TRAIL,
    DYNAMIC_TARGET,
    EXIT_POLICIES,
    FIXED_RR,
    RS_TRAIL,
    SESSION_END,
)

__all__ = [
    "ATR_TRAIL",
    "DYNAMIC_TARGET",
    "EXIT_POLICIES",
    "FIXED_RR",
    "RS_TRAIL",
    "SESSION_END",
]
