"""What the 40 price-action columns of ``qe150`` are.

``T`` is Wilder's ATR of 14 bars, ``C[n]`` the close ``n`` bars ago. Row ``t`` (from
0) of a column is NaN while ``t < warmup_bars``.
"""

from __future__ import annotations

from functools import partial

from ffm_core.records import Column
from ffm_features_qe150.rings import smoother_history

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_NO_LOG = "NaN where a price in its window is not positive"
_NO_RANGE = "0 where the bar has no range"
_NO_ATR = "0 where T is 0"

_T_BARS = smoother_history(14, 1 / 14)
_MACD_BARS = max(_T_BARS, smoother_history(26, 2 / 27))
_SIGNAL_BARS = _MACD_BARS + smoother_history(9, 2 / 10)

_price = partial(Column, group="price action")
_finite = partial(_price, memory="finite")
_per_atr = partial(_price, unit="ATR", memory="recursive", signed=True, missing=_NO_ATR)


def _return(n: int) -> Column:
    return _finite(
        name=f"pa_ret_{n}",
        unit="log return",
        signed=True,
        description=f"return over {n} bar{'s' if n > 1 else ''}",
        formula=f"ln(C / C[{n}])",
        missing=_NO_LOG,
        warmup_bars=n,
        history_bars=n + 1,
    )


def _from_sma(n: int) -> Column:
    return _per_atr(
        name=f"pa_dist_sma_{n}",
        description=f"close against the mean of the last {n} closes",
        formula=f"(C − SMA{n}) / T",
        warmup_bars=max(n, 14),
        history_bars=max(_T_BARS, n + 1),
    )


def _from_ema(n: int) -> Column:
    return _per_atr(
        name=f"pa_dist_ema_{n}",
        description=f"close against the exponential mean of {n} bars",
        formula=f"(C − EMA{n}) / T",
        warmup_bars=max(n, 14),
        history_bars=max(_T_BARS, smoother_history(n, 2 / (n + 1))),
    )


def _rsi(n: int) -> Column:
    return _price(
        name=f"pa_rsi_{n}",
        unit="fraction",
        description=f"share of rises in the smoothed moves of {n} bars",
        formula=f"G / (G + L); G, L = Wilder{n} of max(C − C[1], 0) and of max(C[1] − C, 0)",
        source=_WILDER,
        missing="1 without a fall, 0.5 without any move",
        memory="recursive",
        warmup_bars=n + 1,
        history_bars=smoother_history(n, 1 / n) + 1,
    )


_BAR = (
    _finite(
        name="pa_ret_z20",
        unit="SD",
        signed=True,
        description="return of the bar against the last 20 returns",
        formula="(r − mean₂₀(r)) / SD₂₀(r), r = ln(C / C[1]), SD with n − 1",
        missing=f"0 where the returns do not vary; {_NO_LOG}",
        warmup_bars=21,
        history_bars=22,
    ),
    _per_atr(
        name="pa_body_atr",
        description="body of the bar",
        formula="(C − O) / T",
        warmup_bars=14,
        history_bars=_T_BARS,
    ),
    _per_atr(
        name="pa_range_atr",
        signed=False,
        description="range of the bar",
        formula="(H − L) / T",
        warmup_bars=14,
        history_bars=_T_BARS,
    ),
    _finite(
        name="pa_body_ratio",
        unit="fraction",
        signed=True,
        description="body as a share of the range, positive for a rise",
        formula="(C − O) / (H − L)",
        missing=_NO_RANGE,
        warmup_bars=0,
        history_bars=1,
    ),
    _finite(
        name="pa_upper_wick",
        unit="fraction",
        description="upper wick as a share of the range",
        formula="(H − max(O, C)) / (H − L)",
        missing=_NO_RANGE,
        warmup_bars=0,
        history_bars=1,
    ),
    _finite(
        name="pa_lower_wick",
        unit="fraction",
        description="lower wick as a share of the range",
        formula="(min(O, C) − L) / (H − L)",
        missing=_NO_RANGE,
        warmup_bars=0,
        history_bars=1,
    ),
    _finite(
        name="pa_clv",
        unit="fraction",
        signed=True,
        description="place of the close in the bar: −1 at the low, 1 at the high",
        formula="((C − L) − (H − C)) / (H − L)",
        source="Chaikin, accumulation/distribution line",
        missing=_NO_RANGE,
        warmup_bars=0,
        history_bars=1,
    ),
    _per_atr(
        name="pa_gap_atr",
        description="open against the close before it",
        formula="(O − C[1]) / T[1]",
        missing="0 where T[1] is 0",
        warmup_bars=15,
        history_bars=_T_BARS + 1,
    ),
)

