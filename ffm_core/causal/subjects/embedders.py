"""Try to prove that an embedder's vector depends on its own window and on nothing else.

What embedders are shown is falsified as a feature set, at all cuts; the model is not
run there. It is shown real windows here: all together, in part, in another order, among
others, one by one and again, and once more in a fresh process that is asked in another
order. Every vector has to have the same bytes each time: a normalisation over the batch
would let later windows move earlier rows, and one memory of earlier calls would make a
result depend on what the cache held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame, accuse, blame
from ffm_core.causal.cutting.cuts import detection_bound
from ffm_core.causal.process.access import roots_of
from ffm_core.causal.process.budget import Budget
from ffm_core.causal.process.client import Halted, Link
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.causal.trial.findings import Call, Notes, caller
from ffm_core.causal.trial.rows import Rows
from ffm_core.causal.trial.streaming import same_bits
from ffm_core.embed.blocks import WindowRows
from ffm_core.keyed import keyed
from ffm_core.records import (
    Certificate,
    Embedder,
    Examined,
    FeatureSet,
    Reason,
    answers,
    because,
)
from ffm_core.records.proofs import number
from ffm_core.types import Bool, Float32, Int64

MAX_WINDOWS = 300
_ALONE = 16  # windows shown on their own
_RAISES_FIX = "it must accept any number of normalised windows, a single one too"


class _Answer:
    """Rows of windows, made where they are looked at; all of them once they are asked for twice.

    An evaluation builds windows at some bars only, and so does the worker. This process
    compares the full series with every cut.
    """

    def __init__(self, made: WindowRows, bars: Bars) -> None:
        self._made = made
        self._bars = bars
        self._asked = False

    def __len__(self) -> int:
        return len(self._bars)

    def rows(self, lo: int, hi: int) -> Float32:
        """Return rows ``lo`` to ``hi``, float32 (hi - lo, F)."""
        if self._asked or hi - lo == len(self):
            return self._all[lo:hi]
        self._asked = True
        return self._made.at(self._bars, np.arange(lo, hi, dtype=np.int64))

    @cached_property
    def _all(self) -> Float32:
        return self._made(self._bars)


class WindowSubject(FeatureSubject):
    """What embedders are shown, as a subject of the falsifier.

    Parameters
    ----------
    windows : FeatureSet
        From :func:`.windows_as_features`.
    """

    stores = False  # windows are made by the host

    def __init__(self, windows: FeatureSet) -> None:
        super().__init__(windows, None)
        self._at: WindowRows = cast("WindowRows", windows.batch)

    def run(self, bars: Bars) -> Any:
        """Return what makes the rows of ``bars``; see :class:`.subjects.Subject`."""
        return _Answer(self._at, bars)

    def rows(self, answer: Any, lo: int, hi: int, start: int = 0) -> Rows:
        """Return the rows of bars ``lo`` to ``hi``; see :class:`.subjects.Subject`."""
        return super().rows(answer.rows(lo - start, hi - start), lo, hi, lo)

    def infinite(self, answer: Any) -> tuple[str, int] | None:
        """Return column and bar of the first infinity; see :class:`.subjects.Subject`."""
        return super().infinite(answer.rows(0, len(answer)))


class EmbedderSubject:
    """An embedder as the worker opens it; see :class:`.subjects.Subject` for its kin."""

    kind = "embedder"
    streams = False

    def __init__(self, embedder: Embedder) -> None:
        self.name = f"embedder {embedder.name}"
        self.embedder = embedder

    def roots(self) -> tuple[str, ...]:
        """Return the folders and files of its code."""
        return roots_of([self.embedder.embed])

    def embed(self, windows: Float32) -> Float32:
        """Return the vectors of some windows, their form checked."""
        return answers.vectors(self.embedder, self.embedder.embed(windows), len(windows))


def _alone(embedder: Embedder) -> tuple[EmbedderSubject]:
    return (EmbedderSubject(embedder),)


def falsify_embedder(
    embedder: Embedder,
    windows: Float32,
    bars: Bars,
    *,
    seed: int,
    opener: Callable[[], Sequence[EmbedderSubject]] | None = None,
    index: int = 0,
    budget: Budget | None = None,
    call: Call | None = None,
) -> Certificate:
    """Look for vectors that depend on other windows, on earlier calls or on chance.

    Parameters
    ----------
    embedder : Embedder
        Its ``embed`` is called many times.
    windows : float32 (N, context_bars)
        Real, normalised windows; at most :data:`MAX_WINDOWS` are used, evenly spread.
    bars : Bars
        The stream they come from; only its instrument and timeframe are sent on.
    seed : int
        Seed of the run; chooses the parts.
    opener, index : callable, int
        How a fresh process opens the embedder, and its place among what is opened;
        default: the record is sent as it is.
    budget : Budget, optional
        Time and memory of a call in the fresh process.
    call : callable, optional
        ``call(function, *args)`` runs plug-in code and wraps what it raises.

    Returns
    -------
    Certificate
        Failures of ``rowwise`` (a vector depends on the other windows of a call),
        ``purity`` (on earlier calls, or the windows are edited), ``determinism`` (a
        fresh process returns different values), ``access`` and ``budget``.

    Raises
    ------
    StrategyError
        When the embedder raises, or returns no finite float32 array of the right shape.
    """
    chosen = _thinned(np.ascontiguousarray(windows, dtype=np.float32), MAX_WINDOWS)
    trial = _EmbedderTrial(embedder, chosen, seed, call)
    if len(chosen) == 0:
        return trial.notes.certificate(1.0)  # nothing was shown, and nothing is proven
    truth = trial.embed(chosen)
    if _agrees(trial, truth):
        _parts(trial, truth)
        _agrees(trial, truth)
    if not trial.notes.found():
        _fresh(
            trial, truth, bars[:0], opener or partial(_alone, embedder), index, budget or Budget()
        )
    return trial.notes.certificate(detection_bound(len(chosen)))


class _EmbedderTrial:
    """One embedder and the windows it is shown."""

    def __init__(self, embedder: Embedder, windows: Float32, seed: int, call: Call | None) -> None:
        self.name = f"embedder {embedder.name}"
        self.embedder = embedder
        self.windows = windows
        self.seed = seed
        self.notes = Notes(Examined("embedder", embedder.name))
        self._call = caller(self.name, call, _RAISES_FIX)

    def embed(self, windows: Float32) -> Float32:
        """Return the vectors of some windows, shown as a copy."""
        given = windows.copy()
        answer = self._call(self.embedder.embed, given)
        answer = answers.vectors(self.embedder, answer, len(windows))
        self.notes.cuts += 1
        self.notes.rows += len(windows)
        if not same_bits(given, windows).all():
            self.note("purity", 0, 0, because("edits_windows"), "fix_embed")
        return answer.copy()

    def note(
        self,
        check: str,
        column: int,
        window: int,
        reason: Reason,
        fix: str,
        line: Callable[[], Blame | None] | None = None,
    ) -> None:
        """Note a failure at one of the windows."""
        kind = "rows" if check == "rowwise" else check
        self.notes.add(
            check, reason, column=self.embedder.columns[column].name, bar=window,
            repair=because(fix), line=line or (lambda: accuse(self.embedder.embed, kind)),
        )  # fmt: skip


def _agrees(trial: _EmbedderTrial, truth: Float32) -> bool:
    """Show all windows once more; return whether the answer is the same."""
    found = _first(truth, trial.embed(trial.windows))
    if found is not None:
        row, column = found
        trial.note("purity", column, row, because("embeds_disagree"), "fix_embed")
    return found is None


def _parts(trial: _EmbedderTrial, truth: Float32) -> None:
    """Show the windows in part, in other orders, among others and one by one."""
    n = len(trial.windows)
    rng = keyed(trial.seed, "embedder", trial.name)
    half = np.zeros(n, dtype=np.bool_)
    half[rng.choice(n, size=n // 2, replace=False)] = True
    alone = np.sort(rng.choice(n, size=min(n, _ALONE), replace=False))
    picks = [
        (np.arange(n - n // 3), "without_last"),
        (np.arange(n)[::-1], "reversed"),
        (rng.permutation(n), "windows_shuffled"),
        (np.flatnonzero(half), "half_windows"),
        (np.flatnonzero(~half), "half_windows"),
        *((np.array([row]), "alone") for row in alone.tolist()),
    ]
    for rows, how in picks:
        if len(rows):
            _compare(trial, truth, rows, trial.embed(trial.windows[rows]), how)
    # A mirrored market is a market, too; its windows stand between the true ones.
    among = np.empty((2 * n, trial.windows.shape[1]), dtype=np.float32)
    among[::2], among[1::2] = -trial.windows, trial.windows
    shown = trial.embed(among)[1::2]
    _compare(trial, truth, np.arange(n), shown, "among_others")


def _compare(trial: _EmbedderTrial, truth: Float32, rows: Int64, shown: Float32, how: str) -> None:
    found = _first(truth[rows], shown)
    if found is None:
        return
    at, column = found
    row = int(rows[at])
    full, part = number(truth[row, column]), number(shown[at, column])
    reason = because(
        "window_depends", window=row, full=full, windows=len(truth), part=part, how=how
    )
    trial.note("rowwise", column, row, reason, "fix_windows", partial(_line, trial, rows, row))


def _line(trial: _EmbedderTrial, rows: Int64, row: int) -> Blame | None:
    """Trace both calls where the windows shown are the first ones; else read the code."""
    found = None
    if (rows == np.arange(len(rows))).all():
        shown = trial.windows[rows]
        found = blame(trial.embedder.embed, trial.windows, shown, row, row + 1)
    return found or accuse(trial.embedder.embed, "rows")


def _fresh(
    trial: _EmbedderTrial, truth: Float32, bars: Bars, opener: Any, index: int, budget: Budget
) -> None:
    """Ask a fresh process, backwards; it has never seen the windows and is watched."""
    with Link(opener, bars, seed=trial.seed, budget=budget) as link:
        try:
            shown = link.embed(index, trial.windows[::-1])[::-1]
        except Halted as halted:
            trial.notes.add("budget", halted.what, repair=because("fix_budget"))
            return
        found = _first(truth, np.ascontiguousarray(shown))
        trial.notes.cuts += 1
        trial.notes.rows += len(truth)
        if found is not None:
            row, column = found
            full, part = number(truth[row, column]), number(shown[row, column])
            reason = because("fresh_disagrees", window=row, full=full, part=part)
            trial.note("determinism", column, row, reason, "fix_fresh")
        for what, line in link.accesses.get(index, {}):
            told = (because("opens_something"), "") if trial.embedder.private else (what, line)
            trial.notes.add("access", told[0], repair=because("fix_weights"), seen=told[1])


def _first(a: Float32, b: Float32) -> tuple[int, int] | None:
    """Return row and column of the first number whose bits differ."""
    same: Bool = same_bits(a, b)
    if same.all():
        return None
    row, column = np.unravel_index(int(np.argmin(same)), same.shape)
    return int(row), int(column)


def _thinned(windows: Float32, limit: int) -> Float32:
    if len(windows) <= limit:
        return windows
    return windows[np.linspace(0, len(windows) - 1, limit).astype(np.int64)]


__all__ = ["MAX_WINDOWS", "EmbedderSubject", "WindowSubject", "falsify_embedder"]
