"""The 68 columns of ``ffm68-legacy``: what each says and how far back it looks.

``A`` is the plain mean of the last 14 true ranges, NaN where that is 0.
"""

from __future__ import annotations

from ffm_core.records import Column, Memory

_SOURCE = "Futures Foundation Model 2.1"
_NO_ATR = "NaN for 13 bars and while A is 0"
_NO_PAST = "NaN until the window is full"

_GROUPS = (
    ("bar anatomy", 8),
    ("returns and momentum", 8),
    ("volume dynamics", 6),
    ("volatility", 6),
    ("session", 5),
    ("market structure", 9),
    ("sweep state", 10),
    ("bar psychology", 5),
    ("higher-timeframe context", 7),
    ("absorption and order flow", 4),
)

# name, unit, signed, formula, missing, warmup_bars, memory, history_bars, history_days
_Row = tuple[str, str, bool, str, str, int, Memory, int | None, int | None]


def _finite(
    name: str,
    unit: str,
    formula: str,
    missing: str,
    warmup: int,
    bars: int,
    *,
    signed: bool = False,
) -> _Row:
    return name, unit, signed, formula, missing, warmup, "finite", bars, None


def _event(
    name: str,
    unit: str,
    formula: str,
    missing: str,
    warmup: int,
    days: int | None,
    *,
    bars: int | None = None,
    signed: bool = False,
) -> _Row:
    return name, unit, signed, formula, missing, warmup, "event", bars, days


def _anatomy() -> list[_Row]:
    flat = "0 for a bar without range"
    return [
        _finite("bar_range_atr", "ATR", "(H − L) / A", _NO_ATR, 13, 15),
        _finite("bar_body_atr", "ATR", "(C − O) / A", _NO_ATR, 13, 15, signed=True),
        _finite("bar_upper_wick_atr", "ATR", "(H − max(O, C)) / A", _NO_ATR, 13, 15),
        _finite("bar_lower_wick_atr", "ATR", "(min(O, C) − L) / A", _NO_ATR, 13, 15),
        _finite("bar_body_pct", "fraction", "|C − O| / (H − L)", flat, 0, 1),
        _finite("bar_upper_wick_pct", "fraction", "(H − max(O, C)) / (H − L)", flat, 0, 1),
        _finite("bar_lower_wick_pct", "fraction", "(min(O, C) − L) / (H − L)", flat, 0, 1),
        _finite("bar_direction", "sign", "sign(C − O)", "never", 0, 1, signed=True),
    ]


def _returns() -> list[_Row]:
    zero = "NaN until the window is full and after a price of 0"
    rows = [
        _finite(f"ret_close_{lag}", "return", f"C / C[−{lag}] − 1", zero, lag, lag + 1, signed=True)
        for lag in (1, 3, 5)
    ]
    rows.append(
        _finite("ret_open_close", "return", "(C − O) / O", "NaN at an open of 0", 0, 1, signed=True)
    )
    rows += [
        _finite(
            f"ret_momentum_{lag}",
            "return",
            f"Σ over {lag} bars of C / C[−1] − 1",
            zero,
            lag,
            lag + 1,
            signed=True,
        )
        for lag in (5, 10, 20)
    ]
    formula = "ret_momentum_5 − ret_momentum_5[−5]"
    return [*rows, _finite("ret_acceleration", "return", formula, zero, 10, 11, signed=True)]


def _volume() -> list[_Row]:
    empty = "NaN until the window is full and while its volume is 0"
    flat = "0.5 for a bar without range"
    rows = [
        _finite(f"vol_ratio_{n}", "ratio", f"V / mean(V, {n})", empty, n - 1, n)
        for n in (5, 10, 20)
    ]
    return [
        *rows,
        _finite(
            "vol_change", "ratio", "V / V[−1] − 1", "NaN on bar 0 and after a volume of 0", 1, 2
        ),
        _finite("vol_close_position", "fraction", "(C − L) / (H − L)", flat, 0, 1),
        _finite(
            "vol_delta_proxy", "contracts", "(vol_close_position − 0.5) · V", "never", 0, 1,
            signed=True,
        ),
    ]  # fmt: skip


