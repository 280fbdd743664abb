"""Independent tasks on the cores of one machine, in order, with progress.

The number of workers changes nothing but the time: tasks are pure, their
arguments carry all they need, and answers come back in the order asked for.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from ffm_core.errors import UnavailableError

A = TypeVar("A")
R = TypeVar("R")

_LOOK_SECONDS = 1.0  # how often a worker looks whether its parent still lives


@dataclass(frozen=True, slots=True)
class Executor(Generic[A, R]):
    """Runs one function over many arguments.

    Parameters
    ----------
    jobs : int
        Worker processes; 1 runs in this process.
    """

    jobs: int = 1

    def run(self, function: Callable[[A], R], arguments: Sequence[A]) -> Iterator[R]:
        """Yield ``function(argument)`` in the order of ``arguments``."""
        if self.jobs == 1 or len(arguments) < 2:
            yield from map(function, arguments)
            return
        from concurrent.futures.process import BrokenProcessPool

        from joblib import Parallel, delayed

        workers = Parallel(
            n_jobs=self.jobs,
            return_as="generator",
            max_nbytes=None,  # no files in shared memory that a killed run would leave behind
            initializer=_begin_worker,
            initargs=(os.getpid(),),
        )
        with _interrupts_held_back():
            answers = workers(delayed(function)(argument) for argument in arguments)
        try:
            yield from answers
        except BrokenProcessPool as error:
            raise UnavailableError(
                "a worker process died: memory ran out, or compiled code crashed",
                fix="run it again with --jobs 1; what was finished is kept",
            ) from error


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach.

    A terminal sends it to every process of the command. Workers started here inherit
    the block from their first instruction on, so none prints a traceback of its own;
    this process receives what came meanwhile at the end of the block, and stops them.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its first start would lift the block again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(parent: int) -> None:
    """Set up a worker: what plug-ins print is no result, and it dies with its parent."""
    os.dup2(2, 1)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    """End this process soon after ``parent`` is gone, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
