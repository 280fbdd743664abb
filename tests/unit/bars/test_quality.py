"""Each finding on bars made to show it, and silence on good ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars
from ffm_core.bars.quality import LEVELS, Audit, QualityFinding, audit
from ffm_core.bars.sessions import wall_us
from ffm_core.bars.simulate import market

NOW = 1_900_000_000_000_000


@pytest.fixture(scope="module")
def good() -> Bars:
    """A simulated market under the name of a real one, so that nothing is waived."""
    from ffm_core.bars.instruments import lookup

    bars = market("SIMA3", months=6, timeframe="30m")
    inside = bars.frame.filter(pl.col("ts").dt.year() == 2022)
    return Bars(inside, lookup("ES"), bars.timeframe)


def changed(bars: Bars, **columns) -> Bars:
    return Bars(
        bars.frame.with_columns(pl.Series(name, values) for name, values in columns.items()),
        bars.instrument,
        bars.timeframe,
    )


def kept(bars: Bars, mask) -> Bars:
    return Bars(bars.frame.filter(pl.Series(mask)), bars.instrument, bars.timeframe)


def scaled(bars: Bars, factor) -> Bars:
    return changed(bars, **{n: bars[n] * factor for n in ("open", "high", "low", "close")})


def found(bars: Bars, code: str) -> QualityFinding:
    result = audit(bars, now_us=NOW)
    assert code in result.codes(), result
    assert result.level == max((f.level for f in result.findings), key=LEVELS.index)
    return next(f for f in result.findings if f.code == code)


def stamp(bars: Bars, index: int) -> str:
    return f"{bars.frame['ts'][index]:%Y-%m-%dT%H:%MZ}"


def test_good_bars_are_only_informed_about(good):
    result = audit(good, now_us=NOW)
    assert result.level == "info", result
    assert result.codes() == ("rolls",)
    assert result.refusal == ""


def test_nothing_found_is_info():
    assert Audit(level="info").codes() == ()


def test_finer_prices_than_the_tick_are_refused(good):
    result = audit(scaled(good, 0.0131), now_us=NOW)
    assert "tick_grid" in result.codes("refuse")
    assert "tick grid of ES" in result.refusal


def test_a_rescaled_grid_is_a_warning(good):
    assert found(scaled(good, 0.97), "tick_grid").level == "warn"


def test_an_older_tick_is_a_warning(good):
    factor = np.where(np.arange(len(good)) < len(good) // 3, 1.0131, 1.0)
    finding = found(scaled(good, factor), "tick_grid")
    assert (finding.level, finding.first) == ("warn", stamp(good, 0))
    assert "older tick" in finding.message


def test_float_noise_is_information(good):
    noise = np.where(np.arange(len(good)) < 50, 1e-6, 0.0)
    finding = found(changed(good, close=good.close + noise), "float_noise")
    assert (finding.level, finding.count) == ("info", 50)


def test_an_impossible_step_is_refused_and_named(good):
    cut = len(good) // 2
    finding = found(scaled(good, np.where(np.arange(len(good)) < cut, 0.75, 1.0)), "steps")
    assert (finding.level, finding.count, finding.first) == ("refuse", 1, stamp(good, cut))
    assert "+33" in finding.message


def test_a_step_across_a_long_hole_is_allowed_more(good):
    days = good.ts_us // 86_400_000_000
    cut = np.searchsorted(days, days[0] + 60), np.searchsorted(days, days[0] + 100)
    sigma = 0.012
    factor = np.where(np.arange(len(good)) >= cut[1], np.exp(12 * sigma), 1.0)
    rows = np.ones(len(good), dtype=bool)
    rows[cut[0] : cut[1]] = False
    assert "steps" not in audit(kept(scaled(good, factor), rows), now_us=NOW).codes()


def test_a_bad_tick_is_a_warning(good):
    high = good.high.copy()
    high[100] *= 1.4
    finding = found(changed(good, high=high), "spikes")
    assert (finding.level, finding.count, finding.first) == ("warn", 1, stamp(good, 100))


def test_suspected_rolls_without_a_contract_column(good):
    bare = Bars(good.frame.drop("contract"), good.instrument, good.timeframe)
    days = np.flatnonzero(np.diff(good.ts_us) > good.timeframe.us) + 1
    at = int(days[40])
    jumped = scaled(bare, np.where(np.arange(len(bare)) < at, 0.94, 1.0))
    finding = found(jumped, "suspected_rolls")
    assert finding.level == "warn"
    assert stamp(good, at) in [finding.first] or finding.count > 1


def test_a_long_series_without_contracts_must_have_rolled(good):
    bare = Bars(good.frame.drop("contract"), good.instrument, good.timeframe)
    codes = audit(bare, now_us=NOW).codes("warn")
    assert "unknown_rolls" in codes or "suspected_rolls" in codes
    assert audit(bare[:500], now_us=NOW).codes() == ("no_contract",)


def test_contracts_that_come_back_or_change_their_style(good):
    names = good.frame["contract"].to_list()
    names[-1] = names[0]
    assert found(changed(good, contract=names), "roll_flip_flop").level == "warn"
    names[-1] = "ES2024H"
    assert found(changed(good, contract=names), "contract_names").level == "warn"


@pytest.mark.parametrize(("share", "level"), [(0.005, "info"), (0.05, "warn"), (0.9, "refuse")])
def test_bars_without_trades(good, share, level):
    volume = np.where(np.arange(len(good)) % 1000 < 1000 * share, 0.0, good.volume + 1.0)
    code = "dead_volume" if level == "refuse" else "zero_volume"
    assert found(changed(good, volume=volume), code).level == level


def test_a_source_without_volume(good):
    assert found(changed(good, volume=np.zeros(len(good))), "no_volume").level == "warn"


@pytest.mark.parametrize(("sessions", "level"), [(10, "warn"), (70, "refuse")])
@pytest.mark.parametrize("late", [False, True], ids=["first", "last"])
def test_a_dead_segment(good, sessions, level, late):
    rows = np.arange(len(good)) < sessions * 46
    rows = rows[::-1] if late else rows
    volume = np.where(rows, 1.0, 5000.0)
    finding = found(changed(good, volume=volume), "dead_segment")
    assert finding.level == level
    assert abs(finding.count - sessions) < 4


def test_volume_that_grows_over_the_years_is_no_dead_segment(good):
    growth = np.exp(np.linspace(0, 9, len(good)))
    assert "dead_segment" not in audit(changed(good, volume=growth), now_us=NOW).codes()


def test_missing_sessions(good):
    days = good.ts_us // 86_400_000_000
    few = found(kept(good, ~np.isin(days % 91, (40, 41))), "missing_sessions")
    assert few.level in ("info", "warn")
    many = kept(good, (days // 7) % 2 == 0)
    assert found(many, "missing_sessions").level == "refuse"


def test_holes_inside_sessions_but_not_regular_breaks(good):
    rng = np.random.default_rng(0)
    holey = kept(good, rng.random(len(good)) > 0.1)
    finding = found(holey, "holes")
    assert finding.level == "warn"
    half_hour = (wall_us(good) // good.timeframe.us) % 48
    assert "holes" not in audit(kept(good, half_hour != 10), now_us=NOW).codes()


def test_a_weekday_with_fewer_bars(good):
    local = good.ts_us // 86_400_000_000
    tuesday = (local + 3) % 7 == 1
    late = (good.ts_us // 3_600_000_000) % 24 > 8
    assert "Tuesday" in found(kept(good, ~(tuesday & late)), "weekday_hole").message


def shifted(bars: Bars, hours: int) -> Bars:
    moved = bars.frame.with_columns(pl.col("ts") + pl.duration(hours=hours))
    return Bars(moved, bars.instrument, bars.timeframe)


@pytest.mark.parametrize("hours", [-5, -1, 3, 7])
def test_a_wrong_zone_is_refused(good, hours):
    result = audit(shifted(good, hours), now_us=NOW)
    assert "closed_market" in result.codes("refuse")
    assert "time zone" in result.refusal


def test_weekend_bars_are_refused(good):
    result = audit(shifted(good, 24), now_us=NOW)
    assert "weekend_bars" in result.codes("refuse")


def test_bars_of_the_future_are_refused(good):
    finding = found(shifted(good, 24 * 7 * 52 * 40), "future_bars")
    assert (finding.level, finding.count) == ("refuse", len(good))
    simulated = market("SIMA3", months=1, timeframe="1h")
    assert "future_bars" not in audit(simulated, now_us=0).codes()


def test_overlapping_and_crooked_stamps(good):
    ts = good.frame["ts"].to_list()
    ts[0] = ts[0].replace(minute=7)
    finding = found(changed(good, ts=ts), "overlap")
    assert (finding.level, finding.count) == ("info", 1)
    assert found(changed(good, ts=ts), "crooked_stamps").count == 1


def test_a_market_that_never_closes_has_no_weekend(make):
    bars = make("BTCUSDT", start="2024-03-01 00:00", minutes=60, rows=24 * 30)
    assert audit(bars).codes() == ()


def test_the_simulated_market_passes():
    for symbol in ("SIMA0", "SIMB0"):
        assert audit(market(symbol, months=12)).level in ("info", "warn")


def test_two_bars_are_enough_for_an_audit(make):
    assert audit(make(rows=2)).level in LEVELS
