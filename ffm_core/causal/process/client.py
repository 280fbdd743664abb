"""The parent's end of the wire: start a fresh worker, ask it, stop it.

One worker serves all plug-ins of a stream. It differs from this process in what
must not matter (hash seed, numbers of threads, time zone of the machine) and has
never been given a later bar than the one it is asked about.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any

from ffm_core import errors
from ffm_core.bars.table import Bars
from ffm_core.causal.process.access import Access
from ffm_core.causal.process.budget import Budget, needed_more_than, ran_longer_than
from ffm_core.causal.process.pickling import Opener, loose_modules, ship
from ffm_core.causal.process.received import Chunk, chunk_of
from ffm_core.causal.process.worker import Raised, Setup
from ffm_core.causal.subjects.base import Call
from ffm_core.causal.trial.rows import Rows
from ffm_core.causal.trial.streaming import Stretch
from ffm_core.errors import FFMError, StrategyError, UnavailableError
from ffm_core.processes import Worker, limits_memory, memory_held
from ffm_core.records import Reason, because
from ffm_core.types import Float32

_GRACE_SECONDS = 5.0  # given to a worker that should have noticed by itself
_OPEN_SECONDS = 120.0  # to import the plug-ins
_LOOK_SECONDS = 0.2  # how often its memory is looked at where the system sets no limit
_CHILD = """
import sys
sys.path[:] = {path!r}
from ffm_core.causal.process.worker import main
main({parent})
"""
_THREADS = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
            "FFM_EMBED_THREADS")  # fmt: skip


class Halted(Exception):
    """A plug-in went over its budget.

    Parameters
    ----------
    index : int
        Which subject.
    what : Reason
        What was exceeded.
    line : str
        Where in the plug-in.
    """

    def __init__(self, index: int, what: Reason, line: str) -> None:
        super().__init__(what)
        self.index = index
        self.what = what
        self.line = line


class Link:
    """A worker and what it has been told.

    Parameters
    ----------
    opener : Opener
        Shipped at once, before anything it opens is called here.
    bars : Bars
        The series under test; sent bit by bit.
    seed : int
        Seed of the run.
    budget : Budget
        Limits of each call.
    """

    def __init__(self, opener: Opener, bars: Bars, *, seed: int, budget: Budget) -> None:
        self._bars = bars
        self._seconds = budget.seconds_for(len(bars))
        self._opened = False
        self.known = 0
        self.alive = True
        self.accesses: dict[int, dict[Access, None]] = {}
        self.calls: dict[int, Call] = {}  # who words the errors of a subject
        setup = Setup(
            payload=ship(opener), loose=loose_modules(), instrument=bars.instrument,
            timeframe=bars.timeframe, total=len(bars), budget=budget, seed=seed,
        )  # fmt: skip
        self._room = budget.memory_bytes
        self._pid = self._held = 0
        code = _CHILD.format(path=list(sys.path), parent=os.getpid())
        # Plug-ins print nothing: what they print was printed here once already.
        self._worker = Worker(["-c", code], _surroundings())
        self._worker.send(pickle.dumps(setup, pickle.HIGHEST_PROTOCOL))
        self._news: list[Chunk] = []
        self._send("open")

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker, whatever it is doing."""
        self.alive = False
        self._worker.stop()

    def extend_to(self, stop: int) -> None:
        """Let the worker know the bars before ``stop``, with the next question."""
        if stop > self.known:
            self._news.append(chunk_of(self._bars, self.known, stop))
            self.known = stop

    def rows(self, index: int, start: int, stop: int, lo: int, hi: int) -> Rows:
        """Return a subject's rows ``lo`` to ``hi`` from bars ``start`` to ``stop``."""
        found: Rows = self._ask(index, "rows", index, start, stop, lo, hi)
        return found

    def watched_rows(self, index: int, stop: int, lo: int) -> tuple[str | None, Rows]:
        """Return the column a call on a whole prefix edits, and its rows from ``lo`` on."""
        found: tuple[str | None, Rows] = self._ask(index, "watched_rows", index, stop, lo)
        return found

    def changed(self, index: int, change: Any, until: int | None, lo: int, hi: int) -> Rows:
        """Return rows ``lo`` to ``hi`` of a series whose later bars are changed."""
        found: Rows = self._ask(index, "changed", index, change, until, lo, hi)
        return found

    def twin(self, index: int, cut: int | None) -> tuple[int, Rows]:
        """Return rows of the mirrored series up to ``cut``."""
        found: tuple[int, Rows] = self._ask(index, "twin", index, cut)
        return found

    def elsewhere(self, index: int, weeks: int, names: Collection[str] | None) -> Rows:
        """Return a subject's rows for all bars, moved by whole weeks, in some columns."""
        found: Rows = self._ask(index, "elsewhere", index, weeks, names)
        return found

    def walked(self, index: int, skip: int, extra: int) -> Rows:
        """Return a subject's rows for a simulated walk; see :func:`..cutting.elsewhere.walked`."""
        found: Rows = self._ask(index, "walked", index, skip, extra)
        return found

    def stream(self, index: int) -> Stretch:
        """Return the stream's rows of the bars that are new to it."""
        found: Stretch = self._ask(index, "stream", index)
        return found

    def embed(self, index: int, windows: Float32) -> Float32:
        """Return an embedder's vectors of some windows."""
        found: Float32 = self._ask(index, "embed", index, windows)
        return found

    def carried(self, index: int) -> tuple[Reason, ...]:
        """Return what a plug-in carries beside its code."""
        found: tuple[Reason, ...] = self._ask(index, "carried", index)
        return found

    def lend(self, other: Bars) -> None:
        """Give the worker bars of another instrument."""
        self._ask(None, "lend", other)

    def blame(self, index: int, question: Any) -> Any:
        """Have the worker trace a subject."""
        return self._ask(index, "blame", index, question)

    def _send(self, name: str, *args: Any) -> None:
        news, self._news = self._news, []
        try:
            self._worker.send(pickle.dumps((news, name, args), pickle.HIGHEST_PROTOCOL))
        except EOFError as error:
            raise self._died(None) from error

    def _ask(self, index: int | None, name: str, *args: Any) -> Any:
        if not self._opened:
            self._opened = True
            self._pid, loaded = self._take(index, _OPEN_SECONDS)
            for subject, accesses in enumerate(loaded):
                self.accesses.setdefault(subject, {}).update(dict.fromkeys(accesses))
        if not limits_memory():
            self._held = memory_held(self._pid)
        self._send(name, *args)
        return self._take(index, self._seconds)

    def _take(self, index: int | None, seconds: float) -> Any:
        try:
            reply = pickle.loads(self._heard(index or 0, seconds))
        except EOFError as error:
            raise self._died(index) from error
        if isinstance(reply, Raised):
            problem = _as_raised(reply)
            if index in self.calls:
                self.calls[index](_throw, problem)
            raise problem
        for access in reply.accesses:
            self.accesses.setdefault(index or 0, {})[access] = None
        if reply.over is not None:
            raise Halted(index or 0, *reply.over)
        return reply.value

    def _heard(self, index: int, seconds: float) -> bytes:
        latest = time.monotonic() + seconds + _GRACE_SECONDS
        while True:
            left = max(latest - time.monotonic(), 0.0)
            try:
                return self._worker.receive(left if limits_memory() else min(left, _LOOK_SECONDS))
            except TimeoutError:
                if self._pid and memory_held(self._pid) > self._held + self._room:
                    self.close()
                    raise Halted(index, needed_more_than(self._room), "") from None
                if time.monotonic() >= latest:
                    self.close()
                    raise Halted(index, ran_longer_than(seconds), "") from None

    def _died(self, index: int | None) -> Exception:
        self.alive = False
        code = self._worker.ended()
        if index is None:
            return UnavailableError(
                f"the process that checks the plug-ins ended unexpectedly ({_how(code)})",
                fix="run it again; if that fails too, use less data",
            )
        return Halted(index, because("process_died", how=_how(code)), "")


def _throw(error: Exception) -> None:
    raise error


def _how(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return f"exit {code}"


def _as_raised(raised: Raised) -> Exception:
    """Return an exception of the same kind, text and notes as the one over there."""
    error: Exception
    kind = getattr(errors, raised.kind, None)
    if raised.expected and isinstance(kind, type) and issubclass(kind, FFMError):
        error = kind(raised.problem, fix=raised.fix)
    elif raised.expected:
        error = StrategyError(raised.problem, fix=raised.fix)
    else:
        error = type(raised.kind, (Exception,), {})(raised.problem)
    error.add_note(raised.trace)
    return error


def _surroundings() -> dict[str, str]:
    """Return an environment that differs in everything an answer must not depend on."""
    mine = os.environ
    threads = "1" if (os.cpu_count() or 1) > 1 else "2"
    zone = "Pacific/Apia" if mine.get("TZ") != "Pacific/Apia" else "America/Caracas"
    other = dict.fromkeys(_THREADS, threads)
    hash_seed = "2" if mine.get("PYTHONHASHSEED") == "1" else "1"
    return {**mine, **other, "PYTHONHASHSEED": hash_seed, "TZ": zone}


__all__ = ["Halted", "Link"]