def _volatility() -> list[_Row]:
    flat = "NaN until the window is full and where it is flat"
    empty = "NaN until the window is full and while its ranges are 0"
    z = "(ATR − mean(ATR, 50)) / SD(ATR, 50), ATR = mean(true range, 14)"
    rows = [
        _finite("vty_atr_zscore", "SD", z, flat, 62, 64),
        _finite("vty_range_ratio_5", "ratio", "(H − L) / mean(H − L, 5)", empty, 4, 5),
        _finite("vty_range_ratio_20", "ratio", "(H − L) / mean(H − L, 20)", empty, 19, 20),
        _finite("vty_atr_of_atr", "ratio", "SD(ATR, 14) / mean(ATR, 14)", empty, 26, 28),
    ]
    formula = "sample SD over {} bars of C / C[−1] − 1"
    return rows + [
        _finite(f"vty_realized_{n}", "return", formula.format(n), _NO_PAST, n, n + 1)
        for n in (10, 20)
    ]


def _session() -> list[_Row]:
    key = "session = UTC date and hour: 3–8, 8–12, 12–16, any other hour"
    rows = (
        ("bars_elapsed", "fraction", f"bars before it / nominal bars, at most 1; {key}", 0),
        ("dist_from_open", "ATR", "(C − first open of the session) / A", 13),
        ("dist_from_high", "ATR", "(C − highest high of the session so far) / A", 13),
        ("dist_from_low", "ATR", "(C − lowest low of the session so far) / A", 13),
        ("dist_from_vwap", "ATR", "(C − VWAP of the UTC date) / A, price (H + L + C) / 3", 13),
    )
    signed = ("dist_from_open", "dist_from_vwap")
    return [
        _event(
            f"sess_{name}", unit, formula, _NO_ATR if warmup else "never", warmup, 2,
            bars=15 if warmup else 1, signed=name in signed,
        )
        for name, unit, formula, warmup in rows
    ]  # fmt: skip


def _structure() -> list[_Row]:
    swing = "the extreme of 21 bars at its middle, known 10 bars later"
    none = "NaN until the first swing and while A is missing or 0"
    rows = [
        _event("str_swing_high_dist", "ATR", f"(C − last swing high) / A; {swing}", none, 20, None),
        _event("str_swing_low_dist", "ATR", f"(C − last swing low) / A; {swing}", none, 20, None),
        _event(
            "str_structure_state", "sign",
            "1 when the last swing high and low both rose, −1 when both fell, else 0",
            "0 until two swings of each kind", 0, None, signed=True,
        ),
    ]  # fmt: skip
    for n in (10, 20):
        warmup, bars = max(13, n - 1), max(15, n)
        place = "0.5 until the window is full and where it is flat"
        none = f"NaN for {warmup} bars and while A is 0"
        rows += [
            _finite(f"str_dist_from_high_{n}", "ATR", f"(C − max(H, {n})) / A", none, warmup, bars),
            _finite(f"str_dist_from_low_{n}", "ATR", f"(C − min(L, {n})) / A", none, warmup, bars),
            _finite(
                f"str_range_position_{n}", "fraction",
                f"(C − min(L, {n})) / (max(H, {n}) − min(L, {n}))", place, 0, n,
            ),
        ]  # fmt: skip
    return rows


def _sweeps() -> list[_Row]:
    rows: list[_Row] = []
    for name, hours in (("1h", 1), ("4h", 4)):
        pair = f"completed bars of {hours} h, right-closed"
        bull = f"low under the low before it, close back above it; {pair}"
        bear = f"high over the high before it, close back below it; {pair}"
        until = f"1 for {hours} h of bars after a sweep, else 0"
        rows += [
            _event(f"swp_{name}_bull_active", "0/1", f"{until}: {bull}", "never", 0, 20),
            _event(f"swp_{name}_bear_active", "0/1", f"{until}: {bear}", "never", 0, 20),
            _event(
                f"swp_{name}_age_norm", "fraction",
                f"share of {hours} h of bars since the newer sweep, 1 without one", "never", 0, 20,
            ),
            _event(
                f"swp_{name}_magnitude", f"ATR of {hours} h",
                "points beyond the swept level / mean of 14 true ranges, at most 3; larger side",
                "0 without a sweep; 3 until 14 of the longer bars exist", 0, 20,
            ),
        ]  # fmt: skip
    both = "sign of (bull − bear) of 1 h plus (bull − bear) of 4 h"
    rows.append(_event("swp_tf_alignment", "sign", both, "never", 0, 20, signed=True))
    copy = "the same as swp_tf_alignment"
    rows.append(_event("swp_dominant_dir", "sign", copy, "never", 0, 20, signed=True))
    return rows


