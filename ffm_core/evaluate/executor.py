"""Independent tasks on the cores of one machine, in order, with progress.

The number of workers changes nothing but the time: tasks are pure, their
arguments carry all they need, and answers come back in the order asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


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
        from joblib import Parallel, delayed

        workers = Parallel(n_jobs=self.jobs, return_as="generator")
        yield from workers(delayed(function)(argument) for argument in arguments)
