"""Reading a million bars: ours against pyarrow's bare CSV read, in the same run.

Ours ends in validated ``Bars`` (stamps in UTC, schema checked); the line
``csv_audited`` adds the plausibility audit. Both sides are the best of several.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.csv as pacsv

from ffm_core.bars.readers import Options, load
from ffm_core.bars.readers.loading import _read_part

ROWS = 1_000_000
GATE = 2.5


def run(rows: int = ROWS, repeats: int = 5) -> dict[str, dict[str, float]]:
    """Measure and return one entry per case.

    Returns
    -------
    dict
        Name to ``ours`` and ``ref`` (seconds), ``ratio``, ``gate`` (NaN where
        nothing gates) and ``peak_mb`` of the process so far.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ES_1m.csv"
        _write(path, rows)
        ref, *ours = _best_of(
            repeats,
            lambda: pacsv.read_csv(path),
            lambda: _read_part(path, Options()),
            lambda: load(path, accept_quality=True),
        )
    gates = (GATE, float("nan"))
    return {
        name: {
            "ours": own,
            "ref": ref,
            "ratio": own / ref,
            "gate": gate,
            "rows_per_second": rows / own,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        for name, own, gate in zip(("csv_to_bars", "csv_audited"), ours, gates, strict=True)
    }


def _write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    walk = np.maximum(20_000 + np.cumsum(rng.integers(-4, 5, rows)), 1000)
    opens = np.concatenate((walk[:1], walk[:-1]))
    high = np.maximum(opens, walk) + rng.integers(0, 5, rows)
    low = np.minimum(opens, walk) - rng.integers(0, 5, rows)
    stamps = pl.from_epoch(pl.Series(1_577_836_800 + 60 * np.arange(rows)), "s")
    pl.DataFrame(
        {
            "datetime": stamps.dt.strftime("%Y-%m-%d %H:%M:%S+00:00"),
            "open": opens * 0.25,
            "high": high * 0.25,
            "low": low * 0.25,
            "close": walk * 0.25,
            "volume": rng.integers(1, 5000, rows),
        }
    ).write_csv(path)


def _best_of(repeats: int, *cases: Callable[[], object]) -> list[float]:
    # Interleaved, so that a busy moment of the machine hits all of them.
    best = [float("inf")] * len(cases)
    for _ in range(repeats):
        for index, case in enumerate(cases):
            start = time.perf_counter()
            case()
            best[index] = min(best[index], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    for name, line in run().items():
        plain = {key: None if np.isnan(value) else value for key, value in line.items()}
        print(json.dumps({"name": name, **plain}))
