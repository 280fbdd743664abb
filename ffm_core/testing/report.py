"""What a contract check found: outcomes with counts, and failures that teach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from ffm_core.errors import ConfigError

Status: TypeAlias = Literal["passed", "failed", "excused", "skipped"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "excused", "skipped")


class CheckFailed(AssertionError):
    """A plug-in broke the contract.

    Parameters
    ----------
    problem : str
        The rule and the place.
    fix : str
        The likely repair.
    """

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(f"{problem}\n  fix: {fix}" if fix else problem)
        self.problem = problem
        self.fix = fix


class CheckSkipped(Exception):
    """A check does not apply; the message says why."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a check may fail, and for how long.

    Parameters
    ----------
    reason : str
        What a reader of the report should know.
    until : str, optional
        Last day it holds, ``YYYY-MM-DD``; None: as long as the check fails.
    """

    reason: str
    until: str | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ConfigError("an excuse needs a reason", fix="say why the check may fail")
        try:
            if self.until is not None:
                date.fromisoformat(self.until)
        except ValueError as error:
            raise ConfigError(
                f"an excuse holds until {self.until!r}, which is not a date",
                fix="write until='2026-12-31'",
            ) from error

    def is_over(self, today: date) -> bool:
        """Whether the last day has passed."""
        return self.until is not None and today > date.fromisoformat(self.until)


Excuses: TypeAlias = Mapping[str, str | Excuse]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check; ``seconds`` of wall-clock time."""

    check: str
    status: Status
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Every check of one plug-in, in order; one that did not run is listed, too.

    Parameters
    ----------
    name : str
        Of the labeler or feature set.
    outcomes : tuple of Outcome
        One per check.
    """

    name: str
    outcomes: tuple[Outcome, ...]

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def count(self, status: Status) -> int:
        """Return how many checks ended as ``passed``, ``failed``, ``excused`` or ``skipped``."""
        if status not in STATUSES:
            raise ValueError(f"{status!r} is not one of {', '.join(STATUSES)}")
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The checks that failed without an excuse."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def seconds(self) -> float:
        """Wall-clock time of all checks together."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(status)} {status}" for status in STATUSES)
        lines = [f"{self.name}: {counts}"]
        for outcome in self.outcomes:
            if outcome.status != "passed":
                reason = outcome.reason.replace("\n", "\n    ")
                lines.append(f"  {outcome.status} {outcome.check}: {reason}")
        return "\n".join(lines)
