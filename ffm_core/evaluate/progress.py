"""What the evaluation tells whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ffm_core.shown import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars

    from ffm_core.records import Reason


_MANY_STEPS = 1_000  # of a stage whose rate says something; fewer are no like steps


class Stage(Protocol):
    """One stage under way."""

    def advance(self, steps: int = 1) -> None:
        """Note that ``steps`` more are done."""
        ...


class Progress(Protocol):
    """Hears about stages and plain notes."""

    def stage(self, name: str, total: int) -> Stage:
        """Open a stage of ``total`` steps."""
        ...

    def note(self, reason: Reason) -> None:
        """Warn of something the user should know."""
        ...


class _SilentStage:
    def advance(self, steps: int = 1) -> None:
        """Do nothing."""


class Silent:
    """Says nothing; for tests and for ``--quiet``."""

    def stage(self, name: str, total: int) -> Stage:
        """Open a stage nobody watches."""
        return _SilentStage()

    def note(self, reason: Reason) -> None:
        """Do nothing."""


class _RichStage:
    def __init__(self, bars: RichBars, name: str, total: int) -> None:
        self._bars = bars
        self._task = bars.add_task(one_line(name), total=total)

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)


class Live:
    """Progress bars with rate and remaining time on standard error."""

    def __init__(self, bars: RichBars, words: Callable[[Reason], str]) -> None:
        self._bars = bars
        self._words = words

    def stage(self, name: str, total: int) -> Stage:
        """Open a bar."""
        return _RichStage(self._bars, name, total)

    def note(self, reason: Reason) -> None:
        """Print a warning above the bars."""
        text = one_line(f"warning: {self._words(reason)}")
        self._bars.console.print(text, highlight=False, markup=False)


@contextmanager
def live(words: Callable[[Reason], str]) -> Iterator[Progress]:
    """Show progress bars on standard error while the block runs.

    Parameters
    ----------
    words : callable
        Makes a sentence of what is noted.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        """Steps a second, where there are many."""

        def render(self, task: Task) -> str:
            many = (task.total or 0.0) >= _MANY_STEPS
            return f"{task.finished_speed or task.speed or 0.0:,.0f}/s" if many else ""

    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as bars:
        yield Live(bars, words)
