"""Numbers of a run record as text: one place decides signs, digits and the blank."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ffm_core.wording import digits_apart

BLANK = "–"  # en dash: the record holds no value here
_MINUS = "\N{MINUS SIGN}"
_TIED = "\N{NO-BREAK SPACE}"  # keeps a number and its unit on one line


def finite(value: object) -> float | None:
    """Return ``value`` as a finite float, or None where the record holds none.

    Parameters
    ----------
    value : object
        A JSON value; NaN and infinities are stored as null.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def decimal(value: object, digits: int = 2, *, signed: bool = False) -> str:
    """Format a number with fixed digits, a thin thousands comma and a true minus sign."""
    number = finite(value)
    if number is None:
        return BLANK
    if round(number, digits) == 0:
        number = 0.0  # no "-0.00"
    text = f"{number:{'+' if signed and number else ''},.{digits}f}"
    return text.replace("-", _MINUS)


def beside(values: Iterable[object], marks: Iterable[object], digits: int) -> int:
    """Return the digits to show values with that stand beside what they are compared with.

    At least ``digits``; more where rounding would contradict the comparison (0.0304 is no 0.030
    beside a limit of 0.03). Parts that are no number count not.
    """
    measured, compared = ([n for x in group if (n := finite(x)) is not None]
                          for group in (list(values), list(marks)))  # fmt: skip
    return digits_apart(measured, compared, digits)


def mark(value: object, digits: int, wanted: int) -> int:
    """Return the digits of a threshold: from ``digits`` on so many as say it, or ``wanted``."""
    number = finite(value)
    while digits < wanted and number is not None and abs(round(number, digits) - number) > 1e-12:
        digits += 1
    return digits


def r_multiple(value: object, digits: int = 2) -> str:
    """Format a result in R, the risk of one trade: ``+0.21 R``."""
    text = decimal(value, digits, signed=True)
    return text if text == BLANK else f"{text}{_TIED}R"


def count(value: object) -> str:
    """Format a whole number with thousands separators."""
    return decimal(value, 0)


def counted(value: object, noun: str) -> str:
    """Format a whole number and what it counts: ``1 bar``, ``2 bars``."""
    return f"{count(value)} {noun if finite(value) == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the regular plural of an English noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def percent(value: object, digits: int = 0) -> str:
    """Format a share between 0 and 1 as a percentage."""
    number = finite(value)
    return BLANK if number is None else f"{decimal(100.0 * number, digits)}{_TIED}%"


def interval(ends: Sequence[object] | None, digits: int = 2, *, signed: bool = True) -> str:
    """Format both ends of an interval: ``+0.12 to +0.30``; no unit."""
    if not ends or len(ends) != 2 or finite(ends[0]) is None or finite(ends[1]) is None:
        return BLANK
    low, high = (decimal(end, digits, signed=signed) for end in ends)
    return f"{low} to {high}"


def day(value: object) -> str:
    """Return the date part of an ISO date or stamp."""
    return str(value)[:10] if value else BLANK


def minute(value: object) -> str:
    """Return an ISO stamp to the minute, UTC, with a blank between date and time."""
    return str(value)[:16].replace("T", " ") if value else BLANK


def size(value: object, least: int = 0) -> str:
    """Format any number with about three significant digits, for values of unknown unit.

    ``least`` is the number of digits behind the point that it needs at any rate.
    """
    number = finite(value)
    if number is None:
        return BLANK
    if number == round(number):
        return decimal(number, 0)
    if abs(number) >= 1000:
        return decimal(number, least)
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return decimal(number, max(min(digits, 4), least))
