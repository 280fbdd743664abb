"""Fitting context heads: train, validation and calibration one after the other in time.

Train fits the trees, validation chooses their number, calibration maps what they say to
what it means and decides whether a head is weak. Each slice is purged by the time its
values were known, with a day between slices. Whatever lies after the end is not looked
at, so that a certificate can be written on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core import __version__
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.context.calibration import fit_band, fit_line, fit_probability
from ffm_core.context.heads import About, Head
from ffm_core.context.rows import (
    DAY_US,
    EMBARGO_DAYS,
    KINDS,
    ContextRows,
    between,
    rows_of,
    share_date,
)
from ffm_core.context.scoring import MEASURE, score_of
from ffm_core.context.settings import ContextSettings
from ffm_core.embed.cutoff import cut_offs
from ffm_core.embed.embedding import columns_of
from ffm_core.errors import ConfigError, SampleError
from ffm_core.features.library import find_set
from ffm_core.records import Column, Embedder, FeatureSet, TargetLearner
from ffm_core.runs.cache import Cache
from ffm_core.types import Float32, Int64

# Columns that need more history are left out: a row of heads must be reproducible from
# about a trading date, or it could be neither streamed nor falsified in useful time.
HISTORY_BARS, HISTORY_DAYS = 512, 1
_SHARES = (0.70, 0.85)  # of the span used: where validation and calibration begin
_RANGE = {"volatility": (0.0, 1.0), "trendiness": (0.0, 1.0), "fwd_return": (-4.0, 4.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedHeads:
    """Heads as they were fitted, those without rows enough by reason."""

    about: About
    heads: tuple[Head, ...]
    skipped: dict[str, str]


def fit(
    streams: Sequence[Bars],
    embedder: Embedder,
    learner: TargetLearner,
    *,
    settings: ContextSettings | None = None,
    home: Path | None = None,
    stage: Callable[[str, int], Callable[[int], None]] | None = None,
) -> TrainedHeads:
    """Fit context heads on some streams.

    Parameters
    ----------
    streams : sequence of Bars
        Pooled.
    embedder : Embedder
        Whose vectors, extras included, come first in the design.
    learner : TargetLearner
        Fits every head.
    settings : ContextSettings, optional
        How.
    home : pathlib.Path, optional
        ``FFM_HOME``: vectors and finished heads are kept there, so that an interrupted
        run goes on where it was.
    stage : callable, optional
        ``(name, total) -> advance`` to follow the work.

    Raises
    ------
    SampleError
        When no head has enough rows.
    ConfigError
        When a feature set has no column that a day of history reproduces.
    """
    how = settings or ContextSettings()
    watch = stage or (lambda name, total: lambda steps: None)
    sets = [find_set(name) for name in how.features]
    kept = {one.name: _short(one) for one in sets}
    end = share_date(streams, 1.0 - how.keep) if how.until_us is None else how.until_us
    used = [part for part in (_until(bars, end) for bars in streams) if len(part)]
    if not used:
        raise SampleError(
            f"no bar has closed by {to_stamp(end)}", fix="give a later --until or a longer series"
        )
    rows = rows_of(
        used, {embedder.name: embedder}, sets, stride=how.stride, home=home,
        advance=watch("rows", len(used)),
    )  # fmt: skip
    x = np.hstack([rows.blocks[embedder.name], *(rows.blocks[s.name][:, kept[s.name]]
                                                 for s in sets)])  # fmt: skip
    starts = tuple(share_date(used, share) for share in _SHARES)
    advance = watch("heads", len(how.targets))
    heads: list[Head] = []
    skipped: dict[str, str] = {}
    cutoff = 0
    for name in how.targets:
        parts = _slices(rows, name, starts, end)
        sizes = [len(part) for part in parts]
        if sizes[0] < how.min_train or min(sizes[1:]) < how.min_later:
            skipped[name] = (
                f"{sizes[0]}, {sizes[1]} and {sizes[2]} rows to train, validate and calibrate "
                f"on; at least {how.min_train}, {how.min_later} and {how.min_later} are needed"
            )
        else:
            heads.append(_head(rows, x, name, parts, learner, how, home))
            cutoff = max(cutoff, int(rows.t_end[name][np.concatenate(parts)].max()))
        advance(1)
    if not heads:
        name, why = next(iter(skipped.items()))
        raise SampleError(
            f"no head has enough rows; {name}: {why}",
            fix="give a longer series, a smaller --stride, or --keep 0",
        )
    about = _about(rows, embedder, learner, sets, kept, cutoff, starts, end, how)
    return TrainedHeads(about=about, heads=tuple(heads), skipped=skipped)


def _until(bars: Bars, end: int) -> Bars:
    """Return the bars that closed by ``end``; nothing later is looked at."""
    return bars[: int(np.searchsorted(bars.ts_us, end - bars.timeframe.us, side="right"))]


def _slices(rows: ContextRows, name: str, starts: tuple[int, ...], end: int) -> list[Int64]:
    """Return the rows to train, to validate and to calibrate on, each in order of time."""
    gap = EMBARGO_DAYS * DAY_US
    edges = (0, *starts, end + gap)
    parts = [between(rows, name, start, stop - gap) for start, stop in pairwise(edges)]
    return [part[np.argsort(rows.t_us[part], kind="stable")] for part in parts]


def _head(
    rows: ContextRows,
    x: Float32,
    name: str,
    parts: Sequence[Int64],
    learner: TargetLearner,
    how: ContextSettings,
    home: Path | None,
) -> Head:
    kind, y = KINDS[name], rows.value[name]
    train, validation, calibration = parts
    weight = rows.weight(name, train)
    x_train, x_validation = x[train], x[validation]

    def fit_anew() -> bytes:
        model = learner.fit_target(
            x_train, y[train], kind=kind, x_validation=x_validation,
            y_validation=y[validation], weight=weight, seed=how.seed, rounds=how.rounds,
        )  # fmt: skip
        return model.to_bytes()

    data = _kept(
        home, fit_anew, learner.name, kind, x_train, y[train], x_validation,
        y[validation], weight, how.seed, how.rounds or 0,
    )  # fmt: skip
    model = learner.load_target(data)
    said, value = model.predict(x[calibration]), y[calibration]
    mapped = fit_probability(said, value) if kind == "binary" else fit_line(said, value)
    low, high = _RANGE.get(name, (0.0, 1.0))
    meant = np.clip(mapped.apply(said), low, high)
    return Head(
        name=name, kind=kind, model=model, map=mapped,
        band=None if kind == "binary" else fit_band(meant, value),
        score=score_of(kind, said, value), low=low, high=high,
        facts={
            "measure": MEASURE[kind], "n_train": len(train),
            "n_validation": len(validation), "n_calibration": len(calibration),
            "effective_n": round(rows.effective(name, train), 1),
        },
    )  # fmt: skip


def _kept(home: Path | None, make: Callable[[], bytes], *what: object) -> bytes:
    """Return a fitted model, from the cache when one was fitted to the same rows."""
    if home is None:
        return make()
    cache = Cache(home)
    address = cache.key("context-head-1", __version__, *what)
    found = cache.get(address)
    if isinstance(found, bytes):
        return found
    data = make()
    cache.put(address, data)
    return data


def _short(feature_set: FeatureSet) -> Int64:
    """Return the columns that the allowed history reproduces."""

    def fits(column: Column) -> bool:
        own = column if column.memory is not None else feature_set
        bars, days = own.history_bars, own.history_days
        if bars is None and days is None:
            return False
        return (bars or 0) <= HISTORY_BARS and (days or 0) <= HISTORY_DAYS

    place = [k for k, column in enumerate(feature_set.columns) if fits(column)]
    if not place:
        raise ConfigError(
            f"feature set {feature_set.name!r} has no column that {HISTORY_BARS} bars and "
            f"{HISTORY_DAYS} trading day reproduce",
            fix="use ffm68 or trivial8",
        )
    return np.array(place, dtype=np.int64)


def _about(
    rows: ContextRows,
    embedder: Embedder,
    learner: TargetLearner,
    sets: Sequence[FeatureSet],
    kept: dict[str, Int64],
    cutoff: int,
    starts: tuple[int, ...],
    end: int,
    how: ContextSettings,
) -> About:
    blocks = {embedder.name: tuple(column.name for column in columns_of(embedder))}
    days = 0
    bars = embedder.context_bars
    for one in sets:
        chosen = [one.columns[k] for k in kept[one.name]]
        blocks[one.name] = tuple(column.name for column in chosen)
        for column in chosen:
            own = column if column.memory is not None else one
            bars, days = max(bars, own.history_bars or 0), max(days, own.history_days or 0)
    (own_cutoff,) = cut_offs((embedder,))
    seen = "" if embedder.fit_cutoff == "" else own_cutoff.day
    left_out = {one.name: len(one.columns) - len(kept[one.name]) for one in sets}
    facts: dict[str, Any] = {
        "streams": list(rows.streams), "rows": len(rows), "version": __version__,
        "train_until": to_stamp(starts[0]), "validate_until": to_stamp(starts[1]),
        "calibrate_until": to_stamp(end), "cutoff": to_stamp(cutoff), "left_out": left_out,
        # Newest day its weights may have seen: "" for none, None for unknown.
        "embedder_cutoff": seen if seen is None else str(seen),
        "settings": how.record("stride", "keep", "until_us", "rounds", "seed", "min_train",
                               "min_later"),
    }  # fmt: skip
    return About(
        embedder=embedder.name, identity=embedder.identity, blocks=blocks,
        sets={one.name: one.version for one in sets}, learner=learner.name, cutoff_us=cutoff,
        context_bars=embedder.context_bars, history_bars=bars, history_days=days or None,
        facts=facts,
    )  # fmt: skip
