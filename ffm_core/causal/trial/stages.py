"""The stages of a falsification, in the order that keeps their meaning apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ffm_core.causal.cutting.cuts import Cuts
from ffm_core.causal.cutting.series import MUTATIONS, edited, fingerprint, part
from ffm_core.causal.subjects.base import History
from ffm_core.causal.trial.rows import EXACT, Difference, Matrix, Rows, differences
from ffm_core.causal.trial.session import Change, Session
from ffm_core.causal.trial.streaming import same_bits
from ffm_core.keyed import keyed
from ffm_core.records import because
from ffm_core.types import Float32, Int64

N_MUTATIONS = 300
N_FOLLOWED = 300  # windows of recursive columns that are asked again, longer
N_MIRRORED = 48
N_MIRRORED_PROVEN = 8
N_PROVEN = 32  # cuts and changes of a batch that a stream has proven at every bar
N_HISTORY = 60  # windows on which every declaration of history is held to its own bars
N_AGAIN = 6  # early prefixes that are asked for a second time at the end
FUTURE_BARS = 512  # changed bars after a cut; every tenth cut changes all that follow
ENOUGH = 8  # failing cuts after which a stage has said what it has to say
N_REACH = 4  # cuts that measure how far back a leak changes rows
AFTER_BROKEN = 200  # cuts still made once the declared history has failed

_REMEMBERS = because("remembers")
_EDITS = because("edits_bars")


def truth(session: Session, answer: object | None) -> None:
    """Ask for the full series here, or take the answer that was already given."""
    bars, subject = session.bars, session.subject
    if answer is None:
        before = fingerprint(bars)
        given = part(bars, 0, len(bars))
        answer = subject.run(given)
        column = edited(given, before) or edited(bars, before)
        if column is not None:
            session.note("purity", len(bars), [nowhere(column)], _EDITS)
            session.stopped = session.wants("purity")
    session.adopt(answer)
    if (bad := subject.infinite(answer)) is not None:
        session.note("values", len(bars), [nowhere(*bad)], because("infinite"))


@dataclass(frozen=True, slots=True)
class Visit:
    """A cut to be made.

    Parameters
    ----------
    cut : int
        The first bar withheld.
    histories : tuple of History
        Columns to be proven on exactly the history they declare; empty: all of
        them, on a window long enough for all.
    whole : bool
        Use the whole prefix.
    since : int
        An earlier cut whose window is asked again, up to this cut: two windows that begin
        at one bar must agree to the last bit.
    """

    cut: int
    histories: tuple[History, ...] = ()
    whole: bool = False
    since: int = 0

    @property
    def is_main(self) -> bool:
        """Whether the cut is about all columns."""
        return not self.histories and not self.since


class Prefixes:
    """Withholds later bars at every cut, in ascending order.

    With a declared history a cut is made on a window of it: a window that
    reproduces the rows before the cut proves at once that neither later nor older
    bars matter. Where one does not, the full prefix tells the two apart, and once
    the declaration has failed full prefixes are used. Columns that declare less
    history than others are proven on shorter windows besides.

    Parameters
    ----------
    session : Session
        With the answer for the full series.
    cuts : Cuts
        Where to cut.
    """

    def __init__(self, session: Session, cuts: Cuts) -> None:
        self.session = session
        self.visits = _plan(session, cuts)
        self._short: set[str] = set()
        self._left = sum(visit.is_main for visit in self.visits)
        self._failing = 0
        self._reach: set[int] = set()
        self._first = True
        self._early: list[tuple[int, Rows]] = []
        self._followed = {visit.since for visit in self.visits}
        self._windows: dict[int, tuple[int, Rows]] = {}  # cut -> first bar and rows

    def visit(self, visit: Visit) -> None:
        """Make one cut; the worker knows the bars before it and no others."""
        session = self.session
        if session.stopped:
            return
        if self._failing >= ENOUGH:
            if visit.cut in self._reach:
                session.note_peek(visit.cut, session.compare(visit.cut))
            return
        if visit.since:
            self._follow(visit)
        elif visit.histories:
            self._window(visit.cut, visit.histories)
        elif self._left > 0:
            self._left -= 1
            self._cut(visit)

    def again(self) -> bool:
        """Ask for a few early prefixes anew; return whether an answer has moved since."""
        session = self.session
        for cut, rows in self._early:
            found = differences(rows, session.ask(cut), EXACT)
            if found:
                session.note("purity", cut, found, _REMEMBERS)
                return True
        return False

    def _cut(self, visit: Visit) -> None:
        session, cut = self.session, visit.cut
        if self._first:
            self._first = False
            if not self._repeatable(cut):
                return
        start = 0 if visit.whole else session.start(cut)
        session.count(cut, start)
        rows = session.ask(cut, start)
        if start == 0 and len(self._early) < N_AGAIN:
            self._early.append((cut, rows))
        if start and cut in self._followed:
            self._windows[cut] = start, rows
        found = session.differ(rows, cut, start)
        if found and start > 0:
            whole = session.compare(cut)
            short = [one for one in found if one.column not in {w.column for w in whole}]
            if short:
                session.note("history", cut, short)
                if not whole:
                    session.trusted = False
                    self._left = min(self._left, AFTER_BROKEN)
            found = whole
        self._judge(cut, found)

    def _judge(self, cut: int, found: list[Difference]) -> None:
        if found:
            self.session.note_peek(cut, found)
            self._failing += 1
            if self._failing == ENOUGH:
                self._measure_reach(cut)

    def _follow(self, visit: Visit) -> None:
        """Ask an earlier window again with more bars after it."""
        session, cut = self.session, visit.since
        if cut not in self._windows:
            return
        start, rows = self._windows.pop(cut)
        lo = session.first_row(cut, start)
        longer = session.link.rows(session.index, start, visit.cut, lo, cut)
        self._judge(cut, differences(longer, rows, EXACT))

    def _repeatable(self, cut: int) -> bool:
        """Ask for the first prefix twice; an answer by chance would look like look-ahead."""
        session = self.session
        column, first = session.link.watched_rows(
            session.index, cut, session.subject.reach(session.full, cut)
        )
        if column is not None:
            session.note("purity", cut, [nowhere(column)], _EDITS)
        found = [] if column else differences(first, session.ask(cut), EXACT)
        session.note("purity", cut, found, because("calls_disagree"))
        session.stopped = session.wants("purity") and bool(column or found)
        return not session.stopped

    def _window(self, cut: int, histories: tuple[History, ...]) -> None:
        """Prove the history that columns declare: each from the first row that has it.

        The window begins where the longest of them does. A column that declares
        less is compared from an earlier row on, whose history is as short as it says.
        """
        session = self.session
        start = min(session.start_of(cut, history) for history in histories)
        if start == 0:
            return
        session.count(cut, start)
        rows = session.link.rows(session.index, start, cut, start, cut)
        full = session.subject.rows(session.full, start, cut)
        part = self._claimed(full, rows, start, histories)
        found = [
            one
            for one in differences(full, part, session.tolerance)
            if one.column not in self._short
        ]
        if not found:
            return
        peeking = {one.column for one in session.differ(session.ask(cut), cut)}
        short = [one for one in found if one.column not in peeking]
        session.note("history", cut, short)
        if short:
            self._short |= {one.column for one in short}
            session.trusted = False

    def _claimed(self, full: Rows, part: Rows, start: int, histories: tuple[History, ...]) -> Rows:
        """Return the part's values where its bars are enough, and the full ones elsewhere."""
        values: Matrix = full.values.copy()
        for history in histories:
            first = self.session.series.first_with(start, len(values), history)
            columns = [
                k
                for k, name in enumerate(part.names)
                if history.columns is None or name in history.columns
            ]
            values[first:, columns] = part.values[first:, columns]
        return Rows(key=part.key, names=part.names, values=values)

    def _measure_reach(self, cut: int) -> None:
        """Choose a few more cuts for a broken plug-in, where there is a past to change."""
        later = np.array([v.cut for v in self.visits if v.is_main and v.cut > cut], np.int64)
        places = np.linspace(0, len(later) - 1, min(N_REACH, len(later))).astype(np.int64)
        self._reach = set(later[places].tolist())


