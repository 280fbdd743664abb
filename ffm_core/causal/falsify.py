"""Try to prove that a plug-in reads the future; a certificate says how hard.

A plug-in that is causal gives the same rows whether or not later bars exist.
So the series is cut at many bars and the rows before each cut are compared:
with later bars removed (prefix), with later bars changed (mutation), with the
declared history only (history). Purity comes first, because a plug-in that
edits its input or answers by chance would be mistaken for one that peeks.

This protects people from fooling themselves; it is no defence against code
that means to deceive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal import stages
from ffm_core.causal.cuts import detection_bound, sample_cuts
from ffm_core.causal.explain import failures_of
from ffm_core.causal.session import Session
from ffm_core.causal.subjects import Call, FeatureSubject, LabelerSubject, Subject
from ffm_core.records import Certificate, FeatureSet, Labeler, Params
from ffm_core.types import Int64

MAX_CUTS = 2_000


def falsify_labeler(
    labeler: Labeler,
    bars: Bars,
    params: Params,
    *,
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
) -> Certificate:
    """Look for look-ahead in the decisions of a labeler on one stream.

    Parameters
    ----------
    labeler : Labeler
        Its ``history_bars``, when given, is proven and then used for speed.
    bars : Bars
        The stream it will be judged on.
    params : mapping
        Parameters of the run.
    seed : int
        Seed of the run; the same seed makes the same cuts and changes.
    max_cuts : int
        Upper limit on cut points, 300 or more of them random.
    call : callable, optional
        ``call(function, *args)`` runs plug-in code and wraps what it raises;
        default: :class:`StrategyError` naming the labeler.

    Returns
    -------
    Certificate
        ``clean``, or ``broken`` with one failure per check and column.
        ``detection_bound`` is ``1 - 0.01**(1 / n)`` for ``n`` random cuts made.

    Raises
    ------
    StrategyError
        When the labeler raises or returns something its contract forbids.

    Notes
    -----
    Bars and sides of decisions must agree exactly and both ways: a decision
    that needs a later bar is look-ahead, one that vanishes later is repainting.
    """
    return _certify(LabelerSubject(labeler, params, call), bars, None, seed, max_cuts)


def falsify_feature_set(
    feature_set: FeatureSet,
    bars: Bars,
    *,
    decisions_bars: Int64 | Sequence[int],
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
) -> Certificate:
    """Look for look-ahead in the rows of a feature set on one stream.

    Parameters
    ----------
    feature_set : FeatureSet
        Its ``history_bars``, when given, is proven and then used for speed.
    bars : Bars
        The stream it will be judged on.
    decisions_bars : int64 (N,)
        Bars of decisions; many cuts lie at each of them ± 2.
    seed, max_cuts, call
        As in :func:`falsify_labeler`.

    Returns
    -------
    Certificate
        As in :func:`falsify_labeler`; infinities are failures of ``values``.

    Raises
    ------
    StrategyError
        When the set raises, or returns another shape or type than it declares.
    """
    decided = np.asarray(decisions_bars, dtype=np.int64)
    return _certify(FeatureSubject(feature_set, call), bars, decided, seed, max_cuts)


def merge(certificates: Iterable[Certificate]) -> Certificate:
    """Combine the certificates of all subjects and streams of a run.

    Returns
    -------
    Certificate
        Broken when any is; cuts and rows add up; the detection bound is that of
        the weakest.

    Raises
    ------
    ValueError
        When there is none: nothing tested is nothing proven.
    """
    given = list(certificates)
    if not given:
        raise ValueError("no certificates to merge")
    return Certificate(
        status="broken" if any(c.status == "broken" for c in given) else "clean",
        subjects=tuple(dict.fromkeys(name for c in given for name in c.subjects)),
        cuts=sum(c.cuts for c in given),
        rows_compared=sum(c.rows_compared for c in given),
        detection_bound=max(c.detection_bound for c in given),
        failures=tuple(failure for c in given for failure in c.failures),
    )


def _certify(
    subject: Subject, bars: Bars, decided: Int64 | None, seed: int, max_cuts: int
) -> Certificate:
    session = Session(subject, bars, seed)
    n_random = 0
    if stages.purity(session):
        cuts = sample_cuts(
            bars,
            session.decided if decided is None else decided,
            first=max(subject.warmup_bars, 1),
            seed=seed,
            subject=subject.name,
            max_cuts=max_cuts,
        )
        stages.prefixes(session, cuts)
        if len(cuts) and not session.peeks:
            stages.mutations(session, cuts)
            stages.kept_state(session, cuts)
        stages.purity_again(session)
        n_random = int(np.isin(cuts.drawn, list(session.cut)).sum())
    failures = failures_of(session)
    return Certificate(
        status="broken" if failures else "clean",
        subjects=(f"{subject.name} on {bars.stream}",),
        cuts=len(session.cut),
        rows_compared=session.rows_compared,
        detection_bound=detection_bound(n_random),
        failures=failures,
    )
