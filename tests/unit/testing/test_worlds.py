"""The worlds: what they promise holds, and nothing else in them pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.bars.readers import load
from ffm_core.bars.table import Bars
from ffm_core.causal.falsify import falsify_labeler
from ffm_core.errors import ConfigError
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import FIXED_RR
from ffm_core.records import REASONS, Decisions
from ffm_core.testing.worlds import make_world, save_world

SEEDS = (1, 2)  # fixed, so that nothing here is flaky
MONTHS = 20


def _judge(world):
    """Decisions, outcomes and trivial features of every stream of a world."""
    rows = []
    for bars in world.bars:
        decisions = world.labeler.decide(bars, {})
        found = outcomes(bars, decisions, FIXED_RR, horizon_bars=world.labeler.horizon_bars)
        rows.append((bars, decisions, found, TRIVIAL8.batch(bars)[decisions.bar]))
    return rows


@pytest.fixture(scope="module", params=("planted", "null", "trigger"))
def judged(request):
    worlds = [make_world(request.param, seed, months=MONTHS) for seed in SEEDS]
    return worlds[0], [row for world in worlds for row in _judge(world)]


def _mean_and_error(values):
    return values.mean(), values.std() / np.sqrt(len(values))


def test_decisions_earn_what_the_world_promises(judged):
    world, rows = judged
    r = np.concatenate([found.r_net for _, _, found, _ in rows])
    mark = np.concatenate([d.columns["mark"] for _, d, _, _ in rows]) > 0
    promised = {"planted": (0.6, 0.0), "null": (0.0, 0.0), "trigger": (0.3, 0.3)}[world.kind]
    for half, wanted in zip((mark, ~mark), promised, strict=True):
        mean, error = _mean_and_error(r[half])
        assert error < 0.02
        assert abs(mean - wanted) < 3 * error
    assert mark.mean() == pytest.approx(0.5, abs=0.02)


def test_no_outcome_is_void_and_no_trades_overlap(judged):
    _, rows = judged
    for _, decisions, found, _ in rows:
        assert found.valid.all()
        assert (decisions.bar[1:] >= found.exit_bar[:-1]).all()
        timeouts = (found.reason == REASONS.index("timeout")).mean()
        assert timeouts < 0.06


def test_about_150_decisions_a_month_each_on_both_sides(judged):
    _, rows = judged
    for _, decisions, _, _ in rows:
        assert 140 < len(decisions) / MONTHS < 160
        assert (decisions.side > 0).mean() == pytest.approx(0.5, abs=0.03)
        assert set(decisions.columns) == {c.name for c in judged[0].labeler.columns}
        assert len(decisions.columns) == 10


def _design(rows):
    columns = [
        np.column_stack([*d.columns.values(), d.side, np.log(found.risk), x * d.side[:, None], x])
        for _, d, found, x in rows
    ]
    order = np.argsort(np.concatenate([found.t_end for _, _, found, _ in rows]), kind="stable")
    label = np.concatenate([found.label for _, _, found, _ in rows])
    return np.nan_to_num(np.concatenate(columns))[order], label[order]


def test_only_the_mark_tells_winners_from_losers(judged):
    linear_model = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    world, rows = judged
    x, label = _design(rows)
    cut = len(x) * 2 // 3
    z = (x - x[:cut].mean(axis=0)) / x[:cut].std(axis=0)

    def auc(columns):
        model = linear_model.LogisticRegression(C=0.01).fit(z[:cut, columns], label[:cut])
        return metrics.roc_auc_score(label[cut:], model.predict_proba(z[cut:, columns])[:, 1])

    everything, rest = np.arange(x.shape[1]), np.arange(1, x.shape[1])
    assert auc(rest) == pytest.approx(0.5, abs=0.02)
    if world.kind == "planted":
        assert auc(everything) > 0.58
    else:
        assert auc(everything) == pytest.approx(0.5, abs=0.02)


def test_no_other_column_moves_net_r(judged):
    world, rows = judged
    r = np.concatenate([found.r_net for _, _, found, _ in rows])
    for name in (c.name for c in world.labeler.columns):
        column = np.concatenate([d.columns[name] for _, d, _, _ in rows])
        ranks = column.argsort().argsort() / len(column)
        z = np.corrcoef(ranks, r)[0, 1] * np.sqrt(len(r))
        assert (abs(z) > 10) == (world.kind == "planted" and name == "mark"), name
        assert abs(z) < 4 or name == "mark", name


def test_slow_columns_are_slow_and_white_ones_white(judged):
    _, rows = judged
    _, decisions, _, _ = rows[0]

    def memory(name):
        column = decisions.columns[name]
        return np.corrcoef(column[1:], column[:-1])[0, 1]

    assert memory("slow_60") > 0.2
    assert abs(memory("white_a")) < 0.06
    for name in ("bell", "slow_20", "slow_60"):
        assert decisions.columns[name].std() == pytest.approx(1.0, abs=0.1)


def test_decisions_stay_clear_of_rolls(judged):
    _, rows = judged
    bars, decisions, _, _ = rows[0]
    codes = bars.contract_codes
    assert codes is not None
    last = np.minimum(decisions.bar + judged[0].labeler.horizon_bars, len(bars) - 1)
    assert (codes[decisions.bar - 15] == codes[last]).all()
    assert len(np.unique(codes)) == 7


def test_worlds_are_deterministic_and_all_different():
    def hashes(*args):
        return [bars.sha256 for bars in make_world(*args, months=2).bars]

    assert hashes("planted", 5) == hashes("planted", 5, 0.6)
    makes = [("planted", 5), ("planted", 6), ("planted", 5, 0.4), ("null", 5), ("trigger", 5)]
    assert len({h for make in makes for h in hashes(*make)}) == 2 * len(makes)
    closes = {make_world(*make, months=2).bars[0].close.tobytes() for make in makes}
    assert len(closes) == len(makes)


def test_symbols_carry_kind_seed_and_edge():
    names = [bars.instrument.symbol for bars in make_world("planted", 7, 0.2, months=1).bars]
    assert names == ["SIMPA7E020", "SIMPB7E020"]
    assert make_world("null", 7, months=1).bars[0].instrument.symbol == "SIMNA7"
    assert make_world("trigger", 7, months=1, instruments=1).bars[0].stream == "SIMTA7E030/5m"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (("flat", 0), "no world 'flat'"),
        (("planted", -1), "seed -1"),
        (("planted", 0, 9.0), "9 R"),
        (("planted", 0, 0.0), "0 R"),
        (("trigger", 0, float("nan")), "nan R"),
        (("null", 0, 0.6), "null world has no edge"),
    ],
)
def test_impossible_worlds_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make_world(*make, months=1)


def test_saved_worlds_are_read_back_as_the_same_market(tmp_path):
    world = make_world("planted", 5, months=2)
    paths = save_world(world, tmp_path / "new" / "folder")
    for path, bars in zip(paths, world.bars, strict=True):
        read = load(path)
        assert read.bars.sha256 == bars.sha256
        assert read.audit.level == "info"


def test_prefix_and_mutation_change_no_row():
    world = make_world("planted", 4, months=2, instruments=1)
    bars = world.bars[0]
    whole = world.labeler.decide(bars, {})
    rng = np.random.default_rng(0)
    for cut in rng.choice(whole.bar[5:], 20):
        rows = np.flatnonzero(whole.bar <= cut)
        mutated = _mutate(bars, int(cut) + 1, rng)
        for part in (bars[: int(cut) + 1], mutated, bars[: int(cut) + 40]):
            again = world.labeler.decide(part, {})
            again = again.take(np.flatnonzero(again.bar <= cut))
            _same(again, whole.take(rows))


def test_history_suffices():
    world = make_world("null", 4, months=1, instruments=1)
    bars, history = world.bars[0], world.labeler.history_bars
    assert history is not None
    whole = world.labeler.decide(bars, {})
    for row in range(0, len(whole), 7):
        bar = int(whole.bar[row])
        part = world.labeler.decide(bars[bar - history + 1 : bar + 1], {})
        last = part.take(np.array([len(part) - 1]))
        assert int(last.bar[0]) == history - 1
        for name, values in whole.columns.items():
            assert last.columns[name][0] == values[row], name


def test_falsifier_clears_the_labeler_and_catches_a_peeking_twin():
    world = make_world("trigger", 4, months=3, instruments=1)
    labeler, bars = world.labeler, world.bars[0]

    def peek(bars, params):
        honest = labeler.decide(bars, params)
        nearest = np.minimum(honest.bar + 1, len(bars) - 1)
        return replace(honest, columns={**honest.columns, "bell": bars.close[nearest]})

    clean = falsify_labeler(labeler, bars, {}, seed=0, max_cuts=300)
    assert clean.status == "clean"
    broken = falsify_labeler(replace(labeler, decide=peek), bars, {}, seed=0, max_cuts=300)
    assert broken.status == "broken"
    assert {failure.column for failure in broken.failures} == {"bell"}


def _mutate(bars, begin, rng):
    frame = bars.frame
    later = rng.permutation(np.arange(begin, len(bars)))
    order = np.concatenate([np.arange(begin), later])
    mixed = frame.select("open", "high", "low", "close", "volume")[order]
    return Bars(frame.with_columns(mixed), bars.instrument, bars.timeframe)


def _same(one: Decisions, two: Decisions) -> None:
    assert one.bar.tolist() == two.bar.tolist()
    assert one.side.tolist() == two.side.tolist()
    assert one.risk is not None
    assert two.risk is not None
    assert one.risk.tolist() == two.risk.tolist()
    for name in two.columns:
        assert one.columns[name].tolist() == two.columns[name].tolist(), name
