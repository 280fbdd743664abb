"""Vectors that were computed once: content-addressed, memory-mapped, never rewritten.

Vectors of one identity lie in one folder as immutable segments. A segment holds the
hashes of windows in ascending order, a checksum of every row, and the rows. It appears
under its name in one step, so any number of processes may add and read at once; each
row is checked when it is read, and a segment that fails is named, set aside and
computed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ffm_core.errors import FFMWarning, OutputError
from ffm_core.jit import kernel
from ffm_core.runs.atomic import atomic_write, sweep
from ffm_core.types import Float32, Int64

Stored = Literal["float32", "float16"]
Compute = Callable[[Float32], Float32]
DEFAULT_LIMIT_BYTES = 10_000_000_000
CHUNK_ROWS = 8_192  # windows computed between two writes: what a kill can cost
_MARK = b"FFMVECT1"
_HEAD = len(_MARK) + 32 + 8  # mark, SHA-256 of the index, length of the index
_KEY = np.dtype([("a", "<u8"), ("b", "<u8")])
_SUFFIX = ".ffmv"
_KEPT_SHARE = 0.9
_MERGE_ABOVE = 48  # segments of one identity


class VectorCacheWarning(FFMWarning):
    """The cache of vectors could not be used; results are right, only slower."""


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    keys: npt.NDArray[np.void]  # (n,) ascending
    checks: npt.NDArray[np.uint64]  # (n,)
    rows: npt.NDArray[np.floating]  # (n, dim), memory-mapped


class VectorCache:
    """Vectors of windows under ``FFM_HOME/vectors``.

    Parameters
    ----------
    home : pathlib.Path
        ``FFM_HOME``.
    stored : {"float32", "float16"}
        How numbers are kept. They are rounded when first computed, so that what comes
        from the cache equals what was just computed.
    limit_bytes : int
        Segments used longest ago are removed beyond this size.

    Attributes
    ----------
    hits, misses : int
        Windows found and windows computed, counted in this process.
    """

    def __init__(
        self, home: Path, *, stored: Stored = "float32", limit_bytes: int = DEFAULT_LIMIT_BYTES
    ) -> None:
        self.folder = home / "vectors"
        self.stored: Stored = stored
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0

    def vectors(
        self,
        identity: str,
        windows: Float32,
        dim: int,
        compute: Compute,
        advance: Callable[[int], None] | None = None,
    ) -> Float32:
        """Return one vector a window, computing those that are not stored.

        Parameters
        ----------
        identity : str
            What the vectors depend on beside the window.
        windows : float32 (N, context)
            Equal windows are computed once.
        dim : int
            Numbers in a vector.
        compute : callable
            ``float32 (n, context) -> float32 (n, dim)``.
        advance : callable, optional
            Called with the number of windows done.

        Returns
        -------
        float32 (N, dim)
        """
        keys = window_keys(windows)
        unique, first, back = np.unique(keys, return_index=True, return_inverse=True)
        folder = self.folder / identity[:2] / f"{identity[2:]}-{self.stored}"
        out = np.empty((len(unique), dim), dtype=np.float32)
        missing = self._read(folder, unique, out)
        self.hits += len(unique) - len(missing)
        self.misses += len(missing)
        if advance is not None:
            advance(len(windows) - len(missing))
        for start in range(0, len(missing), CHUNK_ROWS):
            part = missing[start : start + CHUNK_ROWS]
            made = compute(np.ascontiguousarray(windows[first[part]]))
            kept = made.astype(self.stored)
            out[part] = kept.astype(np.float32)
            self._write(folder, unique[part], kept)
            if advance is not None:
                advance(len(part))
        if len(missing):
            self._tidy(folder)
        return np.ascontiguousarray(out[back.reshape(-1)])

    def _read(self, folder: Path, keys: npt.NDArray[np.void], out: Float32) -> Int64:
        missing = np.ones(len(keys), dtype=np.bool_)
        for segment in self._segments(folder, out.shape[1]):
            at = np.minimum(np.searchsorted(segment.keys, keys), len(segment.keys) - 1)
            here = np.flatnonzero(missing & (segment.keys[at] == keys))
            if len(here) == 0:
                continue
            rows = np.ascontiguousarray(segment.rows[at[here]])
            if not np.array_equal(checksums(rows), segment.checks[at[here]]):
                _set_aside(segment.path, "a row does not match its checksum")
                continue
            out[here] = rows
            missing[here] = False
            with suppress(OSError):
                os.utime(segment.path)  # used now: eviction goes by this time
        return np.flatnonzero(missing)

    def _segments(self, folder: Path, dim: int) -> list[_Segment]:
        found = []
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            try:
                found.append(_open(path, dim, self.stored))
            except FileNotFoundError:
                continue  # another process has merged it
            except (OSError, ValueError) as error:
                _set_aside(path, str(error))
        return found

    def _write(
        self, folder: Path, keys: npt.NDArray[np.void], rows: npt.NDArray[np.floating]
    ) -> None:
        data = _encode(keys, rows)
        name = hashlib.sha256(data).hexdigest()[:24]
        try:
            # A torn file fails its length or checksums: a power cut costs time only.
            atomic_write(folder / f"{name}{_SUFFIX}", data, durable=False)
        except OutputError as error:
            warnings.warn(
                VectorCacheWarning(
                    f"{error.problem}; its vectors will be computed again next time"
                ),
                stacklevel=3,
            )

    def _tidy(self, folder: Path) -> None:
        sweep(folder)
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
        if len(paths) > _MERGE_ABOVE:
            self._merge(folder, paths)
        entries = []
        for path in self.folder.glob(f"*/*/*{_SUFFIX}"):
            with suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        size = sum(entry[1] for entry in entries)
        if size <= self.limit_bytes:
            return
        for _, bytes_, path in sorted(entries):
            if size <= self.limit_bytes * _KEPT_SHARE:
                break
            with suppress(OSError):
                path.unlink()
            size -= bytes_

    def _merge(self, folder: Path, paths: list[Path]) -> None:
        """Write the rows of many segments as one; the old ones go when it stands."""
        parts = []
        for path in paths:
            with suppress(OSError, ValueError):
                parts.append(_open(path, None, self.stored))
        if len({part.rows.shape[1] for part in parts}) != 1:
            return
        keys = np.concatenate([part.keys for part in parts])
        keys, first = np.unique(keys, return_index=True)
        rows = np.concatenate([np.asarray(part.rows) for part in parts])[first]
        checks = np.concatenate([part.checks for part in parts])[first]
        sound = checksums(rows) == checks
        before = set(folder.glob(f"*{_SUFFIX}"))
        self._write(folder, keys[sound], rows[sound])
        if set(folder.glob(f"*{_SUFFIX}")) - before:
            for part in parts:
                with suppress(OSError):
                    part.path.unlink()


def window_keys(windows: Float32) -> npt.NDArray[np.void]:
    """Return a 128-bit hash of every window's bytes, shape (N,)."""
    data = np.ascontiguousarray(windows, dtype="<f4")
    size = data.shape[1] * 4 if data.ndim == 2 else 0
    raw = data.tobytes()
    hashed = b"".join(
        hashlib.blake2b(raw[i * size : (i + 1) * size], digest_size=16).digest()
        for i in range(len(data))
    )
    return np.frombuffer(hashed, dtype=_KEY)


