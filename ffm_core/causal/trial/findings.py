"""Failures of one subject, collected until they become a certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame
from ffm_core.errors import FFMError, StrategyError
from ffm_core.records import Certificate, Examined, Failure, Reason
from ffm_core.records.proofs import of_line
from ffm_core.types import Bool
from ffm_core.wording import stamp_of

Call: TypeAlias = Callable[..., Any]
# What to read first: later findings may follow from earlier ones.
_RANK = ("purity", "budget", "access", "determinism", "rows", "rowwise", "horizon", "bytes",
         "values")  # fmt: skip


class Notes:
    """What was done to a subject and the first failure of every check and column.

    Parameters
    ----------
    subject : Examined
        What is under test.
    """

    def __init__(self, subject: Examined) -> None:
        self.subject = subject
        self.cuts = 0
        self.rows = 0
        self._failures: dict[tuple[str, str], Failure] = {}
        self._lines: dict[str, Blame | None] = {}

    def add(
        self,
        check: str,
        reason: Reason,
        *,
        column: str = "",
        bar: int = -1,
        stamp: str = "",
        first_future_bar: int | None = None,
        repair: Reason | None = None,
        line: Callable[[], Blame | None] | None = None,
        seen: str = "",
    ) -> None:
        """Keep a failure unless its check and column have one of an earlier bar.

        ``line`` finds the line of the plug-in; it is asked once per check. Where the
        line was seen already, ``seen`` is it.
        """
        known = self._failures.get((check, column))
        if known is not None and known.bar <= bar:
            return
        if line is not None and check not in self._lines:
            self._lines[check] = line()
        guilty = self._lines.get(check)
        self._failures[check, column] = Failure(
            subject=self.subject,
            check=check,
            column=column,
            bar=bar,
            stamp=stamp,
            first_future_bar=first_future_bar,
            reason=reason,
            repair=of_line(repair, "" if guilty is None else guilty.why),
            line=seen if guilty is None else str(guilty),
        )

    def found(self, *checks: str) -> bool:
        """Whether one of these checks (any, when none is named) has failed."""
        return any(not checks or check in checks for check, _ in self._failures)

    def keep(self, checks: Iterable[str]) -> None:
        """Drop the failures of all other checks."""
        chosen = set(checks)
        self._failures = {k: v for k, v in self._failures.items() if k[0] in chosen}

    def certificate(self, detection_bound: float, *, proven_bars: int = 0) -> Certificate:
        """Return what was done and found."""
        found = self._failures.values()
        failures = tuple(sorted(found, key=lambda failure: _RANK.index(failure.check)))
        return Certificate(
            status="broken" if failures else "clean",
            subjects=(self.subject,),
            cuts=self.cuts,
            rows_compared=self.rows,
            detection_bound=detection_bound,
            failures=failures,
            proven_bars=proven_bars,
        )


def caller(what: str, call: Call | None, fix: str) -> Call:
    """Return how plug-in code is called; what it raises becomes a :class:`StrategyError`."""
    if call is not None:
        return call

    def direct(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except FFMError:
            raise
        except Exception as error:
            raise StrategyError(
                f"{what} raised {type(error).__name__}: {error}", fix=fix
            ) from error

    return direct


def stamp_at(bars: Bars, bar: int) -> str:
    """Return the open of a bar, or nothing when there is no such bar."""
    return stamp_of(int(bars.ts_us[bar])) if 0 <= bar < len(bars) else ""


def later_bar(bars: Bars, bar: int | None) -> dict[str, float | str]:
    """Return what a reason says of the first later bar that matters, if there is one."""
    return {} if bar is None else {"later": bar, "later_stamp": stamp_at(bars, bar)}


def unlike(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Bool:
    """Return where two arrays of one shape differ; NaN equals NaN."""
    same = a == b
    if a.dtype.kind == "f":
        same |= np.isnan(a) & np.isnan(b)
    return np.asarray(~same)


def first_later(moved: Callable[[int], bool], cut: int, total: int) -> int | None:
    """Return the first bar from ``cut`` on whose arrival makes ``moved(bar + 1)`` true.

    Steps double until something has moved, then the last step is halved, so a
    leak of a few bars is found in a few calls, and short ones. None when the
    whole series moves nothing.
    """
    low, step = cut, 1
    while (high := min(low + step, total)) < total and not moved(high):
        low, step = high, step * 2
    if not moved(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if moved(middle):
            high = middle
        else:
            low = middle
    return high - 1


__all__ = ["Call", "Notes", "caller", "first_later", "later_bar", "stamp_at", "unlike"]
