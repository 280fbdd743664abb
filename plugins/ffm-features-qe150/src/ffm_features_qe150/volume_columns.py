"""What the 25 volume columns of ``qe150`` are.

``T`` is Wilder's ATR of 14 bars, ``C[n]`` the close ``n`` bars ago, ``r`` the log
return, TP the mean of high, low and close. Row ``t`` (from 0) is NaN while
``t < warmup_bars``.
"""

from __future__ import annotations

from functools import partial

from ffm_core.records import Column
from ffm_features_qe150.rings import smoother_history

QUIET_BARS = 100  # bars without volume after which a series counts as having none

_T_BARS = smoother_history(14, 1 / 14)
_NONE = "NaN where the window has no volume at all"
_NO_LOG = "NaN where a price in its window is not positive"
_CHAIKIN = "Chaikin, accumulation/distribution line and money flow"
_QUIET = f"NaN where the last {QUIET_BARS} bars, or all bars so far, had no volume"

_finite = partial(Column, group="volume", memory="finite")
_per_atr = partial(Column, group="volume", unit="ATR", memory="recursive", signed=True)


def _relative(n: int) -> Column:
    return _finite(
        name=f"vo_rel_{n}",
        unit="ratio",
        description=f"volume against its mean over {n} bars",
        formula=f"V / SMA{n}(V), at most 20",
        missing=_NONE,
        warmup_bars=n,
        history_bars=n + 1,
    )


_PACE = (
    _finite(
        name="vo_z_20",
        unit="SD",
        description="log volume against its last 20 values",
        formula="(x − mean₂₀(x)) / SD₂₀(x), x = ln(1 + V), SD with n − 1",
        missing=f"0 where volume does not vary; {_NONE}",
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_roc_5",
        unit="log ratio",
        description="mean volume of 5 bars against the 5 before",
        formula="ln(SMA5(V) / SMA5(V)[5])",
        missing=f"0 where one of the two has no volume; {_NONE}",
        warmup_bars=10,
        history_bars=11,
    ),
    _finite(
        name="vo_trend_5_20",
        unit="ratio",
        description="mean volume of 5 bars against that of 20",
        formula="SMA5(V) / SMA20(V)",
        missing=_NONE,
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_rank_100",
        unit="fraction",
        description="share of the last 100 volumes that do not exceed this one",
        formula="mean₁₀₀[V[k] ≤ V], k = 0 … 99",
        missing=_NONE,
        warmup_bars=100,
        history_bars=101,
    ),
)

