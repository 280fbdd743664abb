from __future__ import annotations

import numpy as np
import pytest
from ffm_strategy_cisd.indicator import changes
from hypothesis import given, settings
from hypothesis import strategies as st


def find(bars, **options):
    return changes(bars.open, bars.high, bars.low, bars.close, **options)


def listed(found):
    return list(zip(found.bar.tolist(), found.side.tolist(), found.level.tolist(), strict=True))


def candles(make_bars, *rows):
    """Bars from (open, close) pairs with wicks of a quarter point."""
    open_, close = (np.array(values, dtype=float) for values in zip(*rows, strict=True))
    return make_bars(open_, np.maximum(open_, close) + 0.25, np.minimum(open_, close) - 0.25, close)


# Down to a swing low at bar 2 (order 1), up, and down again through it.
DIP = [(104, 103), (103, 102), (102, 100), (100.5, 102), (102, 103), (103, 101), (101, 99)]


def test_a_close_above_the_runs_first_open_is_a_change(make_bars):
    bars = candles(make_bars, *DIP, (99, 102), (102, 103), (103, 104))
    found = find(bars, swing_order=1)
    # The run is bars 5 and 6, its first open 103; bar 8 closes at it, bar 9 above it.
    assert listed(found) == [(9, 1, 103.0)]
    assert (found.run_start[0], found.run_end[0], found.swing[0]) == (5, 6, 2)
    assert found.extreme[0] == 98.75


def test_the_mirror_image_is_a_bearish_change(make_bars):
    rows = [(200 - a, 200 - b) for a, b in [*DIP, (99, 102), (102, 104)]]
    found = find(candles(make_bars, *rows), swing_order=1)
    assert listed(found) == [(8, -1, 97.0)]


def test_without_the_sweep_there_is_no_change(make_bars):
    shallow = [*DIP[:-1], (101, 100), (100, 104.5)]  # as low as the swing, not lower
    assert listed(find(candles(make_bars, *shallow), swing_order=1)) == []
    free = find(candles(make_bars, *shallow), swing_order=1, require_sweep=False)
    # the run that made the low is the first one, whose open is 104
    assert (7, 1, 104.0) in listed(free)


def test_a_run_must_be_long_enough(make_bars):
    bars = candles(make_bars, *DIP, (99, 104))
    assert listed(find(bars, swing_order=1, min_run=2)) == [(7, 1, 103.0)]
    assert listed(find(bars, swing_order=1, min_run=3)) == []


def test_a_run_that_has_gapped_beyond_its_own_open_waits_for_nothing(make_bars):
    gapped = [*DIP[:5], (103, 99), (106, 104), (104, 105)]  # two falling bars, level 103 behind
    assert listed(find(candles(make_bars, *gapped), swing_order=1, min_run=2)) == []
    plain = [*DIP[:5], (103, 99), (101, 100), (100, 105)]
    assert listed(find(candles(make_bars, *plain), swing_order=1, min_run=2)) == [(7, 1, 103.0)]


def test_a_bar_without_a_body_ends_a_run(make_bars):
    broken = [*DIP[:5], (103, 101), (101, 101), (101, 99), (99, 101.5), (101.5, 104)]
    # The run that reached the low starts at bar 7 now: its open of 101 is the level.
    assert listed(find(candles(make_bars, *broken), swing_order=1))[0] == (8, 1, 101.0)


def test_only_a_lower_run_takes_the_place_of_a_waiting_one(make_bars):
    higher = [*DIP, (99, 102), (102, 100), (100, 103.5)]
    assert listed(find(candles(make_bars, *higher), swing_order=1)) == [(9, 1, 103.0)]
    lower = [*DIP, (99, 102), (102, 98), (98, 102.5)]
    assert listed(find(candles(make_bars, *lower), swing_order=1)) == [(9, 1, 102.0)]


def test_a_swing_serves_one_signal_unless_price_goes_further(make_bars):
    start = [*DIP, (99, 103.5)]
    again = [*start, (103.5, 99.5), (99.5, 104)]  # below the swing, not below the extreme
    assert len(find(candles(make_bars, *again), swing_order=1).bar) == 1
    further = [*start, (103.5, 98), (98, 104)]
    assert listed(find(candles(make_bars, *further), swing_order=1)) == [
        (7, 1, 103.0), (9, 1, 103.5),
    ]  # fmt: skip


# --- slow plain reference, both sides written out


