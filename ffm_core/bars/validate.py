"""The bar schema, checked once at the edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from ffm_core.bars.table import PRICE_COLUMNS
from ffm_core.errors import SchemaError
from ffm_core.types import Bool, Float64, Int64

Policy: TypeAlias = Literal["error", "drop"]
Where: TypeAlias = Callable[[int], str]
_NO_STAMP = np.iinfo(np.int64).min
# No exchange stamps bars outside of these; a wrong unit or a year of two digits does.
_FIRST_US, _LAST_US = -2_208_988_800_000_000, 7_258_118_400_000_000  # 1900 and 2200
_MOST_PRICE, _MOST_VOLUME = 1e12, 1e18  # beyond, sums and squares lose their meaning


@dataclass(frozen=True, slots=True)
class _Columns:
    stamp_us: Int64  # _NO_STAMP where missing
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64


def validate(
    frame: pl.DataFrame, *, name: str, where: Where, policy: Policy = "error"
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Check bars against the schema.

    Parameters
    ----------
    frame : polars.DataFrame
        ``ts`` (UTC), ``open high low close volume`` float64, optional ``contract``.
    name : str
        File name for messages.
    where : callable
        Bar index to a place a reader can find: ``ES.csv line 17``.
    policy : {"error", "drop"}
        Whether a bad row is an error or dropped and counted.

    Returns
    -------
    frame : polars.DataFrame
        Good rows in time order.
    dropped : dict of str to int
        Rows dropped by reason, empty when there were none.

    Raises
    ------
    SchemaError
        For the first bad row under ``error``; under ``drop`` when no row is left.
    """
    if frame.height == 0:
        raise SchemaError(f"{name}: contains no bars", fix="give a file with at least two bars")
    columns = _columns(frame)
    if _all_good(columns):
        return frame, {}
    faults = _faults(columns)
    if policy == "error":
        raise _first_fault(frame, name, where, columns, faults)
    bad = np.zeros(frame.height, dtype=np.bool_)
    dropped: dict[str, int] = {}
    for reason, rows in faults.items():
        if count := int((rows & ~bad).sum()):
            dropped[reason] = count
        bad |= rows
    if bad.all():
        raise SchemaError(
            f"{name}: no row is valid ({_spell(dropped)})",
            fix="check that each column contains what its name says",
        )
    return frame.filter(pl.Series(~bad)), dropped


def _columns(frame: pl.DataFrame) -> _Columns:
    stamps = frame["ts"].dt.timestamp("us").fill_null(_NO_STAMP).to_numpy()
    # Null becomes NaN, so one comparison finds both.
    values = (frame[c].fill_null(float("nan")).to_numpy() for c in (*PRICE_COLUMNS, "volume"))
    return _Columns(stamps, *(np.ascontiguousarray(v) for v in values))


def _all_good(c: _Columns) -> bool:
    # Comparisons with NaN are False, so bad values fail here and are named later.
    return bool(
        c.stamp_us[0] >= _FIRST_US
        and c.stamp_us[-1] < _LAST_US
        and (c.stamp_us[1:] > c.stamp_us[:-1]).all()
        and (c.low > 0).all()
        and (c.low <= np.minimum(c.open, c.close)).all()
        and (c.high >= np.maximum(c.open, c.close)).all()
        and (c.volume >= 0).all()
        and (c.high <= _MOST_PRICE).all()
        and (c.volume <= _MOST_VOLUME).all()
    )


def _faults(c: _Columns) -> dict[str, Bool]:
    # In this order: a row is counted under the first reason that holds for it.
    prices = (c.open, c.high, c.low, c.close)
    missing = c.stamp_us == _NO_STAMP
    non_finite = ~np.logical_and.reduce([np.isfinite(p) for p in prices])
    with np.errstate(invalid="ignore"):
        non_positive = np.logical_or.reduce([p <= 0 for p in prices])
        disorder = (c.high < np.maximum(c.open, c.close)) | (c.low > np.minimum(c.open, c.close))
        too_large = np.logical_or.reduce([p > _MOST_PRICE for p in prices])
        wrong_volume = (c.volume < 0) | (c.volume > _MOST_VOLUME)
    faults = {
        "no_stamp": missing,
        "stamp_out_of_range": ~missing & ((c.stamp_us < _FIRST_US) | (c.stamp_us >= _LAST_US)),
        "non_finite_price": non_finite,
        "price_out_of_range": too_large & ~non_finite,
        "non_positive_price": non_positive & ~non_finite,
        "ohlc_violation": disorder & ~non_finite,
        "bad_volume": wrong_volume | ~np.isfinite(c.volume),
    }
    good = ~np.logical_or.reduce(list(faults.values()))
    seen = np.maximum.accumulate(np.where(good, c.stamp_us, _NO_STAMP))
    before = np.concatenate(([_NO_STAMP], seen[:-1]))
    faults["duplicate_stamp"] = good & (c.stamp_us == before)
    faults["out_of_order"] = good & (c.stamp_us < before)
    return faults


