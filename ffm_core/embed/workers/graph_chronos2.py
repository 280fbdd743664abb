"""Chronos-2 checkpoints as ONNX graphs, for single series: a window is a group of its own.

``encoder.onnx`` takes ``values`` and ``mask``, float32 (B, L), and ``ahead``, int64 (1,),
the number F of patches to forecast; it gives ``tokens``, float32
(B, L / patch + 1 + F, d_model), those of the forecast last. Tokens of the past look at
them, so F is part of an embedding. ``decoder.onnx`` takes the last F of them and gives
``quantiles``, float32 (B, levels, F * patch), in the units of the normalised window.

Attention across the series of a group is attention to oneself here, which is the value
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from ffm_core.embed.workers.nodes import (
    FIX,
    Given,
    Graph,
    Weights,
    attention_weights,
    norm,
    residual_block,
)
from ffm_core.errors import ModelError
from ffm_core.types import Float32

ARCHITECTURE = "Chronos2Model"
HORIZON = 64  # bars of one forecast
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Chronos2Shape:
    """What the graphs need to know of a ``config.json``."""

    d_model: int
    d_kv: int
    heads: int
    layers: int
    patch: int
    context_length: int
    horizon: int
    quantiles: tuple[float, ...]
    epsilon: float
    theta: float
    time_scale: int
    arcsinh: bool
    reg_token: int

    architecture = "chronos-2"

    @property
    def patches_ahead(self) -> int:
        """Patches of the longest forecast."""
        return self.horizon // self.patch


def shape2_of(config: Mapping[str, Any]) -> Chronos2Shape:
    """Read a configuration, and refuse what the graphs do not express.

    Raises
    ------
    ModelError
        When the checkpoint has a part that none published has.
    """
    own = config["chronos_config"]
    patch: int = own["input_patch_size"]
    feed = config.get("feed_forward_proj", "relu")
    refused = {
        f"feed_forward_proj {feed!r} (only relu is)": feed != "relu",
        "use_reg_token false (the last token stands for the window)":
            not own.get("use_reg_token", False),
        "patches that overlap": own.get("input_patch_stride") != patch,
        "output patches of another size": own.get("output_patch_size") != patch,
        "a context that is not a multiple of the patch": bool(own.get("context_length", 0) % patch),
    }  # fmt: skip
    for what, found in refused.items():
        if found:
            raise ModelError(f"the checkpoint has {what}, which is not converted", fix=FIX)
    most = own.get("max_output_patches", 1) * patch
    return Chronos2Shape(
        d_model=config["d_model"],
        d_kv=config["d_kv"],
        heads=config["num_heads"],
        layers=config["num_layers"],
        patch=patch,
        context_length=own["context_length"],
        horizon=min(HORIZON // patch * patch, most),
        quantiles=tuple(own["quantiles"]),
        epsilon=config.get("layer_norm_epsilon", 1e-6),
        theta=config.get("rope_theta", 10_000.0),
        time_scale=own.get("time_encoding_scale") or own["context_length"],
        arcsinh=bool(own.get("use_arcsinh", False)),
        reg_token=config.get("reg_token_id", 1),
    )


def encoder2(shape: Chronos2Shape, weights: Weights, *, float16: bool = False) -> onnx.ModelProto:
    """Return the graph from windows to the tokens of past and forecast."""
    g = Graph(weights, float16)
    x = _embedded(g, shape)
    bias = _mask_bias(g, shape)
    cos, sin = _rotation(g, shape, x)
    for i in range(shape.layers):
        block = f"encoder.block.{i}.layer"
        normed = norm(g, f"{block}.0", x, shape.epsilon)
        x = g.add("Add", x, _attention(g, f"{block}.0.self_attention", normed, bias, cos, sin,
                                       shape))  # fmt: skip
        alone = g.linear(f"{block}.1.self_attention.v", norm(g, f"{block}.1", x, shape.epsilon))
        x = g.add("Add", x, g.linear(f"{block}.1.self_attention.o", alone))
        normed = norm(g, f"{block}.2", x, shape.epsilon)
        hidden = g.add("Relu", g.linear(f"{block}.2.mlp.wi", normed))
        x = g.add("Add", x, g.linear(f"{block}.2.mlp.wo", hidden))
    norm(g, "encoder.final", x, shape.epsilon, out="tokens")
    given: Given = [("values", ["B", "L"]), ("mask", ["B", "L"])]
    return g.model(given, ("tokens", ["B", "T", shape.d_model]), counts=["ahead"])


def decoder2(shape: Chronos2Shape, weights: Weights, *, float16: bool = False) -> onnx.ModelProto:
    """Return the graph from the tokens of the forecast to its quantiles."""
    g = Graph(weights, float16)
    levels = len(shape.quantiles)
    x = residual_block(g, "output_patch_embedding", "tokens")
    x = g.add("Reshape", x, g.constant(np.array([0, 0, levels, shape.patch])))
    x = g.add("Transpose", x, perm=[0, 2, 1, 3])
    last = "" if shape.arcsinh else "quantiles"
    x = g.add("Reshape", x, g.constant(np.array([0, levels, -1])), name=last)
    if shape.arcsinh:
        g.add("Sinh", x, name="quantiles")
    given: Given = [("tokens", ["B", "F", shape.d_model])]
    return g.model(given, ("quantiles", ["B", levels, "H"]))


def _embedded(g: Graph, shape: Chronos2Shape) -> str:
    """Return patches, REG and the patches to forecast as tokens, (B, T, d_model)."""
    longest = shape.context_length // shape.patch
    values = g.add("Asinh", "values") if shape.arcsinh else "values"
    cut = g.constant(np.array([0, -1, shape.patch]))
    values, mask = (g.add("Reshape", name, cut) for name in (values, "mask"))
    first = g.add("Neg", g.add("Shape", values, start=1, end=2))
    end, axis = g.constant(np.array([_END])), g.constant(np.array([1]))
    past = g.constant(_times(-longest, 0, shape))
    past = g.add("Expand", g.add("Slice", past, first, end, axis), g.add("Shape", values))
    x = residual_block(g, "input_patch_embedding", g.add("Concat", past, values, mask, axis=-1))

    rows = g.add("Shape", "values", start=0, end=1)
    wide = g.add("Concat", rows, g.constant(np.array([1, shape.d_model])), axis=0)
    reg = g.weight("REG", g.weights["shared.weight"][None, shape.reg_token : shape.reg_token + 1])
    reg = g.add("Expand", reg, wide)

    # Of what is to come only the times are known.
    unknown = np.zeros((1, shape.patches_ahead, 2 * shape.patch), dtype=np.float32)
    known = np.concatenate([_times(0, shape.patches_ahead, shape), unknown], axis=-1)
    begin = g.constant(np.array([0]))
    coming = g.add("Slice", g.constant(known), begin, "ahead", axis)
    coming = residual_block(g, "input_patch_embedding", coming)
    coming = g.add("Expand", coming, wide)
    return g.add("Concat", x, reg, coming, axis=1)


def _times(first: int, last: int, shape: Chronos2Shape) -> Float32:
    """Return the times of the bars of patches, float32 (1, last - first, patch)."""
    steps = np.arange(first * shape.patch, last * shape.patch, dtype=np.float32)
    return (steps / np.float32(shape.time_scale)).reshape(1, -1, shape.patch)


def _mask_bias(g: Graph, shape: Chronos2Shape) -> str:
    """Return 0 for patches with a bar and all that follow, the lowest number elsewhere."""
    bars = g.add("Reshape", "mask", g.constant(np.array([0, 1, 1, -1, shape.patch])))
    seen = g.add("ReduceMax", bars, axes=[-1], keepdims=0)
    unseen = g.add("Sub", g.constant(np.array(1.0, dtype=np.float32)), seen)
    lowest = g.constant(np.array(np.finfo(np.float32).min / 2))
    after = g.add("Add", "ahead", g.constant(np.array([1])))
    pads = g.add("Concat", g.constant(np.zeros(7, dtype=np.int64)), after, axis=0)
    return g.add("Pad", g.add("Mul", unseen, lowest), pads)


def _rotation(g: Graph, shape: Chronos2Shape, x: str) -> tuple[str, str]:
    """Return cosine and signed sine of every position, (T, d_kv), cut from fixed tables."""
    longest = shape.context_length // shape.patch + 1 + shape.patches_ahead
    powers = np.arange(0, shape.d_kv, 2, dtype=np.float32) / np.float32(shape.d_kv)
    speeds = np.float32(1.0) / np.float32(shape.theta) ** powers
    angles = np.arange(longest, dtype=np.float32)[:, None] * speeds[None, :]
    tokens = g.add("Shape", x, start=1, end=2)
    begin, axis = g.constant(np.array([0])), g.constant(np.array([0]))
    cos, sin = np.cos(angles), np.sin(angles)
    tables = (np.hstack([cos, cos]), np.hstack([-sin, sin]))
    one, other = (g.add("Slice", g.constant(t), begin, tokens, axis) for t in tables)
    return one, other


def _rotated(g: Graph, x: str, cos: str, sin: str) -> str:
    low, high = g.split(x, 2)
    turned = g.add("Mul", g.add("Concat", high, low, axis=-1), sin)
    return g.add("Add", g.add("Mul", x, cos), turned)


def _attention(
    g: Graph, name: str, x: str, bias: str, cos: str, sin: str, shape: Chronos2Shape
) -> str:  # fmt: skip
    apart = g.constant(np.array([0, 0, shape.heads, shape.d_kv]))
    parts = g.split(g.linear([f"{name}.{part}" for part in "qkv"], x), 3)
    q, k, v = (
        g.add("Transpose", g.add("Reshape", part, apart), perm=[0, 2, 1, 3]) for part in parts
    )
    q, k = _rotated(g, q, cos, sin), _rotated(g, k, cos, sin)
    scores = g.add("Add", g.add("MatMul", q, g.add("Transpose", k, perm=[0, 1, 3, 2])), bias)
    mixed = g.add("MatMul", attention_weights(g, scores), v)
    back = g.add("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = g.add("Reshape", back, g.constant(np.array([0, 0, shape.heads * shape.d_kv])))
    return g.linear(f"{name}.o", joined)
