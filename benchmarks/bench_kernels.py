"""Speed of the fill kernel and of SuperTrend against plain references.

Ratios gate, absolute figures are reported; every reference also checks that both
give the same answers. Run it alone: ``python benchmarks/bench_kernels.py``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from ffm_strategy_supertrend.indicator import supertrend

from ffm_core.bars.primitives import atr_wilder, frozen
from ffm_core.labels.kernels import fill_barriers, next_flat
from ffm_core.labels.step import STOP_FIRST
from ffm_core.records import REASONS

BARS = 1_000_000
EVENTS = 20_000
PLAIN_EVENTS = 1_000  # as many as the plain reference walks
PANDAS_BARS = 50_000
HORIZON = 130
STOP_ATR, RR = 2.0, 3.0  # what both strategy packages use
FILL_GATE, SUPERTREND_GATE = 40.0, 30.0
FILL_GOAL, SUPERTREND_GOAL = 3e6, 30e6  # decisions and bars per second on one core


def _market() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    path = 20_000 + np.cumsum(rng.standard_t(5, (BARS, 8)), axis=None).reshape(BARS, 8)
    open_, close = path[:, 0], path[:, -1]
    return tuple(
        frozen(np.round(values * 4) / 4)
        for values in (open_, path.max(axis=1), path.min(axis=1), close)
    )


def _best(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()  # one core: what others run meanwhile does not count
        call()
        times.append(time.process_time() - start)
    return min(times)


def _row(name: str, ours: float, ref: float, gate: float, goal: float, parity: bool) -> dict:
    return {
        "name": name,
        "ours": ours,
        "ref": ref,
        "ratio": round(ref / ours, 1),
        "gate": gate,
        "absolute": round(1 / ours),
        "absolute_goal": round(goal),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "parity": parity,
    }


def _plain_fill(open_, high, low, close, entry, side, risk):
    """Walk each event over plain lists; stop first, gaps at the open, same answers."""
    found = []
    last = len(open_) - 1
    for e, s, r in zip(entry, side, risk, strict=True):
        price = open_[e]
        stop, target = price - s * r, price + s * RR * r
        best = worst = 0.0
        for j in range(e, min(e + HORIZON, last + 1)):
            against, along = (low[j], high[j]) if s > 0 else (high[j], low[j])
            if j > e and s * (open_[j] - stop) <= 0:
                reason, exit_price = "stop_gap", open_[j]
            elif j > e and s * (open_[j] - target) >= 0:
                reason, exit_price = "target_gap", open_[j]
            elif s * (against - stop) <= 0:
                reason, exit_price = "stop", stop
            elif s * (along - target) >= 0:
                reason, exit_price = "target", target
                worst = max(worst, s * (price - against))
            else:
                best = max(best, s * (along - price))
                worst = max(worst, s * (price - against))
                continue
            break
        else:
            reason, exit_price = ("timeout" if j == e + HORIZON - 1 else "data_end"), close[j]
        best = max(best, s * (exit_price - price))
        worst = max(worst, s * (price - exit_price))
        found.append((reason, j, exit_price, best / r, worst / r))
    return found


def fill_kernel() -> dict:
    """Ordinary stops: 20k scattered decisions on a million bars."""
    prices = _market()
    rng = np.random.default_rng(2)
    entry = np.sort(rng.choice(np.arange(100, BARS - HORIZON), EVENTS, replace=False))
    side = rng.choice(np.array([-1, 1], dtype=np.int8), EVENTS)
    risk = STOP_ATR * atr_wilder(*prices[1:], 14)[entry - 1]
    price = prices[0][entry]
    stop, target = price - side * risk, price + side * RR * risk
    horizon = np.full(EVENTS, HORIZON, dtype=np.int32)
    never = next_flat(None)

    def ours():
        return fill_barriers(*prices, never, entry, side, stop, target, risk, horizon, STOP_FIRST)

    exit_bar, exit_price, reason, best, worst = ours()  # compiles
    lists = [values.tolist() for values in prices]
    chosen = np.sort(rng.choice(EVENTS, PLAIN_EVENTS, replace=False))
    rows = entry[chosen].tolist(), side[chosen].tolist(), risk[chosen].tolist()
    plain = _plain_fill(*lists, *rows)
    parity = plain == [
        (REASONS[reason[i]], exit_bar[i], exit_price[i], best[i], worst[i]) for i in chosen
    ]
    mine = _best(ours, 40) / EVENTS
    theirs = _best(lambda: _plain_fill(*lists, *rows), 5) / PLAIN_EVENTS
    return _row("fill_kernel", mine, theirs, FILL_GATE, FILL_GOAL, parity)


def _pandas_supertrend(frame: pd.DataFrame, period: int, multiplier: float) -> pd.DataFrame:
    """Vectorised ATR and bands, then the rule row by row over their arrays."""
    before = frame["close"].shift()
    spans = pd.concat(
        [
            frame["high"] - frame["low"],
            (frame["high"] - before).abs(),
            (frame["low"] - before).abs(),
        ],
        axis=1,
    )
    ranges = spans.max(axis=1)
    seeded = ranges.where(ranges.index >= period - 1)
    seeded.iloc[period - 1] = ranges.iloc[:period].mean()
    atr = seeded.ewm(alpha=1 / period, adjust=False).mean()
    middle = (frame["high"] + frame["low"]) / 2
    upper = (middle + multiplier * atr).to_numpy(copy=True)
    lower = (middle - multiplier * atr).to_numpy(copy=True)
    close = frame["close"].to_numpy()
    direction = np.ones(len(frame), dtype=np.int8)
    for t in range(period, len(frame)):
        if upper[t] >= upper[t - 1] and close[t - 1] <= upper[t - 1]:
            upper[t] = upper[t - 1]
        if lower[t] <= lower[t - 1] and close[t - 1] >= lower[t - 1]:
            lower[t] = lower[t - 1]
        direction[t] = direction[t - 1]
        if direction[t] == 1 and close[t] < lower[t]:
            direction[t] = -1
        elif direction[t] == -1 and close[t] > upper[t]:
            direction[t] = 1
    return pd.DataFrame({"upper": upper, "lower": lower, "direction": direction})


def super_trend() -> dict:
    """SuperTrend(10, 3), bands and direction."""
    _, high, low, close = _market()

    def ours():
        return supertrend(high, low, close, atr_period=10, multiplier=3.0)

    found = ours()  # compiles
    frame = pd.DataFrame({"high": high, "low": low, "close": close})[:PANDAS_BARS]
    plain = _pandas_supertrend(frame, 10, 3.0)
    parity = all(
        np.allclose(values[:PANDAS_BARS], plain[name], rtol=1e-9, equal_nan=True)
        for name, values in found._asdict().items()
    )
    mine = _best(ours, 15) / BARS
    theirs = _best(lambda: _pandas_supertrend(frame, 10, 3.0), 2) / PANDAS_BARS
    return _row("supertrend", mine, theirs, SUPERTREND_GATE, SUPERTREND_GOAL, parity)


def run() -> list[dict]:
    """Return one row per benchmark; ``ours`` and ``ref`` are seconds per item."""
    return [fill_kernel(), super_trend()]


if __name__ == "__main__":
    results = run()
    for result in results:
        print(json.dumps(result))
    sys.exit(0 if all(r["ratio"] >= r["gate"] and r["parity"] for r in results) else 1)
