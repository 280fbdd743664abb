"""The arithmetic of one stored decision, from entry to net R."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ffm_core.errors import RecordError, UnknownNameError
from ffm_core.records import REASONS, VOIDS
from ffm_core.runs.record import Run

_NEEDED = ("row", "side", "entry_price", "risk_points", "target_r", "r_gross", "r_net")


def stored_decision(run: Run, row: int) -> dict[str, Any]:
    """Return one row of the run's ``decisions.parquet``.

    Parameters
    ----------
    run : Run
        The run.
    row : int
        Value of its column ``row``.

    Raises
    ------
    UnknownNameError
        When the run has no such decision.
    RecordError
        When the table is unreadable or lacks a column.
    """
    import polars as pl

    frame = _decisions(run)
    found = frame.filter(pl.col("row") == row)
    if found.is_empty():
        rows = frame["row"].to_list()
        known = f"its decisions run from {min(rows)} to {max(rows)}" if rows else "it has none"
        raise UnknownNameError(
            f"run {run.run_id} has no decision {row}; {known}",
            fix="choose a row of decisions.parquet",
        )
    return dict(found.row(0, named=True))


def decision_rows(run: Run) -> tuple[int, int]:
    """Return the first and last row of the run's ``decisions.parquet``.

    Raises
    ------
    UnknownNameError
        When the run has no decision at all.
    """
    rows = _decisions(run)["row"].to_list()
    if not rows:
        raise UnknownNameError(f"run {run.run_id} has no decisions", fix="explain another run")
    return min(rows), max(rows)


def _decisions(run: Run) -> Any:
    frame = run.table("decisions")
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise RecordError(
            f"{Path(run.path.name) / 'decisions.parquet'} lacks {', '.join(missing)}",
            fix="run the evaluation again",
        )
    return frame


def explain_decision(decision: Mapping[str, Any], exit_name: str = "") -> list[str]:
    """Return the arithmetic of a stored decision as lines of text.

    Parameters
    ----------
    decision : mapping
        A row of ``decisions.parquet``.
    exit_name : str, optional
        The exit policy of the run, where its record names it.

    Notes
    -----
    With side ``s`` (+1 long, -1 short), entry ``E`` and risk ``K`` in points: stop
    ``E - s·K``, target ``E + s·T·K``, exit ``E + s·G·K`` for gross result ``G``; costs
    are ``G - N`` for net result ``N``.
    """
    side = int(decision["side"])
    word = "long" if side > 0 else "short"
    lines = [f"decision  {decision['row']}, {word}{_place(decision)}", *_exits(decision, exit_name)]
    void = _named(decision.get("void_reason"), VOIDS)
    entry, risk = _number(decision["entry_price"]), _number(decision["risk_points"])
    target = _number(decision["target_r"])
    if not (math.isnan(entry) or math.isnan(risk)):
        lines += _plan(side, entry, risk, target)
    gross, net = _number(decision["r_gross"]), _number(decision["r_net"])
    if decision.get("sealed"):
        return [*lines, "sealed    its outcome is not shown before the tail is opened"]
    if void not in ("", "none"):
        return [*lines, f"void      {void}: counted, never trained on, never traded"]
    if math.isnan(gross) or math.isnan(net):
        return [*lines, "result    none is stored"]
    lines += _result(decision, side, entry, risk, gross, net)
    return lines


def _exits(decision: Mapping[str, Any], name: str) -> list[str]:
    if decision.get("exits") == "label":
        why = f"{name or 'the exit policy of the run'} predicts a target in the test months only"
        return [f"exits     those of the labels: {why}"]
    return [f"exits     {name}"] if name else []


def _plan(side: int, entry: float, risk: float, target: float) -> list[str]:
    stop = entry - side * risk
    sign = "−" if side > 0 else "+"
    lines = [
        f"entry     {_points(entry)} (open of the next bar)",
        f"risk      {_points(risk)} points",
        f"stop      {_points(entry)} {sign} {_points(risk)} = {_points(stop)}",
    ]
    if not math.isnan(target):
        goal = entry + side * target * risk
        sign = "+" if side > 0 else "−"
        lines.append(
            f"target    {target:g} R, that is {_points(entry)} {sign} {target:g} × "
            f"{_points(risk)} = {_points(goal)}, or the next tick beyond"
        )
    return lines


def _result(
    decision: Mapping[str, Any], side: int, entry: float, risk: float, gross: float, net: float
) -> list[str]:
    stored = _number(decision.get("exit_price"))
    leave = entry + side * gross * risk if math.isnan(stored) else stored
    reason = _named(decision.get("reason"), REASONS)
    when = _stamp(decision.get("exit_time"))
    how = f"{f' by {reason}' if reason else ''}{f', {when}' if when else ''}"
    costs = gross - net
    first, second = (leave, entry) if side > 0 else (entry, leave)
    lines = [
        f"exit      {_points(leave)}{how}",
        f"gross     ({_points(first)} − {_points(second)}) / {_points(risk)} = {gross:+.6f} R",
        f"costs     {_points(costs * risk)} points / {_points(risk)} = {costs:.6f} R, both sides",
        f"net       {gross:+.6f} − {costs:.6f} = {net:+.6f} R",
    ]
    best, worst = _number(decision.get("mfe_r")), _number(decision.get("mae_r"))
    if not (math.isnan(best) or math.isnan(worst)):
        lines.append(f"path      best {best:+.4f} R, worst {-abs(worst):+.4f} R while it was held")
    return lines


def _place(decision: Mapping[str, Any]) -> str:
    stream, bar = decision.get("stream"), _stamp(decision.get("bar_time"))
    return f"{f', {stream}' if stream else ''}{f', last known bar {bar}' if bar else ''}"


def _named(value: object, names: tuple[str, ...]) -> str:
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else str(value)
    return "" if value is None else str(value)


def _stamp(value: object) -> str:
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return f"{aware.astimezone(dt.UTC):%Y-%m-%dT%H:%MZ}"
    return "" if value is None else str(value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _points(value: float) -> str:
    # Enough digits for the finest tick, without the noise of binary fractions.
    return f"{value:.10g}"
