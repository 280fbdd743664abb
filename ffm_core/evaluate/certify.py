"""What is proven before anything is judged, each proof kept until something changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ffm_core.causal.falsify import falsify, merge
from ffm_core.causal.process.carried import unnamed
from ffm_core.causal.subjects.base import FeatureSubject, LabelerSubject, Subject
from ffm_core.causal.subjects.embedders import (
    MAX_WINDOWS,
    EmbedderSubject,
    WindowSubject,
    falsify_embedder,
)
from ffm_core.causal.subjects.exits import ExitSubject, computes, prove_step
from ffm_core.causal.subjects.learners import MAX_ROWS, falsify_learner, thin
from ffm_core.embed.windows import windows_at
from ffm_core.evaluate.fit import answers_of, fit_versions, fold_views
from ffm_core.evaluate.parts import Source
from ffm_core.evaluate.streams import StreamTask, tasks_of
from ffm_core.evaluate.terms import terms_of
from ffm_core.hookspecs import HOOK_API
from ffm_core.labels.entries import entries_of
from ffm_core.labels.exits import exit_columns
from ffm_core.records import (
    Certificate,
    Decisions,
    Embedder,
    ExitPolicy,
    FeatureSet,
    Learner,
    Params,
)
from ffm_core.ruler.purge_check import check_purged
from ffm_core.runs.cache import Cache
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.record import NUMERICS
from ffm_core.types import Float32, Int64

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.pool import Folded
    from ffm_core.evaluate.progress import Progress

_FORM = 3  # of stored certificates; others are proven anew
_VALIDATION_ROWS = 150  # shown to a learner that is falsified


def certify(job: Job, decisions: Sequence[Decisions], progress: Progress) -> Certificate:
    """Falsify the labeler, features, exits and embedders of a job on every stream.

    Embedders are shown windows of the stream with most decisions, once nothing else is
    broken.

    Raises
    ------
    StrategyError
        When a plug-in raises or breaks its contract.
    """
    work = list(zip(tasks_of(job), decisions, strict=True))
    stage = progress.stage("causality", len(work))
    proofs = []
    for proof in job.executor.run(certify_stream, work):
        proofs.append(proof)
        stage.advance()
    if all(proof.status == "clean" for proof in proofs):
        proofs += certify_embedders(*max(work, key=lambda item: len(item[1])))
    return merge(proofs)


def _subjects(source: Source, config: EvalConfig) -> tuple[Subject, ...]:
    """Return what the falsifier opens here and in its worker.

    The labeler, then the feature sets, the windows of embedders, and the exits that compute.
    """
    parts = source.parts
    terms = terms_of(parts, config)
    labeler = LabelerSubject(parts.labeler, terms.params, parts.call)
    sets = (FeatureSubject(chosen, None) for chosen in parts.feature_sets)
    windows = (WindowSubject(chosen) for chosen in parts.windows)
    exits = (ExitSubject(policy, params) for policy, params in terms.exits if computes(policy))
    return (labeler, *sets, *windows, *exits)


def certify_stream(work: tuple[StreamTask, Decisions]) -> Certificate:
    """Return the falsifier's certificate of one stream, from the cache where nothing changed."""
    task, decisions = work
    parts, cache = task.parts, Cache(task.home)
    keys = [
        _labeler_key(cache, task),
        *(
            _features_key(cache, task, chosen, decisions)
            for chosen in (*parts.feature_sets, *parts.windows)
        ),
        *(
            _exit_key(cache, task, policy, params, decisions, "columns")
            for policy, params in task.terms.exits
            if computes(policy)
        ),
    ]
    found = [load_certificate(cache, key) for key in keys]
    missing = [i for i, certificate in enumerate(found) if certificate is None]
    if missing:
        proven = falsify(
            partial(_subjects, task.source, task.config),
            task.bars,
            seed=task.config.seed,
            decision_bars=decisions.bar,
            others=() if task.other is None else (task.other,),
            answers={0: decisions},
            only=missing,
        )
        for i, certificate in zip(missing, proven, strict=True):
            save_certificate(cache, keys[i], certificate, task.redact)
            found[i] = certificate
    proofs = [certificate for certificate in found if certificate is not None]
    if all(proof.status == "clean" for proof in proofs):
        proofs += certify_steps(task, decisions)
    merged = merge(proofs)
    # The package of a private labeler may hold the feature sets, too.
    return without_lines(merged) if parts.labeler.private else merged


def certify_steps(task: StreamTask, decisions: Decisions) -> list[Certificate]:
    """Return what holds of the steps of a run's exits, on the trades of its decisions.

    Called once decisions, and what the exits compute, are known to be causal.
    """
    cache, terms, found = Cache(task.home), task.terms, []
    for policy, params in terms.exits:
        key = _exit_key(cache, task, policy, params, decisions, "step")
        certificate = load_certificate(cache, key)
        if certificate is None:
            entries, void = entries_of(
                task.bars, decisions, policy, params, horizon_bars=terms.horizon_bars,
                flat_at_session_end=terms.flat_at_session_end,
            )  # fmt: skip
            live = entries.take(np.flatnonzero(void == 0))
            columns = exit_columns(policy, task.bars, params)
            certificate = prove_step(
                policy, task.bars, live, params, columns, seed=task.config.seed
            )
            save_certificate(cache, key, certificate, task.redact)
        found.append(certificate)
    return found


def _embedders(source: Source) -> tuple[EmbedderSubject, ...]:
    return tuple(EmbedderSubject(embedder) for embedder in source.parts.embedders)


