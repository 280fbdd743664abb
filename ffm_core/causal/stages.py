"""The stages of a falsification, in the order that keeps their meaning apart."""

from __future__ import annotations

import numpy as np

from ffm_core.causal.cuts import Cuts
from ffm_core.causal.rows import Difference, Tolerance, differences
from ffm_core.causal.series import MUTATIONS, edited, fingerprint, mirrored, part
from ffm_core.causal.session import Change, Session
from ffm_core.keyed import keyed
from ffm_core.types import Int64

N_MUTATIONS = 300
N_MIRRORED = 96
FUTURE_BARS = 512  # changed bars after a cut; every tenth cut changes all that follow
ENOUGH = 8  # failing cuts after which a stage has said what it has to say
N_REACH = 4  # cuts that measure how far back a leak changes rows
AFTER_BROKEN = 200  # cuts still made once the declared history has failed

_EXACT = Tolerance(exact=True, scale=np.zeros(1))


def purity(session: Session) -> bool:
    """Ask twice for the full series; return whether the answers can be built on."""
    bars, subject = session.bars, session.subject
    before = fingerprint(bars)
    given = part(bars, 0, len(bars))
    answer = subject.run(given)
    column = edited(given, before) or edited(bars, before)
    if column is not None:
        session.note("purity", len(bars), [_nowhere(column)], "it edits the bars it is given")
        return False
    session.adopt(answer)
    if (bad := subject.infinite(answer)) is not None:
        session.note("values", len(bars), [_nowhere(*bad)], "the value is infinite")
    again = differences(
        subject.rows(answer, 0, len(bars)),
        subject.rows(session.ask(0, len(bars)), 0, len(bars)),
        _EXACT,
    )
    session.note("purity", len(bars), again, "two calls on the same bars disagree")
    return not again


def purity_again(session: Session) -> None:
    """Ask once more after all other calls; a plug-in that keeps state may answer differently.

    What other stages found means nothing then, and is dropped.
    """
    total = len(session.bars)
    found = differences(
        session.subject.rows(session.full, 0, total),
        session.subject.rows(session.ask(0, total), 0, total),
        _EXACT,
    )
    if found:
        session.findings = [f for f in session.findings if f.check in ("purity", "values")]
        session.note("purity", total, found, "a later call on the same bars disagrees")


def prefixes(session: Session, cuts: Cuts) -> None:
    """Withhold later bars at every cut.

    With a declared history each cut is made on a window of it: a window that
    reproduces the rows before the cut proves at once that neither later nor
    older bars matter. Where one does not, the full prefix tells the two apart,
    and once the declaration has failed full prefixes are used. Cuts ascend, so
    that the first failure is the earliest.
    """
    failing, left = 0, len(cuts)
    for cut in cuts.at.tolist():
        if left == 0:
            return
        left -= 1
        start = session.start_of_window(cut)
        found = session.compare(session.ask(start, cut), cut, start)
        if found and start > 0:
            whole = session.compare(session.ask(0, cut), cut)
            if not whole:
                session.note("history", cut, found)
                session.window = None
                left = min(left, AFTER_BROKEN)
            found = whole
        if found:
            session.note("prefix", cut, found)
            failing += 1
            if failing == ENOUGH:
                _measure_reach(session, cuts.at[cuts.at > cut])
                return


def _measure_reach(session: Session, later: Int64) -> None:
    """Cut a broken plug-in a few more times, where there is a past to change."""
    places = np.linspace(0, len(later) - 1, min(N_REACH, len(later))).astype(np.int64)
    for cut in later[places].tolist():
        session.note("prefix", cut, session.compare(session.ask(0, cut), cut))


def mutations(session: Session, cuts: Cuts) -> None:
    """Change later bars instead of removing them, at cuts that passed."""
    total = len(session.bars)
    passed = np.array(sorted(session.cut), dtype=np.int64)
    rng = keyed(session.seed, "mutation", session.subject.name)
    drawn = np.intersect1d(cuts.drawn, passed)
    placed = np.setdiff1d(passed, drawn)
    half = N_MUTATIONS // 2
    some = _some(placed, max(half, N_MUTATIONS - len(drawn)), rng)
    chosen = np.union1d(some, _some(drawn, N_MUTATIONS - len(some), rng))
    failing = 0
    for turn, cut in enumerate(chosen.tolist()):
        kind = MUTATIONS[turn % len(MUTATIONS)]
        stop = total if turn % 10 == 0 else min(total, cut + FUTURE_BARS)
        start = session.start_of_window(cut)
        change = Change(start=start, cut=cut, stop=stop, kind=kind)
        found = session.compare(session.subject.run(change.apply(session)), cut, start)
        if found:
            session.note("mutation", cut, found, change=change)
            failing += 1
            if failing == ENOUGH:
                return


def _some(values: Int64, limit: int, rng: np.random.Generator) -> Int64:
    if len(values) <= limit:
        return values
    return np.sort(rng.choice(values, size=limit, replace=False))


def kept_state(session: Session, cuts: Cuts) -> None:
    """Look for answers remembered from earlier calls.

    A plug-in that memoises the longest series it has seen answers every prefix
    from it and so hides what it reads. On a mirrored series, which is new to it
    in every respect, prefixes are asked for in ascending order and the longest
    last; a prefix whose answer changes after that was remembered.
    """
    twin = mirrored(session.bars)
    subject = session.subject
    rng = keyed(session.seed, "mirrored", subject.name)
    at = _some(cuts.at, N_MIRRORED, rng).tolist()
    early = []
    for cut in at:
        answer = subject.run(part(twin, 0, cut))
        lo = subject.reach(answer, cut)
        early.append((cut, lo, subject.rows(answer, lo, cut).copy()))
    whole = subject.run(twin)
    for cut, lo, rows in early:
        session.rows_compared += cut - lo
        found = differences(subject.rows(whole, lo, cut), rows, session.tolerance)
        if not found:
            continue
        later = subject.rows(subject.run(part(twin, 0, cut)), lo, cut)
        kept = differences(later, rows, session.tolerance)
        if kept:
            problem = "it remembers bars from earlier calls and answers from them"
            session.note("purity", cut, kept, problem)
        else:
            session.note("prefix", cut, found, "on the mirrored series it reads later bars")
        return


def _nowhere(column: str, bar: int = 0) -> Difference:
    nan = float("nan")
    return Difference(
        column=column, bar=bar, side=0, kind="value", full=nan, part=nan, earliest=bar
    )
