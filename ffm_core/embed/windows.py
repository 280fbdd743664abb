"""Windows of bars: the last closes before a decision, normalised in float64.

A window ends at its decision bar and holds nothing later. Log closes are centred on the
last one and divided by their standard deviation before they are cast to float32, so a
quiet market at 20,000 points loses no digit and a roll ratio changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ffm_core.bars.sessions import lost_sessions
from ffm_core.bars.table import Bars
from ffm_core.embed.recipe import CONTEXT_BARS
from ffm_core.errors import ConfigError
from ffm_core.jit import kernel
from ffm_core.types import Bool, Float32, Float64, Int8, Int64

# Why a window is no use; codes are stored as int8.
FLAWS = ("none", "short", "price", "constant", "hole", "roll")
POLICY = ("hole", "roll")  # flaws that are masked unless a policy says otherwise
RETURN_SHAPE = (
    "return_mean", "return_std", "return_skew", "sign_balance", "autocorr_1", "autocorr_2",
    "autocorr_3",
)  # fmt: skip
_OK, _SHORT, _PRICE, _CONSTANT, _HOLE, _ROLL = range(len(FLAWS))
_LEAST = 1e-12  # standard deviation of log closes below which a window is constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of one stream; ``N`` rows.

    Parameters
    ----------
    values : float32 (N, context)
        Log closes with mean 0 and standard deviation 1; 0 where a row is unusable.
    scale : float64 (N,)
        Standard deviation of the log closes, NaN where a row is unusable.
    shape : float64 (N, 7)
        Return-shape scalars, see :data:`RETURN_SHAPE`; NaN where a row is unusable.
    flaw : int8 (N,)
        Index into :data:`FLAWS`.
    """

    values: Float32
    scale: Float64
    shape: Float64
    flaw: Int8

    def __len__(self) -> int:
        return len(self.flaw)

    @property
    def usable(self) -> Bool:
        """Rows that may be embedded."""
        return np.asarray(self.flaw == _OK)

    def counts(self) -> dict[str, int]:
        """Return how many rows have each flaw; flaws nothing has are left out."""
        found = np.bincount(self.flaw, minlength=len(FLAWS))
        return {name: int(n) for name, n in zip(FLAWS, found, strict=True) if n and name != "none"}


def windows_at(
    bars: Bars,
    at: Int64,
    *,
    context_bars: int = CONTEXT_BARS,
    masked: Collection[str] = POLICY,
) -> Windows:
    """Return the windows that end at some bars.

    Parameters
    ----------
    bars : Bars
        The stream, ``T`` bars.
    at : int64 (N,)
        Index of the last bar of each window, from 0 to ``T - 1``.
    context_bars : int
        Bars of a window.
    masked : collection of str
        Of ``hole`` and ``roll``: windows across a hole of a session or longer, or
        across a change of contract, are unusable. The others always are.

    Raises
    ------
    ConfigError
        When a bar lies outside the stream or the policy names no flaw.
    """
    at = np.ascontiguousarray(at, dtype=np.int64)
    if len(at) and not 0 <= int(at.min()) <= int(at.max()) < len(bars):
        raise ConfigError(
            f"windows end at bars {int(at.min())} to {int(at.max())} of {len(bars)}",
            fix=f"give bars from 0 to {len(bars) - 1}",
        )
    odd = sorted(set(masked) - {"hole", "roll"})
    if odd:
        raise ConfigError(
            f"{odd[0]!r} is not a flaw that can be masked", fix="mask hole, roll, both or none"
        )
    nothing = np.zeros(0, dtype=np.int64)
    rolled = bars.rolls if "roll" in masked else nothing
    broken = lost_sessions(bars) if "hole" in masked else nothing
    values = np.zeros((len(at), context_bars), dtype=np.float32)
    scale = np.full(len(at), np.nan)
    shape = np.full((len(at), len(RETURN_SHAPE)), np.nan)
    flaw = np.zeros(len(at), dtype=np.int8)
    _fill(bars.close, at, broken, rolled, values, scale, shape, flaw)
    return Windows(values=values, scale=scale, shape=shape, flaw=flaw)


@kernel
def _fill(
    close: Float64, at: Int64, broken: Int64, rolled: Int64,
    values: Float32, scale: Float64, shape: Float64, flaw: Int8,
) -> None:  # fmt: skip
    """Fill the rows one by one, each from its own bars alone."""
    context = values.shape[1]
    row = np.empty(context)
    for i in range(len(at)):
        last, first = at[i], at[i] - context + 1
        if first < 0:
            flaw[i] = _SHORT
            continue
        if not math.isfinite(close[last]) or close[last] <= 0.0:
            flaw[i] = _PRICE
            continue
        base = math.log(close[last])
        total, good = 0.0, True
        for j in range(context):
            price = close[first + j]
            if not (price > 0.0 and math.isfinite(price)):
                good = False
                break
            row[j] = math.log(price) - base
            total += row[j]
        if not good:
            flaw[i] = _PRICE
            continue
        mean, spread = total / context, 0.0
        for j in range(context):
            spread += (row[j] - mean) * (row[j] - mean)
        deviation = math.sqrt(spread / context)
        if deviation < _LEAST:
            flaw[i] = _CONSTANT
        elif len(broken) and broken[last] != broken[first]:
            flaw[i] = _HOLE
        elif len(rolled) and rolled[last] != rolled[first]:
            flaw[i] = _ROLL
        else:
            scale[i] = deviation
            for j in range(context):
                values[i, j] = (row[j] - mean) / deviation
            _return_shape(row, shape[i])


@kernel
def _return_shape(row: Float64, out: Float64) -> None:
    """Write mean, deviation, skew, balance of signs and autocorrelations of the returns."""
    n = len(row) - 1
    mean, balance = 0.0, 0.0
    for j in range(n):
        step = row[j + 1] - row[j]
        mean += step
        balance += 1.0 if step > 0.0 else (-1.0 if step < 0.0 else 0.0)
    mean /= n
    second, third = 0.0, 0.0
    for j in range(n):
        off = row[j + 1] - row[j] - mean
        second += off * off
        third += off * off * off
    deviation = math.sqrt(second / n)
    out[0], out[1] = mean, deviation
    out[2] = third / n / (deviation * deviation * deviation) if deviation > 0.0 else 0.0
    out[3] = abs(balance) / n
    for lag in range(1, 4):
        both = 0.0
        for j in range(n - lag):
            off = row[j + 1] - row[j] - mean
            both += off * (row[j + 1 + lag] - row[j + lag] - mean)
        out[3 + lag] = both / second if second > 0.0 else 0.0
