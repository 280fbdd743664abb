"""What the 30 volatility columns of ``qe150`` are.

``T`` is Wilder's ATR of 14 bars, ``r`` the log return ln(C / C[1]), ``A`` the bars a
year has for the instrument and timeframe. Row ``t`` (from 0) of a column is NaN
while ``t < warmup_bars``.
"""

from __future__ import annotations

from functools import partial

from ffm_core.records import Column
from ffm_features_qe150.rings import smoother_history

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_NO_LOG = "NaN where a price in its window is not positive"

_T_BARS = smoother_history(14, 1 / 14)
_KELTNER_BARS = smoother_history(20, 1 / 20)

_volatility = partial(Column, group="volatility")
_finite = partial(_volatility, memory="finite")
_recursive = partial(_volatility, memory="recursive")


def _atr_percent(n: int) -> Column:
    return _recursive(
        name=f"vl_atr_pct_{n}",
        unit="fraction",
        description=f"average true range of {n} bars, relative to the close",
        formula=f"ATR{n} / C",
        source=_WILDER,
        missing="NaN where the close is not positive",
        warmup_bars=n,
        history_bars=smoother_history(n, 1 / n),
    )


def _realised(n: int) -> Column:
    return _finite(
        name=f"vl_rv_{n}",
        unit="annual log SD",
        description=f"sample SD of the last {n} returns, annualised",
        formula=f"SD{n}(r) · √A, SD with n − 1",
        missing=_NO_LOG,
        warmup_bars=n + 1,
        history_bars=n + 2,
    )


_annual = partial(_finite, unit="annual log SD", missing=_NO_LOG)

_LEVEL = (
    *(_atr_percent(n) for n in (7, 14, 28)),
    _recursive(
        name="vl_atr_7_28",
        unit="ratio",
        description="fast average true range against the slow one",
        formula="ATR7 / ATR28",
        source=_WILDER,
        missing="1 where ATR28 is 0",
        warmup_bars=28,
        history_bars=smoother_history(28, 1 / 28),
    ),
    *(_realised(n) for n in (10, 20, 60)),
    _finite(
        name="vl_rv_10_60",
        unit="ratio",
        description="fast realised volatility against the slow one",
        formula="vl_rv_10 / vl_rv_60",
        missing=f"1 where vl_rv_60 is 0; {_NO_LOG}",
        warmup_bars=61,
        history_bars=62,
    ),
    _annual(
        name="vl_parkinson_20",
        description="volatility from the ranges of 20 bars",
        formula="√(A · mean₂₀(ln(H/L)²) / (4 ln 2))",
        source="Parkinson (1980), Journal of Business 53(1)",
        warmup_bars=20,
        history_bars=21,
    ),
    _annual(
        name="vl_gk_20",
        description="volatility from ranges and bodies of 20 bars",
        formula="√(A · max(0, mean₂₀(½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)²)))",
        source="Garman & Klass (1980), Journal of Business 53(1)",
        warmup_bars=20,
        history_bars=21,
    ),
    _annual(
        name="vl_rs_20",
        description="volatility from four prices of 20 bars, free of drift",
        formula="√(A · max(0, mean₂₀(ln(H/C) ln(H/O) + ln(L/C) ln(L/O))))",
        source="Rogers & Satchell (1991), Annals of Applied Probability 1(4)",
        warmup_bars=20,
        history_bars=21,
    ),
    _annual(
        name="vl_yz_20",
        description="volatility from four prices and the gaps between 20 bars, free of drift",
        formula="√(A · (s²(ln(O/C[1])) + k s²(ln(C/O)) + (1 − k) σ²_RS)), s² with n − 1, "
        "k = 0.34 / (1.34 + 21/19)",
        source="Yang & Zhang (2000), Journal of Business 73(3)",
        warmup_bars=21,
        history_bars=22,
    ),
    _finite(
        name="vl_rv_rank_250",
        unit="fraction",
        description="share of the last 250 vl_rv_20 that do not exceed the present one",
        formula="#{vl_rv_20[j] ≤ vl_rv_20, j = 0 … 249} / 250",
        missing=_NO_LOG,
        warmup_bars=271,
        history_bars=272,
    ),
    _finite(
        name="vl_vov_20",
        unit="ratio",
        description="variation of the realised volatility itself",
        formula="SD₂₀(vl_rv_10) / mean₂₀(vl_rv_10)",
        missing=f"0 where prices did not vary; {_NO_LOG}",
        warmup_bars=30,
        history_bars=31,
    ),
)

