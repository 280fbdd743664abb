"""What lies in the folder somebody works in replaces nothing of FFM's, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ffm_core.testing import make_bars

NAMES = ("signal", "random", "queue", "json", "select", "types", "joblib", "numpy")
IDEA = """
import helper
import json
import queue
import numpy as np
from ffm_core import Decisions, Labeler

def decide(bars, params):
    import random
    bar = np.flatnonzero(helper.moves(bars) > 0)[::25]
    bar = bar[bar >= 50]
    return Decisions(bar=bar, side=np.ones(len(bar)), risk=np.full(len(bar), 20.0))

LABELER = Labeler(name="idea", decide=decide, horizon_bars=20, warmup_bars=50)
"""
HELPER = """
import polars as pl

def moves(bars):
    return bars.frame.select(pl.col("close").diff().shift(1).fill_null(0.0)).to_numpy().ravel()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('mine: {name}')")
    (tmp_path / "idea.py").write_text(IDEA)
    (tmp_path / "helper.py").write_text(HELPER)
    make_bars("trend", rows=600, seed=7).frame.write_parquet(tmp_path / "ES_5m.parquet")
    return tmp_path


def run(
    folder: Path, *words: str, python: bool = False, **more: str
) -> subprocess.CompletedProcess[str]:
    start = [sys.executable] if python else [sys.executable, "-P", "-m", "ffm_core"]
    environment = {**os.environ, "FFM_HOME": str(folder / "home"), **more}
    return subprocess.run([*start, *words], cwd=folder, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip


def test_a_check_is_not_disturbed_and_sees_an_edited_helper(folder):
    words = ("check", "./idea.py", "--data", "ES_5m.parquet", "--features", "trivial8")
    done = run(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "helper.py").write_text(HELPER.replace("shift(1)", "shift(-1)"))
    done = run(folder, *words)
    assert done.returncode == 6, done.stdout + done.stderr


def test_workers_of_the_pool_start_undisturbed(folder):
    code = """
        import sys
        from ffm_core.evaluate.executor import Executor

        if __name__ == "__main__":
            print(list(Executor(2).run(abs, [1, -2, 3])))
    """
    done = run(folder, "-P", "-c", textwrap.dedent(code), python=True)
    assert done.stdout == "[1, 2, 3]\n", done.stderr


def test_it_may_be_started_as_a_module(folder):
    (folder / "types.py").unlink()  # Python itself needs this one before it runs a module
    done = run(folder, "-m", "ffm_core", "--version", python=True)
    assert done.returncode == 0, done.stderr


def test_a_folder_named_by_the_user_stays_importable_behind_all_others(folder):
    code = """
        import os, sys
        from ffm_core.processes import leave_working_folder

        sys.path[:0] = ["", os.getcwd()]
        os.environ["PYTHONPATH"] = os.pathsep.join([".", "/elsewhere"])
        leave_working_folder()
        print(sys.path.index(os.getcwd()) == len(sys.path) - 1, "" in sys.path)
        print(os.environ["PYTHONPATH"])
        import helper, json
    """
    done = run(folder, "-P", "-c", textwrap.dedent(code), python=True)
    assert done.stdout == "True False\n/elsewhere\n", done.stderr
