"""One stream, from bars to decisions, certificate, outcomes and features.

Streams are independent of one another and are prepared in parallel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.sessions import day_grid, exchange_hours, trading_days
from ffm_core.causal.budget import Budget, OverBudget, limited, over_budget
from ffm_core.causal.falsify import falsify, merge
from ffm_core.causal.series import part
from ffm_core.causal.subjects import FeatureSubject, LabelerSubject, Subject
from ffm_core.causal.watch import own_line, roots_of
from ffm_core.evaluate.asking import ask
from ffm_core.labels.outcomes import outcomes
from ffm_core.records import (
    Certificate,
    Decisions,
    ExitPolicy,
    Failure,
    FeatureSet,
    Labeler,
    Outcomes,
    Params,
)
from ffm_core.runs.cache import Cache
from ffm_core.runs.record import NUMERICS
from ffm_core.types import Float32, Float64, Int8, Int32, Int64

ATR_BARS = 14  # the yardstick of risk everywhere: Wilder's average true range

Call = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The records one evaluation uses, with the boundary that calls them."""

    labeler: Labeler
    label_policy: ExitPolicy
    run_policy: ExitPolicy
    feature_sets: tuple[FeatureSet, ...]
    call: Call


class Source(Protocol):
    """Opens the parts, in this process or in a worker."""

    def open(self) -> Parts:
        """Return the records of the evaluation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTask:
    """All that preparing one stream needs."""

    source: Source
    bars: Bars
    params: Params
    label_params: Params
    run_params: Params
    horizon_bars: int
    flat_at_session_end: bool
    slippage_ticks: float | None
    seed: int
    code_hash: str
    home: Path
    other: Bars | None = None  # bars of another stream, whose future the falsifier splices in


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A prepared stream; per-bar arrays are (T,), per-decision ones (N,)."""

    bars: Bars
    decisions: Decisions
    labels: Outcomes  # static policy: what heads are trained on
    outcomes: Outcomes  # the run's policy; for predicted targets see ``simulate``
    day: Int32
    hour: Int8
    grid_days: Int32
    grid_start_us: Int64
    atr: Float64
    features: Mapping[str, Float32]  # set name → (N, F) at the decision bars
    certificate: Certificate


def prepare_stream(task: StreamTask) -> Stream:
    """Decide, falsify, simulate and compute features for one stream."""
    parts = task.source.open()
    bars = task.bars
    decisions = decide(task, parts)
    certificate = certify_stream(task, parts, decisions)
    labels = simulate(bars, decisions, parts.label_policy, task.label_params, task)
    same = parts.run_policy is parts.label_policy and task.run_params == task.label_params
    static = parts.run_policy.kind != "predicted"
    run = (
        simulate(bars, decisions, parts.run_policy, task.run_params, task)
        if static and not same
        else labels
    )
    grid_days, grid_start = day_grid(bars)
    return Stream(
        bars=bars,
        decisions=decisions,
        labels=labels,
        outcomes=run,
        day=trading_days(bars),
        hour=exchange_hours(bars),
        grid_days=grid_days,
        grid_start_us=grid_start,
        atr=atr_wilder(bars.high, bars.low, bars.close, ATR_BARS),
        features=_features(parts, bars, decisions),
        certificate=certificate,
    )


def decide(task: StreamTask, parts: Parts) -> Decisions:
    """Ask the labeler for the decisions of a stream, within its budget.

    Raises
    ------
    StrategyError
        When it raises, breaks its contract, or goes over its budget.
    """
    budget, labeler = Budget(), parts.labeler
    placed = partial(own_line, roots=() if labeler.private else roots_of([labeler.decide]))
    given = part(task.bars, 0, len(task.bars))  # what it edits is no bar of ours
    try:
        with limited(budget.seconds_for(len(given)), budget.memory_bytes, placed):
            found: Decisions = parts.call(ask, labeler, given, task.params)
    except OverBudget as over:
        raise over_budget(f"labeler {labeler.name!r}", over) from over
    return found


