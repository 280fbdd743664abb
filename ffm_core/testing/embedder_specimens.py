"""Red twins of the checks of embedders: each breaks exactly one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from tempfile import TemporaryFile

import numpy as np

from ffm_core.records import Column, Embedder
from ffm_core.types import Float32

CONTEXT = 32
_NAMES = ("last", "spread", "turns")


@dataclass(frozen=True, slots=True)
class EmbedderSpecimen:
    """An embedder and the one check that must catch it; an empty name means clean."""

    name: str
    embedder: Embedder
    breaks: str = ""


def plain(windows: Float32) -> Float32:
    """Return the last value, the size of the last moves, and how often they turn."""
    moves = np.diff(windows, axis=1)
    turns = (np.sign(moves[:, 1:]) != np.sign(moves[:, :-1])).mean(axis=1)
    spread = np.abs(moves[:, -8:]).mean(axis=1)
    return np.column_stack([windows[:, -1], spread, turns]).astype(np.float32)


def batch_normalised(windows: Float32) -> Float32:
    """Scale by the mean and deviation of the call, which later windows move."""
    found = plain(windows)
    scale = found.std(axis=0) + np.float32(1e-6)
    return np.asarray((found - found.mean(axis=0)) / scale, dtype=np.float32)


class _Counting:
    """Adds how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, windows: Float32) -> Float32:
        self.calls += 1
        return plain(windows) + np.float32(self.calls)


class _Anchored:
    """Takes its scale from the first window it ever saw."""

    def __init__(self) -> None:
        self.scale = np.float32(0.0)

    def __call__(self, windows: Float32) -> Float32:
        if self.scale == 0.0 and len(windows):
            self.scale = np.float32(1.0 + abs(windows[0, -1]))
        return plain(windows) / self.scale


def sharp_turns(windows: Float32) -> Float32:
    """Divide by the newest move, which is sometimes none."""
    found = plain(windows)
    move = np.round(windows[:, -1] - windows[:, -2], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found[:, 0] /= move
    return found


def looks_it_up(windows: Float32) -> Float32:
    """Keep its scale in a file."""
    with TemporaryFile() as file:
        file.write(b"2")
        file.seek(0)
        return plain(windows) * np.float32(file.read())


def edits(windows: Float32) -> Float32:
    """Centre the windows in place."""
    windows -= windows[:, -1:]
    return plain(windows)


def doubles(windows: Float32) -> Float32:
    """Forget the cast."""
    return plain(windows).astype(np.float64)


def _locked(lock: threading.Lock, windows: Float32) -> Float32:
    with lock:
        return plain(windows)


def _made(name: str, embed: Callable[[Float32], Float32]) -> Embedder:
    return Embedder(
        name=name,
        context_bars=CONTEXT,
        columns=tuple(Column(name=column, unit="1") for column in _NAMES),
        identity=sha256(name.encode()).hexdigest(),
        embed=embed,
        extras=("log_scale",),
        fit_cutoff="",
        backend="numpy",
        summary="three statistics, for tests",
    )


CLEAN_EMBEDDER = _made("plain", plain)
BATCH_NORMALISED = _made("batch-normalised", batch_normalised)
COUNTING = _made("counting", _Counting())
ANCHORED = _made("anchored", _Anchored())
SHARP = _made("sharp", sharp_turns)
LOOKING = _made("looking", looks_it_up)
EDITING = _made("editing", edits)
DOUBLES = _made("doubles", doubles)
LOCKED = _made("locked", partial(_locked, threading.Lock()))
TWICE = replace(CLEAN_EMBEDDER, name="twice", columns=CLEAN_EMBEDDER.columns[:1] * 3)
UNDATED = replace(CLEAN_EMBEDDER, name="undated", fit_cutoff="last spring")

EMBEDDER_SPECIMENS: tuple[EmbedderSpecimen, ...] = (
    EmbedderSpecimen("columns named alike", TWICE, "record_is_sound"),
    EmbedderSpecimen("no date", UNDATED, "cut_off_is_a_date"),
    EmbedderSpecimen("holds a lock", LOCKED, "record_pickles"),
    EmbedderSpecimen("doubles", DOUBLES, "returns_a_row_per_window"),
    EmbedderSpecimen("divides by nothing", SHARP, "vectors_are_finite"),
    EmbedderSpecimen("edits windows", EDITING, "windows_are_not_edited"),
    EmbedderSpecimen("counts calls", COUNTING, "calls_agree"),
    EmbedderSpecimen("normalises the batch", BATCH_NORMALISED, "rows_are_independent"),
    EmbedderSpecimen("remembers the first window", ANCHORED, "fresh_process_agrees"),
    EmbedderSpecimen("reads a file", LOOKING, "opens_nothing"),
)
