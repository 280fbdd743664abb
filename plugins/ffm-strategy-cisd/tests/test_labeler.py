from __future__ import annotations

import numpy as np
import pytest
from ffm_strategy_cisd.indicator import changes
from ffm_strategy_cisd.labeler import COLUMNS, LABELER
from ffm_strategy_cisd.plugin import ffm_labelers

from ffm_core.bars.primitives import atr_wilder


def decide(bars, **changed):
    return LABELER.decide(bars, LABELER.defaults() | changed)


def test_the_package_offers_its_default_labeler():
    assert [labeler.name for labeler in ffm_labelers()] == ["cisd"]


def test_the_defaults_are_the_documented_ones():
    assert LABELER.defaults() == {"min_run": 1, "require_sweep": True, "swing_order": 5,
                                  "stop_atr": 2.0, "rr": 3.0, "horizon_bars": 130}  # fmt: skip


def test_every_change_after_the_warm_up_is_a_decision(walk):
    bars = walk(1)
    found, rows = changes(bars.open, bars.high, bars.low, bars.close), decide(bars)
    keep = found.bar >= LABELER.warmup_bars
    assert keep.sum() > 40
    np.testing.assert_array_equal(rows.bar, found.bar[keep])
    np.testing.assert_array_equal(rows.side, found.side[keep])


def test_stop_target_and_horizon_follow_the_parameters(walk):
    bars = walk(1)
    atr = atr_wilder(bars.high, bars.low, bars.close, 14)
    plain, changed = decide(bars), decide(bars, stop_atr=1.0, rr=5.0, horizon_bars=7)
    np.testing.assert_array_equal(plain.risk, 2.0 * atr[plain.bar])
    np.testing.assert_array_equal(changed.risk, atr[plain.bar])
    assert (set(changed.target_r), set(changed.horizon_bars)) == ({5.0}, {7})


def test_the_rule_follows_the_parameters(walk):
    bars = walk(1)
    plain = len(decide(bars))
    assert len(decide(bars, require_sweep=False)) > plain > len(decide(bars, min_run=3)) > 0
    assert decide(bars, swing_order=9).bar.tolist() != decide(bars).bar.tolist()


def test_the_columns_are_those_declared_and_finite(walk):
    found = decide(walk(2))
    assert set(found.columns) == {column.name for column in COLUMNS}
    for values in found.columns.values():
        assert np.isfinite(values).all()


def test_the_columns_mean_what_they_say(walk):
    bars = walk(2)
    rows = decide(bars)
    columns, side = rows.columns, rows.side
    assert (side * columns["displacement"] > 0).all()
    assert (side * columns["from_extreme"] > side * columns["displacement"]).all()
    assert (columns["sweep_depth"] > 0).all()
    assert (columns["run_bars"] >= 1).all()
    assert (columns["run_size"] > 0).all()
    assert (columns["wait_bars"] >= 1).all()
    loose = decide(bars, require_sweep=False)
    assert (loose.columns["sweep_depth"] <= 0).any()


def test_turning_prices_upside_down_turns_everything(walk, make_bars):
    bars = walk(3)
    turned = make_bars(*(10_000 - bars[name] for name in ("open", "low", "high", "close")))
    one, other = decide(bars), decide(turned)
    np.testing.assert_array_equal(one.bar, other.bar)
    np.testing.assert_array_equal(one.side, -other.side)
    for column in COLUMNS:
        sign = -1.0 if column.signed else 1.0
        np.testing.assert_allclose(
            one.columns[column.name], sign * other.columns[column.name], atol=1e-9
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_declared_history_reproduces_a_decision(walk, seed):
    bars = walk(seed, 3600)
    whole = decide(bars)
    for row in np.flatnonzero(whole.bar >= LABELER.history_bars)[:5]:
        bar = int(whole.bar[row])
        part = decide(bars[bar + 1 - LABELER.history_bars : bar + 1])
        assert part.bar[-1] == LABELER.history_bars - 1
        assert part.side[-1] == whole.side[row]
        assert part.risk[-1] == pytest.approx(whole.risk[row], rel=1e-12)
        for name, values in part.columns.items():
            assert values[-1] == pytest.approx(whole.columns[name][row], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 9, 150])
def test_too_few_bars_give_no_decision(wave, rows):
    assert len(decide(wave[:rows])) == 0


def test_flat_prices_give_no_decision(make_bars):
    assert len(decide(make_bars(*[np.full(400, 100.0)] * 4))) == 0