def certify_embedders(task: StreamTask, decisions: Decisions) -> list[Certificate]:
    """Return certificates of the embedders, from the cache where nothing changed.

    Each is shown real windows of one stream, those of decisions first of all.
    """
    parts, seed = task.parts, task.config.seed
    cache, found = Cache(task.home), []
    for index, embedder in enumerate(parts.embedders):
        windows = _shown(task, embedder, decisions.bar)
        key = cache.key(
            "certify-embedder", NUMERICS, task.code_hash, embedder.name, embedder.identity,
            seed, windows,
        )  # fmt: skip
        certificate = load_certificate(cache, key)
        if certificate is None:
            certificate = falsify_embedder(
                embedder, windows, task.bars, seed=seed, opener=partial(_embedders, task.source),
                index=index,
            )  # fmt: skip
            if embedder.private or parts.labeler.private:  # one package may hold both
                certificate = without_lines(certificate)
            save_certificate(cache, key, certificate, task.redact)
        found.append(certificate)
    return found


def _shown(task: StreamTask, embedder: Embedder, decided: Int64) -> Float32:
    """Return usable windows at decisions, filled up with others where there are few."""
    total, context = len(task.bars), embedder.context_bars
    spread = np.linspace(0, max(total - 1, 0), min(total, 2 * MAX_WINDOWS)).astype(np.int64)
    at = np.unique(decided)
    if len(at) < MAX_WINDOWS:
        at = np.union1d(at, spread)
    elif len(at) > 2 * MAX_WINDOWS:
        at = at[np.linspace(0, len(at) - 1, 2 * MAX_WINDOWS).astype(np.int64)]
    windows = windows_at(task.bars, at, context_bars=context)
    return np.ascontiguousarray(windows.values[windows.usable])


def certify_folds(job: Job, folded: Folded) -> Certificate:
    """Falsify the fold plan, and the learner on the first fold.

    No result comes of it: the learner is fitted on some rows of one fold, and what it
    answers is compared with what it answers, never with what happened.

    Returns
    -------
    Certificate
        Broken when a label reaches a later part of its fold, or when an answer of
        the learner depends on other rows.

    Raises
    ------
    StrategyError
        When the learner raises or breaks its contract.
    """
    found = [check_purged(folded.pool.table, folded.plan, folded.pool.labels.t_end)]
    if job.learner is not None:
        found.append(_certify_learner(job, job.learner, folded))
    return merge(found)


def _certify_learner(job: Job, learner: Learner, folded: Folded) -> Certificate:
    (first,) = fold_views(folded.pool, folded.plan.folds[:1], learner)
    train, validation = thin(first.train, MAX_ROWS), thin(first.validation, _VALIDATION_ROWS)
    test = thin(first.test, MAX_ROWS)
    answers, seed = answers_of(job), job.config.seed
    cache = Cache(job.home)
    shown = [
        values
        for view in (train, validation, test)
        for values in (view.design.x, view.t_us, view.stream, view.bar)
    ]
    known = [
        values
        for outcomes in (train.known, validation.known)
        for values in (outcomes.r_net, outcomes.peak_r, outcomes.t_end)
    ]
    key = cache.key(
        "certify-learner", NUMERICS, HOOK_API, job.code_hash, learner.name, fit_versions(),
        sorted(answers), seed, *shown, *known,
    )  # fmt: skip
    found = load_certificate(cache, key)
    if found is None:
        found = falsify_learner(learner, train, validation, test, seed=seed, answers=answers)
        if job.strategy["private"]:  # its package may hold the learner, too
            found = without_lines(found)
        save_certificate(cache, key, found, job.redact)
    return found


# --- keeping certificates -----------------------------------------------------------------


def without_lines(certificate: Certificate) -> Certificate:
    """Return a certificate that shows no code, and no name of what is carried."""
    failures = tuple(replace(failure, line="") for failure in certificate.failures)
    return replace(certificate, failures=failures, carries=unnamed(certificate.carries))


def _labeler_key(cache: Cache, task: StreamTask) -> str:
    params = json.dumps(dict(task.terms.params), sort_keys=True)
    return cache.key(
        "certify-labeler", NUMERICS, task.code_hash, task.parts.labeler.name, params, *_what(task)
    )


def _features_key(cache: Cache, task: StreamTask, chosen: FeatureSet, decisions: Decisions) -> str:
    return cache.key(
        "certify-features", NUMERICS, task.code_hash, chosen.name, chosen.version,
        decisions.bar, *_what(task),
    )  # fmt: skip


def _exit_key(
    cache: Cache,
    task: StreamTask,
    policy: ExitPolicy,
    params: Params,
    decisions: Decisions,
    part: str,
) -> str:
    names = ("bar", "side", "risk", "stop_price", "target_r", "horizon_bars")
    given = (getattr(decisions, name) for name in names)
    shown = (np.empty(0) if values is None else values for values in given)
    terms = (task.terms.horizon_bars, task.terms.flat_at_session_end)
    return cache.key(
        "certify-exit", part, NUMERICS, task.code_hash, policy.name,
        json.dumps(dict(params), sort_keys=True), *terms, *shown, *_what(task),
    )  # fmt: skip


def _what(task: StreamTask) -> tuple[str | int, ...]:
    other = "" if task.other is None else task.other.sha256
    return task.bars.sha256, *(table.sha256 for table in task.bars.tables), other, task.config.seed


def load_certificate(cache: Cache, key: str) -> Certificate | None:
    """Return a certificate stored as JSON, or None."""
    stored = cache.get_json(key)
    if stored is None or stored.pop("form", None) != _FORM:
        return None
    return Certificate.read(stored)


def save_certificate(cache: Cache, key: str, certificate: Certificate, redact: Any = None) -> None:
    """Store a certificate as JSON."""
    stored = asdict(certificate)
    stored = stored if redact is None else redact.value(stored)
    cache.put_json(key, {"form": _FORM, **stored})
