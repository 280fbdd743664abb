"""What an embedding knows about the next bars, beside what is known without it.

Every arm fits the same trees on the same rows to the same target and is scored on the
same later rows; only its columns differ. Two of the arms are there to fail: labels
shuffled, and an embedding of noise. A fit to shuffled labels is a random function of the
embedding; where the embedding knows much, such a function is right or wrong by luck, so
several shuffles are drawn and their scores averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.context.rows import (
    KINDS,
    ContextRows,
    before,
    between,
    rows_of,
    seen_warnings,
    share_date,
)
from ffm_core.context.scoring import (
    MEASURE,
    ScoreEstimate,
    days_of,
    interval,
    or_usual,
    samples_of,
    score_of,
)
from ffm_core.context.settings import ContextSettings
from ffm_core.embed.stats import STATS
from ffm_core.errors import SampleError
from ffm_core.features.library import built_in
from ffm_core.keyed import keyed
from ffm_core.records import Embedder, TargetLearner
from ffm_core.types import Float32, Float64, Int64

TEST_SHARE = 0.3
POOLED = "all"
_BARE, _FULL, _RANDOM, _STATS = "embedding", "embedding+extras", "random weights", "stats"
# What is compared with what; the reader asks what the first adds to the second.
PAIRS = (
    (_BARE, "trivial8"), (_BARE, "ffm68"), (_BARE, _RANDOM), (_BARE, _STATS),
    (_BARE, "persistence"), (_BARE, "shuffle"), (_BARE, "noise"),
    (_FULL, "trivial8"), (_FULL, "ffm68"), (_FULL, _BARE),
    ("embedding+ffm68", "ffm68"), ("embedding+ffm68", "trivial8"),
    ("embedding+ffm68", "trivial8+ffm68"), ("embedding+ffm68", "stats+ffm68"),
    ("stats+ffm68", "ffm68"), ("ffm68", "trivial8"), ("trivial8+ffm68", "ffm68"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One target on one scope: all streams together, or one of them.

    ``effective`` is the number of test labels less what they share with others.
    """

    target: str
    measure: str
    scope: str
    n_train: int
    n_test: int
    n_days: int
    effective: float
    mean: float  # of the test values; the share of class 1
    scores: Mapping[str, ScoreEstimate]
    differences: Mapping[tuple[str, str], ScoreEstimate]
    shuffle_sd: float = 0.0  # from one draw of shuffled labels to another


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Everything a probe found."""

    embedder: str
    random: str
    streams: tuple[str, ...]
    test_from: str
    arms: tuple[str, ...]
    results: tuple[ProbeResult, ...]
    skipped: Mapping[str, str]
    left_out: Mapping[str, int]
    settings: ContextSettings
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str, scope: str = POOLED) -> ProbeResult:
        """Return the result of a target."""
        return next(r for r in self.results if (r.target, r.scope) == (name, scope))


def probe(
    streams: Sequence[Bars],
    embedder: Embedder,
    learner: TargetLearner,
    *,
    random: Embedder | None = None,
    settings: ContextSettings | None = None,
    home: Path | None = None,
    stage: Callable[[str, int], Callable[[int], None]] | None = None,
) -> Probe:
    """Probe an embedder on some streams.

    Parameters
    ----------
    streams : sequence of Bars
        Pooled for fitting; scored together and one by one.
    embedder : Embedder
        Probed without its extras, and with them where it has some.
    learner : TargetLearner
        Fits every arm.
    random : Embedder, optional
        The same architecture with random weights, another arm.
    settings : ContextSettings, optional
        How.
    home : pathlib.Path, optional
        ``FFM_HOME``, whose cache of vectors is used.
    stage : callable, optional
        ``(name, total) -> advance`` to follow the work.

    Raises
    ------
    SampleError
        When no target has enough rows.
    """
    how = settings or ContextSettings()
    watch = stage or (lambda name, total: lambda steps: None)
    embedders = {_FULL: embedder}
    if embedder.name != STATS.name:
        embedders[_STATS] = bare(STATS)
    if random is not None:
        embedders[_RANDOM] = bare(random)
    rows = rows_of(
        streams, embedders, [built_in("trivial8"), built_in("ffm68")], stride=how.stride,
        home=home, advance=watch("rows", len(streams)),
    )  # fmt: skip
    start = share_date(streams, 1.0 - TEST_SHARE) if how.from_us is None else how.from_us
    arms = _designs(rows, embedder, how.seed)
    names = (*arms, "persistence", "shuffle")
    advance = watch("heads", len(how.targets) * (len(arms) + how.shuffles))
    results: list[ProbeResult] = []
    skipped: dict[str, str] = {}
    for name in how.targets:
        train, test = before(rows, name, start), between(rows, name, start)
        if len(train) < how.min_train or len(test) < how.min_later:
            skipped[name] = (
                f"{len(train)} training and {len(test)} test rows; at least {how.min_train} and "
                f"{how.min_later} are needed"
            )
            advance(len(arms) + how.shuffles)
            continue
        predictions = _predictions(rows, name, train, test, arms, learner, how, advance)
        results += _results(rows, name, train, test, predictions, how)
    if not results:
        name, why = next(iter(skipped.items()))
        raise SampleError(
            f"no target has enough rows; {name}: {why}",
            fix="give a longer series, an earlier --from-test, or a smaller --stride",
        )
    return Probe(
        embedder=embedder.name, random="" if random is None else random.name,
        streams=rows.streams, test_from=to_stamp(start), arms=names, results=tuple(results),
        skipped=skipped, left_out=rows.left_out, settings=how,
        warnings=seen_warnings(embedder, start),
    )  # fmt: skip


def _designs(rows: ContextRows, embedder: Embedder, seed: int) -> dict[str, Float32]:
    """Return the columns of every arm that is fitted to the true labels."""
    trivial, rich, full = rows.blocks["trivial8"], rows.blocks["ffm68"], rows.blocks[_FULL]
    plain = np.ascontiguousarray(full[:, : embedder.dim])
    arms = {_BARE: plain}
    if full.shape[1] > embedder.dim:
        arms[_FULL] = full
    arms |= {name: rows.blocks[name] for name in (_RANDOM, _STATS) if name in rows.blocks}
    if _STATS in arms:
        arms["stats+ffm68"] = np.hstack([arms[_STATS], rich])
    return arms | {
        "trivial8": trivial,
        "ffm68": rich,
        "trivial8+ffm68": np.hstack([trivial, rich]),
        "embedding+ffm68": np.hstack([plain, rich]),
        "noise": keyed(seed, "noise embedding").standard_normal(plain.shape).astype(np.float32),
    }


def _predictions(
    rows: ContextRows,
    name: str,
    train: Int64,
    test: Int64,
    arms: Mapping[str, Float32],
    learner: TargetLearner,
    how: ContextSettings,
    advance: Callable[[int], None],
) -> dict[str, tuple[Float64, ...]]:
    """Fit every arm on ``train``; return what it says of ``test``, once a draw."""
    y, weight = rows.value[name][train], rows.weight(name, train)
    tasks = [(arm, x, y) for arm, x in arms.items()]
    for draw in range(how.shuffles):
        order = keyed(how.seed, "shuffled labels", name, draw).permutation(len(train))
        tasks.append(("shuffle", arms[_BARE], y[order]))

    def fit(task: tuple[str, Float32, Float64]) -> Float64:
        _, x, labels = task
        head = learner.fit_target(
            x[train], labels, kind=KINDS[name], weight=weight, seed=how.seed, rounds=how.rounds
        )
        answer = head.predict(x[test])
        advance(1)
        return answer

    found: dict[str, tuple[Float64, ...]] = {}
    with ThreadPoolExecutor(how.jobs) as pool:
        for (arm, _, _), answer in zip(tasks, pool.map(fit, tasks), strict=True):
            found[arm] = (*found.get(arm, ()), answer)
    last = rows.persistence[name]
    return found | {"persistence": (or_usual(last[test], last[train]),)}


def _results(
    rows: ContextRows,
    name: str,
    train: Int64,
    test: Int64,
    predictions: Mapping[str, tuple[Float64, ...]],
    how: ContextSettings,
) -> list[ProbeResult]:
    """Score the arms on all test rows and on those of each stream."""
    place, counts = days_of(
        rows.day[test], resamples=how.resamples, block_days=how.block_days, seed=how.seed
    )
    scopes = {POOLED: np.ones(len(test), dtype=np.bool_)} | rows.by_stream(test)
    out = []
    for scope, mine in scopes.items():
        if mine.sum() < how.min_later:
            continue
        value, at = rows.value[name][test][mine], place[mine]
        kind = KINDS[name]
        drawn = {
            arm: [score_of(kind, p[mine], value) for p in draws]
            for arm, draws in predictions.items()
        }
        points = {arm: float(np.mean(scores)) for arm, scores in drawn.items()}
        resampled = {
            arm: np.mean([samples_of(kind, p[mine], value, at, counts) for p in draws], axis=0)
            for arm, draws in predictions.items()
        }
        fitted = rows.stream[train] == rows.streams.index(scope) if scope != POOLED else train >= 0
        out.append(ProbeResult(
            target=name, measure=MEASURE[kind], scope=scope, n_train=int(fitted.sum()),
            n_test=len(value), n_days=len(np.unique(at)),
            effective=rows.effective(name, test[mine]), mean=float(value.mean()),
            scores={arm: interval(points[arm], resampled[arm]) for arm in predictions},
            differences={
                (one, other): interval(
                    points[one] - points[other], resampled[one] - resampled[other]
                )
                for one, other in PAIRS if one in points and other in points
            },
            shuffle_sd=float(np.std(drawn["shuffle"], ddof=min(how.shuffles - 1, 1))),
        ))  # fmt: skip
    return out


def bare(embedder: Embedder) -> Embedder:
    """Return an embedder without the host's extra columns."""
    return replace(embedder, extras=())
