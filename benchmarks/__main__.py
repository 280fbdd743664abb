"""Run every benchmark and gate its ratio: ``python -m benchmarks [NAME ...]``.

Ratios gate, because they hold on any machine; absolute figures are reported.
Exit code 1 when a gate is missed or a result differs from its reference.
"""

from __future__ import annotations

import json
import subprocess
import sys

NAMES = (
    "kernels",
    "features",
    "targets",
    "causal",
    "ruler",
    "io",
    "heads",
    "startup",
    "scale",
    "walkforward",
    "embed",
)


def main() -> int:
    """Run the named benchmarks, each in a process of its own."""
    wanted = sys.argv[1:] or list(NAMES)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    missed = []
    for name in wanted:
        print(f"== {name}", flush=True)
        answer = subprocess.run(
            [sys.executable, "-m", f"benchmarks.bench_{name}"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        for line in answer.stdout.splitlines():
            print(_readable(line), flush=True)
        if answer.returncode:
            missed.append(name)
    print("gates missed: " + ", ".join(missed) if missed else "every gate held")
    return 1 if missed else 0


def _readable(line: str) -> str:
    """Return a JSON line as one sentence, other lines unchanged."""
    try:
        row = json.loads(line)
    except ValueError:
        return line
    gate = f" (gate {row['gate']:g})" if row.get("gate") else ""
    parity = "" if row.get("parity", True) else "  RESULTS DIFFER"
    memory = row.get("peak_rss_mb") or row.get("peak_mb") or 0.0
    return (
        f"{row['name']:<24} ratio {row['ratio']:8.2f}{gate:<12} "
        f"{row.get('absolute', ''):<48} peak {memory:5.0f} MiB{parity}"
    )


if __name__ == "__main__":
    sys.exit(main())
