"""One subject on one stream: what was asked, what it answered, what disagreed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.rows import Difference, Rows, Tolerance, differences, typical_size
from ffm_core.causal.series import Mutation, part, with_future
from ffm_core.causal.subjects import LOOKBACK, Subject
from ffm_core.keyed import keyed
from ffm_core.records import Decisions
from ffm_core.types import Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How bars from ``cut`` to ``stop`` were changed, so that it can be done again.

    Only bars before ``until`` are changed when it is given; the others stay true.
    """

    start: int
    cut: int
    stop: int
    kind: Mutation

    def apply(self, session: Session, until: int | None = None) -> Bars:
        """Return bars ``start`` to ``stop`` with the change."""
        rng = keyed(session.seed, "future", session.subject.name, self.cut)
        return with_future(
            session.bars, self.start, self.cut, self.stop, kind=self.kind, rng=rng, until=until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference, and the check and cut at which it showed."""

    check: str
    cut: int
    difference: Difference
    problem: str = ""  # said instead of what the difference would say
    change: Change | None = None


class Session:
    """Answers of one plug-in on one stream, and what was found in them.

    Parameters
    ----------
    subject : Subject
        The plug-in.
    bars : Bars
        The true series, ``T`` bars.
    seed : int
        Seed of the run.
    """

    def __init__(self, subject: Subject, bars: Bars, seed: int) -> None:
        self.subject = subject
        # One chunk, so that every cut is a view and not a copy.
        self.bars = Bars(bars.frame.rechunk(), bars.instrument, bars.timeframe)
        self.seed = seed
        self.findings: list[Finding] = []
        self.cut: set[int] = set()
        self.rows_compared = 0
        history = subject.history_bars
        self.window: int | None = None if history is None else history + LOOKBACK - 1
        self.full: Any = None
        self.tolerance = Tolerance(exact=True, scale=np.zeros(0))

    @property
    def peeks(self) -> bool:
        """Whether look-ahead or impurity has been found."""
        return any(f.check in ("prefix", "mutation", "purity") for f in self.findings)

    @property
    def decided(self) -> Int64:
        """Bars of the subject's own decisions, empty for feature sets."""
        answer = self.full
        return answer.bar if isinstance(answer, Decisions) else np.empty(0, np.int64)

    def adopt(self, answer: Any) -> None:
        """Take ``answer`` as the one for the full series."""
        self.full = answer
        exact = self.subject.memory != "recursive"
        rows = self.subject.rows(answer, 0, len(self.bars))
        scale = np.zeros(len(rows.names)) if exact else typical_size(rows.values)
        self.tolerance = Tolerance(exact=exact, scale=scale)

    def start_of_window(self, cut: int) -> int:
        """Return where the window of a cut begins; 0 means the full prefix."""
        return 0 if self.window is None else max(cut - self.window, 0)

    def ask(self, start: int, stop: int) -> Any:
        """Answer for a part of the true series."""
        return self.subject.run(part(self.bars, start, stop))

    def compare(self, answer: Any, cut: int, start: int = 0) -> list[Difference]:
        """Compare an answer for bars from ``start`` on with the full one, and count it."""
        lo = self._first_row(cut, start)
        self.cut.add(cut)
        self.rows_compared += cut - lo
        return self.differ(answer, cut, start)

    def differ(self, answer: Any, cut: int, start: int = 0) -> list[Difference]:
        """Compare the rows before ``cut`` without counting them."""
        lo = self._first_row(cut, start)
        return differences(
            self.subject.rows(self.full, lo, cut),
            self.subject.rows(answer, lo, cut, start),
            self.tolerance,
        )

    def _first_row(self, cut: int, start: int) -> int:
        return max(cut - LOOKBACK, start) if start else self.subject.reach(self.full, cut)

    def note(
        self,
        check: str,
        cut: int,
        found: list[Difference],
        problem: str = "",
        change: Change | None = None,
    ) -> None:
        """Record what disagreed at a cut."""
        self.findings += [
            Finding(check=check, cut=cut, difference=one, problem=problem, change=change)
            for one in found
        ]

    def row(self, answer: Any, bar: int, start: int = 0) -> Rows:
        """Return the rows of a single bar."""
        return self.subject.rows(answer, bar, bar + 1, start)
