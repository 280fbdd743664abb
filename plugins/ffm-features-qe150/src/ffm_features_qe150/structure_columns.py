"""What the 35 structure columns of ``qe150`` are.

``T`` is Wilder's ATR of 14 bars, ``x[n]`` a value ``n`` bars ago, HHn and LLn the
extremes of the last ``n`` bars, this one included. SH and SL are the last swing high
and low of order 3, known three bars after their own bar. Row ``t`` (from 0) is NaN
while ``t < warmup_bars``; for columns that wait for an event that is the earliest
row at which it can have happened.
"""

from __future__ import annotations

from functools import partial

from ffm_core.records import Column
from ffm_features_qe150.rings import smoother_history

_T_BARS = smoother_history(14, 1 / 14)
_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_ICT = "common usage among traders of order flow; no single publication"
_FLAT_HALF = "0.5 where the window has no range"
_NO_T = "0 where T is 0"
_NO_SWING = "NaN before the swings are known"
_NO_LOG = "NaN where a price in its window is not positive"

# The farthest first bar of the week before: two weeks of markets that never close.
_WEEKS = 14

_column = partial(Column, group="structure")
_finite = partial(_column, memory="finite")
_event = partial(_column, memory="event")
_per_atr = partial(_column, unit="ATR", memory="recursive")


def _range_pos(n: int) -> Column:
    return _finite(
        name=f"st_range_pos_{n}",
        unit="fraction",
        description=f"place of the close in the range of {n} bars",
        formula=f"(C − LL{n}) / (HH{n} − LL{n})",
        missing=_FLAT_HALF,
        warmup_bars=n,
        history_bars=n + 1,
    )


def _level(name: str, what: str, level: str, missing: str, *, days: int, signed: bool = False,
           bound: int | None = 50, warmup: int = 14) -> Column:  # fmt: skip
    within = f", within ±{bound}" if bound else ""
    return _per_atr(
        name=name,
        signed=signed,
        description=f"close against {what}",
        formula=f"(C − {level}) / T{within}",
        missing=f"{_NO_T}; {missing}",
        warmup_bars=warmup,
        history_bars=_T_BARS,
        history_days=days,
    )


_RANGES = (
    _range_pos(20),
    _range_pos(100),
    _finite(
        name="st_close_vs_high_50",
        unit="fraction",
        description="how far the close is below the high of 50 bars",
        formula="(HH50 − C) / (HH50 − LL50)",
        missing="0 where the window has no range",
        warmup_bars=50,
        history_bars=51,
    ),
    *(
        _finite(
            name=f"st_bars_since_{word}_50",
            unit="fraction",
            description=f"bars since the {word} of 50 bars",
            formula=f"k / 50, k = least number of bars ago with {letter}[k] = {letter * 2}50",
            missing="never",
            warmup_bars=50,
            history_bars=51,
        )
        for word, letter in (("high", "H"), ("low", "L"))
    ),
)

_SWINGS = (
    _event(
        name="st_dist_sw_high",
        unit="ATR",
        description="last swing high above the close",
        formula="(SH − C) / T, within ±20",
        missing=f"NaN where T is 0; {_NO_SWING}",
        warmup_bars=14,
    ),
    _event(
        name="st_dist_sw_low",
        unit="ATR",
        description="last swing low below the close",
        formula="(C − SL) / T, within ±20",
        missing=f"NaN where T is 0; {_NO_SWING}",
        warmup_bars=14,
    ),
    _event(
        name="st_swing_state",
        unit="state",
        signed=True,
        description="direction of the last two swing highs and lows",
        formula="+1 if both are higher than the ones before, −1 if both are lower, else 0",
        source="Dow; swing points of order 3",
        missing=_NO_SWING,
        warmup_bars=7,
    ),
    _event(
        name="st_leg_atr",
        unit="ATR",
        signed=True,
        description="size of the last leg between swings, positive for a rise",
        formula="(SH − SL) / T, negative if SL is the later; 0 if one bar is both",
        missing=f"{_NO_T}; {_NO_SWING}",
        warmup_bars=14,
    ),
    _event(
        name="st_retrace",
        unit="fraction",
        description="how much of the last leg the close has given back",
        formula="(E − C) / (E − B), B and E = begin and end of the leg, within [−1, 2]",
        missing=f"NaN where the leg has no size or one bar is both swings; {_NO_SWING}",
        warmup_bars=6,
    ),
    *(
        _event(
            name=f"st_bos_{word}",
            unit="fraction",
            description=f"freshness of the last break of structure {way}",
            formula=f"exp(−n/20), n = bars since a close first passed the {swing} of its time; "
            "each swing is broken once",
            source=_ICT,
            missing="0 before the first break; NaN before the first such swing",
            warmup_bars=6,
        )
        for word, way, swing in (("up", "upwards", "last swing high"),
                                 ("dn", "downwards", "last swing low"))
    ),
    _column(
        name="st_adx_14",
        unit="fraction",
        description="strength of the trend, whatever its direction",
        formula="Wilder14 of |DI⁺ − DI⁻| / (DI⁺ + DI⁻), DI± = Wilder14(DM±) / Wilder14(TR)",
        source=_WILDER,
        missing="a bar counts 0 where both DI are 0",
        memory="recursive",
        warmup_bars=28,
        history_bars=2 * _T_BARS,
    ),
    _column(
        name="st_di_diff_14",
        unit="fraction",
        signed=True,
        description="direction of the trend by Wilder's directional movement",
        formula="(DI⁺ − DI⁻) / (DI⁺ + DI⁻), DI± as in st_adx_14",
        source=_WILDER,
        missing="0 where both DI are 0",
        memory="recursive",
        warmup_bars=15,
        history_bars=_T_BARS + 1,
    ),
)  # fmt: skip

