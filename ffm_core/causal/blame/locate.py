"""Find the line of a plug-in that a finding is about.

The worker is asked: it runs the plug-in once on bars that show the fault and once
on bars that do not, and compares what every line computes. A finding that no two
runs can show is looked up by reading the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.declared import answering, declared, shared
from ffm_core.causal.blame.held import held
from ffm_core.causal.blame.interpreted import interpreted, interpreter
from ffm_core.causal.blame.line import Blame, accuse, blame, origin
from ffm_core.causal.blame.sources import Sources
from ffm_core.causal.cutting.series import part
from ffm_core.causal.process.budget import OverBudget, limited
from ffm_core.causal.process.client import Halted
from ffm_core.causal.subjects.base import Subject
from ffm_core.causal.trial.session import Change, Discrepancy, Session

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
    column : str
        The column that disagrees.
    value : float
        What it holds, when that alone is wrong.
    restored : bool
        Whether a stream that was restored disagrees with the one it was taken from.
    """

    check: str
    bar: int
    cut: int
    start: int
    stop: int
    change: Change | None
    column: str = ""
    value: float = np.inf
    restored: bool = False

    def answer(self, subject: Subject, bars: Bars, seed: int, other: Bars | None) -> Blame | None:
        """Return the line; called in the worker."""
        sources = Sources(subject.function)
        if self.check == "stored" and (table := held(subject.function, sources.files)) is not None:
            return table
        files = [Path(root) for root in subject.roots()] or sources.files
        if not (subject.roots() or sources.foreign):
            return declared(getattr(subject, "record", None), self.column, self.check)
        found = None
        try:
            with limited(_SECONDS, _MEMORY_BYTES), interpreted(sources):
                run = interpreter(subject.function, sources) or subject.run
                if self.check in _TRACED:
                    found = self._traced(run, subject.name, bars, seed, other, files)
                elif self.check == "values":
                    row = self.bar
                    found = origin(run, part(bars, 0, row + 1), row, self.value, files=files)
                elif self.check == "stream":
                    found = self._streamed(subject, bars, files)
        except OverBudget:
            pass
        return found or accuse(subject.function, self.check, files=files)

    def _streamed(self, subject: Subject, bars: Bars, files: list[Path]) -> Blame | None:
        stream = subject.stream(bars.instrument, bars.timeframe)
        method = "snapshot" if self.restored else "update"
        return shared(stream, files) or answering(stream, method, files)

    def _traced(
        self, run: Callable[[Bars], object], name: str, bars: Bars, seed: int,
        other: Bars | None, files: list[Path],
    ) -> Blame | None:  # fmt: skip
        change = self.change
        if change is not None:
            full = change.apply(bars, name, seed, None, other)
            short = part(bars, change.start, change.stop)
            lo = self.bar - change.start
            return blame(run, full, short, lo, lo + 1, files=files)
        full, short = part(bars, 0, self.stop), part(bars, self.start, self.cut)
        return blame(run, full, short, self.bar, self.bar + 1, start=self.start, files=files)


def line_of(session: Session, finding: Discrepancy, future: int | None) -> tuple[str, str]:
    """Return ``file.py:42: source`` for a finding and what is odd about it, where known.

    Parameters
    ----------
    session : Session
        Whose worker is asked.
    finding : Discrepancy
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
    if finding.line or finding.check == "budget" or not session.link.alive:
        return finding.line, ""
    try:
        found: Blame | None = session.link.blame(session.index, _question(session, finding, future))
    except Halted:
        return "", ""
    return (str(found), found.why) if found else ("", "")


def _question(session: Session, finding: Discrepancy, future: int | None) -> Question:
    cut, total = finding.cut, len(session.bars)
    start, stop = 0, total
    if finding.check == "history":
        start = session.start_of(cut, session.declared(finding.difference.column))
        stop = cut
    elif finding.check in ("prefix", "repaint"):
        stop = min(total, (future if future is not None else cut + _BEYOND) + 1)
    column, bar = finding.difference.column, finding.difference.bar
    return Question(
        check=finding.check, bar=bar, cut=cut, start=start, stop=stop, change=finding.change,
        column=column, value=_value(session, column, bar),
        restored=finding.check == "stream" and finding.problem is not None,
    )  # fmt: skip


def _value(session: Session, column: str, bar: int) -> float:
    """Return what the full series holds, infinite where that cannot be said."""
    rows = session.subject.rows(session.full, bar, bar + 1)
    if column not in rows.names or len(rows.values) == 0:
        return float("inf")
    return float(rows.values[0, rows.names.index(column)])


__all__ = ["Question", "line_of"]
