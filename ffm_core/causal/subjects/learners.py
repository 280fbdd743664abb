"""Try to prove that a model's answer for a row depends on the other rows it is shown.

Test rows reach a model all at once, the later ones beside the earlier. A rank,
a scaler or a threshold taken over them reads the future although no feature
does. So rows are shown alone, in part and in another order, and each answer
must stay. Labels are withheld throughout, and a second fit with the same seed
must answer the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from ffm_core.causal.blame.line import Blame, accuse, blame
from ffm_core.causal.cutting.cuts import detection_bound
from ffm_core.causal.trial.findings import Call, Notes, caller, stamp_of, unlike
from ffm_core.errors import StrategyError
from ffm_core.keyed import keyed
from ffm_core.records import Certificate, Design, Learner, Model, Plan, View
from ffm_core.types import Float64, Int64

MAX_ROWS = 300
_ALONE = 24  # rows shown on their own
_ANSWERS = ("score", "probability", "predicted_r")
# Matrix products of another shape may add in another order; a float32 model
# then differs in its last digits. A rank or a scaler moves far more than that.
_RELATIVE = 1e-5

_ROWS_FIX = (
    "take ranks, scales and thresholds from training rows in fit(); plan() answers each row "
    "from that row alone"
)
_SEED_FIX = "draw from the given seed only, with one thread or an order that does not matter"
_KEEPS_FIX = "keep nothing between fits; prepare() and fit() begin anew on every fold"
_PURITY_FIX = "change nothing that is passed in and keep nothing between calls of plan()"


def falsify_learner(
    learner: Learner,
    train: View,
    validation: View,
    test: View,
    *,
    seed: int,
    max_rows: int = MAX_ROWS,
    signal_only: bool = False,
    call: Call | None = None,
) -> Certificate:
    """Look for answers that depend on other rows, on labels or on chance.

    Parameters
    ----------
    learner : Learner
        Fitted twice on ``train`` and ``validation``.
    train, validation : View
        Rows with labels.
    test : View
        Rows to answer; labels, if there are any, are withheld. When there are
        fewer than ``max_rows``, validation and training rows are asked for, too.
    seed : int
        Seed of the run; used for the fits and for choosing rows.
    max_rows : int
        Most rows asked for, evenly spread.
    signal_only : bool
        Whether the learner may leave its risk head out.
    call : callable, optional
        ``call(function, *args, **kwargs)`` runs plug-in code; default: what it
        raises becomes a :class:`StrategyError` that names the learner.

    Returns
    -------
    Certificate
        Failures of ``rows`` (an answer depends on other rows), ``determinism``
        (two fits disagree), ``values`` and ``purity``. ``stamp`` is the time
        of the decision, ``bar`` the row among those asked for.

    Raises
    ------
    StrategyError
        When the learner raises or returns something else than a plan.
    """
    asked = _asked(train, validation, test, max_rows)
    trial = _Trial(learner, train, validation, asked, seed, signal_only, call)
    if len(asked) == 0:
        return trial.notes.certificate(1.0)
    model = trial.model = trial.fit()
    truth = trial.plan(model, trial.test)
    drawn = 0
    if _agrees(trial, model, truth):
        drawn = _parts(trial, model, truth)
        trial.plan(model, _blind(trial.validation))
        _agrees(trial, model, truth)
    if not trial.notes.found("purity"):
        _refit(trial, truth)
    return trial.notes.certificate(detection_bound(drawn))


@dataclass(slots=True)
class _Answers:
    """What a plan says of ``n`` rows; NaN where it says nothing."""

    score: Float64
    probability: Float64
    predicted_r: Float64


class _Trial:
    """One learner on one fold."""

    def __init__(
        self,
        learner: Learner,
        train: View,
        validation: View,
        test: View,
        seed: int,
        signal_only: bool,
        call: Call | None,
    ) -> None:
        self.name = f"learner {learner.name}"
        self.notes = Notes(self.name)
        self.train, self.validation, self.test = train, validation, test
        self.seed = seed
        self.model: Model | None = None
        self._learner = learner
        self._signal_only = signal_only
        self._call = caller(self.name, call, "it must accept any rows, a single one too")

    def fit(self, rows: Int64 | None = None) -> Model:
        """Fit anew, on copies; on some training rows only, where they are given."""
        given = self.train if rows is None else _take(self.train, rows)
        train, validation = _copy(given), _copy(self.validation)
        handle = self._call(self._learner.prepare, train)
        model = self._call(
            self._learner.fit,
            handle,
            train,
            validation,
            seed=self.seed,
            signal_only=self._signal_only,
        )
        self._unchanged(train, given, "train")
        self._unchanged(validation, self.validation, "validation")
        if not isinstance(model, Model):
            raise StrategyError(
                f"{self.name} fitted {type(model).__name__}, expected a model with plan()",
                fix="return an object whose plan(view) returns ffm_core.records.Plan",
            )
        return model

    def plan(self, model: Model, view: View) -> _Answers:
        """Return what a model says of a view, each row once."""
        given = _copy(view)
        plan = self._call(model.plan, given)
        self._unchanged(given, view, "the view of a plan")
        if not isinstance(plan, Plan):
            raise StrategyError(
                f"{self.name} planned {type(plan).__name__}, expected a Plan",
                fix="return ffm_core.records.Plan(score=...)",
            )
        found = {}
        for name in _ANSWERS:
            values = getattr(plan, name)
            values = np.full(len(view), np.nan) if values is None else np.asarray(values, float)
            if values.shape != (len(view),):
                raise StrategyError(
                    f"{self.name} planned {name} of shape {values.shape} for {len(view)} rows",
                    fix="answer every row, in the order given",
                )
            found[name] = values
        if not np.isfinite(found["score"]).all():
            row = int(np.argmin(np.isfinite(found["score"])))
            self.note("values", "score", row, "the score is not finite", "score every row")
        return _Answers(**found)

    def note(
        self,
        check: str,
        column: str,
        row: int,
        text: str,
        fix: str,
        line: Callable[[], Blame | None] | None = None,
    ) -> None:
        """Note a failure at one of the rows asked for."""
        stamp = stamp_of(int(self.test.t_us[row])) if 0 <= row < len(self.test) else ""
        told = f"the decision of {stamp}: {text}" if stamp else text
        line = line or (lambda: accuse((self._learner, self.model), check))
        self.notes.add(check, told, column=column, bar=row, stamp=stamp, fix=fix, line=line)

    def _unchanged(self, given: View, truth: View, what: str) -> None:
        for name, values in _arrays(given).items():
            before = _arrays(truth)[name]
            if values.shape != before.shape or unlike(values, before).any():
                self.note("purity", name, -1, f"it edits {name} of {what}", _PURITY_FIX)


# --- views --------------------------------------------------------------------------------


def _arrays(view: View) -> dict[str, Any]:
    found = {f.name: getattr(view, f.name) for f in fields(View) if f.name != "design"}
    return {**found, "design.x": view.design.x}


def _with(view: View, arrays: dict[str, Any]) -> View:
    rest = {name: values for name, values in arrays.items() if name != "design.x"}
    return replace(view, design=Design(x=arrays["design.x"], names=view.design.names), **rest)


def _copy(view: View) -> View:
    return _with(view, {name: values.copy() for name, values in _arrays(view).items()})


def _take(view: View, rows: Int64) -> View:
    """Return some rows; arrays that a blind view lacks stay empty."""
    n = len(view)
    taken = {k: v[rows] if len(v) == n else v for k, v in _arrays(view).items()}
    return _with(view, taken)


def _asked(train: View, validation: View, test: View, limit: int) -> View:
    """Return the rows to answer, in time order: test rows first of all, newest before older."""
    parts = [_arrays(_blind(thin(test, limit)))]
    for older in (validation, train):
        missing = limit - sum(len(part["side"]) for part in parts)
        rows = np.arange(max(len(older) - missing, 0), len(older))
        parts.insert(0, _arrays(_blind(_take(older, rows))))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _with(_blind(test), joined)


def _blind(view: View) -> View:
    nothing = np.empty(0)
    return replace(
        view,
        t_end=nothing.astype(np.int64),
        label=nothing.astype(np.int8),
        r_net=nothing,
        peak_r=nothing,
    )


# --- the detectors ------------------------------------------------------------------------


def _parts(trial: _Trial, model: Model, truth: _Answers) -> int:
    """Show the rows in part, reversed and alone; return how many were shown in part."""
    n = len(trial.test)
    rng = keyed(trial.seed, "learner", trial.name)
    alone = np.sort(rng.choice(n, size=min(n, _ALONE), replace=False))
    half = np.isin(np.arange(n), rng.choice(n, size=n // 2, replace=False))
    picks = [(np.arange(k), f"the first {k} are shown") for k in (n // 4, n // 2, n - n // 8)]
    picks += [
        (np.arange(n)[::-1], "the order is reversed"),
        (rng.permutation(n), "the rows are shuffled"),
        (np.flatnonzero(half), "half of the rows are shown"),
        (np.flatnonzero(~half), "half of the rows are shown"),
        *((np.array([row]), "it is shown alone") for row in alone.tolist()),
    ]
    for rows, how in picks:
        if len(rows):
            _compare(trial, model, truth, rows, how)
    return n  # each was shown without a random half of the others


def _compare(trial: _Trial, model: Model, truth: _Answers, rows: Int64, how: str) -> None:
    view = _take(trial.test, rows)
    part = trial.plan(model, view)
    trial.notes.cuts += 1
    trial.notes.rows += len(rows)
    for name in _ANSWERS:
        whole, shown = getattr(truth, name), getattr(part, name)
        wrong = _apart(whole[rows], shown, _size(whole))
        if wrong.any():
            i = int(np.argmax(wrong))
            row = int(rows[i])
            trial.note(
                "rows",
                name,
                row,
                f"its {name} is {whole[row]:.6g} when {len(whole)} rows are shown and "
                f"{shown[i]:.6g} when {how}",
                _ROWS_FIX,
                partial(_line, trial, model, view, rows, row),
            )


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


def _agrees(trial: _Trial, model: Model, truth: _Answers) -> bool:
    """Ask for all rows once more; return whether the answers are the same."""
    problem = "two calls of plan() on the same rows disagree"
    return _same(trial, truth, trial.plan(model, trial.test), "purity", problem, _PURITY_FIX)


def _refit(trial: _Trial, truth: _Answers) -> None:
    """Fit once more with the same seed; and again after other rows, as the next fold is."""
    again = trial.plan(trial.fit(), trial.test)
    problem = "two fits with one seed disagree"
    if not _same(trial, truth, again, "determinism", problem, _SEED_FIX):
        return
    trial.fit(np.arange(0, len(trial.train), 2))
    after = trial.plan(trial.fit(), trial.test)
    _same(trial, truth, after, "purity", "a fit on other rows changes the next one", _KEEPS_FIX)


def _same(
    trial: _Trial, truth: _Answers, other: _Answers, check: str, problem: str, fix: str
) -> bool:
    agree = True
    for name in _ANSWERS:
        a, b = getattr(truth, name), getattr(other, name)
        if unlike(a, b).any():
            row = int(np.argmax(unlike(a, b)))
            text = f"{problem}: the {name} is {a[row]:.9g} and {b[row]:.9g}"
            trial.note(check, name, row, text, fix)
            agree = False
    return agree


def thin(view: View, limit: int) -> View:
    """Return at most ``limit`` rows, evenly spread in time."""
    if len(view) <= limit:
        return view
    return _take(view, np.linspace(0, len(view) - 1, limit).astype(np.int64))


__all__ = ["MAX_ROWS", "falsify_learner", "thin"]
