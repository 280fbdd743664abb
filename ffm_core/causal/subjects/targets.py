"""Try to prove that a target looks further than it says.

A target is about the future, so it cannot be causal; it must be honest about
how far it looks. The value of bar ``t`` is complete at ``end_bar[t]``: bars
after that may be removed or changed, and it must stay; before that, there must
be no value. Purging relies on it: a label that reads one bar more than it says
lets training rows see validation rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame, accuse, blame, origin
from ffm_core.causal.cutting.cuts import detection_bound, sample_cuts
from ffm_core.causal.cutting.series import (
    MUTATIONS,
    edited,
    fingerprint,
    mirrored,
    part,
    with_future,
)
from ffm_core.causal.trial.findings import (
    Call,
    Notes,
    caller,
    first_later,
    later_bar,
    stamp_at,
    unlike,
)
from ffm_core.keyed import keyed
from ffm_core.records import (
    Certificate,
    Examined,
    Reason,
    Target,
    TargetValues,
    answers,
    because,
)
from ffm_core.records.proofs import number
from ffm_core.types import Bool, Int64

MAX_CUTS = 400
_MUTATED = 90
_MIRRORED = 24
_ENOUGH = 5
_SHOWN = 2_000  # later bars shown when the line is looked for

_HONEST = because("fix_end_bar")
_PURE = because("fix_target_purity")


def falsify_target(
    target: Target,
    bars: Bars,
    *,
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
) -> Certificate:
    """Look for values that read further than their ``end_bar``.

    Parameters
    ----------
    target : Target
        Its values may depend on any earlier bar.
    bars : Bars
        The stream, ``T`` bars.
    seed : int
        Seed of the run; the same seed makes the same cuts.
    max_cuts : int
        Upper limit on cuts, 300 or more of them random.
    call : callable, optional
        ``call(function, *args)`` runs plug-in code; default: what it raises
        becomes a :class:`StrategyError` that names the target.

    Returns
    -------
    Certificate
        Failures of ``horizon`` (a value reads past its ``end_bar``, or its
        ``end_bar`` past the declared horizon), ``values`` and ``purity``.

    Raises
    ------
    StrategyError
        When the target raises or returns another shape or type.
    """
    trial = _TargetTrial(target, bars, seed, call)
    drawn = 0
    if _pure(trial):
        _sound(trial)
        cuts = sample_cuts(
            trial.bars, np.empty(0, np.int64), seed=seed, subject=trial.name, max_cuts=max_cuts
        )
        drawn = len(cuts.drawn)
        _withhold(trial, cuts.at)
        if not trial.notes.found("horizon"):
            _change(trial, cuts.at)
            _remember(trial)
        _later(trial)
    return trial.notes.certificate(detection_bound(drawn))


class _TargetTrial:
    """One target on one stream."""

    full: TargetValues

    def __init__(self, target: Target, bars: Bars, seed: int, call: Call | None) -> None:
        self.target = target
        self.name = f"target {target.name}"
        self.bars = Bars(bars.frame.rechunk(), bars.instrument, bars.timeframe)
        self.notes = Notes(Examined("target", target.name, bars.stream))
        self._seed = seed
        self._call = caller(self.name, call, "it must accept any bars, few ones too")

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the generator of one purpose."""
        return keyed(self._seed, "target", purpose, self.target.name, self.bars.stream)

    def ask(self, bars: Bars) -> TargetValues:
        """Return the values of ``bars``, in the declared form."""
        return answers.target_values(self.target, self._call(self.target.compute, bars), bars)

    def note(
        self,
        check: str,
        column: str,
        bar: int,
        reason: Reason,
        repair: Reason,
        future: int | None = None,
        line: Callable[[], Blame | None] | None = None,
    ) -> None:
        """Note a failure at a bar."""
        self.notes.add(
            check,
            reason,
            column=column,
            bar=bar,
            stamp=stamp_at(self.bars, bar),
            first_future_bar=future,
            repair=repair,
            line=line or (lambda: accuse(self.target.compute, check)),
        )

    def made(self, row: int, value: float) -> Blame | None:
        """Return the line after which a value of the full series first stands at a row."""
        return origin(self.target.compute, self.bars, row, value)


