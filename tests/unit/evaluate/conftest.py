"""One small judged market, shared by the tests of the pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market
from ffm_core.evaluate import evaluate_bars
from ffm_core.runs.config import EvalConfig
from ffm_core.testing.worlds_labeler import LABELER

SMALL = EvalConfig(
    strategy="world", features=("trivial8",), permutations=3, random_draws=20, resamples=200, jobs=1
)


@pytest.fixture(scope="session")
def small_bars() -> list[Bars]:
    return [market("SIMA3", months=12)]


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def small_record(small_bars: list[Bars], small_home: Path) -> dict[str, Any]:
    return evaluate_bars(small_bars, labeler=LABELER, config=SMALL, home=small_home)


@pytest.fixture
def proven_home(small_record: dict[str, Any], small_home: Path, tmp_path: Path) -> Path:
    """A home with an empty ledger, and with what was proven and fitted for the small record."""
    shutil.copytree(small_home / "cache", tmp_path / "home" / "cache")
    return tmp_path / "home"
