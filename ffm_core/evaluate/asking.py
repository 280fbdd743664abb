"""Ask a labeler for its decisions, and check the answer before anything relies on it.

What is checked here would otherwise come up later, where nobody could tell whose
fault it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ffm_core.bars import Bars
from ffm_core.errors import StrategyError
from ffm_core.records import Decisions, Labeler, Params
from ffm_core.types import Bool

_FIXES = {
    "risk": "leave out decisions whose risk is not known yet; it is a distance in points",
    "stop_price": "leave out decisions whose stop is not known yet",
    "target_r": "give a target of at least 1 R; a nearer one only buys its hit rate with costs",
    "horizon_bars": "a trade lasts at least one bar, its entry bar",
}


def ask(labeler: Labeler, bars: Bars, params: Params) -> Decisions:
    """Return the decisions of a labeler on one stream.

    Parameters
    ----------
    labeler : Labeler
        Asked once, with parameters of its own to scribble on.
    bars : Bars
        The whole stream.
    params : mapping
        Parameters of the run.

    Returns
    -------
    Decisions
        With every declared column; all bars exist, all numbers can be traded.

    Raises
    ------
    StrategyError
        When the answer is something else, or asking changed what other code relies on.
    """
    with _state_kept():
        answer = labeler.decide(bars, dict(params))
    _check_form(answer, labeler, bars)
    _check_numbers(answer, bars)
    return answer


@contextmanager
def _state_kept() -> Iterator[None]:
    """Notice when plug-in code changes the state that all code of a process shares.

    The next strategy, or this one asked again, would otherwise answer differently.
    """
    before = _state()
    yield
    for (what, old, fix), (_, new, _) in zip(before, _state(), strict=True):
        if old != new:
            raise StrategyError(f"decide changes {what}", fix=fix)


def _state() -> tuple[tuple[str, object, str], ...]:
    generator = "use a generator of your own: np.random.default_rng(seed)"
    words, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - that one is meant
    numpy_state = (words, np.asarray(keys).tobytes(), *rest)
    return (
        ("numpy's global random state", numpy_state, generator),
        ("Python's global random state", random.getstate(), generator),
        ("how numpy treats floating-point errors", np.geterr(), "use 'with np.errstate(...)'"),
        ("the working folder", Path.cwd(), "open files by their whole path"),
    )


def _check_form(answer: object, labeler: Labeler, bars: Bars) -> None:
    if not isinstance(answer, Decisions):
        raise StrategyError(
            f"decide returned {type(answer).__name__} on {bars.stream}, expected Decisions",
            fix="return ffm_core.Decisions(bar=..., side=..., risk=...)",
        )
    if len(answer) and not (answer.bar[0] >= 0 and answer.bar[-1] < len(bars)):
        raise StrategyError(
            f"decide answers for bars {answer.bar[0]} to {answer.bar[-1]} of {bars.stream}, "
            f"which has 0 to {len(bars) - 1}",
            fix="each of Decisions.bar is the index of a bar given to decide",
        )
    declared, given = {column.name for column in labeler.columns}, set(answer.columns)
    if declared != given:
        odd = ", ".join(sorted(declared ^ given))
        raise StrategyError(
            f"declared and returned columns differ in {odd}",
            fix="declare every column of Decisions.columns in Labeler.columns",
        )


def _check_numbers(answer: Decisions, bars: Bars) -> None:
    good: dict[str, Bool] = {}
    if answer.risk is not None:
        good["risk"] = np.isfinite(answer.risk) & (answer.risk >= 0)  # 0 is void, not wrong
    if answer.stop_price is not None:
        good["stop_price"] = np.isfinite(answer.stop_price)
    if answer.target_r is not None:
        good["target_r"] = np.isfinite(answer.target_r) & (answer.target_r >= 1)
    if answer.horizon_bars is not None:
        good["horizon_bars"] = answer.horizon_bars >= 1
    for name, fine in good.items():
        if not fine.all():
            row = int(np.argmin(fine))
            raise StrategyError(
                f"{name} of decision {row} is {getattr(answer, name)[row]} "
                f"(bar {answer.bar[row]} of {bars.stream})",
                fix=_FIXES[name],
            )
