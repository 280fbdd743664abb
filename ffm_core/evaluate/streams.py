"""One stream, from bars to decisions, certificate, outcomes and features.

Streams are independent of one another and are prepared in parallel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.sessions import day_grid, exchange_hours, session_end_mask, trading_days
from ffm_core.causal.cutting.series import part
from ffm_core.causal.falsify import falsify, merge
from ffm_core.causal.process.access import own_line, roots_of
from ffm_core.causal.process.budget import Budget, OverBudget, limited, over_budget
from ffm_core.causal.subjects.base import FeatureSubject, LabelerSubject, Subject
from ffm_core.causal.subjects.embedders import WindowSubject
from ffm_core.causal.subjects.exits import falsify_exit_policy
from ffm_core.causal.subjects.fills import take
from ffm_core.embed.blocks import windows_as_features
from ffm_core.evaluate.asking import ask
from ffm_core.keyed import keyed
from ffm_core.labels.outcomes import outcomes, prepare_orders
from ffm_core.labels.policies import setting
from ffm_core.records import (
    Certificate,
    Decisions,
    Embedder,
    ExitPolicy,
    Failure,
    FeatureSet,
    Labeler,
    Orders,
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
    embedders: tuple[Embedder, ...] = ()
    order: tuple[str, ...] = ()  # of the blocks of columns; default sets, then embedders

    @property
    def blocks(self) -> tuple[FeatureSet | Embedder, ...]:
        """Feature sets and embedders in the order of their columns."""
        given: tuple[FeatureSet | Embedder, ...] = (*self.feature_sets, *self.embedders)
        found = {block.name: block for block in given}
        return tuple(found[name] for name in self.order or found)

    @property
    def windows(self) -> tuple[FeatureSet, ...]:
        """What the embedders are shown, as feature sets; one per length of window."""
        lengths = dict.fromkeys(embedder.context_bars for embedder in self.embedders)
        return tuple(windows_as_features(bars) for bars in lengths)


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
    features: Mapping[str, Float32]  # block name → (N, F) at the decision bars
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
    """Run one exit policy over decisions of a stream."""
    return outcomes(
        bars,
        decisions,
        policy,
        params,
        horizon_bars=task.horizon_bars,
        flat_at_session_end=task.flat_at_session_end,
        target_r=target_r,
        slippage_ticks=task.slippage_ticks,
    )


def _features(parts: Parts, bars: Bars, decisions: Decisions) -> dict[str, Float32]:
    found: dict[str, Float32] = {}
    for feature_set in parts.feature_sets:
        matrix = feature_set.batch(bars)
        found[feature_set.name] = np.ascontiguousarray(matrix[decisions.bar])  # (N, F)
    return found


def _subjects(source: Source, params: Params) -> tuple[Subject, ...]:
    """Return what the falsifier opens here and in its worker.

    The labeler, then the feature sets and the windows of embedders.
    """
    parts = source.open()
    labeler = LabelerSubject(parts.labeler, params, parts.call)
    sets = (FeatureSubject(chosen, None) for chosen in parts.feature_sets)
    return (labeler, *sets, *(WindowSubject(chosen) for chosen in parts.windows))


def certify_stream(task: StreamTask, parts: Parts, decisions: Decisions) -> Certificate:
    """Return the falsifier's certificate, from the cache where nothing changed."""
    cache = Cache(task.home)
    keys = [
        _labeler_key(cache, task, parts),
        *(
            _features_key(cache, task, chosen, decisions)
            for chosen in (*parts.feature_sets, *parts.windows)
        ),
    ]
    found = [load_certificate(cache, key) for key in keys]
    missing = [i for i, certificate in enumerate(found) if certificate is None]
    if missing:
        proven = falsify(
            partial(_subjects, task.source, task.params),
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
    proofs = [certificate for certificate in found if certificate is not None]
    if all(proof.status == "clean" for proof in proofs):
        proofs += certify_exits(task, parts, decisions)
    merged = merge(proofs)
    # The package of a private labeler may hold the feature sets, too.
    return without_lines(merged) if parts.labeler.private else merged


def certify_exits(task: StreamTask, parts: Parts, decisions: Decisions) -> list[Certificate]:
    """Return certificates of the exit policies of a run, from the cache where nothing changed.

    Called once decisions are known to be causal; each policy is shown their orders.
    """
    cache, found = Cache(task.home), []
    chosen = {parts.label_policy.name: (parts.label_policy, task.label_params)}
    chosen[parts.run_policy.name] = (parts.run_policy, task.run_params)
    for policy, params in chosen.values():
        orders = _orders(task, policy, params, decisions)
        if len(orders.entry_bar) == 0:
            continue
        shown = [getattr(orders, item.name) for item in fields(orders)]
        key = cache.key(
            "certify-exit", NUMERICS, task.code_hash, policy.name, json.dumps(dict(params)),
            *(np.empty(0) if values is None else values for values in shown), *_what(task),
        )  # fmt: skip
        certificate = load_certificate(cache, key)
        if certificate is None:
            certificate = falsify_exit_policy(policy, task.bars, orders, params, seed=task.seed)
            if parts.labeler.private:  # its package may hold the policy, too
                certificate = without_lines(certificate)
            save_json(cache, key, asdict(certificate))
        found.append(certificate)
    return found


def _orders(task: StreamTask, policy: ExitPolicy, params: Params, decisions: Decisions) -> Orders:
    """Return the orders a policy will fill, with made-up predictions where it needs some."""
    if policy.target_of is not None:
        rng = keyed(task.seed, "exit-targets", policy.name)
        target = policy.target_of(rng.uniform(0.0, 10.0, len(decisions)), params)
        decisions = replace(decisions, target_r=target)
    has_rr = any(param.name == "rr" for param in policy.params)
    orders, void = prepare_orders(
        task.bars,
        decisions,
        default_rr=float(setting(policy, params, "rr")) if has_rr else 1.0,
        default_horizon=task.horizon_bars,
        flat=session_end_mask(task.bars) if task.flat_at_session_end else None,
        with_atr=policy.needs_atr,
    )
    return take(orders, np.flatnonzero(void == 0))


def without_lines(certificate: Certificate) -> Certificate:
    """Return a certificate that shows no code."""
    failures = tuple(replace(failure, line="") for failure in certificate.failures)
    return replace(certificate, failures=failures)


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


def load_certificate(cache: Cache, key: str) -> Certificate | None:
    """Return a certificate stored as JSON, or None."""
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
