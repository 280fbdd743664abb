"""Starting up is quick and light, however much is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import pytest

HEAVY = ("numpy", "polars", "pyarrow", "numba", "torch", "xgboost", "pandas", "rich")
MAX_RATIO = 4.0  # of `python -c "import click"`
ATTEMPTS = 7

PROBE = """
import sys
{code}
heavy = {heavy!r}
print("LOADED", *sorted(name for name in heavy if name in sys.modules))
"""
HELP = """
from ffm_core.cli import main
try:
    main({words!r}, prog_name="ffm")
except SystemExit as left:
    assert left.code == 0, left.code
"""


def loaded_by(code: str, **environment: str) -> set[str]:
    """Run code in a fresh interpreter and return the heavy libraries it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code, heavy=HEAVY)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in which a hundred strategies are installed, each heavy to import."""
    site = tmp_path_factory.mktemp("crowd")
    for i in range(100):
        info = site / f"ffm_strategy_s{i}-1.0.dist-info"
        info.mkdir()
        name = f"Metadata-Version: 2.1\nName: ffm-strategy-s{i}\nVersion: 1.0\n"
        (info / "METADATA").write_text(name)
        (info / "entry_points.txt").write_text(f"[ffm.strategies]\ns{i} = ffm_strategy_s{i}\n")
        (site / f"ffm_strategy_s{i}.py").write_text("import numpy, polars, numba\n")
    return str(site)


def test_the_probe_sees_a_heavy_import():
    assert loaded_by("import numpy") == {"numpy"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plugins", "--help"]])
def test_help_loads_nothing_heavy(crowd, words):
    assert loaded_by(HELP.format(words=words), PYTHONPATH=crowd) == set()


def test_listing_from_metadata_loads_nothing_heavy(crowd):
    code = "from ffm_core.host.discovery import discover\nassert len(discover()) >= 100"
    assert loaded_by(code, PYTHONPATH=crowd) == set()


def test_completion_loads_nothing_heavy(crowd):
    code = (
        "from ffm_core.cli._complete import complete_strategies as complete\n"
        "assert len(complete(None, None, 's')) >= 100"
    )
    assert loaded_by(code, PYTHONPATH=crowd) == set()


def test_importing_the_core_loads_neither_torch_nor_xgboost():
    assert loaded_by("import ffm_core").isdisjoint({"torch", "xgboost"})
    assert loaded_by("import ffm_core\nffm_core.Labeler\nffm_core.Bars").isdisjoint(
        {"torch", "xgboost"}
    )


def seconds(command: list[str], path: str) -> float:
    """Return the processor time of one run, which a busy machine hardly changes.

    It is read from the system's own account, in microseconds (the clock of `os.times` ticks
    at 10 ms, a quarter of the reference). Windows keeps no such account of children; there it
    is the time of the clock.
    """
    environment = {**os.environ, "PYTHONPATH": path}
    began, before = perf_counter(), processor_seconds()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return processor_seconds() - before or perf_counter() - began


def processor_seconds() -> float:
    """Return what ended children of this process have used so far."""
    if find_spec("resource") is None:
        return 0.0
    resource = import_module("resource")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(used.ru_utime + used.ru_stime)


def test_help_among_a_hundred_plugins_is_quick(crowd):
    program = Path(sys.executable).with_name("ffm")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "ffm_core"]
    ours, reference = [], []
    for _ in range(ATTEMPTS):  # in turn, so that a busy moment hits both
        ours.append(seconds([*command, "--help"], crowd))
        reference.append(seconds([sys.executable, "-c", "import click"], crowd))
    assert min(ours) / min(reference) <= MAX_RATIO
