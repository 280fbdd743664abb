from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from ffm_features_qe150.structure import STRUCTURE, round_step
from ffm_features_qe150.structure_events import GAP_F, gap_below

from ffm_core.bars import Bars, Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.primitives import atr_wilder, last_swing, swing_highs, swing_lows
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.features.steps import run_programs

NAMES = [column.name for column in STRUCTURE.columns]
WARMUP = """
    st_range_pos_20 20 st_range_pos_100 100 st_close_vs_high_50 50 st_bars_since_high_50 50
    st_bars_since_low_50 50 st_dist_sw_high 14 st_dist_sw_low 14 st_swing_state 7 st_leg_atr 14
    st_retrace 6 st_bos_up 6 st_bos_dn 6 st_adx_14 28 st_di_diff_14 15 st_dist_pdh 14
    st_dist_pdl 14 st_dist_pdc 14 st_dist_dopen 14 st_day_pos 0 st_day_range_adr 20 st_dist_onh 14
    st_dist_onl 14 st_dist_pwh 14 st_dist_pwl 14 st_pivot 14 st_inside 1 st_outside 1
    st_fvg_bull 14 st_fvg_bear 14 st_sweep_hi 21 st_sweep_lo 21 st_round 14 st_vr_5_100 101
    st_acf1_50 51 st_cisd 2
"""
FIELDS = WARMUP.split()
FIRST_ROW = dict(zip(FIELDS[::2], map(int, FIELDS[1::2]), strict=True))
PRICES = ("open", "high", "low", "close")
NEW_YORK = ZoneInfo("America/New_York")


def table(bars: Bars) -> pd.DataFrame:
    found = pd.DataFrame(run_programs([STRUCTURE], bars), columns=NAMES)
    assert not np.isinf(found.to_numpy()).any()
    return found


def with_columns(bars: Bars, **columns: np.ndarray) -> Bars:
    frame = bars.frame.with_columns(**{name: pl.Series(x) for name, x in columns.items()})
    return Bars(frame, bars.instrument, bars.timeframe)


def made(rows, *, start="2024-03-04T18:00", symbol="ES", timeframe="5m", steps=None) -> Bars:
    """Bars from (open, high, low, close), one after another or ``steps`` bars on."""
    frame = pd.DataFrame(rows, columns=list(PRICES), dtype=float)
    length = Timeframe.parse(timeframe)
    first = dt.datetime.fromisoformat(start).replace(tzinfo=NEW_YORK)
    us = int(first.timestamp()) * 1_000_000 + np.arange(len(frame)) * length.us
    if steps is not None:
        us = us[0] + np.asarray(steps) * length.us
    ts = pl.Series(us).cast(pl.Datetime("us", "UTC"))
    columns = {name: frame[name].to_numpy() for name in PRICES}
    table = pl.DataFrame({"ts": ts, **columns, "volume": np.ones(len(frame))})
    return Bars(table, lookup(symbol), length)


def closes(values, width=0.5, **options) -> Bars:
    """Bars that open at the close before and reach half a point beyond both ends."""
    close = np.asarray(values, dtype=float)
    open_ = np.append(close[:1], close[:-1])
    high, low = np.maximum(open_, close) + width, np.minimum(open_, close) - width
    return made(np.column_stack((open_, high, low, close)), **options)


@pytest.fixture(scope="module")
def bars() -> Bars:
    """Ten weeks of ES at 30 minutes: holes, a half day, the clock change, flat bars."""
    whole = market("SIMA6", months=3, timeframe="30m")
    keep = pl.Series(np.random.default_rng(2).random(len(whole)) > 0.03)
    frame = whole.frame.filter(keep).filter(pl.col("ts").dt.date() != pl.date(2022, 2, 9))
    return Bars(frame, lookup("ES"), Timeframe(1800))


