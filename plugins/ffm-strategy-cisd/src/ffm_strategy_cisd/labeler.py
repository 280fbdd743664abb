"""The labeler: every change in state of delivery is a candidate trade."""

from __future__ import annotations

import numpy as np

from ffm_core.bars import Bars
from ffm_core.bars.primitives import atr_wilder
from ffm_core.records import Column, Decisions, Labeler, Param, Params
from ffm_core.types import Bool, Float64
from ffm_strategy_cisd.indicator import Changes, changes

_STOP_ATR_BARS = 14
_LOOKBACK = 100  # longest window of a column, bars
_LONGEST = 500  # bar counts are capped here, so that memory is bounded
_MIN_WARMUP = 200

PARAMS = (
    Param(name="min_run", default=1, minimum=1, maximum=20, description="bars that make a run"),
    Param(name="require_sweep", default=True, description="the run must take out a swing"),
    Param(name="swing_order", default=5, minimum=1, maximum=50,
          description="bars on each side of a swing"),
    Param(name="stop_atr", default=2.0, minimum=0.1, maximum=20, description="stop, ATR(14)"),
    Param(name="rr", default=3.0, minimum=1.0, maximum=50, description="target, R"),
    Param(name="horizon_bars", default=130, minimum=1, maximum=2000,
          description="bars a trade may last, counting the entry bar"),
)  # fmt: skip

COLUMNS = (
    Column(name="displacement", unit="ATR", signed=True,
           description="close beyond the level it broke"),
    Column(name="from_extreme", unit="ATR", signed=True,
           description="close against the run's far end"),
    Column(name="sweep_depth", unit="ATR",
           description="how far the run went beyond the swing; negative when it did not, "
                       "NaN when no swing was known"),
    Column(name="run_bars", unit="bars", description="length of the run"),
    Column(name="run_size", unit="ATR", description="first open to last close of the run"),
    Column(name="wait_bars", unit="bars",
           description=f"bars from the run's end to the break, at most {_LONGEST}"),
    Column(name="atr_ratio", unit="ratio",
           description=f"ATR(14) over its mean of {_LOOKBACK} bars"),
    Column(name="return_20", unit="ATR·√20", signed=True, description="close against 20 bars ago"),
)  # fmt: skip


def decide(bars: Bars, params: Params) -> Decisions:
    """Return one decision per change in state of delivery, in its direction.

    Parameters
    ----------
    bars : Bars
        Length ``T``.
    params : mapping
        See ``PARAMS``.

    Returns
    -------
    Decisions
        ``bar`` is the bar whose close broke the level; stop ``stop_atr`` × ATR(14)
        of that bar, target ``rr``, horizon ``horizon_bars``.
    """
    found = changes(
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        min_run=int(params["min_run"]),
        require_sweep=bool(params["require_sweep"]),
        swing_order=int(params["swing_order"]),
    )
    atr = atr_wilder(bars.high, bars.low, bars.close, _STOP_ATR_BARS)
    found = _rows(found, (found.bar >= _MIN_WARMUP) & (atr[found.bar] > 0))
    n = len(found.bar)
    return Decisions(
        bar=found.bar,
        side=found.side,
        risk=float(params["stop_atr"]) * atr[found.bar],
        target_r=np.full(n, float(params["rr"])),
        horizon_bars=np.full(n, int(params["horizon_bars"]), dtype=np.int32),
        columns=_columns(bars, found, atr),
    )


def _rows(found: Changes, keep: Bool) -> Changes:
    return Changes(
        bar=found.bar[keep],
        side=found.side[keep],
        level=found.level[keep],
        extreme=found.extreme[keep],
        run_start=found.run_start[keep],
        run_end=found.run_end[keep],
        swing=found.swing[keep],
    )


def _columns(bars: Bars, found: Changes, atr: Float64) -> dict[str, Float64]:
    close, at, side = bars.close, found.bar, found.side
    unit = atr[at]
    swept = np.where(side > 0, bars.low[found.swing], bars.high[found.swing])
    depth = np.where(found.swing >= 0, side * (swept - found.extreme) / unit, np.nan)
    window = at[:, None] - np.arange(_LOOKBACK)
    return {
        "displacement": (close[at] - found.level) / unit,
        "from_extreme": (close[at] - found.extreme) / unit,
        "sweep_depth": depth,
        "run_bars": (found.run_end - found.run_start + 1).astype(np.float64),
        "run_size": side * (found.level - close[found.run_end]) / unit,
        "wait_bars": np.minimum(at - found.run_end, _LONGEST).astype(np.float64),
        "atr_ratio": unit / atr[window].mean(axis=1),
        "return_20": (close[at] - close[at - 20]) / (unit * np.sqrt(20.0)),
    }


LABELER = Labeler(
    name="cisd",
    decide=decide,
    horizon_bars=130,
    warmup_bars=_MIN_WARMUP,
    history_bars=3000,
    memory="recursive",
    exit_params=("rr",),
    params=PARAMS,
    columns=COLUMNS,
    summary="Change in state of delivery after a sweep; stop 2 × ATR(14), target 3 R, 130 bars.",
)
