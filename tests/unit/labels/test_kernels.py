from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.bars.primitives import frozen
from ffm_core.labels.kernels import fill_barriers, next_flat, peak_excursion
from ffm_core.labels.step import STOP_FIRST, TIES, Rules
from ffm_core.labels.trails import WALKS, atr_trail
from ffm_core.records import REASONS

LONG, SHORT = 1, -1


def prices(bars):
    return frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close)


def rows(entry, side, risk, rr, horizon):
    return (np.array([entry]), np.array([side], dtype=np.int8), np.array([risk]),
            np.array([float(rr)]), np.array([horizon], dtype=np.int32))  # fmt: skip


def fill(bars, entry, side, risk, rr, horizon, *, flat=None, tie="stop_first", at_open=True):
    e, s, r, t, h = rows(entry, side, risk, rr, horizon)
    entry_price = bars.open[e]
    levels = entry_price - s * r, entry_price + s * t * r
    rules = Rules(TIES.index(tie), at_open)
    found = fill_barriers(*prices(bars), next_flat(flat), e, s, *levels, r, h, rules)
    bar, price, reason, best, worst = (values[0] for values in found)
    gross = side * (price - bars.open[entry]) / risk + 0.0
    return REASONS[reason], int(bar), float(gross), float(best), float(worst)


def trail(bars, entry, side, risk, distance, horizon, *, flat=None, activate=1.0):
    e, s, r, d, h = rows(entry, side, risk, distance, horizon)
    stop, none = bars.open[e] - s * r, s * np.inf
    state = np.zeros(1), np.zeros(0, dtype=np.int64), frozen(np.array([1.0, activate]))
    found = WALKS[atr_trail](
        *prices(bars), frozen(bars.volume), next_flat(flat), e, s, stop, none, r, d, h, STOP_FIRST,
        frozen(np.zeros((len(bars), 0))), *state,
    )  # fmt: skip
    bar, price, reason, best, worst = (values[0] for values in found)
    gross = side * (price - bars.open[entry]) / risk + 0.0
    return REASONS[reason], int(bar), float(gross), float(best), float(worst)


def peak(bars, entry, side, risk, horizon, *, flat=None):
    e, s, r, _, h = rows(entry, side, risk, 1.0, horizon)
    o, high, low, _ = prices(bars)
    stop = bars.open[e] - s * r
    return float(peak_excursion(o, high, low, next_flat(flat), e, s, stop, r, h)[0])


# --- published fixtures: (entry bar, side) -> reason and exit bar for 1, 2 and 3 R

FIXTURE = {
    (100, LONG): [("stop", 107)] * 3,
    (100, SHORT): [("target", 107), ("target", 116), ("stop", 133)],
    (400, LONG): [("target", 405), ("target", 411), ("target", 436)],
    (400, SHORT): [("stop", 405)] * 3,
    (900, LONG): [("stop", 900)] * 3,
    (900, SHORT): [("target", 900), ("target", 905), ("target", 908)],
}


@pytest.mark.parametrize(("entry", "side"), FIXTURE)
def test_barriers_match_the_published_fixture(wave, entry, side):
    for rr, (reason, bar) in zip((1, 2, 3), FIXTURE[entry, side], strict=True):
        found = fill(wave, entry, side, 4.0, rr, 40)
        assert found[:2] == (reason, bar)
        assert found[2] == pytest.approx(rr if reason == "target" else -1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("entry", "side", "reason", "bar", "gross"),
    [
        (100, LONG, "timeout", 109, -0.328356),
        (100, SHORT, "timeout", 109, 0.328356),
        (400, LONG, "timeout", 409, 0.326622),
        (900, LONG, "stop", 908, -1.0),
        (900, SHORT, "timeout", 909, 1.166520),
    ],
)
def test_a_wide_stop_times_out_as_published(wave, entry, side, reason, bar, gross):
    found = fill(wave, entry, side, 12.0, 2, 10)
    assert found[:2] == (reason, bar)
    assert found[2] == pytest.approx(gross, abs=1e-6)


@pytest.mark.parametrize(
    ("entry", "side", "reason", "bar", "gross"),
    [
        (100, LONG, "stop", 107, -1.0),
        (100, SHORT, "trail", 108, 0.011484),
        (400, LONG, "trail", 409, 0.755852),
        (400, SHORT, "stop", 405, -1.0),
        (900, LONG, "stop", 900, -1.0),  # one bar earlier than a walk that skips the entry bar
        (900, SHORT, "trail", 911, 2.702684),
    ],
)
def test_the_trail_matches_the_published_fixture(wave, entry, side, reason, bar, gross):
    found = trail(wave, entry, side, 4.0, 2.0 * 2.0, 130)
    assert found[:2] == (reason, bar)
    assert found[2] == pytest.approx(gross, abs=1e-6)


