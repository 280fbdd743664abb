"""One file format for what was fitted: JSON and named blocks of bytes, no code.

``pack`` writes a mark, a SHA-256 of all that follows, the length of a JSON header, the
header (schema, value, names and lengths of the blocks) and the blocks. ``unpack`` reads
nothing that was cut off, changed, or written as something else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ffm_core.errors import ModelError
from ffm_core.types import Float64

_MARK = b"FFMPACK\x01"
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 8  # bytes of the header's length, little-endian
_FIX = "fit the model again, or use a copy that was not changed"


def pack(schema: str, value: object, blocks: Mapping[str, bytes] | None = None) -> bytes:
    """Return a value and named blocks as one string of bytes.

    Parameters
    ----------
    schema : str
        What the bytes are and which version, such as ``"ffm-xgb-heads/1"``.
    value : object
        JSON types. Floats come back exactly; for those that may be NaN or infinite use
        :func:`spelled`.
    blocks : mapping of str to bytes, optional
        Content with a format of its own, such as boosted trees.

    Returns
    -------
    bytes
        The same for the same arguments.

    Raises
    ------
    ValueError
        When the value holds NaN or an infinity.
    TypeError
        When it holds something that is not a JSON type.
    """
    held = dict(blocks or {})
    sizes = [[name, len(block)] for name, block in held.items()]
    header = json.dumps(
        {"schema": schema, "value": value, "blocks": sizes},
        sort_keys=True, separators=(",", ":"), allow_nan=False,
    ).encode()  # fmt: skip
    body = len(header).to_bytes(_LENGTH, "little") + header + b"".join(held.values())
    return _MARK + hashlib.sha256(body).digest() + body


def unpack(data: bytes, schema: str) -> tuple[Any, dict[str, bytes]]:
    """Return the value and the blocks that :func:`pack` was given.

    Raises
    ------
    ModelError
        When the bytes were not made by :func:`pack`, were cut off or changed since, or
        hold another schema.
    """
    body = data[len(_MARK) + _DIGEST :]
    if data[: len(_MARK)] != _MARK:
        raise ModelError(f"these bytes hold no {schema}", fix=_FIX)
    if hashlib.sha256(body).digest() != data[len(_MARK) : len(_MARK) + _DIGEST]:
        raise ModelError(f"a stored {schema} was cut off or changed", fix=_FIX)
    start = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    header = json.loads(body[_LENGTH:start])
    if header["schema"] != schema:
        raise ModelError(f"these bytes hold {header['schema']}, expected {schema}", fix=_FIX)
    blocks: dict[str, bytes] = {}
    for name, size in header["blocks"]:
        blocks[name] = body[start : start + size]
        start += size
    return header["value"], blocks


def spelled(values: Iterable[float]) -> list[float | str]:
    """Return numbers as JSON that reads back exactly; ``nan``, ``inf``, ``-inf`` as words."""
    return [float(v) if math.isfinite(v) else str(float(v)) for v in values]


def numbers(values: Iterable[float | str]) -> Float64:
    """Return what :func:`spelled` was given, float64 (N,)."""
    return np.array([float(value) for value in values], dtype=np.float64)


__all__ = ["numbers", "pack", "spelled", "unpack"]
