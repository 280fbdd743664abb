"""The two tables stored beside a run record: every decision, and every trade."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.pool import Pool
from ffm_core.records import REASONS, VOIDS, Outcomes
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
    taken = np.zeros(n, dtype=np.bool_)
    if finding.test is not None:
        rows = finding.test.row
        fold[rows] = finding.test.fold
        score[rows] = finding.test.score
        probability[rows] = finding.test.probability
        taken[rows] = finding.test.taken
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
    """Return the trades of the REAL and NAIVE arms."""
    test, outcomes = finding.test, finding.outcomes
    pool = finding.prepared.pool
    if test is None or outcomes is None:
        return _trades(pool, pool.outcomes, np.empty(0, np.int64), {}, "REAL")
    columns = {"score": test.score, "probability": test.probability, "fold": test.fold}
    picked = {name: values[test.taken] for name, values in columns.items()}
    return pl.concat(
        [
            _trades(pool, outcomes, test.row[test.taken], picked, "REAL"),
            _trades(pool, outcomes, test.row, columns, "NAIVE"),
        ]
    )


def _trades(
    pool: Pool, outcomes: Outcomes, rows: Int64, columns: dict[str, np.ndarray], arm: str
) -> pl.DataFrame:
    table = pool.table
    nothing = np.full(len(rows), np.nan)
    instruments = [pool.streams[s].bars.instrument for s in table.stream[rows]]
    values = np.array([instrument.point_value for instrument in instruments])
    data: dict[str, Any] = {
        "arm": pl.Series([arm] * len(rows), dtype=pl.String),
        "stream": pl.Series(_names(pool, table.stream[rows]), dtype=pl.String),
        "side": table.side[rows],
        "decision_time": table.t_decision[rows],
        "entry_time": outcomes.t_entry[rows],
        "exit_time": outcomes.t_end[rows],
        "entry_price": outcomes.entry_price[rows],
        "exit_price": outcomes.exit_price[rows],
        "risk_points": outcomes.risk[rows],
        "target_r": outcomes.target_r[rows],
        "r_gross": outcomes.r_gross[rows],
        "r_net": outcomes.r_net[rows],
        "mfe_r": outcomes.mfe_r[rows],
        "mae_r": outcomes.mae_r[rows],
        "reason": pl.Series([REASONS[code] for code in outcomes.reason[rows]], dtype=pl.String),
        "score": columns.get("score", nothing),
        "probability": columns.get("probability", nothing),
        "fold": columns.get("fold", nothing.astype(np.int64) if len(rows) == 0 else nothing),
        "money": outcomes.r_net[rows] * outcomes.risk[rows] * (values if len(rows) else 1.0),
        "currency": pl.Series([i.currency for i in instruments], dtype=pl.String),
        "row": rows,
    }
    frame = pl.DataFrame(data)
    times = [pl.col(name).cast(_UTC) for name in ("decision_time", "entry_time", "exit_time")]
    return _no_nan(frame.with_columns(*times, pl.col("fold").cast(pl.Int64)))


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
