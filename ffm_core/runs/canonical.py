"""One spelling of a value, so that equal values have equal hashes.

Keys are sorted, floats are written by ``repr`` (which reads back exactly), there
is no white space and no NaN. Everything FFM hashes goes through here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePath
from typing import TypeAlias

import numpy as np

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def jsonable(value: object) -> Json:
    """Return ``value`` as plain JSON types.

    Parameters
    ----------
    value : object
        Scalars, strings, dates, mappings with string keys, sequences, arrays and
        dataclasses, nested as you like. Sets are sorted.

    Returns
    -------
    Json
        NaN and infinities are None; dates are ``YYYY-MM-DD``; aware times are UTC
        and end in ``Z``; of a path only the base name remains.

    Raises
    ------
    TypeError
        For a type with no agreed spelling, a naive time, or a key that is no string.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float | np.generic):
        return _scalar(value)
    if isinstance(value, dt.datetime):
        return utc_text(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return _text(value.name)
    return _container(value)


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON of ``value`` as ASCII bytes."""
    text = json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def sha256_json(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of ``value``, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def utc_text(moment: dt.datetime) -> str:
    """Return an aware time as ``2024-03-11T14:31:00Z`` (microseconds when present)."""
    if moment.tzinfo is None:
        raise TypeError(f"{moment!r} has no time zone")
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _text(value: str) -> str:
    # File names may hold bytes that are no UTF-8; JSON cannot carry lone surrogates.
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _scalar(value: int | float | np.generic) -> Json:
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else None
    raise TypeError(f"{type(value).__name__} has no JSON spelling")


def _container(value: object) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a JSON key must be text, got {key!r}")
        return {_text(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [jsonable(item) for item in value.tolist()]
    if isinstance(value, Set):
        return sorted((jsonable(item) for item in value), key=canonical_json)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [jsonable(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON spelling")
