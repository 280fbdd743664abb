"""Chronos-Bolt checkpoints as ONNX graphs, written node by node; needs ``onnx``, not torch.

Two graphs come out of a checkpoint in the Hugging Face layout. ``encoder.onnx`` takes
``values`` and ``mask``, float32 (B, L), and gives ``tokens``, float32
(B, L / patch + 1, d_model). ``decoder.onnx`` takes ``tokens`` and ``mask`` and gives
``quantiles``, float32 (B, levels, horizon), in the units of the normalised window. B and L
are free. Windows arrive normalised, with zeros where ``mask`` is 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import load_file

from ffm_core.embed.cards import CARD, DECODER, ENCODER, Card, file_sha256
from ffm_core.embed.workers.graph_chronos2 import (
    ARCHITECTURE,
    Chronos2Shape,
    decoder2,
    encoder2,
    shape2_of,
)  # fmt: skip
from ffm_core.embed.workers.nodes import (
    FIX,
    Given,
    Graph,
    Weights,
    attention_weights,
    found,
    norm,
    residual_block,
)
from ffm_core.errors import ModelError
from ffm_core.types import Float32, Int64

_BOLT = "ChronosBoltModelForForecasting"


@dataclass(frozen=True, slots=True)
class BoltShape:
    """What the graphs need to know of a ``config.json``."""

    d_model: int
    d_kv: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    patch: int
    context_length: int
    horizon: int
    quantiles: tuple[float, ...]
    buckets: int
    distance: int
    epsilon: float
    start_token: int
    reg_token: int

    architecture = "chronos-bolt"

    @property
    def inner(self) -> int:
        """Width of all heads side by side."""
        return self.heads * self.d_kv


def shape_of(config: Mapping[str, Any]) -> BoltShape | Chronos2Shape:
    """Read a configuration, and refuse what the graphs do not express.

    Raises
    ------
    ModelError
        When the checkpoint is no Chronos-Bolt, or has a part that none published has.
    """
    own = config.get("chronos_config")
    if not isinstance(own, Mapping):
        raise ModelError("the checkpoint's config.json has no chronos_config", fix=FIX)
    named = (config.get("architectures") or [_BOLT])[0]
    if named == ARCHITECTURE:
        return shape2_of(config)
    if named != _BOLT:
        raise ModelError(f"architecture {named} is not converted", fix=FIX)
    feed = config.get("feed_forward_proj", "relu")
    patch: int = own["input_patch_size"]
    refused = {
        f"feed_forward_proj {feed!r} (only relu is)": feed != "relu",
        f"dense_act_fn {config.get('dense_act_fn')!r} (only relu is)":
            config.get("dense_act_fn", "relu") != "relu",
        "use_reg_token false (the last token stands for the window)":
            not own.get("use_reg_token", False),
        "patches that overlap": own.get("input_patch_stride") != patch,
        "a context that is not a multiple of the patch": bool(own.get("context_length", 0) % patch),
    }  # fmt: skip
    for what, wrong in refused.items():
        if wrong:
            raise ModelError(f"the checkpoint has {what}, which is not converted", fix=FIX)
    layers = config["num_layers"]
    return BoltShape(
        d_model=config["d_model"],
        d_kv=config["d_kv"],
        heads=config["num_heads"],
        encoder_layers=layers,
        decoder_layers=config.get("num_decoder_layers") or layers,
        patch=patch,
        context_length=own["context_length"],
        horizon=own["prediction_length"],
        quantiles=tuple(own["quantiles"]),
        buckets=config.get("relative_attention_num_buckets", 32),
        distance=config.get("relative_attention_max_distance", 128),
        epsilon=config.get("layer_norm_epsilon", 1e-6),
        start_token=config.get("decoder_start_token_id") or 0,
        reg_token=config.get("reg_token_id", 1),
    )


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Float32]]:
    """Read ``config.json`` and ``model.safetensors``; weights come as float32.

    Raises
    ------
    ModelError
        When a file is missing or cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = load_file(folder / "model.safetensors")
    except Exception as error:  # safetensors has an error class of its own making
        raise ModelError(
            f"{folder} is not a checkpoint in Hugging Face format: {error}",
            fix="give a folder with config.json and model.safetensors",
        ) from error
    return config, {name: array.astype(np.float32) for name, array in stored.items()}


