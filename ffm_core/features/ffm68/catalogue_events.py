"""Columns of ``ffm68`` that remember an event: a session, a swing, a longer bar.

**Trading clock.** Local time of the instrument's zone; where the session opens in the
evening, moved so that its open is midnight: 18:00 New York for CME. UTC for markets
that trade 24/7. Its date is the trading date.

**Sessions**, by New York wall clock of the bar's open: asia 18:00–03:00, london
03:00–08:00, ny_am 08:00–12:00, ny_pm 12:00–16:00, close 16:00–17:00. Bars of the
break 17:00–18:00 and all bars of markets that trade 24/7 have session ``off``. A
session begins with the first bar whose (trading date, session) differs from that
of the bar before; what follows it is counted from there.

**Longer bars** of 60 and 240 minutes (never shorter than the bars themselves) and
of one trading date: bars belong together when ``floor(trading clock of the open /
length)`` is equal and no bar before has completed the longer bar. It is complete at
the bar whose close (open + bar length, trading clock) reaches the end ``(floor + 1) ·
length``, and may be used in the row of that very bar; if that bar is missing, it is
complete when the next bar comes. ``j`` is the last complete longer bar; ``Ō H̄ L̄ C̄``
are its prices; ``Ā_j`` is the plain mean of the true ranges of ``j−13 … j``.

**Sweeps** at the completion of ``j`` (``j ≥ 1``; the very first never sweeps): bull
when ``L̄_j < L̄_{j−1}`` and ``C̄_j > L̄_{j−1}``, of magnitude ``clip((L̄_{j−1} −
L̄_j)/Ā_j, 0, 3)``; bear when ``H̄_j > H̄_{j−1}`` and ``C̄_j < H̄_{j−1}``, of magnitude
``clip((H̄_j − H̄_{j−1})/Ā_j, 0, 3)``. A sweep is active in the row in which it becomes
known and in the rows after it, ``E = max(1, length/bar length rounded half up)``
rows in all; its age is 0, 1/E, … (E − 1)/E. A newer sweep of its side replaces it.
"""

from __future__ import annotations

from typing import Any

from ffm_core.records import Column

__all__ = ["CONTEXT", "SESSION", "SIZE", "STRUCTURE", "SWEEPS"]

# Bars of one minute, the shortest allowed, that the longest possible past holds.
_HOUR, _FOUR_HOURS, _DAY = 60, 240, 1_440
_SWEEP_BARS = 4  # longer bars a sweep and its expiry reach back
_ATR_BARS = 16  # those its magnitude reaches back

_OFF = "NaN outside sessions"


def _column(
    name: str,
    unit: str,
    formula: str,
    description: str,
    warmup_bars: int,
    missing: str,
    **more: Any,
) -> Column:
    return Column(
        name=name,
        unit=unit,
        formula=formula,
        description=description,
        warmup_bars=warmup_bars,
        missing=missing,
        **{"memory": "event", **more},
    )


def _distance(name: str, formula: str, description: str, **more: Any) -> Column:
    missing = f"{_OFF} and for 13 bars; 0 while A is 0"
    given = {"history_bars": 15, "history_days": 1, **more}
    return _column(name, "ATR", formula, description, 13, given.pop("missing", missing), **given)


SESSION = (
    _column(
        "sess_bars_elapsed", "fraction",
        "min(1, bars of the session before t / max(1, nominal minutes/bar minutes))",
        "how much of the session's nominal length has passed", 0, _OFF, history_days=1,
    ),
    _distance(
        "sess_dist_from_open", "(C − O of the session's first bar)/A",
        "distance from the session's open", signed=True,
    ),
    _distance(
        "sess_dist_from_high", "(C − highest H of the session so far)/A",
        "distance from the session's high; 0 or less",
    ),
    _distance(
        "sess_dist_from_low", "(C − lowest L of the session so far)/A",
        "distance from the session's low; 0 or more",
    ),
    _distance(
        "sess_dist_from_vwap",
        "(C − W)/A, W = Σ tp·V / Σ V over the trading date so far, tp = (H + L + C)/3",
        "distance from the volume-weighted mean price of the trading date, in the break and "
        "around the clock too",
        signed=True, missing="NaN for 13 bars; 0 while A is 0 or before any volume of the date",
    ),
)  # fmt: skip

SIZE = _column(
    "bar_size_vs_session",
    "ratio",
    "rng / mean of rng over the session so far, t among it",
    "range against the session",
    0,
    f"{_OFF}; 1 while no bar of the session has a range",
    history_days=1,
)

_SWING = (
    "; bar s is a swing {0} when {1}_s {2} {1} of each of the 10 bars before it and "
    "{1}_s {3} {1} of each of the 10 after it, known at s + 10"
)
_SWING_HIGH = _SWING.format("high", "H", ">", "≥")
_SWING_LOW = _SWING.format("low", "L", "<", "≤")


def _range(name: str, unit: str, formula: str, description: str, bars: int) -> Column:
    if unit == "ATR":
        warmup, history = max(13, bars - 1), max(15, bars)
        missing = f"NaN for {warmup} bars; 0 while A is 0"
    else:
        warmup, history = bars - 1, bars
        missing = f"NaN for {warmup} bars; 0.5 when the range is 0"
    return _column(
        name, unit, formula, description, warmup, missing, memory="finite", history_bars=history
    )


