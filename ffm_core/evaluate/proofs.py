"""What is falsified once folds are laid: the learner, and the folds themselves."""

from __future__ import annotations

from dataclasses import asdict

from ffm_core.causal.falsify import merge
from ffm_core.causal.subjects.learners import MAX_ROWS, falsify_learner, thin
from ffm_core.evaluate.evidence import fit_versions, needs_risk
from ffm_core.evaluate.finding import Job
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.streams import load_certificate, save_json, without_lines
from ffm_core.records import Certificate, Learner
from ffm_core.ruler.folds import FoldPlan
from ffm_core.ruler.purge import check_purged
from ffm_core.runs.cache import Cache
from ffm_core.runs.record import NUMERICS

_VALIDATION_ROWS = 150


def prove(job: Job, pool: Pool, plan: FoldPlan) -> Certificate:
    """Falsify the fold plan, and the learner on the first fold.

    No result comes of it: the learner is fitted on some rows of one fold, and what
    it answers is compared with what it answers, never with what happened.

    Parameters
    ----------
    job : Job
        Holds the learner, or None.
    pool : Pool
        Every decision.
    plan : FoldPlan
        The folds that will be used, at least one.

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
    found = [check_purged(pool.table, plan, pool.labels.t_end)]
    if job.learner is not None:
        found.append(_certify_learner(job, job.learner, pool, plan))
    return merge(found)


def _certify_learner(job: Job, learner: Learner, pool: Pool, plan: FoldPlan) -> Certificate:
    fold = plan.folds[0]
    train = thin(pool.view(fold.train[pool.labels.valid[fold.train]], labels=True), MAX_ROWS)
    validation = thin(pool.view(fold.validation, labels=True), _VALIDATION_ROWS)
    test = thin(pool.view(fold.test, labels=False), MAX_ROWS)
    signal_only, seed = not needs_risk(job), job.config.seed
    cache = Cache(job.home)
    rows = [
        values
        for view in (train, validation, test)
        for values in (view.design.x, view.t_us, view.stream, view.label, view.peak_r)
    ]
    key = cache.key(
        "certify-learner", NUMERICS, job.code_hash, learner.name, fit_versions(), signal_only,
        seed, *rows,
    )  # fmt: skip
    known = load_certificate(cache, key)
    if known is None:
        known = falsify_learner(
            learner, train, validation, test, seed=seed, signal_only=signal_only
        )
        if job.strategy["private"]:  # its package may hold the learner, too
            known = without_lines(known)
        save_json(cache, key, asdict(known))
    return known
