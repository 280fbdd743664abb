"""A verdict rests on what could be traded: decisions that the data make void hold it back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ffm_core.records import (
    DATA_VOIDS,
    VOIDS,
    CheckResult,
    Reason,
    Verdict,
    because,
)
from ffm_core.types import Int8

TRADABLE = "tradable"  # the check that holds a verdict back where the data are at fault
MOST_VOID = 0.05  # of the test decisions; above it there is no PASS and no FAIL
REFUSED_VOID = 0.20  # above it the data are refused


def data_voids(void: Int8) -> Int8:
    """Return the codes of those decisions that are void for the data's sake.

    Parameters
    ----------
    void : int8 (N,)
        Why decisions are void, indices into ``VOIDS``.
    """
    return void[np.isin(void, [VOIDS.index(name) for name in DATA_VOIDS])]


def untraded(void: Int8) -> Reason | None:
    """Return what could not be traded of the test decisions, None where that is few.

    Parameters
    ----------
    void : int8 (N,)
        Of every decision of the test months, void ones too.
    """
    lost = data_voids(void)
    if len(lost) <= MOST_VOID * len(void):
        return None
    counts = {name: int((lost == VOIDS.index(name)).sum()) for name in DATA_VOIDS}
    found = {f"void_{name}": count for name, count in counts.items() if count}
    return because("untraded", decisions=len(void), share=len(lost) / len(void), **found)


def held_by_data(verdict: Verdict, void: Int8) -> Verdict:
    """Return the verdict that is left when too many test decisions could not be traded.

    Neither a PASS nor a FAIL can rest on the others then: it is INCONCLUSIVE, and that is
    the first thing it says.
    """
    reason = untraded(void)
    if reason is None or verdict.decision == "REFUSED":
        return verdict
    check = CheckResult(
        name=TRADABLE, outcome="inconclusive", value=reason.numbers["share"],
        threshold=MOST_VOID, reason=reason,
    )  # fmt: skip
    kept = verdict.reasons if verdict.decision == "INCONCLUSIVE" else ()
    return replace(
        verdict,
        decision="INCONCLUSIVE",
        reasons=(reason, *kept),
        checks=(*verdict.checks, check),
    )


__all__ = ["MOST_VOID", "REFUSED_VOID", "TRADABLE", "data_voids", "held_by_data", "untraded"]
