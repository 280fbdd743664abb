"""The plausibility audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ffm_core.bars.table import Bars

Level: TypeAlias = Literal["info", "warn", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the audit noticed."""

    level: Level
    code: str
    message: str
    count: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit found; ``level`` is the worst of its findings."""

    level: Level
    findings: tuple[Finding, ...] = ()

    @property
    def refusal(self) -> str:
        """The reasons for a refusal, in words."""
        return "; ".join(f.message for f in self.findings if f.level == "refuse")


def audit(bars: Bars) -> Audit:
    """Judge how plausible bars are."""
    return Audit(level="info")
