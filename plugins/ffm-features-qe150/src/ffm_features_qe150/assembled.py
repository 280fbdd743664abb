"""``qe150``: 150 features of price action, volume, volatility, structure and time.

Five step programs, one per family, in canonical order 1 to 150: price action (40),
volume (25), volatility (30), structure (35), time (20). Everything but prices and
volume enters through the instrument: session hours, calendar, bars a year.

Rules that hold for all columns:

* row ``t``, counted from 0, is NaN while ``t < warmup_bars``; what needs days or
  weeks is NaN until they are complete;
* a ratio whose denominator is at most 1e-12 takes the value the column names, and
  nothing is ever infinite;
* a logarithm of a price that is not positive is NaN, in every window that holds the
  bar; averages that remember for ever leave such a bar out;
* windows are summed anew at every bar, so finite columns are the same bits wherever
  the series starts; EMA, Wilder's averages and what is divided by an ATR agree
  within 1e-9 once their declared history has passed.
"""

from __future__ import annotations

from ffm_core.features.steps import Program, step_set
from ffm_core.records import FeatureSet
from ffm_features_qe150.price import PRICE
from ffm_features_qe150.structure import STRUCTURE
from ffm_features_qe150.time import TIME
from ffm_features_qe150.volatility import VOLATILITY
from ffm_features_qe150.volume import VOLUME

__all__ = ["QE150"]


def _assemble(*programs: Program) -> FeatureSet:
    """Make the set; what a column leaves open is the weakest that any column needs."""
    columns = [column for program in programs for column in program.columns]
    bars = [c.history_bars for c in columns if c.history_bars is not None]
    days = [c.history_days for c in columns if c.history_days is not None]
    whole = any(c.history_bars is None and c.history_days is None for c in columns)
    return step_set(
        "qe150",
        programs,
        memory="recursive",
        warmup_bars=max(column.warmup_bars or 0 for column in columns),
        history_bars=None if whole else max(bars),
        history_days=None if whole else max(days),
        summary="150 features of price action, volume, volatility, structure and time.",
    )


QE150 = _assemble(PRICE, VOLUME, VOLATILITY, STRUCTURE, TIME)
