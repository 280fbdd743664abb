"""Try to prove that a model's answer for a row depends on the other rows it is shown.

Test rows reach a model all at once, the later ones beside the earlier. A rank,
a scaler or a threshold taken over them reads the future although no feature
does. So rows are shown alone, in part and in another order, and each answer
must stay. Outcomes are withheld throughout, and a second fit with the same seed
must answer the same. So must the model once it went to bytes and back, and bars
after the last row that is shown are never there to be read.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame, accuse, blame
from ffm_core.causal.cutting.cuts import detection_bound
from ffm_core.causal.trial.findings import Call, Notes, caller, unlike
from ffm_core.keyed import keyed
from ffm_core.records import (
    ANSWERS,
    Answer,
    Certificate,
    Design,
    Examined,
    Learner,
    Model,
    Outcomes,
    Plan,
    Reason,
    View,
    because,
)
from ffm_core.records.answers import as_bytes, as_model, as_plan
from ffm_core.records.proofs import number
from ffm_core.types import Float64, Int64
from ffm_core.wording import stamp_of

MAX_ROWS = 300
_ALONE = 24  # rows shown on their own
# Matrix products of another shape may add in another order; a float32 model
# then differs in its last digits. A rank or a scaler moves far more than that.
_RELATIVE = 1e-5


def falsify_learner(
    learner: Learner,
    train: View,
    validation: View,
    test: View,
    *,
    seed: int,
    max_rows: int = MAX_ROWS,
    answers: Collection[Answer] = ANSWERS,
    call: Call | None = None,
) -> Certificate:
    """Look for answers that depend on other rows, on labels or on chance.

    Parameters
    ----------
    learner : Learner
        Fitted twice on ``train`` and ``validation``.
    train, validation : View
        Rows with outcomes.
    test : View
        Rows to answer; outcomes, if there are any, are withheld. When there are
        fewer than ``max_rows``, validation and training rows are asked for, too.
    seed : int
        Seed of the run; used for the fits and for choosing rows.
    max_rows : int
        Most rows asked for, evenly spread.
    answers : collection of str
        Fields of a plan that will be read.
    call : callable, optional
        ``call(function, *args, **kwargs)`` runs plug-in code; default: what it
        raises becomes a :class:`StrategyError` that names the learner.

    Returns
    -------
    Certificate
        Failures of ``rows`` (an answer depends on other rows), ``determinism``
        (two fits disagree), ``bytes`` (the model that was stored and read back answers
        otherwise, or is stored as code), ``values`` and ``purity``. ``stamp`` is the time
        of the decision, ``bar`` the row among those asked for.

    Raises
    ------
    StrategyError
        When the learner raises or returns something else than a plan.
    """
    asked = _asked(train, validation, test, max_rows)
    trial = _Trial(learner, train, validation, asked, seed, answers, call)
    if len(asked) == 0:
        return trial.notes.certificate(1.0)
    model = trial.model = trial.fit()
    truth = trial.plan(model, trial.test)
    drawn = 0
    if _agrees(trial, model, truth):
        drawn = _parts(trial, model, truth)
        trial.plan(model, trial.validation.blind())
        _agrees(trial, model, truth)
        _stored(trial, model, truth)
    if not trial.notes.found("purity"):
        _refit(trial, truth)
    return trial.notes.certificate(detection_bound(drawn))


class _Trial:
    """One learner on one fold."""

    def __init__(
        self,
        learner: Learner,
        train: View,
        validation: View,
        test: View,
        seed: int,
        answers: Collection[Answer],
        call: Call | None,
    ) -> None:
        self.name = f"learner {learner.name}"
        self.notes = Notes(Examined("learner", learner.name))
        self.train, self.validation, self.test = train, validation, test
        self.seed = seed
        self.model: Model | None = None
        self._learner = learner
        self._answers = frozenset(answers)
        self._call = caller(self.name, call, "it must accept any rows, a single one too")

    def fit(self, rows: Int64 | None = None) -> Model:
        """Fit anew, on copies; on some training rows only, where they are given."""
        given = self.train if rows is None else self.train.take(rows)
        train, validation = _copy(given), _copy(self.validation)
        handle = self._call(self._learner.prepare, train)
        model = self._call(
            self._learner.fit,
            handle,
            train,
            validation,
            seed=self.seed,
            answers=self._answers,
        )
        self._unchanged(train, given, "train")
        self._unchanged(validation, self.validation, "validation")
        return as_model(self._learner, "fit", model)

    def load(self, data: bytes) -> Model:
        """Read a model back from its bytes."""
        return as_model(self._learner, "load", self._call(self._learner.load, data))

    def stored(self, model: Model) -> bytes:
        """Return the bytes of a model."""
        return as_bytes(f"learner {self._learner.name!r}", "to_bytes", self._call(model.to_bytes))

    def plan(self, model: Model, view: View) -> Plan:
        """Return what a model says of a view, each row once."""
        given = _copy(view)
        plan = self._call(model.plan, given)
        self._unchanged(given, view, "plan")
        plan = as_plan(self._learner.name, plan, len(view), finite=False)
        found = {}
        for name in ANSWERS:
            values = getattr(plan, name)
            nothing = np.full(len(view), np.nan)
            found[name] = nothing if values is None else np.asarray(values, float)
        if not np.isfinite(found["score"]).all():
            row = int(np.argmin(np.isfinite(found["score"])))
            self.note("values", "score", row, because("score_not_finite"), "fix_score")
        return Plan(**found)

    def note(
        self,
        check: str,
        column: str,
        row: int,
        reason: Reason,
        fix: str,
        line: Callable[[], Blame | None] | None = None,
    ) -> None:
        """Note a failure at one of the rows asked for."""
        stamp = stamp_of(int(self.test.t_us[row])) if 0 <= row < len(self.test) else ""
        if stamp:
            reason = replace(reason, names={**reason.names, "decision": stamp})
        line = line or (lambda: accuse((self._learner, self.model), check))
        self.notes.add(
            check, reason, column=column, bar=row, stamp=stamp, repair=because(fix), line=line
        )

    def _unchanged(self, given: View, truth: View, view: str) -> None:
        for name, values in _arrays(given).items():
            before = _arrays(truth)[name]
            if values.shape != before.shape or unlike(values, before).any():
                edited = because("edits_view", array=name, view=view)
                self.note("purity", name, -1, edited, "fix_plan")


# --- views --------------------------------------------------------------------------------


def _arrays(view: View) -> dict[str, Any]:
    """Return every array a learner could edit, by name; bars are read-only."""
    own = {name: getattr(view, name) for name in ("stream", "bar", "side", "group", "t_us")}
    outcomes = {} if view.outcomes is None else view.outcomes.arrays()
    known = {f"outcomes.{name}": values for name, values in outcomes.items()}
    return {"design.x": view.design.x, **own, **known}


def _copy(view: View) -> View:
    arrays = {name: values.copy() for name, values in _arrays(view).items()}
    known = {
        name.removeprefix("outcomes."): arrays.pop(name)
        for name in tuple(arrays)
        if name.startswith("outcomes.")
    }
    return replace(
        view,
        design=Design(x=arrays.pop("design.x"), names=view.design.names),
        outcomes=Outcomes(**known) if known else None,
        **arrays,
    )


def _asked(train: View, validation: View, test: View, limit: int) -> View:
    """Return the rows to answer, in time order: test rows first of all, newest before older."""
    parts = [_arrays(thin(test, limit).blind())]
    for older in (validation, train):
        missing = limit - sum(len(part["side"]) for part in parts)
        rows = np.arange(max(len(older) - missing, 0), len(older))
        parts.insert(0, _arrays(older.take(rows).blind()))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    design = Design(x=joined.pop("design.x"), names=test.design.names)
    return replace(
        test, design=design, outcomes=None, bars=_longest(train, validation, test), **joined
    )


def _longest(*views: View) -> tuple[Bars, ...] | None:
    """Return the longest bars of each stream that any of the views holds."""
    held = [view.bars for view in views if view.bars is not None]
    return tuple(max(own, key=len) for own in zip(*held, strict=True)) if held else None


# --- the detectors ------------------------------------------------------------------------


def _parts(trial: _Trial, model: Model, truth: Plan) -> int:
    """Show the rows in part, reversed and alone; return how many were shown in part."""
    n = len(trial.test)
    rng = keyed(trial.seed, "learner", trial.name)
    alone = np.sort(rng.choice(n, size=min(n, _ALONE), replace=False))
    half = np.isin(np.arange(n), rng.choice(n, size=n // 2, replace=False))
    picks = [(np.arange(k), "first") for k in (n // 4, n // 2, n - n // 8)]
    picks += [
        (np.arange(n)[::-1], "reversed"),
        (rng.permutation(n), "rows_shuffled"),
        (np.flatnonzero(half), "half_rows"),
        (np.flatnonzero(~half), "half_rows"),
        *((np.array([row]), "alone") for row in alone.tolist()),
    ]
    for rows, how in picks:
        if len(rows):
            _compare(trial, model, truth, rows, how)
    return n  # each was shown without a random half of the others


def _compare(trial: _Trial, model: Model, truth: Plan, rows: Int64, how: str) -> None:
    view = trial.test.take(rows)
    part = trial.plan(model, view)
    trial.notes.cuts += 1
    trial.notes.rows += len(rows)
    for name in ANSWERS:
        whole, shown = getattr(truth, name), getattr(part, name)
        wrong = _apart(whole[rows], shown, _size(whole))
        if wrong.any():
            i = int(np.argmax(wrong))
            row = int(rows[i])
            both = {"full": number(whole[row]), "part": number(shown[i])}
            reason = because(
                "row_depends", answer=name, rows=len(whole), count=len(rows), how=how, **both
            )
            line = partial(_line, trial, model, view, rows, row)
            trial.note("rows", name, row, reason, "fix_rows", line)


def _line(trial: _Trial, model: Model, view: View, rows: Int64, row: int) -> Blame | None:
    """Trace both calls where the rows shown are the first ones; read the code elsewhere."""
    found = None
    if (rows == np.arange(len(rows))).all():
        found = blame(model.plan, trial.test, view, row, row + 1)
    return found or accuse(model, "rows")


def _size(values: Float64) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite - np.median(finite)).max()) if len(finite) else 0.0


def _apart(a: Float64, b: Float64, size: float) -> Any:
    room = _RELATIVE * np.maximum(np.maximum(np.abs(a), np.abs(b)), size)
    with np.errstate(invalid="ignore"):
        return unlike(a, b) & ~(np.abs(a - b) <= room)


def _agrees(trial: _Trial, model: Model, truth: Plan) -> bool:
    """Ask for all rows once more; return whether the answers are the same."""
    again = trial.plan(model, trial.test)
    return _same(trial, truth, again, "purity", "plans_disagree", "fix_plan")


def _stored(trial: _Trial, model: Model, truth: Plan) -> None:
    """Send the model to bytes and back; it answers the same bits and holds no code."""
    data = trial.stored(model)
    again = trial.plan(trial.load(data), trial.test)
    if _is_pickle(data):
        trial.note("bytes", "", -1, because("pickled"), "fix_pickle")
    _same(trial, truth, again, "bytes", "stored_disagrees", "fix_bytes")


def _is_pickle(data: bytes) -> bool:
    """Return whether all of the bytes read as the instructions of a pickle."""
    try:
        *_, last = pickletools.genops(data)
    except Exception:  # whatever stops it, the bytes are no pickle
        return False
    return last[0].name == "STOP"


def _refit(trial: _Trial, truth: Plan) -> None:
    """Fit once more with the same seed; and again after other rows, as the next fold is."""
    again = trial.plan(trial.fit(), trial.test)
    if not _same(trial, truth, again, "determinism", "fits_disagree", "fix_seed"):
        return
    trial.fit(np.arange(0, len(trial.train), 2))
    after = trial.plan(trial.fit(), trial.test)
    _same(trial, truth, after, "purity", "fit_remembers", "fix_kept_fit")


def _same(trial: _Trial, truth: Plan, other: Plan, check: str, kind: str, fix: str) -> bool:
    agree = True
    for name in ANSWERS:
        a, b = getattr(truth, name), getattr(other, name)
        if unlike(a, b).any():
            row = int(np.argmax(unlike(a, b)))
            reason = because(kind, answer=name, full=number(a[row]), part=number(b[row]))
            trial.note(check, name, row, reason, fix)
            agree = False
    return agree


def thin(view: View, limit: int) -> View:
    """Return at most ``limit`` rows, evenly spread in time."""
    if len(view) <= limit:
        return view
    return view.take(np.linspace(0, len(view) - 1, limit).astype(np.int64))


__all__ = ["MAX_ROWS", "falsify_learner", "thin"]
