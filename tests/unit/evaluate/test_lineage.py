"""A market is known again whatever its file is called, and another seed is another market."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import UsageError
from ffm_core.evaluate.lineage import daily_returns
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.lineage import DaysTested

PRICES = ("open", "high", "low", "close")
TICK = 0.25


@pytest.fixture(scope="module")
def original():
    return market("SIMA3", months=6)


def renamed(bars, frame=None, timeframe=None):
    row = replace(bars.instrument, symbol="COPY")
    return Bars(bars.frame if frame is None else frame, row, timeframe or bars.timeframe)


def prices(frame, change):
    return frame.with_columns(change(pl.col(name)).alias(name) for name in PRICES)


def a_tick_in_every_fifth_bar(frame):
    odd = pl.int_range(pl.len()) % 5 == 0
    return prices(frame, lambda price: price + pl.when(odd).then(TICK).otherwise(0.0))


def half_hours(frame):
    return frame.group_by_dynamic("ts", every="30m").agg(
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
        pl.col("volume").sum(), pl.col("contract").last(),
    )  # fmt: skip


def a_spike(frame):
    last = pl.col("ts").dt.date() == dt.date(2022, 4, 6)
    return prices(frame, lambda price: pl.when(last).then(price * 2).otherwise(price))


COPIES = {
    "renamed": lambda f: f,
    "a tick in every fifth bar": a_tick_in_every_fifth_bar,
    "prices times two": lambda f: prices(f, lambda price: price * 2),
    "prices shifted": lambda f: prices(f, lambda price: price + 500 * TICK),
    "turned upside down": lambda f: prices(f, lambda price: 1e6 / price),
    "a day at twice its price": a_spike,
    "half of the months": lambda f: f.filter(pl.col("ts").dt.month() > 3),
    "resampled": half_hours,
}


@pytest.fixture(scope="module")
def copies(original):
    step = {"resampled": Timeframe.parse("30m")}
    return {
        name: renamed(original, make(original.frame), step.get(name))
        for name, make in COPIES.items()
    }


def returns_of(*bars):
    return daily_returns([SimpleNamespace(bars=one, day=trading_days(one)) for one in bars])


def days_of(bars):
    return np.unique(trading_days(bars)).tolist()


def open_trial(ledger, name, bars):
    tested = DaysTested(days={bars.instrument.symbol: days_of(bars)}, returns=returns_of(bars))
    return ledger.open_trial(name, strategy="s", claim="trigger", tested=tested, prereg_hash="p",
                             effective=lambda matrix: np.arange(1.0, len(matrix) + 1))  # fmt: skip


@pytest.fixture
def ledger(tmp_path, original):
    """Return a ledger in which the original was sealed and tried."""
    made = Ledger(tmp_path)
    made.seal_day("SIMA3", 19_100, returns=returns_of(original))
    open_trial(made, "first", original)
    return made


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_counts_as_a_try_on_the_same_market(ledger, copies, copy):
    assert open_trial(ledger, "second", copies[copy]).context.n_trials == 2


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_shares_the_seal(ledger, copies, copy):
    found = returns_of(copies[copy])
    assert ledger.sealed("COPY", returns=found) == 19_100
    assert ledger.seal_day("COPY", 19_150, returns=found) == 19_100


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_opens_no_sealed_tail_again(ledger, original, copies, copy):
    last = days_of(original)[-1]
    ledger.unseal({"SIMA3": last}, prereg_hash="one", returns=returns_of(original))
    found = returns_of(copies[copy])
    assert ledger.sealed("COPY", returns=found) == last + 1
    for ask in (ledger.would_unseal, ledger.unseal):
        with pytest.raises(UsageError, match=r"COPY \(the same market as SIMA3\) was opened"):
            ask({"COPY": last}, prereg_hash="two", returns=found)


def test_a_copy_of_a_copy_is_one_too(ledger, original):
    # Each lies within reach of the one before; the last alone would not be recognised.
    rng = np.random.default_rng(0)
    days, values = returns_of(original)["SIMA3"]
    for name in ("ONE", "TWO", "THREE"):
        values = values + rng.normal(0, 0.15 * values.std(), len(values))
        assert ledger.seal_day(name, 19_150, returns={name: (days, values)}) == 19_100
    assert np.corrcoef(values, returns_of(original)["SIMA3"][1])[0, 1] < 0.98


@pytest.mark.parametrize("symbol", ["SIMA4", "SIMB3"])
def test_another_simulated_market_is_another_one(ledger, symbol):
    other = market(symbol, months=6)
    assert open_trial(ledger, "second", other).context.n_trials == 1
    assert ledger.seal_day(symbol, 19_150, returns=returns_of(other)) == 19_150


def test_fewer_than_thirty_common_days_tell_nothing(ledger, original):
    short = renamed(original, original.frame.filter(pl.col("ts").dt.date() < dt.date(2022, 2, 10)))
    assert ledger.sealed("COPY", returns=returns_of(short)) is None


def test_the_ledger_keeps_each_day_of_a_market_once(tmp_path, original, copies):
    ledger = Ledger(tmp_path)
    short = original.frame.filter(pl.col("ts").dt.month() < 4)
    half = Bars(copies["resampled"].frame, original.instrument, Timeframe.parse("30m"))
    for bars in (Bars(short, original.instrument, original.timeframe), original, half):
        ledger.seal_day("SIMA3", 1, returns=returns_of(bars))
    first, second = (e.payload for e in ledger.events() if e.kind == "market")
    assert first["market"] == second["market"]
    assert set(first["days"]).isdisjoint(second["days"])
    assert sorted(first["days"] + second["days"]) == returns_of(original)["SIMA3"][0].tolist()
    other = {"SIMA3": returns_of(market("SIMA4", months=6))["SIMA4"]}
    ledger.seal_day("SIMA3", 1, returns=other)  # another market under the same name
    assert ledger.events()[-1].payload["market"] != first["market"]


def test_the_newest_day_may_not_be_over_and_negative_prices_have_no_logarithm(original):
    cut = original.frame.head(len(original.frame) - 40)
    days, values = returns_of(Bars(cut, original.instrument, original.timeframe))["SIMA3"]
    all_days, all_values = returns_of(original)["SIMA3"]
    assert (days, values.tolist()) == (pytest.approx(all_days), pytest.approx(all_values.tolist()))
    below = prices(original.frame, lambda price: price - 4_000.0)
    _, values = returns_of(Bars(below, original.instrument, original.timeframe))["SIMA3"]
    assert np.isfinite(values).all()