# --- one call on everything ---------------------------------------------------------------


def _pure(trial: _TargetTrial) -> bool:
    """Ask twice for everything; return whether the answers can be built on."""
    bars = trial.bars
    before = fingerprint(bars)
    given = part(bars, 0, len(bars))
    trial.full = trial.ask(given)
    column = edited(given, before) or edited(bars, before)
    if column is not None:
        trial.note("purity", column, 0, because("edits_bars"), _PURE)
    _again(trial, because("calls_disagree"))
    return not trial.notes.found()


def _again(trial: _TargetTrial, problem: Reason) -> bool:
    answer = trial.ask(part(trial.bars, 0, len(trial.bars)))
    moved = _unlike(trial.full, answer)
    if moved.any():
        trial.note("purity", "value", int(np.argmax(moved)), problem, _PURE)
    return bool(moved.any())


def _later(trial: _TargetTrial) -> None:
    """Ask once more after all other calls; what they found means nothing if it differs."""
    if _again(trial, because("later_call_disagrees")):
        trial.notes.keep(("purity", "values"))


def _unlike(a: TargetValues, b: TargetValues) -> Bool:
    return np.asarray(unlike(a.value, b.value) | (a.end_bar != b.end_bar))


def _sound(trial: _TargetTrial) -> None:
    """Values and end bars that agree with each other and with what is declared."""
    full, target = trial.full, trial.target
    bar = np.arange(len(trial.bars))
    undefined = np.isnan(full.value)
    horizon = target.horizon_bars
    classes = np.arange(len(target.classes)) if target.kind == "classes" else np.array([0, 1])
    stray = ~undefined & (full.value != TargetValues.MASKED) & ~np.isin(full.value, classes)
    faults = (
        ("values", "value", np.isinf(full.value), "target_infinite", "fix_values"),
        ("values", "value", stray & (target.kind != "regression"), "target_no_class",
         "fix_classes"),
        ("values", "end_bar", undefined != (full.end_bar == -1), "target_undefined",
         "fix_undefined"),
        ("horizon", "end_bar", ~undefined & (full.end_bar < bar), "target_ends_before",
         "fix_last_read"),
        ("horizon", "end_bar", full.end_bar >= len(bar), "target_ends_after", "fix_last_read"),
        ("horizon", "end_bar", ~undefined & (full.end_bar > bar + horizon), "target_ends_late",
         "fix_horizon"),
    )  # fmt: skip
    declared = {"target_no_class": {"classes": len(classes)},
                "target_ends_late": {"horizon": horizon}}  # fmt: skip
    for check, column, bad, kind, fix in faults:
        if bad.any():
            first = int(np.argmax(bad))
            held = {"value": number(full.value[first]), "end": int(full.end_bar[first])}
            reason = because(kind, **held, **declared.get(kind, {}))
            made = partial(trial.made, first, float(getattr(full, column)[first]))
            trial.note(check, column, first, reason, because(fix), line=made)


# --- later bars ---------------------------------------------------------------------------


def _withhold(trial: _TargetTrial, cuts: Int64) -> None:
    """Withhold bars from every cut on."""
    failing = 0
    for cut in cuts.tolist():
        answer = trial.ask(part(trial.bars, 0, cut))
        row = _moved(trial.full, answer, cut)
        trial.notes.cuts += 1
        trial.notes.rows += cut
        if row < 0:
            continue
        future = _matters(trial, cut, row, answer) if failing == 0 else None
        said = _both(trial.full, answer, row) | later_bar(trial.bars, future)
        reason = because("target_reads_on", last=cut - 1, **said)
        line = partial(_line, trial, cut, row, answer)
        trial.note("horizon", "value", row, reason, _HONEST, future, line)
        failing += 1
        if failing == _ENOUGH:
            return


