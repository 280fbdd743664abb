"""Requirements that several checks share."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions
from ffm_core.testing.report import CheckFailed

_FIELDS = ("risk", "stop_price", "target_r", "horizon_bars", "group")


def require_in_range(answer: Decisions, rows: int) -> None:
    """Require every decision to lie on one of ``rows`` bars."""
    outside = (answer.bar < 0) | (answer.bar >= rows)
    if outside.any():
        raise CheckFailed(
            f"a decision at bar {answer.bar[outside][0]} of {rows} bars",
            fix="'bar' is the index of the last bar known, from 0 to len(bars) - 1",
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


def require_risk(answer: Decisions, bars: Bars) -> None:
    """Require a positive risk, or a stop price on the losing side of the close."""
    if len(answer) == 0:
        return
    if answer.risk is not None:
        bad = ~(np.isfinite(answer.risk) & (answer.risk > 0))
        what = "risk"
        values = answer.risk
    else:
        values = np.asarray(answer.stop_price)
        distance = answer.side * (bars.close[answer.bar] - values)
        bad, what = ~(np.isfinite(values) & (distance > 0)), "stop_price"
    if bad.any():
        row = int(np.argmax(bad))
        raise CheckFailed(
            f"{what} is {values[row]} at bar {answer.bar[row]}, side {answer.side[row]}",
            fix="make no decision where the stop would not lie on the losing side",
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