def _plan(session: Session, cuts: Cuts) -> list[Visit]:
    """Lay out the cuts of a subject, ascending."""
    at, whole = cuts.at, False
    groups = _groups(session.subject.histories)
    if len(session.subject.histories) == 1:
        groups = []  # every cut is made on the one history there is
    if not session.wants("prefix", "repaint", "history", "access", "budget", "mutation"):
        at = _spread(at, N_AGAIN)  # enough to see whether calls agree
    elif session.proven_by_stream:
        at, whole = _spread(at, N_PROVEN), True
        groups = _groups(session.subject.histories)
    visits = [Visit(cut, whole=whole) for cut in at.tolist()]
    if not (whole or session.tolerance.exact or session.start(len(session.bars)) == 0):
        total = len(session.bars)
        chosen = _spread(at, N_FOLLOWED).tolist()
        visits += [Visit(min(cut + FUTURE_BARS, total), since=cut) for cut in chosen]
    if session.wants("history"):
        for turn, group in enumerate(groups):
            chosen = _spread(cuts.at, N_HISTORY, shift=turn)
            visits += [Visit(cut, group) for cut in chosen.tolist()]
    return sorted(visits, key=lambda visit: visit.cut)


def _groups(histories: tuple[History, ...]) -> list[tuple[History, ...]]:
    """Put the declarations in bars together; those in days need windows of their own."""
    counted = tuple(h for h in histories if h.days is None and h.bars is not None)
    dated = [(h,) for h in histories if h.days is not None]
    return [*([counted] if counted else []), *dated]


