"""What any answer of a plug-in is held to: its kind, its shape, its numbers, its names.

Every refusal reads alike: whose answer it is, what is wrong, at which row, column and bar,
and how to mend it. The rules of each kind of plug-in are in :mod:`.answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ffm_core.errors import StrategyError
from ffm_core.types import Bool, Int64
from ffm_core.wording import stamp_of

if TYPE_CHECKING:
    from ffm_core.bars.table import Bars

T = TypeVar("T")
ONE_ROW_A_BAR = "return NaN rows during warm-up instead of dropping them"


def refused(who: str, problem: str, fix: str) -> StrategyError:
    """Return the error of an answer that breaks a rule; ``who`` may be empty."""
    return StrategyError(f"{who}: {problem}" if who else problem, fix=fix, named=who)


def at_bar(bar: int, bars: Bars | None = None) -> str:
    """Return where a bar is, in words: its number, its open and its stream where they are known."""
    if bars is None:
        return f"at bar {bar}"
    stamp = f" ({stamp_of(int(bars.ts_us[bar]))})" if 0 <= bar < len(bars) else ""
    return f"at bar {bar}{stamp} of {bars.stream}"


def of_kind(who: str, function: str, answer: object, kind: type[T], fix: str) -> T:
    """Return an answer that is of the kind asked for."""
    if not isinstance(answer, kind):
        problem = f"{function} returned {type(answer).__name__}, expected {kind.__name__}"
        raise refused(who, problem, fix)
    return answer


def array_of(
    who: str,
    function: str,
    answer: object,
    kind: Any,
    shape: tuple[int, ...],
    fix: str = ONE_ROW_A_BAR,
) -> np.ndarray[Any, Any]:
    """Return an answer that is an array of exactly one type and shape."""
    wanted = np.dtype(kind).name
    if not isinstance(answer, np.ndarray) or answer.dtype != kind:
        found = answer.dtype if isinstance(answer, np.ndarray) else type(answer).__name__
        raise refused(
            who,
            f"{function} returned {found}, expected a {wanted} array",
            f"return a numpy array with .astype(np.{wanted})",
        )
    if answer.shape != shape:
        raise refused(who, f"{function} returned shape {answer.shape}, expected {shape}", fix)
    return answer


def exactly(value: Any, kind: type[np.generic], name: str) -> np.ndarray[Any, Any]:
    """Return a copy as ``kind``; 2.7 is no bar, and 257 must not become side 1."""
    given = np.asarray(value)
    with np.errstate(invalid="ignore"):
        array = np.array(given, dtype=kind)
    if given.dtype != array.dtype:
        lost = np.flatnonzero((array != given) & (array == array))  # NaN may stay NaN
        if len(lost):
            problem = f"{name} of decision {lost[0]} is {given.flat[lost[0]]}"
            raise refused(
                "",
                f"{problem}, which is no {array.dtype}",
                f"give numbers that {array.dtype} can hold exactly",
            )
    return array


def require_rows(
    name: str, values: np.ndarray[Any, Any], fine: Bool, bar: Int64, rule: str, fix: str,
    *, who: str = "", bars: Bars | None = None,
) -> None:  # fmt: skip
    """Require a rule of every decision's value; the first that breaks it is named."""
    if not fine.all():
        row = int(np.argmin(fine))
        where = at_bar(int(bar[row]), bars)
        raise refused(who, f"{name} of decision {row} is {values[row]} {where}, {rule}", fix)


def require_unique(who: str, what: str, names: Sequence[str]) -> None:
    """Require that names are there, and that no two are the same."""
    odd = next((name for name in names if not name or names.count(name) > 1), None)
    if odd is not None:
        problem = f"declares {what} {odd!r} twice" if odd else f"declares a {what} without a name"
        raise refused(who, problem, f"give every {what} a name of its own")


def first_place(bad: Bool) -> tuple[int, int] | None:
    """Return row and column of the first place marked in a table, or None."""
    if not bad.any():
        return None
    row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return int(row), int(column)


def first_infinite(names: Sequence[str], values: np.ndarray[Any, Any]) -> tuple[str, int] | None:
    """Return column and row of the first infinity in a table, or None."""
    found = first_place(np.isinf(values))
    return None if found is None else (names[found[1]], found[0])
