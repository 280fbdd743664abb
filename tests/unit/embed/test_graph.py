"""Converted models against torch, and against themselves in other company."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from ffm_core.embed.cards import DECODER, ENCODER, file_sha256, read_card
from ffm_core.embed.recipe import CONTEXT_BARS
from ffm_core.embed.session import OnnxModel, pooled
from ffm_core.embed.verification import battery, differences, largest, require_close
from ffm_core.embed.windows import windows_at
from ffm_core.embed.workers.graph import bucket_table, encoder, read_checkpoint, shape_of
from ffm_core.embed.workers.nodes import Graph, attention_weights
from ffm_core.errors import ModelError

KINDS = ("normal", "constant", "quiet", "trending", "NaN-leading")


@pytest.mark.parametrize("name", ["small", "tiny", "chronos-2"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torch(originals, model, name, kind):
    ours, values = model(name), originals.windows[kind]
    theirs = originals.said(name, kind, "tokens")
    tokens = ours.tokens(values)
    assert tokens.shape == theirs.shape == (len(values), 9, ours.card.d_model)
    assert tokens.std() > 0.5
    for pool in ("mean", "reg", "meanreg", "last2"):
        assert np.abs(pooled(tokens, pool) - pooled(theirs, pool)).max() <= 1e-5
    quantiles = originals.said(name, kind, "quantiles")
    assert quantiles.shape == (len(values), len(ours.card.quantiles), 64)
    assert np.abs(ours.quantiles(values) - quantiles).max() <= 1e-4


@pytest.mark.parametrize("floored", [True, False])
def test_attention_weights_are_a_softmax_without_subnormal_numbers(floored):
    """A plain softmax has them on the same scores, and a processor takes its time over them."""
    g = Graph({}, float16=False)
    weights = attention_weights(g, "values") if floored else g.add("Softmax", "values", axis=-1)
    g.add("Identity", weights, name="out")
    ran = onnxruntime.InferenceSession(
        g.model([("values", ["B", "L"])], ("out", ["B", "L"])).SerializeToString()
    )
    scores = np.random.default_rng(5).normal(0.0, 60.0, (200, 9)).astype(np.float32)
    scores[7, :4] = np.finfo(np.float32).min / 2  # patches without a bar
    found = ran.run(None, {"values": scores})[0]
    subnormal = (found > 0.0) & (found < np.finfo(np.float32).tiny)
    assert subnormal.any() != floored
    exact = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(found - exact).max() <= 1e-6
    assert (found[7, :4] <= 1e-34).all()


def test_a_price_ratio_changes_nothing(bars, model):
    at = np.arange(200, 2_000, 25)
    twin = type(bars)(
        bars.frame.with_columns(bars.frame["close"] * 1.083719), bars.instrument, bars.timeframe
    )
    plain, raised = windows_at(bars, at), windows_at(twin, at)
    ours = model("tiny")
    one, other = (pooled(ours.tokens(w.values[w.usable]), "mean") for w in (plain, raised))
    assert len(one) > 20
    assert np.abs(one - other).max() <= 1e-6


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_is_the_same_bytes_in_any_company(bars, model, threads):
    found = windows_at(bars, np.arange(CONTEXT_BARS, CONTEXT_BARS + 5_000), masked=())
    values = np.resize(found.values[found.usable], (4_096, CONTEXT_BARS))
    ours = model("small", threads=threads)
    tokens, some = ours.tokens(values), [0, 1, 63, 64, 777, 4_095]
    quantiles = ours.quantiles(values[:130])
    for row in some:
        assert ours.tokens(values[row : row + 1])[0].tobytes() == tokens[row].tobytes()
    assert ours.tokens(values[40:104]).tobytes() == tokens[40:104].tobytes()
    assert ours.quantiles(values[101:102])[0].tobytes() == quantiles[101].tobytes()
    assert model("small", threads=1).tokens(values[:200]).tobytes() == tokens[:200].tobytes()


def test_the_full_size_is_the_same_bytes_in_any_company(bars, model):
    found = windows_at(bars, np.arange(CONTEXT_BARS, CONTEXT_BARS + 400), masked=())
    values = found.values[found.usable][:200]
    ours, other = model("tiny", threads=1), model("tiny", threads=2)
    tokens, quantiles = ours.tokens(values), ours.quantiles(values[:64])
    shuffled = np.random.default_rng(3).permutation(len(values))
    assert other.tokens(values[shuffled]).tobytes() == tokens[shuffled].tobytes()
    assert ours.tokens(values[70:71]).tobytes() == tokens[70:71].tobytes()
    assert other.quantiles(values[5:6]).tobytes() == quantiles[5:6].tobytes()


def test_chronos_2_answers_for_a_window_alone(originals, model):
    ours, other = model("chronos-2", threads=1), model("chronos-2", threads=2)
    values = np.vstack([originals.windows[kind] for kind in KINDS])
    tokens, quantiles = ours.tokens(values), ours.quantiles(values)
    assert other.tokens(values[3:4]).tobytes() == tokens[3:4].tobytes()
    assert other.quantiles(values[-1:]).tobytes() == quantiles[-1:].tobytes()
    card = read_card(originals.folder / "model-chronos-2")
    assert card.architecture == "chronos-2"
    assert card.checks["embedding"] <= 1e-5  # in float16, against torch rounded as it is


def test_shorter_and_longer_windows(model):
    ours = model("small")
    assert ours.tokens(battery(256)).shape[1] == 17
    assert ours.tokens(battery(32)).shape[1] == 3
    for context in (100, 272):
        with pytest.raises(ModelError, match=f"multiple of 16 bars up to 256, got {context}"):
            ours.tokens(battery(context))


def test_float16_weights_take_half_the_space(originals, converted):
    card = originals.told["half"]
    assert card["checks"]["embedding"] <= 1e-5  # against torch with the same rounded weights
    for file in (ENCODER, DECODER):
        half = (originals.folder / "model-half" / file).stat().st_size
        assert half < 0.6 * (converted["small"] / file).stat().st_size


def test_the_card_tells_what_was_checked(originals, converted):
    folder = originals.folder / "model-small"
    card = read_card(folder)
    assert card.checks == originals.told["small"]["checks"]
    assert 0.0 < card.checks["embedding"] <= 1e-5
    assert 0.0 < card.checks["quantiles"] <= 1e-4
    assert (card.d_model, card.patch, card.horizon, card.context_length) == (48, 16, 64, 256)
    assert card.facts["stored"] == "float32"
    assert card.facts["checkpoint"] == str((originals.folder / "small").resolve())
    # Written twice from the same weights: the same bytes, so the same identity.
    assert card.files == read_card(converted["small"]).files


@pytest.mark.parametrize("harm", ["wrong weight", "dropped mask", "dropped bias", "half weights"])
def test_verification_refuses_a_graph_that_is_wrong(originals, converted, tmp_path, harm):
    folder = shutil.copytree(converted["small"], tmp_path / "harmed")
    graph = onnx.load(folder / ENCODER)
    for stored in graph.graph.initializer:
        array = numpy_helper.to_array(stored).copy()
        if harm == "dropped mask" and array.size == 1 and array < -1e30:
            array *= 0.0  # patches without a bar take part in attention
        elif harm == "dropped bias" and stored.name.endswith("relative_attention_bias"):
            array *= 0.0
        elif harm == "wrong weight" and stored.name == "encoder.block.1.layer.1.DenseReluDense.wi":
            array[3, 5] += 0.5
        elif harm == "half weights" and stored.name.endswith(".wo"):
            array = array.astype(np.float16).astype(np.float32)
        else:
            continue
        stored.CopyFrom(numpy_helper.from_array(array, stored.name))
    (folder / ENCODER).write_bytes(graph.SerializeToString())
    card = read_card(folder)
    card = replace(card, files={**card.files, ENCODER: file_sha256(folder / ENCODER)})
    found = differences(_Said(originals), OnnxModel(folder, card), _all(originals))
    with pytest.raises(ModelError, match="harmed was not added: after conversion its embedding"):
        require_close("harmed", found)


def test_verification_accepts_the_graph_that_is_right(originals, model):
    require_close("small", differences(_Said(originals), model("small"), _all(originals)))


def test_a_difference_that_is_no_number_is_too_large():
    one = np.ones((2, 3), dtype=np.float32)
    assert largest(one, one) == 0.0
    assert largest(one, one[:1]) == np.inf
    assert largest(one, one * np.float32(np.nan)) == np.inf
    assert largest(one * 100.0, one * 101.0) == pytest.approx(0.01)
    with pytest.raises(ModelError):
        require_close("x", {"embedding": float("nan"), "quantiles": 0.0})


@pytest.mark.parametrize("harm", ["cut off", "changed", "gone"])
@pytest.mark.parametrize("file", [ENCODER, DECODER])
def test_a_harmed_file_never_runs(converted, tmp_path, file, harm):
    folder = shutil.copytree(converted["small"], tmp_path / "model")
    path = folder / file
    data = bytearray(path.read_bytes())
    card = read_card(folder)
    if harm == "gone":
        path.unlink()
        with pytest.raises(ModelError, match=f"{file} is missing"):
            read_card(folder)
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data[:-100] if harm == "cut off" else data)
    with pytest.raises(ModelError, match=str(path)) as caught:
        OnnxModel(folder, card).quantiles(battery(128))
    assert caught.value.exit_code == 7


def test_what_no_published_model_has_is_refused_by_name(originals):
    assert originals.told["gated"]["error"] == "ModelError"
    assert "feed_forward_proj 'gated-gelu'" in originals.told["gated"]["problem"]
    config, _ = read_checkpoint(originals.folder / "small")
    own = config["chronos_config"]
    for change, words in (
        ({"chronos_config": {**own, "use_reg_token": False}}, "use_reg_token false"),
        ({"chronos_config": {**own, "input_patch_stride": 8}}, "patches that overlap"),
        ({"dense_act_fn": "gelu_new"}, "dense_act_fn 'gelu_new'"),
        ({"architectures": ["ChronosModel"]}, "ChronosModel is not converted"),
        ({"architectures": ["Chronos2Model"]}, "output patches of another size"),
        ({"chronos_config": None}, "no chronos_config"),
    ):
        with pytest.raises(ModelError, match=words):
            shape_of(config | change)


def test_a_weight_that_is_missing_is_named(originals):
    config, weights = read_checkpoint(originals.folder / "small")
    del weights["encoder.block.1.layer.0.SelfAttention.o.weight"]
    with pytest.raises(ModelError, match=r"no weight 'encoder\.block\.1.*\.o\.weight'"):
        encoder(shape_of(config), weights)


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match=f"{tmp_path} is not a checkpoint"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelError, match=f"{tmp_path} is not a checkpoint"):
        read_checkpoint(tmp_path)


def test_buckets_of_distance():
    table = bucket_table(200, 32, 128)
    assert table[5, 5:13].tolist() == [0, 17, 18, 19, 20, 21, 22, 23]
    assert table[12, 4:13].tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert table[0, 199] == 31
    assert table[199, 0] == 15
    assert (np.diff(table[0]) >= 0)[1:].all()


class _Said:
    """The recorded answers of torch to the windows of every kind."""

    def __init__(self, originals):
        self._originals = originals

    def tokens(self, values):
        return np.vstack([self._originals.said("small", kind, "tokens") for kind in KINDS])

    def quantiles(self, values):
        return np.vstack([self._originals.said("small", kind, "quantiles") for kind in KINDS])


def _all(originals):
    return np.vstack([originals.windows[kind] for kind in KINDS])


@pytest.mark.parametrize("pool", ["mean", "reg", "meanreg", "last2"])
def test_vectors_are_the_pooled_tokens_for_any_number_of_threads(bars, model, pool):
    found = windows_at(bars, np.arange(300, 2_300, 9))
    values = found.values[found.usable]
    exact = pooled(model("small", threads=1).tokens(values), pool)
    for threads in (1, 2, 3):
        assert np.array_equal(model("small", threads=threads).vectors(values, pool), exact)