def checksums(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit checksum of every row's bytes, shape (N,)."""
    raw = np.ascontiguousarray(rows)
    words = raw.view(np.uint8).reshape(len(raw), -1)
    pad = -words.shape[1] % 8
    if pad:
        words = np.hstack([words, np.zeros((len(raw), pad), dtype=np.uint8)])
    out = np.empty(len(raw), dtype=np.uint64)
    _mix(np.ascontiguousarray(words).view(np.uint64), out)
    return out


@kernel
def _mix(words: npt.NDArray[np.uint64], out: npt.NDArray[np.uint64]) -> None:
    for i in range(words.shape[0]):
        state = np.uint64(0x9E3779B97F4A7C15)
        for j in range(words.shape[1]):
            state ^= words[i, j]
            state *= np.uint64(0xFF51AFD7ED558CCD)
            state ^= state >> np.uint64(32)
        out[i] = state


def _encode(keys: npt.NDArray[np.void], rows: npt.NDArray[np.floating]) -> bytes:
    head = json.dumps({"n": len(rows), "dim": rows.shape[1], "dtype": rows.dtype.name}).encode()
    index = len(head).to_bytes(8, "little") + head + keys.tobytes() + checksums(rows).tobytes()
    index += b"\0" * (-(len(index) + _HEAD) % 64)
    mark = _MARK + hashlib.sha256(index).digest() + len(index).to_bytes(8, "little")
    return mark + index + np.ascontiguousarray(rows).tobytes()


def _open(path: Path, dim: int | None, stored: Stored) -> _Segment:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        length = int.from_bytes(head[-8:], "little")
        if head[: len(_MARK)] != _MARK or length > size:
            raise ValueError("it is truncated, or not a vector file")
        index = file.read(length)
    if hashlib.sha256(index).digest() != head[len(_MARK) : -8]:
        raise ValueError("its index does not match its checksum")
    start = 8 + int.from_bytes(index[:8], "little")
    facts = json.loads(index[8:start])
    n, width, dtype = facts["n"], facts["dim"], np.dtype(facts["dtype"])
    if dtype.name != stored or dim not in (None, width):
        raise ValueError(f"it holds {width} numbers of {dtype.name} per row")
    if size != _HEAD + length + n * width * dtype.itemsize:
        raise ValueError("it is truncated")
    keys = np.frombuffer(index, dtype=_KEY, count=n, offset=start)
    checks = np.frombuffer(index, dtype="<u8", count=n, offset=start + n * _KEY.itemsize)
    rows = np.memmap(path, dtype=dtype, mode="r", offset=_HEAD + length, shape=(n, width))
    return _Segment(path=path, keys=keys, checks=checks, rows=rows)


def _set_aside(path: Path, why: str) -> None:
    with suppress(OSError):
        path.unlink()
    warnings.warn(
        VectorCacheWarning(f"{path} was removed: {why}; its vectors will be computed again"),
        stacklevel=4,
    )


__all__ = ["VectorCache", "VectorCacheWarning", "checksums", "window_keys"]