def ratio(a, b, default):
    """a / b, a default without a denominator; NaN where either is missing."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    out = np.where(np.abs(b) > 1e-12, a / np.where(np.abs(b) > 1e-12, b, 1.0), default)
    return pd.Series(np.where(np.isnan(a) | np.isnan(b), np.nan, out))


def expected(bars: Bars) -> dict[str, pd.Series]:
    o, h, low, c = (pd.Series(np.array(bars[name])) for name in PRICES)
    t = pd.Series(atr_wilder(bars.high, bars.low, bars.close, 14))
    out = of_ranges(h, low, c) | of_swings(h, low, c, t) | of_days(bars, t) | of_trend(h, low, c)
    out["st_inside"] = ((h < h.shift()) & (low > low.shift())).astype(float)
    out["st_outside"] = ((h > h.shift()) & (low < low.shift())).astype(float)
    out["st_fvg_bull"] = of_gaps(h, low, c, t)
    out["st_fvg_bear"] = of_gaps(-low, -h, -c, t)
    multiple = (c / 25).round() * 25
    out["st_round"] = ratio((c - multiple).abs(), t, 0.0).clip(upper=10)
    r = np.log(c).diff()
    out["st_vr_5_100"] = r.rolling(100).apply(variance_ratio, raw=True)
    out["st_acf1_50"] = r.rolling(50).apply(
        lambda w: ((w - w.mean())[1:] * (w - w.mean())[:-1]).sum() / ((w - w.mean()) ** 2).sum(),
        raw=True,
    )
    out["st_cisd"] = of_delivery(o, h, low, c)
    return out


def of_ranges(h, low, c):
    out = {}
    for n in (20, 100):
        bottom = low.rolling(n).min()
        out[f"st_range_pos_{n}"] = ratio(c - bottom, h.rolling(n).max() - bottom, 0.5)
    top, bottom = h.rolling(50).max(), low.rolling(50).min()
    out["st_close_vs_high_50"] = ratio(top - c, top - bottom, 0.0)
    age = {"high": h, "low": -low}
    for word, values in age.items():
        out[f"st_bars_since_{word}_50"] = values.rolling(50).apply(
            lambda w: np.argmax(w[::-1]) / 50, raw=True
        )
    above, below = h.rolling(20).max().shift(), low.rolling(20).min().shift()
    out["st_sweep_hi"] = ((h > above) & (c < above)).astype(float)
    out["st_sweep_lo"] = ((low < below) & (c > below)).astype(float)
    return out


def variance_ratio(r):
    mean, n, q = r.mean(), len(r), 5
    sums = np.convolve(r, np.ones(q), "valid")
    many = ((sums - q * mean) ** 2).sum() / (q * (n - q + 1) * (1 - q / n))
    return many / r.var(ddof=1) - 1


def of_swings(h, low, c, t):
    """Walk over pivots that the shared primitives find."""
    high, bottom = h.to_numpy(), low.to_numpy()
    tops = last_swing(swing_highs(high, 3), 3)
    lows = last_swing(swing_lows(bottom, 3), 3)
    names = [n for n in NAMES if n in FIELDS[10:24:2]]
    out = {name: np.full(len(c), np.nan) for name in names}
    broken_up = broken_down = -1
    up = down = None
    for k, price in enumerate(c):
        seen_top, seen_low = sorted({*tops[: k + 1]} - {-1}), sorted({*lows[: k + 1]} - {-1})
        if seen_top:
            sh = high[seen_top[-1]]
            out["st_dist_sw_high"][k] = np.clip((sh - price) / t[k], -20, 20)
            if price > sh and broken_up != seen_top[-1]:
                broken_up, up = seen_top[-1], k
            out["st_bos_up"][k] = 0 if up is None else math.exp(-(k - up) / 20)
        if seen_low:
            sl = bottom[seen_low[-1]]
            out["st_dist_sw_low"][k] = np.clip((price - sl) / t[k], -20, 20)
            if price < sl and broken_down != seen_low[-1]:
                broken_down, down = seen_low[-1], k
            out["st_bos_dn"][k] = 0 if down is None else math.exp(-(k - down) / 20)
        if not (seen_top and seen_low):
            continue
        side = np.sign(seen_top[-1] - seen_low[-1])
        out["st_leg_atr"][k] = side * (sh - sl) / t[k]
        end, begin = (sh, sl) if side > 0 else (sl, sh)
        if side and end != begin:
            out["st_retrace"][k] = np.clip((end - price) / (end - begin), -1, 2)
        if len(seen_top) > 1 and len(seen_low) > 1:
            a, b = sh - high[seen_top[-2]], sl - bottom[seen_low[-2]]
            out["st_swing_state"][k] = np.sign(a) if np.sign(a) == np.sign(b) else 0
    return {name: pd.Series(values) for name, values in out.items()}


def of_trend(h, low, c):
    up, down = h.diff(), -low.diff()
    plus = np.where((up > down) & (up > 0), up, 0.0)
    minus = np.where((down > up) & (down > 0), down, 0.0)
    side = ratio(wilder(plus, 1) - wilder(minus, 1), wilder(plus, 1) + wilder(minus, 1), 0.0)
    return {"st_di_diff_14": side, "st_adx_14": pd.Series(wilder(side.abs().to_numpy(), 14))}


def wilder(values, first):
    out = np.full(len(values), np.nan)
    level = values[first : first + 14].mean()
    out[first + 13] = level
    for k in range(first + 14, len(values)):
        level = (level * 13 + values[k]) / 14
        out[k] = level
    return out


def of_days(bars, t):
    frame = pd.DataFrame({name: np.array(bars[name]) for name in PRICES})
    frame["day"] = trading_days(bars)
    frame["week"] = (frame["day"] + 3) // 7
    days = frame.groupby("day").agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    weeks = frame.groupby("week").agg({"high": "max", "low": "min"})
    prior, last = days.shift().loc[frame["day"]], weeks.shift().loc[frame["week"]]
    c = frame["close"]
    levels = {"pdh": prior["high"], "pdl": prior["low"], "pdc": prior["close"]}
    out = {f"st_dist_{k}": ratio(c - x.to_numpy(), t, 0.0).clip(-50, 50) for k, x in levels.items()}
    out["st_dist_pwh"] = ratio(c - last["high"].to_numpy(), t, 0.0).clip(-100, 100)
    out["st_dist_pwl"] = ratio(c - last["low"].to_numpy(), t, 0.0).clip(-100, 100)
    out["st_pivot"] = ratio(c - prior[["high", "low", "close"]].mean(axis=1).to_numpy(), t, 0.0)
    out["st_dist_dopen"] = ratio(c - days["open"].loc[frame["day"]].to_numpy(), t, 0.0)
    by_day = frame.groupby("day")
    high, low = by_day["high"].cummax(), by_day["low"].cummin()
    out["st_day_pos"] = ratio(c - low, high - low, 0.5)
    usual = (days["high"] - days["low"]).rolling(20).mean().shift()
    out["st_day_range_adr"] = ratio(high - low, usual.loc[frame["day"]].to_numpy(), math.nan)
    hour = bars.frame["ts"].dt.convert_time_zone("America/New_York")
    minute = hour.dt.hour().cast(pl.Int32).to_numpy() * 60 + hour.dt.minute().to_numpy()
    night = pd.Series((minute >= 1080) | (minute < 570))
    for name, values, how in (("onh", frame["high"], "cummax"), ("onl", frame["low"], "cummin")):
        level = getattr(values.where(night).groupby(frame["day"]), how)()
        level = level.groupby(frame["day"]).ffill()
        out[f"st_dist_{name}"] = ratio(c - level, t, 0.0)
    return out


def of_gaps(h, low, c, t):
    """Keep every gap ever made and ask each whether it is filled."""
    out, kept = [], []
    for k in range(len(c)):
        kept = [gap for gap in kept if low[k] > gap[0]]
        if k >= 2 and low[k] > h[k - 2]:
            kept.append((h[k - 2], low[k]))
        away = min((max(c[k] - top, 0.0) / t[k] for _, top in kept), default=5.0)
        out.append(min(away, 5.0))
    return pd.Series(out)


def of_delivery(o, h, low, c):
    """Lists of whole runs, newest last."""
    state, when, out = 0, 0, []
    sides = {+1: Runs(o, low, c), -1: Runs(-o, -h, -c)}
    for k in range(len(c)):
        turned = [side for side, runs in sides.items() if runs.turns(k)]
        if len(turned) == 2:
            turned = [int(np.sign(c[k] - o[k]))]
        if turned and turned[0]:
            state, when = turned[0], k
        out.append(state * math.exp(-(k - when) / 20))
    return pd.Series(out)


class Runs:
    def __init__(self, o, low, c):
        self.o, self.low, self.c = o.to_numpy(), low.to_numpy(), c.to_numpy()
        self.run, self.waiting = [], []

    def turns(self, k):
        if self.waiting and self.c[k] > self.o[self.waiting[0]]:
            self.run, self.waiting = [], []
            return True
        self.run = [*self.run, k] if self.c[k] < self.o[k] else []
        if len(self.run) >= 2 and self.c[k] <= self.o[self.run[0]]:
            same = self.waiting and self.waiting[0] == self.run[0]
            deeper = not self.waiting or min(self.low[self.run]) < min(self.low[self.waiting])
            if same or deeper:
                self.waiting = list(self.run)
        return False


def test_the_names_are_the_thirty_five_in_order():
    assert FIELDS[::2] == NAMES
    assert {c.name: c.warmup_bars for c in STRUCTURE.columns} == FIRST_ROW


def test_every_column_equals_a_slow_walk(bars):
    found, wanted = table(bars), expected(bars)
    assert set(wanted) == set(NAMES)
    for name, values in wanted.items():
        values = values.where(np.arange(len(values)) >= FIRST_ROW[name])
        np.testing.assert_allclose(found[name], values, rtol=3e-6, atol=3e-6, err_msg=name)
        assert values.notna().mean() > 0.5, name  # the comparison is not empty
        assert values.nunique() > 1, name


def test_directional_movement_agrees_with_talib_after_400_bars(bars):
    found = table(bars)
    series = [np.array(bars[name]) for name in ("high", "low", "close")]
    adx = talib.ADX(*series, timeperiod=14) / 100
    plus, minus = (f(*series, timeperiod=14) for f in (talib.PLUS_DI, talib.MINUS_DI))
    np.testing.assert_allclose(found["st_adx_14"][400:], adx[400:], rtol=1e-5, atol=1e-6)
    side = (plus - minus) / (plus + minus)
    np.testing.assert_allclose(found["st_di_diff_14"][400:], side[400:], rtol=1e-5, atol=1e-6)


def test_changes_in_delivery_are_those_of_the_public_strategy(bars):
    indicator = pytest.importorskip("ffm_strategy_cisd.indicator")
    series = [np.array(bars[name]) for name in PRICES]
    signals = indicator.changes(*series, min_run=2, require_sweep=False)
    found = table(bars)["st_cisd"]
    assert len(signals.bar) > 100
    alone = ~np.isin(signals.bar, signals.bar[1:][np.diff(signals.bar) == 0])
    np.testing.assert_array_equal(found[signals.bar[alone]], signals.side[alone])
    assert (found.abs() == 1).sum() == len(np.unique(signals.bar))


LEAD = [(100, 101, 99, 100)] * 14  # warms the ATR up; it stays near 2


def test_a_fair_value_gap_is_nearest_until_a_low_reaches_its_bottom():
    rows = [*LEAD, (100, 101, 99, 101), (101, 106, 101, 106), (106, 108, 103, 107),  # gap 101–103
            (107, 108, 102, 104), (104, 104, 101.25, 101.5), (101.5, 103, 101, 103)]  # fmt: skip
    found = table(made(rows))
    atr = atr_wilder(*np.array(rows, dtype=float)[:, 1:].T, 14)
    assert found["st_fvg_bull"][15] == 5
    np.testing.assert_allclose(found["st_fvg_bull"][16:18], [4 / atr[16], 1 / atr[17]], rtol=1e-6)
    assert found["st_fvg_bull"][18] == 0  # the close is inside
    assert found["st_fvg_bull"][19] == 5  # the low touched the bottom
    turned = made([(200 - o, 200 - low, 200 - h, 200 - c) for o, h, low, c in rows])
    np.testing.assert_array_equal(table(turned)["st_fvg_bear"], found["st_fvg_bull"])


def test_of_more_gaps_than_are_kept_the_nearest_are_known():
    f, i = np.zeros(GAP_F), np.zeros(1, dtype=np.int64)
    kept = []
    for k in range(1_500):  # a staircase of gaps that nothing fills
        edge, low = 10.0 * k, 10.0 * k + 3.0
        kept.append((edge, low))
        assert gap_below(f, 0, i, 0, edge, low, low + 4.0, 2.0) == 2.0
    assert i[0] == GAP_F // 2
    for bottom, _ in reversed(kept):  # fill them from above, one at a time
        there = bottom > kept[-GAP_F // 2][0]
        deeper = bottom - 10.0 + 3.0
        found = gap_below(f, 0, i, 0, np.inf, bottom, deeper + 4.0, 2.0)
        assert found == (2.0 if there else 5.0)


@pytest.mark.parametrize("seed", range(6))
def test_the_nearest_gap_is_exact_in_a_storm_of_gaps(seed):
    rng = np.random.default_rng(seed)
    mid = np.cumsum(rng.choice([-6.0, -1, 0, 1, 6], 400))
    high, low = mid + rng.integers(1, 3, 400), mid - rng.integers(1, 3, 400)
    close = low + (high - low) * rng.integers(0, 3, 400) / 2
    rows = np.column_stack((close, high, low, close)) + 5000
    wanted = of_gaps(*(pd.Series(x) for x in rows.T[1:]), pd.Series(atr_wilder(*rows.T[1:], 14)))
    found = table(made(rows))["st_fvg_bull"]
    np.testing.assert_allclose(found[14:], wanted[14:], rtol=1e-6, atol=1e-6)


def test_a_change_in_delivery_needs_a_run_of_two_and_a_close_beyond_its_open():
    flat, down = (100, 101, 99, 100), (100, 101, 98, 99)
    one = table(made([flat, down, (99, 102, 99, 101)]))
    assert one["st_cisd"][2] == 0  # a run of one bar is none
    rows = [flat, down, (99, 99.5, 97, 98), (98, 100.5, 98, 100), (100, 101, 100, 100.5)]
    found = table(made(rows))["st_cisd"]
    assert math.isnan(found[1])
    assert found[2:4].tolist() == [0, 0]  # a close at the open is not beyond it
    assert found[4] == 1
    later = table(made([*rows, flat, flat]))["st_cisd"]
    assert later[6] == pytest.approx(math.exp(-0.1))
    turned = made([(200 - o, 200 - low, 200 - h, 200 - c) for o, h, low, c in rows])
    assert table(turned)["st_cisd"][4] == -1


def test_a_break_of_structure_is_a_close_beyond_a_confirmed_swing_once():
    path = [100, 101, 102, 105, 102, 101, 100, 104, 105.25, 107, 108, 108]
    rows = [(c, c + 0.5, c - 0.5, c) for c in path]  # the swing high is 105.5
    found = table(made(rows))["st_bos_up"]
    assert math.isnan(found[5])
    assert found[6:9].tolist() == [0, 0, 0]  # known from bar 6; 105.25 is not beyond
    fresh = [1, math.exp(-1 / 20), math.exp(-2 / 20)]
    np.testing.assert_allclose(found[9:12], fresh, rtol=1e-6)
    turned = made([(200 - o, 200 - low, 200 - h, 200 - c) for o, h, low, c in rows])
    np.testing.assert_array_equal(table(turned)["st_bos_dn"], found)


def test_a_sweep_goes_beyond_the_window_and_closes_back():
    calm = [(100, 101, 99, 100)] * 21
    found = table(made([*calm, (100, 102, 100, 100.5), (100, 102.5, 100, 102.25),
                        (100, 101, 98, 99.5)]))  # fmt: skip
    assert found["st_sweep_hi"][20:].isna().tolist()[0]
    assert found["st_sweep_hi"][21:].tolist() == [1, 0, 0]
    assert found["st_sweep_lo"][21:].tolist() == [0, 0, 1]


def hourly(days, per_day=3):
    """A few bars at 18:00, 20:00, … of the evening before each date; prices count up."""
    rows, starts = [], []
    for n, day in enumerate(days):
        evening = dt.datetime.fromisoformat(day).replace(hour=18, tzinfo=NEW_YORK)
        for k in range(per_day):
            price = 100.0 + 10 * n + k
            rows.append((price, price + 2, price - 2, price + 1))
            starts.append(int(evening.timestamp()) + k * 3600)
    first = starts[0]
    return rows, first, [(s - first) // 3600 for s in starts]


def test_levels_of_the_day_before_reach_over_weekends_holidays_and_the_clock_change():
    # Evenings of Wednesday, Thursday, Sunday (clocks moved), and Sunday after a week without bars.
    evenings = ["2024-03-06", "2024-03-07", "2024-03-10", "2024-03-17"]
    rows, first, steps = hourly(evenings, 8)
    start = dt.datetime.fromtimestamp(first, NEW_YORK)
    bars = made(rows, start=start.isoformat()[:19], timeframe="1h", steps=steps)
    found = table(bars)
    atr = atr_wilder(*np.array(rows, dtype=float)[:, 1:].T, 14)
    for n in (2, 3):
        row = 8 * n + 3
        close, high, low, last = rows[row][3], 10 * n + 99, 10 * n + 88, 10 * n + 98
        for name, level in (("pdh", high), ("pdl", low), ("pdc", last)):
            assert found[f"st_dist_{name}"][row] == pytest.approx((close - level) / atr[row])
        assert found["st_pivot"][row] == pytest.approx((close - (high + low + last) / 3) / atr[row])
        assert found["st_dist_dopen"][row] == pytest.approx((close - rows[8 * n][0]) / atr[row])
    weeks = [(19, 10 + 109, 98), (27, 129, 118)]  # first week: two dates; second: Monday only
    for row, high, low in weeks:
        assert found["st_dist_pwh"][row] == pytest.approx((rows[row][3] - high) / atr[row])
        assert found["st_dist_pwl"][row] == pytest.approx((rows[row][3] - low) / atr[row])
    assert found["st_dist_pwh"][14:16].isna().all()


def test_a_week_that_never_closes_ends_on_sunday():
    close = np.full(9 * 24, 100.0)
    close[6 * 24 + 5] = 150.0  # Sunday
    bars = closes(close, start="2024-03-03T19:00", timeframe="1h", symbol="BTCUSDT")
    found, atr = table(bars), atr_wilder(bars.high, bars.low, bars.close, 14)
    assert found["st_dist_pwh"][: 7 * 24].isna().all()
    row = 8 * 24 + 20  # Tuesday; Monday 2024-03-04 was the first bar
    assert found["st_dist_pwh"][row] == pytest.approx((100 - 150.5) / atr[row])


def test_overnight_levels_freeze_when_regular_hours_begin():
    clock = pd.date_range("2024-03-04 18:00", "2024-03-05 16:30", freq="30min")
    close = np.where(clock < pd.Timestamp("2024-03-05 09:30"), 100.0, 110.0)
    close[5] = 104.0  # 20:30
    close[-3] = 130.0
    bars = closes(close, start="2024-03-04T18:00", timeframe="30m")
    found = table(bars)
    high, low = np.array(bars.high), np.array(bars.low)
    atr = atr_wilder(high, low, close, 14)
    opening = 31  # 09:30
    for row in (20, 30, 31, 40, 44):
        until = min(row + 1, opening)
        assert found["st_dist_onh"][row] == pytest.approx(
            (close[row] - high[:until].max()) / atr[row]
        )
        assert found["st_dist_onl"][row] == pytest.approx(
            (close[row] - low[:until].min()) / atr[row]
        )
    daily = closes(close, start="2024-03-04T18:00", timeframe="1d")
    assert table(daily)[["st_dist_onh", "st_dist_onl"]].isna().all().all()
    crypto = closes(close, start="2024-03-04T19:00", timeframe="1h", symbol="BTCUSDT")
    assert table(crypto)[["st_dist_onh", "st_dist_onl"]].isna().all().all()


def test_a_flat_market_gives_the_bracketed_numbers():
    row = table(made([(5000, 5000, 5000, 5000)] * 500)).iloc[-1]
    never = {*FIELDS[10:24:2], "st_day_range_adr", "st_dist_pwh", "st_dist_pwl"}
    assert set(row.index[row.isna()]) == never
    wanted = dict.fromkeys(set(NAMES) - never, 0.0)
    wanted |= {"st_range_pos_20": 0.5, "st_range_pos_100": 0.5, "st_day_pos": 0.5}
    wanted |= {"st_fvg_bull": 5.0, "st_fvg_bear": 5.0}
    assert row.drop(list(never)).to_dict() == wanted


def test_round_steps_are_those_of_the_contracts():
    steps = {"ES": 25, "MES": 25, "NQ": 100, "MNQ": 100, "RTY": 10, "YM": 100, "CL": 1, "MCL": 1,
             "NG": 0.1, "GC": 10, "MGC": 10, "SI": 0.5, "ZN": 1, "ZB": 1, "ZF": 1, "6E": 0.005,
             "6J": 0.00005, "QQQ": 1}  # fmt: skip
    for symbol, step in steps.items():
        assert round_step(lookup(symbol)) == pytest.approx(step, rel=1e-12), symbol


def test_scaled_prices_and_ticks_change_nothing(bars):
    tick = bars.instrument.tick_size
    big = with_columns(bars, **{name: bars[name] * 8 for name in PRICES})
    big = Bars(big.frame, replace(bars.instrument, tick_size=8 * tick), bars.timeframe)
    np.testing.assert_allclose(table(big), table(bars), rtol=1e-6, atol=1e-6)


def test_mirrored_prices_turn_the_directed_columns_and_swap_the_pairs(bars):
    turn = 2 * 12_000.0
    mirror = with_columns(bars, open=turn - bars.open, close=turn - bars.close,
                          high=turn - bars.low, low=turn - bars.high)  # fmt: skip
    plain, turned = table(bars), table(mirror)
    signed = {c.name for c in STRUCTURE.columns if c.signed}
    assert len(signed) == 7
    pairs = {"st_dist_sw_high": "st_dist_sw_low", "st_bos_up": "st_bos_dn",
             "st_fvg_bull": "st_fvg_bear", "st_sweep_hi": "st_sweep_lo",
             "st_bars_since_high_50": "st_bars_since_low_50"}  # fmt: skip
    against = {"st_dist_pdh": "st_dist_pdl", "st_dist_onh": "st_dist_onl",
               "st_dist_pwh": "st_dist_pwl"}  # fmt: skip
    same = {"st_inside", "st_outside", "st_adx_14", "st_retrace", "st_day_range_adr", "st_round"}
    checks = [(a, a, -1) for a in signed] + [(a, a, 1) for a in same]
    checks += [(a, b, 1) for a, b in pairs.items()] + [(b, a, 1) for a, b in pairs.items()]
    checks += [(a, b, -1) for a, b in against.items()]
    for left, right, side in checks:
        np.testing.assert_allclose(
            turned[left], side * plain[right], rtol=1e-5, atol=1e-5, err_msg=left
        )
    for name in ("st_range_pos_20", "st_range_pos_100", "st_day_pos"):
        np.testing.assert_allclose(turned[name], 1 - plain[name], rtol=1e-5, atol=1e-5)


def test_prices_below_zero_make_only_the_log_columns_missing(bars):
    at = np.arange(len(bars)) == 600
    prices = {name: bars[name] - np.where(at, 2 * bars.close, 0.0) for name in PRICES}
    found, plain = table(with_columns(bars, **prices)), table(bars)
    gone = found.isna() & plain.notna()
    assert set(gone.columns[gone.any()]) == {"st_vr_5_100", "st_acf1_50"}
    assert gone["st_acf1_50"][600:651].all()
    assert not gone["st_acf1_50"][652:].any()
