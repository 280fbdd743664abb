"""Many runs and many packages: lists of them against the plainest way to read the same files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.tools import peak_mb
from ffm_core.runs.canonical import jsonable, sha256_json
from ffm_core.runs.find import list_runs

RUNS, PACKAGES = 500, 100
REPEATS = 3
RUNS_GATE = 1.0  # at most the time that json.loads takes for the same records
PACKAGES_GATE = 40.0  # at most so many times what importing the packages takes
_PACKAGE = """
from ffm_core import Labeler, hookimpl

@hookimpl
def ffm_labelers():
    return [Labeler(name="{name}", decide=print, horizon_bars=5, warmup_bars=5)]
"""


def best(call: Callable[[], object]) -> float:
    """Return the least processor time of several calls, that of their processes included."""
    found = []
    for _ in range(REPEATS):
        start = sum(os.times()[:4])
        call()
        found.append(sum(os.times()[:4]) - start)
    return min(found)


def runs(folder: Path) -> dict:
    """List runs whose records are as large as those of an evaluation."""
    draws = np.random.default_rng(0).normal(size=4_500).round(12).tolist()
    result = jsonable({"strategy": {"name": "x"}, "prereg": {"claim": "trigger"}, "data": [],
                       "verdict": {"decision": "FAIL"}, "plots": {"draws": draws}})  # fmt: skip
    record = {"schema": "ffm-run/2", "result": result, "result_hash": sha256_json(result)}
    for number in range(RUNS):
        place = folder / f"20250101T{number:06d}Z"
        place.mkdir()
        text = json.dumps({**record, "envelope": {"run_id": place.name}}, indent=1)
        (place / "run.json").write_text(text)
    files = list(folder.glob("*/run.json"))
    reference = best(lambda: [json.loads(file.read_text()) for file in files])
    ours = best(lambda: list_runs(folder))
    whole = len(list_runs(folder)[0]) == RUNS
    return _row(f"runs list, {RUNS}", ours, reference, RUNS_GATE, whole)


def packages(folder: Path) -> dict:
    """Survey packages that offer one strategy each, in processes of their own."""
    for number in range(PACKAGES):
        name = f"bench_p{number}"
        (folder / f"{name}.py").write_text(_PACKAGE.format(name=name.replace("_", "-")))
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text("")
        (info / "entry_points.txt").write_text(
            f"[ffm.strategies]\n{name.replace('_', '-')} = {name}\n"
        )
    names = ", ".join(f"bench_p{number}" for number in range(PACKAGES))
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    survey = "from ffm_core.host.facts import survey; print(sum(f.state == 'ok' for f in survey()))"
    found = _output(start + survey)
    ours = best(lambda: _output(start + survey))
    reference = best(lambda: _output(f"{start}import importlib_metadata, {names}"))
    whole = int(found) >= PACKAGES
    return _row(f"plugins list, {PACKAGES}", ours, reference, PACKAGES_GATE, whole)


def _output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def _row(name: str, ours: float, reference: float, gate: float, whole: bool) -> dict:
    return {"name": name, "ours": ours, "ref": reference, "ratio": ours / reference, "gate": gate,
            "absolute": f"{ours:.2f} s", "parity": whole, "peak_rss_mb": peak_mb()}  # fmt: skip


def run() -> list[dict]:
    """Return a row per list."""
    rows = []
    for bench in (runs, packages):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(bench(Path(folder)))
    return rows


if __name__ == "__main__":
    rows = run()
    for row in rows:
        print(json.dumps(row))
    sys.exit(0 if all(row["parity"] and row["ratio"] <= row["gate"] for row in rows) else 1)