def simulate(
    bars: Bars,
    decisions: Decisions,
    policy: ExitPolicy,
    params: Params,
    task: StreamTask,
    target_r: Float64 | None = None,
) -> Outcomes:
    """Run one exit policy over decisions of a stream, costs charged once."""
    found = outcomes(
        bars,
        decisions,
        policy,
        params,
        horizon_bars=task.horizon_bars,
        flat_at_session_end=task.flat_at_session_end,
        target_r=target_r,
    )
    if task.slippage_ticks is None:
        return found
    slipped = found.net_at(task.slippage_ticks)
    return replace(found, r_net=slipped, slippage_ticks=task.slippage_ticks)


def _features(parts: Parts, bars: Bars, decisions: Decisions) -> dict[str, Float32]:
    found: dict[str, Float32] = {}
    for feature_set in parts.feature_sets:
        matrix = feature_set.batch(bars)
        found[feature_set.name] = np.ascontiguousarray(matrix[decisions.bar])  # (N, F)
    return found


@dataclass(frozen=True, slots=True)
class _Opened:
    """Opens what is computed from a stream, here and in the falsifier's worker."""

    source: Source
    params: Params

    def open(self) -> tuple[Subject, ...]:
        """Return the labeler, then the feature sets."""
        parts = self.source.open()
        labeler = LabelerSubject(parts.labeler, self.params, parts.call)
        return (labeler, *(FeatureSubject(chosen, None) for chosen in parts.feature_sets))


def certify_stream(task: StreamTask, parts: Parts, decisions: Decisions) -> Certificate:
    """Return the falsifier's certificate, from the cache where nothing changed."""
    cache = Cache(task.home)
    keys = [
        _labeler_key(cache, task, parts),
        *(_features_key(cache, task, chosen, decisions) for chosen in parts.feature_sets),
    ]
    found = [_stored(cache, key) for key in keys]
    missing = [i for i, certificate in enumerate(found) if certificate is None]
    if missing:
        proven = falsify(
            _Opened(task.source, task.params),
            task.bars,
            seed=task.seed,
            decision_bars=decisions.bar,
            others=() if task.other is None else (task.other,),
            answers={0: decisions},
            only=missing,
        )
        for i, certificate in zip(missing, proven, strict=True):
            save_json(cache, keys[i], asdict(certificate))
            found[i] = certificate
    return merge(certificate for certificate in found if certificate is not None)


def _labeler_key(cache: Cache, task: StreamTask, parts: Parts) -> str:
    params = json.dumps(dict(task.params), sort_keys=True)
    return cache.key(
        "certify-labeler", NUMERICS, task.code_hash, parts.labeler.name, params, *_what(task)
    )


def _features_key(cache: Cache, task: StreamTask, chosen: FeatureSet, decisions: Decisions) -> str:
    return cache.key(
        "certify-features", NUMERICS, task.code_hash, chosen.name, chosen.version,
        decisions.bar, *_what(task),
    )  # fmt: skip


def _what(task: StreamTask) -> tuple[str | int, ...]:
    other = "" if task.other is None else task.other.sha256
    return task.bars.sha256, other, task.seed


def _stored(cache: Cache, key: str) -> Certificate | None:
    stored = load_json(cache, key)
    if stored is None:
        return None
    failures = tuple(Failure(**failure) for failure in stored.pop("failures"))
    subjects = tuple(stored.pop("subjects"))
    return Certificate(**stored, subjects=subjects, failures=failures)


def load_json(cache: Cache, key: str) -> Any:
    """Return what :func:`save_json` stored, or None."""
    stored = cache.get(key)
    return json.loads(stored) if isinstance(stored, bytes) else None


def save_json(cache: Cache, key: str, value: object) -> None:
    """Store JSON types under ``key``; floats come back exactly."""
    cache.put(key, json.dumps(value).encode())
