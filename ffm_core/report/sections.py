"""Parts of the page that need geometry or reshaping before the template prints them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ffm_core.report import numbers, questions, words
from ffm_core.report.reasons import capital, sentence

if TYPE_CHECKING:
    import polars as pl

MAX_TRADES = 2000
Part = dict[str, Any]

# Only these columns are ever shown: a column added by a strategy cannot slip in.
_TRADE_COLUMNS = (
    ("decision_time", "decided, UTC"), ("stream", "market"), ("side", "side"),
    ("entry_price", "entry"), ("exit_price", "exit"), ("exit_time", "out, UTC"),
    ("reason", "ended by"), ("r_net", "net R"), ("mfe_r", "best R"), ("mae_r", "worst R"),
    ("money", "one contract"), ("probability", "chance"), ("fold", "fold"),
)  # fmt: skip
_TEXT_COLUMNS = ("decision_time", "exit_time", "stream", "side", "reason")


def checks(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Return the rows of a table of checks, with their bar on a common R axis.

    Parameters
    ----------
    rows : sequence of mapping
        Checks of the record.

    Returns
    -------
    list of dict
        ``bar`` holds positions in percent of the axis (value, low, high,
        asked; zero is the middle), or None where a check is not about an interval in R.
    """
    in_r = [c for c in rows if _in_r(c)]
    reach = max((abs(v) for c in in_r for v in _points(c)), default=1.0) * 1.08 or 1.0
    return [
        {
            "name": c["name"], "words": questions.check_words(c["name"]),
            "outcome": c.get("outcome", "n/a"), "gates": c.get("gates", True),
            "measured": questions.measured(c),
            "interval": questions.interval(c), "needed": questions.needed(c),
            "fails": questions.fails(c), "detectable": questions.detectable(c),
            "power": numbers.percent(c.get("power")),
            "months": numbers.count(c.get("months_needed")), "reason": _reason(c),
            "bar": _bar(c, reach) if _in_r(c) else None,
        }
        for c in rows
    ]  # fmt: skip


def _reason(check: Mapping[str, Any]) -> str:
    repeats = questions.explains_itself(check)
    return "" if repeats else capital(sentence(check.get("reason")))


def _in_r(check: Mapping[str, Any]) -> bool:
    return questions.check_words(check["name"]).unit == "r" and bool(_points(check))


def _points(check: Mapping[str, Any]) -> list[float]:
    found = [check.get("value"), check.get("effect"), *(check.get("interval") or [])]
    return [v for x in found if (v := numbers.finite(x)) is not None]


def _bar(check: Mapping[str, Any], reach: float) -> Part:
    def place(value: object) -> float | None:
        number = numbers.finite(value)
        return None if number is None else round(50.0 + 50.0 * number / reach, 2)

    low, high = check.get("interval") or (None, None)
    return {"value": place(check.get("value")), "low": place(low),
            "high": place(high), "asked": place(check.get("effect"))}  # fmt: skip


def calendar(result: words.Result) -> list[Part]:
    """Return the month × instrument table as years of twelve months, one block a stream.

    Returns
    -------
    list of dict
        ``name`` and ``years``; a year has twelve cells (None where the month is no
        test month) and a total. ``heat`` runs from -1 to +1, on one scale
        for the markets and another for their sum.
    """
    data = (result.get("plots") or {}).get("months") or {}
    months, streams = data.get("months") or [], data.get("streams") or []
    if not months or not streams:
        return []
    totals, counts = data["total_r"], data["n_trades"]
    most = max((abs(r) for row in totals for r in row if r), default=1.0)
    blocks = [
        {"name": str(s), "years": _years(months, totals[k], counts[k], most)}
        for k, s in enumerate(streams)
    ]
    if len(streams) > 1:
        summed = [sum(row[m] or 0.0 for row in totals) for m in range(len(months))]
        traded = [sum(row[m] or 0 for row in counts) for m in range(len(months))]
        top = max((abs(r) for r in summed), default=1.0) or 1.0
        blocks.insert(0, {"name": "All markets", "years": _years(months, summed, traded, top)})
    return blocks


def _years(
    months: Sequence[str], totals: Sequence[Any], counts: Sequence[Any], most: float
) -> list[Part]:
    years: dict[str, Part] = {}
    for month, total, n in zip(months, totals, counts, strict=True):
        name, place = month[:4], int(month[5:7]) - 1
        row = years.setdefault(name, {"year": name, "cells": [None] * 12, "n": 0, "r": 0.0})
        row["cells"][place] = {"r": total, "n": n, "heat": round((total or 0.0) / most, 3)}
        row["n"] += n or 0
        row["r"] += total or 0.0
    return list(years.values())


def hours(result: words.Result) -> list[Part]:
    """Return the hours of the exchange's day with bars of mean R.

    Returns
    -------
    list of dict
        The record's own values with ``left``, ``width`` and ``zero`` in percent of
        one axis that all bars share.
    """
    rows = [h for h in (result.get("plots") or {}).get("hours") or [] if h.get("n")]
    means = [numbers.finite(h["mean_r"]) or 0.0 for h in rows]
    low, high = min([0.0, *means]), max([0.0, *means])
    span = (high - low) or 1.0
    return [
        {
            **row, "negative": mean < 0, "zero": round(-100 * low / span, 1),
            "left": round(100 * (min(mean, 0.0) - low) / span, 1),
            "width": round(100 * abs(mean) / span, 1),
        }
        for row, mean in zip(rows, means, strict=True)
    ]  # fmt: skip


