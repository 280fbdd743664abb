"""Check a finished fold plan: no label of an earlier part may reach a later one.

The splitter purges by the latest end an outcome could have; this looks at what
the labels came to be, row by row, and shares no code with the splitter. A label
that reaches the next part lets a model be trained on what it is tested on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ffm_core.records import Certificate, Examined, Failure, Reason, because
from ffm_core.ruler.folds import DecisionTable, Fold, FoldPlan
from ffm_core.types import Int64
from ffm_core.wording import stamp_of


def check_purged(table: DecisionTable, plan: FoldPlan, t_end: Int64) -> Certificate:
    """Look for labels that reach a later part of their fold.

    Parameters
    ----------
    table : DecisionTable
        ``N`` pooled decisions.
    plan : FoldPlan
        The folds that will be used.
    t_end : int64 (N,)
        Microseconds UTC at which each label was known.

    Returns
    -------
    Certificate
        Every row of every fold is looked at, so the detection bound is 0.
        Failures of ``horizon`` name the first row of each part that reaches on,
        of ``rows`` a row that stands in two parts, or is tested twice.
    """
    failures = [failure for fold in plan.folds for failure in _of_fold(table, fold, t_end)]
    failures += _tested_twice(table, plan)
    rows = sum(len(f.train) + len(f.validation) + len(f.test) for f in plan.folds)
    return Certificate(
        status="broken" if failures else "clean",
        subjects=(Examined("fold", ""),),
        cuts=0,
        rows_compared=rows,
        detection_bound=0.0,
        failures=tuple(failures),
    )


def _of_fold(table: DecisionTable, fold: Fold, t_end: Int64) -> Iterator[Failure]:
    parts = {"train": fold.train, "validation": fold.validation, "test": fold.test}
    names = list(parts)
    for i, name in enumerate(names):
        for later in names[i + 1 :]:
            both = np.intersect1d(parts[name], parts[later])
            if len(both):
                reason = _said(table, int(both[0]), "row_in_two_parts", part=name, next_part=later)
                yield _failure(table, fold, int(both[0]), "rows", name, reason)
            if len(parts[name]) and len(parts[later]):
                yield from _reaching(table, fold, t_end, name, parts[name], later, parts[later])


def _reaching(
    table: DecisionTable,
    fold: Fold,
    t_end: Int64,
    name: str,
    rows: Int64,
    later: str,
    later_rows: Int64,
) -> Iterator[Failure]:
    begins = int(table.t_decision[later_rows].min())
    # A label is judged by both its ends: the one it had, and the latest it could have had.
    for ends, kind in ((t_end, "label_known_late"), (table.t_end_max, "label_open_late")):
        over = rows[ends[rows] >= begins]
        if len(over):
            row = int(over[np.argmin(table.t_decision[over])])
            stamp = stamp_of(int(ends[row]))
            reason = _said(
                table, row, kind, end=stamp, begins=stamp_of(begins), part=name, next_part=later,
                over=len(over), rows=len(rows),
            )  # fmt: skip
            yield _failure(table, fold, row, "horizon", name, reason, stamp)
            return


def _tested_twice(table: DecisionTable, plan: FoldPlan) -> list[Failure]:
    seen: dict[int, int] = {}
    for fold in plan.folds:
        again = next((int(row) for row in fold.test if int(row) in seen), None)
        if again is not None:
            reason = _said(table, again, "row_tested_twice", fold=seen[again], again=fold.index)
            return [_failure(table, fold, again, "rows", "test", reason)]
        seen.update(dict.fromkeys((int(row) for row in fold.test), fold.index))
    return []


def _said(table: DecisionTable, row: int, kind: str, **values: float | str) -> Reason:
    decided, stream = stamp_of(int(table.t_decision[row])), table.streams[int(table.stream[row])]
    return because(kind, decision=decided, stream=stream, **values)


def _failure(
    table: DecisionTable,
    fold: Fold,
    row: int,
    check: str,
    column: str,
    reason: Reason,
    stamp: str = "",
) -> Failure:
    return Failure(
        subject=Examined("fold", str(fold.index)),
        check=check,
        column=column,
        bar=int(table.bar[row]),
        stamp=stamp or stamp_of(int(table.t_decision[row])),
        first_future_bar=None,
        reason=reason,
        repair=because("fix_folds"),
    )


__all__ = ["check_purged"]
