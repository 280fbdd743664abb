"""The public contract kit: check a strategy the way FFM checks its own.

The names load on first use, because the pytest plug-in lives in this package and
is imported by every test session on a machine that has FFM installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffm_core.testing.checks import CHECKS, Check
    from ffm_core.testing.kit import check_strategy, load_installed, parametrize_with_checks
    from ffm_core.testing.market import make_bars
    from ffm_core.testing.report import CheckFailed, Outcome, Report

_HOMES = {
    "CHECKS": "checks",
    "Check": "checks",
    "CheckFailed": "report",
    "Outcome": "report",
    "Report": "report",
    "check_strategy": "kit",
    "load_installed": "kit",
    "make_bars": "market",
    "parametrize_with_checks": "kit",
}

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "Outcome",
    "Report",
    "check_strategy",
    "load_installed",
    "make_bars",
    "parametrize_with_checks",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"ffm_core.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ffm_core.testing' has no attribute {name!r}")
