"""Fixtures for the tests of a strategy package; loaded by pytest by itself.

Nothing of FFM is imported before a fixture is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars
    from ffm_core.host.registry import Host

pytest.register_assert_rewrite(
    "ffm_core.testing.kit", "ffm_core.testing.checks", "ffm_core.testing.feature_checks"
)

_SECONDS = 600


@dataclass(frozen=True)
class CommandResult:
    """What a run of ``ffm`` left behind."""

    args: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output read as JSON."""
        return json.loads(self.stdout)


@pytest.fixture
def bars() -> Bars:
    """Two thousand made-up bars with sessions, trends and a roll."""
    from ffm_core.testing.market import make_bars

    return make_bars("trend", rows=2_000, seed=7)


@pytest.fixture
def host() -> Callable[..., Host]:
    """Open plug-ins as an evaluation does: ``host("x").labeler()``, ``host("x", ["y"])``."""
    from ffm_core.host.loading import open_host

    return open_host


@pytest.fixture
def run_ffm(tmp_path: Path) -> Callable[..., CommandResult]:
    """Run ``ffm`` as a user would: ``run_ffm("eval", "x")``.

    The command runs in a new process, in the test's own folder and with its own
    ledger and cache; compiled kernels are shared with the other tests.
    """

    def run(*args: str | Path, cwd: Path | None = None, **environment: str) -> CommandResult:
        words = tuple(map(str, args))
        done = subprocess.run(
            [sys.executable, "-m", "ffm_core", *words],
            cwd=cwd or tmp_path,
            env=_environment(tmp_path, environment),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return CommandResult(words, done.returncode, done.stdout, done.stderr)

    return run


def _environment(folder: Path, extra: dict[str, str]) -> dict[str, str]:
    from ffm_core.paths import ffm_home

    home = str(folder / "ffm-home")
    kernels = os.environ.get("NUMBA_CACHE_DIR") or str(ffm_home() / "numba")
    return os.environ | {"FFM_HOME": home, "NUMBA_CACHE_DIR": kernels} | extra
