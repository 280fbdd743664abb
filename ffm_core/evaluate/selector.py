"""A fitted fold as one thing: the models of all seeds, and the operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.container import numbers, pack, spelled, unpack
from ffm_core.errors import ModelError
from ffm_core.records import Learner, Model, Plan, View, answers
from ffm_core.ruler.operating import OperatingPoint, operating_point
from ffm_core.types import Bool, Float64, Int64

SCHEMA = "ffm-selector/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What picks decisions: models whose answers are averaged, and thresholds.

    Parameters
    ----------
    models : tuple of Model
        One per seed; the first alone predicts targets.
    point : OperatingPoint
        Fixed on validation.
    columns : tuple of str
        Names of the design columns the models were fitted on, in order.
    learner : str
        What fitted them.
    """

    models: tuple[Model, ...]
    point: OperatingPoint
    columns: tuple[str, ...]
    learner: str

    @classmethod
    def fitted(
        cls, models: Sequence[Model], validation: View, *, share: float, learner: str
    ) -> Selector:
        """Fix the operating point of fitted models on validation rows."""
        blind = validation.blind()
        score = mean_plan([_asked(model, blind, learner) for model in models]).score
        return cls(
            models=tuple(models),
            point=operating_point(score, validation.stream, share=share),
            columns=validation.design.names,
            learner=learner,
        )

    @classmethod
    def of(cls, data: bytes, learner: Learner) -> Selector:
        """Read back what :meth:`to_bytes` gave.

        Raises
        ------
        ModelError
            When the bytes were changed, hold something else, or were fitted by another
            learner.
        """
        value, blocks = unpack(data, SCHEMA)
        if value["learner"] != learner.name:
            raise ModelError(
                f"a stored selector was fitted by {value['learner']!r}, not by {learner.name!r}",
                fix="name the learner it was fitted by",
            )
        stream, threshold = value["streams"], numbers(value["thresholds"]).tolist()
        point = OperatingPoint(
            share=value["share"],
            thresholds=dict(zip(stream, threshold, strict=True)),
            pooled=float(value["pooled"]),
        )
        models = tuple(answers.as_model(learner, "load", learner.load(b)) for b in blocks.values())
        columns = tuple(value["columns"])
        return cls(models=models, point=point, columns=columns, learner=learner.name)

    def to_bytes(self) -> bytes:
        """Return models, columns and operating point without code."""
        value = {
            "learner": self.learner,
            "columns": list(self.columns),
            "share": self.point.share,
            "streams": list(self.point.thresholds),
            "thresholds": spelled(self.point.thresholds.values()),
            "pooled": spelled([self.point.pooled])[0],
        }
        return pack(SCHEMA, value, {str(i): m.to_bytes() for i, m in enumerate(self.models)})

    def plans(self, view: View) -> list[Plan]:
        """Ask every model about the rows of a view.

        Raises
        ------
        ModelError
            When the view has other columns than the models were fitted on.
        """
        if view.design.names != self.columns:
            odd = sorted(set(view.design.names) ^ set(self.columns))
            raise ModelError(
                "the columns differ from those the models were fitted on"
                + (f": {', '.join(odd[:5])}" if odd else ", in their order"),
                fix="name the same feature sets, in the same order",
            )
        return [_asked(model, view, self.learner) for model in self.models]


def _asked(model: Model, view: View, learner: str) -> Plan:
    return answers.as_plan(learner, model.plan(view), len(view))


def mean_plan(plans: Sequence[Plan]) -> Plan:
    """Average scores and probabilities over models; targets are the first model's."""
    known = [plan.probability for plan in plans if plan.probability is not None]
    return Plan(
        score=np.asarray(np.mean([plan.score for plan in plans], axis=0)),
        probability=np.asarray(np.mean(known, axis=0)) if len(known) == len(plans) else None,
        predicted_r=plans[0].predicted_r,
    )


def take(point: OperatingPoint, view: View, score: Float64) -> Bool:
    """Return which rows are picked; of rows that exclude one another the best score alone."""
    return _best_of_group(point.take(score, view.stream), score, view.group)


def _best_of_group(taken: Bool, score: Float64, group: Int64) -> Bool:
    if (group < 0).all():
        return taken
    order = np.lexsort((np.arange(len(score)), -score))
    seen: set[int] = set()
    out = taken.copy()
    for row in order:
        if not taken[row] or group[row] < 0:
            continue
        if int(group[row]) in seen:
            out[row] = False
        seen.add(int(group[row]))
    return out


__all__ = ["Selector", "mean_plan", "take"]
