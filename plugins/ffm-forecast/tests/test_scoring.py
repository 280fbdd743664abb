"""Rolling origins and scores, each figure worked out a second time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from ffm_forecast.forecasters import DECILES, backbone, control, log_closes
from ffm_forecast.origins import rolling_origins, season_of
from ffm_forecast.scoring import score
from scipy.special import ndtri

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market
from ffm_core.errors import ConfigError, SampleError


@pytest.fixture(scope="module")
def bars():
    found = market("SIMA4", months=3, timeframe="1h")
    return Bars(found.frame.drop("contract"), found.instrument, found.timeframe)


def changed(bars, column, row, value):
    at = pl.int_range(pl.len()) == row
    frame = bars.frame.with_columns(pl.when(at).then(value).otherwise(column).alias(column))
    return Bars(frame, bars.instrument, bars.timeframe)


def test_origins_lie_in_the_last_part_and_targets_do_not_meet(bars):
    found = rolling_origins(bars, 12, contexts=[64, 96])
    values = log_closes(bars)
    first = int(len(bars) * 0.7)
    assert found.actual[0, 0] == values[first]
    assert found.contexts(64)[0, -1] == values[first - 1]
    assert found.actual[0, -1] == found.contexts(12)[1, -1]
    assert (found.overlap, found.separate) == (0, len(found))
    assert found.season == season_of(bars) == 23
    assert np.all(np.diff(found.stamps) > 0)
    every = rolling_origins(bars, 12, contexts=[64], step=1)
    assert (every.overlap, every.separate) == (11, -(-len(every) // 12))


def test_origins_near_a_fault_are_left_out_and_counted(bars):
    row = int(len(bars) * 0.8)
    whole = rolling_origins(bars, 12, contexts=[64])
    broken = rolling_origins(changed(bars, "close", row, -1.0), 12, contexts=[64])
    assert broken.dropped["price"] == pytest.approx((64 + 12) / 12, abs=1)
    assert len(broken) == len(whole) - broken.dropped["price"]
    assert np.isfinite(broken.contexts(64)).all()
    half = pl.int_range(pl.len()) >= row
    frame = bars.frame.with_columns(pl.when(half).then(pl.lit("B")).otherwise(pl.lit("A"))
                                    .alias("contract"))  # fmt: skip
    rolled = rolling_origins(Bars(frame, bars.instrument, bars.timeframe), 12, contexts=[64])
    assert rolled.dropped["roll"] == pytest.approx((64 + 12) / 12, abs=1)
    gap = pl.concat([bars.frame[: row - 60], bars.frame[row:]])
    holed = rolling_origins(Bars(gap, bars.instrument, bars.timeframe), 12, contexts=[64])
    assert holed.dropped["hole"] > 0
    held = pl.int_range(pl.len()).is_between(row - 90, row)
    price = bars.close[row]
    frame = bars.frame.with_columns(pl.when(held).then(price).otherwise("close").alias("close"))
    flat = rolling_origins(Bars(frame, bars.instrument, bars.timeframe), 12, contexts=[64])
    assert flat.dropped["constant"] > 0


def test_too_little_is_said(bars):
    with pytest.raises(SampleError, match="no origin has 64 bars before it"):
        rolling_origins(bars[:70], 12, contexts=[64])
    with pytest.raises(ConfigError, match="out of range"):
        rolling_origins(bars, 0, contexts=[64])


def test_every_figure_of_a_score(bars, model):
    origins = rolling_origins(bars, 12, contexts=[128])
    found, naive = score([model, control("naive_last")], origins, context=128)
    contexts = origins.contexts(128)
    last, scale = contexts[:, -1:], contexts.std(axis=1, keepdims=True)
    actual = origins.actual
    miss = np.exp(actual) - np.exp(last)
    assert found.mae == pytest.approx(np.abs(miss).mean(), rel=1e-6)
    assert found.rmse == pytest.approx(np.sqrt((miss**2).mean()), rel=1e-6)
    assert found.mape == pytest.approx(100 * np.mean(np.abs(miss) / np.exp(actual)), rel=1e-6)
    assert found.mase == pytest.approx(1.0, abs=1e-6)
    assert found.skill == pytest.approx(0.0, abs=1e-6)
    spread = 0.1 * np.sqrt(np.arange(1, 13)) * scale
    q = last[..., None] + spread[..., None] * ndtri(DECILES)
    off = actual[..., None] - q
    levels = np.array(DECILES)
    loss = 2 * np.maximum(levels * off, (levels - 1) * off)
    assert found.quantile_loss == pytest.approx(loss.mean(), rel=1e-4)
    assert found.quantile_ratio == pytest.approx(found.quantile_loss / naive.quantile_loss)
    inside = np.mean((actual >= q[..., 0]) & (actual <= q[..., 8]))
    assert found.coverage_80.share == pytest.approx(inside, abs=1e-3)
    assert found.width_80 == pytest.approx(np.mean(q[..., 8] - q[..., 0]), rel=1e-5)
    half = np.mean(np.abs(actual - last) <= 0.6744898 * spread)
    assert found.coverage_50.share == pytest.approx(half, abs=2e-3)
    assert found.coverage_50.n == len(origins)
    assert found.n_windows == len(origins)
    assert found.low_power is (len(origins) < 200)
    assert (naive.mase, naive.skill, naive.quantile_ratio) == (1.0, 0.0, 1.0)
    assert naive.direction.n == 0
    assert naive.direction_zeros == len(origins)
    assert np.isnan(naive.dm.p_value)


def test_direction_counts_from_the_last_value_known(bars, card, spy):
    """A red twin: the move from the last value to step one decides, the rest is flat."""
    origins = rolling_origins(bars, 12, contexts=[128])
    truth = np.sign(origins.actual[:, -1] - origins.contexts(1)[:, -1])

    def knowing(windows, advance=None):
        return spy(windows) + truth[:, None, None].astype(np.float32)

    found = score([backbone(card(), knowing)], origins, context=128)[0]
    assert found.direction.share == 1.0
    assert found.direction.n == int(np.sum(truth != 0))

    def wrong(windows, advance=None):
        return spy(windows) - truth[:, None, None].astype(np.float32)

    assert score([backbone(card(), wrong)], origins, context=128)[0].direction.share == 0.0


def test_a_forecaster_that_knows_beats_naive_and_one_that_errs_loses(bars, card, spy):
    origins = rolling_origins(bars, 12, contexts=[128])
    contexts = origins.contexts(128)
    mean, scale = contexts.mean(axis=1), contexts.std(axis=1)
    target = (origins.actual - mean[:, None]) / scale[:, None]

    def near(windows, advance=None):
        out = spy(windows)
        out[:, :, :12] += 0.5 * (target[:, None] - windows[:, -1:, None])
        return out

    def far(windows, advance=None):
        out = spy(windows)
        out[:, :, :12] -= 0.5 * (target[:, None] - windows[:, -1:, None])
        return out

    good, bad = (score([backbone(card(), rule)], origins, context=128)[0] for rule in (near, far))
    assert good.mase == pytest.approx(0.5, rel=1e-3)
    assert good.dm.p_value < 1e-6
    assert good.dm.difference < 0 < bad.dm.difference
    assert good.skill > 0 > bad.skill
    assert good.quantile_ratio < 1 < bad.quantile_ratio
    assert good.crps_ratio < 1 < bad.crps_ratio


def test_windows_a_model_may_have_seen_are_counted(bars, card, spy):
    origins = rolling_origins(bars, 12, contexts=[128])

    def seen(**facts):
        return score([backbone(card(**facts), spy)], origins, context=128)[0].possibly_seen

    assert seen(fit_cutoff="") == 0
    assert seen(fit_cutoff="2019-12-31") == 0
    assert seen(fit_cutoff=None, released="2030-01-01") == len(origins)
    day = str(np.datetime64(int(origins.stamps[9]), "us"))[:10]
    assert 10 <= seen(fit_cutoff=day) < len(origins)


def test_controls_on_the_null_market_are_no_better_than_the_last_value(bars):
    season = season_of(bars)
    names = ("naive_last", "drift", "seasonal_naive", "ar", "ets")
    several = [control(name, season=season) for name in names]
    origins = rolling_origins(bars, 12, contexts=[128], step=3)
    found = {s.forecaster.partition(":")[0]: s for s in score(several, origins, context=64)}
    assert found["seasonal_naive"].mase > 1.05
    assert found["seasonal_naive"].context == 64
    assert all(s.mase > 0.97 for s in found.values())
    assert found["naive_last"].coverage_80.share == pytest.approx(0.8, abs=0.08)


def test_losses_beyond_var_are_backtested_where_that_means_something(bars, model):
    origins = rolling_origins(bars, 1, contexts=[128])
    assert len(origins) >= 250
    naive, fan = score([control("naive_last"), model], origins, context=128)
    assert naive.risk.n == len(origins)
    last = origins.contexts(1)[:, -1]
    low = last + 0.1 * origins.contexts(128).std(axis=1) * ndtri([0.1])[0]
    assert fan.risk.exceptions == int(np.sum(origins.actual[:, 0] < low - 1e-12))
    assert naive.risk.kupiec.p_value > fan.risk.kupiec.p_value
    assert fan.risk.z2_rejects is True  # a fan that is far too narrow
    assert score([model], rolling_origins(bars, 12, contexts=[128]))[0].risk is None
    every = rolling_origins(bars, 12, contexts=[128], step=1)
    assert score([model], every)[0].risk is None


def test_a_context_too_short_is_refused(bars, model):
    origins = rolling_origins(bars, 12, contexts=[128])
    with pytest.raises(ConfigError, match="too short"):
        score([model], origins, context=31)
