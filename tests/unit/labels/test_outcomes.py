from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.bars import Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.bars.sessions import holes, lost_sessions
from ffm_core.errors import ConfigError, StrategyError
from ffm_core.labels.entries import entries_of
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import ATR_TRAIL, DYNAMIC_TARGET, FIXED_RR, SESSION_END
from ffm_core.records import REASONS, VOIDS, Decisions, Outcomes


def decisions(*rows, risk=None, **more):
    """Rows of (bar, side), one risk for all unless a stop is given."""
    bar, side = zip(*rows, strict=True)
    if "stop_price" not in more:
        more["risk"] = np.full(len(rows), 2.0 if risk is None else risk)
    return Decisions(bar=np.array(bar), side=np.array(side), **more)


def us(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def quiet(make_bars):
    """Ten bars around 100 that reach neither ±2."""
    return make_bars([100.0] * 10, [101.0] * 10, [99.0] * 10, [100.5] * 10)


def test_the_arithmetic_of_one_label(make_bars, es):
    dear = replace(es, commission_per_side=1.25, fees_per_side=1.0)
    prices = [99, 100, 100], [99, 103, 107], [99, 99, 100], [99, 101, 107]
    bars = make_bars(*prices, instrument=dear)
    found = outcomes(bars, decisions((0, 1)), FIXED_RR, {"rr": 3.0}, horizon_bars=5)
    # entry 100, stop 98, target 106 touched in bar 2
    assert (found.entry_bar[0], found.entry_price[0], found.risk[0]) == (1, 100.0, 2.0)
    assert (found.exit_bar[0], found.exit_price[0], found.r_gross[0]) == (2, 106.0, 3.0)
    assert REASONS[found.reason[0]] == "target"
    # 2 × (1.25 + 1.00) / 50 points of fees, 2 × 1 × 0.25 of slippage, over a risk of 2
    assert found.cost_points[0] == pytest.approx(0.09)
    assert found.r_net[0] == pytest.approx(3.0 - (0.09 + 0.5) / 2.0)
    assert found.slipping(0.0).r_net[0] == pytest.approx(3.0 - 0.09 / 2.0)
    assert found.slipping(2.0).r_net[0] == pytest.approx(3.0 - (0.09 + 1.0) / 2.0)
    again = outcomes(
        bars, decisions((0, 1)), FIXED_RR, {"rr": 3.0}, horizon_bars=5, slippage_ticks=2.0
    )
    assert again.r_net.tolist() == found.slipping(2.0).r_net.tolist()
    assert found.peak_r[0] == pytest.approx(3.5)
    assert found.mfe_r[0] == 3.0
    assert found.mae_r[0] == 0.5
    assert found.label.tolist() == [1]


def test_outcomes_of_two_markets_stand_in_one_table_and_keep_their_costs(quiet, make_bars, es):
    dear = make_bars([100.0] * 10, [101.0] * 10, [99.0] * 10, [100.5] * 10,
                     instrument=replace(es, tick_size=0.5, commission_per_side=9.0))  # fmt: skip
    rows = decisions((0, 1), (3, -1), (9, 1))
    cheap, costly = (outcomes(b, rows, FIXED_RR, horizon_bars=3) for b in (quiet, dear))
    both = Outcomes.concat([cheap, costly])
    np.testing.assert_array_equal(both.r_net, np.concatenate([cheap.r_net, costly.r_net]))
    np.testing.assert_array_equal(both.take(np.array([4, 0])).r_net, both.r_net[[4, 0]])
    assert (both.r_net[3:5] < both.r_net[:2]).all()
    assert both.valid.tolist() == [True, True, False] * 2


def test_net_r_cannot_be_stored_beside_the_costs_it_is_made_of(quiet):
    found = outcomes(quiet, decisions((0, 1)), FIXED_RR, horizon_bars=3)
    assert "r_net" not in found.columns()
    with pytest.raises(TypeError):
        replace(found, r_net=found.r_gross)


def test_times_are_bar_closes_in_microseconds(quiet):
    found = outcomes(quiet, decisions((0, 1), (6, -1)), FIXED_RR, horizon_bars=3, horizon_max=5)
    close = quiet.ts_us + quiet.timeframe.us
    assert found.exit_bar.tolist() == [3, 9]
    assert found.t_end.tolist() == [close[3], close[9]]
    assert found.t_end_max.tolist() == [close[5], close[9]]  # the second is cut by the data


def test_rows_bring_their_own_target_and_horizon(quiet):
    rows = decisions((0, 1), (0 + 1, 1), target_r=np.array([1.5, 4.0]),
                     horizon_bars=np.array([2, 4], dtype=np.int32))  # fmt: skip
    found = outcomes(quiet, rows, FIXED_RR, {"rr": 9.0}, horizon_bars=1)
    assert found.target_r.tolist() == [1.5, 4.0]
    assert found.exit_bar.tolist() == [2, 5]


def test_predicted_targets_replace_the_rows_own(make_bars):
    bars = make_bars([100, 100, 100], [100, 101, 104.5], [100, 99, 99], [100, 101, 104])
    rows = decisions((0, 1), target_r=np.array([5.0]))
    found = outcomes(bars, rows, DYNAMIC_TARGET, horizon_bars=2, target_r=np.array([2.0]))
    assert found.target_r[0] == 2.0
    assert found.exit_price[0] == 104.0


def test_flat_at_the_session_end_uses_the_calendar(make_bars, es):
    # Friday 2024-03-08, 16:50 and 16:55 New York are the last bars of the session;
    # the missing bar at noon ends nothing.
    stamps = ["2024-03-08T16:50", "2024-03-08T17:00", "2024-03-08T21:50", "2024-03-08T21:55",
              "2024-03-10T22:00", "2024-03-10T22:05"]  # fmt: skip
    bars = make_bars([100.0] * 6, [101.0] * 6, [99.0] * 6, [100.5] * 6, instrument=es,
                     ts_us=[us(text) for text in stamps])  # fmt: skip
    held = outcomes(bars, decisions((0, 1)), FIXED_RR, horizon_bars=5)
    flat = outcomes(bars, decisions((0, 1)), FIXED_RR, horizon_bars=5, flat_at_session_end=True)
    assert (REASONS[held.reason[0]], held.exit_bar[0]) == ("timeout", 5)
    assert (REASONS[flat.reason[0]], flat.exit_bar[0]) == ("session_end", 3)


# --- voids


def void(found, row=0):
    return VOIDS[found.void_reason[row]]


def test_a_signal_on_the_last_bar_has_no_entry(quiet):
    found = outcomes(quiet, decisions((9, 1)), FIXED_RR, horizon_bars=3)
    assert void(found) == "no_next_bar"
    assert found.entry_bar[0] == -1
    assert np.isnan([found.entry_price[0], found.risk[0], found.r_net[0], found.peak_r[0]]).all()
    assert found.t_end[0] == quiet.ts_us[9] + quiet.timeframe.us


def test_data_that_end_first_void_the_row(quiet):
    found = outcomes(quiet, decisions((5, 1), (6, 1), (7, 1)), FIXED_RR, horizon_bars=3)
    assert [void(found, row) for row in range(3)] == ["none", "none", "data_end"]
    assert np.isnan(found.r_net).tolist() == [False, False, True]
    assert found.valid.tolist() == [True, True, False]


@pytest.mark.parametrize(("risk", "answer"), [(0.74, "small_risk"), (1.0, "none")])
def test_four_ticks_of_risk_are_the_least(quiet, risk, answer):
    found = outcomes(quiet, decisions((0, 1), risk=risk), FIXED_RR, horizon_bars=3)
    assert void(found) == answer


def test_a_decimal_tick_does_not_lose_a_stop_at_four_ticks(make_bars):
    gold = replace(lookup("GC"), slippage_ticks=0.0)
    bars = make_bars([1999.1] * 4, [1999.2] * 4, [1999.0] * 4, [1999.1] * 4, instrument=gold)
    rows = decisions((0, 1), stop_price=np.array([1998.7]))
    assert 1999.1 - 1998.7 < 0.4  # in binary, though it is four ticks of 0.1
    assert void(outcomes(bars, rows, FIXED_RR, horizon_bars=2)) == "none"


@pytest.mark.parametrize(
    ("side", "stop", "answer"),
    [(1, 98.0, "none"), (1, 100.0, "stop_beyond_open"), (1, 101.0, "stop_beyond_open"),
     (-1, 102.0, "none"), (-1, 99.0, "stop_beyond_open"), (1, 99.5, "small_risk")],
)  # fmt: skip
def test_a_stop_on_the_wrong_side_of_the_open_is_void(quiet, side, stop, answer):
    rows = decisions((0, side), stop_price=np.array([stop]))
    found = outcomes(quiet, rows, FIXED_RR, horizon_bars=3)
    assert void(found) == answer
    if answer == "none":
        assert found.risk[0] == 2.0


def test_a_roll_between_signal_and_exit_is_void(make_bars):
    names = ["H4"] * 5 + ["M4"] * 5
    bars = make_bars([100.0] * 10, [101.0] * 10, [99.0] * 10, [100.5] * 10, contract=names)
    found = outcomes(bars, decisions((1, 1), (2, 1), (4, 1), (5, 1)), FIXED_RR, horizon_bars=3)
    # exits at bars 4, 5, 7, 8; the new contract starts at 5
    assert [void(found, row) for row in range(4)] == ["none", "roll", "roll", "none"]


def test_a_trade_that_ends_before_the_roll_stands(make_bars):
    low = [99.0] * 3 + [90.0] + [99.0] * 6
    bars = make_bars(
        [100.0] * 10, [101.0] * 10, low, [100.5] * 10, contract=["H4"] * 4 + ["M4"] * 6
    )
    found = outcomes(bars, decisions((1, 1)), FIXED_RR, horizon_bars=5)
    assert (found.exit_bar[0], void(found)) == (3, "none")


def test_a_declared_roll_table_voids_too(quiet):
    table = np.array([quiet.ts_us[5]])
    found = outcomes(quiet, decisions((1, 1), (2, 1)), FIXED_RR, horizon_bars=3, roll_table=table)
    assert [void(found, row) for row in range(2)] == ["none", "roll"]
    assert quiet.rolls_with(table).tolist() == [0] * 5 + [1] * 5


def test_the_policy_skip_voids_a_tie(make_bars):
    bars = make_bars([100.0] * 3, [110.0] * 3, [90.0] * 3, [100.0] * 3)
    found = outcomes(bars, decisions((0, 1)), FIXED_RR, {"tie": "skip"}, horizon_bars=2)
    assert void(found) == "tie_skipped"
    assert np.isnan(found.r_net[0])


@pytest.mark.parametrize(
    ("last", "first", "hole", "lost"),
    [
        ("2024-03-06T21:55", "2024-03-06T23:00", 0, 0),  # the daily break (winter: 22-23 UTC)
        ("2024-03-01T21:55", "2024-03-03T23:00", 0, 0),  # a weekend
        ("2024-03-05T12:00", "2024-03-05T13:05", 0, 0),  # an hour, and no more
        ("2024-03-05T12:00", "2024-03-05T13:10", 1, 0),
        ("2024-03-06T21:25", "2024-03-06T23:30", 0, 0),  # an hour, the break between its halves
        ("2024-03-06T21:20", "2024-03-06T23:30", 1, 0),
        ("2024-03-05T12:00", "2024-03-06T10:00", 1, 0),  # an outage of 22 hours
        ("2024-03-05T12:00", "2024-03-06T12:10", 1, 1),  # a session's length and more
        ("2024-03-05T21:55", "2024-03-06T23:00", 1, 1),  # one whole session skipped
        ("2024-03-01T12:00", "2024-03-04T13:00", 1, 1),  # a weekend plus a session's length
        ("2024-12-24T18:10", "2024-12-25T23:00", 0, 0),  # early close and Christmas
    ],
)
def test_a_hole_is_scheduled_time_that_is_missing(make_bars, es, last, first, hole, lost):
    start = us(last)
    stamps = [start - 300_000_000, start, us(first), us(first) + 300_000_000]
    bars = make_bars([100.0] * 4, [101.0] * 4, [99.0] * 4, [100.5] * 4, instrument=es, ts_us=stamps)
    assert holes(bars).tolist() == [0, 0, hole, hole]
    assert lost_sessions(bars).tolist() == [0, 0, lost, lost]


def test_six_bars_may_be_missing_however_long_they_are(make_bars, es):
    hour = 3_600_000_000
    stamps = us("2024-03-05T00:00") + np.array([0, 1, 8, 16]) * hour
    bars = make_bars([100.0] * 4, [101.0] * 4, [99.0] * 4, [100.5] * 4, instrument=es, ts_us=stamps)
    bars = replace(bars, timeframe=Timeframe(3600))
    assert holes(bars).tolist() == [0, 0, 0, 1]


def test_a_trade_across_a_hole_is_void_and_one_beside_it_is_not(make_bars, free):
    ts = 1_709_510_400_000_000 + np.arange(10) * 300_000_000
    ts[5:] += 86_400_000_000
    bars = make_bars([100.0] * 10, [101.0] * 10, [99.0] * 10, [100.5] * 10, ts_us=ts)
    found = outcomes(bars, decisions((0, 1), (3, 1), (4, 1), (5, 1)), FIXED_RR, horizon_bars=3)
    assert [void(found, row) for row in range(4)] == ["none", "hole", "hole", "none"]


def test_a_share_of_the_price_is_charged_on_both_fills(make_bars, free):
    dear = replace(free, fee_rate_per_side=0.001, slippage_ticks=0.0)
    prices = [99, 100, 100], [99, 103, 107], [99, 99, 100], [99, 101, 107]
    found = outcomes(make_bars(*prices, instrument=dear), decisions((0, 1), (2, 1)), FIXED_RR,
                     {"rr": 3.0}, horizon_bars=5)  # fmt: skip
    # in at 100, out at 106; the second decision has no next bar
    assert found.cost_points.tolist() == pytest.approx([0.206, 0.0])
    assert found.r_net[0] == pytest.approx(3.0 - 0.206 / 2.0)


def _with(bars, **columns):
    named = [pl.Series(name, values) for name, values in columns.items()]
    return replace(bars, frame=bars.frame.with_columns(named))


def test_an_entry_or_exit_on_a_bar_without_volume_is_void(quiet):
    volume = np.full(10, 5.0)
    volume[[2, 7]] = 0.0
    bars = _with(quiet, volume=volume)
    found = outcomes(bars, decisions((0, 1), (1, 1), (3, 1), (4, 1)), FIXED_RR, horizon_bars=3)
    # entries at 1, 2, 4 and 5; exits at 3, 4, 6 and 7
    assert [void(found, row) for row in range(4)] == ["none", "no_volume", "none", "no_volume"]
    assert np.isnan(found.r_net[1])
    assert outcomes(_with(quiet, volume=np.zeros(10)), decisions((1, 1)), FIXED_RR,
                    horizon_bars=3).valid.all()  # fmt: skip


def test_a_trade_that_touches_a_contract_without_a_name_is_void(quiet):
    bars = _with(quiet, contract=["ESH4"] * 4 + [" "] + ["ESH4"] * 5)
    found = outcomes(bars, decisions((0, 1), (1, 1), (4, 1), (5, 1)), FIXED_RR, horizon_bars=3)
    assert [void(found, row) for row in range(4)] == [
        "none", "contract_unknown", "contract_unknown", "none",
    ]  # fmt: skip


def test_a_target_that_wins_the_tie_was_reached(make_bars):
    bars = make_bars([100.0] * 3, [110.0] * 3, [90.0] * 3, [100.0] * 3)
    found = outcomes(bars, decisions((0, 1)), FIXED_RR, {"tie": "target_first"}, horizon_bars=2)
    assert (found.r_gross[0], found.mfe_r[0], found.peak_r[0]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("fill", "gross"), [("open", 4.0), ("target", 3.0)])
def test_the_policy_decides_where_a_gap_beyond_the_target_fills(make_bars, fill, gross):
    bars = make_bars([100, 100, 108], [101, 101, 109], [99, 99, 107], [100, 100, 108])
    found = outcomes(bars, decisions((0, 1)), FIXED_RR, {"target_gap": fill}, horizon_bars=2)
    assert (REASONS[found.reason[0]], found.r_gross[0]) == ("target_gap", gross)


# --- properties


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0, 40), st.floats(0, 40), st.floats(0, 4))
def test_doubling_costs_never_raises_a_result(walk, seed, commission, fees, ticks):
    bars = walk(seed)
    rng = np.random.default_rng(seed)
    bar = np.sort(rng.choice(119, 30, replace=False))
    rows = Decisions(bar=bar, side=rng.choice([-1, 1], 30).astype(np.int8),
                     risk=rng.choice([1.0, 2.0, 5.0], 30))  # fmt: skip
    results = []
    for factor in (1.0, 2.0):
        dear = replace(bars.instrument, commission_per_side=factor * commission,
                       fees_per_side=factor * fees, slippage_ticks=factor * ticks)  # fmt: skip
        results.append(outcomes(replace(bars, instrument=dear), rows, FIXED_RR, horizon_bars=40))
    cheap, dear = results
    np.testing.assert_array_equal(cheap.r_gross, dear.r_gross)
    assert (dear.r_net[dear.valid] <= cheap.r_net[cheap.valid]).all()
    assert (cheap.r_net[cheap.valid] <= cheap.r_gross[cheap.valid]).all()
    assert (dear.label <= cheap.label).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([2.0**-4, 8.0]))
