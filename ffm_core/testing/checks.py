"""The contract, one named check at a time.

What a check does not say is as important: none of them knows about trying many
ideas and keeping the best, about data revised after the fact, or about a rule
that was fitted by hand to the period it is tested on.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from ffm_core.bars.table import PRICE_COLUMNS, Bars
from ffm_core.causal.cutting.series import edited, fingerprint, part
from ffm_core.errors import ConfigError
from ffm_core.records import Decisions, Labeler, Param, ParamValue, answers
from ffm_core.records.forms import at_bar
from ffm_core.records.proofs import told
from ffm_core.testing.fresh import fresh_process
from ffm_core.testing.market import Kind
from ffm_core.testing.report import CheckFailed, CheckSkipped
from ffm_core.testing.require import require_equal, require_finite, require_sound
from ffm_core.testing.subject import StrategyUnderTest, UnderTest

_SCALE = 2.0  # a power of two scales prices without rounding


@dataclass(frozen=True, slots=True)
class Check:
    """One rule.

    Parameters
    ----------
    name : str
        What ``expected_failures`` and reports call it.
    run : callable
        Raises :class:`CheckFailed` or :class:`CheckSkipped`.
    needs : tuple of str
        Checks without which this one would blame the wrong thing.
    summary : str
        The rule in one line.
    """

    name: str
    run: Callable[[Any], None]
    needs: tuple[str, ...] = ()
    summary: str = ""


# --- form ---------------------------------------------------------------------------------


def record_is_sound(subject: StrategyUnderTest) -> None:
    """Declare unique names, units, and a sensible warm-up, history and horizon."""
    labeler = subject.labeler
    require_sound(labeler)
    if labeler.horizon_bars < 1:
        raise CheckFailed("horizon_bars must be 1 or more")


def defaults_are_valid(subject: StrategyUnderTest) -> None:
    """Keep every parameter's default in its own range and choices."""
    for param in subject.labeler.params:
        problem = bad_default(param)
        if problem:
            raise CheckFailed(f"the default of {param.name!r} is {param.default!r}: {problem}")


def bad_default(param: Param) -> str:
    """Return what is wrong with the default of a setting; empty when nothing is."""
    if isinstance(param.default, bool | str) and (param.minimum, param.maximum) != (None, None):
        return "a range needs a number"
    try:
        param.checked(param.default, "")
    except ConfigError as error:
        return error.fix
    return ""


def returns_decisions(subject: StrategyUnderTest) -> None:
    """Return ``Decisions`` for ordinary bars."""
    subject.decisions(subject.bars)


def decides_somewhere(subject: StrategyUnderTest) -> None:
    """Decide somewhere on the standard bars; without that, nothing else is tested."""
    if len(subject.full) == 0:
        raise CheckFailed(
            f"no decision in {len(subject.bars)} bars, so no other check means anything",
            fix="give check_strategy bars on which the strategy trades",
        )


def columns_as_declared(subject: StrategyUnderTest) -> None:
    """Return the columns that are declared, and no others."""
    subject.call(answers.require_declared, subject.labeler, subject.full)


def columns_are_finite(subject: StrategyUnderTest) -> None:
    """Keep columns finite once the warm-up is over."""
    require_finite(subject.full, subject.labeler.warmup_bars)


def bars_in_range(subject: StrategyUnderTest) -> None:
    """Decide only at bars that were given."""
    subject.require_known_bars(subject.full, subject.bars)


def warmup_is_kept(subject: StrategyUnderTest) -> None:
    """Make no decision before the declared warm-up is over."""
    bar = subject.full.bar
    early = bar < subject.labeler.warmup_bars
    if early.any():
        raise CheckFailed(
            f"a decision at bar {bar[0]}, before the warm-up of "
            f"{subject.labeler.warmup_bars} bars is over",
            fix="drop early decisions or declare a shorter warm-up",
        )


def risk_is_positive(subject: StrategyUnderTest) -> None:
    """Give a finite positive risk, or a stop price on the losing side."""
    _require_risk(subject, subject.full, subject.bars)


def _require_risk(subject: StrategyUnderTest, found: Decisions, bars: Bars) -> None:
    """Require what a run requires, and that every stop lies on the losing side of the close."""
    subject.require_tradable(found, bars, "risk", "stop_price")
    risk = found.risk
    if risk is None:
        risk = found.side * (bars.close[found.bar] - np.asarray(found.stop_price))
    if (risk <= 0).any():
        row = int(np.argmax(risk <= 0))
        raise CheckFailed(
            f"the stop of decision {row}, side {found.side[row]}, lies {risk[row]:g} points from "
            f"the close {at_bar(int(found.bar[row]), bars)}",
            fix="make no decision where the stop would not lie on the losing side",
        )


