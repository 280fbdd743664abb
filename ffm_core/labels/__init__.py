"""Labels: fill kernels, exit policies, and what became of each decision."""

from __future__ import annotations

from ffm_core.labels.outcomes import outcomes, prepare_orders
from ffm_core.labels.policies import ATR_TRAIL, DYNAMIC_TARGET, EXIT_POLICIES, FIXED_RR

__all__ = [
    "ATR_TRAIL",
    "DYNAMIC_TARGET",
    "EXIT_POLICIES",
    "FIXED_RR",
    "outcomes",
    "prepare_orders",
]
