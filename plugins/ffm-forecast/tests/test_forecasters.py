"""Forecasters: what a backbone is given, what comes back, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_forecast.errors import ForecastError
from ffm_forecast.forecasters import (
    backbone,
    contexts_at,
    control,
    forecast_at,
    forecaster_of,
    log_closes,
)

from ffm_core.bars.simulate import market
from ffm_core.errors import ConfigError, ModelError, UnavailableError, UnknownNameError


def test_a_backbone_sees_normalised_windows_and_its_answer_is_mapped_back(model, spy, walks, card):
    found = model.forecast(walks, 20)
    given = spy.seen[0].astype(np.float64)
    assert given.shape == (40, 128)
    assert given.mean(axis=1) == pytest.approx(0.0, abs=1e-6)
    assert given.std(axis=1) == pytest.approx(1.0, abs=1e-6)
    scale = walks[:, -128:].std(axis=1)
    assert found.point == pytest.approx(np.repeat(walks[:, -1:], 20, axis=1), abs=1e-9)
    expected = scale[:, None] * 0.1 * np.sqrt(np.arange(1, 21))
    assert found.moments[1] == pytest.approx(expected, rel=1e-5)
    facts = found.provenance
    assert (facts["context"], facts["context_given"]) == (128, 160)
    assert facts["weights_sha256"] == card().weights_sha256
    assert facts["kind"] == "native_quantile"


def test_a_price_level_costs_no_digit(model, spy, walks):
    model.forecast(walks, 20)
    model.forecast(walks + np.log(1.37), 20)
    assert np.abs(spy.seen[0] - spy.seen[1]).max() < 1e-5


def test_an_odd_context_is_padded_on_the_left(model, spy, walks):
    found = model.forecast(walks[:, -100:], 5)
    window = spy.seen[0]
    assert window.shape == (40, 112)
    assert np.isnan(window[:, :12]).all()
    assert np.isfinite(window[:, 12:]).all()
    assert found.provenance["context"] == 100


def test_levels_within_are_interpolated_and_levels_outside_need_a_tail(model, walks):
    found = model.forecast(walks, 5, levels=(0.25, 0.5, 0.75))
    assert found.levels.tolist() == [0.25, 0.5, 0.75]
    with pytest.raises(ForecastError, match="choose a tail"):
        model.forecast(walks, 5, levels=(0.05, 0.5, 0.95))
    wide = model.forecast(walks, 5, levels=(0.05, 0.5, 0.95), tail="normal")
    scale = walks[:, -128:].std(axis=1)
    width = wide.quantiles[:, 0, 2] - wide.quantiles[:, 0, 0]
    assert width == pytest.approx(2 * 1.6448536 * 0.1 * scale, rel=1e-5)
    # A control says any level, because its distribution is given.
    assert control("naive_last").forecast(walks, 5, levels=(0.01, 0.99)).levels[0] == 0.01


def test_what_cannot_be_forecast_is_refused(model, walks):
    with pytest.raises(ConfigError, match="1 to 64 steps, got 65"):
        model.forecast(walks, 65)
    with pytest.raises(ConfigError, match="got 0"):
        control("drift").forecast(walks, 0)
    with pytest.raises(ForecastError, match="at least 32 bars"):
        model.forecast(walks[:, :31], 5)
    broken = walks.copy()
    broken[3, 150] = np.nan
    with pytest.raises(ForecastError, match=r"context 3 contains .* 9 bars before"):
        model.forecast(broken, 5)
    flat = walks.copy()
    flat[7] = 8.5
    with pytest.raises(ForecastError, match="context 7 is constant"):
        model.forecast(flat, 5)


@pytest.mark.parametrize("name", ["seasonal_naive", "ar:11", "ar:0", "drift:2", "ar:x"])
def test_names_that_cannot_be_read(name):
    with pytest.raises(ConfigError):
        forecaster_of(name)


def test_a_forecaster_is_there_or_it_is_not():
    assert forecaster_of("seasonal_naive", season=24).name == "seasonal_naive:24"
    with pytest.raises(UnavailableError, match="ffm backbone add chronos-bolt-tiny"):
        forecaster_of("chronos-bolt-tiny")
    with pytest.raises(UnknownNameError, match="naive_last"):
        forecaster_of("naive_lost")


def test_a_backbone_that_only_embeds_is_named(tmp_path, monkeypatch, card):
    monkeypatch.setenv("FFM_HOME", str(tmp_path))
    folder = tmp_path / "backbones" / "deaf"
    folder.mkdir(parents=True)
    (folder / "encoder.onnx").write_bytes(b"x")
    files = {"encoder.onnx": "0" * 64}
    (folder / "card.json").write_bytes(card(name="deaf", files=files, quantiles=()).to_json())
    with pytest.raises(ModelError, match="does not forecast"):
        forecaster_of("deaf")


def test_contexts_end_at_their_origin():
    values = np.arange(100.0)
    found = contexts_at(values, np.array([31, 50, 99]), 32)
    assert found[:, -1].tolist() == [31.0, 50.0, 99.0]
    assert found[:, 0].tolist() == [0.0, 19.0, 68.0]
    for odd in ([30], [100]):
        with pytest.raises(ForecastError, match="origins"):
            contexts_at(values, np.array(odd), 32)


def test_a_bar_is_forecast_from_the_bars_up_to_it(model, spy):
    bars = market("SIMA3", months=1, timeframe="1h")
    found = forecast_at(model, bars, 200, 10)
    cut = forecast_at(model, bars[:201], 200, 10)
    assert np.array_equal(found.quantiles, cut.quantiles)
    assert found.reference[0] == log_closes(bars)[200]
    short = forecast_at(model, bars, 40, 10)
    assert short.provenance["context"] == 41
    with pytest.raises(ForecastError, match="at least 32"):
        forecast_at(model, bars, 20, 10)


def test_a_released_model_carries_its_cutoff(spy, card):
    seen = backbone(card(fit_cutoff=None, released="2024-11-01"), spy)
    assert (seen.fit_cutoff, seen.released) == (None, "2024-11-01")
