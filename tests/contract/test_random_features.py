"""A thousand random causal features raise no alarm; with a look ahead each raises one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ffm_core.bars.primitives import frozen
from ffm_core.causal.falsify import falsify
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.features.expressions import expression_set
from ffm_core.records import Column, FeatureSet
from ffm_core.testing import make_bars
from ffm_core.testing.building import lagged, windows

# Hypothesis begins with the simplest example of all, bare prices; four others follow it.
SETS, COLUMNS, EXAMPLES = 10, 36, 4
BARS = make_bars("trend", rows=400, seed=5)
QUICK = settings(
    max_examples=EXAMPLES + 1,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Node:
    """An operation on earlier ones; ``size`` is a lag or a window in bars."""

    kind: str
    inputs: tuple[Node, ...] = ()
    size: int = 0

    @property
    def history(self) -> float:
        """Bars that suffice, or infinity."""
        inner = max((node.history for node in self.inputs), default=1)
        if self.kind in ("lag", "diff"):
            return inner + self.size
        if self.kind in ("mean", "std", "min", "max"):
            return inner + self.size - 1
        return np.inf if self.kind == "ewm" else inner


LEAVES = st.sampled_from(["open", "high", "low", "close", "volume"]).map(Node)
EXACT = ("lag", "diff", "min", "max", "abs", "add", "sub", "ratio", "above", "choose")
ALL = (*EXACT, "mean", "std", "ewm")
ARITY = {"add": 2, "sub": 2, "ratio": 2, "above": 2, "choose": 3}


def _grown(kinds):
    def extend(inner):
        def of(kind):
            parts = st.tuples(*[inner] * ARITY.get(kind, 1))
            return st.builds(Node, st.just(kind), parts, st.integers(2, 12))

        return st.sampled_from(kinds).flatmap(of)

    return st.recursive(LEAVES, extend, max_leaves=6).filter(lambda node: node.inputs)


# --- two ways to compute a node -----------------------------------------------------------------


def in_polars(node: Node) -> pl.Expr:
    parts = [in_polars(part) for part in node.inputs]
    n = node.size
    match node.kind:
        case "lag":
            return parts[0].shift(n)
        case "lead":
            return parts[0].shift(-1)
        case "diff":
            return parts[0] - parts[0].shift(n)
        case "mean":
            return parts[0].rolling_mean(n)
        case "std":
            return parts[0].rolling_std(n)
        case "min":
            return parts[0].rolling_min(n)
        case "max":
            return parts[0].rolling_max(n)
        case "ewm":
            return parts[0].ewm_mean(span=n, adjust=False, ignore_nulls=True)
        case "abs":
            return parts[0].abs()
        case "add":
            return parts[0] + parts[1]
        case "sub":
            return parts[0] - parts[1]
        case "ratio":
            return parts[0] / (parts[1].abs() + 1.0)
        case "above":
            return (parts[0] > parts[1]).cast(pl.Float64)
        case "choose":
            return pl.when(parts[0] > parts[1]).then(parts[1]).otherwise(parts[2])
    return pl.col(node.kind).cast(pl.Float64)


def in_numpy(node: Node, bars) -> np.ndarray:
    parts = [in_numpy(part, bars) for part in node.inputs]
    n = node.size
    match node.kind:
        case "lag":
            return lagged(parts[0], n)
        case "lead":
            return np.append(parts[0][1:], np.nan)[: len(bars)]
        case "diff":
            return parts[0] - lagged(parts[0], n)
        case "mean":
            return windows(parts[0], n).mean(axis=1)
        case "std":
            return windows(parts[0], n).std(axis=1)
        case "min":
            return windows(parts[0], n).min(axis=1)
        case "max":
            return windows(parts[0], n).max(axis=1)
        case "ewm":
            return _smooth(parts[0], 2.0 / (n + 1.0))
        case "abs":
            return np.abs(parts[0])
        case "add":
            return parts[0] + parts[1]
        case "sub":
            return parts[0] - parts[1]
        case "ratio":
            return parts[0] / (np.abs(parts[1]) + 1.0)
        case "above":
            return (parts[0] > parts[1]).astype(np.float64)
        case "choose":
            return np.where(parts[0] > parts[1], parts[1], parts[2])
    return frozen(bars[node.kind])


def _smooth(values, weight):
    out, level = np.full(len(values), np.nan), np.nan
    for i, value in enumerate(values.tolist()):
        if value == value:
            level = value if level != level else level + weight * (value - level)
        out[i] = level
    return out


def as_set(name: str, nodes: list[Node], *, exact: bool) -> FeatureSet:
    """A set of polars columns when its name is even, of numpy columns when it is odd."""
    columns = [Column(name=f"c{i}", unit="any", missing="early") for i in range(len(nodes))]
    history = max(int(node.history) for node in nodes) if exact else None
    if int(name.rpartition("-")[2]) % 2 == 0:
        expressions = dict(zip(columns, map(in_polars, nodes), strict=True))
        return expression_set(
            name, expressions, warmup_bars=60, history_bars=history, memory="finite"
        )

    def batch(bars):
        made = [in_numpy(node, bars).astype(np.float32) for node in nodes]
        return np.stack(made, axis=1)

    return FeatureSet(
        name=name,
        columns=tuple(columns),
        batch=batch,
        warmup_bars=60,
        history_bars=history,
        memory="finite",
    )


def _judged(sets: list[FeatureSet], detectors, cuts: int):
    subjects = [FeatureSubject(feature_set, None) for feature_set in sets]
    return falsify(subjects, BARS, seed=1, decision_bars=[], max_cuts=cuts, detectors=detectors)


def _tables(kinds, sets=SETS // 2):
    return st.lists(
        st.lists(_grown(kinds), min_size=COLUMNS, max_size=COLUMNS, unique=True),
        min_size=sets,
        max_size=sets,
    )


def test_random_causal_features_raise_no_alarm():
    seen: set[Node] = set()

    @QUICK
    @given(_tables(EXACT), _tables(ALL))
    def judged(exact, every):
        seen.update(node for nodes in (*exact, *every) for node in nodes)
        _require_no_alarm(exact, every)

    judged()
    assert len(seen) >= 1_000


def _require_no_alarm(exact, every):
    sets = [as_set(f"exact-{i}", nodes, exact=True) for i, nodes in enumerate(exact)]
    sets += [as_set(f"every-{i}", nodes, exact=False) for i, nodes in enumerate(every)]
    found = _judged(sets, None, 16)
    assert sum(len(made.columns) for made in sets) == SETS * COLUMNS
    assert [c.failures for c in found if c.status != "clean"] == []
    assert all(certificate.cuts >= 10 for certificate in found)


@settings(QUICK, max_examples=2)
@given(_tables(ALL, 2))
def test_the_same_features_with_a_look_ahead_are_all_caught(tables):
    leak = Node("lead", (Node("close"),))
    sets = [
        as_set(f"leaky-{i}-{j}", [Node("add", (node, leak))], exact=False)
        for i, nodes in enumerate(tables)
        for j, node in enumerate(nodes)
    ]
    found = _judged(sets, {"prefix"}, 16)
    assert len(found) == 2 * COLUMNS
    missed = [c.subjects for c in found if not any(f.check == "prefix" for f in c.failures)]
    assert missed == []


def test_both_ways_to_compute_agree():
    leaf, other = Node("close"), Node("low")
    for kind in (*ALL, "lead"):
        inputs = (leaf, other, Node("high"))[: ARITY.get(kind, 1)]
        node = Node(kind, inputs, 5)
        a = BARS.frame.select(in_polars(node)).to_series().to_numpy()
        b = in_numpy(node, BARS)
        if kind == "std":
            b = b * np.sqrt(5 / 4)
        np.testing.assert_allclose(a[10:-1], b[10:-1], rtol=1e-6, err_msg=kind)
