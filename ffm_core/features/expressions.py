"""Feature sets written as polars expressions.

An expression sees the columns of the bars (``ts open high low close volume``) and
must give one value per bar. Nothing stops it from reading later bars; the
falsifier finds that out.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ffm_core.bars.table import Bars
from ffm_core.records import Column, FeatureSet, Memory, answers
from ffm_core.records.forms import refused
from ffm_core.types import Float32


def expression_set(
    name: str,
    expressions: Mapping[Column, pl.Expr],
    *,
    warmup_bars: int,
    history_bars: int | None,
    history_days: int | None = None,
    memory: Memory = "recursive",
    summary: str = "",
    version: str = "1",
) -> FeatureSet:
    """Make a feature set of polars expressions.

    Parameters
    ----------
    name : str
        What the user types after ``--features``.
    expressions : mapping of Column to polars.Expr
        In the order of the columns.
    warmup_bars : int
        Bars before the first row may be trusted.
    history_bars, history_days : int, optional
        Bars and trading dates that reproduce a row; they give the set its
        streaming. Both None: the whole series is needed, and there is none.
    memory : {"finite", "recursive", "event"}
        Polars' rolling sums run on, so two starts differ in the last digits;
        the default says so. ``finite`` is for expressions of shifts and
        extremes, which do not.

    Returns
    -------
    FeatureSet
        ``batch`` gives float32 (T, F), null as NaN.

    Raises
    ------
    StrategyError
        When an expression fails or gives another length than the bars; raised
        when the set is computed.

    Examples
    --------
    >>> import polars as pl
    >>> from ffm_core.records import Column
    >>> column = Column(name="range_5", unit="points", description="range of 5 bars")
    >>> expression = pl.col("high").rolling_max(5) - pl.col("low").rolling_min(5)
    >>> made = expression_set("ranges", {column: expression}, warmup_bars=4, history_bars=5)
    >>> made.memory, len(made.columns)
    ('recursive', 1)
    """
    columns = tuple(expressions)
    chosen = [expression.alias(column.name) for column, expression in expressions.items()]

    def batch(bars: Bars) -> Float32:
        return answers.features(made, _compute(name, bars, chosen), bars)

    made = FeatureSet(
        name=name,
        columns=columns,
        batch=batch,
        warmup_bars=warmup_bars,
        history_bars=history_bars,
        history_days=history_days,
        memory=memory,
        summary=summary,
        version=version,
    )
    return made


def _compute(name: str, bars: Bars, expressions: list[pl.Expr]) -> Float32:
    try:
        frame = bars.frame.select(expressions)
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().splitlines()[0]
        fix = f"expressions may use the columns {', '.join(bars.frame.columns)}"
        raise refused(f"feature set {name!r}", f"polars cannot compute it: {first}", fix) from error
    values: Float32 = frame.cast(pl.Float32).to_numpy(order="c")
    return values.copy() if not values.flags.owndata else values
