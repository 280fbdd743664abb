"""The simulated market: deterministic, shaped like a futures market, and free of any edge."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.bars.quality import audit
from ffm_core.bars.sessions import session_end_mask, trading_days
from ffm_core.bars.simulate import demo_market, instrument, market
from ffm_core.errors import ConfigError, ContractError
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import ATR_TRAIL, FIXED_RR
from ffm_core.records import Decisions

# The first market anyone simulates must stay the same market: its hash is in ledgers.
FIRST_MONTH_HASH = "6e774e621534b1af377c50da3ac7bfea02811c7f0ff34f64f70bd9c7e5a93d63"


@pytest.fixture(scope="module")
def bars():
    return market("SIMA7", months=12)


@pytest.fixture(scope="module")
def long_run():
    return [market(letter, seed=seed) for letter in "AB" for seed in (11, 12)]


def _returns(bars):
    """Log returns inside a contract, with the first bar of each session left out."""
    day = trading_days(bars)
    same = day[1:] == day[:-1]
    return np.diff(np.log(bars.close))[same], np.flatnonzero(same) + 1


def test_same_seed_same_bytes_other_seed_other_market():
    one = market("SIMA0", months=1)
    assert one.sha256 == market("A", seed=0, months=1).sha256 == FIRST_MONTH_HASH
    others = {market(symbol, months=1).sha256 for symbol in ("SIMA0", "SIMA1", "SIMB0", "SIMC0")}
    assert len(others) == 4
    closes = {market(symbol, months=1).close.tobytes() for symbol in ("SIMA0", "SIMA1", "SIMC0")}
    assert len(closes) == 3


def test_longer_market_keeps_its_length_in_months(bars):
    days = trading_days(bars).astype("datetime64[D]")
    months = np.unique(days.astype("datetime64[M]"))
    assert months.tolist() == np.arange("2022-01", "2023-01", dtype="datetime64[M]").tolist()


def test_prices_lie_on_the_grid_and_bars_are_valid(bars):
    for name in ("open", "high", "low", "close"):
        ticks = bars[name] / bars.instrument.tick_size
        assert (ticks == np.rint(ticks)).all()
        assert (bars[name] > 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high > bars.low).all()
    assert (bars.volume > 0).all()
    assert (bars.volume == np.rint(bars.volume)).all()


def test_the_audit_finds_nothing_to_warn_of(bars):
    assert audit(bars).level == "info"


def test_volatility_clusters_but_returns_do_not(bars):
    r, rows = _returns(bars)
    hour = (bars.ts_us[rows] // 3_600_000_000) % 24
    size = np.abs(r)
    for h in range(24):
        size[hour == h] /= np.abs(r[hour == h]).mean() if (hour == h).any() else 1
    for lag in (1, 12, 276):
        assert np.corrcoef(size[lag:], size[:-lag])[0, 1] > 0.05
        assert abs(np.corrcoef(r[lag:], r[:-lag])[0, 1]) < 0.03
    shuffled = np.random.default_rng(0).permutation(size)
    assert abs(np.corrcoef(shuffled[1:], shuffled[:-1])[0, 1]) < 0.02


def test_the_day_is_u_shaped_and_the_night_is_quiet(bars):
    local = bars.frame["ts"].dt.convert_time_zone("America/New_York")
    minute = (local.dt.hour().cast(int) * 60 + local.dt.minute()).to_numpy()
    width = (bars.high - bars.low) / bars.close
    for values in (width, bars.volume):
        morning, noon, evening, night = (
            values[(minute >= a) & (minute < b)].mean()
            for a, b in ((570, 600), (720, 780), (930, 960), (60, 120))
        )
        assert morning > 1.3 * noon
        assert evening > 1.2 * noon
        assert noon > 1.5 * night


def test_jumps_and_heavy_tails(bars):
    r, rows = _returns(bars)
    gap = np.abs(bars.open[rows] - bars.close[rows - 1])
    typical = np.median(bars.high[rows] - bars.low[rows])
    assert 20 < (gap > 2 * typical).sum() < 300
    z = (r - r.mean()) / r.std()
    assert (z**4).mean() > 5


def test_weekend_gaps_exceed_nightly_ones_which_exceed_those_inside(bars):
    shut = np.diff(bars.ts_us) / 3.6e9
    gap = np.abs(bars.open[1:] - bars.close[:-1])
    inside, night, weekend = gap[shut < 0.5], gap[(shut > 0.5) & (shut < 5)], gap[shut > 40]
    assert weekend.mean() > 1.5 * night.mean() > 3 * inside.mean()


def test_rolls_step_up_between_sessions(bars):
    codes = bars.contract_codes
    assert codes is not None
    at = np.flatnonzero(np.diff(codes)) + 1
    assert len(at) == 4
    names = bars.frame["contract"].unique(maintain_order=True).to_list()
    assert names == [f"SIMA7.{code}" for code in ("H22", "M22", "U22", "Z22", "H23")]
    day = trading_days(bars)
    assert (day[at] != day[at - 1]).all()
    step = bars.open[at] / bars.close[at - 1] - 1
    assert (step > 0.002).all()
    assert (step < 0.03).all()


def test_sessions_end_where_the_calendar_says(bars):
    ends = np.flatnonzero(session_end_mask(bars))
    day = trading_days(bars)
    last = np.flatnonzero(np.append(np.diff(day) != 0, True))
    assert ends.tolist() == last.tolist()


def _followers(bars, seed):
    """Random bars, each bought when the last 20 bars rose and sold when they fell."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.choice(np.arange(100, len(bars) - 200), 6000, replace=False))
    side = np.where(bars.close[at] >= bars.close[at - 20], 1, -1).astype(np.int8)
    width = np.array([(bars.high[i - 13 : i + 1] - bars.low[i - 13 : i + 1]).mean() for i in at])
    risk = np.maximum(np.rint(2 * width / bars.instrument.tick_size), 8)
    return Decisions(bar=at.astype(np.int64), side=side, risk=risk * bars.instrument.tick_size)