def calibration(result: words.Result) -> list[tuple[str, str, str]]:
    """Return the figures of the calibration, each with what it means: name, value, words."""
    data = (result.get("plots") or {}).get("calibration") or {}
    return [
        ("Mean gap", numbers.decimal(data.get("ece"), 3),
         "between what it said and what came (ECE). Zero is perfect."),
        ("Slope", numbers.decimal(data.get("slope")),
         "One is perfect; below one its probabilities are too bold, above one too timid."),
        ("Intercept", numbers.decimal(data.get("intercept"), 3, signed=True),
         "Zero is perfect; below zero it hopes too much in general."),
        ("Brier score", numbers.decimal(data.get("brier"), 3),
         "Mean squared error of the probabilities; lower is better."),
    ]  # fmt: skip


def timeline(result: words.Result) -> Part | None:
    """Return the folds and the sealed tail as positions in percent of the run's span."""
    folds = result.get("folds") or {}
    if not result.get("arms"):  # a refused run plans its folds and judges none
        return None
    items, span = folds.get("items") or [], folds.get("span") or []
    if not items or len(span) != 2 or not all(span):
        return None
    first, last = (_ordinal(d) for d in span)
    length = max(1, last - first + 1)

    def bar(ends: Sequence[str] | None) -> Part | None:
        if not ends or not all(ends):
            return None
        start, end = max(first, _ordinal(ends[0])), min(last, _ordinal(ends[1]))
        left = 100 * (start - first) / length
        return {"left": round(left, 3), "width": round(100 * max(0, end - start + 1) / length, 3)}

    seal = folds.get("seal") or {}
    return {
        "rows": [{**item, "bars": [(kind, b) for kind in ("train", "validation", "test")
                                   if (b := bar(item.get(kind)))]} for item in items],
        "seal": bar([seal["from"], span[1]]) if seal.get("from") else None,
        "ticks": _ticks(first, last),
    }  # fmt: skip


def _ordinal(date: str) -> int:
    return dt.date.fromisoformat(date[:10]).toordinal()


def _ticks(first: int, last: int) -> list[Part]:
    """Place about six month starts on the span."""
    length = last - first + 1
    step = next((m for m in (1, 2, 3, 6, 12, 24) if length / 30.4 / m <= 7), 60)
    day, ticks = dt.date.fromordinal(first), []
    month = -(-(day.year * 12 + day.month - 1 + (day.day > 1)) // step) * step
    while (at := dt.date(month // 12, month % 12 + 1, 1).toordinal()) <= last:
        ticks.append({"left": round(100 * (at - first) / length, 3),
                      "text": dt.date.fromordinal(at).strftime("%b %Y")})  # fmt: skip
        month += step
    return ticks


def trades(frame: pl.DataFrame, *, limit: int = MAX_TRADES) -> Part | None:
    """Return the newest trades of REAL, ready to print, or None where there are none.

    Parameters
    ----------
    frame : polars.DataFrame
        Columns of ``trades.parquet``; stamps are datetimes or microseconds UTC.
    limit : int
        Rows printed at most.

    Returns
    -------
    dict or None
        ``head``, ``rows`` (text cells, newest first), ``total`` and ``arm``.
    """
    if frame.is_empty() or "arm" not in frame.columns:
        return None
    arms = frame["arm"].unique(maintain_order=True).to_list()
    arm = "REAL" if "REAL" in arms else str(arms[0])
    mine = frame.filter(frame["arm"] == arm)
    newest = mine.sort("decision_time", descending=True, maintain_order=True).head(limit)
    columns = [(name, head) for name, head in _TRADE_COLUMNS if name in mine.columns]
    rows = [[_cell(name, row) for name, _ in columns] for row in newest.iter_rows(named=True)]
    return {"head": [(head, name not in _TEXT_COLUMNS) for name, head in columns], "rows": rows,
            "total": mine.height, "all": frame.height, "arm": arm, "arms": arms}  # fmt: skip


def _cell(name: str, row: Mapping[str, Any]) -> str:
    value = row[name]
    if value is None:
        return numbers.BLANK
    if name in ("decision_time", "exit_time"):
        return _stamp(value)
    if name == "side":
        return "long" if value in (1, "long") else "short"
    if name in ("entry_price", "exit_price"):
        return f"{value:,.10g}"
    if name in ("r_net", "mfe_r", "mae_r"):
        return numbers.decimal(value, signed=name == "r_net")
    if name == "money":
        return f"{numbers.decimal(value, signed=True)} {row.get('currency') or ''}".rstrip()
    return numbers.percent(value) if name == "probability" else str(value)


def _stamp(value: object) -> str:
    if isinstance(value, int):
        value = dt.datetime.fromtimestamp(value / 1e6, tz=dt.UTC)
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return numbers.minute(value)
