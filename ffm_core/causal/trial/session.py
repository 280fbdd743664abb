"""One subject on one stream: what was asked, what it answered, what disagreed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.causal.cutting.series import Mutation, with_future
from ffm_core.causal.process.client import Link
from ffm_core.causal.subjects.base import LOOKBACK, History, Subject
from ffm_core.causal.trial.rows import EXACT, Difference, Rows, Tolerance, differences, spread
from ffm_core.keyed import keyed
from ffm_core.records import Decisions, Examined, Reason
from ffm_core.types import Int64

DETECTORS = frozenset(
    {
        "purity", "values", "prefix", "mutation", "history", "stream", "repaint",
        "determinism", "access", "budget", "stored",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How bars from ``cut`` to ``stop`` were changed, so that it can be done again.

    Only bars before ``until`` are changed when it is given; the others stay true.
    """

    start: int
    cut: int
    stop: int
    kind: Mutation

    def apply(
        self, bars: Bars, name: str, seed: int, until: int | None = None, other: Bars | None = None
    ) -> Bars:
        """Return bars ``start`` to ``stop`` with the change.

        Parameters
        ----------
        bars : Bars
            The true series.
        name : str
            Of the subject; keys the draws together with ``seed`` and the cut.
        seed : int
            Seed of the run.
        until : int, optional
            Bars from here on stay true.
        other : Bars, optional
            Another instrument, for changes that splice its future in.
        """
        rng = keyed(seed, "future", name, self.cut)
        return with_future(
            bars, self.start, self.cut, self.stop, kind=self.kind, rng=rng, until=until, other=other
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """A difference, and the check and cut at which it showed."""

    check: str
    cut: int
    difference: Difference
    problem: Reason | None = None  # said instead of what the difference would say
    mirrored: bool = False  # it showed on the mirrored series
    change: Change | None = None
    line: str = ""


class Series:
    """The true bars of a stream, and where its trading dates begin.

    Parameters
    ----------
    bars : Bars
        ``T`` bars.
    """

    def __init__(self, bars: Bars) -> None:
        # One chunk, so that every slice is a view and not a copy.
        self.bars = replace(bars, frame=bars.frame.rechunk())

    @cached_property
    def _days(self) -> tuple[Int64, Int64]:
        """First bar of each trading date that has bars, and the date of each bar among them."""
        new = np.append(True, np.diff(trading_days(self.bars)) != 0)
        return np.flatnonzero(new).astype(np.int64), np.cumsum(new).astype(np.int64) - 1

    def start_for(self, row: int, history: History) -> int:
        """Return the first bar of the history that reproduces a row."""
        if history.whole:
            return 0
        start = row if history.bars is None else row - history.bars + 1
        if history.days is not None:
            first, date = self._days
            day = int(date[row]) - history.days + 1
            start = min(start, int(first[day])) if day >= 0 else 0
        return max(start, 0)

    def first_with(self, start: int, rows: int, history: History) -> int:
        """Return the first of ``rows`` rows from ``start`` on that has its history there."""
        if history.days is None and history.bars is not None:
            return min(history.bars - 1, rows)
        return next((k for k in range(rows) if self.start_for(start + k, history) >= start), rows)


class Session:
    """Answers of one plug-in on one stream, and what was found in them.

    Parameters
    ----------
    subject : Subject
        The plug-in, as opened in this process.
    index : int
        Its place among the subjects of the worker.
    series : Series
        The true series, ``T`` bars.
    seed : int
        Seed of the run.
    link : Link
        The worker.
    detectors : collection of str
        What may be found; everything else is ignored.
    """

    def __init__(
        self,
        subject: Subject,
        index: int,
        series: Series,
        *,
        seed: int,
        link: Link,
        detectors: Collection[str],
    ) -> None:
        self.subject = subject
        self.index = index
        self.series = series
        self.bars = series.bars
        self.seed = seed
        self.link = link
        self.detectors = frozenset(detectors)
        self.findings: list[Discrepancy] = []
        self.cut: set[int] = set()
        self.rows_compared = 0
        self.proven_bars = 0
        self.stopped = False  # it can, or need, be asked no more
        self.trusted = True  # the declared history has held so far
        self.full: Any = None
        self.tolerance = EXACT  # of rows from a window, which begins later than the series

    @property
    def peeks(self) -> bool:
        """Whether look-ahead or impurity has been found."""
        return any(f.check in ("prefix", "repaint", "mutation", "purity") for f in self.findings)

    @property
    def proven_by_stream(self) -> bool:
        """Whether a stream is compared with its rows at every bar."""
        return self.subject.streams and self.wants("stream")

    @property
    def decided(self) -> Int64:
        """Bars of the subject's own decisions, empty for feature sets."""
        answer = self.full
        return answer.bar if isinstance(answer, Decisions) else np.empty(0, np.int64)

    @property
    def whole(self) -> Rows:
        """The rows of the full series."""
        return self.subject.rows(self.full, 0, len(self.bars))

    @property
    def examined(self) -> Examined:
        """What is examined, and on which stream."""
        return Examined(self.subject.kind, self.subject.own_name, self.bars.stream)

    def declared(self, column: str) -> History:
        """Return the history that a column declares."""
        for history in self.subject.histories:
            if history.columns is None or column in history.columns:
                return history
        return self.subject.histories[-1]

    def wants(self, *checks: str) -> bool:
        """Whether any of these may be found."""
        return not self.detectors.isdisjoint(checks)

    def adopt(self, answer: Any) -> None:
        """Take ``answer`` as the one for the full series."""
        self.full = answer
        names, drifting = self.whole.names, self.subject.recursive
        if drifting is not None and not drifting:
            self.tolerance = EXACT
            return
        self.tolerance = Tolerance(
            exact=False,
            scale=spread(self.whole.values),
            drifting=None if drifting is None else np.array([name in drifting for name in names]),
        )

    def start_of(self, cut: int, history: History) -> int:
        """Return where a window begins whose last rows, back to the oldest compared, are whole."""
        return self.series.start_for(max(cut - LOOKBACK, 0), history)

    def start(self, cut: int) -> int:
        """Return where a window begins that is long enough for every column."""
        if not self.trusted:
            return 0
        return min(self.start_of(cut, history) for history in self.subject.histories)

    def first_row(self, cut: int, start: int) -> int:
        """Return the oldest row worth comparing in an answer for ``start`` to ``cut``."""
        return max(cut - LOOKBACK, start) if start else self.subject.reach(self.full, cut)

    def ask(self, cut: int, start: int = 0) -> Rows:
        """Return the last rows before a cut, from bars ``start`` on."""
        return self.link.rows(self.index, start, cut, self.first_row(cut, start), cut)

    def compare(self, cut: int, start: int = 0) -> list[Difference]:
        """Compare the rows before a cut with those of the full series, and count them."""
        self.count(cut, start)
        return self.differ(self.ask(cut, start), cut, start)

    def count(self, cut: int, start: int = 0) -> None:
        """Count a cut."""
        self.cut.add(cut)
        self.rows_compared += cut - self.first_row(cut, start)

    def differ(self, rows: Rows, cut: int, start: int = 0) -> list[Difference]:
        """Compare rows before the cut with those of the full series.

        Rows from the start of the series must be the same to the last bit.
        """
        full = self.subject.rows(self.full, self.first_row(cut, start), cut)
        return differences(full, rows, self.tolerance if start else EXACT)

    def changed(self, change: Change, lo: int, hi: int, until: int | None = None) -> Rows:
        """Return rows of a series whose later bars are changed."""
        return self.link.changed(self.index, change, until, lo, hi)

    def row(self, stop: int, bar: int) -> Rows:
        """Return the rows of a single bar when bars before ``stop`` are known."""
        if stop == len(self.bars):
            return self.subject.rows(self.full, bar, bar + 1)
        return self.link.rows(self.index, 0, stop, bar, bar + 1)

    def note(
        self,
        check: str,
        cut: int,
        found: list[Difference],
        problem: Reason | None = None,
        change: Change | None = None,
        line: str = "",
        mirrored: bool = False,
    ) -> None:
        """Record what disagreed at a cut, when it is being looked for."""
        if check in self.detectors:
            self.findings += [
                Discrepancy(
                    check=check,
                    cut=cut,
                    difference=one,
                    problem=problem,
                    change=change,
                    line=line,
                    mirrored=mirrored,
                )
                for one in found
            ]

    def note_peek(self, cut: int, found: list[Difference], *, mirrored: bool = False) -> None:
        """Record look-ahead, and decisions that were made and then taken back, by their names."""
        for one in found:
            withdrawn = one.kind in ("vanishes", "side") or (
                self.subject.kind == "labeler" and one.column in TERMS
            )
            self.note("repaint" if withdrawn else "prefix", cut, [one], mirrored=mirrored)


# What a decision consists of besides its columns; changed later, it is another decision.
TERMS = frozenset({"risk", "stop_price", "target_r", "horizon_bars", "group"})

__all__ = ["DETECTORS", "TERMS", "Change", "Discrepancy", "Series", "Session"]
