"""Speed of the targets against a pandas version of the same, on one core.

The seven context targets gate against pandas as it is usually written, where the one
window pandas has no function for goes through ``rolling().apply``. Beside it stands
the same with that window laid out in numpy, which is most of the difference; it, the
rank of the reference's volatility label, the barrier and the ladder are reported.
Run it alone: ``python -m benchmarks.bench_targets``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.tools import peak_mb
from ffm_core.bars import Bars, Instrument, Timeframe
from ffm_core.host.loading import open_host
from ffm_core.labels.targets import context_values
from ffm_core.records import Target

BARS = 1_000_000
PANDAS_BARS = 50_000
CONTEXT_GATE = 10.0  # times a pandas version of the same seven
CONTEXT_GOAL, RANK_GOAL = 2e6, 1e6  # bars per second
SEVEN = ("fwd_return", "vol_expansion", "volatility", "structure", "quiet_persist", "trendiness",
         "range_bound")  # fmt: skip


def _market(rows: int) -> Bars:
    """Random closes whose volatility wanders, five minutes apart, around the clock."""
    rng = np.random.default_rng(1)
    pace = np.exp(np.repeat(rng.normal(0, 0.7, rows // 50 + 1), 50)[:rows])
    close = 20_000 * np.exp(np.cumsum(rng.normal(0, 2e-4, rows) * pace))
    open_ = np.concatenate((close[:1], close[:-1]))
    reach = rng.exponential(2.0, (2, rows))
    frame = pl.DataFrame(
        {
            "ts": pl.Series(1_577_836_800_000_000 + np.arange(rows) * 300_000_000).cast(
                pl.Datetime("us", "UTC")
            ),
            "open": open_,
            "high": np.maximum(open_, close) + reach[0],
            "low": np.minimum(open_, close) - reach[1],
            "close": close,
            "volume": np.ones(rows),
        }
    )
    market = Instrument(symbol="FREE", name="free", exchange="-", group="-", tick_size=0.25,
                        point_value=1.0, session_open="00:00", session_close="00:00",
                        timezone="UTC", kind="simulated")  # fmt: skip
    return Bars(frame, market, Timeframe(300))


def _best(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()  # one core: what others run meanwhile does not count
        call()
        times.append(time.process_time() - start)
    return min(times)


def _share_below(sd10: pd.Series) -> pd.Series:
    """Return the share of the last 100 values below the one ten bars on, as pandas has it."""
    below = sd10.rolling(110).apply(lambda window: (window[:100] < window[109]).mean(), raw=True)
    return below.shift(-10)


def _share_below_laid_out(sd10: pd.Series) -> pd.Series:
    """Return the same from a numpy view of all windows."""
    windows = np.lib.stride_tricks.sliding_window_view(sd10.to_numpy(), 100)
    below = np.full(len(sd10), np.nan)
    below[99:] = (windows < sd10.shift(-10).to_numpy()[99:, None]).mean(axis=1)
    below[:109] = np.nan  # the first ten values are missing
    below[-10:] = np.nan
    return pd.Series(below)


def _pandas_context(
    close: pd.Series, share_below: Callable[[pd.Series], pd.Series]
) -> dict[str, pd.Series]:
    """Return the seven targets of a market without gaps, from rolling windows."""
    log = np.log(close)
    step = log.diff()
    sd10, sd20 = step.rolling(10).std(), step.rolling(20).std()
    usual = sd20.rolling(200, min_periods=50).median()
    later = sd20.shift(-20)
    move = log.shift(-20) - log
    spread = (log - log.shift(20)).rolling(200, min_periods=50).std()
    known = later.notna() & usual.notna()
    top, bottom = close.rolling(12).max(), close.rolling(12).min()
    box = close.rolling(20).max(), close.rolling(20).min()
    next_top, next_bottom = box[0].shift(-20), box[1].shift(-20)
    shape = pd.Series(np.nan, index=close.index)
    shape[(next_top > top) & (next_bottom > bottom)] = 1.0
    shape[(next_top < top) & (next_bottom < bottom)] = 0.0
    soon = close.rolling(10).max().shift(-10), close.rolling(10).min().shift(-10)
    stays = (soon[0] <= box[0]) & (soon[1] >= box[1])
    path = step.abs().rolling(20).sum().shift(-20)
    return {
        "fwd_return": (move / spread.where(spread > 0)).clip(-4, 4),
        "vol_expansion": (later > 1.5 * usual).astype(float).where(known),
        "volatility": share_below(sd10),
        "structure": shape,
        "quiet_persist": (later <= 1.25 * usual).astype(float).where(known & (sd20 <= usual)),
        "trendiness": move.abs() / path.where(path > 0),
        "range_bound": stays.astype(float).where(box[0].notna() & soon[0].notna()),
    }


def _row(name: str, ours: float, ref: float | None, gate: float, parity: bool, goal: float) -> dict:
    absolute = f"{1e-6 / ours:.2f}M bars/s" + (f" (aim {goal * 1e-6:g}M)" if goal else "")
    return {
        "name": name,
        "ours": ours,
        "ref": ref,
        "ratio": round(ref / ours, 1) if ref else 0.0,
        "gate": gate,
        "absolute": absolute,
        "peak_mb": round(peak_mb()),
        "parity": parity,
    }


def context(bars: Bars) -> list[dict]:
    """All seven at once, as a table of targets is made."""
    short = bars[:PANDAS_BARS]
    close = pd.Series(short.close.copy())
    found = context_values(short, SEVEN)
    mine = _best(lambda: context_values(bars, SEVEN), 5) / len(bars)
    rows = []
    for name, share_below, gate in (
        ("context_targets", _share_below, CONTEXT_GATE),
        ("context_with_numpy", _share_below_laid_out, 0.0),
    ):
        plain = _pandas_context(close, share_below)
        parity = all(
            np.allclose(found[key].value, plain[key], rtol=1e-5, atol=1e-9, equal_nan=True)
            for key in SEVEN
        )
        theirs = _best(partial(_pandas_context, close, share_below), 3) / len(close)
        rows.append(_row(name, mine, theirs, gate, parity, CONTEXT_GOAL))
    return rows


def offered(name: str) -> Target:
    """Return a target of ours, or of an installed package."""
    return open_host(naming=[(name, ("ffm_targets",))]).target(name).record


def volatility_rank(bars: Bars) -> dict:
    """Rank each of a million windows, as the reference's volatility label asks."""
    rule, short = offered("legacy/volatility"), bars[:PANDAS_BARS]
    close = pd.Series(short.close.copy())

    def plain() -> pd.Series:
        sd = close.pct_change().rolling(10).std().shift(-10)
        rank = sd.rolling(100, min_periods=30).rank(pct=True)
        edges = [-1, 0.25, 0.6, 0.85, 2]
        return pd.cut(rank, edges, right=False, labels=False).astype(float)

    # pandas carries its sums along, so that a rank may tip over in its last digit
    theirs = plain().to_numpy().astype(np.float32)
    same = (rule.compute(short).value == theirs) | np.isnan(theirs)
    mine = _best(lambda: rule.compute(bars), 5) / len(bars)
    reference = _best(plain, 3) / len(close)
    return _row("volatility_rank", mine, reference, 0.0, bool(same.mean() > 0.999), RANK_GOAL)


def alone(bars: Bars, name: str) -> dict:
    """One target by itself, without a reference."""
    rule = offered(name)
    rule.compute(bars[:5_000])  # compiles
    return _row(name, _best(lambda: rule.compute(bars), 3) / len(bars), None, 0.0, True, 0.0)


def run() -> list[dict]:
    """Return one row per benchmark; ``ours`` and ``ref`` are seconds per bar."""
    bars = _market(BARS)
    others = ("context/structure_break", "barrier/direction", "ladder/long", "legacy/regime")
    return [*context(bars), volatility_rank(bars), *(alone(bars, name) for name in others)]


if __name__ == "__main__":
    results = run()
    for result in results:
        print(json.dumps(result))
    sys.exit(0 if all(r["ratio"] >= r["gate"] and r["parity"] for r in results) else 1)
