"""A checkpoint with random weights, and what the original library says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from ffm_core.bars.readers import load
from ffm_core.bars.simulate import market
from ffm_core.bars.table import Bars
from ffm_core.embed.chronos2 import opened
from ffm_core.embed.session import OnnxModel
from ffm_core.embed.verification import normalised
from ffm_core.embed.windows import windows_at
from ffm_core.embed.workers.graph import write_model
from ffm_core.types import Float32

HERE = Path(__file__).parent
CONTEXT = 128
KINDS = ("normal", "constant", "quiet", "trending", "NaN-leading")


@dataclass(frozen=True)
class Originals:
    """Checkpoints, windows of every kind, and the answers of torch to them."""

    folder: Path
    windows: dict[str, Float32]
    answers: dict[str, Float32]
    told: dict[str, Any]

    def said(self, name: str, kind: str, what: str) -> Float32:
        return self.answers[f"{name}/{kind}/{what}"]


def real_or_simulated() -> Bars:
    """Return 5-minute bars: real ones where there are any."""
    place = Path(os.environ.get("FFM_TEST_DATA") or "/nowhere") / "real" / "ES_5m.parquet"
    return load(place).bars if place.is_file() else market("SIMA3", months=4)


def kinds_of(bars: Bars) -> dict[str, Float32]:
    """Choose windows of bars by what they look like."""
    at = np.arange(CONTEXT, min(len(bars), 12_000), 7)
    found = windows_at(bars, at)
    at, values = at[found.usable], found.values[found.usable]
    slope = np.abs(values @ np.linspace(-1.0, 1.0, CONTEXT))
    rows = np.log(bars.close)[at[:6, None] - np.arange(CONTEXT)[::-1]]
    for row, missing in zip(rows, (1, 15, 16, 40, 100, 112), strict=True):
        row[:missing] = np.nan
    return {
        "normal": values[::200],
        "constant": np.zeros((2, CONTEXT), dtype=np.float32),
        "quiet": values[np.argsort(found.scale[found.usable])[:6]],
        "trending": values[np.argsort(slope)[-6:]],
        "NaN-leading": normalised(rows),
    }


@pytest.fixture(scope="session")
def bars() -> Bars:
    return real_or_simulated()


def _ask_torch(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "original.py"), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "hub")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def originals(bars: Bars, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    """Ask torch once, whatever the number of test processes; skip where it is not installed."""
    pytest.importorskip("onnx")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "originals"
    windows = kinds_of(bars)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "told.json").exists():
            folder.mkdir()
            np.savez(folder / "windows.npz", **windows)
            _ask_torch(folder)
    answers = dict(np.load(folder / "answers.npz"))
    return Originals(folder, windows, answers, json.loads((folder / "told.json").read_text()))


@pytest.fixture(scope="session")
def converted(originals: Originals, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Convert the checkpoints; return the model folders by name."""
    folders = {}
    for name in ("tiny", "small", "chronos-2"):
        folders[name] = tmp_path_factory.mktemp(f"model-{name}")
        write_model(
            originals.folder / name, folders[name], name=name, fit_cutoff=None,
            released="2024-11-26", trained_on="nothing", source="tests",
        )  # fmt: skip
    return folders


@pytest.fixture
def model(converted: dict[str, Path]) -> Any:
    """Return a maker of models by the checkpoint's name."""
    from ffm_core.embed.cards import read_card

    def make(name: str, **how: Any) -> OnnxModel:
        return opened(converted[name], read_card(converted[name]), **how)

    return make
