from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.context.heads import MANIFEST, Manifest, read_manifest, save
from ffm_core.context.rows import DAY_US, before, rows_of
from ffm_core.context.serving import ContextHeads
from ffm_core.context.training import fit
from ffm_core.embed.stats import STATS
from ffm_core.errors import ModelError, OutputError, SampleError
from ffm_core.features.library import built_in
from ffm_core.runs.cache import Cache


def test_heads_that_know_nothing_are_weak(fitted):
    by_name = {head.name: head for head in fitted.heads}
    assert not by_name["volatility"].weak
    assert by_name["volatility"].score > 0.3
    assert by_name["vol_expansion"].score > 0.65
    assert by_name["fwd_return"].weak or by_name["fwd_return"].score < 0.15


def test_no_label_looks_beyond_the_end(fitted, streams):
    end = min(int(bars.ts_us[-1]) for bars in streams)
    assert fitted.about.cutoff_us < end - 0.25 * (end - int(streams[0].ts_us[0]))
    rows = rows_of(streams, {"stats": STATS}, [], stride=4)
    train = before(rows, "volatility", fitted.about.cutoff_us, embargo_days=0)
    assert len(train) > sum(
        head.facts["n_train"] for head in fitted.heads if head.name == "volatility"
    )


def test_bars_after_the_end_change_nothing(fitted, streams, learner, quick):
    end = fitted.about.cutoff_us + 2 * DAY_US
    cut = [bars[: int(np.searchsorted(bars.ts_us, end))] for bars in streams]
    how = replace(quick, targets=("volatility",))
    whole = fit(streams, STATS, learner, settings=replace(how, until_us=end))
    again = fit(cut, STATS, learner, settings=replace(how, until_us=end))
    assert whole.heads[0].model.to_bytes() == again.heads[0].model.to_bytes()
    assert whole.about.cutoff_us == again.about.cutoff_us <= end


def test_a_bundle_answers_as_the_heads_it_was_made_of(fitted, bundle):
    heads = ContextHeads.load(bundle)
    x = np.random.default_rng(0).normal(size=(50, fitted.about.width)).astype(np.float32)
    found = heads.predict(x)
    assert list(heads.manifest.about.blocks) == ["stats", "ffm68"]
    for head in fitted.heads:
        assert found[head.name].tobytes() == head.predict(x).tobytes()


def test_what_needs_more_than_a_day_of_history_is_left_out(fitted):
    kept = fitted.about.blocks["ffm68"]
    assert fitted.about.facts["left_out"] == {"ffm68": 11}
    assert "sess_bars_elapsed" in kept
    assert not {"str_swing_high_dist", "htf_daily_structure"} & set(kept)
    assert (fitted.about.history_bars, fitted.about.history_days) == (300, 1)


def test_an_interrupted_fit_goes_on_where_it_was(streams, learner, quick, tmp_path):
    how = replace(quick, targets=("volatility", "range_bound"), rounds=5)

    class Stopped(Exception):
        pass

    def stage(name, total):
        def advance(steps):
            if name == "heads":
                raise Stopped

        return advance

    with pytest.raises(Stopped):
        fit(streams[:1], STATS, learner, settings=how, home=tmp_path, stage=stage)
    kept = len(list(Cache(tmp_path).folder.rglob("*.ffmc")))
    whole = fit(streams[:1], STATS, learner, settings=how, home=tmp_path)
    assert kept == 1
    assert len(list(Cache(tmp_path).folder.rglob("*.ffmc"))) == 2
    plain = fit(streams[:1], STATS, learner, settings=how)
    assert [h.model.to_bytes() for h in whole.heads] == [h.model.to_bytes() for h in plain.heads]


@pytest.mark.parametrize("damage", ["file", "short", "gone", "manifest", "json", "schema"])
def test_a_tampered_bundle_is_refused(at_home, damage, streams):
    file, manifest = at_home / "volatility.head", at_home / MANIFEST
    content = json.loads(manifest.read_text())
    if damage == "file":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(bytes(data))
    elif damage == "short":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "gone":
        file.unlink()
    elif damage == "manifest":  # claim to have seen less than was seen
        content["about"]["cutoff_us"] -= 10 * DAY_US
        manifest.write_text(json.dumps(content))
    elif damage == "json":
        manifest.write_text(manifest.read_text()[:-40])
    else:
        manifest.write_text(json.dumps({**content, "schema": "ffm-context-0"}))
    last = np.array([len(streams[0]) - 1])
    with pytest.raises(ModelError, match=r"head|manifest") as caught:
        ContextHeads.load("ctx7").context_at(streams[0], last)
    assert caught.value.exit_code == 7
    assert "ffm context train" in caught.value.fix


def test_other_weights_under_the_same_name_are_refused(bundle):
    with pytest.raises(ModelError, match="other weights"):
        ContextHeads.load(bundle, embedder=replace(STATS, identity="f" * 64))


def test_another_version_of_the_features_is_refused(heads, streams, monkeypatch):
    from ffm_core.context import serving

    newer = replace(built_in("ffm68"), version="99")
    monkeypatch.setattr(serving, "find_set", lambda name: newer)
    with pytest.raises(ModelError, match="version 1, this is 99"):
        heads.design(streams[0], np.array([2000]))


def test_a_bundle_is_replaced_only_when_asked(fitted, at_home):
    before_it = read_manifest(at_home).version
    with pytest.raises(OutputError, match="already exists"):
        save(at_home, "ctx7", fitted.about, fitted.heads, replace=False)
    fewer = save(at_home, "ctx7", fitted.about, fitted.heads[:2], replace=True)
    assert read_manifest(at_home).version == fewer != before_it
    assert sorted(path.name for path in at_home.parent.iterdir()) == ["ctx7"]


def test_too_little_data_is_said_so(streams, learner, quick):
    with pytest.raises(SampleError, match="no head has enough rows"):
        fit([streams[0][:1500]], STATS, learner, settings=quick)
    with pytest.raises(SampleError, match="no bar has closed by"):
        fit(streams, STATS, learner, settings=replace(quick, until_us=0))


def test_a_head_at_its_gate_is_weak(fitted):
    entries = tuple(
        {"name": name, "score": score, "gate": 0.05}
        for name, score in (("above", 0.051), ("at", 0.05), ("unknown", float("nan")))
    )
    manifest = Manifest(name="x", version="0", about=fitted.about, entries=entries)
    assert manifest.names == ("above", "at", "unknown")
    assert manifest.weak == {"at", "unknown"}
