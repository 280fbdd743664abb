"""One cache of proofs and fits for all evaluations of a test run.

FFM's cache holds what was proven and fitted under a key of everything that can change it, and
several processes may write to it at once. Tests whose subject is not the cache lend theirs, so
that a market and a rule are proven once for a page, a golden figure and an exit code. Ledgers
and runs stay apart.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return a folder that all workers of this test run see."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / name
    folder.mkdir(exist_ok=True)
    return folder


def lend_cache(home: Path, shared: Path) -> Path:
    """Let a home use the shared cache; where links are not allowed it keeps one of its own."""
    home.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        (home / "cache").symlink_to(shared, target_is_directory=True)
    return home
