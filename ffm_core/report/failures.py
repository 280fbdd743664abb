"""A failure of a certificate, as a record holds it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffm_core.report.reasons import sentence, subject

# What a decision consists of; every other column of a labeler is one that it declares.
_FIELDS = {"bar", "side", "risk", "stop_price", "target_r", "horizon_bars", "group", "decision"}


def words_of(failure: Mapping[str, Any]) -> dict[str, str]:
    """Return the words of a failure's reason and repair, for whoever shows them elsewhere."""
    return {"reason": seen(failure), "repair": repair_of(failure)}


def seen(failure: Mapping[str, Any]) -> str:
    """Return what was seen of a failure; older records say it in words, as ``message``."""
    return sentence(failure.get("reason") or failure.get("message"))


def repair_of(failure: Mapping[str, Any]) -> str:
    """Return how a failure is mended, where known; older records say it in words, as ``fix``."""
    return sentence(failure.get("repair") or failure.get("fix"))


def column_of(failure: Mapping[str, Any]) -> str:
    """Return the column of a failure; one that a labeler declares as ``labeler/<column>``."""
    column, tested = str(failure.get("column") or ""), failure.get("subject")
    declared = isinstance(tested, Mapping) and tested.get("kind") == "labeler"
    return f"labeler/{column}" if declared and column and column not in _FIELDS else column


def place(failure: Mapping[str, Any]) -> str:
    """Return what failed, by which detector, and in which column, at which bar and time."""
    parts = [f"{subject(failure.get('subject'))} ({failure.get('check')})"]
    if failure.get("column"):
        parts.append(f"column {failure['column']}")
    bar, stamp = failure.get("bar"), failure.get("stamp")
    if failure.get("column") and bar is not None and bar >= 0 and stamp:
        parts.append(f"bar {bar} ({stamp})")
    return ", ".join(parts)


def finding(failure: Mapping[str, Any]) -> list[str]:
    """Return what was found, the line that is at fault, and a suggested fix, where known."""
    line, repair = failure.get("line"), repair_of(failure)
    return [
        seen(failure),
        *([f"line: {line}"] if line else []),
        *([f"fix: {repair}"] if repair else []),
    ]


__all__ = ["column_of", "finding", "place", "repair_of", "seen", "words_of"]
