"""Ask a plug-in in a new interpreter: what it answers, and what its import pulls in."""

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
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, FeatureSet, Labeler
from ffm_core.testing.report import CheckSkipped

HEAVY = ("torch", "tensorflow", "jax", "xgboost", "lightgbm", "sklearn", "gymnasium", "matplotlib")
_SECONDS = 120

# What the core itself imports is loaded first, so that only the plug-in's own share is seen.
_CHILD = """
import sys, pickle
place = sys.argv[1]
with open(place, "rb") as file:
    paths, module, name, payload = pickle.load(file)
sys.path[:] = paths
import importlib, importlib.util, warnings
import ffm_core.records, ffm_core.bars
before = set(sys.modules)
warnings.simplefilter("ignore")
home = importlib.import_module(module)
door = module.partition(".")[0] + ".plugin"
if "." in module and importlib.util.find_spec(door):
    importlib.import_module(door)
heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
record, bars = pickle.loads(payload)
record = record or getattr(home, name)
try:
    if hasattr(record, "decide"):
        answer, error = record.decide(bars, record.defaults()), ""
    else:
        answer, error = record.batch(bars), ""
except Exception as problem:
    answer, error = None, f"{type(problem).__name__}: {problem}"
with open(place, "wb") as file:
    pickle.dump((heavy, answer, error), file)
"""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new interpreter said; ``heavy`` holds the heavy libraries it imported."""

    heavy: tuple[str, ...]
    answer: Any
    error: str


def fresh_process(record: Labeler | FeatureSet, bars: Bars) -> Fresh:
    """Import and run a plug-in in a new interpreter with another hash seed and thread count.

    Raises
    ------
    CheckSkipped
        When another process cannot find it: a labeler whose module cannot be imported
        by name, as a test's own functions, or a feature set that is neither a module's
        attribute nor can be pickled.
    """
    if isinstance(record, Labeler):
        module = _module(record)
        if module is None:
            raise CheckSkipped("its functions are in no module that another process could import")
        return _run(module, "", pickle.dumps((record, bars)), tuple(sys.path))
    module, name = _home(record)
    return _run(module, name, pickle.dumps((None, bars)), tuple(sys.path))


def _module(labeler: Labeler) -> str | None:
    function = labeler.decide
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__module__", None)
    return name if isinstance(name, str) and _importable(name) else None


def _importable(name: str) -> bool:
    try:
        return name != "__main__" and importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _home(feature_set: FeatureSet) -> tuple[str, str]:
    """Return module and attribute of a set; its functions are often made by functions."""
    for module_name, module in sorted(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is feature_set and _importable(module_name):
                return module_name, name
    raise CheckSkipped(
        f"feature set {feature_set.name!r} is not an attribute of a module that another process "
        "could import"
    )


@lru_cache(maxsize=4)
def _run(module: str, name: str, payload: bytes, paths: tuple[str, ...]) -> Fresh:
    """Run the child; one answer serves both checks that ask for it."""
    environment = os.environ | {"PYTHONHASHSEED": _other_hash_seed(), "POLARS_MAX_THREADS": "3"}
    with tempfile.TemporaryDirectory(prefix="ffm-fresh-") as folder:
        place = Path(folder) / "exchange"
        place.write_bytes(pickle.dumps((list(paths), module, name, payload)))
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
    if error or not isinstance(answer, Decisions | np.ndarray):
        return Fresh(heavy=heavy, answer=None, error=error or "it returned something else")
    return Fresh(heavy=heavy, answer=answer, error="")


def _other_hash_seed() -> str:
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
