"""Asking fitted heads: at some bars, at longer bars, and as the feature set ``ctx7``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.context.heads import MANIFEST, PREFIX, Head, Manifest, read_manifest, read_model
from ffm_core.context.stored_vectors import vectors_at
from ffm_core.embed.blocks import find_embedder
from ffm_core.embed.catalogue import embedder_of
from ffm_core.embed.embedding import columns_of
from ffm_core.errors import ConfigError, ModelError, UnavailableError
from ffm_core.features.library import find_set
from ffm_core.host.registry import Host
from ffm_core.labels.targets import target
from ffm_core.paths import ffm_home, is_folder_name, kind_of
from ffm_core.records import Column, Embedder, FeatureSet, TargetLearner, answers
from ffm_core.types import Bool, Float32, Float64, Int64

NAME = "ctx7"
COMMAND = "ffm context train --data ES=es_5m.csv"
Policy: TypeAlias = Literal["raise", "mask"]


def context_home() -> Path:
    """Return the folder of fitted heads, under ``FFM_HOME``."""
    return ffm_home() / "context"


def bundle_folder(name: str) -> Path:
    """Return where a bundle of a name lies or will lie.

    Raises
    ------
    ConfigError
        When it is no name for a bundle.
    """
    if not is_folder_name(name):
        raise ConfigError(
            f"{name!r} cannot be a name for context heads",
            fix="use lower-case letters, digits, '_', '-' and '.'; begin with a letter or digit",
        )
    return context_home() / name


def folder_of(name: str) -> Path:
    """Return the folder of a bundle by name.

    Raises
    ------
    UnavailableError
        When no heads of that name have been fitted on this machine.
    """
    folder = bundle_folder(name)
    if kind_of(folder / MANIFEST) != "file":
        raise UnavailableError(
            f"no context heads named {name!r} have been fitted on this machine",
            fix=f"run '{COMMAND}'" + ("" if name == NAME else f" with --name {name}"),
        )
    return folder


@dataclass(frozen=True)
class ContextHeads:
    """Fitted heads; models and weights are read on first use.

    Parameters
    ----------
    folder : pathlib.Path
        Where they lie.
    manifest : Manifest
        What they are.
    embedder : Embedder
        Whose vectors they read.
    """

    folder: Path
    manifest: Manifest
    embedder: Embedder

    @classmethod
    def load(cls, where: str | Path, *, embedder: Embedder | None = None) -> ContextHeads:
        """Open a bundle by folder or by name.

        Parameters
        ----------
        where : str or pathlib.Path
            A folder, or the name of a bundle under ``FFM_HOME``.
        embedder : Embedder, optional
            The embedder, when it is a plug-in's; default ours of the bundle's name.

        Raises
        ------
        UnavailableError
            When there is no such bundle, or its embedder or learner is not here.
        ModelError
            When it has been changed, or the embedder's weights are others.
        """
        folder = where if isinstance(where, Path) else folder_of(where)
        manifest = read_manifest(folder)
        found = embedder_of(manifest.about.embedder) if embedder is None else embedder
        if found.identity != manifest.about.identity:
            raise ModelError(
                f"the heads in {folder} were fitted to other weights of {found.name!r}: "
                f"{manifest.about.identity[:12]}, the installed ones are {found.identity[:12]}",
                fix=f"restore those weights, or refit: {COMMAND}",
            )
        return cls(folder, manifest, found)

    @classmethod
    def named(cls, name: str, host: Host) -> ContextHeads:
        """Open a bundle by name; its embedder may be a plug-in's that ``host`` knows."""
        wanted = read_manifest(folder_of(name)).about.embedder
        found = find_embedder(wanted, host)
        return cls.load(name, embedder=found if isinstance(found, Embedder) else found.record)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Every head; files are verified."""
        learner = _learner(self.manifest.about.learner)
        return tuple(
            Head.of(entry, learner.load_target(read_model(self.folder, entry)))
            for entry in self.manifest.entries
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(f"{PREFIX}{name}" for name in self.manifest.names)

    @property
    def cutoff_us(self) -> int:
        """Close of the newest bar that any label looked at, microseconds UTC."""
        return self.manifest.about.cutoff_us

    def design(self, bars: Bars, at: Int64) -> Float32:
        """Return the columns the heads read at some bars, float32 (N, F).

        Raises
        ------
        ModelError
            When a feature set is not the one the heads were fitted on.
        """
        about = self.manifest.about
        parts = []
        for name, wanted in about.blocks.items():
            if name == about.embedder:
                found = vectors_at(self.embedder, bars, at)
                parts.append(_chosen(name, wanted, columns_of(self.embedder), found.rows))
                continue
            record = find_set(name)
            if record.version != about.sets[name]:
                raise ModelError(
                    f"the heads were fitted to {name} version {about.sets[name]}, this is "
                    f"{record.version}",
                    fix=f"refit them: {COMMAND}",
                )
            rows = answers.features(record, record.batch(bars), bars)[at]
            parts.append(_chosen(name, wanted, record.columns, rows))
        return np.hstack(parts) if len(at) else np.empty((0, about.width), dtype=np.float32)

    def predict(self, x: Float32) -> dict[str, Float64]:
        """Return what the heads say of rows float32 (N, F), by target.

        Raises
        ------
        ConfigError
            When the rows have another width than those the heads were fitted on.
        """
        if x.ndim != 2 or x.shape[1] != self.manifest.about.width:
            raise ConfigError(
                f"context heads take {self.manifest.about.width} columns, got {x.shape}",
                fix="take the rows from design()",
            )
        return {head.name: head.predict(x) for head in self.heads}

    def context_at(self, bars: Bars, at: Int64, *, policy: Policy = "raise") -> dict[str, Float32]:
        """Return the columns at some bars.

        Parameters
        ----------
        bars : Bars
            ``T`` bars, with as much history as the bundle declares.
        at : int64 (N,)
            Decision bars; each answer uses bars up to and including its own.
        policy : {"raise", "mask"}
            What happens at bars at or before the fit's cut-off, which the heads have
            seen the future of: an error, or NaN.

        Returns
        -------
        dict of str to float32 (N,)
            ``ctx_…`` by name; NaN where the window cannot be embedded.

        Raises
        ------
        ConfigError
            For a bar outside ``bars``, or one the heads have seen under ``raise``.
        """
        at = np.ascontiguousarray(at, dtype=np.int64)
        answers, fresh = self._answers(bars, at, policy)
        out = {}
        for name, values in answers.items():
            out[f"{PREFIX}{name}"] = np.full(len(at), np.nan, dtype=np.float32)
            out[f"{PREFIX}{name}"][fresh] = values.astype(np.float32)
        return out

    def intervals_at(
        self, bars: Bars, at: Int64, *, policy: Policy = "raise"
    ) -> dict[str, tuple[Float32, Float32]]:
        """Return the 80 % intervals of the regressions; as :meth:`context_at`."""
        at = np.ascontiguousarray(at, dtype=np.int64)
        answers, fresh = self._answers(bars, at, policy)
        out = {}
        for head in self.heads:
            if head.band is not None and head.name in answers:
                ends = []
                for values in head.band.apply(answers[head.name]):
                    column = np.full(len(at), np.nan, dtype=np.float32)
                    column[fresh] = np.where(np.isnan(answers[head.name]), np.nan, values)
                    ends.append(column)
                out[f"{PREFIX}{head.name}"] = (ends[0], ends[1])
        return out

    def htf_context_at(
        self, bars: Bars, at: Int64, timeframe: str, *, policy: Policy = "raise"
    ) -> dict[str, Float32]:
        """Return the columns of the longer bar that was complete last at each bar.

        Longer bars begin at whole multiples of their length, UTC, and count as complete
        when they end at or before the close of the decision bar. Bars that share a longer
        bar share one answer, computed once. NaN before enough longer bars are complete.

        Raises
        ------
        ConfigError
            When the longer bar is no multiple of the bars, or as in :meth:`context_at`.
        """
        at = np.ascontiguousarray(at, dtype=np.int64)
        self._check(bars, at)
        longer = Timeframe.parse(timeframe)
        if longer.us % bars.timeframe.us or longer.us <= bars.timeframe.us:
            raise ConfigError(
                f"{longer.name} bars cannot be built from {bars.timeframe.name} bars",
                fix="choose a longer bar length that is a multiple",
            )
        slow = coarser(bars, longer)
        decided = bars.ts_us[at] + bars.timeframe.us
        place = np.searchsorted(slow.ts_us + longer.us, decided, side="right") - 1
        known = place >= self.manifest.about.context_bars - 1
        unique, back = np.unique(place[known], return_inverse=True)
        found = self.context_at(slow, unique, policy=policy)
        out = {}
        for name, values in found.items():
            out[name] = np.full(len(at), np.nan, dtype=np.float32)
            out[name][known] = values[back]
        return out

    def _check(self, bars: Bars, at: Int64) -> None:
        if len(at) and not 0 <= int(at.min()) <= int(at.max()) < len(bars):
            raise ConfigError(
                f"context was requested at bars {int(at.min())} to {int(at.max())} of {len(bars)}",
                fix=f"give bars from 0 to {len(bars) - 1}",
            )

    def _answers(self, bars: Bars, at: Int64, policy: Policy) -> tuple[dict[str, Float64], Bool]:
        """Return the answers at the bars the heads have not seen, and which those are."""
        self._check(bars, at)
        fresh = bars.ts_us[at] + bars.timeframe.us > self.cutoff_us
        if policy == "raise" and not fresh.all():
            first = int(at[~fresh][0])
            raise ConfigError(
                f"bar {first} ({to_stamp(int(bars.ts_us[first]))}) of {bars.stream} is at or "
                f"before {to_stamp(self.cutoff_us)}: these heads were fitted to what followed it",
                fix="request later bars, or refit the heads on older data with --until",
            )
        x = self.design(bars, at[fresh])
        answers = self.predict(x)
        # The vector comes first in the design; NaN in it marks a window that is no use.
        blind = np.isnan(x[:, 0]) if len(x) else np.zeros(0, dtype=np.bool_)
        return {name: np.where(blind, np.nan, values) for name, values in answers.items()}, fresh


def _chosen(
    name: str, wanted: tuple[str, ...], columns: tuple[Column, ...], rows: Float32
) -> Float32:
    place = {column.name: k for k, column in enumerate(columns)}
    missing = [column for column in wanted if column not in place]
    if missing:
        raise ModelError(
            f"{name} no longer has the column {missing[0]!r}", fix=f"refit the heads: {COMMAND}"
        )
    return np.ascontiguousarray(rows[:, [place[column] for column in wanted]])


def _learner(name: str) -> TargetLearner:
    from ffm_core.host.loading import open_host

    found = open_host(None, ()).learner(name).record
    if not isinstance(found, TargetLearner):
        raise ConfigError(f"learner {name!r} cannot read context heads", fix="use --learner xgb")
    return found


def coarser(bars: Bars, timeframe: Timeframe) -> Bars:
    """Return the longer bars that bars fill, the last one perhaps not complete.

    Buckets begin at whole multiples of the length since 1970, UTC.
    """
    start = (bars.ts_us // timeframe.us) * timeframe.us
    aggregates = [
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
        pl.col("close").last(), pl.col("volume").sum(),
    ]  # fmt: skip
    if "contract" in bars.frame.columns:
        aggregates.append(pl.col("contract").last())
    frame = (
        bars.frame.with_columns(pl.Series("bucket", start))
        .group_by("bucket", maintain_order=True)
        .agg(aggregates)
        .with_columns(pl.col("bucket").cast(pl.Datetime("us", "UTC")).alias("ts"))
    )
    names = ["ts", *(n for n in bars.frame.columns if n in frame.columns and n != "ts")]
    return Bars(frame.select(names), bars.instrument, timeframe)


@lru_cache(maxsize=4)
def _opened(folder: Path, version: str) -> ContextHeads:
    heads = ContextHeads.load(folder)
    if heads.manifest.version != version:
        raise ModelError(f"{folder} was replaced while it was in use", fix="start again")
    return heads


def _batch(folder: Path, version: str, bars: Bars) -> Float32:
    """Return the columns of every bar; NaN at bars the heads have seen."""
    heads = _opened(folder, version)
    at = np.arange(len(bars), dtype=np.int64)
    found = heads.context_at(bars, at, policy="mask")
    return np.column_stack([found[name] for name in heads.columns])


def feature_set(name: str = NAME) -> FeatureSet:
    """Return fitted heads as a feature set.

    Raises
    ------
    UnavailableError
        When none of that name are fitted, or none of them passed its gate.
    ModelError
        When the bundle has been changed.
    """
    folder = folder_of(name)
    manifest = read_manifest(folder)
    about = manifest.about
    if len(manifest.weak) == len(manifest.names):
        raise UnavailableError(
            f"none of the context heads in {name!r} passed its gate",
            fix="fit them to more data, or with another embedder",
        )
    return FeatureSet(
        name=name,
        columns=tuple(_column(head, weak=head in manifest.weak) for head in manifest.names),
        batch=partial(_batch, folder, manifest.version),
        warmup_bars=about.context_bars - 1,
        history_bars=max(about.history_bars, about.context_bars),
        history_days=about.history_days,
        memory="finite",
        summary=f"{len(manifest.names)} context heads on {about.embedder}, {len(manifest.weak)} "
        f"of them weak, fitted up to {to_stamp(about.cutoff_us)}",
        version=manifest.version,
        fit_cutoff=_cutoff(manifest),
    )


def _cutoff(manifest: Manifest) -> str | None:
    """Return the newest day that heads or weights may have seen; None when nobody knows."""
    weights = manifest.about.facts.get("embedder_cutoff")
    own = to_stamp(manifest.about.cutoff_us)[:10]
    return None if weights is None else max(own, str(weights))


def _column(name: str, *, weak: bool) -> Column:
    about = target(f"context/{name}")
    mark = "weak, for its head did not pass its gate; " if weak else ""
    return Column(
        name=f"{PREFIX}{name}",
        unit="1" if about.kind == "regression" else "probability",
        description=f"{mark}predicted: {about.summary}",
        group="context",
        formula=f"E[{about.formula}]" if about.kind == "regression" else f"P({about.classes[1]})",
        source=about.source,
        missing="NaN at bars the heads were fitted to, and where no window can be embedded",
        signed=name == "fwd_return",
    )


def fitted() -> Mapping[str, FeatureSet]:
    """Return the feature set of every bundle on this machine that can be used, by name."""
    home = context_home()
    found: dict[str, FeatureSet] = {}
    if kind_of(home) == "folder":
        for folder in sorted(home.iterdir()):
            if is_folder_name(folder.name) and kind_of(folder / MANIFEST) == "file":
                found[folder.name] = _offered(folder.name)
    return found


def _offered(name: str) -> FeatureSet:
    """Return a bundle's set; one that is broken says so when it is used, not before."""
    try:
        return feature_set(name)
    except UnavailableError as error:
        return FeatureSet(
            name=name, columns=(), batch=partial(_refuse, error.problem, error.fix),
            warmup_bars=0, history_bars=1, summary=f"cannot be used: {error.problem}",
        )  # fmt: skip


def _refuse(problem: str, fix: str, bars: Bars) -> Float32:
    raise ModelError(problem, fix=fix)


__all__ = [
    "COMMAND", "NAME", "ContextHeads", "bundle_folder", "coarser", "context_home", "feature_set",
    "fitted", "folder_of",
]  # fmt: skip
