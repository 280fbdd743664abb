"""Tell a table stamped when it was known from one stamped with the period it sums up.

A daily close stamped at 00:00 of its own day is known at the open, before the day was
traded. Two things show it: stamps that all lie at midnight, and values that move with
the market *after* they are served.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ffm_core.bars.readers.tables import LoadedInput
from ffm_core.bars.table import Bars
from ffm_core.errors import DataQualityError
from ffm_core.records.strategy import KNOWN_AT
from ffm_core.types import Float64, Int64
from ffm_core.wording import stamp_of

FEWEST_STAMPS = 3  # that must lie at midnight before they are taken for dates
LEAST_SHARE = 0.25  # rank correlation with what follows, below which nothing is said
LEAST_SIGMA = 6.0  # standard errors of it
_DAY_US = 86_400_000_000
_LAG = "stamp every row with the moment it was published, or declare the lag: Input(lag=…)"


def audit_input(loaded: LoadedInput, streams: Sequence[Bars], *, tz: str | None = None) -> None:
    """Refuse a table that shows values before they could be known, or none at all.

    Midnight is looked for in UTC, in ``tz`` and in the zones of the exchanges.

    Raises
    ------
    DataQualityError
        When its stamps are dates and no lag is declared; when its values move with the
        returns that follow them; and when no row is known at any bar.
    """
    name, table = f"input {loaded.table.name!r} ({loaded.source_name})", loaded.table
    if all(len(table.readable(_last_close(bars))) == 0 for bars in streams):
        raise DataQualityError(
            f"{name}: no row was known at any bar; the first is known from "
            f"{stamp_of(int(table.at_us[0]))} on, the last bar closes at "
            f"{stamp_of(max(map(_last_close, streams)))}",
            fix="give a table of the same years as the bars",
        )
    zones = dict.fromkeys(("UTC", *([tz] if tz else ()), *(b.instrument.timezone for b in streams)))
    if loaded.declared.lag is None and (zone := _midnight(loaded, list(zones))):
        raise DataQualityError(
            f"{name}: every {KNOWN_AT} is 00:00 ({zone}), the start of a day, as if its value "
            "had been known before the day began",
            fix=_LAG,
        )
    for bars in streams:
        for column, values in table.columns.items():
            after, before, n = _moves_with(table.at_us, values, bars)
            if after >= LEAST_SHARE and after * n**0.5 >= LEAST_SIGMA and after > before:
                raise DataQualityError(
                    f"{name}: {column} moves with what {bars.stream} does after it is served "
                    f"(rank correlation {after:.2f} over {n} rows; {before:.2f} with what it did "
                    "before), as values do that are stamped with the start of their period",
                    fix=_LAG,
                )


def _last_close(bars: Bars) -> int:
    return int(bars.ts_us[-1]) + bars.timeframe.us


def _midnight(loaded: LoadedInput, zones: Sequence[str]) -> str:
    """Return the zone in which every stamp is a midnight; empty when there is none."""
    if len(loaded.known_us) < FEWEST_STAMPS:
        return ""
    aware = pl.Series(loaded.known_us).cast(pl.Datetime("us", "UTC"))
    for zone in zones:
        local = aware.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.timestamp("us")
        if not (local.to_numpy() % _DAY_US).any():
            return zone
    return ""


def _moves_with(at_us: Int64, values: Float64, bars: Bars) -> tuple[float, float, int]:
    """Return how a column moves with returns after and before its rows, and over how many."""
    first = np.searchsorted(bars.ts_us + bars.timeframe.us, at_us)  # the bar that first shows it
    last = np.flatnonzero(np.append(np.diff(first) > 0, True))  # of rows that share a bar
    last = last[first[last] < len(bars)]
    if len(last) < 4:
        return 0.0, 0.0, 0
    price = np.log(np.maximum(bars.close[first[last]], bars.instrument.tick_size))
    returns = np.diff(price)
    after, before = returns[1:], returns[:-1]
    best = (0.0, 0.0)
    for shown in (np.diff(values[last])[:-1], values[last][1:-1]):
        found = abs(_rank_correlation(shown, after)), abs(_rank_correlation(shown, before))
        best = max(best, found)
    return (*best, len(after))


def _rank_correlation(a: Float64, b: Float64) -> float:
    ranks = [pl.Series(values).rank("average").to_numpy() for values in (a, b)]
    spread = [float(np.std(r)) for r in ranks]
    if min(spread) == 0.0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


__all__ = ["audit_input"]
