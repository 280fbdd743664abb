"""The labeler of the worlds: reads decisions off closed bars, knows no future.

A decision is announced by the last two digits of a bar's volume; ten columns come
with it, of which one may mark the decisions that pay. The others are noise: some
independent from bar to bar, some slow, one coin that looks like the mark.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Column, Decisions, Labeler, Params
from ffm_core.testing.worlds_kernel import ATR_BARS, TARGET_R, risks
from ffm_core.types import Float64, Int64

HORIZON_BARS = 150
HISTORY_BARS = 64
CODES = 100  # the last two digits of the volume
FIRST_EVENT = 92  # 92 … 99 announce a decision: 92 + 4 coin + 2 mark + 1 long

RARE_PARTS = 8  # a world of rare wins risks one of so many parts of the usual distance

_SLOW_BARS = (20, 60)

COLUMNS = (
    Column(name="mark", unit="0/1", description="1 on the half that pays in a planted world"),
    Column(name="coin", unit="0/1", description="a coin that looks like the mark and is none"),
    Column(name="white_a", unit="1", description="uniform noise, -1 to 1"),
    Column(name="white_b", unit="1", description="uniform noise, -1 to 1"),
    Column(name="bell", unit="1", description="noise near normal, unit variance"),
    Column(name="heavy", unit="1", description="noise with heavy tails"),
    Column(name="slow_20", unit="1", description="noise averaged over 20 bars, unit variance"),
    Column(name="slow_60", unit="1", description="noise averaged over 60 bars, unit variance"),
    Column(name="body", unit="1", description="body of the bar over its range", signed=True),
    Column(name="stretch", unit="risk", description="close less its 20-bar mean", signed=True),
)


def decide(bars: Bars, params: Params) -> Decisions:
    """Return the announced decisions, at the close of the bar that announces them.

    Parameters
    ----------
    bars : Bars
        Bars of a world.
    params : mapping
        None are known.

    Returns
    -------
    Decisions
        Risk in points (2 × the mean true range of 14 bars, whole ticks), target
        2 R and ten columns; a row needs the last 60 bars and no more.
    """
    return _announced(bars, parts=1)


def decide_rare(bars: Bars, params: Params) -> Decisions:
    """Return the announced decisions of a world of rare wins.

    Arguments and answer are those of :func:`decide`, but risk is an eighth of the usual one,
    and the target 20 R, or 30 R where ``coin`` is 1.
    """
    found = _announced(bars, parts=RARE_PARTS)
    return replace(found, target_r=rare_target(found.columns["coin"]).astype(np.float64))


def rare_target(coin: Float64 | Int64) -> Int64:
    """Return the target of a decision in R, in a world of rare wins."""
    return np.where(np.asarray(coin) > 0, 30, 20).astype(np.int64)


def _announced(bars: Bars, *, parts: int) -> Decisions:
    code = np.remainder(np.rint(bars.volume).astype(np.int64), CODES)
    at = np.flatnonzero(code >= FIRST_EVENT)
    at = at[at >= max(*_SLOW_BARS, ATR_BARS + 1)].astype(np.int64)
    ticks = _ticks(bars)
    risk = risks(ticks, at, parts)
    code = code[at] - FIRST_EVENT
    return Decisions(
        bar=at,
        side=np.where(code & 1, 1, -1).astype(np.int8),
        risk=risk.astype(np.float64) * bars.instrument.tick_size,
        target_r=np.full(len(at), float(TARGET_R)),
        columns={
            "mark": ((code >> 1) & 1).astype(np.float64),
            "coin": ((code >> 2) & 1).astype(np.float64),
            **_noise(ticks, bars.volume, at),
            **_shape(ticks, at, risk),
        },
    )


def _ticks(bars: Bars) -> Int64:
    prices = np.column_stack([bars.open, bars.high, bars.low, bars.close])
    return np.ascontiguousarray(np.rint(prices / bars.instrument.tick_size).astype(np.int64))


def _noise(ticks: Int64, volume: Float64, at: Int64) -> dict[str, Float64]:
    """Hash each bar's content into columns that know nothing; all (N,)."""
    draws = [_uniform(ticks, volume, salt) for salt in range(8)]
    columns = {
        "white_a": 2 * draws[0][at] - 1,
        "white_b": 2 * draws[1][at] - 1,
        "bell": 2 * (draws[2] + draws[3] + draws[4] - 1.5)[at],
        "heavy": np.tan(0.98 * np.pi * (draws[5][at] - 0.5)),
    }
    for length, values in zip(_SLOW_BARS, (draws[6], draws[7]), strict=True):
        # Sums of whole numbers are exact: a row does not depend on where the bars begin.
        whole = np.rint(values * 2**20).astype(np.int64)
        window = np.concatenate([[0], np.cumsum(whole)])
        mean = (window[at + 1] - window[at + 1 - length]) / (length * 2.0**20)
        columns[f"slow_{length}"] = (mean - 0.5) * np.sqrt(12.0 * length)
    return columns


def _uniform(ticks: Int64, volume: Float64, salt: int) -> Float64:
    """Hash every bar to a number from 0 to 1, (T,); SplitMix64 over its five values."""
    word = np.full(len(ticks), (salt + 1) * 0x9E3779B97F4A7C15 % 2**64, dtype=np.uint64)
    whole = np.rint(volume).astype(np.int64)
    for values in (*ticks.T, whole):
        word = (word ^ np.ascontiguousarray(values).view(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(32)
    return np.asarray((word >> np.uint64(11)).astype(np.float64) / 2.0**53)


def _shape(ticks: Int64, at: Int64, risk: Int64) -> dict[str, Float64]:
    """Two true facts of the bars that say nothing about what follows."""
    opened, high, low, close = ticks[at].T
    total = np.concatenate([[0], np.cumsum(ticks[:, 3])])
    mean = (total[at + 1] - total[at - 19]) / 20.0
    return {
        "body": (close - opened) / np.maximum(high - low, 1),
        "stretch": (close - mean) / risk,
    }


LABELER = Labeler(
    name="world",
    decide=decide,
    horizon_bars=HORIZON_BARS,
    warmup_bars=max(_SLOW_BARS),
    history_bars=HISTORY_BARS,
    memory="finite",
    exit_name="fixed_rr",
    columns=COLUMNS,
    summary="Trades what the bars of a simulated world announce.",
)

RARE_LABELER = replace(LABELER, name="world-rare", decide=decide_rare)