STRUCTURE = (
    _column(
        "str_swing_high_dist", "ATR", f"(C − H of the last known swing high)/A{_SWING_HIGH}",
        "distance from the last swing high", 20,
        "NaN until a swing high is known, bar 20 at the earliest; 0 while A is 0",
    ),
    _column(
        "str_swing_low_dist", "ATR", f"(C − L of the last known swing low)/A{_SWING_LOW}",
        "distance from the last swing low", 20,
        "NaN until a swing low is known, bar 20 at the earliest; 0 while A is 0",
    ),
    _column(
        "str_structure_state", "sign",
        "1 when the last known swing high is above the one before it and the last known swing "
        "low above the one before it; −1 when both are below; else 0",
        "rising or falling swings", 31, "NaN until two highs and two lows are known", signed=True,
    ),
    _range("str_dist_from_high_10", "ATR", "(C − max(H,10))/A", "distance from the high of 10", 10),
    _range("str_dist_from_low_10", "ATR", "(C − min(L,10))/A", "distance from the low of 10", 10),
    _range(
        "str_range_position_10", "fraction", "(C − min(L,10))/(max(H,10) − min(L,10))",
        "place of the close in the range of 10 bars", 10,
    ),
    _range("str_dist_from_high_20", "ATR", "(C − max(H,20))/A", "distance from the high of 20", 20),
    _range("str_dist_from_low_20", "ATR", "(C − min(L,20))/A", "distance from the low of 20", 20),
    _range(
        "str_range_position_20", "fraction", "(C − min(L,20))/(max(H,20) − min(L,20))",
        "place of the close in the range of 20 bars", 20,
    ),
)  # fmt: skip


def _sweeps(tag: str, words: str, bars: int) -> tuple[Column, ...]:
    two = f"NaN until two {words} bars are complete"
    known = {"history_bars": _SWEEP_BARS * bars}
    return (
        _column(
            f"swp_{tag}_bull_active", "flag", f"1 while a bull sweep of {words} bars is active",
            "a low was taken and the close came back", 2 * bars - 1, two, **known,
        ),
        _column(
            f"swp_{tag}_bear_active", "flag", f"1 while a bear sweep of {words} bars is active",
            "a high was taken and the close came back", 2 * bars - 1, two, **known,
        ),
        _column(
            f"swp_{tag}_age_norm", "fraction",
            f"age of the younger active sweep of {words} bars; 1 when none is active",
            "0 in the row in which a sweep becomes known", 2 * bars - 1, two, **known,
        ),
        _column(
            f"swp_{tag}_magnitude", "longer ATR",
            f"largest magnitude of the active sweeps of {words} bars; 0 when none is active",
            "how far the swept level was exceeded", 14 * bars - 1,
            f"NaN until 14 {words} bars are complete and while an active sweep is older than that",
            history_bars=_ATR_BARS * bars,
        ),
    )  # fmt: skip


SWEEPS = (
    *_sweeps("1h", "60-minute", _HOUR),
    *_sweeps("4h", "240-minute", _FOUR_HOURS),
    _column(
        "swp_tf_alignment", "sign",
        "sign(swp_1h_bull_active − swp_1h_bear_active + swp_4h_bull_active − swp_4h_bear_active)",
        "direction most active sweeps point to", 2 * _FOUR_HOURS - 1,
        "NaN until two 240-minute bars are complete",
        signed=True, history_bars=_SWEEP_BARS * _FOUR_HOURS,
    ),
    _column(
        "swp_dominant_dir", "fraction",
        "(b₁ − s₁ + b₄ − s₄)/(b₁ + s₁ + b₄ + s₄) with the magnitudes of the active bull (b) and "
        "bear (s) sweeps of 60 and 240 minutes, 0 for an inactive one; 0 when all are 0",
        "direction of the sweeps weighted by magnitude", 14 * _FOUR_HOURS - 1,
        "NaN while swp_1h_magnitude or swp_4h_magnitude is",
        signed=True, history_bars=_ATR_BARS * _FOUR_HOURS,
    ),
)  # fmt: skip


def _running(tag: str, words: str, bars: int) -> tuple[Column, ...]:
    return (
        _column(
            f"htf_{tag}_close_pos", "fraction",
            f"(C − lo)/(hi − lo), lo and hi the extremes of the running {words} bar so far",
            f"place of the close in the running {words} bar", 0,
            "0.5 while the running bar has no range", history_bars=bars,
        ),
        _column(
            f"htf_{tag}_ret", "ATR", f"(C − open of the running {words} bar)/A",
            f"move since the running {words} bar opened", 13, "NaN for 13 bars; 0 while A is 0",
            signed=True, history_bars=bars,
        ),
    )  # fmt: skip


_TURNS = (
    "s = sign(c₀ − c₁) + sign(c₁ − c₂) + sign(c₂ − c₃) of the last four complete {} closes, "
    "c₀ the latest; 1 when s ≥ 2, −1 when s ≤ −2, else 0"
)

CONTEXT = (
    *_running("1h", "60-minute", _HOUR),
    *_running("4h", "240-minute", _FOUR_HOURS),
    _column(
        "htf_tf_alignment", "sign", "sign(htf_1h_ret)·sign(htf_4h_ret)",
        "whether the running bars of both lengths agree", 13, "NaN for 13 bars",
        history_bars=_FOUR_HOURS,
    ),
    _column(
        "htf_1h_structure", "sign", _TURNS.format("60-minute"),
        "direction of the last 60-minute closes", 4 * _HOUR - 1,
        "NaN until four 60-minute bars are complete", signed=True, history_bars=5 * _HOUR,
    ),
    _column(
        "htf_daily_structure", "sign", _TURNS.format("trading-date"),
        "direction of the last daily closes", 4 * _DAY - 1,
        "NaN until four trading dates are complete", signed=True, history_days=6,
    ),
)  # fmt: skip
