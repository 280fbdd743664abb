"""A store of computed arrays, addressed by the content they were computed from.

An entry is one file: a mark, the SHA-256 of what follows, a JSON header, the raw
arrays. It is never changed, only replaced whole, so any number of processes may
read and write at once; an entry that fails its checksum is a miss.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ffm_core.runs.atomic import atomic_write, sweep
from ffm_core.runs.canonical import canonical_json

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

DEFAULT_LIMIT_BYTES = 5_000_000_000
_MARK = b"FFMCACHE1\n"
_HEAD = len(_MARK) + 32 + 8  # mark, checksum, length of the header
_ALIGN = 64
_SUFFIX = ".ffmc"
_KEPT_SHARE = 0.9  # evict below the limit, so that not every write evicts
_SCAN_EVERY = 256  # writes between two looks at what other processes stored


def key(*parts: object) -> str:
    """Return the SHA-256 of some parts, 64 hex digits.

    Parameters
    ----------
    *parts : object
        Strings, numbers, bytes, arrays, or anything with a canonical JSON. Type and
        shape count: ``1``, ``1.0``, ``"1"`` and ``[1]`` give different keys.
    """
    digest = hashlib.sha256()
    for part in parts:
        head, body = _spelled(part)
        digest.update(f"{head} {len(body)}\n".encode())
        digest.update(body)
    return digest.hexdigest()


class Cache:
    """The content-addressed store under ``FFM_HOME/cache``.

    Parameters
    ----------
    home : pathlib.Path
        ``FFM_HOME``.
    limit_bytes : int
        Entries used longest ago are removed beyond this size.

    Attributes
    ----------
    hits, misses : int
        Counted in this process, for the run record's envelope.
    """

    def __init__(self, home: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = home / "cache"
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0
        self._size: int | None = None
        self._puts = 0

    key = staticmethod(key)

    def get(self, key: str) -> dict[str, npt.NDArray[Any]] | bytes | None:
        """Return what was stored under ``key``, or None.

        Returns
        -------
        dict of str to ndarray, bytes or None
            Arrays are read-only. None when nothing is stored, or when the entry does
            not match its checksum; such an entry is removed.
        """
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            self.misses += 1
            return None
        value = _decode(raw)
        if value is None:
            self.misses += 1
            with suppress(OSError):
                path.unlink()
            return None
        self.hits += 1
        with suppress(OSError):
            os.utime(path)  # used now: eviction goes by this time
        return value

    def arrays(self, key: str) -> dict[str, npt.NDArray[Any]] | None:
        """Return arrays stored under ``key``; None when absent or when bytes are stored."""
        value = self.get(key)
        return value if isinstance(value, dict) else None

    def get_json(self, key: str) -> Any:
        """Return JSON types stored by :meth:`put_json`, or None."""
        stored = self.get(key)
        return json.loads(stored) if isinstance(stored, bytes) else None

    def put_json(self, key: str, value: object) -> None:
        """Store JSON types; floats come back exactly."""
        self.put(key, json.dumps(value).encode())

    def put(self, key: str, value: Arrays | bytes) -> None:
        """Store arrays or bytes under ``key`` in one step.

        Raises
        ------
        TypeError
            For arrays of Python objects.
        OutputError
            When the folder cannot be written.
        """
        data = _encode(value)
        # A torn file fails its checksum, so a power cut costs time and no forced write does.
        atomic_write(self._path(key), data, durable=False)
        self._puts += 1
        if self._size is not None:
            self._size += len(data)
        if self._size is None or self._size > self.limit_bytes or self._puts % _SCAN_EVERY == 0:
            self._evict()

    def _path(self, key: str) -> Path:
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ValueError(f"{key!r} is not a cache key; make one with key(...)")
        return self.folder / key[:2] / f"{key[2:]}{_SUFFIX}"

    def _evict(self) -> None:
        for shard in self.folder.glob("*"):
            sweep(shard)
        entries = []
        for path in self.folder.glob(f"*/*{_SUFFIX}"):
            with suppress(OSError):  # another process may have removed it
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        self._size = sum(size for _, size, _ in entries)
        if self._size <= self.limit_bytes:
            return
        for _, size, path in sorted(entries):
            if self._size <= self.limit_bytes * _KEPT_SHARE:
                break
            with suppress(OSError):
                path.unlink()
            self._size -= size


def _spelled(part: object) -> tuple[str, bytes]:
    if isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            raise TypeError("an array of Python objects has no stable content")
        return f"array {part.dtype.str} {part.shape}", np.ascontiguousarray(part).tobytes()
    if isinstance(part, bytes):
        return "bytes", part
    if isinstance(part, str):
        return "text", part.encode("utf-8", "surrogatepass")
    if isinstance(part, float) and not math.isfinite(part):
        return "float", repr(part).encode()
    return "json", canonical_json(part)


def _encode(value: Arrays | bytes) -> bytes:
    if isinstance(value, bytes):
        header, blocks = canonical_json({"kind": "bytes"}), [value]
    else:
        arrays = {name: np.ascontiguousarray(array) for name, array in value.items()}
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"array {name!r} holds Python objects and cannot be cached")
        shapes = [[name, a.dtype.str, list(np.shape(value[name]))] for name, a in arrays.items()]
        header = canonical_json({"kind": "arrays", "arrays": shapes})
        blocks = [_padded(array.tobytes()) for array in arrays.values()]
    body = len(header).to_bytes(8, "little") + _padded(header, offset=_HEAD) + b"".join(blocks)
    return _MARK + hashlib.sha256(body).digest() + body


def _padded(block: bytes, *, offset: int = 0) -> bytes:
    return block + b"\0" * (-(len(block) + offset) % _ALIGN)


def _decode(raw: bytes) -> dict[str, npt.NDArray[Any]] | bytes | None:
    body = memoryview(raw)[len(_MARK) + 32 :]
    checksum = raw[len(_MARK) : len(_MARK) + 32]
    if raw[: len(_MARK)] != _MARK or hashlib.sha256(body).digest() != checksum:
        return None
    length = int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8 : 8 + length]))
    start = _HEAD + length + (-(_HEAD + length) % _ALIGN)
    if header["kind"] == "bytes":
        return raw[start:]
    arrays = {}
    for name, kind, shape in header["arrays"]:
        dtype = np.dtype(kind)
        count = math.prod(shape)
        arrays[name] = np.frombuffer(raw, dtype=dtype, count=count, offset=start).reshape(shape)
        size = count * dtype.itemsize
        start += size + (-size % _ALIGN)
    return arrays
