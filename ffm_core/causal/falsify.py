"""Try to prove that a plug-in reads the future; a certificate says how hard.

A plug-in that is causal gives the same rows whether or not later bars exist.
So the series is cut at many bars and the rows before each cut are compared:
with later bars removed (prefix, repaint), with later bars changed (mutation),
with the declared history only (history), and, where it has a stream, bar by bar
(stream). The cuts are made in ascending order in a fresh process that has never
held a later bar, so that nothing remembered can help; the same process tells
whether answers depend on where they are given (determinism), what files and hosts
are opened (access) and what a call costs (budget). Purity comes first, because a
plug-in that edits its input or answers by chance would be mistaken for one that
peeks.

This protects people from fooling themselves; it is no defence against code
that means to deceive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.explain import failures_of
from ffm_core.causal.cutting.cuts import (
    MIN_RANDOM,
    Cuts,
    detection_bound,
    replayed,
    sample_cuts,
)
from ffm_core.causal.cutting.series import stranger
from ffm_core.causal.process.access import own_line
from ffm_core.causal.process.budget import Budget, OverBudget, limited
from ffm_core.causal.process.client import Halted, Link
from ffm_core.causal.process.pickling import Opener
from ffm_core.causal.subjects.base import Call, FeatureSubject, LabelerSubject, Subject
from ffm_core.causal.trial import stages
from ffm_core.causal.trial.session import DETECTORS, Series, Session
from ffm_core.causal.trial.stored import stored_answers
from ffm_core.errors import ConfigError
from ffm_core.keyed import keyed
from ffm_core.records import Certificate, FeatureSet, Labeler, Params, Reason
from ffm_core.types import Int64

MAX_CUTS = 2_000
_BLIND = 40  # cuts of what is shown no bars: enough to see whether calls agree
_STREAMED_BARS = 1_024  # bars a stream is fed at once; it never holds more than the worker


def falsify(
    opener: Opener | Sequence[Subject],
    bars: Bars,
    *,
    seed: int,
    decision_bars: Int64 | Sequence[int] | None = None,
    max_cuts: int = MAX_CUTS,
    detectors: Collection[str] | None = None,
    others: Sequence[Bars] = (),
    budget: Budget | None = None,
    answers: Mapping[int, object] | None = None,
    only: Collection[int] | None = None,
) -> tuple[Certificate, ...]:
    """Look for look-ahead in all that is computed from one stream, in one worker.

    Parameters
    ----------
    opener : Opener or sequence of Subject
        Opens the plug-ins under test; it is pickled before any of them is called
        here, and opened again in the worker. Subjects that are given as they are
        travel by name where they can be imported, by value otherwise.
    bars : Bars
        The stream they will be judged on.
    seed : int
        Seed of the run; the same seed makes the same cuts and changes.
    decision_bars : int64 (N,), optional
        Many cuts lie at each of them ± 2; default: the decisions of the first
        labeler among the subjects.
    max_cuts : int
        Upper limit on cut points per subject, 300 or more of them random. The row of every
        decision is replayed besides, on the bars up to it, where that is cheap.
    detectors : collection of str, optional
        What to look for; default all of :data:`~.session.DETECTORS`.
    others : sequence of Bars
        Other streams; the future of the first is spliced into this one. Without
        any, that of a made-up market is.
    budget : Budget, optional
        Time and memory of each call.
    answers : mapping of int to object, optional
        Answers for the full series that were given already, by subject.
    only : collection of int, optional
        Test these subjects and leave the others alone.

    Returns
    -------
    tuple of Certificate
        One per subject tested, in their order.

    Raises
    ------
    StrategyError
        When a plug-in raises, returns something its contract forbids, or cannot
        be sent to another process.
    ConfigError
        For a detector that does not exist.
    """
    wanted = DETECTORS if detectors is None else frozenset(detectors)
    if not wanted <= DETECTORS:
        raise ConfigError(
            f"no detector is called {', '.join(sorted(wanted - DETECTORS))}",
            fix=f"the detectors are {', '.join(sorted(DETECTORS))}",
        )
    source = partial(tuple, opener) if isinstance(opener, Sequence) else opener
    limits = budget or Budget()
    series = Series(bars)
    with Link(source, series.bars, seed=seed, budget=limits) as link:
        sessions = []
        for index, subject in enumerate(source()):
            if only is None or index in only:
                if subject.call is not None:
                    link.calls[index] = subject.call
                sessions.append(
                    Session(subject, index, series, seed=seed, link=link, detectors=wanted)
                )
        case = _Case(link, sessions, max_cuts)
        case.prepare(limits, answers or {}, decision_bars)
        case.prove(others[0] if others else None)
        return case.certificates()


def falsify_labeler(
    labeler: Labeler,
    bars: Bars,
    params: Params,
    *,
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
    detectors: Collection[str] | None = None,
    others: Sequence[Bars] = (),
    budget: Budget | None = None,
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
        ``call(function, *args)`` runs plug-in code in this process and wraps what
        it raises, here or in the worker; default: :class:`StrategyError` naming
        the labeler.
    detectors, others, budget
        As in :func:`falsify`.

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
    subject = LabelerSubject(labeler, params, call)
    (found,) = falsify(
        [subject], bars, seed=seed, max_cuts=max_cuts, detectors=detectors, others=others,
        budget=budget,
    )  # fmt: skip
    return found


def falsify_feature_set(
    feature_set: FeatureSet,
    bars: Bars,
    *,
    decisions_bars: Int64 | Sequence[int],
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
    detectors: Collection[str] | None = None,
    others: Sequence[Bars] = (),
    budget: Budget | None = None,
) -> Certificate:
    """Look for look-ahead in the rows of a feature set on one stream.

    Parameters
    ----------
    feature_set : FeatureSet
        Its declared history, and that of its columns, is proven and then used for
        speed. One with a ``stream`` is proven at every bar.
    bars : Bars
        The stream it will be judged on.
    decisions_bars : int64 (N,)
        Bars of decisions; many cuts lie at each of them ± 2.
    seed, max_cuts, call, detectors, others, budget
        As in :func:`falsify_labeler`.

    Returns
    -------
    Certificate
        As in :func:`falsify_labeler`; infinities are failures of ``values``. The
        detection bound is 0 when a stream agreed with the batch at every bar.

    Raises
    ------
    StrategyError
        When the set raises, or returns another shape or type than it declares.
    """
    (found,) = falsify(
        [FeatureSubject(feature_set, call)], bars, seed=seed, decision_bars=decisions_bars,
        max_cuts=max_cuts, detectors=detectors, others=others, budget=budget,
    )  # fmt: skip
    return found


def merge(certificates: Iterable[Certificate]) -> Certificate:
    """Combine the certificates of all subjects and streams of a run.

    Returns
    -------
    Certificate
        Broken when any is; cuts, rows and proven bars add up; the detection bound
        is that of the weakest; what is carried is listed once.

    Raises
    ------
    ValueError
        When there is none: nothing tested is nothing proven.
    """
    given = list(certificates)
    if not given:
        raise ValueError("no certificates to merge")
    sampled: dict[str, int] = {}
    for certificate in given:
        for name, count in certificate.sampled.items():
            sampled[name] = sampled.get(name, 0) + count
    return Certificate(
        status="broken" if any(c.status == "broken" for c in given) else "clean",
        subjects=tuple(dict.fromkeys(name for c in given for name in c.subjects)),
        cuts=sum(c.cuts for c in given),
        rows_compared=sum(c.rows_compared for c in given),
        detection_bound=max(c.detection_bound for c in given),
        failures=tuple(failure for c in given for failure in c.failures),
        sampled=sampled,
        proven_bars=sum(c.proven_bars for c in given),
        carries=tuple(dict.fromkeys(one for c in given for one in c.carries)),
        decision_bound=max(
            (c.decision_bound for c in given if c.decision_bound is not None), default=None
        ),
    )


@dataclass(slots=True)
class _Item:
    """A subject on its way through the stages."""

    session: Session
    cuts: Cuts
    decisions: Int64  # bars at which its rows are used
    prefixes: stages.Prefixes
    streaming: stages.Streaming
    carries: tuple[Reason, ...] = ()


def _visit(visit: stages.Visit, item: _Item) -> None:
    item.prefixes.visit(visit)


class _Case:
    """All subjects of a stream before one worker."""

    def __init__(self, link: Link, sessions: list[Session], max_cuts: int) -> None:
        self._link = link
        self._sessions = sessions
        self._max_cuts = max_cuts
        self._items: list[_Item] = []

    def prepare(
        self,
        budget: Budget,
        answers: Mapping[int, object],
        decision_bars: Int64 | Sequence[int] | None,
    ) -> None:
        """Get the answers for the full series here, and place the cuts."""
        for session in self._sessions:
            seconds = budget.seconds_for(len(session.bars))
            try:
                roots = session.subject.roots()
                with limited(seconds, budget.memory_bytes, partial(own_line, roots=roots)):
                    stages.truth(session, answers.get(session.index))
            except OverBudget as over:
                session.stopped = True
                session.note("budget", 0, [stages.nowhere("")], over.what, line=over.line)
        decided = decision_bars
        if decided is None:
            labelers = (s.decided for s in self._sessions if s.subject.kind == "labeler")
            decided = next(labelers, np.empty(0, np.int64))
        for session in self._sessions:
            if session.full is None:
                continue
            chosen = session.decided if session.subject.kind == "labeler" else decided
            own = np.asarray(chosen, dtype=np.int64)
            most = self._max_cuts if session.subject.sees_bars else min(self._max_cuts, _BLIND)
            name, seed = session.subject.name, session.seed
            at = np.empty(0, np.int64)
            if not session.proven_by_stream and session.subject.sees_bars:
                at = replayed(
                    own, len(session.bars), session.start, seed=seed, subject=name, max_cuts=most
                )
            last = len(session.bars) - 1
            if session.subject.kind == "labeler" and len(at) == len(np.unique(own[own < last])) > 0:
                most = min(most, max(most // 2, MIN_RANDOM))  # it answers at its decisions alone
            cuts = sample_cuts(
                session.bars, own, seed=seed, subject=name, max_cuts=most, replays=at
            )
            prefixes = stages.Prefixes(session, cuts)
            self._items.append(_Item(session, cuts, own, prefixes, stages.Streaming(session)))

    def prove(self, other: Bars | None) -> None:
        """Go through the stages; a subject that goes over its budget leaves."""
        self._ascend()
        for item in self._items:
            self._guard(item, self._after)
        foreign = self._lend(other)
        for item in self._items:
            self._guard(item, partial(self._changed, foreign=foreign))
        for item in self._items:
            self._guard(item, self._ask_what_is_carried)
        for index, accesses in self._link.accesses.items():
            for item in self._items:
                if item.session.index == index:
                    for what, line in accesses:
                        item.session.note("access", 0, [stages.nowhere("")], what, line=line)

    def _ask_what_is_carried(self, item: _Item) -> None:
        item.carries = self._link.carried(item.session.index)

    def _lend(self, other: Bars | None) -> bool:
        """Give the worker another instrument's bars; without any, made-up ones."""
        changing = [i for i in self._items if i.session.wants("mutation") and len(i.cuts)]
        if not self._link.alive or not changing:
            return False
        if other is None or len(other) == 0:
            first = changing[0].session
            other = stranger(first.bars, keyed(first.seed, "stranger", first.bars.stream))
        self._link.lend(replace(other, tables=()))  # its outside tables are not for this worker
        return True

    def _ascend(self) -> None:
        """Make all cuts in ascending order, whoever they belong to."""
        visits = [
            (visit.cut, turn, visit)
            for turn, item in enumerate(self._items)
            for visit in item.prefixes.visits
        ]
        fed = 0
        for cut, turn, visit in sorted(visits, key=lambda entry: entry[:2]):
            if not self._link.alive:
                return
            self._link.extend_to(cut)
            if cut >= fed + _STREAMED_BARS:
                fed = cut
                for item in self._items:
                    self._guard(item, lambda one: one.streaming.advance())
            self._guard(self._items[turn], partial(_visit, visit))
        if self._link.alive and self._items:
            self._link.extend_to(len(self._items[0].session.bars))
        for item in self._items:
            self._guard(item, lambda one: one.streaming.advance())

    def _guard(self, item: _Item, stage: Callable[[_Item], None]) -> None:
        session = item.session
        if session.stopped or not self._link.alive:
            return
        try:
            stage(item)
        except Halted as halted:
            session.stopped = True
            where = self._link.known
            session.note("budget", where, [stages.nowhere("")], halted.what, line=halted.line)

    def _after(self, item: _Item) -> None:
        session = item.session
        stages.determinism(session, item.prefixes)

    def _changed(self, item: _Item, *, foreign: bool) -> None:
        session, cuts = item.session, item.cuts
        if len(cuts) and not session.peeks:
            if session.wants("mutation"):
                stages.mutations(session, cuts, foreign=foreign)
            asked = session.wants("stored") and not (session.stopped or session.peeks)
            if asked and session.subject.stores and session.subject.sees_bars:
                stored_answers(session)
            stored = any(finding.check == "stored" for finding in session.findings)
            if session.wants("purity", "prefix", "repaint") and not (session.stopped or stored):
                stages.kept_state(session, cuts)
        if session.wants("purity") and not session.stopped:
            stages.purity_again(session)

    def certificates(self) -> tuple[Certificate, ...]:
        """Return what was done and found, explained."""
        items = {item.session.index: item for item in self._items}
        return tuple(self._certificate(s, items.get(s.index)) for s in self._sessions)

    def _certificate(self, session: Session, item: _Item | None) -> Certificate:
        failures = failures_of(session)
        made = np.array(sorted(session.cut), dtype=np.int64)
        families = item.cuts.families if item else {}
        sampled = {name: int(np.isin(places, made).sum()) for name, places in families.items()}
        total = len(session.bars)
        proven = total > 0 and session.proven_bars == total
        proven |= not session.subject.sees_bars or len(made) == max(total - 1, 0) > 0
        decided = np.unique(item.decisions) + 1 if item else made[:0]
        used = decided[decided < total]  # what the last bar says, no later bar can change
        shown = int(np.isin(used, made).sum())
        whole = proven or shown == len(used)
        return Certificate(
            status="broken" if failures else "clean",
            subjects=(session.examined,),
            cuts=len(made),
            rows_compared=session.rows_compared,
            detection_bound=0.0 if proven else detection_bound(sampled.get("random", 0)),
            failures=failures,
            sampled=sampled,
            proven_bars=session.proven_bars,
            carries=item.carries if item else (),
            decision_bound=None if not len(decided) else 0.0 if whole else detection_bound(shown),
        )