def targets_and_horizons_are_sound(subject: StrategyUnderTest) -> None:
    """Give targets of at least 1 R, and let no trade outlive the declared horizon."""
    full, longest = subject.full, subject.labeler.horizon_bars
    subject.require_tradable(full, subject.bars, "target_r", "horizon_bars")
    if full.horizon_bars is not None and full.horizon_bars.max(initial=1) > longest:
        raise CheckFailed(
            f"horizon_bars is up to {full.horizon_bars.max()}, the labeler declares {longest}",
            fix="declare the longest horizon; labels are purged by it",
        )


# --- repeatable ---------------------------------------------------------------------------


def input_is_not_edited(subject: StrategyUnderTest) -> None:
    """Leave bars and parameters as they were given."""
    given = part(subject.bars, 0, len(subject.bars))
    before = fingerprint(given)
    params = subject.labeler.defaults()
    subject.call(subject.labeler.decide, given, params)
    column = edited(given, before)
    if column is not None:
        raise CheckFailed(f"it edits the bars it is given: {column}", fix="work on a copy")
    if params != subject.labeler.defaults():
        raise CheckFailed("it edits the parameters it is given", fix="work on a copy")


def calls_agree(subject: StrategyUnderTest) -> None:
    """Answer the same bars twice in the same way."""
    require_equal(
        subject.decisions(subject.bars),
        subject.decisions(subject.bars),
        "two calls on the same bars disagree",
        fix="draw from a generator seeded inside the call; use no global random state",
    )


def keeps_no_state(subject: StrategyUnderTest) -> None:
    """Let no answer depend on which bars were shown before."""
    require_no_failure(subject, "purity")


def parameters_round_trip(subject: StrategyUnderTest) -> None:
    """Decide the same with parameters that were written as JSON and read back."""
    written: Mapping[str, ParamValue] = json.loads(json.dumps(subject.labeler.defaults()))
    given = part(subject.bars, 0, len(subject.bars))
    answer = subject.call(subject.labeler.decide, given, dict(written))
    require_equal(
        subject.full,
        answer,
        "parameters read back from a run record give other decisions",
        fix="compare parameters by value, not by identity or exact type",
    )


def survives_pickling(subject: StrategyUnderTest) -> None:
    """Travel to a worker by pickle, and answer the same there."""
    try:
        again: Labeler = pickle.loads(pickle.dumps(subject.labeler))
    except Exception as error:
        raise CheckFailed(
            f"it cannot be pickled: {error}",
            fix="define functions at module level; lambdas and closures cannot travel",
        ) from error
    answer = StrategyUnderTest(again, subject.bars).decisions(subject.bars)
    require_equal(subject.full, answer, "a pickled copy makes different decisions")


def fresh_process_agrees(subject: StrategyUnderTest) -> None:
    """Decide the same in a new interpreter."""
    found = fresh_process(subject.labeler, subject.bars)
    if isinstance(found.answer, Decisions):
        require_equal(
            subject.full,
            found.answer,
            "another process makes different decisions",
            fix="use no hash(), no set order, no clock and no global random state",
        )
    elif found.error:
        raise CheckFailed(f"it fails in another process: {found.error}")


def imports_are_light(subject: StrategyUnderTest) -> None:
    """Import no heavy library when the strategy is imported."""
    found = fresh_process(subject.labeler, subject.bars)
    if found.heavy:
        raise CheckFailed(
            f"importing it pulls in {', '.join(found.heavy)}",
            fix="import heavy libraries inside the function that needs them",
        )


# --- causal -------------------------------------------------------------------------------


def past_ignores_removed_future(subject: StrategyUnderTest) -> None:
    """Keep decisions as they are when later bars are removed."""
    require_no_failure(subject, "prefix")
    require_no_failure(subject, "repaint")


def past_ignores_changed_future(subject: StrategyUnderTest) -> None:
    """Keep decisions as they are when later bars are changed."""
    require_no_failure(subject, "mutation")


def history_is_sufficient(subject: StrategyUnderTest) -> None:
    """Reproduce decisions from the declared history alone."""
    history = subject.labeler.history_bars
    if history is not None and history + subject.labeler.warmup_bars >= len(subject.bars):
        raise CheckSkipped(f"{len(subject.bars)} bars are fewer than the declared history needs")
    require_no_failure(subject, "history")


def answers_are_computed(subject: UnderTest) -> None:
    """Compute answers from bars, clock and inputs; store none for the dates or rows of a file."""
    require_no_failure(subject, "stored")


