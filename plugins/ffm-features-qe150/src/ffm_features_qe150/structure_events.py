"""Swings, fair value gaps and changes in state of delivery, one bar at a time.

Each rule is written once, for the bullish side; the bearish side is the same rule
over prices with their signs turned, which makes the two exact mirrors.
"""

from __future__ import annotations

import math

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Float32, Float64, Int64
from ffm_features_qe150.rings import clip, guarded

ORDER = 3  # bars on each side of a swing point
FADE_BARS = 20.0  # an event n bars ago counts exp(−n / 20)

# A side of the swings: cells of the float state and of the integer state.
SWING_F = 2  # last swing price, the one before
SWING_I = 4  # swings seen, bar of the last swing, whether it is broken, bar of the last break
_PRICE, _PRIOR = range(2)
_SEEN, _AT, _BROKEN, _BREAK = range(4)

GAP_F = 2 * 1024  # bottoms, then tops
_GAPS = 1024  # remembered per side
_FAR = 5.0  # ATR that stand for no gap

CISD_F = 4  # open and low of the run, level and extreme of the run that waits
CISD_I = 3  # length of the run, whether one waits, whether the run is that one
_RUN_OPEN, _RUN_LOW, _LEVEL, _EXTREME = range(4)
_LENGTH, _WAITING, _OWN = range(3)
_MIN_RUN = 2


@kernel
def swing_high(
    f: Float64, fa: int, i: Int64, ia: int, highs: Float64, stop: int, sign: float,
    close: float, bar: int,
) -> None:  # fmt: skip
    """Take a bar: confirm a swing high of order 3, then look for its break by the close.

    ``sign`` −1 turns the highs, which are then lows, and makes it a swing low; prices
    in the state carry the sign.
    """
    top = sign * highs[stop - 1 - ORDER]
    is_swing = bar >= 2 * ORDER
    for j in range(2 * ORDER + 1):
        if j != ORDER and not sign * highs[stop - 1 - j] < top:
            is_swing = False
    if is_swing:
        f[fa + _PRIOR] = f[fa + _PRICE]
        f[fa + _PRICE] = top
        i[ia + _SEEN] += 1
        i[ia + _AT] = bar - ORDER
        i[ia + _BROKEN] = 0
    if i[ia + _SEEN] > 0 and i[ia + _BROKEN] == 0 and sign * close > f[fa + _PRICE]:
        i[ia + _BROKEN] = 1
        i[ia + _BREAK] = bar


@kernel
def swing_columns(
    f: Float64, up: int, down: int, i: Int64, up_i: int, down_i: int, close: float, atr: float,
    bar: int, out: Float32, at: int,
) -> None:  # fmt: skip
    """Write seven columns from the state of both sides."""
    highs, lows = i[up_i + _SEEN], i[down_i + _SEEN]
    high, low = f[up + _PRICE], -f[down + _PRICE]
    if highs > 0:
        out[at] = clip(guarded(high - close, atr, np.nan), -20.0, 20.0)
        out[at + 5] = _fade(i[up_i + _BREAK], bar)
    if lows > 0:
        out[at + 1] = clip(guarded(close - low, atr, np.nan), -20.0, 20.0)
        out[at + 6] = _fade(i[down_i + _BREAK], bar)
    if highs > 1 and lows > 1:
        higher, lower = f[up + _PRIOR], -f[down + _PRIOR]
        rising = 1.0 if high > higher and low > lower else 0.0
        out[at + 2] = rising - (1.0 if high < higher and low < lower else 0.0)
    if highs > 0 and lows > 0:
        side = np.sign(float(i[up_i + _AT] - i[down_i + _AT]))
        out[at + 3] = side * guarded(high - low, atr, 0.0)
        end, begin = (high, low) if side > 0.0 else (low, high)
        if side != 0.0:
            out[at + 4] = clip(guarded(end - close, end - begin, np.nan), -1.0, 2.0)


