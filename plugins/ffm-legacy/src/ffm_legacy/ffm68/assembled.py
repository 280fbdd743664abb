"""``ffm68-legacy``: the 68 features of the reference, with its quirks.

It exists to compare results with earlier work; new work wants ``ffm68``. What is
kept as it was:

* the clock is UTC, whatever the market: sessions, days and VWAP follow it;
* the first three and the last eight hours of a UTC date are one session;
* longer bars end at the hour as if stamps were closes of bars;
* missing ratios become 0, 0.5 or 1, which hides the warm-up;
* sweeps are divided by almost nothing until their mean range exists, and read 3;
* momentum speed leaves out the current bar;
* returns are not scaled by volatility and signed volume is in contracts;
* ``swp_dominant_dir`` repeats ``swp_tf_alignment``.

One value differs: where the reference is infinite (``vol_change`` after a bar
without volume, returns on a price of 0) this set has NaN.
"""

from __future__ import annotations

from ffm_core.features.steps import Program, step_set
from ffm_legacy.ffm68.catalogue import COLUMNS
from ffm_legacy.ffm68.kernel import step
from ffm_legacy.ffm68.layout import start

__all__ = ["FFM68_LEGACY"]

FFM68_LEGACY = step_set(
    "ffm68-legacy",
    [Program(columns=COLUMNS, start=start, step=step)],
    memory="event",
    warmup_bars=62,
    history_bars=None,
    summary="The 68 features of the reference, quirks included, to compare with earlier work.",
)
