"""Find the line of a plug-in that a finding is about.

The worker is asked: it runs the plug-in once on bars that show the fault and once
on bars that do not, and compares what every line computes. A finding that no two
runs can show is looked up by reading the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ffm_core.bars.table import Bars
from ffm_core.causal.blame import Blame, accuse, blame
from ffm_core.causal.budget import OverBudget, limited
from ffm_core.causal.link import Halted
from ffm_core.causal.series import part
from ffm_core.causal.session import Change, Finding, Session
from ffm_core.causal.subjects import Subject

_SECONDS = 20.0  # a message without a line is better than a long wait
_MEMORY_BYTES = 2 * 2**30
_BEYOND = 600  # later bars shown when it is not known which one matters
_TRACED = ("prefix", "repaint", "mutation", "history")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the worker is asked about a finding.

    Parameters
    ----------
    check : str
        The detector.
    bar, cut : int
        The row that disagrees, and the cut at which it does.
    start, stop : int
        Bars of the run that shows the fault.
    change : Change, optional
        How later bars were changed, when that showed it.
    """

    check: str
    bar: int
    cut: int
    start: int
    stop: int
    change: Change | None

    def answer(self, subject: Subject, bars: Bars, seed: int, other: Bars | None) -> Blame | None:
        """Return the line; called in the worker."""
        files = [Path(root) for root in subject.roots()]
        if not files:
            return None
        found = None
        try:
            with limited(_SECONDS, _MEMORY_BYTES):
                if self.check in _TRACED:
                    found = self._traced(subject, bars, seed, other, files)
        except OverBudget:
            pass
        return found or accuse(subject.function, self.check, files=files)

    def _traced(
        self, subject: Subject, bars: Bars, seed: int, other: Bars | None, files: list[Path]
    ) -> Blame | None:
        change = self.change
        if change is not None:
            full = change.apply(bars, subject.name, seed, None, other)
            short = part(bars, change.start, change.stop)
            lo = self.bar - change.start
            return blame(subject.run, full, short, lo, lo + 1, files=files)
        full, short = part(bars, 0, self.stop), part(bars, self.start, self.cut)
        return blame(
            subject.run, full, short, self.bar, self.bar + 1, start=self.start, files=files
        )


def line_of(session: Session, finding: Finding, future: int | None) -> tuple[str, str]:
    """Return ``file.py:42: source`` for a finding and what is odd about it, where known.

    Parameters
    ----------
    session : Session
        Whose worker is asked.
    finding : Finding
        Says which row, cut or change shows the fault.
    future : int, optional
        The first later bar that matters.

    Returns
    -------
    (str, str)
        Both empty for private plug-ins, whose code is not shown, and where
        nothing is known.
    """
    if session.subject.private:
        return "", ""
    if finding.line or finding.check in ("budget", "values") or not session.link.alive:
        return finding.line, ""
    try:
        found: Blame | None = session.link.blame(session.index, _question(session, finding, future))
    except Halted:
        return "", ""
    return (str(found), found.why) if found else ("", "")


def _question(session: Session, finding: Finding, future: int | None) -> Question:
    cut, total = finding.cut, len(session.bars)
    start, stop = 0, total
    if finding.check == "history":
        start = session.start_of(cut, session.declared(finding.difference.column))
        stop = cut
    elif finding.check in ("prefix", "repaint"):
        stop = min(total, (future if future is not None else cut + _BEYOND) + 1)
    return Question(
        check=finding.check, bar=finding.difference.bar, cut=cut, start=start, stop=stop,
        change=finding.change,
    )  # fmt: skip


__all__ = ["Question", "line_of"]
