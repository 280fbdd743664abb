"""Requirements that several checks share."""

from __future__ import annotations

from typing import get_args

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.records import Decisions, ExitPolicy, FeatureSet, Labeler, Memory
from ffm_core.records.answers import checked_inputs
from ffm_core.records.forms import require_unique
from ffm_core.testing.report import CheckFailed

_FIELDS = ("risk", "stop_price", "target_r", "horizon_bars", "group")


def require_sound(record: Labeler | FeatureSet | ExitPolicy) -> None:
    """Require names of their own, units, and a sensible warm-up, memory and history."""
    columns = record.columns
    try:
        require_unique("it", "column", [column.name for column in columns])
        require_unique("it", "parameter", [one.name for one in getattr(record, "params", ())])
        if isinstance(record, Labeler | FeatureSet):
            checked_inputs(record)
    except StrategyError as error:
        raise CheckFailed(error.problem, fix=error.fix) from error
    bare = [column.name for column in columns if not column.unit]
    if bare:
        raise CheckFailed(f"columns without a unit: {', '.join(bare)}", fix="say 'ATR' or 'ratio'")
    for one in (record, *columns):
        memory = getattr(one, "memory", None)
        spans = (one.history_bars, getattr(one, "history_days", None))
        if one.warmup_bars is not None and one.warmup_bars < 0:
            raise CheckFailed(f"{one.name}: warmup_bars must be 0 or more")
        if memory not in (None, *get_args(Memory)):
            raise CheckFailed(f"{one.name}: memory {memory!r} is not finite, recursive or event")
        if any(span is not None and span < 1 for span in spans):
            raise CheckFailed(
                f"{one.name}: its history must be 1 or more, or None for the whole past"
            )


def require_finite(answer: Decisions, warmup: int) -> None:
    """Require finite columns from bar ``warmup`` on."""
    known = answer.bar >= warmup
    for name, values in answer.columns.items():
        bad = known & ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            raise CheckFailed(
                f"column {name!r} is {values[row]} at bar {answer.bar[row]}, after the warm-up",
                fix="declare a longer warm-up, or guard the division that fails",
            )


def require_equal(a: Decisions, b: Decisions, problem: str, *, fix: str = "") -> None:
    """Require two answers to be the same, NaN equal to NaN."""
    for name in ("bar", "side", *_FIELDS):
        if not _equal(getattr(a, name), getattr(b, name)):
            raise CheckFailed(f"{problem}: {name} differs", fix=fix)
    if a.columns.keys() != b.columns.keys():
        raise CheckFailed(f"{problem}: other columns", fix=fix)
    for name, values in a.columns.items():
        if not _equal(values, b.columns[name]):
            raise CheckFailed(f"{problem}: column {name!r} differs", fix=fix)


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
