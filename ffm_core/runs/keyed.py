"""Hashes under a key of this machine: they tell two hidden settings apart and give neither away."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Any

from ffm_core.runs.atomic import atomic_write
from ffm_core.runs.canonical import jsonable, sha256_json

KEY_FILE = "private.key"


def keyed_hash(home: Path, value: Any) -> str:
    """Return a short hash of JSON-able values under the key kept in FFM_HOME.

    Without the key, nobody can try likely values until one fits.

    Parameters
    ----------
    home : Path
        FFM_HOME; the key is made there when it is first needed.
    value : object
        What is hidden.
    """
    path = home / KEY_FILE
    if not path.exists():
        atomic_write(path, secrets.token_hex(32).encode(), moved_by="FFM_HOME", mode=0o600)
    key = path.read_text(encoding="ascii").strip().encode("ascii")
    return hmac.new(key, sha256_json(jsonable(value)).encode("ascii"), "sha256").hexdigest()[:16]


__all__ = ["KEY_FILE", "keyed_hash"]
