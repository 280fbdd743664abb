"""The two tables stored beside a run record: every decision, and every trade."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.trades import trades_of
from ffm_core.records import REASONS, VOIDS, Outcomes, Trades
from ffm_core.types import Int64

_UTC = pl.Datetime("us", "UTC")
_OUTCOMES = ("entry_price", "risk_points", "exit_price", "r_gross", "r_net", "cost_r", "peak_r",
             "mfe_r", "mae_r", "entry_time", "exit_time", "reason", "void_reason")  # fmt: skip


def decisions_frame(finding: Finding) -> pl.DataFrame:
    """Return one row per decision, in pooled order; ``row`` is what ``explain`` takes."""
    pool = finding.prepared.pool
    outcomes = pool.outcomes if finding.outcomes is None else finding.outcomes
    n = len(pool)
    fold = np.full(n, -1, dtype=np.int64)
    score, probability = np.full(n, np.nan), np.full(n, np.nan)
    picked, taken = np.zeros((2, n), dtype=np.bool_)
    if finding.test is not None:
        rows = finding.test.row
        fold[rows] = finding.test.fold
        score[rows] = finding.test.score
        probability[rows] = finding.test.probability
        picked[rows], taken[rows] = finding.test.picked, finding.test.taken
    table = pool.table
    data = {
        "row": np.arange(n),
        "stream": _names(pool, table.stream),
        "bar_time": _stamps(pool, np.arange(n)),
        "side": table.side,
        "trading_day": pl.Series(table.day).cast(pl.Date),
        "entry_price": outcomes.entry_price,
        "risk_points": outcomes.risk,
        "target_r": outcomes.target_r,
        "exit_price": outcomes.exit_price,
        "r_gross": outcomes.r_gross,
        "r_net": outcomes.r_net,
        "cost_r": outcomes.r_gross - outcomes.r_net,
        "peak_r": outcomes.peak_r,
        "mfe_r": outcomes.mfe_r,
        "mae_r": outcomes.mae_r,
        "entry_time": outcomes.t_entry,
        "exit_time": outcomes.t_end,
        "reason": [REASONS[code] for code in outcomes.reason],
        "void_reason": [VOIDS[code] for code in outcomes.void_reason],
        "fold": fold,
        "score": score,
        "probability": probability,
        "picked": picked,
        "taken": taken,
    }
    sealed = finding.prepared.sealed if finding.evidence is not None else np.ones(n, np.bool_)
    frame = pl.DataFrame(data).with_columns(sealed=sealed)  # a refused run shows nothing at all
    times = [pl.col(name).cast(_UTC) for name in ("bar_time", "entry_time", "exit_time")]
    open_eyes = pl.when(~pl.col("sealed"))  # what became of sealed decisions is not shown
    never = pl.col("entry_price").is_null()  # nothing was entered
    hidden = [open_eyes.then(pl.col(name)).alias(name) for name in _OUTCOMES]
    shown = _no_nan(frame.with_columns(*times, pl.col("fold").replace(-1, None)))
    entered = pl.when(~never).then(pl.col("entry_time")).alias("entry_time")
    return shown.with_columns(entered).with_columns(hidden)


def trades_frame(finding: Finding) -> pl.DataFrame:
    """Return the trades of the REAL and NAIVE arms, each in order of entry."""
    pool, evidence = finding.prepared.pool, finding.evidence
    outcomes = pool.outcomes if finding.outcomes is None else finding.outcomes
    if evidence is None:
        return _arm(finding, outcomes, "REAL", trades_of(pool, np.empty(0, np.int64), outcomes))
    return pl.concat(
        [_arm(finding, outcomes, name, evidence.trades[name]) for name in ("REAL", "NAIVE")]
    )


def _arm(finding: Finding, outcomes: Outcomes, name: str, trades: Trades) -> pl.DataFrame:
    pool, rows = finding.prepared.pool, trades.row
    data: dict[str, Any] = {
        "arm": pl.Series([name] * len(rows), dtype=pl.String),
        "stream": pl.Series(_names(pool, trades.stream), dtype=pl.String),
        "side": trades.side,
        "quantity": trades.quantity,
        "decision_time": pool.table.t_decision[rows],
        "entry_time": trades.t_entry,
        "exit_time": trades.t_exit,
        "entry_price": trades.entry_price,
        "exit_price": trades.exit_price,
        "risk_points": trades.risk,
        "target_r": outcomes.target_r[rows],
        "r_gross": trades.r_gross,
        "r_net": trades.r_net,
        "mfe_r": trades.best_r,
        "mae_r": trades.worst_r,
        "reason": pl.Series([REASONS[code] for code in outcomes.reason[rows]], dtype=pl.String),
        **_said(finding, rows),
        "costs": trades.costs,
        "money": trades.money,
        "currency": pl.Series(trades.currency.tolist(), dtype=pl.String),
        "row": rows,
    }
    frame = pl.DataFrame(data)
    times = [pl.col(name).cast(_UTC) for name in ("decision_time", "entry_time", "exit_time")]
    return _no_nan(frame.with_columns(*times, pl.col("fold").cast(pl.Int64)))


def _said(finding: Finding, rows: Int64) -> dict[str, np.ndarray]:
    """Return what the model said of pooled rows, and in which fold."""
    n, test = len(finding.prepared.pool), finding.test
    found = {}
    for name in ("score", "probability", "fold"):
        whole = np.full(n, np.nan)
        if test is not None:
            whole[test.row] = getattr(test, name)
        found[name] = whole[rows]
    return found


def _no_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def _names(pool: Pool, stream: np.ndarray) -> list[str]:
    return [pool.table.streams[s] for s in stream]


def _stamps(pool: Pool, rows: Int64) -> Int64:
    out = np.empty(len(rows), dtype=np.int64)
    for number, stream in enumerate(pool.streams):
        mine = pool.table.stream[rows] == number
        out[mine] = stream.bars.ts_us[pool.table.bar[rows[mine]]]
    return out
