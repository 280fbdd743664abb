"""Embeddings against the original way, on the same weights, threads and windows.

``embed float32``: ONNX Runtime against ``pipeline.embed`` of chronos-forecasting at its
best batch. ``embed bfloat16``: the opt-in backend against the same. ``cold start``: a
fresh process to its first embedding. ``walk-forward``: the embedding stage of 24 folds,
against a child process a fold that embeds every window of it.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.tools import peak_mb

GATE_FLOAT = 2.2  # or this share of the measured matrix-multiply peak:
GATE_PEAK = 0.8
GATE_BFLOAT = 4.0
GATE_COLD = 15.0
GATE_WALK = 10.0
WINDOWS = 2_048
REPEATS = 8
BATCHES = (64, 256, 1024)
FLOPS = 61.8e6  # of one window of 128 bars, matrix products alone
PRODUCT_ROWS = (576, 2_304)
PRODUCTS = ((256, 256), (256, 768), (256, 1_024), (1_024, 256))
FOLDS, PER_FOLD, STRIDE = 24, 1_024, 256  # a fold shares three quarters with the next


def windows(n: int) -> np.ndarray:
    """Return normalised windows of the simulated market, float32 (n, 128)."""
    from ffm_core.bars.simulate import market
    from ffm_core.embed.windows import windows_at

    bars = market("SIMA7", months=8)
    found = windows_at(bars, np.arange(127, len(bars), 3))
    return found.values[found.usable][:n]


def checkpoint(folder: Path) -> Path:
    """Write the model in the box as a checkpoint the original library loads."""
    from ffm_core.embed.catalogue import BOX
    from ffm_core.embed.workers.rebuild import rebuild

    model = rebuild(BOX)
    model.config.architectures = ["ChronosBoltModelForForecasting"]
    model.save_pretrained(folder)
    return folder


def best(calls: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """Time calls in turn; return the best seconds of each."""
    found = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def products(threads: int) -> Callable[[], object]:
    """Return a call that multiplies matrices for as many flops as the windows take.

    Shapes are those of the encoder, shape and library are the fastest: the rate of this call
    is the peak of the machine over the time that we are measured.
    """
    import torch
    from threadpoolctl import threadpool_limits

    def call(multiply: Callable[[], object], flops: float) -> Callable[[], None]:
        def repeated() -> None:
            with threadpool_limits(threads):  # for numpy; torch minds its own
                for _ in range(round(FLOPS * WINDOWS / flops)):
                    multiply()

        return repeated

    fastest, found = float("inf"), None
    for rows, (k, n) in itertools.product(PRODUCT_ROWS, PRODUCTS):
        a, b = torch.randn(rows, k), torch.randn(k, n)
        x, y = a.numpy(), b.numpy()
        ways = {
            "torch": lambda a=a, b=b: a @ b,
            "numpy": lambda x=x, y=y: x @ y,
            "onnxruntime": onnx_product(x, y, threads),
        }
        flops = 2.0 * rows * k * n
        with threadpool_limits(threads):
            for way, seconds in best(ways, repeats=60).items():
                if seconds / flops < fastest:
                    fastest, found = seconds / flops, call(ways[way], flops)
    assert found is not None
    return found


def onnx_product(x: np.ndarray, y: np.ndarray, threads: int) -> Callable[[], object]:
    """Return a call that multiplies in ONNX Runtime, whose products no library may outdo."""
    import onnx
    import onnxruntime

    node = onnx.helper.make_node("MatMul", ["x", "y"], ["z"])
    shape = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "product",
        [onnx.helper.make_tensor_value_info("x", shape, list(x.shape))],
        [onnx.helper.make_tensor_value_info("z", shape, [len(x), y.shape[1]])],
        [onnx.numpy_helper.from_array(y, "y")],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})


def throughput(threads: int) -> list[dict]:
    """Compare windows a second in one process, every side warm, best of several."""
    import torch
    from chronos import BaseChronosPipeline

    from ffm_core.embed.cards import read_card
    from ffm_core.embed.catalogue import BOX
    from ffm_core.embed.openvino_session import OpenvinoModel
    from ffm_core.embed.session import OnnxModel
    from ffm_core.errors import UnavailableError

    torch.set_num_threads(threads)
    given, card = windows(WINDOWS), read_card(BOX)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = BaseChronosPipeline.from_pretrained(checkpoint(Path(folder)))
    ours = OnnxModel(BOX, card, threads=threads)
    context = torch.from_numpy(given)

    def original(batch: int) -> np.ndarray:
        parts = [
            pipeline.embed(context[i : i + batch])[0].mean(dim=1)
            for i in range(0, len(given), batch)
        ]
        return torch.cat(parts).numpy()

    calls: dict[str, Callable[[], object]] = {
        f"pipeline {batch}": (lambda batch=batch: original(batch)) for batch in BATCHES
    }
    calls["onnx"] = lambda: ours.vectors(given, "mean")
    calls["peak"] = products(threads)
    half = OpenvinoModel(BOX, card, threads=threads)
    try:
        half.tokens(given[:1])
        calls["bfloat16"] = lambda: half.vectors(given, "mean")
    except UnavailableError as error:
        print(f"bfloat16 is left out: {error.problem}")
    seconds = best(calls)
    reference = min(seconds[f"pipeline {batch}"] for batch in BATCHES)
    exact = original(64)
    found = ours.vectors(given, "mean")
    ratio, share = reference / seconds["onnx"], seconds["peak"] / seconds["onnx"]
    rows = [
        row(
            f"embed float32 {threads}T", seconds["onnx"], reference, GATE_FLOAT,
            held=ratio >= GATE_FLOAT or share >= GATE_PEAK,
            parity=float(np.abs(found - exact).max()) <= 1e-5,
            absolute=f"{WINDOWS / seconds['onnx']:,.0f} windows/s, {share:.0%} of the peak "
            f"(gate {GATE_PEAK:.0%})",
        )
    ]  # fmt: skip
    if "bfloat16" in calls:
        rounded = half.vectors(given, "mean")
        rows.append(
            row(
                f"embed bfloat16 {threads}T", seconds["bfloat16"], reference, GATE_BFLOAT,
                absolute=f"{WINDOWS / seconds['bfloat16']:,.0f} windows/s, "
                f"{decisions_shared(found, rounded, given):.1%} of decisions alike",
            )
        )  # fmt: skip
    return rows


def decisions_shared(exact: np.ndarray, rounded: np.ndarray, given: np.ndarray) -> float:
    """Return how often a ridge head picks the same half of windows from both embeddings.

    The head is fitted on the exact embedding of the first half of the windows and asked
    for the volatility of the ten bars before the last; it picks the upper half.
    """
    target = np.log(np.diff(given[:, -11:], axis=1).std(axis=1) + 1e-6)
    half = len(given) // 2
    centre = exact[:half].mean(axis=0)
    x = exact[:half] - centre
    weights = np.linalg.solve(
        x.T @ x + 1e-2 * len(x) * np.eye(x.shape[1]) * x.var(), x.T @ (target[:half])
    )
    picks = []
    for vectors in (exact, rounded):
        score = (vectors[half:] - centre) @ weights
        picks.append(score > np.median(score))
    return float((picks[0] == picks[1]).mean())


_OURS = """
import numpy as np
from ffm_core.embed.catalogue import embedder_of
embedder_of("ffm-bolt-synth").embed(np.random.default_rng(0).standard_normal((1, 128)).astype("f4"))
"""
_THEIRS = """
import sys, torch
from chronos import BaseChronosPipeline
pipeline = BaseChronosPipeline.from_pretrained(sys.argv[1])
context = torch.load(sys.argv[2]) if len(sys.argv) > 2 else torch.randn(1, 128)
for i in range(0, len(context), 64):
    pipeline.embed(context[i : i + 64])[0].mean(dim=1)
