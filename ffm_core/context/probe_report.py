"""A probe in words, a table and a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ffm_core.context.baselines import MEANING
from ffm_core.context.probe import POOLED, Probe, ProbeResult
from ffm_core.context.scoring import ScoreEstimate

_SHORT = {
    "embedding": "emb", "embedding+extras": "emb+extras", "random weights": "random",
    "persistence": "persist", "embedding+ffm68": "emb+ffm68",
}  # fmt: skip
_SETTINGS = ("stride", "from_us", "resamples", "block_days", "seed", "rounds", "shuffles",
             "targets", "jobs", "min_train", "min_later")  # fmt: skip
# The questions a reader has, each a pair of arms.
_ASKED = (
    (("embedding", "trivial8"), "The embedding alone against trivial8"),
    (("embedding", "ffm68"), "The embedding alone against ffm68"),
    (("embedding", "random weights"), "The embedding against random weights"),
    (("embedding", "stats"), "The embedding against stats"),
    (("embedding", "persistence"), "The embedding against persistence"),
    (("embedding+ffm68", "ffm68"), "The embedding added to ffm68"),
    (("embedding+ffm68", "stats+ffm68"), "The embedding with ffm68 against stats with ffm68"),
)  # fmt: skip


def probe_record(found: Probe) -> dict[str, Any]:
    """Return everything a probe found as one document."""
    return {
        "embedder": found.embedder,
        "random": found.random or None,
        "streams": found.streams,
        "test_from": found.test_from,
        "arms": found.arms,
        "persistence": MEANING,
        "settings": found.settings.record(*_SETTINGS),
        "skipped": dict(found.skipped),
        "left_out": dict(found.left_out),
        "warnings": found.warnings,
        "results": [_result_record(result) for result in found.results],
    }


def _result_record(result: ProbeResult) -> dict[str, Any]:
    return {
        "target": result.target, "scope": result.scope, "measure": result.measure,
        "n_train": result.n_train, "n_test": result.n_test, "n_days": result.n_days,
        "effective_n": round(result.effective, 1), "mean": result.mean,
        "scores": {arm: score.record() for arm, score in result.scores.items()},
        "shuffle_sd": result.shuffle_sd,
        "differences": [
            {"arm": one, "against": other, **score.record()}
            for (one, other), score in result.differences.items()
        ],
    }  # fmt: skip


def score_rows(found: Probe, scope: str) -> list[tuple[str, ...]]:
    """Return a table of scores: a line of names, then a line per target."""
    rows = [("TARGET", "", "ROWS", *(_SHORT.get(arm, arm) for arm in found.arms))]
    for result in found.results:
        if result.scope == scope:
            scores = (f"{result.scores[arm].value:+.3f}" if result.measure == "r"
                      else f"{result.scores[arm].value:.3f}" for arm in found.arms)  # fmt: skip
            rows.append((result.target, result.measure, f"{result.n_test:,}", *scores))
    return rows


def difference_rows(found: Probe, scope: str) -> list[tuple[str, ...]]:
    """Return a table of differences with their intervals, a line per target."""
    pairs = [pair for pair, _ in _ASKED if _has(found, pair)]
    names = (f"{_SHORT.get(one, one)} - {_SHORT.get(other, other)}" for one, other in pairs)
    rows = [("TARGET", "", *names)]
    for result in found.results:
        if result.scope == scope:
            cells = (difference(result.differences[pair]) for pair in pairs)
            rows.append((result.target, result.measure, *cells))
    return rows


def difference(score: ScoreEstimate) -> str:
    """Write a difference with its interval; a star where that is clear of zero."""
    clear = "*" if score.low > 0.0 or score.high < 0.0 else " "
    return f"{score.value:+.3f} ({score.low:+.3f}…{score.high:+.3f}){clear}"


def sentences(found: Probe, scope: str = POOLED) -> list[str]:
    """Say in words where one arm beats another, where it loses, and where nothing is shown."""
    out = []
    for pair, question in _ASKED:
        if not _has(found, pair):
            continue
        better: list[str] = []
        worse: list[str] = []
        open_: list[str] = []
        for result in found.results:
            if result.scope == scope:
                score = result.differences[pair]
                place = better if score.low > 0.0 else worse if score.high < 0.0 else open_
                place.append(result.target)
        parts = [_listed("adds on", better), _listed("loses on", worse),
                 _listed("shows no difference on", open_)]  # fmt: skip
        out.append(f"{question}: {'; '.join(part for part in parts if part)}.")
    return out


def _has(found: Probe, pair: tuple[str, str]) -> bool:
    return all(arm in found.arms for arm in pair)


def _listed(verb: str, names: Sequence[str]) -> str:
    return f"{verb} {', '.join(names)}" if names else ""