def test_scaling_prices_and_tick_changes_no_result(walk, seed, scale):
    rows = decisions(*((bar, 1 if bar % 2 else -1) for bar in range(0, 119, 3)))
    scaled_rows = replace(rows, risk=rows.risk * scale)
    for policy in (FIXED_RR, DYNAMIC_TARGET):
        plain = outcomes(walk(seed), rows, policy, horizon_bars=30)
        scaled = outcomes(walk(seed, scale=scale), scaled_rows, policy, horizon_bars=30)
        for name in ("r_gross", "peak_r", "mfe_r", "mae_r", "reason", "void_reason", "exit_bar"):
            np.testing.assert_array_equal(getattr(plain, name), getattr(scaled, name))


def test_no_decisions_give_no_outcomes(quiet):
    empty = Decisions(bar=np.empty(0, np.int64), side=np.empty(0, np.int8), risk=np.empty(0))
    assert len(outcomes(quiet, empty, FIXED_RR, horizon_bars=3)) == 0
    assert len(outcomes(quiet, empty, ATR_TRAIL, horizon_bars=3)) == 0


# --- errors


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (decisions((10, 1)), r"decision 0 is at bar 10 of .*, which has 10 bars"),
        (decisions((-1, 1)), "decision 0 is at bar -1 of"),
        (decisions((3, 1), risk=np.nan), r"risk of decision 0 is nan at bar 3 \(2"),
        (decisions((3, 1), risk=-2.0), "risk of decision 0 is -2.0 .*, 0 or more"),
        (decisions((3, 1), stop_price=np.array([np.inf])), "stop_price of decision 0 is inf"),
        (
            decisions((3, 1), target_r=np.array([0.5])),
            "0 is 0.5 .* a finite target of 1 R or more",
        ),
        (decisions((3, 1), target_r=np.array([np.nan])), "target_r of decision 0 is nan"),
        (
            decisions((3, 1), horizon_bars=np.array([0], dtype=np.int32)),
            "horizon_bars of decision 0 is 0",
        ),
    ],
)
def test_a_decision_that_breaks_its_contract_names_row_and_column(quiet, rows, says):
    with pytest.raises(StrategyError, match=says):
        outcomes(quiet, rows, FIXED_RR, horizon_bars=3)


