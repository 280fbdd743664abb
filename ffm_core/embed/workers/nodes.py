"""Parts that graphs are built of: nodes, weights, norms and residual blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ffm_core.errors import ModelError
from ffm_core.runs.cache import key
from ffm_core.types import Float32

Weights: TypeAlias = Mapping[str, Float32]
Given: TypeAlias = list[tuple[str, list[Any]]]

FIX = "choose a Chronos-Bolt or Chronos-2 checkpoint as it is published"
_OPSET = 17
_IR = 9
_FLOOR = -80.0  # of exponents; float32 has subnormal numbers below exp(-87.3)


class Graph:
    """Nodes and initialisers of one graph, in the order in which they are added."""

    def __init__(self, weights: Weights, float16: bool) -> None:
        self.weights = weights
        self.float16 = float16
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, onnx.TensorProto] = {}
        self.used: dict[str, str] = {}

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = name or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def split(self, x: str, parts: int) -> list[str]:
        """Cut the last axis into equal parts."""
        names = [f"Split_{len(self.nodes)}_{k}" for k in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], names, name=names[0], axis=-1))
        return names

    def constant(self, array: NDArray[Any]) -> str:
        """Store an array as it is; equal ones are stored once."""
        array = np.asarray(array)
        name = f"constant_{key(array.dtype.str, array.shape, array.tobytes().hex())[:12]}"
        self.stored.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, array: Float32) -> str:
        """Store a weight, in float16 if asked for; what comes back is float32."""
        if name not in self.used:
            kind = np.float16 if self.float16 else np.float32
            array = np.ascontiguousarray(array, dtype=kind)
            self.stored[name] = numpy_helper.from_array(array, name)
            wide = self.add("Cast", name, to=TensorProto.FLOAT) if self.float16 else name
            self.used[name] = wide
        return self.used[name]

    def matrix(self, name: str, x: str, plus: str = "") -> str:
        """Multiply a matrix (N, d) by one weight, and add a matrix or a row in the same step."""
        weight = self.weight(name, found(self.weights, f"{name}.weight").T)
        return self.add("Gemm", x, weight, *([plus] if plus else []))

    def bias(self, name: str) -> str:
        """Store the bias of a layer."""
        return self.weight(f"{name}.bias", found(self.weights, f"{name}.bias"))

    def linear(self, names: str | Sequence[str], x: str) -> str:
        """Multiply by one weight, or by several side by side."""
        names = [names] if isinstance(names, str) else names
        arrays = [found(self.weights, f"{name}.weight").T for name in names]
        return self.add("MatMul", x, self.weight("+".join(names), np.hstack(arrays)))

    def model(
        self, given: Given, out: tuple[str, list[Any]], *, counts: Sequence[str] = ()
    ) -> onnx.ModelProto:
        """Return the whole; ``counts`` are inputs that hold one int64."""
        inputs = [(name, TensorProto.FLOAT, dims) for name, dims in given]
        inputs += [(name, TensorProto.INT64, [1]) for name in counts]
        graph = helper.make_graph(
            self.nodes,
            "backbone",
            [helper.make_tensor_value_info(*item) for item in inputs],
            [helper.make_tensor_value_info(out[0], TensorProto.FLOAT, out[1])],
            initializer=list(self.stored.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="ffm")


def found(weights: Weights, name: str) -> Float32:
    """Return a weight, or say which one is missing."""
    if name not in weights:
        raise ModelError(f"the checkpoint has no weight {name!r}", fix=FIX)
    return weights[name]


def norm(g: Graph, name: str, x: str, epsilon: float, *, out: str = "") -> str:
    """Divide by the root mean square; spelled so that runtimes know and fuse it."""
    square = g.add("Pow", x, g.constant(np.array(2.0, dtype=np.float32)))
    mean = g.add("ReduceMean", square, axes=[-1], keepdims=1)
    floor = g.constant(np.array(epsilon, dtype=np.float32))
    root = g.add("Sqrt", g.add("Add", mean, floor))
    full = f"{name}_layer_norm" if name.endswith("final") else f"{name}.layer_norm"
    weight = g.weight(full, found(g.weights, f"{full}.weight"))
    return g.add("Mul", g.add("Div", x, root), weight, name=out)


def attention_weights(g: Graph, scores: str) -> str:
    """Take the softmax of scores, (..., T), none further than :data:`_FLOOR` below the largest.

    Further down a weight would be subnormal: it changes no bit of what attention returns,
    and processors take some sixty times as long over it.
    """
    below = g.add("Sub", scores, g.add("ReduceMax", scores, axes=[-1], keepdims=1))
    floor = g.constant(np.array(_FLOOR, dtype=np.float32))
    return g.add("Softmax", g.add("Clip", below, floor), axis=-1)


def residual_block(g: Graph, name: str, x: str) -> str:
    """Add two layers with a third beside them, as inputs and outputs are embedded."""

    def layer(part: str, given: str) -> str:
        return g.add("Add", g.linear(f"{name}.{part}", given), g.bias(f"{name}.{part}"))

    hidden = g.add("Relu", layer("hidden_layer", x))
    return g.add("Add", layer("output_layer", hidden), layer("residual_layer", x))
