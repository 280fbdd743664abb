"""Run worlds through the real evaluation and count what it says.

Every world is judged in a home of its own, so that no ledger, seal or cache of one
touches another. A finished world leaves one small JSON file; running again skips it
as long as the code that judged it is the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ffm_core.errors import ConfigError
from ffm_core.report.remarks import trigger
from ffm_core.report.words import headline
from ffm_core.runs.atomic import atomic_write
from ffm_core.runs.canonical import canonical_json, sha256_json
from ffm_core.testing.worlds import WorldKind, make_world

SCHEMA = "ffm-world/1"
DECISIONS = ("PASS", "FAIL", "INCONCLUSIVE", "REFUSED")

_PACKAGES = ("ffm_core", "ffm_xgb")
_ARMS = ("REAL", "NAIVE", "RANDOM", "ENTRY")
_Z = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTask:
    """One world to judge with one learner; ``edge`` None means the world's own."""

    kind: WorldKind
    seed: int
    edge: float | None
    learner: str
    head: str | None
    features: tuple[str, ...]
    train_months: int
    folder: Path

    @property
    def slug(self) -> str:
        """Name that no other task shares, fit for a file."""
        edge = "" if self.edge is None else f"-e{round(self.edge * 100):03d}"
        head = f"-{self.head}" if self.head else ""
        features = "+".join(self.features).replace(":", "@")  # no colon in names of files
        return f"{self.kind}{edge}-{self.learner}{head}-{features}-t{self.train_months}-{self.seed}"

    @property
    def result(self) -> Path:
        """File that a finished world leaves."""
        return self.folder / f"{self.slug}.json"

    def key(self, code: str) -> str:
        """Hash of what was asked and of the code that answers."""
        asked = {k: v for k, v in asdict(self).items() if k != "folder"}
        return sha256_json({**asked, "code": code})