@pytest.mark.parametrize(
    ("entry", "side", "best"),
    [(100, LONG, 0.884537), (100, SHORT, 2.465019), (400, LONG, 4.126406),
     (400, SHORT, 0.571915), (900, LONG, 0.0), (900, SHORT, 4.081248)],
)  # fmt: skip
def test_the_peak_matches_the_published_excursion(wave, entry, side, best):
    # The published walk runs forty bars after the entry bar, so forty-one with it.
    assert peak(wave, entry, side, 4.0, 41) == pytest.approx(best, abs=1e-6)


def test_a_stop_inside_the_entry_bar_counts(make_bars):
    bars = make_bars([100, 100, 100], [100, 100.5, 103], [99.9, 90, 99.9], [100, 100, 103])
    assert fill(bars, 1, LONG, 1.0, 2, 10)[:3] == ("stop", 1, -1.0)


def test_an_undecided_trade_is_marked_to_the_last_close(make_bars):
    bars = make_bars([100.0] * 6, [100.4] * 6, [99.6] * 6, [100.3] * 6)
    reason, bar, gross, _, _ = fill(bars, 1, LONG, 1.0, 2, 3)
    assert (reason, bar) == ("timeout", 3)
    assert gross == pytest.approx(0.3)


def test_data_that_stop_first_say_so(make_bars):
    bars = make_bars([100.0] * 6, [100.4] * 6, [99.6] * 6, [100.3] * 6)
    assert fill(bars, 1, LONG, 1.0, 2, 5)[0] == "timeout"
    assert fill(bars, 1, LONG, 1.0, 2, 6)[:2] == ("data_end", 5)


def test_gaps_fill_at_the_open(make_bars):
    bars = make_bars([100, 97, 104], [100.2, 97.5, 105], [99.8, 96, 103], [100, 97, 104])
    assert fill(bars, 0, LONG, 1.0, 2, 3)[:3] == ("stop_gap", 1, -3.0)
    assert fill(bars, 0, SHORT, 1.0, 2, 3)[:3] == ("target_gap", 1, 3.0)
    assert fill(bars, 0, SHORT, 1.0, 2, 3, at_open=False)[:3] == ("target_gap", 1, 2.0)


def test_the_entry_bar_cannot_gap(make_bars):
    bars = make_bars([100, 97], [100.2, 97.5], [99.8, 96], [100, 97])
    assert fill(bars, 1, LONG, 1.0, 2, 1)[:3] == ("stop", 1, -1.0)


@pytest.mark.parametrize(
    ("tie", "answer"),
    [("stop_first", ("stop", -1.0)), ("target_first", ("target", 2.0))],
)
def test_the_tie_policy_decides_a_bar_that_touches_both(make_bars, tie, answer):
    bars = make_bars([100.0], [105.0], [95.0], [100.0])
    for side in (LONG, SHORT):
        reason, _, gross, _, _ = fill(bars, 0, side, 1.0, 2, 1, tie=tie)
        assert (reason, gross) == answer


def test_a_skipped_tie_has_no_price(make_bars):
    bars = make_bars([100.0], [105.0], [95.0], [100.0])
    reason, bar, gross, _, _ = fill(bars, 0, LONG, 1.0, 2, 1, tie="skip")
    assert (reason, bar) == ("skipped", 0)
    assert np.isnan(gross)


def test_the_session_end_closes_after_stop_and_target(make_bars):
    flat = np.array([False, True, False])
    quiet = make_bars([100.0] * 3, [100.4] * 3, [99.6] * 3, [100.25] * 3)
    assert fill(quiet, 0, LONG, 1.0, 2, 3, flat=flat)[:3] == ("session_end", 1, 0.25)
    stopped = make_bars([100.0] * 3, [100.4] * 3, [99.6, 98, 99], [100.25] * 3)
    assert fill(stopped, 0, LONG, 1.0, 2, 3, flat=flat)[0] == "stop"
    assert trail(quiet, 0, LONG, 1.0, 1.0, 3, flat=flat)[:2] == ("session_end", 1)
    assert trail(stopped, 0, LONG, 1.0, 1.0, 3, flat=flat)[0] == "stop"


def test_the_trail_moves_for_the_next_bar_only(make_bars):
    # Bar 0 runs up 3 and falls back to 100.5: with the stop moved inside the bar
    # to 102 it would have been hit at once.
    bars = make_bars([100, 100.5, 102], [103, 102.5, 102], [99.5, 100.5, 101], [100.5, 102, 101])
    assert trail(bars, 0, LONG, 1.0, 1.0, 3) == ("trail", 1, 0.5, 3.0, 0.5)