def require_no_failure(subject: UnderTest, check: str) -> None:
    """Require that the falsifier found nothing under one of its checks."""
    found = subject.failures(check)
    if found:
        first = found[0]
        where = f"{first.column} at bar {first.bar} ({first.stamp})"
        raise CheckFailed(f"{where}: {told(first.reason)}", fix=told(first.repair))


# --- market -------------------------------------------------------------------------------


def no_bars(subject: StrategyUnderTest) -> None:
    """Accept an empty series and decide nothing."""
    _require_silence(subject, 0)


def one_bar(subject: StrategyUnderTest) -> None:
    """Accept a single bar and decide nothing beyond it."""
    _require_silence(subject, 1)


def _require_silence(subject: StrategyUnderTest, rows: int) -> None:
    bars = subject.bars[:rows]
    subject.require_known_bars(subject.decisions(bars), bars)


def _in_market(kind: Kind) -> Callable[[StrategyUnderTest], None]:
    def check(subject: StrategyUnderTest) -> None:
        bars = subject.market(kind)
        answer = subject.decisions(bars)
        subject.require_known_bars(answer, bars)
        require_finite(answer, subject.labeler.warmup_bars)
        _require_risk(subject, answer, bars)

    return check


flat_prices, no_volume, gaps = _in_market("flat"), _in_market("quiet"), _in_market("gappy")
rolls, clock_change = _in_market("rolls"), _in_market("clock")


def prices_may_be_scaled(subject: StrategyUnderTest) -> None:
    """Decide the same when prices and tick are doubled, with twice the risk."""
    answer = subject.decisions(_doubled(subject.bars))
    full = subject.full
    if not (np.array_equal(full.bar, answer.bar) and np.array_equal(full.side, answer.side)):
        raise CheckFailed(
            "doubling all prices and the tick changes the decisions",
            fix="measure in ATR, ticks or ratios; take the tick from bars.instrument",
        )
    name = "risk" if full.risk is not None else "stop_price"
    before, after = getattr(full, name), getattr(answer, name)
    if after is None or not np.allclose(before * _SCALE, after, rtol=1e-9, atol=0):
        raise CheckFailed(
            f"doubling all prices and the tick does not double {name}",
            fix=f"{name} is in points, not in money, ticks or ATR",
        )


def _doubled(bars: Bars) -> Bars:
    frame = bars.frame.with_columns(pl.col(name) * _SCALE for name in PRICE_COLUMNS)
    tick = bars.instrument.tick_size * _SCALE
    return replace(bars, frame=frame, instrument=replace(bars.instrument, tick_size=tick))


_FORM = ("returns_decisions", "decides_somewhere", "columns_as_declared", "bars_in_range")
_PURE = (*_FORM, "input_is_not_edited", "calls_agree")
_HONEST = (*_PURE, "keeps_no_state")
_TIDY = (*_PURE, "columns_are_finite", "risk_is_positive")

_LIST: tuple[tuple[Callable[[StrategyUnderTest], None], tuple[str, ...]], ...] = (
    (record_is_sound, ()),
    (defaults_are_valid, ()),
    (returns_decisions, ()),
    (decides_somewhere, ("returns_decisions",)),
    (columns_as_declared, ("returns_decisions",)),
    (bars_in_range, ("returns_decisions",)),
    (input_is_not_edited, _FORM),
    (calls_agree, _FORM),
    (warmup_is_kept, _PURE),
    (columns_are_finite, _PURE),
    (risk_is_positive, _PURE),
    (targets_and_horizons_are_sound, _PURE),
    (keeps_no_state, _PURE),
    (parameters_round_trip, _PURE),
    (survives_pickling, _PURE),
    (fresh_process_agrees, (*_PURE, "survives_pickling")),
    (imports_are_light, (*_PURE, "survives_pickling")),
    (past_ignores_removed_future, _HONEST),
    (past_ignores_changed_future, (*_HONEST, "past_ignores_removed_future")),
    (history_is_sufficient, _HONEST),
    (answers_are_computed, (*_HONEST, "past_ignores_removed_future")),
    (no_bars, _PURE),
    (one_bar, _PURE),
    (prices_may_be_scaled, _PURE),
)
_MARKETS: tuple[tuple[str, Callable[[StrategyUnderTest], None], str], ...] = (
    ("flat_prices", flat_prices, "Survive one price for hours."),
    ("no_volume", no_volume, "Survive bars without volume."),
    ("gaps", gaps, "Survive missing bars, a hole of days and price gaps."),
    ("rolls", rolls, "Survive several contracts with jumps between them."),
    ("clock_change", clock_change, "Survive an hour of local time that happens twice."),
)

CHECKS: tuple[Check, ...] = (
    *(Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST),
    *(Check(name, run, _TIDY, summary) for name, run, summary in _MARKETS),
)
