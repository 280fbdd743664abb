"""What a single call of plug-in code may cost: wall-clock time and memory."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ffm_core.errors import StrategyError
from ffm_core.processes import alarm, memory_limit
from ffm_core.records import Reason, because
from ffm_core.records.proofs import told

Placed = Callable[[list[traceback.FrameSummary]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one call of plug-in code.

    Parameters
    ----------
    seconds : float
        Wall-clock time of any call. The first call of a compiled set compiles it,
        which takes a minute on a busy machine; the default leaves room for that.
    seconds_per_bar : float
        Added for every bar of the series under test.
    seconds_in_all : float
        Of all calls that prove one plug-in on one stream; ``seconds_per_bar`` times a
        hundred is added for every bar.
    memory_bytes : int
        What a call may take on top of what its process holds already. Where the
        system cannot hold a process to it, the worker of the falsifier is stopped by
        the process that asked it.
    """

    seconds: float = 180.0
    seconds_per_bar: float = 1e-3
    seconds_in_all: float = 900.0
    memory_bytes: int = 4 * 2**30

    def seconds_for(self, bars: int) -> float:
        """Return the time a call may take when the series has ``bars`` bars."""
        return self.seconds + self.seconds_per_bar * bars

    def all_seconds_for(self, bars: int) -> float:
        """Return the time all calls together may take when the series has ``bars`` bars."""
        return self.seconds_in_all + 100.0 * self.seconds_per_bar * bars


class OverBudget(BaseException):
    """A call took too long or too much memory; 'except Exception' lets it pass.

    Parameters
    ----------
    what : Reason
        What was exceeded.
    line : str
        Where in the plug-in, when known.
    """

    def __init__(self, what: Reason, line: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.line = line

    def __str__(self) -> str:
        return told(self.what)


@contextmanager
def limited(seconds: float, memory_bytes: int, placed: Placed | None = None) -> Iterator[None]:
    """Hold the code inside to its budget.

    Parameters
    ----------
    seconds : float
        Python code that takes longer is interrupted. Only the main thread can be
        interrupted; a compiled loop ends first.
    memory_bytes : int
        On top of what is held already.
    placed : callable, optional
        Finds the plug-in's own line in a stack.

    Raises
    ------
    OverBudget
        When either limit is exceeded.
    """

    def ring(_: int, frame: FrameType | None) -> None:
        stack = traceback.extract_stack(frame)
        raise OverBudget(ran_longer_than(seconds), placed(stack) if placed else "")

    try:
        with alarm(seconds, ring), memory_limit(memory_bytes):
            yield
    except Exception as error:
        if not _ran_out(error):
            raise
        stack = list(traceback.extract_tb(error.__traceback__))
        cause = error
        while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
            cause = cause.__cause__
            stack += traceback.extract_tb(cause.__traceback__)
        where = placed(stack) if placed else ""
        raise OverBudget(needed_more_than(memory_bytes), where) from error


def ran_longer_than(seconds: float) -> Reason:
    """Return what is said of a call that took longer."""
    return because("ran_longer", seconds=seconds)


def needed_more_than(memory_bytes: int) -> Reason:
    """Return what is said of a call that took more memory."""
    return because("needed_memory", gib=memory_bytes / 2**30)


def over_budget(name: str, over: OverBudget) -> StrategyError:
    """Return what is said where a call outside the falsifier exceeds its budget."""
    return StrategyError(
        f"{name}: {told(over.what)}" + (f" ({over.line})" if over.line else ""),
        fix=told(because("fix_budget")),
    )


def _ran_out(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False