def _line(trial: _TargetTrial, cut: int, row: int, answer: TargetValues) -> Blame | None:
    if np.isnan(answer.value[row]):  # it ends later than it says
        return trial.made(row, float(trial.full.end_bar[row]))
    compute, stop = trial.target.compute, min(len(trial.bars), cut + _SHOWN)
    shown, short = part(trial.bars, 0, stop), part(trial.bars, 0, cut)
    return blame(compute, shown, short, row, row + 1)


def _moved(truth: TargetValues, answer: TargetValues, cut: int) -> int:
    """Return the last row complete before a cut, by either answer, that differs; else -1."""
    whole = TargetValues(value=truth.value[:cut], end_bar=truth.end_bar[:cut])
    part_ = TargetValues(value=answer.value[:cut], end_bar=answer.end_bar[:cut])
    complete = [(one.end_bar >= 0) & (one.end_bar < cut) for one in (whole, part_)]
    wrong = _unlike(whole, part_) & (complete[0] | complete[1])
    return int(np.flatnonzero(wrong)[-1]) if wrong.any() else -1


def _both(full: TargetValues, part: TargetValues, row: int) -> dict[str, float | str]:
    """Return what a reason holds of two answers for a row; nothing where one is undefined."""
    found: dict[str, float | str] = {}
    for name, answer in (("full", full), ("part", part)):
        if not np.isnan(answer.value[row]):
            found[name] = number(answer.value[row])
            found[f"{name}_end"] = int(answer.end_bar[row])
    return found


def _matters(trial: _TargetTrial, cut: int, row: int, before: TargetValues) -> int | None:
    """Return the first later bar whose arrival moves a row that counted as complete."""

    def digits(answer: TargetValues) -> tuple[str, int]:
        return f"{answer.value[row]:.6g}", int(answer.end_bar[row])

    known = digits(before)
    return first_later(
        lambda stop: digits(trial.ask(part(trial.bars, 0, stop))) != known, cut, len(trial.bars)
    )


def _change(trial: _TargetTrial, cuts: Int64) -> None:
    """Change the bars from a cut on instead of removing them."""
    total, rng = len(trial.bars), trial.rng("mutation")
    some = cuts if len(cuts) <= _MUTATED else np.sort(rng.choice(cuts, _MUTATED, replace=False))
    reach = 2 * trial.target.horizon_bars + 64
    for turn, cut in enumerate(some.tolist()):
        kind: Any = MUTATIONS[turn % len(MUTATIONS)]
        stop = total if turn % 10 == 0 else min(total, cut + reach)
        drawn = trial.rng(f"future {cut}")
        changed = with_future(trial.bars, 0, cut, stop, kind=kind, rng=drawn)
        answer = trial.ask(changed)
        row = _moved(trial.full, answer, cut)
        trial.notes.cuts += 1
        trial.notes.rows += cut
        if row >= 0:
            said = _both(trial.full, answer, row)
            reason = because("target_moves", **said, cut=cut, change=str(kind))
            trial.note("horizon", "value", row, reason, _HONEST)
            return


def _remember(trial: _TargetTrial) -> None:
    """On a mirrored series ask early parts first: values kept from longer ones would show."""
    twin, total = mirrored(trial.bars), len(trial.bars)
    if total < 2:
        return
    rng = trial.rng("mirrored")
    size = min(_MIRRORED, total - 1)
    cuts = np.sort(rng.choice(np.arange(1, total), size=size, replace=False)).tolist()
    early = [(cut, trial.ask(part(twin, 0, cut))) for cut in cuts]
    truth = trial.ask(twin)
    for cut, answer in early:
        row = _moved(truth, answer, cut)
        if row >= 0:
            reason = because("target_remembers", **_both(truth, answer, row), last=cut - 1)
            trial.note("purity", "value", row, reason, _PURE)
            return


__all__ = ["MAX_CUTS", "falsify_target"]
