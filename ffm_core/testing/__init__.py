"""The public contract kit: check a strategy or feature set the way FFM checks its own.

The names load on first use, because the pytest plug-in lives in this package and
is imported by every test session on a machine that has FFM installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffm_core.testing.check_set_checks import CHECK_SET_CHECKS
    from ffm_core.testing.checks import CHECKS, Check
    from ffm_core.testing.embedder_checks import EMBEDDER_CHECKS
    from ffm_core.testing.exit_checks import EXIT_CHECKS
    from ffm_core.testing.feature_checks import FEATURE_CHECKS
    from ffm_core.testing.functions import check_function
    from ffm_core.testing.golden import golden_bars
    from ffm_core.testing.kit import (
        check_check_set,
        check_embedder,
        check_exit_policy,
        check_feature_set,
        check_strategy,
        check_target,
        load_features,
        load_installed,
        parametrize_with_checks,
    )
    from ffm_core.testing.market import bars_of, make_bars, walk_bars
    from ffm_core.testing.report import CheckFailed, Excuse, Outcome, Report
    from ffm_core.testing.target_checks import TARGET_CHECKS
    from ffm_core.testing.views import make_view

_HOMES = {
    "CHECKS": "checks",
    "CHECK_SET_CHECKS": "check_set_checks",
    "Check": "checks",
    "CheckFailed": "report",
    "EMBEDDER_CHECKS": "embedder_checks",
    "EXIT_CHECKS": "exit_checks",
    "Excuse": "report",
    "FEATURE_CHECKS": "feature_checks",
    "Outcome": "report",
    "Report": "report",
    "TARGET_CHECKS": "target_checks",
    "bars_of": "market",
    "check_check_set": "kit",
    "check_embedder": "kit",
    "check_exit_policy": "kit",
    "check_feature_set": "kit",
    "check_function": "functions",
    "check_strategy": "kit",
    "check_target": "kit",
    "golden_bars": "golden",
    "load_features": "kit",
    "load_installed": "kit",
    "make_bars": "market",
    "make_view": "views",
    "parametrize_with_checks": "kit",
    "walk_bars": "market",
}

__all__ = [
    "CHECKS",
    "CHECK_SET_CHECKS",
    "EMBEDDER_CHECKS",
    "EXIT_CHECKS",
    "FEATURE_CHECKS",
    "TARGET_CHECKS",
    "Check",
    "CheckFailed",
    "Excuse",
    "Outcome",
    "Report",
    "bars_of",
    "check_check_set",
    "check_embedder",
    "check_exit_policy",
    "check_feature_set",
    "check_function",
    "check_strategy",
    "check_target",
    "golden_bars",
    "load_features",
    "load_installed",
    "make_bars",
    "make_view",
    "parametrize_with_checks",
    "walk_bars",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"ffm_core.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ffm_core.testing' has no attribute {name!r}")
