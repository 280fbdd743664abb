"""The synthetic corpus: seeded, finite, and like prices where it says so."""

from __future__ import annotations

import numpy as np
from ffm_backbone_training.hints import HINTS, hints
from ffm_backbone_training.synthetic import batch, price_like

from ffm_core.keyed import keyed


def test_a_batch_depends_on_seed_and_step_alone():
    one = batch(5, 3, rows=24, length=192, price_share=0.7)
    again = batch(5, 3, rows=24, length=192, price_share=0.7)
    assert np.array_equal(one.values, again.values)
    assert one.price_like.sum() == round(24 * 0.7)
    for seed, step in ((5, 4), (6, 3)):
        other = batch(seed, step, rows=24, length=192, price_share=0.7)
        assert not np.isclose(one.values, other.values).any(axis=1).all()


def test_series_are_finite_and_generic_ones_standardised():
    for step in range(12):
        drawn = batch(9, step, rows=24, length=192, price_share=0.5)
        assert np.isfinite(drawn.values).all()
        generic = drawn.values[~drawn.price_like]
        np.testing.assert_allclose(generic.mean(axis=1), 0.0, atol=1e-9)


def test_prices_have_clustered_volatility_and_no_direction():
    paths = np.stack([price_like(keyed(3, "path", k), 400) for k in range(300)])
    returns = np.diff(paths, axis=1)
    scaled = returns / np.maximum(returns.std(axis=1, keepdims=True), 1e-12)
    size = np.abs(scaled) - np.abs(scaled).mean(axis=1, keepdims=True)
    clustering = (size[:, 5:] * size[:, :-5]).mean() / (size**2).mean()
    assert clustering > 0.05  # five bars later it is still wild where it was wild
    moves = np.sign(scaled.sum(axis=1))
    assert abs(moves.mean()) < 4.0 / np.sqrt(len(moves))


def test_hints_of_a_series_that_can_be_read_by_eye():
    rng = np.random.default_rng(2)
    calm = np.cumsum(rng.standard_normal(128) * 0.001)
    wild = calm[-1] + np.cumsum(rng.standard_normal(64) * 0.01)
    told = dict(zip(HINTS, hints(np.concatenate([calm, wild])[None], 128)[0], strict=True))
    assert told["forward 20-bar volatility"] > 1.5  # e^1.5 times the context's
    assert told["rank of forward 10"] == 1.0
    assert told["stays in the 20-bar range"] == 0.0
    still = np.concatenate([wild, wild[-1] + np.cumsum(rng.standard_normal(128) * 1e-5)])
    told = dict(zip(HINTS, hints(still[None], 64)[0], strict=True))
    assert told["rank of forward 10"] == 0.0
    assert told["stays in the 20-bar range"] == 1.0