def test_a_setting_out_of_range_is_refused(quiet):
    with pytest.raises(ConfigError, match="fixed_rr: parameter 'rr' is 0"):
        outcomes(quiet, decisions((0, 1)), FIXED_RR, {"rr": 0.5}, horizon_bars=3)
    with pytest.raises(ConfigError, match="fixed_rr: parameter 'tie' is 'coin'"):
        outcomes(quiet, decisions((0, 1)), FIXED_RR, {"tie": "coin"}, horizon_bars=3)


def test_an_atr_that_is_not_known_yet_is_refused(quiet):
    with pytest.raises(StrategyError, match="ATR"):
        outcomes(quiet, decisions((0, 1)), ATR_TRAIL, horizon_bars=3)


def test_entries_are_made_at_the_next_open(walk):
    bars = walk(3)
    rows = decisions((4, 1), (9, -1))
    entries, void_reason = entries_of(bars, rows, FIXED_RR, {"rr": 2.0}, horizon_bars=7)
    assert entries.bar.tolist() == [5, 10]
    assert entries.price.tolist() == bars.open[[5, 10]].tolist()
    assert (entries.side * (entries.price - entries.stop)).tolist() == entries.risk.tolist()
    np.testing.assert_allclose(entries.side * (entries.target - entries.price), 2.0 * entries.risk)
    assert entries.target_r.tolist() == [2.0, 2.0]
    assert entries.horizon_bars.tolist() == [7, 7]
    assert np.isnan(entries.atr).all()
    assert void_reason.tolist() == [0, 0]


def test_a_policy_without_rr_has_no_target_at_entry(walk):
    bars, rows = walk(3), decisions((40, 1), (41, -1))
    for policy in (ATR_TRAIL, SESSION_END):
        entries, _ = entries_of(bars, rows, policy, {}, horizon_bars=7)
        assert entries.target.tolist() == [np.inf, -np.inf]


def test_the_horizon_of_rows_that_bring_none_is_held_to_the_same_rule(quiet):
    with pytest.raises(StrategyError, match="horizon_bars of decision 0 is 0"):
        outcomes(quiet, decisions((3, 1)), FIXED_RR, horizon_bars=0)
