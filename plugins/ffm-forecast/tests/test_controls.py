"""The controls: right centres, honest spreads, checked against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_forecast import controls
from ffm_forecast.forecasters import control
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.holtwinters import SimpleExpSmoothing


def rng():
    return np.random.default_rng(11)


def covered(forecasts, actual, low, high):
    q = forecasts.quantiles
    inside = (actual >= q[..., low]) & (actual <= q[..., high])
    return float(inside.mean())


def test_naive_last_is_a_random_walk():
    steps = rng().normal(0.0, 2.0, (500, 300))
    walk = 100.0 + np.cumsum(steps, axis=1)
    found = control("naive_last").forecast(walk[:, :280], 20, space="value")
    assert np.array_equal(found.point, np.repeat(walk[:, 279:280], 20, axis=1))
    assert found.moments[1][:, 15].mean() == pytest.approx(8.0, rel=0.02)
    assert covered(found, walk[:, 280:], 0, 8) == pytest.approx(0.8, abs=0.02)


def test_drift_goes_on_and_its_doubt_grows():
    steps = rng().normal(0.5, 1.0, (500, 120))
    walk = np.cumsum(steps, axis=1)
    centre, spread = controls.drift(walk[:, :100], 20)
    slope = (walk[:, 99] - walk[:, 0]) / 99
    assert centre[:, 9] == pytest.approx(walk[:, 99] + 10 * slope)
    sigma = np.std(np.diff(walk[:, :100], axis=1), axis=1, ddof=1)
    assert spread[:, 9] == pytest.approx(sigma * np.sqrt(10 * (1 + 10 / 99)))
    found = control("drift").forecast(walk[:, :100], 20, space="value")
    assert covered(found, walk[:, 100:], 0, 8) == pytest.approx(0.8, abs=0.02)


def test_seasonal_naive_repeats_the_season():
    wave = np.tile(np.arange(24.0), 6)[None] + rng().normal(0.0, 0.1, (1, 144))
    found = control("seasonal_naive:24").forecast(wave[:, :96], 48, space="value")
    assert np.array_equal(found.point[0, :24], wave[0, 72:96])
    assert np.array_equal(found.point[0, 24:], wave[0, 72:96])
    std = found.moments[1][0]
    assert std[24:] == pytest.approx(std[:24] * np.sqrt(2))
    assert std[0] == pytest.approx(0.1 * np.sqrt(2), rel=0.2)


def test_autoregression_agrees_with_statsmodels():
    noise = rng().standard_normal(400)
    x = np.zeros(400)
    for t in range(2, 400):
        x[t] = 0.6 * x[t - 1] - 0.3 * x[t - 2] + noise[t]
    # The same equations: as many lags are held back as the longest model needs.
    fit = AutoReg(x, 3).fit()
    centre, spread = controls.autoregression(x[None], 5, lags=3)
    assert centre[0] == pytest.approx(fit.forecast(5), abs=1e-6)
    assert spread[0, 0] == pytest.approx(np.sqrt(fit.sigma2), rel=0.02)
    ratio = np.diff(fit.get_prediction(400, 404).conf_int(), axis=1)[:, 0]
    assert spread[0] / spread[0, 0] == pytest.approx(ratio / ratio[0], rel=1e-6)


def test_autoregression_finds_the_number_of_lags():
    noise = rng().standard_normal((200, 500))
    x = np.zeros((200, 500))
    for t in range(3, 500):
        x[:, t] = 0.5 * x[:, t - 3] + noise[:, t]
    three, _ = controls.autoregression(x, 3, lags=3)
    chosen, _ = controls.autoregression(x, 3)
    one, _ = controls.autoregression(x, 3, lags=1)
    near = np.abs(chosen - three).mean()
    assert near < 0.2 * np.abs(chosen - one).mean()


def test_an_explosive_context_is_pulled_back():
    x = 1.03 ** np.arange(120.0)[None] + rng().normal(0.0, 0.01, (1, 120))
    centre, spread = controls.autoregression(x, 400)
    assert np.isfinite(centre).all()
    assert np.isfinite(spread).all()
    assert abs(centre[0, -1] - centre[0, -2]) < abs(centre[0, 1] - centre[0, 0])


def test_ets_agrees_with_statsmodels():
    level = np.cumsum(rng().normal(0.0, 0.3, 300))
    x = level + rng().normal(0.0, 1.0, 300)
    centre, spread = controls.ets(x[None], 8)
    fits = [SimpleExpSmoothing(x, initialization_method="known", initial_level=x[0]).fit(
        smoothing_level=k / 20, optimized=False) for k in range(1, 21)]  # fmt: skip
    best = min(fits, key=lambda fit: fit.sse)
    assert centre[0] == pytest.approx(best.forecast(8), abs=1e-9)
    alpha = best.params["smoothing_level"]
    assert spread[0] == pytest.approx(spread[0, 0] * np.sqrt(1 + np.arange(8) * alpha**2))
    assert spread[0, 0] == pytest.approx(np.sqrt(best.sse / 298), rel=1e-9)


def test_controls_cover_what_they_say_on_their_own_ground():
    noise = rng().standard_normal((600, 320))
    x = np.zeros((600, 320))
    for t in range(1, 320):
        x[:, t] = 0.7 * x[:, t - 1] + noise[:, t]
    found = control("ar").forecast(x[:, :300], 20, space="value")
    assert covered(found, x[:, 300:], 0, 8) == pytest.approx(0.8, abs=0.03)
    # A red twin: half the spread is caught by the same measure.
    centre = found.point[..., None]
    shrunk = centre + 0.5 * (found.quantiles - centre)
    inside = (x[:, 300:] >= shrunk[..., 0]) & (x[:, 300:] <= shrunk[..., 8])
    assert float(inside.mean()) < 0.6


def test_a_constant_context_gives_no_spread_and_no_nan():
    flat = np.full((3, 64), 7.0)
    for name in ("naive_last", "drift", "ar", "ets", "seasonal_naive:5"):
        found = control(name).forecast(flat, 4, space="value")
        assert found.quantiles == pytest.approx(7.0)


def test_rows_do_not_meet():
    """Alone or among others, a context gets the same forecast."""
    x = np.cumsum(rng().standard_normal((300, 80)), axis=1)
    for name in ("naive_last", "drift", "ar", "ets", "seasonal_naive:5"):
        many = control(name).forecast(x, 6, space="value").quantiles
        alone = control(name).forecast(x[261:262], 6, space="value").quantiles
        assert many[261] == pytest.approx(alone[0], rel=1e-9)