@kernel
def _fade(event_bar: int, bar: int) -> float:
    return math.exp((event_bar - bar) / FADE_BARS) if event_bar >= 0 else 0.0


@kernel
def gap_below(
    f: Float64, fa: int, i: Int64, ia: int, edge: float, low: float, close: float, atr: float
) -> float:
    """Take a bar; return the distance to the nearest unfilled bullish gap, in ATR.

    ``edge`` is the high two bars ago. ``i[ia]`` counts the gaps kept, bottoms in order.
    Only gaps that can ever be the nearest are kept: of two, the one that lies lower
    and is filled later stays only if its top is lower too, else it hides the other.
    So tops ascend with bottoms, bars fill gaps from the end, and the last one kept is
    the nearest. Beyond 1,024 the deepest is forgotten.
    """
    count = i[ia]
    while count > 0 and f[fa + count - 1] >= low:
        count -= 1
    if low > edge:
        count = _insert_gap(f, fa, count, edge, low)
    i[ia] = count
    if count == 0:
        return _FAR
    away = max(close - f[fa + _GAPS + count - 1], 0.0)
    return 0.0 if away == 0.0 else min(guarded(away, atr, _FAR), _FAR)


@kernel
def _insert_gap(f: Float64, fa: int, count: int, bottom: float, top: float) -> int:
    place = count
    while place > 0 and f[fa + place - 1] > bottom:
        place -= 1
    if place > 0 and f[fa + _GAPS + place - 1] >= top:
        return count  # hidden by a gap that is nearer and lasts longer
    stop = place
    while stop < count and f[fa + _GAPS + stop] <= top:
        stop += 1  # hidden by the new gap
    if place > 0 and f[fa + place - 1] == bottom:
        place -= 1
    if count == _GAPS and stop == place:
        if place == 0:
            return count  # the new one is the deepest
        _move(f, fa, 1, count, -1)
        place, stop, count = place - 1, stop - 1, count - 1
    _move(f, fa, stop, count, place + 1 - stop)
    f[fa + place] = bottom
    f[fa + _GAPS + place] = top
    return count + place + 1 - stop


@kernel
def _move(f: Float64, fa: int, first: int, stop: int, by: int) -> None:
    """Move the gaps from ``first`` to before ``stop`` by so many places."""
    if by == 0:
        return
    for step in range(stop - first):
        j = fa + (stop - 1 - step if by > 0 else first + step)
        f[j + by] = f[j]
        f[j + by + _GAPS] = f[j + _GAPS]


@kernel
def delivery_turn(
    f: Float64, fa: int, i: Int64, ia: int, open_: float, low: float, close: float
) -> bool:
    """Take a bar; return whether it closes above the open of the falling run that waits.

    A run of two or more falling bodies waits; a later run takes its place only with a
    lower low. The bar that turns delivery belongs to no run, and each run turns once.
    """
    if i[ia + _WAITING] == 1 and close > f[fa + _LEVEL]:
        i[ia + _WAITING] = 0
        i[ia + _LENGTH] = 0
        return True
    if close >= open_:
        i[ia + _LENGTH] = 0
        return False
    if i[ia + _LENGTH] == 0:
        f[fa + _RUN_OPEN] = open_
        f[fa + _RUN_LOW] = low
        i[ia + _OWN] = 0
    i[ia + _LENGTH] += 1
    f[fa + _RUN_LOW] = min(f[fa + _RUN_LOW], low)
    if i[ia + _LENGTH] < _MIN_RUN or close > f[fa + _RUN_OPEN]:
        return False
    stale = f[fa + _RUN_LOW] >= f[fa + _EXTREME]
    if i[ia + _WAITING] == 1 and i[ia + _OWN] == 0 and stale:
        return False
    i[ia + _WAITING] = 1
    i[ia + _OWN] = 1
    f[fa + _LEVEL] = f[fa + _RUN_OPEN]
    f[fa + _EXTREME] = f[fa + _RUN_LOW]
    return False
