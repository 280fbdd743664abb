from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.bars import Timeframe
from ffm_core.context.heads import save
from ffm_core.context.serving import ContextHeads, coarser, feature_set
from ffm_core.context.serving import fitted as fitted_sets
from ffm_core.context.stored_vectors import VectorReader, _reader
from ffm_core.embed.embedding import embed_at
from ffm_core.embed.stats import STATS
from ffm_core.errors import ConfigError, ModelError, UnavailableError
from ffm_core.features.windowed import open_stream
from ffm_core.host.loading import open_host
from ffm_core.paths import ffm_home


@pytest.fixture
def bars(streams):
    return streams[0]


@pytest.fixture
def late(bars, heads):
    """Some bars the heads have not seen."""
    first = int(np.searchsorted(bars.ts_us, heads.cutoff_us))
    return np.arange(first + 5, len(bars) - 1, 97)


def test_columns_are_named_and_depend_on_their_own_bars_alone(heads, bars, late):
    whole = heads.context_at(bars, late)
    assert tuple(whole) == heads.columns
    assert all(name.startswith("ctx_") for name in whole)
    for at in late[:3]:
        alone = heads.context_at(bars[: at + 1], np.array([at]))
        for name, values in whole.items():
            assert alone[name].tobytes() == values[late == at].tobytes()
    assert np.isfinite(whole["ctx_volatility"]).mean() > 0.9
    assert whole["ctx_volatility"].dtype == np.float32


def test_intervals_stand_around_what_is_said(heads, bars, late):
    low, high = heads.intervals_at(bars, late)["ctx_volatility"]
    known = np.isfinite(low)
    assert known.mean() > 0.9
    assert (low[known] < high[known]).all()
    assert set(heads.intervals_at(bars, late)) <= {"ctx_volatility", "ctx_fwd_return"}


def test_bars_the_heads_have_seen_are_refused_or_masked(heads, bars):
    cut = int(np.searchsorted(bars.ts_us + bars.timeframe.us, heads.cutoff_us, side="right"))
    at = np.array([cut - 1, cut])  # the newest bar that was seen, and the next
    with pytest.raises(ConfigError, match="fitted to what followed it"):
        heads.context_at(bars, at)
    found = heads.context_at(bars, at, policy="mask")["ctx_volatility"]
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_bars_outside_are_named(heads, bars):
    with pytest.raises(ConfigError, match=f"of {len(bars)}"):
        heads.context_at(bars, np.array([len(bars)]))
    with pytest.raises(ConfigError, match="columns"):
        heads.predict(np.zeros((2, 3), dtype=np.float32))


def test_a_longer_bar_counts_once_it_is_complete(heads, bars, late):
    at = np.arange(late[-1] - 12, late[-1])
    found = heads.htf_context_at(bars, at, "1h")["ctx_volatility"]
    slow = coarser(bars, Timeframe.parse("1h"))
    closes = bars.ts_us[at] + bars.timeframe.us
    place = np.searchsorted(slow.ts_us + slow.timeframe.us, closes, side="right") - 1
    assert len(np.unique(place)) < len(at)
    direct = heads.context_at(slow, place)["ctx_volatility"]
    assert found.tobytes() == direct.tobytes()
    # The running longer bar is no part of it: what it will become changes nothing.
    part = heads.htf_context_at(bars[: at[0] + 1], at[:1], "1h")["ctx_volatility"]
    assert part.tobytes() == found[:1].tobytes()


def test_longer_bars_hold_what_their_bars_hold(bars):
    slow = coarser(bars, Timeframe.parse("1h"))
    inside = (bars.ts_us >= slow.ts_us[40]) & (bars.ts_us < slow.ts_us[40] + slow.timeframe.us)
    assert slow.high[40] == bars.high[inside].max()
    assert slow.low[40] == bars.low[inside].min()
    assert slow.open[40] == bars.open[inside][0]
    assert slow.close[40] == bars.close[inside][-1]
    assert slow.volume[40] == bars.volume[inside].sum()
    assert slow.volume.sum() == bars.volume.sum()


@pytest.mark.parametrize("timeframe", ["10m", "15m", "5m"])
def test_a_longer_bar_must_hold_whole_bars(heads, bars, late, timeframe):
    with pytest.raises(ConfigError, match="cannot be built from"):
        heads.htf_context_at(bars, late, timeframe)


