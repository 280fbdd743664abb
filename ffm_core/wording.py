"""Words that messages share: plurals, and the nearest of some known names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

_MOST_DIGITS = 10


def counted(n: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: ``1 bar``, ``1,204 bars``; ``many`` is an odd plural."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known words, nothing without one."""
    near = get_close_matches(word, list(known), n=most, cutoff=cutoff)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


def suggest(name: str, known: Iterable[str], *, noun: str, otherwise: str = "") -> str:
    """Return a fix for a name that does not exist.

    Parameters
    ----------
    name : str
        What was typed.
    known : iterable of str
        Names that do exist.
    noun : str
        What they are, in the plural.
    otherwise : str
        The fix when there is not a single known name.
    """
    names = sorted(set(known))
    near = get_close_matches(name.lower(), names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if names:
        return f"{noun}: {', '.join(names)}"
    return otherwise or f"there are no {noun} here"


def digits_apart(values: Iterable[float], marks: Iterable[float], digits: int) -> int:
    """Return how many digits show every value on its own side of every mark.

    Rounded to fewer, a value could look like the limit it misses, or lie beyond it.

    Parameters
    ----------
    values, marks : iterable of float
        What was measured, and what it is compared with; those that are not finite count not.
    digits : int
        At least so many.
    """
    pairs = [(v, m) for v in values for m in marks if math.isfinite(v) and math.isfinite(m)]
    sides = [0 if math.isclose(v, m, rel_tol=1e-9, abs_tol=1e-9) else (v > m) - (v < m)
             for v, m in pairs]  # fmt: skip
    while digits < _MOST_DIGITS and any(
        (round(v, digits) > round(m, digits)) - (round(v, digits) < round(m, digits)) != side
        for (v, m), side in zip(pairs, sides, strict=True)
    ):
        digits += 1
    return digits


def stamp_of(t_us: int) -> str:
    """Return microseconds since 1970 as a UTC stamp to the second."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(t_us))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def span_words(low: float, high: float) -> str:
    """Say which numbers are allowed, without naming an infinite end."""
    if math.isinf(low) and math.isinf(high):
        return "give a finite number"
    if math.isinf(high):
        return f"give {low:g} or more"
    return f"give {high:g} or less" if math.isinf(low) else f"stay between {low:g} and {high:g}"
