"""Calendar months of trading dates, as plain integers.

A month is ``12 · year + month − 1``; a trading date is a count of days since
1970-01-01. Both are the units of :mod:`ffm_core.ruler`.
"""

from __future__ import annotations

import numpy as np

from ffm_core.types import Int32

_EPOCH_MONTH = 12 * 1970


def month_of(days: Int32) -> Int32:
    """Return the month number of each trading date.

    Parameters
    ----------
    days : int32 (D,)
        Days since 1970-01-01.

    Returns
    -------
    int32 (D,)
        ``12 · year + month − 1``.
    """
    dates = np.asarray(days).astype("datetime64[D]")
    return (dates.astype("datetime64[M]").astype(np.int64) + _EPOCH_MONTH).astype(np.int32)


def month_start(month: int) -> int:
    """Return the first calendar date of a month number, in days since 1970-01-01."""
    first = np.datetime64(month - _EPOCH_MONTH, "M").astype("datetime64[D]")
    return int(first.astype(np.int64))


def month_name(month: int) -> str:
    """Return ``YYYY-MM`` of a month number."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def date_name(day: int) -> str:
    """Return ``YYYY-MM-DD`` of a day count."""
    return str(np.datetime64(int(day), "D"))


def weekdays_between(first: int, last: int) -> int:
    """Count Mondays to Fridays in ``[first, last)``, both in days since 1970-01-01."""
    return int(np.busday_count(np.datetime64(first, "D"), np.datetime64(last, "D")))
