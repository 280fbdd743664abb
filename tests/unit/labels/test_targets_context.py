from __future__ import annotations

import math

import numpy as np
import pytest

from ffm_core.bars.primitives import frozen
from ffm_core.labels.targets import context_values, target
from ffm_core.labels.targets.breaks import GAP_BARS, broken
from ffm_core.labels.targets.context import NAMES
from ffm_core.labels.targets.windows import (
    rolling_median,
    rolling_rank,
    rolling_sd,
    rolling_sd_of_known,
)
from ffm_core.testing.golden import golden_bars

NAN = math.nan
HORIZON = {name: target(f"context/{name}").horizon_bars for name in NAMES}


def flat_sd(values):
    """Sample SD the long way; the textbook sum of squares around the mean."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))


class Plain:
    """The strict definitions one bar at a time, over Python lists."""

    def __init__(self, bars):
        self.c = bars.close.tolist()
        self.n = len(self.c)
        self.ts = bars.ts_us.tolist()
        self.length = bars.timeframe.us
        with_contract = "contract" in bars.frame.columns
        self.contract = bars.frame["contract"].to_list() if with_contract else ["-"] * self.n
        self.sd10 = [self.sd(t, 10) for t in range(self.n)]
        self.sd20 = [self.sd(t, 20) for t in range(self.n)]
        self.usual = [self.median(t) for t in range(self.n)]
        self.every = {sign: self.every_pivot(sign) for sign in (1, -1)}

    def one_contract(self, first, last):
        # a contract never comes back, so equal ends are one contract
        return first >= 0 and self.contract[first] == self.contract[last]

    def open_ahead(self, t, horizon):
        if t + horizon >= self.n or not self.one_contract(t, t + horizon):
            return False
        steps = range(t + 1, t + horizon + 1)
        return all((self.ts[k] - self.ts[k - 1]) / self.length - 1 <= 20 for k in steps)

    def move(self, first, last):
        return math.log(self.c[last]) - math.log(self.c[first])

    def sd(self, t, window):
        if not self.one_contract(t - window, t):
            return NAN
        return flat_sd([self.move(k - 1, k) for k in range(t - window + 1, t + 1)])

    def median(self, t):
        known = sorted(x for x in self.sd20[max(0, t - 199) : t + 1] if x == x)
        if len(known) < 50:
            return NAN
        return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2

    def fwd_return(self, t):
        past = [
            self.move(k - 20, k)
            for k in range(max(0, t - 199), t + 1)
            if self.one_contract(k - 20, k)
        ]
        if len(past) < 50 or flat_sd(past) == 0:
            return NAN
        return max(-4.0, min(4.0, self.move(t, t + 20) / flat_sd(past)))

    def vol_expansion(self, t):
        later, usual = self.sd20[t + 20], self.usual[t]
        return NAN if later != later or usual != usual else float(later > 1.5 * usual)

    def volatility(self, t):
        window = self.sd10[t - 99 : t + 1] if t >= 99 else [NAN]
        later = self.sd10[t + 10]
        if later != later or any(x != x for x in window):
            return NAN
        return sum(x < later for x in window) / 100

    def structure(self, t):
        if not self.one_contract(t - 11, t):
            return NAN
        before, after = self.c[t - 11 : t + 1], self.c[t + 1 : t + 21]
        if max(after) > max(before) and min(after) > min(before):
            return 1.0
        if max(after) < max(before) and min(after) < min(before):
            return 0.0
        return NAN

    def quiet_persist(self, t):
        now, later, usual = self.sd20[t], self.sd20[t + 20], self.usual[t]
        if now != now or later != later or usual != usual or now > usual:
            return NAN
        return float(later <= 1.25 * usual)

    def trendiness(self, t):
        path = math.fsum(abs(self.move(k - 1, k)) for k in range(t + 1, t + 21))
        return abs(self.move(t, t + 20)) / path if path > 0 else NAN

    def range_bound(self, t):
        if not self.one_contract(t - 19, t):
            return NAN
        box = self.c[t - 19 : t + 1]
        return float(all(min(box) <= x <= max(box) for x in self.c[t + 1 : t + 11]))

    def every_pivot(self, sign):
        """Bars whose close lies beyond the ten on each side."""
        found = []
        for p in range(10, self.n - 10):
            others = self.c[p - 10 : p] + self.c[p + 1 : p + 11]
            if sign * self.c[p] > max(sign * x for x in others):
                found.append(p)
        return found

    def pivots(self, t, sign):
        """Closes of the pivots of this contract that are confirmed by t."""
        bars = [p for p in self.every[sign] if p + 10 <= t and self.one_contract(p - 10, t)]
        return [self.c[p] for p in bars]

    def structure_break(self, t):
        highs, lows = self.pivots(t, 1), self.pivots(t, -1)
        if len(highs) < 2 or len(lows) < 2:
            return NAN
        up = highs[-1] > highs[-2] and lows[-1] > lows[-2]
        down = highs[-1] < highs[-2] and lows[-1] < lows[-2]
        for x in self.c[t + 1 : t + 31]:
            if up or down:
                if x > highs[-1]:
                    return 1.0 if up else -1.0
                if x < lows[-1]:
                    return 1.0 if down else -1.0
        return 0.0

    def all(self, name):
        rule = getattr(self, name)
        return np.array(
            [rule(t) if self.open_ahead(t, HORIZON[name]) else NAN for t in range(self.n)]
        )


@pytest.fixture(scope="module", params=["golden", 1, 2])
def case(request, torn):
    """Bars and the plain reading of them."""
    bars = golden_bars()[:900] if request.param == "golden" else torn(request.param)
    return bars, Plain(bars)


@pytest.mark.parametrize("name", NAMES)
def test_strict_targets_equal_the_plain_definitions(case, name):
    bars, plain = case
    found = target(f"context/{name}").compute(bars)
    expected = plain.all(name)
    np.testing.assert_allclose(found.value, expected, rtol=1e-6, atol=1e-9)
    defined = ~np.isnan(expected)
    assert defined.sum() > 60
    np.testing.assert_array_equal(found.end_bar[defined] - np.flatnonzero(defined), HORIZON[name])
    assert (found.end_bar[~defined] == -1).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_tail_without_a_value_is_exactly_the_horizon(name):
    bars, horizon = golden_bars(), HORIZON[name]
    rule = target(f"context/{name}")
    cut = 800  # followed by thirty bars with a value of every target
    value, longer = rule.compute(bars[:cut]).value, rule.compute(bars[: cut + horizon]).value
    assert np.isnan(value[-horizon:]).all()
    np.testing.assert_array_equal(value[:-horizon], longer[: cut - horizon])
    assert not np.isnan(longer[cut - horizon : cut]).all()


@pytest.mark.parametrize("name", NAMES)
def test_computing_together_changes_no_bit(torn, name):
    bars = torn(3, 400)
    alone = target(f"context/{name}").compute(bars)
    together = context_values(bars)[name]
    np.testing.assert_array_equal(alone.value, together.value)
    np.testing.assert_array_equal(alone.end_bar, together.end_bar)
    assert not alone.value.flags.writeable


# --- rolls and gaps


def shaped(make_bars, close, **more):
    close = np.asarray(close, dtype=float)
    return make_bars(np.concatenate((close[:1], close[:-1])), close, close, close, **more)


def stamps(missing, at, rows):
    """Five-minute stamps with so many bars missing before bar ``at``."""
    return 1_709_510_400_000_000 + (np.arange(rows) + missing * (np.arange(rows) >= at)) * (
        300_000_000
    )


@pytest.mark.parametrize(("missing", "is_gap"), [(0, False), (12, False), (20, False), (21, True)])
def test_no_window_ahead_crosses_a_gap(make_bars, missing, is_gap):
    rng = np.random.default_rng(5)
    bars = shaped(make_bars, 100 + np.cumsum(rng.normal(0, 0.1, 300)),
                  ts_us=stamps(missing, 200, 300))  # fmt: skip
    value = target("context/trendiness").compute(bars).value
    lost = np.flatnonzero(np.isnan(value[:280]))
    # from bar 180, whose twentieth bar is the first behind the gap, to bar 199
    assert lost.tolist() == (list(range(180, 200)) if is_gap else [])
    assert broken(bars)[-1] == is_gap
    assert GAP_BARS == 20


def test_a_gap_before_the_bar_is_history_like_any_other(make_bars):
    rng = np.random.default_rng(6)
    close = 100 + np.cumsum(rng.normal(0, 0.1, 300))
    plain = shaped(make_bars, close)
    torn_apart = shaped(make_bars, close, ts_us=stamps(500, 200, 300))
    for name in NAMES:
        whole, after = (target(f"context/{name}").compute(b).value for b in (plain, torn_apart))
        np.testing.assert_array_equal(after[200:], whole[200:])


def test_a_roll_cuts_windows_on_both_sides(make_bars):
    rng = np.random.default_rng(7)
    close = 100 + np.cumsum(rng.normal(0, 0.1, 400))
    close[250:] += 40  # the next contract trades elsewhere
    names = ["ESH24"] * 250 + ["ESM24"] * 150
    found = context_values(shaped(make_bars, close, contract=names))
    defined = {name: np.flatnonzero(~np.isnan(values.value)) for name, values in found.items()}

    def hole(name):
        """Last bar with a value before the roll, first one after."""
        at = np.searchsorted(defined[name], 250)
        return int(defined[name][at - 1]), int(defined[name][at])

    assert hole("trendiness") == (229, 250)
    assert hole("range_bound") == (239, 269)  # its box needs twenty bars
    assert hole("fwd_return") == (229, 250)  # 50 of the 200 past returns are known
    assert hole("vol_expansion") == (229, 250)
    assert hole("volatility") == (239, 250 + 10 + 99)  # a hundred values of ten returns
    # unrolled, the jump of forty points would have been the largest return by far
    assert np.nanmax(np.abs(found["fwd_return"].value)) < 4.0


# --- known answers


def straight(rows=400, rate=0.001):
    return 100.0 * (1.0 + rate) ** np.arange(rows)


@pytest.mark.parametrize("rate", [0.001, -0.001])
def test_a_straight_line(make_bars, rate):
    bars = shaped(make_bars, straight(rate=rate))
    value = {name: target(f"context/{name}").compute(bars).value for name in NAMES}
    assert (value["trendiness"][:-20] == 1.0).all()
    assert (value["structure"][11:-20] == (1.0 if rate > 0 else 0.0)).all()
    assert (value["range_bound"][19:-10] == 0.0).all()
    # no spread at all: nothing expands, calm persists, no return has a unit
    assert (value["vol_expansion"][69:-20] == 0.0).all()
    assert (value["quiet_persist"][69:-20] == 1.0).all()
    assert (value["volatility"][109:-10] == 0.0).all()
    assert np.isnan(value["fwd_return"]).all()
    assert np.isnan(value["structure_break"]).all()


def test_a_flat_market(make_bars):
    bars = shaped(make_bars, np.full(400, 100.0))
    value = {name: target(f"context/{name}").compute(bars).value for name in NAMES}
    assert (value["range_bound"][19:-10] == 1.0).all()
    assert (value["quiet_persist"][69:-20] == 1.0).all()
    for name in ("fwd_return", "trendiness", "structure", "structure_break"):
        assert np.isnan(value[name]).all()


def test_a_burst_of_volatility(make_bars):
    rng = np.random.default_rng(8)
    step = rng.normal(0, 0.0005, 500)
    step[300:360] *= 20
    value = {
        name: target(f"context/{name}")
        .compute(shaped(make_bars, 100 * np.exp(np.cumsum(step))))
        .value
        for name in NAMES
    }
    assert (value["vol_expansion"][[290, 299]] == 1.0).all()
    assert value["vol_expansion"][250] == 0.0
    assert (value["volatility"][[295, 299]] == 1.0).all()
    quiet = ~np.isnan(value["quiet_persist"])
    assert (value["quiet_persist"][290:300][quiet[290:300]] == 0.0).all()
    assert quiet[290:300].any()
    assert not quiet[330:379].any()  # not quiet now: the question does not arise


def zigzag(*turns):
    """Closes on straight lines between (bar, close) turning points."""
    at, level = zip(*turns, strict=True)
    return np.interp(np.arange(at[-1] + 1), at, level)


RISING = [(0, 100), (15, 112), (30, 104), (45, 118), (60, 110)]  # highs 112, 118; lows 104, 110


@pytest.mark.parametrize(("end", "answer"), [((95, 140), 1.0), ((95, 90), -1.0), ((95, 112), 0.0)])
def test_structure_breaks_with_its_trend_or_against_it(make_bars, end, answer):
    value = (
        target("context/structure_break")
        .compute(
            shaped(
                make_bars,
                zigzag((0, 108), *[(t + 12, x) for t, x in RISING], (112, end[1]), (150, end[1])),
            )
        )
        .value
    )
    # the last low, at bar 72, counts from bar 82 on; until then only one low is known
    confirmed = 82
    assert np.isnan(value[:57]).all()
    assert value[confirmed] == answer


def test_a_close_at_the_level_is_no_break(make_bars):
    turns = [(0, 108), *[(t + 12, x) for t, x in RISING]]
    touching = zigzag(*turns, (88, 118), (100, 112), (150, 112))  # 118 is the last high
    value = target("context/structure_break").compute(shaped(make_bars, touching)).value
    assert value[82] == 0.0
    beyond = zigzag(*turns, (88, 118.25), (100, 112), (150, 112))
    assert target("context/structure_break").compute(shaped(make_bars, beyond)).value[82] == 1.0
    below = zigzag(*turns, (88, 110), (100, 112), (150, 112))  # 110 is the last low
    assert target("context/structure_break").compute(shaped(make_bars, below)).value[82] == 0.0


def test_a_target_keeps_its_trend_until_the_next_pivot_is_confirmed(make_bars):
    # Both highs of the falling market are known at bar t only ten bars after the second.
    falling = zigzag((0, 100), (15, 110), (30, 96), (45, 104), (60, 90), (75, 97), (110, 60))
    value = target("context/structure_break").compute(shaped(make_bars, falling)).value
    first = int(np.flatnonzero(~np.isnan(value))[0])
    assert first == 70  # second low at 60, second high at 45: known from bar 70
    assert value[first] == 1.0  # down and down again


# --- windows


@pytest.mark.parametrize("window", [10, 20, 200])
def test_a_spread_is_not_lost_beside_a_large_mean(window):
    rng = np.random.default_rng(9)
    values = frozen(1e6 + rng.normal(0, 1e-3, 600))
    expected = [np.std(values[t - window + 1 : t + 1], ddof=1) for t in range(window - 1, 600)]
    for found in (rolling_sd(values, window), rolling_sd_of_known(values, window, window)):
        np.testing.assert_allclose(found[window - 1 :], expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_windows_leave_out_what_is_missing(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 30, 400) / 7.0  # many ties
    values[rng.random(400) < 0.2] = np.nan
    values = frozen(values)
    window, least = int(rng.integers(20, 90)), 12
    sd, median = rolling_sd_of_known(values, window, least), rolling_median(values, window, least)
    less, equal, known = rolling_rank(values, values, window)
    for t in range(400):
        part = values[max(0, t - window + 1) : t + 1]
        there = part[~np.isnan(part)]
        assert known[t] == len(there)
        assert (less[t], equal[t]) == ((there < values[t]).sum(), (there == values[t]).sum())
        if len(there) < least:
            assert np.isnan(sd[t])
            assert np.isnan(median[t])
        else:
            assert sd[t] == pytest.approx(np.std(there, ddof=1), rel=1e-9)
            assert median[t] == np.median(there)