def write_model(
    checkpoint: Path, out: Path, *, name: str, fit_cutoff: str | None, released: str,
    trained_on: str, source: str, base: str = "", checks: Mapping[str, float] | None = None,
    facts: Mapping[str, Any] | None = None, float16: bool = False,
) -> Card:  # fmt: skip
    """Convert a checkpoint folder into a model folder and write its card.

    Nothing is verified against torch here; :mod:`ffm_core.embed.workers.convert` does.

    Parameters
    ----------
    checkpoint : pathlib.Path
        ``config.json`` and ``model.safetensors``.
    out : pathlib.Path
        An existing folder; ``encoder.onnx``, ``decoder.onnx`` and ``card.json`` go there.
    name, fit_cutoff, released, trained_on, source, base, checks, facts
        Fields of the :class:`.Card`.
    float16 : bool
        Store the weights in half the space, rounded; they are computed with in float32.

    Raises
    ------
    ModelError
        When the checkpoint cannot be read or has a part that is not converted.
    """
    config, weights = read_checkpoint(checkpoint)
    shape = shape_of(config)
    write_graphs(out, shape, weights, float16=float16)
    return write_card(
        out, shape, name=name, fit_cutoff=fit_cutoff, released=released, trained_on=trained_on,
        source=source, base=base, checks=checks or {},
        facts={
            "parameters": sum(array.size for array in weights.values()),
            "stored": "float16" if float16 else "float32",
            **(facts or {}),
        },
    )  # fmt: skip