_FIRST_DATE = "NaN on the first trading date"
_NIGHT = ("NaN before the date's first bar ahead of regular hours, without such hours, and on bars "
          "of a day or longer")  # fmt: skip

_DAYS = (
    _level("st_dist_pdh", "the high of the trading date before", "PDH", _FIRST_DATE, days=2),
    _level("st_dist_pdl", "the low of the trading date before", "PDL", _FIRST_DATE, days=2),
    _level("st_dist_pdc", "the last close of the trading date before", "PDC", _FIRST_DATE,
           days=2, signed=True),
    _level("st_dist_dopen", "the first open of the trading date", "open of the date", "",
           days=1, signed=True, bound=None),
    _event(
        name="st_day_pos",
        unit="fraction",
        description="place of the close in the trading date's range so far",
        formula="(C − low so far) / (high so far − low so far)",
        missing="0.5 while the date has no range",
        warmup_bars=0,
        history_days=1,
    ),
    _event(
        name="st_day_range_adr",
        unit="ratio",
        description="range of the trading date so far against whole dates",
        formula="(high so far − low so far) / mean range of the last 20 trading dates with bars",
        missing="NaN where that mean is 0, and before 20 dates",
        warmup_bars=20,
        history_days=21,
    ),
    _level("st_dist_onh", "the high before regular hours, as far as known", "ONH", _NIGHT,
           days=1, bound=None),
    _level("st_dist_onl", "the low before regular hours, as far as known", "ONL", _NIGHT,
           days=1, bound=None),
    _level("st_dist_pwh", "the high of the week before", "PWH", "NaN in the first week",
           days=_WEEKS, bound=100),
    _level("st_dist_pwl", "the low of the week before", "PWL", "NaN in the first week",
           days=_WEEKS, bound=100),
    _level("st_pivot", "the pivot of the trading date before", "(PDH + PDL + PDC)/3", _FIRST_DATE,
           days=2, signed=True, bound=None),
)  # fmt: skip

_BARS = (
    _finite(
        name="st_inside",
        unit="flag",
        description="bar inside the one before",
        formula="1 if H < H[1] and L > L[1]",
        missing="never",
        warmup_bars=1,
        history_bars=2,
    ),
    _finite(
        name="st_outside",
        unit="flag",
        description="bar around the one before",
        formula="1 if H > H[1] and L < L[1]",
        missing="never",
        warmup_bars=1,
        history_bars=2,
    ),
    *(
        _event(
            name=f"st_fvg_{word}",
            unit="ATR",
            description=f"nearest unfilled {word}ish fair value gap {where}",
            formula=formula + ", at most 5; 0 inside the gap; 5 without one",
            source=_ICT,
            missing="5 where T is 0 and the gap is away; the 1,024 nearest gaps are remembered",
            warmup_bars=14,
        )
        for word, where, formula in (
            ("bull", "below", ("(C − top) / T of gaps [H[2], L] with L > H[2] whose bottom no "
                               "later low has reached")),
            ("bear", "above", ("(bottom − C) / T of gaps [H, L[2]] with H < L[2] whose top no "
                               "later high has reached")),
        )
    ),
    _finite(
        name="st_sweep_hi",
        unit="flag",
        description="high of 20 bars passed and closed back below",
        formula="1 if H > HH20[1] and C < HH20[1]",
        missing="never",
        warmup_bars=21,
        history_bars=22,
    ),
    _finite(
        name="st_sweep_lo",
        unit="flag",
        description="low of 20 bars passed and closed back above",
        formula="1 if L < LL20[1] and C > LL20[1]",
        missing="never",
        warmup_bars=21,
        history_bars=22,
    ),
    _per_atr(
        name="st_round",
        description="distance to the nearest round price",
        formula="|C − nearest multiple of the round step| / T, at most 10; the step is 100 ticks "
        "but for the contracts where traders use another",
        missing=_NO_T,
        warmup_bars=14,
        history_bars=_T_BARS,
    ),
    _finite(
        name="st_vr_5_100",
        unit="ratio",
        description="variance of 5-bar returns against 1-bar returns, 100 returns",
        formula="VR(5) − 1 with overlapping sums and the unbiased variances",
        source="Lo and MacKinlay (1988), Stock Market Prices Do Not Follow Random Walks",
        missing=f"0 where the returns do not vary; {_NO_LOG}",
        warmup_bars=101,
        history_bars=102,
    ),
    _finite(
        name="st_acf1_50",
        unit="correlation",
        description="first autocorrelation of 50 returns",
        formula="Σ (r − m)(r[1] − m) / Σ (r − m)², m = mean₅₀(r)",
        missing=f"0 where the returns do not vary; {_NO_LOG}",
        warmup_bars=51,
        history_bars=52,
    ),
    _event(
        name="st_cisd",
        unit="fraction",
        signed=True,
        description="freshness of the last change in state of delivery, signed by its side",
        formula="±exp(−n/20), n = bars since a close beyond the open of the first bar of the last "
        "run of 2 or more bodies of one colour that made the extreme; no sweep asked for",
        source=_ICT,
        missing="0 before the first; on a bar that is both, its body decides",
        warmup_bars=2,
    ),
)  # fmt: skip

COLUMNS = (*_RANGES, *_SWINGS, *_DAYS, *_BARS)
