"""One stream, from bars to decisions, certificate, outcomes and features.

Streams are independent of one another and are prepared in parallel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.sessions import day_grid, exchange_hours, trading_days
from ffm_core.causal.falsify import falsify_feature_set, falsify_labeler, merge
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
    decisions = parts.call(ask, parts.labeler, bars, task.params)
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


def certify_stream(task: StreamTask, parts: Parts, decisions: Decisions) -> Certificate:
    """Return the falsifier's certificate, from the cache when nothing changed."""
    cache = Cache(task.home)
    found = [_cached(cache, _labeler_key(cache, task, parts), lambda: falsify_labeler(
        parts.labeler, task.bars, task.params, seed=task.seed, call=parts.call))]  # fmt: skip
    for feature_set in parts.feature_sets:
        key = cache.key(
            "certify-features", NUMERICS, task.code_hash, feature_set.name, task.bars.sha256,
            task.seed, decisions.bar,
        )  # fmt: skip

        def prove(chosen: FeatureSet = feature_set) -> Certificate:
            return falsify_feature_set(
                chosen, task.bars, decisions_bars=decisions.bar, seed=task.seed
            )

        found.append(_cached(cache, key, prove))
    return merge(found)


def _labeler_key(cache: Cache, task: StreamTask, parts: Parts) -> str:
    params = json.dumps(dict(task.params), sort_keys=True)
    return cache.key(
        "certify-labeler", NUMERICS, task.code_hash, parts.labeler.name, params,
        task.bars.sha256, task.seed,
    )  # fmt: skip


def _cached(cache: Cache, key: str, prove: Callable[[], Certificate]) -> Certificate:
    stored = load_json(cache, key)
    if stored is not None:
        failures = tuple(Failure(**failure) for failure in stored.pop("failures"))
        subjects = tuple(stored.pop("subjects"))
        return Certificate(**stored, subjects=subjects, failures=failures)
    certificate = prove()
    save_json(cache, key, asdict(certificate))
    return certificate


def load_json(cache: Cache, key: str) -> Any:
    """Return what :func:`save_json` stored, or None."""
    stored = cache.get(key)
    return json.loads(stored) if isinstance(stored, bytes) else None


def save_json(cache: Cache, key: str, value: object) -> None:
    """Store JSON types under ``key``; floats come back exactly."""
    cache.put(key, json.dumps(value).encode())