def write_graphs(
    out: Path, shape: BoltShape | Chronos2Shape, weights: Weights, *, float16: bool
) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx`` into a folder."""
    if float16:
        largest = max(float(np.abs(array).max()) for array in weights.values())
        if largest > float(np.finfo(np.float16).max):
            raise ModelError(
                f"a weight of {largest:.3g} does not fit in float16", fix="drop --float16"
            )
    if isinstance(shape, Chronos2Shape):
        graphs = (
            encoder2(shape, weights, float16=float16),
            decoder2(shape, weights, float16=float16),
        )
    else:
        graphs = encoder(shape, weights, float16=float16), decoder(shape, weights, float16=float16)
    for file, graph in zip((ENCODER, DECODER), graphs, strict=True):
        (out / file).write_bytes(graph.SerializeToString(deterministic=True))


def write_card(out: Path, shape: BoltShape | Chronos2Shape, **fields: Any) -> Card:
    """Write ``card.json`` over the model files that lie in a folder."""
    card = Card(
        architecture=shape.architecture,
        d_model=shape.d_model,
        patch=shape.patch,
        context_length=shape.context_length,
        horizon=shape.horizon,
        quantiles=shape.quantiles,
        files={file: file_sha256(out / file) for file in (ENCODER, DECODER)},
        **fields,
    )
    (out / CARD).write_bytes(card.to_json())
    return card


def encoder(shape: BoltShape, weights: Weights, *, float16: bool = False) -> onnx.ModelProto:
    """Return the graph from windows to tokens.

    Tokens are the rows of one matrix: the first of every window, then the second of every
    window, and so on. So each layer is one product of matrices that adds the residual on
    its way, and attention finds its heads by strides, where a runtime can.
    """
    g = Graph(weights, float16)
    windows = g.add("Shape", "values", start=0, end=1)
    patches = _patches(g, shape)
    tokens = g.add("Add", g.add("Shape", patches, start=0, end=1), g.constant(np.array([1])))
    width = g.constant(np.array([shape.d_model]))
    x = _embedded(g, g.add("Reshape", patches, g.constant(np.array([-1, 2 * shape.patch]))))
    reg = g.weight("REG", weights["shared.weight"][shape.reg_token : shape.reg_token + 1])
    x = g.add("Concat", x, g.add("Expand", reg, g.add("Concat", windows, width, axis=0)), axis=0)
    bias = g.add("Add", _position_bias(g, shape, tokens), _mask_bias(g, shape))
    heads = g.constant(np.array([shape.heads, shape.d_kv]))
    apart = g.add("Concat", tokens, windows, heads, axis=0)
    for i in range(shape.encoder_layers):
        block = f"encoder.block.{i}.layer"
        normed = norm(g, f"{block}.0", x, shape.epsilon)
        q, k, v = (g.matrix(f"{block}.0.SelfAttention.{part}", normed) for part in "qkv")
        q, v = (_heads(g, part, apart, [1, 2, 0, 3]) for part in (q, v))
        mixed = _attend(g, q, _heads(g, k, apart, [1, 2, 3, 0]), v, bias)
        mixed = _joined(g, mixed, [2, 0, 1, 3], [-1, shape.inner])
        x = g.matrix(f"{block}.0.SelfAttention.o", mixed, plus=x)
        dense = f"{block}.1.DenseReluDense"
        hidden = g.add("Relu", g.matrix(f"{dense}.wi", norm(g, f"{block}.1", x, shape.epsilon)))
        x = g.matrix(f"{dense}.wo", hidden, plus=x)
    x = norm(g, "encoder.final", x, shape.epsilon)
    x = g.add("Reshape", x, g.add("Concat", tokens, windows, width, axis=0))
    g.add("Transpose", x, perm=[1, 0, 2], name="tokens")
    given: Given = [("values", ["B", "L"]), ("mask", ["B", "L"])]
    return g.model(given, ("tokens", ["B", "T", shape.d_model]))


def decoder(shape: BoltShape, weights: Weights, *, float16: bool = False) -> onnx.ModelProto:
    """Return the graph from tokens to quantiles: one start token looks at all of them."""
    g = Graph(weights, float16)
    start = weights["shared.weight"][shape.start_token : shape.start_token + 1]
    x = g.weight("START", start[None])
    bias = _mask_bias(g, shape)
    for i in range(shape.decoder_layers):
        block = f"decoder.block.{i}.layer"
        # Over a single token attention is certain: what it returns is the value alone.
        alone = g.linear(f"{block}.0.SelfAttention.v", norm(g, f"{block}.0", x, shape.epsilon))
        x = g.add("Add", x, g.linear(f"{block}.0.SelfAttention.o", alone))
        normed = norm(g, f"{block}.1", x, shape.epsilon)
        x = g.add("Add", x, _cross_attention(g, f"{block}.1.EncDecAttention", normed, bias, shape))
        x = g.add("Add", x, _feed_forward(g, f"{block}.2", x, shape))
    x = residual_block(g, "output_patch_embedding", norm(g, "decoder.final", x, shape.epsilon))
    levels = len(shape.quantiles)
    g.add("Reshape", x, g.constant(np.array([-1, levels, shape.horizon])), name="quantiles")
    given: Given = [("tokens", ["B", "T", shape.d_model]), ("mask", ["B", "L"])]
    return g.model(given, ("quantiles", ["B", levels, shape.horizon]))


def bucket_table(length: int, buckets: int, distance: int) -> Int64:
    """Return the bucket of every distance between two tokens, int64 (length, length).

    As T5 has it for attention in both directions: half the buckets for each, of which
    half hold one distance each and the others grow with its logarithm.
    """
    half = buckets // 2
    exact = half // 2
    offset = np.arange(length)[None, :] - np.arange(length)[:, None]
    away = np.abs(offset)
    with np.errstate(divide="ignore"):
        # In float32 like the original, lest a distance on the edge changes its bucket.
        logs = np.log(away.astype(np.float32) / np.float32(exact))
        far = logs / np.float32(math.log(distance / exact)) * np.float32(half - exact)
    far = np.minimum(exact + np.where(away < exact, 0.0, far).astype(np.int64), half - 1)
    return np.asarray(np.where(offset > 0, half, 0) + np.where(away < exact, away, far))


def _patches(g: Graph, shape: BoltShape) -> str:
    """Return values and mask of every patch side by side, (L / patch, B, 2 patch)."""
    cut = g.constant(np.array([0, -1, shape.patch]))
    values, mask = (g.add("Reshape", name, cut) for name in ("values", "mask"))
    return g.add("Transpose", g.add("Concat", values, mask, axis=-1), perm=[1, 0, 2])


def _embedded(g: Graph, x: str) -> str:
    """Turn patches (N, 2 patch) into tokens (N, d_model): two layers with a third beside them."""
    hidden, out, beside = (
        f"input_patch_embedding.{part}_layer" for part in ("hidden", "output", "residual")
    )
    deep = g.add("Relu", g.matrix(hidden, x, plus=g.bias(hidden)))
    return g.add("Add", g.matrix(out, deep, plus=g.matrix(beside, x, g.bias(beside))), g.bias(out))


def _feed_forward(g: Graph, name: str, x: str, shape: BoltShape) -> str:
    hidden = g.add("Relu", g.linear(f"{name}.DenseReluDense.wi", norm(g, name, x, shape.epsilon)))
    return g.linear(f"{name}.DenseReluDense.wo", hidden)


def _position_bias(g: Graph, shape: BoltShape, tokens: str) -> str:
    """Return the bias of attention by distance, (1, heads, T, T), cut from a fixed table."""
    longest = shape.context_length // shape.patch + 1
    table = bucket_table(longest, shape.buckets, shape.distance)
    name = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"
    learned = g.weight(name, found(g.weights, f"{name}.weight"))
    bias = g.add("Gather", learned, g.constant(table.astype(np.int32)))
    bias = g.add("Unsqueeze", g.add("Transpose", bias, perm=[2, 0, 1]), g.constant(np.array([0])))
    ends, axes = g.add("Concat", tokens, tokens, axis=0), g.constant(np.array([2, 3]))
    return g.add("Slice", bias, g.constant(np.array([0, 0])), ends, axes)


def _mask_bias(g: Graph, shape: BoltShape) -> str:
    """Return 0 for patches with a bar and for REG, the lowest number elsewhere, (B, 1, 1, T)."""
    bars = g.add("Reshape", "mask", g.constant(np.array([0, 1, 1, -1, shape.patch])))
    seen = g.add("ReduceMax", bars, axes=[-1], keepdims=0)
    lowest = g.constant(np.array(np.finfo(np.float32).min / 2))
    unseen = g.add("Sub", g.constant(np.array(1.0, dtype=np.float32)), seen)
    return g.add(
        "Pad", g.add("Mul", unseen, lowest), g.constant(np.array([0, 0, 0, 0, 0, 0, 0, 1]))
    )


def _heads(g: Graph, x: str, apart: str, perm: list[int]) -> str:
    return g.add("Transpose", g.add("Reshape", x, apart), perm=perm)


def _attend(g: Graph, q: str, k: str, v: str, bias: str) -> str:
    """Attend with q and v (B, heads, T, d_kv) and k (B, heads, d_kv, T); not scaled, as in T5."""
    scores = g.add("Add", g.add("MatMul", q, k), bias)
    return g.add("MatMul", attention_weights(g, scores), v)


def _joined(g: Graph, mixed: str, perm: list[int], dims: list[int]) -> str:
    """Put the heads of (B, heads, T, d_kv) side by side again."""
    return g.add("Reshape", g.add("Transpose", mixed, perm=perm), g.constant(np.array(dims)))


def _cross_attention(g: Graph, name: str, x: str, bias: str, shape: BoltShape) -> str:
    k, v = g.split(g.linear([f"{name}.{part}" for part in "kv"], "tokens"), 2)
    apart = g.constant(np.array([0, 0, shape.heads, shape.d_kv]))
    q = _heads(g, g.linear(f"{name}.q", x), apart, [0, 2, 1, 3])
    k, v = _heads(g, k, apart, [0, 2, 3, 1]), _heads(g, v, apart, [0, 2, 1, 3])
    mixed = _attend(g, q, k, v, bias)
    return g.linear(f"{name}.o", _joined(g, mixed, [0, 2, 1, 3], [0, 0, shape.inner]))