def plain_changes(bars, min_run, require_sweep, order):
    o, high, low, c = bars.open, bars.high, bars.low, bars.close
    signals = []
    runs = {1: None, -1: None}
    waiting = {1: None, -1: None}
    used = {1: (None, None), -1: (None, None)}

    def beyond(side, a, b):  # a lies further against the trade than b
        return a < b if side == 1 else a > b

    def pivot(side, known_at):
        for i in range(known_at - order, order - 1, -1):
            values = low if side == 1 else high
            others = [values[k] for k in range(i - order, i + order + 1) if k != i]
            if all(beyond(side, values[i], other) for other in others):
                return i
        return None

    for t in range(len(bars)):
        for side in (1, -1):
            wait = waiting[side]
            if wait is not None and beyond(side, wait["level"], c[t]):
                signals.append(
                    (t, side, wait["level"], wait["extreme"], wait["start"], wait["end"])
                )
                used[side] = (wait["swing"], wait["extreme"])
                waiting[side] = runs[side] = None
                continue
            if not beyond(side, c[t], o[t]):
                runs[side] = None
                continue
            edge = low[t] if side == 1 else high[t]
            run = runs[side]
            if run is None:
                run = runs[side] = {"start": t, "extreme": edge, "swing": pivot(side, t)}
            elif beyond(side, edge, run["extreme"]):
                run["extreme"] = edge
            if t - run["start"] + 1 < min_run or beyond(side, o[run["start"]], c[t]):
                continue
            swing = run["swing"]
            if require_sweep:
                if swing is None:
                    continue
                swept = (low if side == 1 else high)[swing]
                if not beyond(side, run["extreme"], swept):
                    continue
                if used[side][0] == swing and not beyond(side, run["extreme"], used[side][1]):
                    continue
            same = wait is not None and wait["start"] == run["start"]
            if wait is None or same or beyond(side, run["extreme"], wait["extreme"]):
                waiting[side] = {**run, "level": o[run["start"]], "end": t}
    return sorted(signals)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 3), st.booleans(), st.integers(1, 6))
def test_changes_equal_the_plain_rule(walk, seed, min_run, require_sweep, order):
    bars = walk(seed, 250)
    found = find(bars, min_run=min_run, require_sweep=require_sweep, swing_order=order)
    ours = sorted(
        zip(found.bar.tolist(), found.side.tolist(), found.level.tolist(),
            found.extreme.tolist(), found.run_start.tolist(), found.run_end.tolist(), strict=True)
    )  # fmt: skip
    assert ours == plain_changes(bars, min_run, require_sweep, order)


def test_signals_are_in_order_and_unique(walk):
    found = find(walk(3))
    assert len(found.bar) > 40
    assert (np.diff(found.bar * 2 + (found.side > 0)) > 0).all()


@pytest.mark.parametrize("cut", [30, 500, 1717])
def test_cutting_the_future_changes_nothing(walk, cut):
    whole, part = find(walk(4)), find(walk(4)[:cut])
    assert listed(part) == [row for row in listed(whole) if row[0] < cut]


# --- another published reading of the same idea, kept to compare signal lists


def queue_signals(bars, tolerance, expiry, body_least, strength_least):
    """Turning candles queue up; a close beyond one, far enough, is a signal.

    1 bearish, 2 bullish. The far end is measured in closes, against the open of
    the last bar of the opposite run that followed the turning candle.
    """
    o, high, low, c = bars.open, bars.high, bars.low, bars.close
    queues = {1: [], 2: []}
    signals = []
    for b in range(1, len(bars)):
        before, now = np.sign(c[b - 1] - o[b - 1]), np.sign(c[b] - o[b])
        if before * now < 0:
            queues[1 if now > 0 else 2].append((o[b], b))
        for code, sign in ((1, 1), (2, -1)):
            queue = queues[code]
            while queue and b - queue[0][1] >= expiry:
                queue.pop(0)
            while queue and sign * (c[b] - queue[0][0]) < 0:
                price, start = queue[0]
                far = sign * max(sign * c[start : b + 1])
                end, k = None, start + 1
                while k < b and sign * (c[k] - o[k]) < 0:
                    end, k = o[k], k + 1
                span = high[b] - low[b]
                edge = high[b] if sign > 0 else low[b]
                if (
                    end is not None
                    and sign * (end - price) > 0
                    and (far - price) / (end - price) > tolerance
                    and abs(c[b] - o[b]) / span >= body_least
                    and sign * (edge - c[b]) / span >= strength_least
                ):
                    signals.append((b, code))
                    queue.clear()
                else:
                    queue.pop(0)
    return signals


def test_the_queue_reading_matches_the_published_signals(wave):
    found = queue_signals(wave, 0.70, 50, 0.50, 0.60)
    assert len(found) == 49
    assert found[:10] == [(20, 1), (60, 1), (125, 2), (145, 2), (178, 1),
                          (190, 1), (249, 1), (256, 2), (278, 2), (309, 2)]  # fmt: skip
    loose = queue_signals(wave, 0.30, 50, 0.30, 0.40)
    assert len(loose) == 50
    assert loose[:4] == [(12, 2), (20, 1), (60, 1), (125, 2)]


def test_the_two_readings_are_different_rules(wave):
    ours = set(find(wave).bar.tolist())
    theirs = {bar for bar, _ in queue_signals(wave, 0.70, 50, 0.50, 0.60)}
    assert ours
    assert ours != theirs