def _candles() -> list[_Row]:
    speed = (
        "closes of the 20 bars before: (peak − trough) / bars between, over "
        "|last − the later of them| / bars since, at most 10"
    )
    share = "share of the last 5 bars with the bar's direction"
    inside = "of the 5 bars before, bodies inside the body"
    return [
        _finite("engulf_count", "bars", inside, "never", 0, 6),
        _finite("momentum_speed_ratio", "ratio", speed, "1 for 20 bars and in flat windows", 0, 21),
        _finite(
            "wick_rejection", "fraction", "(lower wick − upper wick) / (H − L)",
            "0 for a bar without range", 0, 1, signed=True,
        ),
        _finite("dir_consistency", "fraction", share, "0.5 at an unchanged close", 0, 5),
        _event(
            "bar_size_vs_session", "ratio", "(H − L) / mean range of the session so far",
            "1 while every range is 0", 0, 2,
        ),
    ]  # fmt: skip


def _context() -> list[_Row]:
    rows: list[_Row] = []
    for name, hours in (("1h", 1), ("4h", 4)):
        period = f"running bar of {hours} h, right-closed"
        rows += [
            _event(
                f"htf_{name}_close_pos", "fraction", f"(C − low) / (high − low) of the {period}",
                "0.5 without range", 0, 2,
            ),
            _event(
                f"htf_{name}_ret", "ATR", f"(C − open) / A of the {period}",
                "0 for 13 bars and while A is 0", 0, 2, bars=15, signed=True,
            ),
        ]  # fmt: skip
    turn = "1 when the last 3 changes of the completed closes sum to 2 or more, −1 to −2 or less"
    none = "0 until four are complete"
    product = "sign(htf_1h_ret) · sign(htf_4h_ret)"
    return [
        *rows,
        _event("htf_tf_alignment", "sign", product, "0 for 13 bars", 0, 2, bars=15),
        _event("htf_1h_structure", "sign", f"{turn}; hours", none, 0, 8, signed=True),
        _event("htf_daily_structure", "sign", f"{turn}; UTC days", none, 0, 12, signed=True),
    ]


def _flow() -> list[_Row]:
    share = "Σ vol_delta_proxy / Σ V over {} bars, within ±0.5"
    ratio = "vol_ratio_5"
    return [
        _finite(
            f"vol_cum_signed_{n}", "fraction", share.format(n), "0 until the window is full",
            0, n, signed=True,
        )
        for n in (5, 20)
    ] + [
        _finite(
            "vol_absorption", "ratio", f"{ratio} · (1 − bar_body_pct), within 0 to 5",
            "1 until the window is full", 0, 5,
        ),
        _finite(
            "vol_momentum_align", "ratio", f"sign(ret_momentum_5) · ({ratio} − 1), within ±3",
            "0 until the window is full", 0, 6, signed=True,
        ),
    ]  # fmt: skip


def _columns() -> tuple[Column, ...]:
    rows = [*_anatomy(), *_returns(), *_volume(), *_volatility(), *_session(), *_structure()]
    rows += [*_sweeps(), *_candles(), *_context(), *_flow()]
    groups = [group for group, count in _GROUPS for _ in range(count)]
    return tuple(
        Column(
            name=name, unit=unit, signed=signed, group=group, formula=formula, source=_SOURCE,
            description=formula, missing=missing, warmup_bars=warmup, memory=memory,
            history_bars=bars, history_days=days,
        )
        for group, (name, unit, signed, formula, missing, warmup, memory, bars, days)
        in zip(groups, rows, strict=True)
    )  # fmt: skip


COLUMNS = _columns()
