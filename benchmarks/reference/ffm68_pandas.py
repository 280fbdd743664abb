"""The 68 columns of ``ffm68`` in plain pandas, from their written definitions.

Whole columns at a time, as one would write them in a notebook: rolling windows,
grouped running extremes, shifts. It shares no code with the kernels, so that it
can judge their values, and it is what their speed is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ffm_core.bars.table import Bars

MINUTE_US = 60_000_000
DAY_US = 1_440 * MINUTE_US
ROUNDING = 1e-9  # a momentum no larger has no direction
# Hours of New York, opening and closing, and the nominal length in minutes.
SESSIONS = ((18, 3, 540), (3, 8, 300), (8, 12, 240), (12, 16, 240), (16, 17, 60))


def derive(bars: Bars) -> pd.DataFrame:
    """Return float64 (T, 68), columns in canonical order."""
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: bars[name] for name in names}, dtype=float)
    clock = trading_clock(bars)
    minutes = bars.timeframe.seconds / 60
    atr = true_range(frame).rolling(14).mean()
    sessions, nominal = session_keys(bars, clock)
    hour, four, day = (longer_bars(frame, clock, minutes, length) for length in (60, 240, 1_440))
    returns, volume = _returns(frame, atr), _volume(frame)
    columns = {
        **_anatomy(frame, atr),
        **returns,
        **volume,
        **_volatility(frame, atr),
        **_session(frame, atr, clock, sessions, np.maximum(1, nominal / minutes)),
        **_structure(frame, atr),
        **_sweeps(hour, four),
        **_candles(frame, sessions),
        **_context(frame, atr, hour, four, day),
        **_flow(frame, returns["ret_momentum_5"], volume["vol_ratio_5"]),
    }
    return pd.DataFrame(columns)


def trading_clock(bars: Bars) -> np.ndarray:
    """Local time since 1970 in µs; an evening open is moved to midnight."""
    instrument = bars.instrument
    stamps = pd.to_datetime(bars.ts_us, unit="us", utc=True)
    if instrument.calendar == "24/7":
        return stamps.tz_localize(None).as_unit("us").asi8
    local = stamps.tz_convert(instrument.timezone).tz_localize(None).as_unit("us").asi8
    if instrument.session_open < instrument.session_close:
        return local
    hours, minutes = instrument.session_open.split(":")
    return local + DAY_US - (int(hours) * 60 + int(minutes)) * MINUTE_US


def over(value: pd.Series, scale: pd.Series) -> pd.Series:
    """Return ``value / scale``, 0 where the scale is 0 and NaN where either is NaN."""
    return (value / scale).mask((scale == 0) & value.notna(), 0.0)


def true_range(frame: pd.DataFrame) -> pd.Series:
    """Range of a bar together with the gap from the close before it."""
    before = frame["close"].shift()
    top = np.fmax(frame["high"], before)
    bottom = np.fmin(frame["low"], before)
    return top - bottom


def _anatomy(frame: pd.DataFrame, atr: pd.Series) -> dict[str, pd.Series]:
    spread = frame["high"] - frame["low"]
    body = frame["close"] - frame["open"]
    above = frame["high"] - np.maximum(frame["open"], frame["close"])
    below = np.minimum(frame["open"], frame["close"]) - frame["low"]
    return {
        "bar_range_atr": over(spread, atr),
        "bar_body_atr": over(body, atr),
        "bar_upper_wick_atr": over(above, atr),
        "bar_lower_wick_atr": over(below, atr),
        "bar_body_pct": over(body.abs(), spread),
        "bar_upper_wick_pct": over(above, spread),
        "bar_lower_wick_pct": over(below, spread),
        "bar_direction": np.sign(body),
    }


def _returns(frame: pd.DataFrame, atr: pd.Series) -> dict[str, pd.Series]:
    close = frame["close"]
    known = atr.shift()
    move = over(close.diff(), atr)
    five = move.rolling(5).sum()
    return {
        **{f"ret_close_{k}": over(close.diff(k), atr) for k in (1, 3, 5)},
        "ret_open_close": over(close - frame["open"], known).clip(-20, 20),
        "ret_momentum_5": five,
        "ret_momentum_10": move.rolling(10).sum(),
        "ret_momentum_20": move.rolling(20).sum(),
        "ret_acceleration": five - five.shift(5),
    }


def place_in_bar(frame: pd.DataFrame) -> pd.Series:
    """Place of the close between low and high, a half without range."""
    spread = frame["high"] - frame["low"]
    return ((frame["close"] - frame["low"]) / spread).mask(spread == 0, 0.5)


def _volume(frame: pd.DataFrame) -> dict[str, pd.Series]:
    volume = frame["volume"]
    place = place_in_bar(frame)
    means = {n: volume.rolling(n).mean() for n in (5, 10, 20)}
    change = np.log((volume + 1) / (volume.shift() + 1)).clip(-5, 5)
    return {
        **{f"vol_ratio_{n}": (volume / mean).mask(mean == 0, 1.0) for n, mean in means.items()},
        "vol_change": change,
        "vol_close_position": place,
        "vol_delta_proxy": over((place - 0.5) * volume, means[20]),
    }


def _volatility(frame: pd.DataFrame, atr: pd.Series) -> dict[str, pd.Series]:
    spread = frame["high"] - frame["low"]
    means = {n: spread.rolling(n).mean() for n in (5, 20)}
    step = frame["close"] / frame["close"].shift() - 1
    return {
        "vty_atr_zscore": over(atr - atr.rolling(50).mean(), atr.rolling(50).std()),
        **{
            f"vty_range_ratio_{n}": (spread / mean).mask(mean == 0, 1.0)
            for n, mean in means.items()
        },
        "vty_atr_of_atr": over(atr.rolling(14).std(), atr.rolling(14).mean()),
        **{f"vty_realized_{n}": step.rolling(n).std() for n in (10, 20)},
    }


def session_keys(bars: Bars, clock: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """Return the session number of each bar (NaN outside) and its nominal minutes."""
    nominal = np.full(len(bars), np.nan)
    if bars.instrument.calendar == "24/7":
        return pd.Series(nominal), nominal
    stamps = pd.to_datetime(bars.ts_us, unit="us", utc=True)
    hours = stamps.tz_convert("America/New_York").hour.to_numpy()
    which = np.full(len(bars), -1)
    for number, (opens, closes, length) in enumerate(SESSIONS):
        inside = (hours >= opens) & (hours < closes)
        if opens > closes:
            inside = (hours >= opens) | (hours < closes)
        which[inside] = number
        nominal[inside] = length
    kind, date = pd.Series(which), pd.Series(clock // DAY_US)
    begins = (kind != kind.shift()) | (date != date.shift())
    return begins.cumsum().where(kind >= 0), nominal


def _session(
    frame: pd.DataFrame, atr: pd.Series, clock: np.ndarray, key: pd.Series, length: np.ndarray
) -> dict[str, pd.Series]:
    close, volume = frame["close"], frame["volume"]
    by = frame.groupby(key)
    date = clock // DAY_US
    typical = (frame["high"] + frame["low"] + close) / 3
    traded = volume.groupby(date).cumsum()
    vwap = (typical * volume).groupby(date).cumsum() / traded
    return {
        "sess_bars_elapsed": (by.cumcount().where(key.notna()) / length).clip(upper=1),
        "sess_dist_from_open": over(close - by["open"].transform("first"), atr),
        "sess_dist_from_high": over(close - by["high"].cummax(), atr).where(key.notna()),
        "sess_dist_from_low": over(close - by["low"].cummin(), atr).where(key.notna()),
        "sess_dist_from_vwap": over((close - vwap).mask(traded == 0, 0.0), atr),
    }


def _structure(frame: pd.DataFrame, atr: pd.Series) -> dict[str, pd.Series]:
    high, low, close = frame["high"], frame["low"], frame["close"]
    # Looking at bar s from s + 10: strictly beyond the bars before it, at least
    # level with those after it.
    tops, bottoms = high.shift(10), low.shift(10)
    is_top = (tops > high.rolling(10).max().shift(11)) & (tops >= high.rolling(10).max())
    is_bottom = (bottoms < low.rolling(10).min().shift(11)) & (bottoms <= low.rolling(10).min())
    top, bottom = tops[is_top], bottoms[is_bottom]
    trend = [np.sign(level.diff()).reindex(frame.index).ffill() for level in (top, bottom)]
    state = trend[0].where(trend[0] == trend[1], 0.0).where(trend[0].notna() & trend[1].notna())
    columns = {
        "str_swing_high_dist": over(close - top.reindex(frame.index).ffill(), atr),
        "str_swing_low_dist": over(close - bottom.reindex(frame.index).ffill(), atr),
        "str_structure_state": state,
    }
    for n in (10, 20):
        highest, lowest = high.rolling(n).max(), low.rolling(n).min()
        place = (close - lowest) / (highest - lowest)
        columns[f"str_dist_from_high_{n}"] = over(close - highest, atr)
        columns[f"str_dist_from_low_{n}"] = over(close - lowest, atr)
        columns[f"str_range_position_{n}"] = place.mask(highest == lowest, 0.5)
    return columns


@dataclass(frozen=True)
class Longer:
    """Longer bars: ``key`` per bar; per longer bar its prices and the row that knows it."""

    key: np.ndarray
    bars: pd.DataFrame  # open, high, low, close
    known: np.ndarray  # first row in which it is complete, len(key) when none yet
    expiry: int  # rows a sweep of it stays active

    @property
    def complete(self) -> np.ndarray:
        """How many are complete in each row."""
        return np.cumsum(np.bincount(self.known, minlength=len(self.key) + 1)[:-1])


def longer_bars(frame: pd.DataFrame, clock: np.ndarray, minutes: float, length: float) -> Longer:
    """Put bars together by trading clock; a longer bar ends where its time is up."""
    length = max(length, minutes)
    length_us, step_us = round(length * MINUTE_US), round(minutes * MINUTE_US)
    period = clock // length_us
    full = clock + step_us >= (period + 1) * length_us
    begins = np.ones(len(clock), dtype=bool)
    begins[1:] = (period[1:] != period[:-1]) | full[:-1]
    key = np.cumsum(begins) - 1
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(clock)) - 1
    known = np.where(full[last], last, last + 1) if len(clock) else last[:0]
    expiry = max(1, int(np.floor(length / minutes + 0.5)))
    return Longer(key, frame.groupby(key).agg(how), known, expiry)


@dataclass(frozen=True)
class _Side:
    """Sweeps of one side in every row: active, age and magnitude while active."""

    active: np.ndarray
    age: np.ndarray
    magnitude: np.ndarray


def _side(longer: Longer, swept: pd.Series, size: pd.Series) -> _Side:
    rows = len(longer.key)
    chosen = swept.to_numpy() & (longer.known < rows)
    fired = np.full(rows, -1)
    magnitude = np.full(rows, np.nan)
    fired[longer.known[chosen]] = longer.known[chosen]
    magnitude[longer.known[chosen]] = size[chosen]  # the later of two in one row stays
    latest = np.maximum.accumulate(fired)
    since = np.arange(rows) - latest
    active = (latest >= 0) & (since < longer.expiry)
    return _Side(
        active,
        np.where(active, since / longer.expiry, 1.0),
        np.where(active, magnitude[latest], 0.0),
    )


def _both_sides(longer: Longer) -> tuple[_Side, _Side]:
    bars = longer.bars
    atr = true_range(bars).rolling(14).mean()
    low, high, close = bars["low"].shift(), bars["high"].shift(), bars["close"]
    below, above = low - bars["low"], bars["high"] - high
    bull = _side(longer, (below > 0) & (close > low), (below / atr).clip(0, 3))
    bear = _side(longer, (above > 0) & (close < high), (above / atr).clip(0, 3))
    return bull, bear


def _sweeps(hour: Longer, four: Longer) -> dict[str, pd.Series]:
    columns: dict[str, np.ndarray] = {}
    ready, grown = {}, {}
    total, weighted, weight = 0, 0.0, 0.0
    for tag, longer in (("1h", hour), ("4h", four)):
        bull, bear = _both_sides(longer)
        ready[tag], grown[tag] = longer.complete >= 2, longer.complete >= 14
        columns[f"swp_{tag}_bull_active"] = np.where(ready[tag], bull.active, np.nan)
        columns[f"swp_{tag}_bear_active"] = np.where(ready[tag], bear.active, np.nan)
        columns[f"swp_{tag}_age_norm"] = np.where(
            ready[tag], np.minimum(bull.age, bear.age), np.nan
        )
        largest = np.maximum(bull.magnitude, bear.magnitude)  # NaN where either is
        columns[f"swp_{tag}_magnitude"] = np.where(grown[tag], largest, np.nan)
        total = total + bull.active.astype(int) - bear.active.astype(int)
        weighted = weighted + bull.magnitude - bear.magnitude
        weight = weight + bull.magnitude + bear.magnitude
    known = ready["1h"] & ready["4h"]
    columns["swp_tf_alignment"] = np.where(known, np.sign(total), np.nan)
    share = np.divide(weighted, weight, out=weighted * 0.0, where=weight != 0)
    missing = np.isnan(columns["swp_1h_magnitude"]) | np.isnan(columns["swp_4h_magnitude"])
    columns["swp_dominant_dir"] = np.where(missing, np.nan, share)
    return {name: pd.Series(values) for name, values in columns.items()}


def momentum_speed(close: pd.Series) -> pd.Series:
    """Speed of the swing in the last 20 closes against the speed of its retracement."""
    speed = np.full(len(close), np.nan)
    if len(close) >= 20:
        windows = np.lib.stride_tricks.sliding_window_view(close.to_numpy(), 20)
        row = np.arange(len(windows))
        peak, trough = windows.argmax(axis=1), windows.argmin(axis=1)
        later = np.maximum(peak, trough)
        rise = windows[row, peak] - windows[row, trough]
        back = np.abs(windows[:, -1] - windows[row, later]) / np.maximum(1, 19 - later)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = rise / np.abs(peak - trough) / back
        speed[19:] = np.where(rise == 0, 1.0, np.clip(ratio, 0, 10))
    return pd.Series(speed)


def _candles(frame: pd.DataFrame, key: pd.Series) -> dict[str, pd.Series]:
    opens, close = frame["open"], frame["close"]
    top, bottom = np.maximum(opens, close), np.minimum(opens, close)
    body = np.sign(close - opens)
    spread = frame["high"] - frame["low"]
    engulfed = sum((top.shift(d) <= top) & (bottom.shift(d) >= bottom) for d in range(1, 6))
    agreeing = 1.0 + sum((body.shift(d) == body) for d in range(1, 5))
    wick = (bottom - frame["low"]) - (frame["high"] - top)
    by = spread.groupby(key)
    average = by.cumsum() / (by.cumcount() + 1)
    row = np.arange(len(frame))
    return {
        "engulf_count": engulfed.astype(float).where(row >= 5),
        "momentum_speed_ratio": momentum_speed(close),
        "wick_rejection": over(wick, spread),
        "dir_consistency": (agreeing / 5).mask(body == 0, 0.5).where(row >= 4),
        "bar_size_vs_session": (spread / average).mask(average == 0, 1.0),
    }


def _turns(longer: Longer) -> pd.Series:
    turn = np.sign(longer.bars["close"].diff()).to_numpy()
    total = pd.Series(turn).rolling(3).sum()
    state = np.sign(total).where(total.abs() >= 2, 0.0).where(total.notna())
    count = longer.complete
    found = state.to_numpy()[np.maximum(count, 1) - 1]
    return pd.Series(np.where(count >= 4, found, np.nan))


def _context(
    frame: pd.DataFrame, atr: pd.Series, hour: Longer, four: Longer, day: Longer
) -> dict[str, pd.Series]:
    columns = {}
    close = frame["close"]
    for tag, longer in (("1h", hour), ("4h", four)):
        by = frame.groupby(longer.key)
        high, low = by["high"].cummax(), by["low"].cummin()
        columns[f"htf_{tag}_close_pos"] = ((close - low) / (high - low)).mask(high == low, 0.5)
        columns[f"htf_{tag}_ret"] = over(close - by["open"].transform("first"), atr)
    columns["htf_tf_alignment"] = np.sign(columns["htf_1h_ret"]) * np.sign(columns["htf_4h_ret"])
    columns["htf_1h_structure"] = _turns(hour)
    columns["htf_daily_structure"] = _turns(day)
    return columns


def _flow(frame: pd.DataFrame, momentum: pd.Series, ratio: pd.Series) -> dict[str, pd.Series]:
    volume = frame["volume"]
    signed = (place_in_bar(frame) - 0.5) * volume
    spread = frame["high"] - frame["low"]
    filled = over((frame["close"] - frame["open"]).abs(), spread)
    moving = momentum.mask(momentum.abs() <= ROUNDING, 0.0)
    return {
        **{
            f"vol_cum_signed_{n}": over(signed.rolling(n).sum(), volume.rolling(n).sum())
            for n in (5, 20)
        },
        "vol_absorption": (ratio * (1 - filled)).clip(0, 5),
        "vol_momentum_align": (np.sign(moving) * (ratio - 1)).clip(-3, 3),
    }
