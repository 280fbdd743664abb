"""What the twenty time columns are."""

from __future__ import annotations

from ffm_core.records import Column, Memory

_ALWAYS = "never, within 1990 to 2040"
_INTRADAY = "bars of a day or longer, and dates outside 1990 to 2040"
_SESSION = "session calendar of the instrument"


def _column(
    name: str,
    unit: str,
    formula: str,
    missing: str = _ALWAYS,
    *,
    description: str = "",
    source: str = _SESSION,
    warmup: int = 0,
    memory: Memory = "finite",
    bars: int | None = 1,
    days: int | None = None,
) -> Column:
    return Column(
        name=name, unit=unit, description=description or formula, group="time", formula=formula,
        source=source, missing=missing, warmup_bars=warmup, memory=memory, history_bars=bars,
        history_days=days,
    )  # fmt: skip


_RULES = "last-trade rules of the contract specifications; U.S. exchange holidays by rule"
_NO_EXPIRY = "instruments that do not roll or whose rule is unknown; dates outside 1990 to 2040"

COLUMNS = (
    _column("tm_tod_sin", "sine", "sin(2π·m/1440), m = minutes from the session open to the "
            "bar's open by the local clock", "bars of a day or longer",
            description="time of the session, first coordinate"),
    _column("tm_tod_cos", "cosine", "cos(2π·m/1440), m as in tm_tod_sin",
            "bars of a day or longer", description="time of the session, second coordinate"),
    _column("tm_dow_sin", "sine", "sin(2π·d/5), d = weekday of the trading date, Monday 0; "
            "d/7 on markets that never close", "never",
            description="weekday, first coordinate"),
    _column("tm_dow_cos", "cosine", "cos(2π·d/5), d as in tm_dow_sin", "never",
            description="weekday, second coordinate"),
    _column("tm_dom", "fraction", "(day of month of the trading date − 1) / 30", "never",
            description="place in the month"),
    _column("tm_moy_sin", "sine", "sin(2π·(month of the trading date − 1)/12)", "never",
            description="month, first coordinate"),
    _column("tm_moy_cos", "cosine", "cos(2π·(month of the trading date − 1)/12)", "never",
            description="month, second coordinate"),
    _column("tm_is_rth", "flag", "1 if the bar opens inside regular hours, early closes included",
            _INTRADAY, description="inside regular trading hours"),
    _column("tm_since_rth_open", "fraction", "(bar's open − regular open) / length of the date's "
            "regular hours, within [0, 1]; 0 before, 1 after", _INTRADAY,
            description="part of regular hours that has passed"),
    _column("tm_to_rth_close", "fraction", "(regular close − bar's open) / length of the date's "
            "regular hours; 0 outside them", _INTRADAY,
            description="part of regular hours that is left"),
    _column("tm_asia", "flag", "1 if the bar opens from 18:00 to before 03:00 New York",
            "bars of a day or longer", description="Asian hours", source="New York clock"),
    _column("tm_europe", "flag", "1 if the bar opens from 03:00 to before 09:30 New York",
            "bars of a day or longer", description="European hours", source="New York clock"),
    _column("tm_us", "flag", "1 if the bar opens from 09:30 to before 17:00 New York",
            "bars of a day or longer", description="U.S. hours", source="New York clock"),
    _column("tm_first_hour", "flag", "1 if the bar opens in the first 60 minutes of regular hours",
            _INTRADAY, description="first regular hour"),
    _column("tm_last_hour", "flag", "1 if the bar opens in the last 60 minutes of regular hours, "
            "early closes included", _INTRADAY, description="last regular hour"),
    _column("tm_days_to_exp", "fraction", "business days after the trading date up to the next "
            "last trading day of the month cycle / 66, within [0, 1]", _NO_EXPIRY,
            description="nearness of expiry", source=_RULES),
    _column("tm_roll_week", "flag", "1 if at most 8 business days are left to the next last "
            "trading day", _NO_EXPIRY, description="contracts are being rolled", source=_RULES),
    _column("tm_month_end", "flag", "1 on the last 3 business days of a month",
            "dates outside 1990 to 2040", description="turn of the month",
            source="business days: U.S. exchange holidays by rule for CME Group, else the "
            "exchange's trading dates"),
    _column("tm_gap_min", "log minutes", "ln(1 + minutes from the previous bar's close to this "
            "bar's open)", "first bar", description="time without bars before this one",
            source="stamps", warmup=1, bars=2),
    _column("tm_day_frac", "fraction", "bars of the trading date so far / bars of a regular "
            "session, at most 1.2", "bars of a day or longer",
            description="part of the day's bars seen", memory="event", bars=None, days=1),
)  # fmt: skip
