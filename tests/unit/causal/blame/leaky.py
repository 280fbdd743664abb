"""Columns and decisions that read the future in one line each, marked ``# guilty``.

They are material for the tests of the guilty line; every function takes bars.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numba import njit

from ffm_core.records import Decisions


def shift_polars(bars):
    frame = bars.frame
    frame = frame.with_columns(
        low2=pl.col("low").shift(1),
        high2=pl.col("high").shift(-1),  # guilty
    )
    x = frame["high2"] / frame["close"]
    return x.to_numpy()


def shift_series(bars):
    close = bars.frame["close"]
    past = close.shift(1)
    nxt = close.shift(-1)  # guilty
    up = (nxt > close) & (past < close)
    return up.to_numpy()


def one_expression(bars):
    return np.append(bars.close[1:], np.nan) - bars.close  # guilty


def global_z(bars):
    close = bars.close
    n = len(close)
    mean = close.mean()  # guilty
    std = close.std()
    out = np.full(n, np.nan)
    out[:] = (close - mean) / std
    return out


def global_rank(bars):
    order = bars.close.argsort().argsort()  # guilty
    return order / 1000.0


def quantiles(bars):
    r = np.append(0.0, np.diff(np.log(bars.close)))
    edges = np.quantile(r, [0.2, 0.4, 0.6, 0.8])  # guilty
    cls = np.searchsorted(edges, r)
    return cls.astype(float)


def loop_store(bars):
    close = bars.close
    n = len(close)
    out = np.empty(n)
    for t in range(n):
        out[t] = close[min(t + 1, n - 1)] - close[t]  # guilty
    return out


def loop_scalar(bars):
    close = bars.close
    n = len(close)
    out = np.zeros(n)
    for t in range(n - 1):
        mean = close[max(t - 5, 0) : t + 1].mean()
        ahead = close[t + 1]  # guilty
        if ahead > mean:
            out[t] = 1.0
    return out


def loop_branch(bars):
    close = bars.close
    n = len(close)
    flags = np.zeros(n, bool)
    for t in range(20, n - 1):
        if close[t + 1] > close[t]:  # guilty
            flags[t] = True
    return np.flatnonzero(flags)


def reverse_loop(bars):
    close = bars.close
    n = len(close)
    out = np.zeros(n)
    best = -1e9
    for t in range(n - 1, -1, -1):
        best = max(best - 0.5, close[t])  # guilty
        out[t] = best
    return out


def helper(values):
    return np.roll(values, -1)  # guilty


def calls_helper(bars):
    a = bars.close * 2.0
    b = helper(a)
    return b - a


def bfilled(bars):
    known = np.where(np.arange(len(bars)) % 5 == 0, bars.close, np.nan)
    s = pl.Series(known).fill_nan(None)
    s = s.fill_null(strategy="backward")  # guilty
    return s.to_numpy()


def lazy(bars):
    lf = bars.frame.lazy()
    lf = lf.with_columns(a=pl.col("close").rolling_mean(5))
    lf = lf.with_columns(b=pl.col("close").shift(-2))  # guilty
    out = lf.collect()
    return out["b"].to_numpy()


EXPRS = [
    pl.col("close").shift(1).alias("p"),
    pl.col("close").rolling_mean(11, center=True).alias("c"),  # guilty
]


def expressions(bars):
    out = bars.frame.with_columns(EXPRS)
    return out["c"].to_numpy()


@njit
def kern(x):
    o = np.zeros(len(x))
    for i in range(len(x) - 1):
        o[i] = x[i + 1]
    return o


def numba_kernel(bars):
    x = bars.close * 1.0
    y = kern(x)  # guilty
    return y * 2


def decisions(bars):
    close = bars.close
    fast = np.convolve(close, np.ones(3) / 3)[: len(close)]
    up = np.append(np.diff(close) > 0, False)  # guilty
    flag = up & (close > fast)
    rows = np.flatnonzero(flag)
    rows = rows[rows > 20]
    return Decisions(bar=rows, side=np.ones(len(rows), np.int8), risk=np.full(len(rows), 5.0))


def decision_value(bars):
    rows = np.arange(20, len(bars), 7)
    ahead = bars.close[np.minimum(rows + 1, len(bars) - 1)]  # guilty
    size = np.abs(ahead - bars.close[rows])
    return Decisions(bar=rows, side=np.ones(len(rows), np.int8), risk=size + 1.0)


def python_list(bars):
    c = bars.close.tolist()
    out = []
    for i, x in enumerate(c):
        nxt = c[i + 1] if i + 1 < len(c) else x  # guilty
        out.append(nxt - x)
    return np.array(out)


def session_total(bars):
    day = bars.ts_us // 86_400_000_000
    frame = bars.frame.with_columns(day=pl.Series(day))
    part = pl.col("volume") / pl.col("volume").sum().over("day")  # guilty
    frame = frame.with_columns(share=part)
    return frame["share"].to_numpy()


def hour_join(bars):
    f = bars.frame.select("ts", "close")
    hourly = f.group_by_dynamic("ts", every="1h").agg(hour_close=pl.col("close").last())
    j = f.join_asof(hourly, on="ts", strategy="backward")  # guilty
    return j["hour_close"].to_numpy()


class Model:
    def __init__(self):
        self.scale = None

    def batch(self, bars):
        close = bars.close
        self.scale = close.max()  # guilty
        return close / self.scale


method = Model().batch


def many_calls(bars):
    close = bars.close

    def value(t):
        j = min(t + 2, len(close) - 1)
        return close[j] - close[t]  # guilty

    return np.array([value(t) for t in range(len(close))])


def dict_columns(bars):
    cols = {}
    cols["a"] = bars.close - bars.open
    cols["b"] = np.concatenate([bars.close[5:], np.repeat(bars.close[-1:], 5)])  # guilty
    return np.column_stack([cols["a"], cols["b"]]).astype(np.float32)


def pivot(bars):
    h = bars.high
    n = len(h)
    piv = np.zeros(n)
    win = np.lib.stride_tricks.sliding_window_view(h, 7).max(axis=1)
    piv[3:-3] = win == h[3:-3]  # guilty
    return piv


def while_loop(bars):
    close = bars.close
    n = len(close)
    out = np.zeros(n)
    t = 0
    while t < n - 1:
        out[t] = close[t + 1]  # guilty
        t += 1
    return out


def after_many_honest_lines(bars):
    close, volume = bars.close, bars.volume
    total = 0.0
    for width in (3, 5, 8):
        total = total + np.convolve(close, np.ones(width) / width)[: len(close)]
    heavy = volume > np.convolve(volume, np.ones(20) / 20)[: len(close)]
    ranked = {name: getattr(bars, name) - close for name in ("high", "low")}
    spread = ranked["high"] - ranked["low"]
    target = np.where(heavy, spread, np.concatenate([total[2:], total[-2:]]))  # guilty
    return target / close


def two_helpers(bars):
    smooth = _smooth(bars.close)
    return _centred(smooth) - smooth


def _smooth(values):
    return np.convolve(values, np.ones(4) / 4)[: len(values)]


def _centred(values):
    kernel = np.ones(5) / 5
    return np.convolve(values, kernel, mode="same")  # guilty


# --- faults that no two runs of the same code show ------------------------------------------

_SEEN = {}


def remembers(bars):
    _SEEN[len(bars)] = bars.close  # guilty
    return bars.close


@lru_cache  # guilty
def cached(stamp):
    return stamp


def uses_a_cache(bars):
    return bars.close + cached(int(bars.ts_us[0]))


def reads_a_file(bars):
    scale = float(Path("scale.txt").read_text())  # guilty
    return bars.close * scale


def by_chance(bars):
    noise = np.random.default_rng().normal(size=len(bars))  # guilty
    return bars.close + noise


def by_the_clock(bars):
    now = time.time()  # guilty
    return bars.close * now


# --- where nothing before the answer was seen to differ -----------------------------------------


def in_a_chain(bars):
    frame = (
        bars.frame.lazy()
        .with_row_index("i")
        .with_columns(later=pl.col("close").shift(-2))  # guilty
        .filter((pl.col("i") >= 20) & (pl.col("later") > pl.col("close")))
        .collect()
    )
    return frame["i"].to_numpy().astype(np.int64)


def appends(bars):
    close = bars.close.tolist()
    found = []
    for i in range(20, len(close) - 1):
        if close[i + 1] > close[i] * 1.0005:  # guilty
            found.append(i)  # noqa: PERF401 - loops like this are checked
    return np.array(found, dtype=np.int64)


def waits(bars):
    rows = np.arange(20, len(bars), 7)
    early = rows + 2 < len(bars)  # guilty
    rows = rows[early]
    rows.sort()
    return rows
