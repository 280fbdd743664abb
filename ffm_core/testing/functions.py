"""Check any function of a frame for look-ahead, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ffm_core.causal.falsify import falsify
from ffm_core.causal.subjects.functions import CUTS, FunctionSubject, bars_of_frame, layout_of
from ffm_core.records import Certificate
from ffm_core.records.proofs import told
from ffm_core.testing.report import CheckFailed


def check_function(
    function: Callable[[Any], Any], frame: Any, *, cuts: int = CUTS, seed: int = 0
) -> Certificate:
    """Look for look-ahead in a pandas or polars function of a frame.

    It is called in a fresh process, on frames that end earlier or go on otherwise. What it
    says of a row must be the same to the last bit, whatever follows.

    Parameters
    ----------
    function : callable
        Takes a frame, returns a column: a Series, an array (T,) or a frame of one column,
        one number per row.
    frame : pandas.DataFrame or polars.DataFrame
        Bars, ``T`` rows: stamps (in a column, or as pandas index), ``close``, and if the
        function reads them ``open``, ``high``, ``low``, ``volume`` and ``contract``, in the
        usual spellings. The function is shown frames like it.
    cuts : int
        Cut points; with 300 a leak in 1.52 % of the rows is seen with 99 % probability.
    seed : int
        The same seed makes the same cuts and changes.

    Returns
    -------
    Certificate
        Clean; ``sentence`` says what was tried, and how rare a leak would have shown.

    Raises
    ------
    CheckFailed
        When it reads later rows, answers differently from call to call, opens files, or
        gives infinities; the message names the first row and the line.
    StrategyError
        When the function raises, or returns no column of numbers.
    SchemaError
        When the frame holds no bars.
    UnavailableError
        When it takes pandas frames and pandas is not installed.

    Examples
    --------
    >>> import polars as pl
    >>> from ffm_core.testing import check_function, make_bars
    >>> frame = make_bars(rows=600).frame
    >>> found = check_function(lambda f: f["close"].rolling_mean(20), frame)
    >>> found.status
    'clean'
    """
    layout = layout_of(frame)
    subject = FunctionSubject(function, layout)
    (found,) = falsify([subject], bars_of_frame(frame, layout), seed=seed, max_cuts=cuts)
    if found.failures:
        first = found.failures[0]
        where = f"bar {first.bar} ({first.stamp})" if first.stamp else f"bar {first.bar}"
        line = f"\n  line: {first.line}" if first.line else ""
        raise CheckFailed(
            f"{subject.name}, {first.check} at {where}: {told(first.reason)}{line}",
            fix=told(first.repair),
        )
    return found


__all__ = ["check_function"]
