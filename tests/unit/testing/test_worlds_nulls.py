"""Null worlds of rare wins and of dependent days: their truth is what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.causal.falsify import falsify_labeler
from ffm_core.errors import ConfigError
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import FIXED_RR
from ffm_core.records import REASONS
from ffm_core.testing.worlds import _day_means, make_world
from ffm_core.testing.worlds_kernel import climb_odds, expected_steps
from ffm_core.testing.worlds_labeler import RARE_LABELER

DAY_US = 86_400_000_000
SEEDS = (1, 2)


def judge(kind):
    """Decisions, outcomes and UTC days of every stream of two worlds."""
    rows = []
    for seed in SEEDS:
        world = make_world(kind, seed)
        for bars in world.bars:
            decisions = world.labeler.decide(bars, {})
            found = outcomes(bars, decisions, FIXED_RR, horizon_bars=world.labeler.horizon_bars)
            day = bars.frame["ts"].to_physical().to_numpy()[decisions.bar] // DAY_US
            rows.append((seed, bars, decisions, found, day))
    return rows


@pytest.fixture(scope="module")
def rare():
    return judge("rare")


@pytest.fixture(scope="module")
def dependent():
    return judge("dependent")


def mean_and_error(values):
    return values.mean(), values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("kind", ["rare", "dependent"])
def test_a_null_world_has_no_edge_to_ask_for(kind):
    with pytest.raises(ConfigError, match=f"a {kind} world has no edge"):
        make_world(kind, 1, 0.3)


@pytest.mark.parametrize("kind", ["rare", "dependent"])
def test_no_trade_is_void_or_overlaps_and_there_are_150_a_month(kind, request):
    for _, _, decisions, found, _ in request.getfixturevalue(kind):
        assert found.valid.all()
        assert (decisions.bar[1:] >= found.exit_bar[:-1]).all()
        assert (found.reason == REASONS.index("timeout")).mean() < 0.06
        assert 130 < len(decisions) / 30 < 170
        assert (decisions.side > 0).mean() == pytest.approx(0.5, abs=0.03)


class TestRare:
    def test_nothing_is_earned_after_costs(self, rare):
        r = np.concatenate([found.r_net for _, _, _, found, _ in rare])
        mean, error = mean_and_error(r)
        assert error < 0.05
        assert abs(mean) < 3 * error

    def test_wins_are_rare_and_large_and_losses_small(self, rare):
        r = np.concatenate([found.r_net for _, _, _, found, _ in rare])
        assert 0.03 < (r > 0).mean() < 0.07
        assert 15 < np.median(r[r > 0]) < 30
        assert np.median(r[r < 0]) == pytest.approx(-1.25, abs=0.25)

    def test_no_mark_and_no_coin_pays(self, rare):
        for name in ("mark", "coin"):
            one = np.concatenate([d.columns[name] for _, _, d, _, _ in rare]) > 0
            r = np.concatenate([found.r_net for _, _, _, found, _ in rare])
            for half in (one, ~one):
                mean, error = mean_and_error(r[half])
                assert abs(mean) < 3 * error

    def test_its_labeler_knows_no_future(self):
        bars = make_world("rare", 3, months=2, instruments=1).bars[0]
        assert falsify_labeler(RARE_LABELER, bars, {}, seed=0, max_cuts=100).status == "clean"

    @pytest.mark.parametrize("target", [20, 30])
    def test_the_walk_to_a_far_target_is_fair_but_for_the_edge(self, target):
        assert expected_steps(9, 1e9, target) == pytest.approx(target * 81)
        odds = climb_odds(9, 0.25, 1e9, target) / 2.0**32
        assert len(odds) == (1 + target) * 9
        assert ((odds > 0.5) & (odds < 0.52)).all()


class TestDependent:
    def test_a_decision_earns_the_mean_of_its_day(self, dependent):
        off, planted = [], []
        for seed, bars, decisions, found, _ in dependent:
            means = _day_means(first_of(bars), seed)[decisions.bar]
            off.append(found.r_net - means)
            planted.append(means)
        mean, error = mean_and_error(np.concatenate(off))
        assert abs(mean) < 3 * error
        planted = np.concatenate(planted)
        assert -0.9 < planted.min() < -0.7
        assert 0.7 < planted.max() < 0.95

    def test_days_depend_on_the_days_before(self, dependent):
        for seed in SEEDS:
            mine = [(day, found.r_net) for s, _, _, found, day in dependent if s == seed]
            day, r = (np.concatenate(part) for part in zip(*mine, strict=True))
            total = np.bincount(day - day.min(), weights=r)
            total = total[np.bincount(day - day.min()) > 0]
            off = total - total.mean()
            memory = [(off[k:] @ off[:-k]) / (off @ off) for k in (1, 2, 20)]
            assert 0.3 < memory[0] < 0.65
            assert 0.1 < memory[1] < memory[0]
            assert abs(memory[2]) < 0.2

    def test_the_instruments_share_their_days(self):
        world = make_world("dependent", 5, months=6)
        one, other = (_day_means(first_of(bars), 5) for bars in world.bars)
        assert (one == other).all()

    def test_there_is_nothing_to_earn_over_many_worlds(self):
        """Days are drawn around 0; the lift is what fewer, longer trades of good days need."""
        first = first_of(make_world("dependent", 1, months=24, instruments=1).bars[0])
        means = [_day_means(first, seed)[first].mean() for seed in range(300)]
        assert np.mean(means) == pytest.approx(0.033, abs=4 * np.std(means) / np.sqrt(300))


def first_of(bars):
    """Mark the first bar of each session: a gap of more than half an hour before it."""
    stamps = bars.frame["ts"].to_physical().to_numpy()
    return np.concatenate([[True], np.diff(stamps) > 30 * 60_000_000])
