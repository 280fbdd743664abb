"""Ask a strategy in a new interpreter: what it answers, and what its import pulls in."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, Labeler
from ffm_core.testing.report import CheckSkipped

HEAVY = ("torch", "tensorflow", "jax", "xgboost", "lightgbm", "sklearn", "gymnasium", "matplotlib")
_SECONDS = 120

# What the core itself imports is loaded first, so that only the strategy's own share is seen.
_CHILD = """
import sys, pickle
place = sys.argv[1]
with open(place, "rb") as file:
    paths, module, payload = pickle.load(file)
sys.path[:] = paths
import importlib, importlib.util, warnings
import ffm_core.records, ffm_core.bars
before = set(sys.modules)
warnings.simplefilter("ignore")
importlib.import_module(module)
door = module.partition(".")[0] + ".plugin"
if "." in module and importlib.util.find_spec(door):
    importlib.import_module(door)
heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
labeler, bars = pickle.loads(payload)
try:
    answer, error = labeler.decide(bars, labeler.defaults()), ""
except Exception as problem:
    answer, error = None, f"{type(problem).__name__}: {problem}"
with open(place, "wb") as file:
    pickle.dump((heavy, answer, error), file)
"""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new interpreter said; ``heavy`` holds the heavy libraries it imported."""

    heavy: tuple[str, ...]
    answer: object
    error: str


def fresh_process(labeler: Labeler, bars: Bars) -> Fresh:
    """Import and run ``labeler`` in a new interpreter with another hash seed.

    Raises
    ------
    CheckSkipped
        When its module cannot be imported by name, as for a test's own functions.
    """
    module = _module(labeler)
    if module is None:
        raise CheckSkipped("its functions are in no module that another process could import")
    return _run(module, pickle.dumps((labeler, bars)), tuple(sys.path))


def _module(labeler: Labeler) -> str | None:
    function = labeler.decide
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__module__", None)
    if not isinstance(name, str) or name == "__main__":
        return None
    try:
        return name if importlib.util.find_spec(name) is not None else None
    except (ImportError, ValueError):
        return None


@lru_cache(maxsize=4)
def _run(module: str, payload: bytes, paths: tuple[str, ...]) -> Fresh:
    """Run the child; one answer serves both checks that ask for it."""
    environment = os.environ | {"PYTHONHASHSEED": _other_hash_seed()}
    with tempfile.TemporaryDirectory(prefix="ffm-fresh-") as folder:
        place = Path(folder) / "exchange"
        place.write_bytes(pickle.dumps((list(paths), module, payload)))
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(place)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            return Fresh(heavy=(), answer=None, error=lines[-1] if lines else "it crashed")
        imported, answer, error = pickle.loads(place.read_bytes())
    heavy = tuple(name for name in HEAVY if name in imported)
    if error or not isinstance(answer, Decisions):
        return Fresh(heavy=heavy, answer=None, error=error or "it returned no Decisions")
    return Fresh(heavy=heavy, answer=answer, error="")


def _other_hash_seed() -> str:
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
