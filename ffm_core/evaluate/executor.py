"""Independent tasks on the cores of one machine, in order, with progress.

The number of workers changes nothing but the time: tasks are pure, their
arguments carry all they need, and answers come back in the order asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ffm_core.errors import UnavailableError
from ffm_core.processes import begin_worker, interrupts_held_back

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Executor:
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
            initializer=begin_worker,
            initargs=(os.getpid(),),
        )
        with interrupts_held_back():
            answers = workers(delayed(function)(argument) for argument in arguments)
        try:
            yield from answers
        except BrokenProcessPool as error:
            raise UnavailableError(
                "a worker process died: memory ran out, or compiled code crashed",
                fix="run it again with --jobs 1; what was finished is kept",
            ) from error
