"""Context heads: fitted models with their calibration, and the folder they live in.

A bundle is a folder with ``context.json`` and one file per head. The manifest carries
the SHA-256 of every file and of itself; what does not match is never used. It holds no
code. It also says when the newest bar that any label looked at closed: heads answer for
later bars only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ffm_core.context.calibration import Band, Map
from ffm_core.errors import ModelError, OutputError
from ffm_core.paths import kind_of
from ffm_core.records import TargetHead
from ffm_core.runs.atomic import atomic_dir, partial_name
from ffm_core.runs.cache import key
from ffm_core.runs.reading import small_text
from ffm_core.types import Float32, Float64

SCHEMA = "ffm-context-1"
MANIFEST = "context.json"
PREFIX = "ctx_"
GATES = {"regression": 0.05, "binary": 0.55}
_SUFFIX = ".head"
_AGAIN = "fit the heads again with 'ffm context train'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One fitted head.

    Parameters
    ----------
    name : str
        Its target, without the group.
    kind : {"regression", "binary"}
        Whether it gives a value or P(class 1).
    model : TargetHead
        The fitted model.
    map : Map
        From what the model says to what the head says.
    band : Band, optional
        Interval of a regression.
    score : float
        r or AUC on the calibration slice, which the model has not seen.
    low, high : float
        Bounds of what it can say.
    facts : mapping
        Rows of each slice, and what else is worth knowing.
    """

    name: str
    kind: Literal["regression", "binary"]
    model: TargetHead
    map: Map
    band: Band | None
    score: float
    low: float
    high: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weak(self) -> bool:
        """Whether it did not pass its gate: r above 0.05, or AUC above 0.55."""
        return not self.score > GATES[self.kind]

    def predict(self, x: Float32) -> Float64:
        """Return calibrated numbers of rows float32 (N, F)."""
        return np.clip(self.map.apply(self.model.predict(x)), self.low, self.high)

    @classmethod
    def of(cls, entry: Mapping[str, Any], model: TargetHead) -> Head:
        """Return the head of an entry of the manifest around its model."""
        band = entry["band"]
        return cls(
            name=entry["name"], kind=entry["kind"], model=model, map=Map.of(entry["map"]),
            band=None if band is None else Band.of(band), score=float(entry["score"]),
            low=float(entry["low"]), high=float(entry["high"]), facts=entry["facts"],
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """Return the entry of the manifest, without the file."""
        return {
            "name": self.name, "kind": self.kind, "score": self.score, "gate": GATES[self.kind],
            "low": self.low, "high": self.high,
            "map": self.map.record(), "band": None if self.band is None else self.band.record(),
            "facts": dict(self.facts),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a bundle was made of.

    Parameters
    ----------
    embedder, identity : str
        Name of the embedder, and SHA-256 of its weights and recipe.
    blocks : mapping of str to tuple of str
        Columns of the design by block, the embedder's first.
    sets : mapping of str to str
        Version of every feature set.
    learner : str
        Who fitted it and can read it back.
    cutoff_us : int
        Close of the newest bar that any label looked at, microseconds UTC.
    context_bars, history_bars : int
        Bars of a window, and bars that reproduce a row.
    history_days : int, optional
        Whole trading dates that reproduce a row besides.
    facts : mapping
        Streams, dates of the slices, stride, seed and settings.
    """

    embedder: str
    identity: str
    blocks: Mapping[str, tuple[str, ...]]
    sets: Mapping[str, str]
    learner: str
    cutoff_us: int
    context_bars: int
    history_bars: int
    history_days: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns of the design."""
        return sum(len(names) for names in self.blocks.values())

    def record(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        return {
            "embedder": self.embedder, "identity": self.identity, "learner": self.learner,
            # A list: the order of the blocks is the order of the columns.
            "blocks": [[name, list(columns)] for name, columns in self.blocks.items()],
            "sets": dict(self.sets), "cutoff_us": self.cutoff_us,
            "context_bars": self.context_bars, "history_bars": self.history_bars,
            "history_days": self.history_days, "facts": dict(self.facts),
        }  # fmt: skip

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> About:
        """Read back what :meth:`record` gave."""
        blocks = {name: tuple(columns) for name, columns in stored["blocks"]}
        return cls(**{**stored, "blocks": blocks})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A bundle as its manifest tells it; ``version`` is a hash over everything.

    ``entries`` are what :meth:`Head.record` gave, each with its ``file`` and ``sha256``.
    """

    name: str
    version: str
    about: About
    entries: tuple[Mapping[str, Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads, in order."""
        return tuple(entry["name"] for entry in self.entries)

    @property
    def weak(self) -> frozenset[str]:
        """Names of the heads that did not pass their gate when they were fitted."""
        return frozenset(e["name"] for e in self.entries if not e["score"] > e["gate"])


def save(folder: Path, name: str, about: About, heads: tuple[Head, ...], *, replace: bool) -> str:
    """Write a bundle in one step and return its version.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle's own folder.
    name : str
        What the user types.
    about : About
        What it was made of.
    heads : tuple of Head
        In the order of their columns.
    replace : bool
        Whether an older bundle of that name gives way.

    Raises
    ------
    OutputError
        When there is one and it may not be replaced, or the folder cannot be written.
    """
    if kind_of(folder) and not replace:
        raise OutputError(
            f"{folder} already exists", fix="use --force to replace it, or another --name"
        )
    files = {f"{head.name}{_SUFFIX}": head.model.to_bytes() for head in heads}
    entries = [
        {**head.record(), "file": file, "sha256": hashlib.sha256(data).hexdigest()}
        for head, (file, data) in zip(heads, files.items(), strict=True)
    ]
    content = {"schema": SCHEMA, "name": name, "about": about.record(), "heads": entries}
    version = key("context-1", content)
    old = folder.parent / partial_name()
    if kind_of(folder):
        folder.rename(old)
    try:
        with atomic_dir(folder) as fresh:
            for file, data in files.items():
                (fresh / file).write_bytes(data)
            text = json.dumps({**content, "version": version}, indent=1, sort_keys=True)
            (fresh / MANIFEST).write_bytes(f"{text}\n".encode())
    except BaseException:
        if kind_of(old) and not kind_of(folder):
            old.rename(folder)
        raise
    with suppress(OSError):
        shutil.rmtree(old)
    return version


def read_manifest(folder: Path) -> Manifest:
    """Read what a bundle says of itself; the heads are not read.

    Raises
    ------
    ModelError
        When it cannot be read, or has been changed since it was written.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(small_text(path))
        version = content.pop("version")
        if content["schema"] != SCHEMA:
            raise ValueError(f"its schema is {content['schema']}, expected {SCHEMA}")
        if key("context-1", content) != version:
            raise ValueError("it was truncated or modified")
        return Manifest(
            name=content["name"], version=version, about=About.of(content["about"]),
            entries=tuple(content["heads"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a manifest of context heads: {error}", fix=_AGAIN
        ) from error


def read_model(folder: Path, entry: Mapping[str, Any]) -> bytes:
    """Return the bytes of a head whose hash matches the manifest.

    Raises
    ------
    ModelError
        When the file is missing, cut off or changed.
    """
    path = folder / str(entry["file"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}", fix=_AGAIN) from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ModelError(
            f"{path} is not the head the manifest describes (truncated or modified)", fix=_AGAIN
        )
    return data