def _spread(values: Int64, limit: int, *, shift: int = 0) -> Int64:
    """Return ``limit`` of the values, evenly placed; another ``shift`` gives others."""
    if len(values) <= limit:
        return values
    step = len(values) / limit
    places = (np.arange(limit) * step + (shift * 0.37 % 1.0) * step).astype(np.int64)
    chosen: Int64 = values[np.unique(np.minimum(places, len(values) - 1))]
    return chosen


class Streaming:
    """Compares a stream with the batch, at every bar, as the bars arrive."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._seen: set[str] = set()

    def advance(self) -> None:
        """Take the rows of the bars that the worker has learnt since the last time."""
        session = self.session
        if session.stopped or not (session.subject.streams and session.wants("stream")):
            return
        found = session.link.stream(session.index)
        stop = found.start + len(found.rows)
        if stop == found.start:
            return
        batch = session.subject.rows(session.full, found.start, stop)
        same = same_bits(np.asarray(batch.values, dtype=np.float32), found.rows)
        session.proven_bars += int(same.all(axis=1).sum())
        for column in np.flatnonzero(~same.all(axis=0)).tolist():
            row = int(np.argmin(same[:, column]))
            self._differs(batch, found.rows, row, column)
        for bar, place in found.broken:
            name = batch.names[place]
            session.note("stream", bar, [nowhere(name, bar)], because("snapshot_disagrees"))

    def _differs(self, batch: Rows, rows: Float32, row: int, column: int) -> None:
        name = batch.names[column]
        if name in self._seen:
            return
        self._seen.add(name)
        bar = int(batch.key[row]) // 2
        one = Difference(
            column=name, bar=bar, side=0, kind="value", earliest=bar,
            full=float(batch.values[row, column]), part=float(rows[row, column]),
        )  # fmt: skip
        self.session.note("stream", bar, [one])


def determinism(session: Session, prefixes: Prefixes) -> None:
    """Ask the worker for the full series: it must say what was said here, exactly.

    Early prefixes are asked for once more besides. Where the full answer is the
    same and theirs are not, bars were remembered; where both moved, what a call
    says depends on the calls before it and no other finding means anything.
    """
    total = len(session.bars)
    column, rows = session.link.watched_rows(session.index, total, 0)
    if column is not None:
        session.note("purity", total, [nowhere(column)], _EDITS)
        session.stopped = True
        return
    found = differences(session.whole, rows, EXACT)
    moved = session.wants("purity") and prefixes.again()
    if not found:
        return
    again = differences(rows, session.link.rows(session.index, 0, total, 0, total), EXACT)
    if session.wants("purity") and (again or moved):
        _only_impure(session)
        session.note("purity", total, again, because("calls_disagree"))
        session.stopped = True
        return
    session.note("determinism", total, found, because("process_disagrees"))
    _judge_by(session, rows)
    session.stopped = True  # nothing there can be compared with what was said here


def _judge_by(session: Session, own: Rows) -> None:
    """Keep what was found by cutting only where the worker's own full answer says so, too."""
    kept = []
    for finding in session.findings:
        if finding.check in ("prefix", "repaint", "history"):
            cut, column = finding.cut, finding.difference.column
            start = session.start_of(cut, session.declared(column))
            start = start if finding.check == "history" else 0
            lo = session.first_row(cut, start)
            room = session.tolerance if start else EXACT
            found = differences(_between(own, lo, cut), session.ask(cut, start), room)
            if not any(one.column == column for one in found):
                continue
        kept.append(finding)
    session.findings = kept


