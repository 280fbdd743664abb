"""The step kernel of ``ffm68``: one bar in, 68 values out."""

from __future__ import annotations

from ffm_core.features.borrowed import borrowed
from ffm_core.features.clock import remembered_wall_us
from ffm_core.features.ffm68.candles import write_candles
from ffm_core.features.ffm68.layout import (
    BAR_US,
    EXCHANGE_CLOCK,
    EXCHANGE_TABLE,
    EXPIRY,
    LENGTH_US,
    LONGER,
    LONGER_I,
    LONGER_I_SIZE,
    LONGER_SIZE,
    SEEN,
    SHIFT_US,
)
from ffm_core.features.ffm68.levels import write_session, write_structure, write_vwap
from ffm_core.features.ffm68.longer import follow, write_context, write_sweeps
from ffm_core.features.ffm68.recent import (
    inverse,
    remember,
    write_anatomy,
    write_flow,
    write_returns,
    write_volatility,
    write_volume,
)
from ffm_core.features.windows import ratio
from ffm_core.jit import inlined, kernel
from ffm_core.types import Float32, Float64, Int64


@kernel
def step(
    ts: int,
    o: float,
    h: float,
    l: float,  # noqa: E741
    c: float,
    v: float,
    f: Float64,
    i: Int64,
    k: Float64,
    n: Int64,
    out: Float32,
    at: int,
) -> None:
    """Take one bar; see :class:`~ffm_core.features.steps.Program`."""
    f, i, k, n, out = borrowed(f), borrowed(i), borrowed(k), borrowed(n), borrowed(out)
    bar = i[SEEN]
    i[SEEN] = bar + 1
    clock = remembered_wall_us(ts, n, n[EXCHANGE_TABLE], i, EXCHANGE_CLOCK) + n[SHIFT_US]
    place = ratio(c - l, h - l, 0.5)
    atr = remember(h, l, c, v, place, f, bar)
    per_atr = inverse(atr)
    share = write_anatomy(o, h, l, c, per_atr, out, at)
    momentum = write_returns(o, c, per_atr, f, bar, out, at + 8)
    short = write_volume(v, place, f, bar, out, at + 16)
    write_volatility(h - l, atr, f, bar, out, at + 22)
    new_date = write_vwap(clock, h, l, c, v, per_atr, f, i, out, at + 32)
    write_session(ts, o, h, l, c, per_atr, new_date, f, i, k, n, out, at + 28, at + 56)
    write_structure(c, per_atr, f, bar, out, at + 33)
    _follow_all(clock, o, h, l, c, f, i, n)
    write_sweeps(f, i, n, out, at + 42)
    write_candles(o, h, l, c, f, i, bar, out, at + 52)
    write_context(c, per_atr, f, i, out, at + 57)
    write_flow(share, short, momentum, f, bar, out, at + 64)


@inlined
def _follow_all(
    clock: int, o: float, h: float, low: float, c: float, f: Float64, i: Int64, n: Int64
) -> None:
    for k in range(3):
        own, state = LONGER + k * LONGER_SIZE, LONGER_I + k * LONGER_I_SIZE
        follow(clock, o, h, low, c, f, own, i, state, n[LENGTH_US + k], n[BAR_US], n[EXPIRY + k])
