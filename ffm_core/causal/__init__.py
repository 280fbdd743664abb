"""The falsifier: cut, change and shorten the bars, and see whether the past moves."""

from __future__ import annotations

from ffm_core.causal.falsify import falsify, falsify_feature_set, falsify_labeler, merge

__all__ = ["falsify", "falsify_feature_set", "falsify_labeler", "merge"]
