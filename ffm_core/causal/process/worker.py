"""The worker: a fresh interpreter that learns a series bar by bar and answers from it.

It starts with nothing, is handed bars in ascending order, and calls the plug-ins
under test on what it has. Everything it does is asked for by :mod:`.client`; this
module is the other end of that wire.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.causal.cutting.elsewhere import moved, walked
from ffm_core.causal.cutting.series import edited, fingerprint, mirrored, part
from ffm_core.causal.process.access import Access, Watch, is_own
from ffm_core.causal.process.budget import Budget, OverBudget, limited
from ffm_core.causal.process.carried import carried, unnamed
from ffm_core.causal.process.clock import shift_clock, shift_dates
from ffm_core.causal.process.pickling import LooseFinder
from ffm_core.causal.process.received import Chunk, Held
from ffm_core.causal.subjects.base import FeatureSubject, Subject
from ffm_core.causal.trial.rows import Rows
from ffm_core.causal.trial.streaming import Proof, Stretch
from ffm_core.errors import FFMError
from ffm_core.keyed import keyed
from ffm_core.paths import one_spelling
from ffm_core.processes import end_with, messages, read_message, write_message
from ffm_core.records import Reason, because
from ffm_core.types import Float32

_SWITCH_SECONDS = 1e-5  # threads take turns this often, so that races show


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is told before it sees a bar."""

    payload: bytes  # pickled opener
    loose: Mapping[str, str]  # modules to import by file
    instrument: Instrument
    timeframe: Timeframe
    total: int  # bars the series will have in the end; sets the time a call may take
    budget: Budget
    seed: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with what plug-ins opened on the way.

    ``over`` says what was exceeded, and where, when a call went over its budget.
    """

    value: Any
    accesses: tuple[Access, ...] = ()
    over: tuple[Reason, str] | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of plug-in code, in a form that any process can read."""

    kind: str
    problem: str
    fix: str
    expected: bool  # a child of FFMError
    trace: str


class Desk:
    """Everything the parent may ask for; one public method per request."""

    def __init__(self, setup: Setup, watch: Watch) -> None:
        self._setup = setup
        self._watch = watch
        self._held = Held(setup.instrument, setup.timeframe)
        self._subjects: list[Subject] = []
        self._roots: list[tuple[str, ...]] = []
        self._proofs: dict[int, Proof] = {}
        self._twin: Bars | None = None
        self._other: Bars | None = None
        self._seconds = setup.budget.seconds_for(setup.total)
        self._in_all = setup.budget.all_seconds_for(setup.total)
        self._spent: dict[int, float] = {}

    def open(self) -> tuple[int, list[tuple[Access, ...]]]:
        """Open the plug-ins; return the id of this process, and what each opened meanwhile."""
        sys.meta_path.append(LooseFinder(self._setup.loose))
        with self._watch.loading():
            opener = pickle.loads(self._setup.payload)
            self._subjects = list(opener())
        self._roots = [subject.roots() for subject in self._subjects]
        for roots in self._roots:
            shift_dates(roots)
        return os.getpid(), self._watch.loaded(self._roots)

    def carried(self, index: int) -> tuple[Reason, ...]:
        """Return what a plug-in carries: tables that its functions reach, and files they read."""
        subject, roots = self._subjects[index], self._roots[index]
        if not roots:
            return ()
        found = carried([subject.function], lambda file: is_own(one_spelling(file), roots))
        read = (because("carries_file", file=name) for name in self._watch.own_files(roots))
        every = dict.fromkeys((*found, *read))
        return unnamed(every) if subject.private else tuple(every)

    def extend(self, chunk: Chunk) -> None:
        """Learn the bars that follow."""
        self._held.extend(chunk)

    def rows(self, index: int, start: int, stop: int, lo: int, hi: int) -> Rows:
        """Answer for bars ``lo`` to ``hi`` from a series of bars ``start`` to ``stop``."""
        answer = self._run(index, self._held.window(start, stop))
        return self._subjects[index].rows(answer, lo, hi, start)

    def watched_rows(self, index: int, stop: int, lo: int) -> tuple[str | None, Rows]:
        """Answer for a whole prefix, and name the column that the call edited."""
        given = self._held.window(0, stop)
        before = fingerprint(given)
        answer = self._run(index, given)
        return edited(given, before), self._subjects[index].rows(answer, lo, stop)

    def changed(self, index: int, change: Any, until: int | None, lo: int, hi: int) -> Rows:
        """Answer for a series whose later bars are changed."""
        subject = self._subjects[index]
        bars = change.apply(self._held.bars, subject.name, self._setup.seed, until, self._other)
        return subject.rows(self._run(index, bars), lo, hi, change.start)

    def lend(self, other: Bars) -> None:
        """Take bars of another instrument, whose future may be spliced in."""
        self._other = other

    def twin(self, index: int, cut: int | None) -> tuple[int, Rows]:
        """Answer for the mirrored series up to ``cut``; return the first bar, too."""
        if self._twin is None:
            self._twin = mirrored(self._held.bars)
        subject = self._subjects[index]
        stop = len(self._twin) if cut is None else cut
        answer = self._run(index, part(self._twin, 0, stop))
        lo = subject.reach(answer, stop) if cut is not None else 0
        return lo, subject.rows(answer, lo, stop).copy()

    def elsewhere(self, index: int, weeks: int, names: Collection[str] | None) -> Rows:
        """Answer for all bars, moved by whole weeks, in some columns."""
        bars = moved(self._held.bars, weeks)
        return self._subjects[index].rows(self._run(index, bars), 0, len(bars)).only(names)

    def walked(self, index: int, skip: int, extra: int) -> Rows:
        """Answer for a simulated walk that begins ``skip`` bars later; see :func:`.walked`."""
        rng = keyed(self._setup.seed, "walk", self._subjects[index].name)
        bars = walked(self._held.bars, skip, extra, rng)
        return self._subjects[index].rows(self._run(index, bars), 0, len(bars))

    def stream(self, index: int) -> Stretch:
        """Feed a stream the bars that arrived since the last time."""
        subject = self._subjects[index]
        proof = self._proofs.get(index)
        if proof is None:
            setup = self._setup
            with self._guarded(index):
                made = subject.stream(setup.instrument, setup.timeframe)
            record = cast("FeatureSubject", subject).record
            proof = Proof(record, made, setup.seed, subject.name, setup.total)
            self._proofs[index] = proof
        bars = self._held.window(proof.fed, self._held.known)
        with self._guarded(index):
            return proof.feed(
                bars, lambda: subject.stream(self._setup.instrument, self._setup.timeframe)
            )

    def embed(self, index: int, windows: Float32) -> Float32:
        """Answer for some windows; see :mod:`..subjects.embedders`."""
        subject: Any = self._subjects[index]
        with self._guarded(index):
            found: Float32 = subject.embed(windows)
        return found

    def blame(self, index: int, question: Any) -> Any:
        """Look for the line of a subject that is at fault; see :mod:`..blame.locate`."""
        return question.answer(
            self._subjects[index], self._held.bars, self._setup.seed, self._other
        )

    def _run(self, index: int, bars: Bars) -> Any:
        with self._guarded(index):
            return self._subjects[index].run(bars)

    @contextmanager
    def _guarded(self, index: int) -> Iterator[None]:
        spent = self._spent.get(index, 0.0)
        if spent > self._in_all:
            raise OverBudget(because("calls_ran_longer", seconds=self._in_all))
        began = time.perf_counter()
        try:
            with _Guard(self._watch, self._roots[index], self._seconds, self._setup.budget):
                yield
        finally:
            self._spent[index] = spent + time.perf_counter() - began