_FLOW = (
    _finite(
        name="vo_obv_slope_20",
        unit="fraction",
        signed=True,
        description="volume of rising less falling bars over all volume, 20 bars",
        formula="(OBV − OBV[20]) / Σ₂₀V, OBV = Σ sign(C − C[1])·V",
        source="Granville (1963), on-balance volume",
        missing=_NONE,
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_cmf_20",
        unit="fraction",
        signed=True,
        description="Chaikin money flow over 20 bars",
        formula="Σ₂₀ clv·V / Σ₂₀V, clv = ((C − L) − (H − C)) / (H − L), 0 without a range",
        source=_CHAIKIN,
        missing=_NONE,
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_mfi_14",
        unit="fraction",
        description="money flow index of 14 bars",
        formula="P / (P + N); P, N = sums over 14 bars of TP·V where TP rose, where it fell",
        source="Quong and Soudack (1989), money flow index",
        missing=f"1 without negative flow, 0.5 without any; {_NONE}; NaN where a price in its "
        "window is not positive",
        warmup_bars=15,
        history_bars=16,
    ),
    _per_atr(
        name="vo_force_13",
        description="force index against typical range and volume",
        formula="EMA13((C − C[1])·V) / (T·SMA20(V))",
        source="Elder (1993), force index",
        missing=f"0 where T is 0; {_NONE}",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
    _per_atr(
        name="vo_vwap20_dist",
        description="close against the volume-weighted mean price of 20 bars",
        formula="(C − W) / T, W = Σ₂₀ TP·V / Σ₂₀V",
        missing=f"W is SMA20(TP) where its window has no volume; 0 where T is 0; {_QUIET}",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
    _per_atr(
        name="vo_vwap_sess_dist",
        description="close against the volume-weighted mean price of the trading date so far",
        formula="(C − W) / T, W = Σ TP·V / ΣV over the date's bars so far",
        missing=f"W is TP while the date has no volume; 0 where T is 0; {_QUIET}; "
        "NaN on bars of a day or longer",
        warmup_bars=14,
        history_bars=_T_BARS,
        history_days=1,
    ),
    _per_atr(
        name="vo_vwap20_slope",
        description="move of the 20-bar volume-weighted mean price, per bar",
        formula="(W − W[5]) / (5·T), W as in vo_vwap20_dist",
        missing=f"W is SMA20(TP) where its window has no volume; 0 where T is 0; {_QUIET}",
        warmup_bars=25,
        history_bars=_T_BARS,
    ),
    _finite(
        name="vo_up_frac_20",
        unit="fraction",
        description="share of 20 bars' volume that came in rising bars",
        formula="Σ₂₀ V[r > 0] / Σ₂₀V",
        missing=f"{_NONE}; {_NO_LOG}",
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_signed_1",
        unit="ratio",
        signed=True,
        description="relative volume with the sign of the body",
        formula="sign(C − O) · vo_rel_20",
        missing=_NONE,
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_delta_10",
        unit="fraction",
        signed=True,
        description="Chaikin money flow over 10 bars",
        formula="Σ₁₀ clv·V / Σ₁₀V, clv as in vo_cmf_20",
        source=_CHAIKIN,
        missing=_NONE,
        warmup_bars=10,
        history_bars=11,
    ),
    _finite(
        name="vo_pv_corr_20",
        unit="correlation",
        signed=True,
        description="correlation of returns with changes of log volume, 20 bars",
        formula="corr₂₀(r, x − x[1]), x = ln(1 + V)",
        missing=f"0 where one of the two does not vary; {_NONE}; {_NO_LOG}",
        warmup_bars=21,
        history_bars=22,
    ),
)

_STATES = (
    Column(
        name="vo_absorb",
        group="volume",
        unit="ratio",
        description="much volume, little range",
        formula="vo_rel_20 / max((H − L) / T, 0.05), at most 10",
        missing=f"(H − L) / T is 0 where T is 0; {_NONE}",
        memory="recursive",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
    Column(
        name="vo_climax",
        group="volume",
        unit="flag",
        description="very much volume and a wide range",
        formula="1 if V > 2.5·SMA20(V) and H − L > 1.5·T",
        missing=_NONE,
        memory="recursive",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
    _finite(
        name="vo_dry",
        unit="flag",
        description="hardly any volume",
        formula="1 if V < 0.5·SMA20(V)",
        missing=_NONE,
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vo_amihud_20",
        unit="log per money",
        description="price move per money traded, 20 bars; depends on the price level",
        formula="ln(1 + 10⁹·mean₂₀(|r| / (V·C·point value))), bars without volume left out",
        source="Amihud (2002), Illiquidity and stock returns",
        missing="NaN where no bar of the window has a positive price and volume",
        warmup_bars=21,
        history_bars=22,
    ),
    Column(
        name="vo_tod_rel",
        group="volume",
        unit="ratio",
        description="volume against the same time of the last 20 trading dates",
        formula="V / mean of V in the bar at the same time of the session over the last 20 "
        "trading dates with bars, at most 20; dates without that bar are left out",
        missing="1 where that mean is 0; NaN where none of the dates has the bar, where it and "
        "they have no volume, before 20 dates, and on bars of a day or longer",
        memory="event",
        warmup_bars=20,
        history_days=21,
    ),
    Column(
        name="vo_day_cum_frac",
        group="volume",
        unit="ratio",
        description="volume of the trading date so far against whole dates",
        formula="ΣV of the date so far / mean ΣV of the last 20 trading dates with bars",
        missing="NaN where that mean is 0, before 20 dates, and on bars of a day or longer",
        memory="event",
        warmup_bars=20,
        history_days=21,
    ),
    Column(
        name="vo_eom_14",
        group="volume",
        unit="ATR²",
        signed=True,
        description="ease of movement: how far the bars move on little volume",
        formula="SMA14 of ((mid − mid[1])/T · (H − L)/T) / vo_rel_20, mid = (H + L)/2",
        source="Arms (1989), Volume Cycles in the Stock Market",
        missing=f"a bar counts 0 where T or its volume is 0; {_NONE}",
        memory="recursive",
        warmup_bars=34,
        history_bars=_T_BARS + 20,
    ),
)

COLUMNS = (_relative(10), _relative(20), _relative(50), *_PACE, *_FLOW, *_STATES)
