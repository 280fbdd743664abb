"""The session barrier one bar at a time, and the bars it is tried on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ffm_core.labels.targets.barrier import LONG, NONE, SHORT

ZONE = ZoneInfo("America/New_York")
# New York minutes: from, to, target and stop in ATR, minutes a trade may last
TABLE = [(570, 660, 2.0, 1.25, 60), (660, 840, 1.25, 1.0, 40), (840, 930, 1.5, 1.0, 30)]


def us(stamp):
    return int(stamp.timestamp()) * 1_000_000


def local(us_):
    return datetime.fromtimestamp(us_ / 1e6, tz=UTC).astimezone(ZONE)


@pytest.fixture(scope="module")
def walk_of(make_bars, es):
    """Bars of ES around the change of clocks, whole sessions, with a few bars missing."""

    def make(seed, minutes=5, first=datetime(2024, 3, 6, tzinfo=UTC), days=9, step=2.0):
        rng = np.random.default_rng(seed)
        stamps = []
        at = first
        while at < first + timedelta(days=days):
            there = at.astimezone(ZONE)
            evening = there.hour >= 18
            shut = there.hour == 17 or there.weekday() == 5
            shut |= (there.weekday() == 4 and evening) or (there.weekday() == 6 and not evening)
            if not shut and rng.random() > 0.003:
                stamps.append(us(at))
            at += timedelta(minutes=minutes)
        n = len(stamps)
        body = rng.normal(0, step, n)
        gap = rng.normal(0, 1.0, n) * (rng.random(n) < 0.3)
        close = 5000 + np.cumsum(body + gap)
        open_ = close - body
        high = np.maximum(open_, close) + rng.exponential(0.5, n)
        low = np.minimum(open_, close) - rng.exponential(0.5, n)
        prices = [np.round(x * 4) / 4 for x in (open_, high, low, close)]
        return make_bars(*prices, ts_us=np.array(stamps), instrument=es, minutes=minutes)

    return make


def true_range(bars, t):
    before = bars.close[t - 1] if t else bars.close[t]
    spans = bars.high[t] - bars.low[t], abs(bars.high[t] - before), abs(bars.low[t] - before)
    return max(spans) if t else spans[0]


def settings_of(bars, t, minutes):
    stamp = local(bars.ts_us[t])
    at = stamp.hour * 60 + stamp.minute
    for begin, end, goal, stop, length in TABLE:
        if begin <= at < end:
            return goal, stop, max(1, length // minutes)
    return None


def one_side(bars, t, side, entry, stop, goal, length, *, strict):
    """What becomes of a trade from bar t + 1 on, and the bar at which that is settled."""
    for j in range(t + 1, t + length + 1):
        if j >= len(bars):
            return None, None
        first = bars.open[j] if strict and j > t + 1 else entry
        against, along = (bars.low[j], bars.high[j]) if side > 0 else (bars.high[j], bars.low[j])
        if side * (first - entry) <= -stop or side * (against - entry) <= -stop:
            if strict and side * (first - entry) >= goal:
                return True, j
            return False, j
        if side * (along - entry) >= goal:
            return True, j
    return False, t + length


def plain(bars, *, strict, minutes=5):
    value = np.full(len(bars), np.nan)
    end = np.full(len(bars), -1)
    for t in range(len(bars)):
        rules = settings_of(bars, t, minutes)
        if rules is None:
            if not strict:
                value[t], end[t] = NONE, t
            continue
        if t < 13 or t + 1 >= len(bars):
            continue
        atr = sum(true_range(bars, k) for k in range(t - 13, t + 1)) / 14
        goal, stop, length = rules[0] * atr, rules[1] * atr, rules[2]
        entry = bars.open[t + 1] if strict else bars.close[t]
        (up, at_up), (down, at_down) = (
            one_side(bars, t, side, entry, stop, goal, length, strict=strict) for side in (1, -1)
        )
        if up is None or down is None:
            continue
        value[t], end[t] = (LONG if up else SHORT if down else NONE), max(at_up, at_down)
    return value, end


def morning(make_bars, es, after, *, quiet=30, start="2024-07-01T09:30", **more):
    """Quiet bars with a range of 1, then the given (open, high, low, close) bars."""
    rows = [(100.0, 100.5, 99.5, 100.0)] * quiet + after
    first = datetime.fromisoformat(start).replace(tzinfo=ZONE) - timedelta(minutes=5 * (quiet - 1))
    stamps = [us(first) + 300_000_000 * k for k in range(len(rows))]
    stamps = np.array(more.pop("stamps", stamps))
    return make_bars(*map(list, zip(*rows, strict=True)), ts_us=stamps, instrument=es, **more)


STILL = (100.0, 100.5, 99.5, 100.0)