def test_the_feature_set_gives_every_bar_and_no_bar_that_was_seen(at_home, bars, late):
    heads, ctx7 = ContextHeads.load("ctx7"), feature_set()
    rows = ctx7.batch(bars)
    assert rows.shape == (len(bars), len(heads.columns))
    assert [column.name for column in ctx7.columns] == list(heads.columns)
    seen = bars.ts_us + bars.timeframe.us <= heads.cutoff_us
    assert np.isnan(rows[seen]).all()
    found = heads.context_at(bars, late)
    for k, name in enumerate(heads.columns):
        assert rows[late, k].tobytes() == found[name].tobytes()
    assert ctx7.version == heads.manifest.version
    assert ctx7.fit_cutoff is not None
    assert ctx7.fit_cutoff >= "2022"


def test_the_declared_history_suffices_and_a_stream_says_the_same(at_home, bars):
    bars = replace(bars, frame=bars.frame.drop("contract"))
    ctx7 = feature_set()
    start = len(bars) - 320  # 300 bars are declared
    whole = ctx7.batch(bars)
    stream = open_stream(ctx7, bars.instrument, bars.timeframe)
    fed = [
        stream.update(int(bars.ts_us[t]), *(float(bars[n][t]) for n in
                      ("open", "high", "low", "close", "volume")))
        for t in range(start, len(bars))
    ]  # fmt: skip
    np.testing.assert_array_equal(np.array(fed)[-20:], whole[-20:])
    assert np.isfinite(whole[-20:]).any()


def test_a_few_bars_leave_nothing_in_the_cache_and_find_what_is_there(heads, bars, late):
    folder = VectorReader(ffm_home()).folder
    fresh = heads.context_at(bars, late)
    assert not folder.exists()
    _reader.cache_clear()  # as in a new process
    embed_at(STATS, bars, late, home=ffm_home())
    stored = sorted(path.name for path in folder.rglob("*.ffmv"))
    asked = []
    counted = replace(
        STATS, embed=lambda windows: asked.append(len(windows)) or STATS.embed(windows)
    )
    again = replace(heads, embedder=counted).context_at(bars, late)
    assert asked == []
    assert again["ctx_volatility"].tobytes() == fresh["ctx_volatility"].tobytes()
    assert sorted(path.name for path in folder.rglob("*.ffmv")) == stored


@pytest.mark.parametrize(
    ("weights", "expected"), [("2001-01-01", "2022"), ("2099-05-01", "2099-05-01"), (None, None)]
)
def test_the_cut_off_is_the_later_of_heads_and_weights(at_home, fitted, weights, expected):
    facts = {**fitted.about.facts, "embedder_cutoff": weights}
    save(at_home, "ctx7", replace(fitted.about, facts=facts), fitted.heads, replace=True)
    found = feature_set().fit_cutoff
    assert found is None if expected is None else found.startswith(expected)


def test_it_travels_to_another_process(at_home, bars):
    ctx7 = feature_set()
    again = pickle.loads(pickle.dumps(ctx7.batch))
    assert again(bars[-400:]).tobytes() == ctx7.batch(bars[-400:]).tobytes()


def test_unfitted_it_is_absent_and_names_the_command():
    assert fitted_sets() == {}
    with pytest.raises(UnavailableError, match="not fitted on this machine") as caught:
        open_host(None, ()).feature_set("ctx7")
    assert caught.value.exit_code == 7
    assert "ffm context train" in caught.value.fix
    with pytest.raises(UnavailableError, match="no context heads named 'other'"):
        ContextHeads.load("other")


def test_fitted_it_is_offered_and_broken_it_says_so_when_used(at_home, bars):
    assert open_host(None, ()).feature_set("ctx7").record.fit_cutoff
    (at_home / "context.json").write_text("{}")
    offered = open_host(None, ()).feature_set("ctx7").record  # other sets are not held up
    assert offered.columns == ()
    with pytest.raises(ModelError, match="not a manifest"):
        offered.batch(bars)


def test_every_head_is_served_and_a_weak_one_is_marked(at_home):
    heads, ctx7 = ContextHeads.load("ctx7"), feature_set()
    assert len(ctx7.columns) == len(heads.heads)
    marked = {c.name for c in ctx7.columns if c.description.startswith("weak")}
    assert marked == {f"ctx_{head.name}" for head in heads.heads if head.weak}
    assert "ctx_volatility" not in marked
