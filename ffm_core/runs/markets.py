"""Which names are one market: what moves together day by day, whatever its file is called.

The ledger keeps the daily log returns of every market it has seen. Renamed, rescaled,
shifted, resampled and slightly edited files move with the original; another simulated
seed does not. Close relatives, such as a contract and its micro, are one market too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ffm_core.runs.chain import Event, Writer
from ffm_core.types import Float64, Int64

# Days since 1970 (D,), ascending, and the log return of each (D,).
Returns: TypeAlias = tuple[Int64, Float64]
Market: TypeAlias = tuple[str, Returns]  # a name it goes by, and what it did

SAME = 0.98  # correlation above which two markets are one; below minus that, one is inverted
COMMON_DAYS = 30
# A few altered days cannot make another market: these are left out where days are many.
TRIMMED, TRIMMED_FROM = 0.05, 60
_DIGITS = 6


def note(writer: Writer, returns: Mapping[str, Returns]) -> None:
    """Write down what the ledger does not hold yet of the markets of a run.

    Parameters
    ----------
    writer : Writer
        Of the ledger.
    returns : mapping of str to Returns
        Daily log returns by instrument.
    """
    for name, (days, values) in sorted(returns.items()):
        values = values.round(_DIGITS)
        key, left = len(writer.events) + 1, np.ones(len(days), dtype=np.bool_)
        for known, (theirs, (old_days, old_values)) in _stored(writer.events).items():
            _, mine, old = np.intersect1d(days, old_days, return_indices=True)
            agree = np.abs(values[mine] - old_values[old]) < 2 * 10.0**-_DIGITS
            if theirs == name and len(mine) and agree.all():
                key, left = known, ~np.isin(days, old_days)
                break
        if left.any():
            writer.append("market", {"market": key, "instrument": name, "days": days[left],
                                     "returns": values[left]})  # fmt: skip


def names(events: Sequence[Event], returns: Mapping[str, Returns]) -> dict[str, frozenset[str]]:
    """Return, by instrument of a run, every name its market goes by in the ledger.

    Parameters
    ----------
    events : sequence of Event
        All rows of the ledger.
    returns : mapping of str to Returns
        Daily log returns of the run's instruments.

    Returns
    -------
    dict of str to frozenset of str
        The instrument's own name is among them. A copy of a copy is a copy.
    """
    known = [*_stored(events).values(), *returns.items()]
    return {name: _names(name, own, known) for name, own in returns.items()}


def is_same(one: Returns, other: Returns) -> bool:
    """Whether two series of daily log returns are those of one market."""
    _, i, j = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    if len(i) < COMMON_DAYS:
        return False
    x, y = one[1][i], other[1][j]
    if abs(_correlation(x, y)) > SAME:
        return True
    large = (np.abs(x) >= np.median(np.abs(x))) & (x != 0)
    if len(x) < TRIMMED_FROM or not large.any():
        return False
    off = np.abs(y - np.median(y[large] / x[large]) * x)
    kept = off <= np.quantile(off, 1 - TRIMMED)
    return abs(_correlation(x[kept], y[kept])) > SAME


def _names(name: str, own: Returns, known: Sequence[Market]) -> frozenset[str]:
    found, waiting, left = {name}, [own], list(known)
    while waiting:
        series = waiting.pop()
        same = [is_same(series, other) for _, other in left]
        joined = [market for market, joins in zip(left, same, strict=True) if joins]
        left = [market for market, joins in zip(left, same, strict=True) if not joins]
        found |= {theirs for theirs, _ in joined}
        waiting += [other for _, other in joined]
    return frozenset(found)


def _stored(events: Sequence[Event]) -> dict[int, Market]:
    """Return the markets of the ledger; later rows of one only add days to it."""
    rows: dict[int, list[dict[str, object]]] = {}
    for event in events:
        if event.kind == "market":
            payload = event.payload
            rows.setdefault(int(payload["market"]), []).append(payload)
    found = {}
    for key, parts in rows.items():
        days = np.concatenate([np.asarray(part["days"], dtype=np.int64) for part in parts])
        values = np.concatenate([np.asarray(part["returns"], dtype=np.float64) for part in parts])
        order = np.argsort(days)
        found[key] = (str(parts[0]["instrument"]), (days[order], values[order]))
    return found


def _correlation(x: Float64, y: Float64) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else 0.0