class _Guard:
    """Watch and budget around one call."""

    def __init__(
        self, watch: Watch, roots: tuple[str, ...], seconds: float, budget: Budget
    ) -> None:
        self._limits = limited(seconds, budget.memory_bytes, watch.line)
        self._watching = watch.of(roots)

    def __enter__(self) -> None:
        self._watching.__enter__()
        self._limits.__enter__()

    def __exit__(self, *error: Any) -> None:
        try:
            self._limits.__exit__(*error)
        finally:
            self._watching.__exit__(None, None, None)


def main(parent: int) -> None:
    """Serve requests that come on standard input until it closes."""
    end_with(parent)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.seterr(all="warn")
    shift_clock()
    sys.setswitchinterval(_SWITCH_SECONDS)
    watch = Watch(allowed=(os.environ.get("NUMBA_CACHE_DIR", ""),))
    with messages() as (source, sink), suppress(EOFError, OSError):
        setup: Setup = pickle.loads(read_message(source))
        desk = Desk(setup, watch)
        watch.start()
        while True:
            news, name, args = pickle.loads(read_message(source))
            for chunk in news:
                desk.extend(chunk)
            reply = _serve(getattr(desk, name), args, watch)
            write_message(sink, pickle.dumps(reply, pickle.HIGHEST_PROTOCOL))
    os._exit(0)  # threads of plug-ins must not keep it


def _serve(method: Callable[..., Any], args: tuple[Any, ...], watch: Watch) -> object:
    try:
        value = method(*args)
    except OverBudget as over:
        return Reply(None, watch.take(), (over.what, over.line))
    except (Exception, SystemExit) as error:
        return _raised(error)
    return Reply(value, watch.take())


def _raised(error: BaseException) -> Raised:
    expected = isinstance(error, FFMError)
    return Raised(
        kind=type(error).__name__,
        problem=error.problem if isinstance(error, FFMError) else str(error),
        fix=error.fix if isinstance(error, FFMError) else "",
        expected=expected,
        trace="".join(traceback.format_exception(error)),
    )
