"""The kill matrix: every exhibit before every detector, each detector by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.falsify import falsify
from ffm_core.causal.process.budget import Budget
from ffm_core.causal.subjects.base import FeatureSubject, LabelerSubject, Subject
from ffm_core.causal.subjects.exits import ExitSubject, computes
from ffm_core.causal.subjects.learners import falsify_learner
from ffm_core.causal.subjects.targets import falsify_target
from ffm_core.causal.trial.session import DETECTORS as SERIES_DETECTORS
from ffm_core.keyed import keyed
from ffm_core.labels.entries import Entries, entries_of
from ffm_core.labels.policies import ATR_TRAIL
from ffm_core.records import (
    Certificate,
    Decisions,
    ExitPolicy,
    Failure,
    FeatureSet,
    Labeler,
    Learner,
    Target,
    View,
)
from ffm_core.testing.building import build, hourly, typical
from ffm_core.testing.market import make_bars
from ffm_core.testing.views import make_view
from helpers.exit_proofs import falsify_exit_policy
from zoo.fault import Honest
from zoo.inputs import with_tables

DETECTORS = (
    "purity", "values", "prefix", "repaint", "mutation", "history", "stream", "determinism",
    "access", "budget", "stored", "horizon", "rows",
)  # fmt: skip
ROWS = 1_600  # bars: a clock change, a roll, six sessions and their hours lie in them
# Cuts are sampled as in a real run; rare faults are looked for where they can be seen at all.
MAX_CUTS, MAX_PREFIX_CUTS = 160, 640
SECONDS = 120.0  # a call may take this long: some compile, or build a calendar first
_SEED = 0
_ALONE = frozenset({"over-budget"})  # takes its worker down with it, after a second


@lru_cache(maxsize=1)
def zoo_bars() -> Bars:
    """Return the bars of the zoo: ES, five minutes, March 2024."""
    return with_tables(make_bars("trend", rows=ROWS, seed=7))


def certificates(
    exhibits: Sequence[Honest], detectors: Sequence[str] = DETECTORS
) -> dict[str, Certificate]:
    """Let detectors loose on some exhibits.

    Parameters
    ----------
    exhibits : sequence of Honest
        Faults or clean plug-ins, of any kind.
    detectors : sequence of str
        Those that may speak; default all.

    Returns
    -------
    dict of str to Certificate
        By name of the exhibit.
    """
    found: dict[str, Certificate] = {}
    series = [one for one in exhibits if in_worker(one)]
    wanted = SERIES_DETECTORS & set(detectors)
    together = [one for one in series if one.name not in _ALONE]
    for group in (together, *([one] for one in series if one.name in _ALONE)):
        if group and wanted:
            found.update(_in_series(group, tuple(sorted(wanted))))
    for one in exhibits:
        if not in_worker(one):
            found[one.name] = _by_itself(one)
    return found


def kills(
    exhibits: Sequence[Honest], detectors: Sequence[str] = DETECTORS
) -> dict[str, tuple[str, ...]]:
    """Return which detectors object to each exhibit when they run alone.

    Features, labelers and what exits compute are shown to one detector at a time. What
    judges targets and learners is one procedure; there, what it says counts.
    """
    found: dict[str, set[str]] = {one.name: set() for one in exhibits}
    series = [one for one in exhibits if in_worker(one)]
    for detector in sorted(SERIES_DETECTORS & set(detectors)):
        for name, certificate in certificates(series, (detector,)).items():
            found[name].update(failure.check for failure in certificate.failures)
    others = [one for one in exhibits if not in_worker(one)]
    for name, certificate in certificates(others).items():
        found[name].update(failure.check for failure in certificate.failures)
    return {name: tuple(d for d in DETECTORS if d in checks) for name, checks in found.items()}


def in_worker(exhibit: Honest) -> bool:
    """Whether an exhibit is shown bars by the worker, one detector at a time."""
    record = exhibit.record
    return exhibit.kind in ("features", "labeler") or (
        isinstance(record, ExitPolicy) and computes(record)
    )


def failures(exhibit: Honest) -> tuple[Failure, ...]:
    """Return what all detectors together say of one exhibit."""
    return certificates([exhibit])[exhibit.name].failures


def _in_series(group: Sequence[Honest], wanted: Sequence[str]) -> Mapping[str, Certificate]:
    bars = zoo_bars()
    alone = any(one.name in _ALONE for one in group)
    budget = Budget(seconds=1.0 if alone else SECONDS, seconds_per_bar=0.0)
    found = falsify(
        [_subject(one) for one in group],
        bars,
        seed=_SEED,
        decision_bars=hourly(bars),
        max_cuts=MAX_PREFIX_CUTS if wanted == ("prefix",) else MAX_CUTS,
        detectors=wanted,
        budget=budget,
    )
    for one in group:
        one.make()  # forgets what it kept
    return dict(zip((one.name for one in group), found, strict=True))


def _subject(exhibit: Honest) -> Subject:
    record = exhibit.make()
    if isinstance(record, Labeler):
        return LabelerSubject(record, record.defaults(), None)
    if isinstance(record, ExitPolicy):
        return ExitSubject(record, {param.name: param.default for param in record.params})
    assert isinstance(record, FeatureSet)
    return FeatureSubject(record, None)


def _by_itself(exhibit: Honest) -> Certificate:
    record, bars = exhibit.make(), zoo_bars()
    if isinstance(record, ExitPolicy):
        params = {param.name: param.default for param in record.params}
        return falsify_exit_policy(record, bars, zoo_entries(), params, seed=_SEED)
    if isinstance(record, Target):
        return falsify_target(record, bars, seed=_SEED, max_cuts=120)
    assert isinstance(record, Learner)
    train, validation, test = (zoo_view(part, rows) for part, rows in _PARTS)
    return falsify_learner(record, train, validation, test, seed=_SEED, max_rows=80)


@lru_cache(maxsize=1)
def zoo_entries() -> Entries:
    """Return an entry after every hour of the zoo's bars but the last eight."""
    bars = zoo_bars()
    rows = hourly(bars)
    decisions: Decisions = build(bars, rows[rows < len(bars) - 100], typical(bars))
    entries, void = entries_of(bars, decisions, ATR_TRAIL, {}, horizon_bars=24)
    assert not void.any()
    return entries


_PARTS = (("train", 120), ("validation", 40), ("test", 60))


def zoo_view(part: str, rows: int) -> View:
    """Return made-up rows for a learner: three columns, one of which says a little."""
    rng = keyed(_SEED, "zoo view", part)
    x = rng.standard_normal((rows, 3)).astype(np.float32)
    won = x[:, 0] + rng.standard_normal(rows) > 0
    start = {"train": 0, "validation": 1_000, "test": 2_000}[part]
    stamps = (start + np.arange(rows, dtype=np.int64)) * 3_600_000_000
    known = part != "test"
    return make_view(
        x,
        won if known else None,
        peak_r=np.where(won, 2.5, 0.5),
        names=("zoo/a", "zoo/b", "zoo/c"),
        side=np.where(rng.random(rows) > 0.5, 1, -1).astype(np.int8),
        t_us=stamps,
        t_end=stamps + 3_600_000_000,
    )


__all__ = ["DETECTORS", "certificates", "failures", "kills", "zoo_bars", "zoo_entries", "zoo_view"]
