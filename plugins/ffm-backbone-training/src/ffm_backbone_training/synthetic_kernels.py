"""Kernels of the synthetic corpus: price paths from uniform and normal draws."""

from __future__ import annotations

import math

import numpy as np

from ffm_core.jit import kernel
from ffm_core.types import Float64


@kernel
def price_path(
    z: Float64, u: Float64, w: Float64, clock: Float64, opens: Float64, how: Float64, out: Float64
) -> None:
    """Walk one log price whose volatility has a clock, memory, regimes and jumps.

    Parameters
    ----------
    z : float64 (T,)
        Standardised innovations of the return.
    u : float64 (T, 3)
        Uniform draws: regime switch, jump, dead tape.
    w : float64 (T, 3)
        Normal draws: fast volatility, slow volatility, size of a jump.
    clock : float64 (T,)
        Log volatility by time of day.
    opens : float64 (T,)
        Standard deviation of the gap before each bar, in bars' standard deviations; 0
        within a session.
    how : float64 (14,)
        Settings of the path, in the order of :data:`.synthetic.PATH_SETTINGS`.
    out : float64 (T,)
        Filled with log prices that start near 0, per unit of a bar's volatility.
    """
    fast_keep, fast_size, slow_keep, slow_size = how[0], how[1], how[2], how[3]
    switch, spread, jump_rate, jump_size = how[4], how[5], how[6], how[7]
    echo, pull, drift, bounce, tick, dead = how[8], how[9], how[10], how[11], how[12], how[13]
    fast, slow = fast_size * w[0, 0], slow_size * w[0, 1]
    fast_step = fast_size * math.sqrt(1.0 - fast_keep * fast_keep)
    slow_step = slow_size * math.sqrt(1.0 - slow_keep * slow_keep)
    regime = 1.0 if u[0, 0] < 0.5 else -1.0
    excited, price, last, still = 0.0, 0.0, 0.0, 0.0
    for t in range(len(z)):
        fast = fast_keep * fast + fast_step * w[t, 0]
        slow = slow_keep * slow + slow_step * w[t, 1]
        if u[t, 0] < switch:
            regime = -regime
        sigma = math.exp(min(fast + slow + spread * regime + excited + clock[t], 3.5))
        step = sigma * (z[t] + drift * regime) + pull * last
        if u[t, 1] < jump_rate:
            step += sigma * jump_size * w[t, 2]
        step += opens[t] * z[t]
        surprise = abs(step) / sigma
        excited = 0.9 * excited + echo * max(surprise - 1.0, 0.0) * 0.1
        if still > 0.0:
            still -= 1.0
            step = 0.0
        elif u[t, 2] < dead:
            still = 1.0 + 20.0 * u[t, 0]
        price += step
        last = step
        shown = price + bounce * (1.0 if u[t, 1] < 0.5 else -1.0)
        out[t] = round(shown / tick) * tick if tick > 0.0 else shown


@kernel
def smoothed(noise: Float64, level: float, trend: float, out: Float64) -> None:
    """Write an exponential-smoothing path (level and damped trend) driven by ``noise``."""
    position, slope = 0.0, 0.0
    for t in range(len(noise)):
        slope = 0.98 * slope + trend * noise[t]
        out[t] = position + slope + noise[t]
        position += slope + level * noise[t]


def standard_t(rng: np.random.Generator, df: float, size: int) -> Float64:
    """Return Student-t draws of unit variance, float64 (size,)."""
    return rng.standard_t(df, size) * math.sqrt((df - 2.0) / df)
