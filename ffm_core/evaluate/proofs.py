"""What is falsified once folds are laid: the learner, and the folds themselves."""

from __future__ import annotations

from dataclasses import asdict

from ffm_core.causal.falsify import merge
from ffm_core.causal.subjects.learners import MAX_ROWS, falsify_learner, thin
from ffm_core.evaluate.evidence import answers_of, fit_versions, fold_views
from ffm_core.evaluate.finding import Job
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.streams import load_certificate, save_json, without_lines
from ffm_core.hookspecs import HOOK_API
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
    (first,) = fold_views(pool, plan.folds[:1], learner)
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
        save_json(cache, key, asdict(found))
    return found