def test_the_trail_waits_until_it_is_armed(make_bars):
    bars = make_bars([100, 100, 100], [100.9, 100.9, 100.9], [99.5, 99.5, 99.5], [100, 100, 100])
    assert trail(bars, 0, LONG, 1.0, 0.25, 3)[0] == "timeout"
    assert trail(bars, 0, LONG, 1.0, 0.25, 3, activate=0.5)[0] == "trail"


def test_the_dip_of_the_target_bar_counts_as_worst(make_bars):
    bars = make_bars([100, 100], [100.5, 103], [99.75, 99.5], [100, 103])
    assert fill(bars, 0, LONG, 1.0, 2, 2) == ("target", 1, 2.0, 2.0, 0.5)
    turned = make_bars([100, 100], [100.25, 100.5], [99.5, 97], [100, 97])
    assert fill(turned, 0, SHORT, 1.0, 2, 2) == ("target", 1, 2.0, 2.0, 0.5)


def test_next_flat_names_the_first_session_end_at_or_after(make_bars):
    flat = np.array([False, True, False, False, True, False])
    assert next_flat(flat).tolist() == [1, 1, 4, 4, 4, 6]
    assert len(next_flat(None)) == 0


# --- slow plain references


def plain_fill(bars, e, s, risk, rr, horizon, flat, tie, at_open):
    """The rules as they are told, one bar after the other."""
    o, high, low, c = bars.open, bars.high, bars.low, bars.close
    entry = o[e]
    stop, target = entry - s * risk, entry + s * rr * risk
    for j in range(e, e + horizon):
        if j >= len(bars):
            return "data_end", len(bars) - 1, c[-1]
        if j > e and s * (o[j] - stop) <= 0:
            return "stop_gap", j, o[j]
        if j > e and s * (o[j] - target) >= 0:
            return "target_gap", j, o[j] if at_open else target
        against, along = (low[j], high[j]) if s > 0 else (high[j], low[j])
        hit_stop, hit_target = s * (against - stop) <= 0, s * (along - target) >= 0
        if hit_stop and hit_target:
            if tie == "skip":
                return "skipped", j, np.nan
            return ("stop", j, stop) if tie == "stop_first" else ("target", j, target)
        if hit_stop:
            return "stop", j, stop
        if hit_target:
            return "target", j, target
        if flat[j]:
            return "session_end", j, c[j]
    return "timeout", e + horizon - 1, c[e + horizon - 1]


def plain_trail(bars, e, s, risk, distance, horizon, flat, activate):
    o, high, low, c = bars.open, bars.high, bars.low, bars.close
    entry = o[e]
    stop, extreme, armed, moved = entry - s * risk, entry, False, False
    for j in range(e, e + horizon):
        if j >= len(bars):
            return "data_end", len(bars) - 1, c[-1]
        against, along = (low[j], high[j]) if s > 0 else (high[j], low[j])
        if j > e and s * (o[j] - stop) <= 0:
            return ("trail" if moved else "stop_gap"), j, o[j]
        if s * (against - stop) <= 0:
            return ("trail" if moved else "stop"), j, stop
        if flat[j]:
            return "session_end", j, c[j]
        extreme = s * max(s * extreme, s * along)
        armed = armed or s * (extreme - entry) >= activate * risk
        if armed and s * (extreme - s * distance - stop) > 0:
            stop, moved = extreme - s * distance, True
    return "timeout", e + horizon - 1, c[e + horizon - 1]


def plain_peak(bars, e, s, risk, horizon, flat):
    entry, best = bars.open[e], 0.0
    for j in range(e, min(e + horizon, len(bars))):
        against = bars.low[j] if s > 0 else bars.high[j]
        if s * (against - (entry - s * risk)) <= 0:
            break
        along = bars.high[j] if s > 0 else bars.low[j]
        best = max(best, s * (along - entry) / risk)
        if flat[j]:
            break
    return best


trades = st.tuples(
    st.integers(0, 10_000),  # seed of the walk
    st.integers(0, 118),  # entry bar
    st.sampled_from([LONG, SHORT]),
    st.sampled_from([0.5, 1.0, 2.5, 6.0]),  # risk
    st.integers(1, 60),  # horizon
)


def a_flat_mask(seed, rows=120):
    return np.random.default_rng(seed + 1).random(rows) < 0.03


