"""A golden set of evaluations: record it before a change, and again after it.

A refactoring must move no figure. ``record`` judges a fixed list of strategies, markets,
learners, exits and worlds and keeps what each run found; ``compare`` names every figure
that differs between two recordings, and by how much. Recordings of real bars stay outside
the repository.

    python benchmarks/golden.py record FOLDER [--only TEXT] [--data ../shared/data/real]
    python benchmarks/golden.py compare BEFORE AFTER
    python benchmarks/golden.py figures FOLDER > FILE

``figures`` prints the figures of recordings alone, small enough to be committed beside a test.

The file imports nothing of the project, so a copy of it can record an older checkout; it runs
the ``ffm`` that stands beside the Python it is run with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

STRATEGIES = ("supertrend", "cisd")
MARKETS = {
    "es-cl": ("ES_5m.parquet", "CL_5m.parquet"),
    "nq": ("NQ_30m.parquet",),
    "demo": (),
}
SETTINGS = {
    "xgb": ("--learner", "xgb:xgb"),
    "linear": ("--learner", "xgb:linear"),
    "blend": ("--learner", "xgb:blend"),
    "none": ("--learner", "none"),
    "dynamic": ("--exit", "dynamic_target"),
    "trail": ("--exit", "atr_trail"),
}
WORLDS = {"planted": ("--world", "planted"), "null": ("--world", "null")}
# What a refactoring may change: identities, clocks, versions.
VOLATILE = frozenset(
    {"code_hash", "hash", "hook_api", "version", "ledger_since", "run_id", "prereg", "identity"}
)


def cases(data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the command of every evaluation."""
    for market, files in MARKETS.items():
        for strategy in STRATEGIES:
            for setting, flags in SETTINGS.items():
                where = ["--demo"]
                if files:
                    if data is None:
                        continue
                    where = [word for file in files for word in ("--data", str(data / file))]
                yield f"{market}.{strategy}.{setting}", ["eval", strategy, *where, *flags]
    for world, flags in WORLDS.items():
        yield f"world.{world}", ["ruler", "validate", *flags, "--seeds", "0"]


# What of a recording is committed: figures, no sentences and no hashes.
FIGURES = re.compile(
    r"result\.(arms|decisions|trials)\..*"
    r"|result\.checks\[\d+\]\.(name|outcome|value|threshold|power|minimum_detectable|interval\[\d\])"
    r"|result\.(certificate\.(status|cuts|proven_bars)|verdict\.decision)"
    r"|result\.worlds\.worlds\[\d+\]\.(arms|checks|decision)\b.*"
    r"|tables\.\w+\.\w+\.(rows|sum)|exit"
)
# How far a figure may lie from the committed one: other processors round otherwise.
RELATIVE, ABSOLUTE = 1e-6, 1e-9


def record(folder: Path, data: Path | None, only: str, jobs: int) -> int:
    """Run every case that is not in ``folder`` yet, each with a ledger of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    ffm = Path(sys.executable).with_name("ffm")
    shared = folder / "cache"
    shared.mkdir(exist_ok=True)
    for name, words in cases(data):
        target = folder / f"{name}.json"
        if only not in name or target.exists():
            continue
        with tempfile.TemporaryDirectory() as home:
            (Path(home) / "cache").symlink_to(shared.resolve())
            began = time.perf_counter()
            out = Path(home) / "runs"
            command = [str(ffm), *words, "--jobs", str(jobs), "--json"]
            command += ["--results" if words[0] == "ruler" else "--out", str(out)]
            environment = {**os.environ, "FFM_HOME": home, "COLUMNS": "100"}
            environment.setdefault("NUMBA_CACHE_DIR", str(folder.resolve() / "numba"))
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode not in (0, 1, 5, 6):
                print(f"{name}: exit {done.returncode}: {done.stderr[-600:]}", file=sys.stderr)
                continue
            found = {"exit": done.returncode, **_found(json.loads(done.stdout), out)}
            partial = target.with_suffix(".partial")
            partial.write_text(json.dumps(found, indent=1, sort_keys=True))
            partial.replace(target)
            print(f"{name}: {done.returncode}, {time.perf_counter() - began:.0f} s", flush=True)
    return 0


def _found(document: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return what a run found: its result, and a digest of every column of its tables."""
    if "result" not in document:
        return {"result": {"worlds": document}}
    import polars as pl

    tables = {}
    for path in sorted(out.glob("*/*.parquet")):
        frame = pl.read_parquet(path)
        for name in frame.columns:
            values = frame[name].to_list()
            text = "\n".join(repr(value) for value in values)
            tables[f"{path.stem}.{name}"] = {
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "rows": len(values),
                "sum": _total(frame[name]),
            }
    return {"result": document["result"], "tables": tables}


def _total(column: Any) -> float | None:
    return float(column.fill_nan(None).sum()) if column.dtype.is_float() else None


def compare(before: Path, after: Path, most: int) -> int:
    """Print every figure that differs; return 1 when one does."""
    names = sorted({path.name for place in (before, after) for path in place.glob("*.json")})
    moved = 0
    for name in names:
        old, new = (place / name for place in (before, after))
        if not (old.exists() and new.exists()):
            print(f"{name}: only in {old.parent if old.exists() else new.parent}")
            continue
        pair = [dict(_flat(json.loads(path.read_text()))) for path in (old, new)]
        keys = sorted(pair[0].keys() | pair[1].keys())
        differing = [key for key in keys if pair[0].get(key, "–") != pair[1].get(key, "–")]
        moved += len(differing)
        print(f"{name}: {len(differing)} of {len(keys)} figures differ")
        for key in differing[:most]:
            print(f"    {key}: {pair[0].get(key, '–')} -> {pair[1].get(key, '–')}")
    return 1 if moved else 0


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in VOLATILE:
                yield from _flat(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _flat(item, f"{at}[{place}]")
    else:
        yield at, value


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one recording, by their place."""
    return {key: value for key, value in _flat(found) if FIGURES.fullmatch(key)}


def moved(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return one line for every figure that is not where it was."""
    lines = []
    for key in sorted(expected.keys() | found.keys()):
        old, new = expected.get(key, "absent"), found.get(key, "absent")
        if _number(old) and _number(new):
            same = math.isclose(old, new, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        else:
            same = old == new
        if not same:
            lines.append(f"{key}: {old} -> {new}")
    return lines


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_figures(folder: Path) -> int:
    """Print what is committed of a folder of recordings, and where it comes from."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    packages = ("ffm-core", "numba", "numpy", "polars", "scikit-learn", "xgboost")
    document = {
        "made": {
            "command": "python benchmarks/golden.py record FOLDER --only demo, then figures FOLDER",
            "day": time.strftime("%Y-%m-%d", time.gmtime()),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "packages": {name: metadata.version(name) for name in packages},
        },
        "figures": {name: figures(one) for name, one in found.items()},
    }
    print(json.dumps(document, indent=1, sort_keys=True))
    return 0


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--only", default="")
    recording.add_argument("--jobs", type=int, default=1)
    recording.add_argument("--data", type=Path, default=None)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--most", type=int, default=12)
    writing = commands.add_parser("figures")
    writing.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "figures":
        return write_figures(given.folder)
    if given.command == "record":
        return record(given.folder, given.data, given.only, given.jobs)
    return compare(given.before, given.after, given.most)


if __name__ == "__main__":
    sys.exit(main())
