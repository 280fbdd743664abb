"""``ffm68``: sixty-eight causal features of bars, in ten groups.

Bar anatomy, returns and momentum, volume, volatility, session, market structure,
sweeps of longer bars, bar psychology, context of longer bars, order flow. Prices
enter as multiples of the ATR and volume as multiples of its mean, so that markets can
be pooled. Sessions and dates follow the exchange's clock; what a longer bar says is
used from the close of its last bar on; warm-up is NaN; nothing is infinite.
"""

from __future__ import annotations

from ffm_core.features.ffm68.catalogue import COLUMNS, GROUPS, NAMES
from ffm_core.features.ffm68.kernel import step
from ffm_core.features.ffm68.layout import start
from ffm_core.features.steps import Program, step_set

__all__ = ["FFM68", "GROUPS", "NAMES"]

FFM68 = step_set(
    "ffm68",
    [Program(columns=COLUMNS, start=start, step=step)],
    memory="event",
    warmup_bars=62,
    history_bars=None,
    summary="68 features in ten groups, ATR-scaled, on the exchange's clock.",
)