_AVERAGES = (
    *(_from_sma(n) for n in (10, 20, 50, 200)),
    *(_from_ema(n) for n in (9, 21, 50)),
    _per_atr(
        name="pa_ema9_21",
        description="fast exponential mean against the middle one",
        formula="(EMA9 − EMA21) / T",
        warmup_bars=21,
        history_bars=max(_T_BARS, smoother_history(21, 2 / 22)),
    ),
    _per_atr(
        name="pa_ema21_50",
        description="middle exponential mean against the slow one",
        formula="(EMA21 − EMA50) / T",
        warmup_bars=50,
        history_bars=max(_T_BARS, smoother_history(50, 2 / 51)),
    ),
    _per_atr(
        name="pa_slope_ema21",
        unit="ATR per bar",
        description="slope of the exponential mean of 21 bars over 5 bars",
        formula="(EMA21 − EMA21[5]) / (5 T)",
        warmup_bars=26,
        history_bars=max(_T_BARS, smoother_history(21, 2 / 22) + 5),
    ),
    _per_atr(
        name="pa_slope_sma50",
        unit="ATR per bar",
        description="slope of the mean of 50 closes over 10 bars",
        formula="(SMA50 − SMA50[10]) / (10 T)",
        warmup_bars=60,
        history_bars=_T_BARS,
    ),
)

_OSCILLATORS = (
    *(_rsi(n) for n in (7, 14, 21)),
    _finite(
        name="pa_stoch_k14",
        unit="fraction",
        description="place of the close in the range of the last 14 bars",
        formula="(C − LL14) / (HH14 − LL14)",
        source="Lane, stochastics (raw %K)",
        missing="0.5 where the window has no range",
        warmup_bars=14,
        history_bars=15,
    ),
    _finite(
        name="pa_stoch_d3",
        unit="fraction",
        description="mean of the last three pa_stoch_k14",
        formula="SMA3(pa_stoch_k14)",
        source="Lane, stochastics (fast %D)",
        missing="0.5 where the window has no range",
        warmup_bars=16,
        history_bars=17,
    ),
    _finite(
        name="pa_cci_20",
        unit="hundreds of CCI",
        signed=True,
        description="typical price against its mean, in mean absolute deviations",
        formula="(TP − SMA20(TP)) / (0.015 · MAD20(TP)) / 100, TP = (H+L+C)/3, within ±5",
        source="Lambert (1980), Commodity Channel Index",
        missing="0 where the window is flat",
        warmup_bars=20,
        history_bars=21,
    ),
)

_TREND = (
    _per_atr(
        name="pa_macd",
        description="MACD line",
        formula="(EMA12 − EMA26) / T",
        source="Appel, moving average convergence/divergence",
        warmup_bars=26,
        history_bars=_MACD_BARS,
    ),
    _per_atr(
        name="pa_macd_sig",
        description="signal line of pa_macd",
        formula="EMA9(pa_macd)",
        source="Appel, moving average convergence/divergence",
        warmup_bars=35,
        history_bars=_SIGNAL_BARS,
    ),
    _per_atr(
        name="pa_macd_hist",
        description="MACD line against its signal",
        formula="pa_macd − pa_macd_sig",
        source="Appel, moving average convergence/divergence",
        warmup_bars=35,
        history_bars=_SIGNAL_BARS,
    ),
    _per_atr(
        name="pa_lr_slope_20",
        unit="ATR per bar",
        description="slope of the straight line through the last 20 closes",
        formula="least-squares slope of C on 0 … 19, / T",
        warmup_bars=20,
        history_bars=_T_BARS,
    ),
    _finite(
        name="pa_lr_r2_20",
        unit="fraction",
        description="share of variance that straight line explains",
        formula="R² of the least-squares line of C on 0 … 19",
        missing="0 where the window is flat",
        warmup_bars=20,
        history_bars=21,
    ),
    _finite(
        name="pa_er_10",
        unit="fraction",
        description="efficiency ratio: way made good over way gone",
        formula="|C − C[10]| / Σ₁₀ |C − C[1]|",
        source="Kaufman (1995), Smarter Trading",
        missing="0 where the close did not move",
        warmup_bars=10,
        history_bars=11,
    ),
    _finite(
        name="pa_streak",
        unit="tens of bars",
        signed=True,
        description="length of the run of returns of one sign, at most 10 bars",
        formula="± length / 10; a zero return gives 0",
        missing="a bar without a log return is NaN and starts the count anew",
        warmup_bars=1,
        history_bars=11,
    ),
    _finite(
        name="pa_up_frac_20",
        unit="fraction",
        description="share of rises among the last 20 bars",
        formula="mean₂₀[r > 0]",
        missing=_NO_LOG,
        warmup_bars=20,
        history_bars=21,
    ),
)

COLUMNS: tuple[Column, ...] = (
    *(_return(n) for n in (1, 2, 3, 5, 10, 20, 60)),
    *_BAR,
    *_AVERAGES,
    *_OSCILLATORS,
    *_TREND,
)
