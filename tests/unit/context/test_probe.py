from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.context.baselines import persistence
from ffm_core.context.probe import POOLED, bare, probe
from ffm_core.context.probe_report import probe_record, sentences
from ffm_core.context.rows import DAY_US, HEADS, before, between, rows_of, share_date
from ffm_core.context.settings import ContextSettings
from ffm_core.embed.stats import STATS
from ffm_core.errors import SampleError
from ffm_core.features.library import built_in
from ffm_core.labels.targets import context_values

QUICK = ContextSettings(
    stride=4, rounds=20, resamples=200, shuffles=3, min_train=200, min_later=80,
    targets=("fwd_return", "volatility", "vol_expansion"),
)  # fmt: skip
# Numbers that hang on the window and say nothing of it.
NOISE = replace(
    STATS,
    name="hashed",
    identity="0" * 64,
    extras=(),
    embed=lambda windows: np.sin(1e6 * STATS.embed(windows)).astype(np.float32),
)


@pytest.fixture(scope="module")
def rows(streams):
    return rows_of(streams, {"stats": STATS}, [built_in("trivial8")], stride=4)


@pytest.fixture(scope="module")
def found(streams, learner):
    return probe(streams, STATS, learner, random=NOISE, settings=QUICK)


def test_training_rows_know_their_values_a_day_before_the_test_begins(rows, streams):
    start = share_date(streams, 0.7)
    for name in HEADS:
        train, test = before(rows, name, start), between(rows, name, start)
        assert len(train)
        assert len(test)
        assert rows.t_end[name][train].max() <= start - DAY_US
        assert rows.t_us[test].min() >= start
        assert np.isfinite(rows.value[name][train]).all()
    for bars in streams:
        span = bars.ts_us[-1] - bars.ts_us[0]
        assert (start - bars.ts_us[0]) / span >= 0.7
    assert start % DAY_US == 0


def test_rows_are_the_bars_they_say(rows, streams):
    for number, bars in enumerate(streams):
        mine = rows.stream == number
        at = rows.bar[mine]
        assert at.min() >= 200
        trivial = built_in("trivial8").batch(bars)[at]
        assert rows.blocks["trivial8"][mine].tobytes() == trivial.tobytes()
        values = context_values(bars, ["volatility"])["volatility"]
        np.testing.assert_array_equal(rows.value["volatility"][mine], values.value[at])
        np.testing.assert_array_equal(
            rows.t_end["volatility"][mine], bars.ts_us[values.end_bar[at]] + bars.timeframe.us
        )


def test_persistence_looks_at_the_past_alone(streams):
    bars = streams[0][:1500]
    whole, part = persistence(bars), persistence(bars[:1200])
    for name in HEADS:
        assert whole[name][:1200].tobytes() == part[name].tobytes()
        assert np.isfinite(whole[name][300:]).mean() > 0.9


def test_what_can_be_told_is_told_and_what_cannot_is_not(found):
    volatility, direction = found.of("volatility"), found.of("fwd_return")
    assert volatility.scores["embedding"].low > 0.4
    assert volatility.differences["embedding", "trivial8"].above
    assert volatility.differences["embedding", "random weights"].above
    assert abs(direction.scores["embedding"].value) < 0.15
    assert not direction.differences["embedding", "trivial8"].above


@pytest.mark.parametrize("arm", ["shuffle", "noise", "random weights"])
def test_arms_that_know_nothing_score_at_chance(found, arm):
    for name, chance in (("volatility", 0.0), ("vol_expansion", 0.5)):
        # A fit to shuffled labels is a random function of columns that know much.
        room = 0.16 if arm == "shuffle" else 0.1
        assert abs(found.of(name).scores[arm].value - chance) < room
        assert found.of(name).scores["embedding"].value > chance + 2 * room


def test_streams_are_scored_together_and_one_by_one(found):
    scopes = {result.scope for result in found.results if result.target == "volatility"}
    assert scopes == {POOLED, *found.streams}
    one, two = (found.of("volatility", name) for name in found.streams)
    assert found.of("volatility").n_test == one.n_test + two.n_test
    assert found.of("volatility").n_train == one.n_train + two.n_train
    assert found.of("volatility").effective <= found.of("volatility").n_test


def test_the_answer_does_not_depend_on_threads(streams, learner):
    how = replace(QUICK, targets=("volatility",))
    one, two = (
        probe(streams[:1], STATS, learner, settings=replace(how, jobs=jobs)) for jobs in (1, 2)
    )
    assert one.results == two.results


def test_a_probe_is_told_in_words(found):
    record = probe_record(found)
    assert {r["target"] for r in record["results"]} == set(QUICK.targets)
    first = sentences(found)[0]
    assert first.startswith("The embedding alone against trivial8: adds on ")
    assert "volatility" in first.partition(";")[0]
    assert "fwd_return" not in first.partition("adds on")[2].partition(";")[0]


def test_an_embedder_that_saw_the_test_is_named(streams, learner):
    how = replace(QUICK, targets=("volatility",), rounds=2, shuffles=1, resamples=100)
    seen = replace(STATS, name="seen", fit_cutoff="2099-01-01")
    (warning,) = probe(streams[:1], seen, learner, settings=how).warnings
    assert "seen may have seen the test rows" in warning
    assert probe(streams[:1], bare(STATS), learner, settings=how).warnings == ()


def test_too_little_is_said_so(streams, learner):
    with pytest.raises(SampleError, match="no target has enough rows"):
        probe([streams[0][:1200]], STATS, learner, settings=QUICK)
    with pytest.raises(SampleError, match="no bar has"):
        probe([streams[0][:150]], STATS, learner, settings=QUICK)
