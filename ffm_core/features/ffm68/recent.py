"""Columns of the last bars: anatomy, returns, volume, volatility, order flow."""

from __future__ import annotations

import math

from ffm_core.features.ffm68.layout import (
    ATR,
    ATR_32,
    ATR_SPREAD,
    ATR_SPREAD_32,
    CLOSE,
    HIGH,
    LOW,
    MOMENTUM,
    MOVE,
    RANGE,
    RETURN,
    RETURN_SPREAD,
    SIGNED,
    TRUE_RANGE,
    VOLUME,
    WIDTH,
)
from ffm_core.features.windows import (
    between,
    clip,
    push_highest,
    push_lowest,
    push_spreads,
    push_sums,
    ratio,
    row,
    sd10,
    sd14,
    sd20,
    sign,
    sum5,
    sum10,
    sum14,
    sum20,
)
from ffm_core.jit import inlined, kernel
from ffm_core.types import Float32, Float64

_EQUAL = 1e-9  # values nearer to one another than this share of their mean are equal
_TINY = 1e-300  # an ATR no larger is 0, so that its inverse is finite


@kernel
def inverse(atr: float) -> float:
    """Return ``1/A``, 0 where ``A`` is 0, NaN where it is NaN."""
    return 0.0 if atr <= _TINY else 1.0 / atr


@inlined
def remember(h: float, low: float, c: float, v: float, p: float, f: Float64, bar: int) -> float:
    """Write the bar into the ring and return its ATR; ``p`` is the place of the close."""
    before = f[row(bar, 1, WIDTH) + CLOSE]
    true_range = h - low
    if bar > 0:
        true_range = max(true_range, abs(h - before), abs(low - before))
    push_sums(f, bar, WIDTH, TRUE_RANGE, true_range)
    atr = sum14(f, bar, WIDTH, TRUE_RANGE) / 14
    push_sums(f, bar, WIDTH, RANGE, h - low)
    push_sums(f, bar, WIDTH, VOLUME, v)
    push_sums(f, bar, WIDTH, SIGNED, (p - 0.5) * v)
    push_sums(f, bar, WIDTH, MOVE, (c - before) * inverse(atr))
    push_sums(f, bar, WIDTH, RETURN, c / before - 1.0)
    push_spreads(f, bar, WIDTH, RETURN, RETURN_SPREAD)
    _remember_atr(atr, f, bar)
    push_highest(f, bar, WIDTH, HIGH, h)
    push_lowest(f, bar, WIDTH, LOW, low)
    f[row(bar, 0, WIDTH) + CLOSE] = c
    return atr


@kernel
def _remember_atr(atr: float, f: Float64, bar: int) -> None:
    push_sums(f, bar, WIDTH, ATR, atr)
    push_spreads(f, bar, WIDTH, ATR, ATR_SPREAD)
    now, before = row(bar, 0, WIDTH), row(bar, 16, WIDTH)
    newer, older = f[now + ATR + 4], f[before + ATR + 4]
    inside = f[now + ATR_SPREAD + 3] + f[before + ATR_SPREAD + 3]
    f[now + ATR_32] = newer + older
    f[now + ATR_SPREAD_32] = inside + (newer - older) * (newer - older) / 32


@inlined
def write_anatomy(
    o: float, h: float, low: float, c: float, per_atr: float, out: Float32, at: int
) -> float:
    """Write columns 1 to 8 and return the share of the body in the range."""
    span, body = h - low, c - o
    upper, lower = h - max(o, c), min(o, c) - low
    share = ratio(abs(body), span, 0.0)
    out[at] = span * per_atr
    out[at + 1] = body * per_atr
    out[at + 2] = upper * per_atr
    out[at + 3] = lower * per_atr
    out[at + 4] = share
    out[at + 5] = ratio(upper, span, 0.0)
    out[at + 6] = ratio(lower, span, 0.0)
    out[at + 7] = sign(body)
    return share


