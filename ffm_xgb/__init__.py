"""Boosted-tree and sparse-linear heads for FFM; deterministic for any thread count."""

from __future__ import annotations
