"""A backbone made by the tests: the same interface, its rule in the open."""

from __future__ import annotations

import numpy as np
import pytest
from ffm_forecast.forecasters import DECILES, backbone
from scipy.special import ndtri

from ffm_core.embed.cards import Card


class Spy:
    """Forecasts the last normalised value with a spread of √h / 10; keeps what it was given."""

    def __init__(self, horizon=64):
        self.horizon, self.seen = horizon, []

    def __call__(self, windows, advance=None):
        assert windows.dtype == np.float32
        self.seen.append(windows)
        spread = 0.1 * np.sqrt(np.arange(1, self.horizon + 1))
        steps = ndtri(DECILES)[:, None] * spread
        if advance is not None:
            advance(len(windows))
        return (windows[:, -1:, None] + steps).astype(np.float32)


def card_of(**changes):
    facts = {
        "name": "spy", "architecture": "chronos-bolt", "d_model": 8, "patch": 16,
        "context_length": 128, "horizon": 64, "quantiles": DECILES, "fit_cutoff": "",
        "released": "2026-01-01", "trained_on": "nothing", "source": "tests",
        "files": {"encoder.onnx": "0" * 64, "decoder.onnx": "1" * 64},
    }  # fmt: skip
    return Card(**(facts | changes))


@pytest.fixture
def card():
    return card_of


@pytest.fixture
def spy():
    return Spy()


@pytest.fixture
def model(spy):
    return backbone(card_of(), spy)


@pytest.fixture
def walks():
    """Forty random walks of 160 values around log(5000), with steps of 4 basis points."""
    steps = np.random.default_rng(5).normal(0.0, 4e-4, (40, 160))
    return np.log(5000.0) + np.cumsum(steps, axis=1)
