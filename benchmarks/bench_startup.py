"""``ffm --help`` against ``python -c "import click"``, whole processes, same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.tools import peak_mb

GATE = 4.0  # at most this many times the reference
REPEATS = 9


def seconds(command: list[str]) -> float:
    """Wall time of one run of a command."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def run() -> list[dict]:
    """Return the ratio of best times, the two commands in turn."""
    ours, reference = float("inf"), float("inf")
    for _ in range(REPEATS):
        reference = min(reference, seconds([sys.executable, "-c", "import click"]))
        ours = min(ours, seconds([sys.executable, "-m", "ffm_core", "--help"]))
    return [
        {
            "name": "help",
            "ours": ours,
            "ref": reference,
            "ratio": ours / reference,
            "gate": GATE,
            "absolute": f"{ours * 1e3:.0f} ms",
            "parity": True,
            "peak_rss_mb": peak_mb(),
        }
    ]


if __name__ == "__main__":
    rows = run()
    print(json.dumps(rows[0]))
    sys.exit(0 if rows[0]["ratio"] <= GATE else 1)