"""


def cold() -> dict:
    """Compare whole processes that embed one window."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(checkpoint(Path(folder)))
        ours, reference = float("inf"), float("inf")
        for _ in range(5):
            reference = min(reference, process(_THEIRS, place))
            ours = min(ours, process(_OURS))
    return row("cold start", ours, reference, GATE_COLD, absolute=f"{ours * 1e3:.0f} ms")


def walk_forward() -> dict:
    """Compare the embedding stage of a walk-forward with a child process a fold."""
    import torch

    from ffm_core.embed.catalogue import embedder_of
    from ffm_core.embed.vectors import VectorCache

    given = windows(STRIDE * (FOLDS - 1) + PER_FOLD)
    folds = [given[k * STRIDE : k * STRIDE + PER_FOLD] for k in range(FOLDS)]
    embedder = embedder_of("ffm-bolt-synth:mean-bare")
    embedder.embed(given[:1])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        start = time.perf_counter()
        cache = VectorCache(place)
        cache.vectors(embedder.identity, given, embedder.dim, embedder.embed)
        for fold in folds:
            cache.vectors(embedder.identity, fold, embedder.dim, embedder.embed)
        ours = time.perf_counter() - start
        model = str(checkpoint(place / "model"))
        start = time.perf_counter()
        for fold in folds:
            torch.save(torch.from_numpy(np.ascontiguousarray(fold)), place / "in.pt")
            process(_THEIRS, model, str(place / "in.pt"))
        reference = time.perf_counter() - start
    return row(
        f"walk-forward {FOLDS} folds", ours, reference, GATE_WALK,
        absolute=f"{ours:.1f} s, the other way {reference:.0f} s",
    )  # fmt: skip


def process(code: str, *words: str) -> float:
    """Return the wall time of a Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *words], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def row(
    name: str, ours: float, reference: float, gate: float, *, absolute: str,
    held: bool | None = None, parity: bool = True,
) -> dict:  # fmt: skip
    """Return one line of the report."""
    ratio = reference / ours
    return {
        "name": name, "ours": ours, "ref": reference, "ratio": ratio, "gate": gate,
        "held": ratio >= gate if held is None else held, "parity": parity,
        "absolute": absolute, "peak_rss_mb": peak_mb(),
    }  # fmt: skip


def run() -> list[dict]:
    """Return every row; where torch and chronos are absent, say so and compare nothing."""
    try:
        import chronos  # noqa: F401
    except ImportError:
        print('the reference is absent: pip install "ffm-core[chronos]"')
        return []
    return [*throughput(1), *throughput(2), cold(), walk_forward()]


if __name__ == "__main__":
    rows = run()
    for line in rows:
        print(json.dumps(line))
    sys.exit(0 if rows and all(line["held"] and line["parity"] for line in rows) else 1)
