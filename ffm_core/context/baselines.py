"""What the present alone says of each target: the adversary that needs no model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.bars.table import Bars
from ffm_core.labels.targets import context_values
from ffm_core.labels.targets.context import HORIZON, SHORT, Closes
from ffm_core.labels.targets.windows import rolling_rank
from ffm_core.records import TargetValues
from ffm_core.types import Float64

_RANKED = 100
# What stands in where the last window has no answer: a structure that was mixed.
_MIXED = 0.5

MEANING = {
    "fwd_return": "log return of the last 20 bars",
    "vol_expansion": "volatility of the last 20 bars over its median of 200",
    "volatility": "rank of the last 10 bars' volatility among the last 100",
    "structure": "whether the last 20 closes made a higher or a lower range",
    "quiet_persist": "minus the volatility of the last 20 bars over its median of 200",
    "trendiness": "efficiency ratio of the last 20 bars",
    "range_bound": "whether the last 10 closes stayed in the range of the 20 before",
}


def persistence(bars: Bars) -> dict[str, Float64]:
    """Return what each target would be if the next bars were like the last ones.

    Parameters
    ----------
    bars : Bars
        ``T`` bars.

    Returns
    -------
    dict of str to float64 (T,)
        Scores by target, from bars up to and including each; NaN where there is none.
        Only their order counts.
    """
    closes = Closes(bars)
    ratio = _ratio(closes.sd20, closes.usual)
    past = np.full(len(bars), np.nan)
    if len(bars) > HORIZON:
        past[HORIZON:] = closes.log[HORIZON:] - closes.log[:-HORIZON]
    behind = partial(_seen, context_values(bars, ("structure", "trendiness", "range_bound")))
    structure = behind("structure", HORIZON)
    return {
        "fwd_return": past,
        "vol_expansion": ratio,
        "volatility": _rank(closes.sd10),
        "structure": np.where(np.isnan(structure), _MIXED, structure),
        "quiet_persist": -ratio,
        "trendiness": behind("trendiness", HORIZON),
        "range_bound": behind("range_bound", SHORT),
    }


def _ratio(now: Float64, usual: Float64) -> Float64:
    out = np.full(len(now), np.nan)
    np.divide(now, usual, out=out, where=usual > 0.0)
    return out


def _rank(spread: Float64) -> Float64:
    less, _, known = rolling_rank(spread, frozen(spread), _RANKED)
    rank = less / float(_RANKED)
    rank[(known < _RANKED) | np.isnan(spread)] = np.nan
    return np.asarray(rank)


def _seen(found: Mapping[str, TargetValues], name: str, lag: int) -> Float64:
    """Return the value that was complete at each bar: that of ``lag`` bars before."""
    value = found[name].value
    out = np.full(len(value), np.nan)
    if len(value) > lag:
        out[lag:] = value[:-lag]
    return out
