"""Window sums, spreads and extremes of step kernels, from blocks of 1, 2, 4, 8 … bars.

A ring of rows in ``f`` keeps the last 32 bars, one row of ``width`` values each. Of a
series it holds the value and the sums over its last 2, 4, 8 and 16 values: a sum over
2n values is the sum over the last n plus what that sum was n bars ago. Any window is
then a few blocks side by side: 20 values are the last 4 and the 16 before them.

So a window costs a handful of additions, and yet no running total: its value depends
on the values in it, in an order that is always the same, and on nothing before them.
A row that was never written is NaN, and so is every window that reaches it.
"""

from __future__ import annotations

import math

from ffm_core.jit import inlined, kernel
from ffm_core.types import Float64

ROWS = 32  # bars in the ring; no window of blocks looks up a row further back
LEVELS = 5  # sums over 1, 2, 4, 8, 16 values
SPREADS = 4  # squared deviations within 2, 4, 8, 16 values


@inlined
def row(bar: int, back: int, width: int) -> int:
    """Return where in the ring the row of ``back`` bars before ``bar`` begins."""
    return ((bar - back) & 31) * width


@kernel
def push_sums(f: Float64, bar: int, width: int, at: int, value: float) -> None:
    """Write a value and its sums over 2, 4, 8, 16 into columns ``at … at + 4``."""
    now = row(bar, 0, width) + at
    two = value + f[row(bar, 1, width) + at]
    four = two + f[row(bar, 2, width) + at + 1]
    eight = four + f[row(bar, 4, width) + at + 2]
    f[now] = value
    f[now + 1] = two
    f[now + 2] = four
    f[now + 3] = eight
    f[now + 4] = eight + f[row(bar, 8, width) + at + 3]


@kernel
def sum5(f: Float64, bar: int, width: int, at: int) -> float:
    """Return the sum of the last 5 values of the series at column ``at``."""
    return float(f[row(bar, 0, width) + at] + f[row(bar, 1, width) + at + 2])


@kernel
def sum10(f: Float64, bar: int, width: int, at: int) -> float:
    """Return the sum of the last 10 values of the series at column ``at``."""
    return float(f[row(bar, 0, width) + at + 1] + f[row(bar, 2, width) + at + 3])


@kernel
def sum14(f: Float64, bar: int, width: int, at: int) -> float:
    """Return the sum of the last 14 values of the series at column ``at``."""
    older = f[row(bar, 2, width) + at + 2] + f[row(bar, 6, width) + at + 3]
    return float(f[row(bar, 0, width) + at + 1] + older)


@kernel
def sum20(f: Float64, bar: int, width: int, at: int) -> float:
    """Return the sum of the last 20 values of the series at column ``at``."""
    return float(f[row(bar, 0, width) + at + 2] + f[row(bar, 4, width) + at + 4])


@kernel
def push_spreads(f: Float64, bar: int, width: int, at: int, spread: int) -> None:
    """Write squared deviations within the last 2, 4, 8, 16 values of a series.

    They go to columns ``spread … spread + 3``; the sums of the series at ``at`` are
    there already. Two blocks of n values with sums a and b deviate together by what
    each does plus ``(a − b)²/2n``: nothing cancels, and equal values give exactly 0.
    """
    now = row(bar, 0, width)
    size = 1
    inside = 0.0
    for level in range(SPREADS):
        before = row(bar, size, width)
        gap = f[now + at + level] - f[before + at + level]
        older = f[before + spread + level - 1] if level > 0 else 0.0
        inside = inside + older + gap * gap / (2 * size)
        f[now + spread + level] = inside
        size *= 2


@kernel
def sd10(f: Float64, bar: int, width: int, at: int, spread: int) -> float:
    """Return the sample SD of the last 10 values: the last 2 and the 8 before them."""
    now, then = row(bar, 0, width), row(bar, 2, width)
    gap = f[now + at + 1] / 2 - f[then + at + 3] / 8
    return math.sqrt((f[now + spread] + f[then + spread + 2] + gap * gap * 1.6) / 9)


