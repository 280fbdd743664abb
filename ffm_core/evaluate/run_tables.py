"""The two tables stored beside a run record: every decision, and every trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ffm_core.evaluate.finding import Finding
from ffm_core.evaluate.pool import Pool
from ffm_core.records import REASONS, VOIDS, Outcomes, Trades
from ffm_core.types import Int64

_UTC = pl.Datetime("us", "UTC")
_WHEN = ("bar_time", "entry_time", "exit_time")
_OUTCOMES = ("entry_price", "risk_points", "exit_price", "r_gross", "r_net", "cost_r", "peak_r",
             "mfe_r", "mae_r", "entry_time", "exit_time", "reason", "void_reason")  # fmt: skip
# What a run that was refused at once cannot say of its decisions.
_NOTHING: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "trading_day": pl.Date, **dict.fromkeys(_OUTCOMES, pl.Float64), "target_r": pl.Float64,
    "entry_time": _UTC, "exit_time": _UTC, "reason": pl.String, "void_reason": pl.String,
    "fold": pl.Int64, "score": pl.Float64, "probability": pl.Float64, "picked": pl.Boolean,
    "taken": pl.Boolean, "exits": pl.String,
}  # fmt: skip
_TRADES: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "arm": pl.String, "stream": pl.String, "side": pl.Int8, "quantity": pl.Float64,
    "decision_time": _UTC, "entry_time": _UTC, "exit_time": _UTC, "entry_price": pl.Float64,
    "exit_price": pl.Float64, "risk_points": pl.Float64, "target_r": pl.Float64,
    "r_gross": pl.Float64, "r_net": pl.Float64, "mfe_r": pl.Float64, "mae_r": pl.Float64,
    "reason": pl.String, "score": pl.Float64, "probability": pl.Float64, "fold": pl.Int64,
    "costs": pl.Float64, "money": pl.Float64, "currency": pl.String, "row": pl.Int64,
}  # fmt: skip


def decisions_frame(finding: Finding) -> pl.DataFrame:
    """Return one row per decision, in pooled order; ``row`` is what ``explain`` takes.

    A refused run shows where decisions were and nothing of what became of them.
    """
    if finding.folded is None:
        return _bare(finding)
    pool, table = finding.folded.pool, finding.folded.pool.table
    outcomes = pool.outcomes if finding.real is None else finding.real.outcomes
    n = len(pool)
    said = _said(finding, np.arange(n))
    picked, taken = np.zeros((2, n), dtype=np.bool_)
    if finding.real is not None:
        test = finding.real.test
        picked[test.row], taken[test.row] = test.picked, test.taken
    data = {
        "row": np.arange(n),
        "stream": _names(finding, table.stream),
        "bar_time": table.t_decision - _bar_lengths(finding)[table.stream],
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
        "exit_time": outcomes.t_exit,
        "reason": [REASONS[code] for code in outcomes.reason],
        "void_reason": [VOIDS[code] for code in outcomes.void_reason],
        "fold": said["fold"],
        "score": said["score"],
        "probability": said["probability"],
        "picked": picked,
        "taken": taken,
        "exits": _exits(finding, n),
    }
    sealed = finding.folded.sealed if finding.evidence is not None else np.ones(n, np.bool_)
    frame = _targets_hidden(finding, _no_nan(pl.DataFrame(data).with_columns(sealed=sealed)))
    never = pl.col("entry_price").is_null()  # nothing was entered
    open_eyes = pl.when(~pl.col("sealed"))  # what became of sealed decisions is not shown
    hidden = [open_eyes.then(pl.col(name)).alias(name) for name in _OUTCOMES]
    entered = pl.when(~never).then(pl.col("entry_time")).alias("entry_time")
    return frame.with_columns(entered).with_columns(hidden).with_columns(*_times(_WHEN))


def _targets_hidden(finding: Finding, frame: pl.DataFrame) -> pl.DataFrame:
    """Leave targets out where they are a setting that is hidden."""
    if finding.job.redact is None:
        return frame
    return frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("target_r"))


def _exits(finding: Finding, n: int) -> list[str]:
    """Whose exits the outcome of each row is under: those of the run, or of the labels.

    A target that a model predicts exists in the test months of a fold only.
    """
    job, filled = finding.job, np.ones(n, dtype=np.bool_)
    if job.terms.exit.kind == "predicted":
        filled[:] = False
        if job.learner is not None and finding.real is not None:
            filled[finding.real.test.row] = True
    return ["run" if one else "label" for one in filled]


def _bare(finding: Finding) -> pl.DataFrame:
    """Return the decisions of a run that was refused before anything became of them."""
    parts = [
        pl.DataFrame(
            {
                "stream": pl.Series([bars.stream] * len(made), dtype=pl.String),
                "bar_time": bars.ts_us[made.bar],
                "side": made.side,
                "known": bars.ts_us[made.bar] + bars.timeframe.us,
            }
        ).with_columns(place=pl.lit(place))
        for place, (bars, made) in enumerate(zip(finding.job.bars, finding.decisions, strict=True))
    ]
    frame = pl.concat(parts).sort("known", "place", "bar_time", "side")
    nothing = [pl.lit(None, dtype=kind).alias(name) for name, kind in _NOTHING.items()]
    return (
        frame.drop("known", "place")
        .with_row_index("row")
        .with_columns(*nothing, sealed=pl.lit(True))
        .with_columns(pl.col("row").cast(pl.Int64), *_times(("bar_time",)))
    )


def trades_frame(finding: Finding) -> pl.DataFrame:
    """Return the trades of the REAL and NAIVE arms, each in order of entry."""
    evidence, real, folded = finding.evidence, finding.real, finding.folded
    if evidence is None or real is None or folded is None:
        return pl.DataFrame(schema=_TRADES)
    arms = [
        _arm(finding, folded.pool, real.outcomes, name, evidence.trades[name])
        for name in ("REAL", "NAIVE")
    ]
    return pl.concat(arms)


def _arm(
    finding: Finding, pool: Pool, outcomes: Outcomes, name: str, trades: Trades
) -> pl.DataFrame:
    rows = trades.row
    data: dict[str, Any] = {
        "arm": [name] * len(rows),
        "stream": _names(finding, trades.stream),
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
        "reason": [REASONS[code] for code in outcomes.reason[rows]],
        **_said(finding, rows),
        "costs": trades.costs,
        "money": trades.money,
        "currency": trades.currency.tolist(),
        "row": rows,
    }
    frame = pl.DataFrame(data).with_columns(*_times(("decision_time", "entry_time", "exit_time")))
    frame = _targets_hidden(finding, frame)
    return _no_nan(frame).select(pl.col(name).cast(kind) for name, kind in _TRADES.items())


def _said(finding: Finding, rows: Int64) -> dict[str, pl.Series]:
    """Return what the model said of pooled rows, and in which fold; null outside the test."""
    assert finding.folded is not None
    found = {}
    for name in ("score", "probability", "fold"):
        whole = np.full(len(finding.folded.pool), np.nan)
        if finding.real is not None:
            whole[finding.real.test.row] = getattr(finding.real.test, name)
        kind = pl.Int64 if name == "fold" else pl.Float64
        found[name] = pl.Series(whole[rows]).fill_nan(None).cast(kind)
    return found


def _no_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def _times(names: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(name).cast(_UTC) for name in names]


def _names(finding: Finding, stream: np.ndarray) -> list[str]:
    names = [bars.stream for bars in finding.job.bars]
    return [names[number] for number in stream]


def _bar_lengths(finding: Finding) -> Int64:
    return np.array([bars.timeframe.us for bars in finding.job.bars], dtype=np.int64)