@pytest.mark.parametrize("policy", [FIXED_RR, ATR_TRAIL], ids=lambda p: p.name)
def test_nothing_can_be_earned(long_run, policy):
    gross, cost = [], []
    for seed, one in enumerate(long_run):
        found = outcomes(one, _followers(one, seed), policy, horizon_bars=130)
        gross.append(found.r_gross[found.valid])
        cost.append((found.r_gross - found.r_net)[found.valid])
    r = np.concatenate(gross)
    error = r.std() / np.sqrt(len(r)) * 1.5  # trades overlap
    assert abs(r.mean()) < 3 * error
    assert error < 0.02
    assert (np.concatenate(cost) > 0).all()


def test_a_planted_drift_would_be_seen(long_run):
    one = long_run[0]
    decisions = _followers(one, 0)
    drift = 0.06 * np.arange(len(one))
    lifted = one.frame.with_columns(
        **{name: one.frame[name] + drift for name in ("open", "high", "low", "close")}
    )
    longs = decisions.take(np.flatnonzero(decisions.side > 0))
    moved = type(one)(lifted, one.instrument, one.timeframe)
    found = outcomes(moved, longs, FIXED_RR, horizon_bars=130)
    r = found.r_gross[found.valid]
    assert r.mean() > 5 * r.std() / np.sqrt(len(r))


@pytest.mark.parametrize("timeframe", ["1m", "15m", "30m", "1h"])
def test_other_timeframes_keep_the_daily_volatility(bars, timeframe):
    other = market("SIMA7", months=6, timeframe=timeframe)
    assert other.timeframe.name == timeframe
    assert (np.diff(other.ts_us) >= other.timeframe.us).all()

    def daily(one):
        day = trading_days(one)
        last = np.flatnonzero(np.append(np.diff(day) != 0, True))
        return np.diff(np.log(one.close[last])).std()

    assert 0.6 < daily(other) / daily(bars) < 1.7


def test_demo_is_two_instruments_of_the_same_span():
    one, two = demo_market(3)
    assert (one.instrument.symbol, two.instrument.symbol) == ("SIMA3", "SIMB3")
    assert one.ts_us.tolist() == two.ts_us.tolist()
    together = np.sign(np.diff(one.close)) * np.sign(np.diff(two.close))
    assert abs(together.mean()) < 0.01
    assert len(np.unique(trading_days(one).astype("datetime64[D]").astype("datetime64[M]"))) == 28


def test_instrument_is_priced_like_an_index_future():
    row = instrument("SIMA7")
    assert row.kind == "simulated"
    assert row.tick_size == 0.25
    assert row.point_value == 50
    assert row.cost_points() == pytest.approx(2 * (0.85 + 1.40) / 50 + 2 * 0.25)
    assert instrument("SIMPA7E060").symbol == "SIMPA7E060"


@pytest.mark.parametrize("symbol", ["ES", "SIM7", "SIMA", "SIMa7", "SIMA7E6", "", "SIMA7\n"])
def test_other_symbols_are_refused(symbol):
    with pytest.raises(ContractError, match="not a simulated market"):
        instrument(symbol)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"months": 0}, "0 months"),
        ({"months": 121}, "121 months"),
        ({"timeframe": "7m"}, "bars of 7m"),
        ({"timeframe": "30s"}, "bars of 30s"),
        ({"timeframe": "1d"}, "bars of 1d"),
        ({"timeframe": "soon"}, "not a timeframe"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        market("SIMA7", **{"months": 1, **settings})