def mutations(session: Session, cuts: Cuts, *, foreign: bool) -> None:
    """Change later bars instead of removing them, at cuts that passed."""
    total = len(session.bars)
    passed = np.array(sorted(session.cut), dtype=np.int64)
    rng = keyed(session.seed, "mutation", session.subject.name)
    drawn = np.intersect1d(cuts.drawn, passed)
    placed = np.setdiff1d(passed, drawn)
    proven = session.proven_by_stream
    most = N_PROVEN if proven else N_MUTATIONS
    some = _some(placed, max(most // 2, most - len(drawn)), rng)
    chosen = np.union1d(some, _some(drawn, most - len(some), rng))
    kinds = [kind for kind in MUTATIONS if foreign or kind != "foreign"]
    failing = 0
    for turn, cut in enumerate(chosen.tolist()):
        stop = total if turn % 10 == 0 else min(total, cut + FUTURE_BARS)
        start = session.start(cut)
        change = Change(start=start, cut=cut, stop=stop, kind=kinds[turn % len(kinds)])
        lo = session.first_row(cut, start)
        session.rows_compared += cut - lo
        full = session.subject.rows(session.full, lo, cut)
        if start and not session.tolerance.exact:  # the same window with its true bars
            full = session.link.rows(session.index, start, stop, lo, cut)
        found = differences(full, session.changed(change, lo, cut), EXACT)
        if found:
            session.note("mutation", cut, found, change=change)
            failing += 1
            if failing == ENOUGH:
                return


def _some(values: Int64, limit: int, rng: np.random.Generator) -> Int64:
    if len(values) <= limit:
        return values
    return np.sort(rng.choice(values, size=max(limit, 0), replace=False))


def kept_state(session: Session, cuts: Cuts) -> None:
    """Look for answers remembered from earlier calls.

    A plug-in that travels with what it remembers from this process answers every
    prefix from it and so hides what it reads. On a mirrored series, which is new
    to it in every respect, prefixes are asked for in ascending order and the
    longest last; a prefix whose answer changes after that was remembered.
    """
    link, index = session.link, session.index
    rng = keyed(session.seed, "mirrored", session.subject.name)
    proven = session.proven_by_stream
    at = _some(cuts.at, N_MIRRORED_PROVEN if proven else N_MIRRORED, rng).tolist()
    early = [(cut, *link.twin(index, cut)) for cut in at]
    _, whole = link.twin(index, None)
    for cut, lo, rows in early:
        session.rows_compared += cut - lo
        found = differences(_between(whole, lo, cut), rows, EXACT)
        if not found:
            continue
        _, later = link.twin(index, cut)
        kept = differences(later, rows, EXACT)
        if kept:
            session.note("purity", cut, kept, _REMEMBERS)
        else:
            session.note_peek(cut, found, mirrored=True)
        return


def _between(rows: Rows, lo: int, hi: int) -> Rows:
    i, j = np.searchsorted(rows.key, (2 * lo, 2 * hi))
    group = None if rows.group is None else rows.group[i:j]
    return Rows(key=rows.key[i:j], names=rows.names, values=rows.values[i:j], group=group)


def purity_again(session: Session) -> None:
    """Ask once more after all other calls; a plug-in that keeps state may answer differently.

    What other stages found means nothing then, and is dropped.
    """
    total = len(session.bars)
    rows = session.link.rows(session.index, 0, total, 0, total)
    found = differences(session.whole, rows, EXACT)
    if found and not any(f.check == "determinism" for f in session.findings):
        _only_impure(session)
        session.note("purity", total, found, because("later_call_disagrees"))


def _only_impure(session: Session) -> None:
    kept = ("purity", "values", "access", "budget")
    session.findings = [f for f in session.findings if f.check in kept]


def nowhere(column: str, bar: int = 0) -> Difference:
    """Return a difference that is about a bar, or the whole answer, and no two values."""
    nan = float("nan")
    return Difference(
        column=column, bar=bar, side=0, kind="value", full=nan, part=nan, earliest=bar
    )