def _first_fault(
    frame: pl.DataFrame, name: str, where: Where, c: _Columns, faults: dict[str, Bool]
) -> SchemaError:
    reason = min(
        (r for r, rows in faults.items() if rows.any()), key=lambda r: int(faults[r].argmax())
    )
    rows = faults[reason]
    index, count = int(rows.argmax()), int(rows.sum())
    what, fix = _describe(frame, c, reason, index)
    if reason == "bad_volume" and count == frame.height and len(np.unique(c.volume)) == 1:
        return SchemaError(
            f"{name}: volume is {c.volume[0]:g} in every row: a placeholder, as in quote bars",
            fix="use traded bars; if the source has no volume, import it with "
            "'ffm data import --column volume=none'",
        )
    others = f" ({count} such rows)" if count > 1 else ""
    stamp = int(c.stamp_us[index])
    # numpy spells years that Python's dates cannot hold
    spelt = np.datetime_as_string(np.datetime64(stamp, "us"), unit="s")
    at = f" at {spelt}Z" if stamp != _NO_STAMP else ""
    return SchemaError(f"{where(index)}{at}: {what}{others}", fix=fix)


def _describe(frame: pl.DataFrame, c: _Columns, reason: str, index: int) -> tuple[str, str]:
    mend = "correct the source, or drop and count such rows with --policy drop"
    prices = {name: float(getattr(c, name)[index]) for name in PRICE_COLUMNS}
    suspects = {"non_finite_price": PRICE_COLUMNS, "bad_volume": ("volume",)}.get(reason, ())
    absent = [name for name in suspects if frame[name][index] is None]
    if absent:
        return f"{absent[0]} is missing", mend
    if reason == "no_stamp":
        return "the timestamp is missing", mend
    if reason == "stamp_out_of_range":
        return (
            "timestamp outside 1900–2200",
            "check the unit of the timestamps, and write years with four digits",
        )
    if reason == "price_out_of_range":
        column = max(prices, key=lambda name: prices[name])
        return f"{column} is {prices[column]:.10g}, which is not a plausible price", mend
    if reason in ("non_finite_price", "non_positive_price"):
        finite = reason == "non_positive_price"
        column = next(n for n, v in prices.items() if (v <= 0 if finite else not np.isfinite(v)))
        return f"{column} is {prices[column]:.10g}", mend
    if reason == "ohlc_violation":
        return _disorder(prices), mend
    if reason == "bad_volume":
        return f"volume is {c.volume[index]:.10g}", mend
    if reason == "duplicate_stamp":
        return _duplicate(frame, c, index, mend)
    return (
        "timestamp out of order",
        "sort the file by time, or drop and count such rows with --policy drop",
    )


def _disorder(prices: dict[str, float]) -> str:
    """Say which of the four prices cannot be, with all of them as the file has them."""
    high, low = prices["high"], prices["low"]
    if high < low:
        what = "high is below low"
    else:
        under = [name for name in ("open", "close") if prices[name] > high]
        over = [name for name in ("open", "close") if prices[name] < low]
        what = f"high is below {under[0]}" if under else f"low is above {over[0]}"
    return f"{what} ({', '.join(f'{n} {v:.10g}' for n, v in prices.items())})"


def _duplicate(frame: pl.DataFrame, c: _Columns, index: int, mend: str) -> tuple[str, str]:
    if "contract" in frame.columns:
        same = frame["contract"].filter(pl.Series(c.stamp_us == c.stamp_us[index]))
        names = sorted({str(name) for name in same})
        if len(names) > 1:
            what = f"several contract months share this timestamp ({', '.join(names[:6])})"
            one = f"import one of them with 'ffm data import --contract {names[0]}'"
            return what, f"{one}, or build a spliced series first"
    return "duplicate timestamp (column datetime)", mend


def _spell(dropped: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in dropped.items())
