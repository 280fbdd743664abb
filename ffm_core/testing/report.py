"""What a contract check found: outcomes with counts, and failures that teach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["passed", "failed", "excused", "skipped"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "excused", "skipped")


class CheckFailed(AssertionError):
    """A strategy broke the contract.

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
class Outcome:
    """The result of one check; ``seconds`` of wall-clock time."""

    check: str
    status: Status
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Every check of one strategy, in order; one that did not run is listed, too."""

    strategy: str
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
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(status)} {status}" for status in STATUSES)
        lines = [f"{self.strategy}: {counts}"]
        for outcome in self.outcomes:
            if outcome.status != "passed":
                reason = outcome.reason.replace("\n", "\n    ")
                lines.append(f"  {outcome.status} {outcome.check}: {reason}")
        return "\n".join(lines)
