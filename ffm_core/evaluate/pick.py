"""From fitted folds to picks: what each selector answers, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.evaluate.fit import FoldViews
from ffm_core.evaluate.selector import Selector, mean_plan, take
from ffm_core.records import View
from ffm_core.records.tables import ArrayTable
from ffm_core.ruler.folds import FoldPlan
from ffm_core.ruler.operating import operating_point
from ffm_core.types import Bool, Float64, Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks(ArrayTable):
    """Rows of one part (test, or validation) over all folds, in fold order; arrays (n,).

    ``row`` indexes the pool; a validation row may occur once per fold. Score,
    probability and prediction are NaN without a learner. ``one_seed`` is what the first
    seed alone would pick; ``taken`` are the picks that are really held.
    """

    row: Int64
    fold: Int64
    score: Float64
    probability: Float64
    predicted_r: Float64
    picked: Bool
    one_seed: Bool
    taken: Bool

    def __len__(self) -> int:
        return len(self.row)


def pick(
    plan: FoldPlan, views: Sequence[FoldViews], selectors: Sequence[Selector]
) -> tuple[Picks, Picks]:
    """Ask each fold's selector about its test and validation rows.

    Returns
    -------
    test, validation : Picks
        Without a selector every test row is picked, and no validation row.
    """
    if not selectors:
        every = _everything(plan)
        return every, every.take(np.empty(0, dtype=np.int64))
    test: list[Picks] = []
    validation: list[Picks] = []
    for fold, shown, selector in zip(plan.folds, views, selectors, strict=True):
        known, asked = shown.validation.blind(), shown.test
        known_plans, plans = selector.plans(known), selector.plans(asked)
        share = selector.point.share
        alone = operating_point(known_plans[0].score, known.stream, share=share)
        for part, rows, view, found in (
            (test, fold.test, asked, plans),
            (validation, fold.validation, known, known_plans),
        ):
            mean = mean_plan(found)
            picked = take(selector.point, view, mean.score)
            part.append(
                Picks(
                    row=rows,
                    fold=np.full(len(rows), fold.index),
                    score=mean.score,
                    probability=_filled(mean.probability, view),
                    predicted_r=_filled(mean.predicted_r, view),
                    picked=picked,
                    one_seed=take(alone, view, found[0].score),
                    taken=picked,
                )
            )
    return Picks.concat(test), Picks.concat(validation)


def _filled(values: Float64 | None, view: View) -> Float64:
    return np.full(len(view), np.nan) if values is None else values


def _everything(plan: FoldPlan) -> Picks:
    row = np.concatenate([fold.test for fold in plan.folds])
    nothing, yes = np.full(len(row), np.nan), np.ones(len(row), dtype=np.bool_)
    return Picks(
        row=row,
        fold=np.concatenate([np.full(len(fold.test), fold.index) for fold in plan.folds]),
        score=nothing, probability=nothing, predicted_r=nothing,
        picked=yes, one_seed=yes, taken=yes,
    )  # fmt: skip


__all__ = ["Picks", "pick"]