@settings(deadline=None, max_examples=200)
@given(trades, st.sampled_from([1.0, 1.5, 3.0]), st.sampled_from(TIES), st.booleans())
def test_barriers_equal_the_plain_walk(walk, trade, rr, tie, at_open):
    seed, e, s, risk, horizon = trade
    bars, flat = walk(seed), a_flat_mask(seed)
    reason, bar, price = plain_fill(bars, e, s, risk, rr, horizon, flat, tie, at_open)
    found = fill(bars, e, s, risk, rr, horizon, flat=flat, tie=tie, at_open=at_open)
    assert found[:2] == (reason, bar)
    np.testing.assert_array_equal(found[2], s * (price - bars.open[e]) / risk)


@settings(deadline=None, max_examples=200)
@given(trades, st.sampled_from([0.5, 1.25, 4.0]), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_the_trail_equals_the_plain_walk(walk, trade, distance, activate):
    seed, e, s, risk, horizon = trade
    bars, flat = walk(seed), a_flat_mask(seed)
    reason, bar, price = plain_trail(bars, e, s, risk, distance, horizon, flat, activate)
    found = trail(bars, e, s, risk, distance, horizon, flat=flat, activate=activate)
    assert found[:2] == (reason, bar)
    assert found[2] == s * (price - bars.open[e]) / risk


@settings(deadline=None, max_examples=150)
@given(trades)
def test_the_peak_equals_the_plain_walk(walk, trade):
    seed, e, s, risk, horizon = trade
    bars, flat = walk(seed), a_flat_mask(seed)
    assert peak(bars, e, s, risk, horizon, flat=flat) == plain_peak(bars, e, s, risk, horizon, flat)


@settings(deadline=None, max_examples=150)
@given(trades, st.sampled_from([1.0, 3.0]))
def test_excursions_enclose_the_result_and_the_peak_ignores_the_target(walk, trade, rr):
    seed, e, s, risk, horizon = trade
    bars = walk(seed)
    reason, _, gross, best, worst = fill(bars, e, s, risk, rr, horizon)
    assert -worst <= gross <= best
    assert min(best, worst) >= 0
    assert worst <= 1 or reason == "stop_gap"
    assert peak(bars, e, s, risk, horizon) >= best


@settings(deadline=None, max_examples=100)
@given(trades, st.sampled_from([1.5, 3.0]), st.sampled_from(TIES))
def test_turning_prices_upside_down_turns_the_side(walk, trade, rr, tie):
    seed, e, s, risk, horizon = trade
    bars = walk(seed)
    turned = replace(
        bars,
        frame=bars.frame.with_columns(
            open=1000 - bars.frame["open"],
            high=1000 - bars.frame["low"],
            low=1000 - bars.frame["high"],
            close=1000 - bars.frame["close"],
        ),
    )
    one = fill(bars, e, s, risk, rr, horizon, tie=tie)
    np.testing.assert_equal(fill(turned, e, -s, risk, rr, horizon, tie=tie), one)
    np.testing.assert_equal(
        trail(turned, e, -s, risk, 1.25, horizon), trail(bars, e, s, risk, 1.25, horizon)
    )


@settings(deadline=None, max_examples=100)
@given(trades, st.sampled_from([2.0**-7, 2.0, 1024.0]))
def test_scaling_prices_and_risk_changes_nothing(walk, trade, scale):
    seed, e, s, risk, horizon = trade
    plain, scaled = walk(seed), walk(seed, scale=scale)
    assert fill(scaled, e, s, risk * scale, 2, horizon) == fill(plain, e, s, risk, 2, horizon)
    assert trail(scaled, e, s, risk * scale, scale, horizon) == trail(
        plain, e, s, risk, 1.0, horizon
    )


@settings(deadline=None, max_examples=100)
@given(trades)
def test_bars_after_the_exit_do_not_matter_and_the_exit_bar_does(walk, trade):
    seed, e, s, risk, horizon = trade
    bars = walk(seed)
    found = fill(bars, e, s, risk, 2, horizon)
    if found[0] == "data_end":
        return
    index = np.arange(len(bars))
    later = bars.frame.with_columns(
        **{
            name: bars.frame[name] + np.where(index > found[1], 50.0, 0.0)
            for name in ("open", "high", "low", "close")
        }
    )
    assert fill(replace(bars, frame=later), e, s, risk, 2, horizon) == found
    crash = bars.frame.with_columns(
        **{
            name: bars.frame[name] - s * np.where(index >= found[1], 500.0, 0.0)
            for name in ("high", "low", "close")
        }
    )
    crashed = fill(replace(bars, frame=crash), e, s, risk, 2, horizon)
    # an open beyond the target is a fill before anything else can happen
    assert crashed[0] in ("stop", "stop_gap") or found[0] == "target_gap"