@kernel
def sd14(f: Float64, bar: int, width: int, at: int, spread: int) -> float:
    """Return the sample SD of the last 14 values: the last 2, 4 and 8 before them."""
    now, then, long_ago = row(bar, 0, width), row(bar, 2, width), row(bar, 6, width)
    a, b, c = f[now + at + 1] / 2, f[then + at + 2] / 4, f[long_ago + at + 3] / 8
    inside = f[now + spread] + f[then + spread + 1] + f[long_ago + spread + 2]
    return math.sqrt((inside + between(a, 2, b, 4, c, 8)) / 13)


@kernel
def sd20(f: Float64, bar: int, width: int, at: int, spread: int) -> float:
    """Return the sample SD of the last 20 values: the last 4 and the 16 before them."""
    now, then = row(bar, 0, width), row(bar, 4, width)
    gap = f[now + at + 2] / 4 - f[then + at + 4] / 16
    return math.sqrt((f[now + spread + 1] + f[then + spread + 3] + gap * gap * 3.2) / 19)


@kernel
def between(a: float, of_a: int, b: float, of_b: int, c: float, of_c: int) -> float:
    """Return how far three means deviate from their common mean, squared and weighted."""
    ab, ac, bc = a - b, a - c, b - c
    total = of_a * of_b * ab * ab + of_a * of_c * ac * ac + of_b * of_c * bc * bc
    return total / (of_a + of_b + of_c)


@kernel
def higher(newer: float, older: float) -> float:
    """Return the larger of two values, NaN where the older one is NaN."""
    return newer if newer > older else older


@kernel
def lower(newer: float, older: float) -> float:
    """Return the smaller of two values, NaN where the older one is NaN."""
    return newer if newer < older else older


@kernel
def push_highest(f: Float64, bar: int, width: int, at: int, value: float) -> float:
    """Write the highest of the last 1, 2, 4, 8 and 10 values into ``at … at + 4``.

    Returns
    -------
    float
        The highest of the last 10, NaN until there are ten.
    """
    now = row(bar, 0, width) + at
    two = higher(value, f[row(bar, 1, width) + at])
    four = higher(two, f[row(bar, 2, width) + at + 1])
    eight = higher(four, f[row(bar, 4, width) + at + 2])
    ten = higher(eight, f[row(bar, 2, width) + at + 3])
    f[now] = value
    f[now + 1] = two
    f[now + 2] = four
    f[now + 3] = eight
    f[now + 4] = ten
    return ten


@kernel
def push_lowest(f: Float64, bar: int, width: int, at: int, value: float) -> float:
    """Write the lowest of the last 1, 2, 4, 8 and 10 values; see :func:`push_highest`."""
    now = row(bar, 0, width) + at
    two = lower(value, f[row(bar, 1, width) + at])
    four = lower(two, f[row(bar, 2, width) + at + 1])
    eight = lower(four, f[row(bar, 4, width) + at + 2])
    ten = lower(eight, f[row(bar, 2, width) + at + 3])
    f[now] = value
    f[now + 1] = two
    f[now + 2] = four
    f[now + 3] = eight
    f[now + 4] = ten
    return ten


@kernel
def sign(value: float) -> float:
    """Return −1, 0 or 1, and NaN for NaN."""
    if value > 0.0:
        return 1.0
    return -1.0 if value < 0.0 else value * 0.0


@kernel
def clip(value: float, low: float, high: float) -> float:
    """Return the value within bounds; NaN stays NaN."""
    return low if value < low else (high if value > high else value)


@kernel
def ratio(value: float, by: float, neutral: float) -> float:
    """Return ``value/by``, or ``neutral`` where ``by`` is 0; NaN stays NaN."""
    return neutral if by == 0.0 else value / by
