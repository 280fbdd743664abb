"""Kernels of the simulated market: a walk of single ticks, so no barrier is jumped.

Every price change is a sum of fair ±1-tick steps whose **number** is drawn from an
independent volatility path. The price is then an exact martingale between rolls:
whatever stop, target or exit rule is used, gross results average zero, because no
single step can carry the price past a level that lies on the tick grid.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ffm_core.jit import kernel
from ffm_core.types import Bool, Float64, Int64

UInt64: TypeAlias = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_ONE, _BYTE, _EIGHT = np.uint64(1), np.uint64(0xFF), np.uint64(8)


@kernel
def next_word(state: UInt64) -> np.uint64:
    """Return 64 random bits and advance ``state`` (one element; SplitMix64)."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    word: np.uint64 = z ^ (z >> _S31)
    return word


@kernel
def byte_table() -> Int64:
    """Tabulate eight steps at a time: sum, highest and lowest prefix per byte, (256, 3)."""
    table = np.zeros((256, 3), dtype=np.int64)
    for byte in range(256):
        position = 0
        for bit in range(8):
            position += 1 if (byte >> bit) & 1 else -1
            table[byte, 1] = max(table[byte, 1], position)
            table[byte, 2] = min(table[byte, 2], position)
        table[byte, 0] = position
    return table


@kernel
def fair_walk(steps: int, state: UInt64, table: Int64, out: Int64) -> None:
    """Walk ``steps`` fair ±1 steps from 0; ``out`` gets end, highest, lowest (3,)."""
    position, high, low = 0, 0, 0
    left = steps
    while left > 0:
        word = next_word(state)
        for _ in range(8):
            if left >= 8:
                byte = np.int64(word & _BYTE)
                high = max(high, position + table[byte, 1])
                low = min(low, position + table[byte, 2])
                position += table[byte, 0]
                word >>= _EIGHT
                left -= 8
                continue
            while left > 0:
                position += 1 if word & _ONE else -1
                word >>= _ONE
                high = max(high, position)
                low = min(low, position)
                left -= 1
            break
    out[0], out[1], out[2] = position, high, low


@kernel
def scaled(steps: float, level: float, ceiling: int) -> int:
    """Scale steps by the price level squared, so that volatility in percent stays put."""
    return int(min(steps * level * level, ceiling))


@kernel
def free_bars(
    start: int, inside: Float64, before: Float64, roll: Float64, first: Bool, state: UInt64
) -> Int64:
    """Walk a whole market; return open, high, low, close in ticks, shape (T, 4).

    Parameters
    ----------
    start : int
        First price in ticks.
    inside, before : float64 (T,)
        Steps within each bar and in the gap before its open, at the first price level.
    roll : float64 (T,)
        Step to the next contract before the open, as a fraction of the price.
    first : bool (T,)
        First bar of a session: the price level that scales volatility is renewed there.
    state : uint64 (1,)
        Random state, advanced in place.
    """
    table = byte_table()
    walked = np.zeros(3, dtype=np.int64)
    out = np.empty((len(inside), 4), dtype=np.int64)
    price, level = start, 1.0
    for t in range(len(inside)):
        if first[t]:
            level = price / start
        fair_walk(scaled(before[t], level, price - 1), state, table, walked)
        price += walked[0] + int(np.rint(roll[t] * price))
        fair_walk(scaled(inside[t], level, price - 1), state, table, walked)
        out[t, 0] = price
        out[t, 1] = price + walked[1]
        out[t, 2] = price + walked[2]
        price += walked[0]
        out[t, 3] = price
    return out


@kernel
def autoregression(noise: Float64, memory: float) -> Float64:
    """Return a stationary AR(1) of unit variance driven by unit ``noise``, (T,)."""
    out = np.empty(len(noise))
    scale = np.sqrt(1.0 - memory * memory)
    value = 0.0
    for t in range(len(noise)):
        value = noise[t] if t == 0 else memory * value + scale * noise[t]
        out[t] = value
    return out