_BANDS = (
    _finite(
        name="vl_bb_pctb_20",
        unit="fraction",
        description="place of the close between the Bollinger bands, 0 at the lower one",
        formula="(C − (SMA20 − 2σ)) / 4σ, σ = sample SD of 20 closes",
        source="Bollinger (2001), Bollinger on Bollinger Bands (there with n instead of n − 1)",
        missing="0.5 where the closes do not vary",
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vl_bb_width_20",
        unit="fraction",
        description="width of the Bollinger bands, relative to their middle",
        formula="4σ / SMA20",
        source="Bollinger (2001), Bollinger on Bollinger Bands (there with n instead of n − 1)",
        missing="0 where SMA20 is 0; negative where SMA20 is",
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="vl_bb_rank_100",
        unit="fraction",
        description="share of the last 100 vl_bb_width_20 that do not exceed the present one",
        formula="#{vl_bb_width_20[j] ≤ vl_bb_width_20, j = 0 … 99} / 100",
        warmup_bars=120,
        history_bars=121,
    ),
    _recursive(
        name="vl_kc_pos_20",
        unit="half channel widths",
        signed=True,
        description="place of the close in the Keltner channel, 0 in the middle",
        formula="(C − EMA20) / (2 · ATR20)",
        source="Keltner (1960); Raschke's form with EMA and ATR",
        missing="0 where ATR20 is 0",
        warmup_bars=20,
        history_bars=_KELTNER_BARS,
    ),
    _recursive(
        name="vl_kc_width_20",
        unit="fraction",
        description="width of the Keltner channel, relative to its middle",
        formula="4 · ATR20 / EMA20",
        source="Keltner (1960); Raschke's form with EMA and ATR",
        missing="0 where EMA20 is 0; negative where EMA20 is",
        warmup_bars=20,
        history_bars=_KELTNER_BARS,
    ),
    _recursive(
        name="vl_squeeze",
        unit="flag",
        description="Bollinger bands inside a Keltner channel of 1.5 ATR",
        formula="[2σ < 1.5 · ATR20]",
        source="Carter (2005), Mastering the Trade",
        missing="0 where ATR20 is 0",
        warmup_bars=20,
        history_bars=_KELTNER_BARS,
    ),
    _recursive(
        name="vl_squeeze_len",
        unit="fifties of bars",
        description="bars the squeeze has lasted, at most 50",
        formula="consecutive vl_squeeze / 50",
        warmup_bars=20,
        history_bars=_KELTNER_BARS + 50,
    ),
    _recursive(
        name="vl_dc_width_20",
        unit="ATR",
        description="width of the Donchian channel",
        formula="(HH20 − LL20) / T",
        missing="0 where T is 0",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
)

_SHAPE = (
    _annual(
        name="vl_downdev_20",
        description="downside deviation of 20 returns from 0, annualised",
        formula="√(mean₂₀(min(r, 0)²)) · √A",
        warmup_bars=21,
        history_bars=22,
    ),
    _finite(
        name="vl_ud_ratio_20",
        unit="log ratio",
        signed=True,
        description="upside against downside deviation of 20 returns",
        formula="ln(max(u, 1e-8) / max(d, 1e-8)), u = √(mean₂₀(max(r, 0)²)), d = √(mean₂₀("
        "min(r, 0)²)) per bar, within ±3",
        missing=f"0 where prices did not vary; {_NO_LOG}",
        warmup_bars=21,
        history_bars=22,
    ),
    _finite(
        name="vl_skew_60",
        unit="ratio",
        signed=True,
        description="sample skewness of 60 returns",
        formula="G₁ = √(n(n−1)) / (n−2) · m₃ / m₂^1.5, n = 60, m central moments of r",
        source="Joanes & Gill (1998), The Statistician 47(1)",
        missing=f"0 where the returns do not vary; {_NO_LOG}",
        warmup_bars=61,
        history_bars=62,
    ),
    _finite(
        name="vl_kurt_60",
        unit="ratio",
        description="sample excess kurtosis of 60 returns",
        formula="G₂ = (n−1) / ((n−2)(n−3)) · ((n+1)(m₄/m₂² − 3) + 6), n = 60, at most 20",
        source="Joanes & Gill (1998), The Statistician 47(1)",
        missing=f"0 where the returns do not vary; {_NO_LOG}",
        warmup_bars=61,
        history_bars=62,
    ),
    _finite(
        name="vl_tr_z_20",
        unit="SD",
        description="true range against the last 20 true ranges",
        formula="(TR − mean₂₀(TR)) / SD₂₀(TR), SD with n − 1",
        missing="0 where the true range does not vary",
        warmup_bars=20,
        history_bars=21,
    ),
    _recursive(
        name="vl_ewma",
        unit="annual log SD",
        description="exponentially weighted volatility with decay 0.94, annualised",
        formula="√(A · E), E = 0.94 E[1] + 0.06 r², seeded with the mean of the first 20 r²",
        source="RiskMetrics Technical Document (1996)",
        missing="NaN at a bar without a log return, which leaves E as it was",
        warmup_bars=30,
        history_bars=smoother_history(20, 0.06) + 1,
    ),
    _finite(
        name="vl_jump_20",
        unit="fraction",
        description="share of the variance of 20 returns that came in jumps",
        formula="1 − BV / RV within [0, 1], BV = (π/2) Σ₂₀ |r| |r[1]|, RV = Σ₂₀ r²",
        source="Barndorff-Nielsen & Shephard (2004), Journal of Financial Econometrics 2(1)",
        missing=f"0 where RV is 0; {_NO_LOG}",
        warmup_bars=21,
        history_bars=22,
    ),
    _finite(
        name="vl_range_exp",
        unit="ratio",
        description="range of the bar against the mean of the last 10, at most 10",
        formula="(H − L) / mean₁₀(H − L)",
        missing="1 where no bar of the window has a range",
        warmup_bars=10,
        history_bars=11,
    ),
)

COLUMNS: tuple[Column, ...] = (*_LEVEL, *_BANDS, *_SHAPE)