def code_version() -> str:
    """Hash the source files of the packages that make a verdict."""
    digest = hashlib.sha256(b"ffm-world-code-1")
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{name}/{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def run_world(
    kind: WorldKind,
    seed: int,
    *,
    edge: float | None,
    learner: str,
    head: str | None,
    features: tuple[str, ...],
    train_months: int,
    home: Path,
) -> dict[str, Any]:
    """Judge one world with the real evaluation.

    Parameters
    ----------
    kind, seed, edge
        As for :func:`ffm_core.testing.worlds.make_world`.
    learner : str
        Name of a learner, or ``none`` for the trigger claim.
    head : str, optional
        Signal head; default the learner's own.
    features : tuple of str
        Feature sets and embedders, in order of columns.
    train_months : int
        Months that every fold trains on.
    home : pathlib.Path
        Ledger and cache of this world alone.

    Returns
    -------
    dict
        ``decision``, ``headline``, ``reasons``, ``checks``, ``arms`` (mean R and trades),
        ``trigger``, ``decisions`` and ``result_hash`` of the record.
    """
    from ffm_core.evaluate import evaluate_bars
    from ffm_core.runs.config import EvalConfig

    world = make_world(kind, seed, edge)
    config = EvalConfig(
        strategy="world", learner=learner, head=head, features=features,
        train_months=train_months, jobs=1, quiet=True,
    )  # fmt: skip
    record = evaluate_bars(world.bars, labeler=world.labeler, config=config, home=home)
    return summary_of(record)


def summary_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a run record what counting verdicts needs."""
    result = record["result"]
    checks = [
        {key: check.get(key) for key in ("name", "outcome", "value", "threshold", "gates")}
        for check in result["checks"]
    ]
    arms = {
        name: {key: arm.get(key) for key in ("n_trades", "mean_r")}
        for name, arm in result["arms"].items()
    }
    return {
        "decision": result["verdict"]["decision"],
        "headline": headline(result),
        "reasons": list(result["verdict"]["reasons"]),
        "trigger": trigger(result),
        "checks": checks,
        "arms": arms,
        "decisions": result["decisions"]["n"],
        "result_hash": record.get("result_hash") or sha256_json(result),
    }


def finished(task: WorldTask, code: str) -> dict[str, Any] | None:
    """Return the stored answer of ``task``, or None when it must be judged (again)."""
    try:
        stored = json.loads(task.result.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(stored, dict) or stored.get("key") != task.key(code):
        return None
    return stored


def judge(task: WorldTask, code: str) -> dict[str, Any]:
    """Judge one world, store the answer in one step, and return it."""
    home = task.folder / "homes" / task.slug
    # A home left by a killed run would count its trial twice: begin afresh.
    shutil.rmtree(home, ignore_errors=True)
    began = time.monotonic()
    answer = run_world(
        task.kind, task.seed, edge=task.edge, learner=task.learner, head=task.head,
        features=task.features, train_months=task.train_months, home=home,
    )  # fmt: skip
    stored = {
        "schema": SCHEMA,
        "key": task.key(code),
        "world": task.kind,
        "seed": task.seed,
        "edge": task.edge,
        "learner": task.learner,
        "head": task.head,
        "features": list(task.features),
        "train_months": task.train_months,
        **answer,
        "seconds": round(time.monotonic() - began, 2),
    }
    atomic_write(task.result, canonical_json(stored) + b"\n")
    shutil.rmtree(home, ignore_errors=True)
    return stored


def judge_all(tasks: Sequence[WorldTask], *, jobs: int, code: str) -> Iterator[dict[str, Any]]:
    """Yield the stored answers, then judge the other tasks and yield as they come.

    Parameters
    ----------
    tasks : sequence of WorldTask
        In any order.
    jobs : int
        Worlds judged at a time, each in a process of its own when above 1.
    code : str
        From :func:`code_version`.
    """
    waiting = []
    for task in tasks:
        stored = finished(task, code)
        if stored is None:
            waiting.append(task)
        else:
            yield stored
    if jobs == 1 or len(waiting) < 2:
        for task in waiting:
            yield judge(task, code)
        return
    from joblib import Parallel, delayed

    workers = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")
    yield from workers(delayed(judge)(task, code) for task in waiting)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the two-sided 95 % Wilson interval of a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    spread = _Z * math.sqrt(share * (1 - share) / trials + (_Z / (2 * trials)) ** 2)
    scale = 1 + _Z**2 / trials
    middle = share + _Z**2 / (2 * trials)
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


def tally(answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Count verdicts per learner and head.

    Returns
    -------
    list of dict
        ``learner``, ``head``, ``n``, ``counts`` by decision, ``pass_share`` and its
        ``pass_interval`` (Wilson, 95 %), ``mean_r`` (per arm, averaged over worlds),
        ``stopped_by`` (gating checks that did not pass, by name), ``headlines`` of the
        verdicts and ``seeds`` by decision.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for answer in sorted(answers, key=lambda a: (a["learner"], a["head"] or "", a["seed"])):
        groups.setdefault((answer["learner"], answer["head"] or ""), []).append(answer)
    return [_row(learner, head or None, rows) for (learner, head), rows in groups.items()]


def _row(learner: str, head: str | None, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    counts = Counter(row["decision"] for row in rows)
    passed = counts["PASS"]
    stopped = Counter(
        check["name"]
        for row in rows
        for check in row["checks"]
        if check["gates"] is not False and check["outcome"] in ("fail", "inconclusive", "refused")
    )
    headlines = Counter(row["headline"] for row in rows)
    return {
        "learner": learner,
        "head": head,
        "n": len(rows),
        "counts": {name: counts[name] for name in DECISIONS},
        "pass_share": passed / len(rows),
        "pass_interval": list(wilson(passed, len(rows))),
        "mean_r": {arm: _mean_r(arm, rows) for arm in _ARMS},
        "stopped_by": dict(stopped.most_common()),
        "headlines": dict(headlines.most_common()),
        "seeds": {name: [r["seed"] for r in rows if r["decision"] == name] for name in DECISIONS},
    }


def _mean_r(arm: str, rows: list[Mapping[str, Any]]) -> float | None:
    means = [row["arms"].get(arm, {}).get("mean_r") for row in rows]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known else None


def parse_seeds(text: str) -> list[int]:
    """Read ``0-19``, ``7`` or ``0-4,10-14`` as seeds in order.

    Raises
    ------
    ConfigError
        When the text is no such list, or the list is empty.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"{text!r} is not a list of seeds", fix="write 0-19, or 0-4,10-14")
        begin, end = int(first), int(last) if dash else int(first)
        if end < begin or end - begin >= 100_000:
            raise ConfigError(f"{part.strip()!r} is not a range of seeds", fix="write it like 0-19")
        seeds.extend(range(begin, end + 1))
    return sorted(set(seeds))
