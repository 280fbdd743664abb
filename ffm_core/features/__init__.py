"""Feature sets: causal columns of bars."""

from __future__ import annotations

from ffm_core.features.trivial8 import TRIVIAL8

__all__ = ["TRIVIAL8"]
