"""The 68 columns of ``ffm68``: names, units, formulas, and how far each looks back.

Notation of the formulas, all at bar ``t`` and none with a later bar:

* ``O H L C V`` open, high, low, close, volume; ``x[k]`` is ``x`` of ``k`` bars ago.
* ``sum(x,w) mean(x,w) sd(x,w) max(x,w) min(x,w)``: over the last ``w`` bars, ``t``
  among them; ``sd`` divides by ``w − 1``; all NaN until ``w`` values exist.
* ``rng = H − L``, ``body = C − O``, ``uw = H − max(O,C)``, ``lw = min(O,C) − L``.
* ``TR = max(H − L, |H − C[1]|, |L − C[1]|)``, of the first bar ``H − L``.
* ``A = mean(TR,14)``: a plain mean, not Wilder's. ``x/A`` is 0 where ``A`` is 0.
* ``move = (C − C[1])/A``; at most 14 in size, because a move is part of its own TR.
* ``r1 = C/C[1] − 1``; ``p = (C − L)/rng``, ½ where ``rng`` is 0.
* ``sign`` is −1, 0 or 1; ``clip(x,a,b)`` keeps ``x`` within ``a`` and ``b``.

Warm-up is NaN and stays NaN. After it, a ratio whose denominator is 0 has the
neutral value that its ``missing`` names. No value is infinite.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ffm_core.features.ffm68.catalogue_events import CONTEXT, SESSION, SIZE, STRUCTURE, SWEEPS
from ffm_core.records import Column

__all__ = ["COLUMNS", "GROUPS", "NAMES"]

SOURCE = "Futures Foundation Model 2.1, revised"

_FULL = "NaN until the window is full"
_NO_ATR = "NaN for 13 bars; 0 while A is 0"
_NO_RANGE = "{} for a bar without range"


def _column(
    name: str,
    unit: str,
    formula: str,
    description: str,
    warmup_bars: int,
    history_bars: int,
    missing: str,
    **more: Any,
) -> Column:
    return Column(
        name=name,
        unit=unit,
        formula=formula,
        description=description,
        warmup_bars=warmup_bars,
        history_bars=history_bars,
        missing=missing,
        memory="finite",
        **more,
    )


_ANATOMY = (
    _column("bar_range_atr", "ATR", "rng/A", "range of the bar", 13, 15, _NO_ATR),
    _column("bar_body_atr", "ATR", "body/A", "body of the bar", 13, 15, _NO_ATR, signed=True),
    _column("bar_upper_wick_atr", "ATR", "uw/A", "upper wick", 13, 15, _NO_ATR),
    _column("bar_lower_wick_atr", "ATR", "lw/A", "lower wick", 13, 15, _NO_ATR),
    _column(
        "bar_body_pct", "fraction", "|body|/rng", "share of the body in the range",
        0, 1, _NO_RANGE.format("0"),
    ),
    _column(
        "bar_upper_wick_pct", "fraction", "uw/rng", "share of the upper wick in the range",
        0, 1, _NO_RANGE.format("0"),
    ),
    _column(
        "bar_lower_wick_pct", "fraction", "lw/rng", "share of the lower wick in the range",
        0, 1, _NO_RANGE.format("0"),
    ),
    _column(
        "bar_direction", "sign", "sign(body)", "colour of the bar", 0, 1, "never", signed=True
    ),
)  # fmt: skip

_RETURNS = (
    _column(
        "ret_close_1", "ATR", "(C − C[1])/A", "move of the close over 1 bar",
        13, 15, _NO_ATR, signed=True,
    ),
    _column(
        "ret_close_3", "ATR", "(C − C[3])/A", "move of the close over 3 bars",
        13, 15, _NO_ATR, signed=True,
    ),
    _column(
        "ret_close_5", "ATR", "(C − C[5])/A", "move of the close over 5 bars",
        13, 15, _NO_ATR, signed=True,
    ),
    _column(
        "ret_open_close", "ATR", "clip((C − O)/A[1], −20, 20)",
        "body against the ATR that was known at the bar's open; bar_body_atr has the bar itself "
        "in its ATR and so understates bursts",
        14, 16, "NaN for 14 bars; 0 while A[1] is 0", signed=True,
    ),
    _column(
        "ret_momentum_5", "ATR", "sum(move,5), move = (C − C[1])/A",
        "moves of 5 bars, each in the ATR of its own bar, so that a burst counts less and calm "
        "bars more than in ret_close_5",
        17, 19, "NaN for 17 bars; a move is 0 while its A is 0", signed=True,
    ),
    _column(
        "ret_momentum_10", "ATR", "sum(move,10), move = (C − C[1])/A",
        "moves of 10 bars, each in the ATR of its own bar",
        22, 24, "NaN for 22 bars; a move is 0 while its A is 0", signed=True,
    ),
    _column(
        "ret_momentum_20", "ATR", "sum(move,20), move = (C − C[1])/A",
        "moves of 20 bars, each in the ATR of its own bar",
        32, 34, "NaN for 32 bars; a move is 0 while its A is 0", signed=True,
    ),
    _column(
        "ret_acceleration", "ATR", "ret_momentum_5 − ret_momentum_5[5]",
        "momentum of 5 bars less that of the 5 before",
        22, 24, "NaN for 22 bars; a move is 0 while its A is 0", signed=True,
    ),
)  # fmt: skip

_NO_VOLUME = f"{_FULL}; 1 when no volume traded in it"
_VOLUME = (
    _column("vol_ratio_5", "ratio", "V/mean(V,5)", "volume against 5 bars", 4, 5, _NO_VOLUME),
    _column("vol_ratio_10", "ratio", "V/mean(V,10)", "volume against 10 bars", 9, 10, _NO_VOLUME),
    _column("vol_ratio_20", "ratio", "V/mean(V,20)", "volume against 20 bars", 19, 20, _NO_VOLUME),
    _column(
        "vol_change", "log ratio", "clip(ln((V + 1)/(V[1] + 1)), −5, 5)",
        "change of volume from the bar before", 1, 2, "NaN for the first bar",
    ),
    _column(
        "vol_close_position", "fraction", "p = (C − L)/rng", "place of the close in the bar",
        0, 1, _NO_RANGE.format("0.5"),
    ),
    _column(
        "vol_delta_proxy", "mean volume", "(p − ½)·V/mean(V,20)",
        "volume signed by where the bar closed",
        19, 20, f"{_FULL}; 0 when no volume traded in it", signed=True,
    ),
)  # fmt: skip

_VOLATILITY = (
    _column(
        "vty_atr_zscore", "SD", "(A − mean(A,50))/sd(A,50)", "ATR against its last 50 values",
        62, 64, "NaN for 62 bars; 0 when all 50 are equal, sd(A,50) ≤ 1e-9·mean(A,50)",
    ),
    _column(
        "vty_range_ratio_5", "ratio", "rng/mean(rng,5)", "range against 5 bars",
        4, 5, f"{_FULL}; 1 when no bar has a range",
    ),
    _column(
        "vty_range_ratio_20", "ratio", "rng/mean(rng,20)", "range against 20 bars",
        19, 20, f"{_FULL}; 1 when no bar has a range",
    ),
    _column(
        "vty_atr_of_atr", "ratio", "sd(A,14)/mean(A,14)", "how much the ATR itself varies",
        26, 28, "NaN for 26 bars; 0 when all 14 are 0",
    ),
    _column(
        "vty_realized_10", "fraction", "sd(r1,10), r1 = C/C[1] − 1", "SD of 10 bar returns",
        10, 11, "NaN for 10 bars",
    ),
    _column(
        "vty_realized_20", "fraction", "sd(r1,20), r1 = C/C[1] − 1", "SD of 20 bar returns",
        20, 21, "NaN for 20 bars",
    ),
)  # fmt: skip

_CANDLES = (
    _column(
        "engulf_count", "bars",
        "number of d in 1…5 with max(O,C)[d] ≤ max(O,C) and min(O,C)[d] ≥ min(O,C)",
        "how many of the 5 bodies before lie within this one", 5, 6, "NaN for 5 bars",
    ),
    _column(
        "momentum_speed_ratio", "ratio",
        "over the 20 closes c₀…c₁₉ = C[19]…C with first maximum at a and first minimum at b: "
        "impulse = (c_a − c_b)/|a − b|; e = max(a,b); retrace = |c₁₉ − c_e|/max(1, 19 − e); "
        "clip(impulse/retrace, 0, 10), 10 when retrace is 0",
        "speed of the swing in the last 20 closes against the speed of its retracement",
        19, 20, "NaN for 19 bars; 1 when all 20 closes are equal",
    ),
    _column(
        "wick_rejection", "fraction", "(lw − uw)/rng", "which wick is longer",
        0, 1, _NO_RANGE.format("0"), signed=True,
    ),
    _column(
        "dir_consistency", "fraction",
        "share of the last 5 bars, t among them, with sign(body) equal to that of t",
        "agreement of the last bars with this one", 4, 5, "NaN for 4 bars; 0.5 when body is 0",
    ),
    SIZE,
)  # fmt: skip

_FLOW = (
    _column(
        "vol_cum_signed_5", "fraction", "sum((p − ½)·V,5)/sum(V,5)",
        "share of signed volume in 5 bars; within ±0.5",
        4, 5, f"{_FULL}; 0 when no volume traded in it", signed=True,
    ),
    _column(
        "vol_cum_signed_20", "fraction", "sum((p − ½)·V,20)/sum(V,20)",
        "share of signed volume in 20 bars; within ±0.5",
        19, 20, f"{_FULL}; 0 when no volume traded in it", signed=True,
    ),
    _column(
        "vol_absorption", "ratio", "clip(vol_ratio_5·(1 − bar_body_pct), 0, 5)",
        "volume that moved the body little",
        4, 5, f"{_FULL}; vol_ratio_5 is 1 when no volume traded in it",
    ),
    _column(
        "vol_momentum_align", "ratio", "clip(sign(ret_momentum_5)·(vol_ratio_5 − 1), −3, 3)",
        "excess volume in the direction of momentum", 17, 19,
        "NaN for 17 bars; 0 while |ret_momentum_5| ≤ 1e-9", signed=True,
    ),
)  # fmt: skip

GROUPS = {
    "bar anatomy": _ANATOMY,
    "returns and momentum": _RETURNS,
    "volume dynamics": _VOLUME,
    "volatility": _VOLATILITY,
    "session": SESSION,
    "market structure": STRUCTURE,
    "sweep state": SWEEPS,
    "bar psychology": _CANDLES,
    "higher-timeframe context": CONTEXT,
    "absorption and order flow": _FLOW,
}
"""The ten groups in their canonical order."""


def _grouped() -> tuple[Column, ...]:
    return tuple(
        replace(column, group=group, source=SOURCE)
        for group, columns in GROUPS.items()
        for column in columns
    )


COLUMNS = _grouped()
NAMES = tuple(column.name for column in COLUMNS)