@inlined
def write_returns(
    o: float, c: float, per_atr: float, f: Float64, bar: int, out: Float32, at: int
) -> float:
    """Write columns 9 to 16 and return the momentum of 5 bars."""
    out[at] = (c - f[row(bar, 1, WIDTH) + CLOSE]) * per_atr
    out[at + 1] = (c - f[row(bar, 3, WIDTH) + CLOSE]) * per_atr
    out[at + 2] = (c - f[row(bar, 5, WIDTH) + CLOSE]) * per_atr
    out[at + 3] = clip((c - o) * inverse(f[row(bar, 1, WIDTH) + ATR]), -20.0, 20.0)
    momentum = sum5(f, bar, WIDTH, MOVE)
    f[row(bar, 0, WIDTH) + MOMENTUM] = momentum
    out[at + 4] = momentum
    out[at + 5] = sum10(f, bar, WIDTH, MOVE)
    out[at + 6] = sum20(f, bar, WIDTH, MOVE)
    out[at + 7] = momentum - f[row(bar, 5, WIDTH) + MOMENTUM]
    return float(momentum)


@inlined
def write_volume(v: float, p: float, f: Float64, bar: int, out: Float32, at: int) -> float:
    """Write columns 17 to 22 and return the volume against its mean of 5."""
    short = ratio(v * 5, sum5(f, bar, WIDTH, VOLUME), 1.0)
    total = sum20(f, bar, WIDTH, VOLUME)
    out[at] = short
    out[at + 1] = ratio(v * 10, sum10(f, bar, WIDTH, VOLUME), 1.0)
    out[at + 2] = ratio(v * 20, total, 1.0)
    change = math.log((v + 1.0) / (f[row(bar, 1, WIDTH) + VOLUME] + 1.0))
    out[at + 3] = clip(change, -5.0, 5.0)
    out[at + 4] = p
    out[at + 5] = ratio((p - 0.5) * v * 20, total, 0.0)
    return short


@inlined
def write_volatility(span: float, atr: float, f: Float64, bar: int, out: Float32, at: int) -> None:
    """Write columns 23 to 28."""
    now, then, long_ago = row(bar, 0, WIDTH), row(bar, 2, WIDTH), row(bar, 18, WIDTH)
    a, b, c = f[now + ATR + 1], f[then + ATR + 4], f[long_ago + ATR_32]
    mean = (a + (b + c)) / 50
    inside = f[now + ATR_SPREAD] + f[then + ATR_SPREAD + 3] + f[long_ago + ATR_SPREAD_32]
    sd = math.sqrt((inside + between(a / 2, 2, b / 16, 16, c / 32, 32)) / 49)
    out[at] = 0.0 if sd <= _EQUAL * mean else (atr - mean) / sd
    out[at + 1] = ratio(span * 5, sum5(f, bar, WIDTH, RANGE), 1.0)
    out[at + 2] = ratio(span * 20, sum20(f, bar, WIDTH, RANGE), 1.0)
    out[at + 3] = ratio(sd14(f, bar, WIDTH, ATR, ATR_SPREAD) * 14, sum14(f, bar, WIDTH, ATR), 0.0)
    out[at + 4] = sd10(f, bar, WIDTH, RETURN, RETURN_SPREAD)
    out[at + 5] = sd20(f, bar, WIDTH, RETURN, RETURN_SPREAD)


@inlined
def write_flow(
    share: float, short: float, momentum: float, f: Float64, bar: int, out: Float32, at: int
) -> None:
    """Write columns 65 to 68 from the body's share, volume ratio and momentum of 5."""
    out[at] = clip(ratio(sum5(f, bar, WIDTH, SIGNED), sum5(f, bar, WIDTH, VOLUME), 0.0), -0.5, 0.5)
    long = ratio(sum20(f, bar, WIDTH, SIGNED), sum20(f, bar, WIDTH, VOLUME), 0.0)
    out[at + 1] = clip(long, -0.5, 0.5)
    out[at + 2] = clip(short * (1.0 - share), 0.0, 5.0)
    side = momentum * 0.0 if abs(momentum) <= _EQUAL else sign(momentum)
    out[at + 3] = clip(side * (short - 1.0), -3.0, 3.0)
