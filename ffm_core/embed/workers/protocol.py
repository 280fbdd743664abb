"""How a torch process and its host speak.

Used on both sides, so nothing here imports torch. A worker with one job prints a JSON
object a line. A worker that serves exchanges messages of a JSON header and a body of raw
bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

from ffm_core import errors
from ffm_core.errors import FFMError

Message: TypeAlias = dict[str, Any]

PROTOCOL = 1
_LENGTH = struct.Struct("<Q")


def packed(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return header and body as one message."""
    head = json.dumps(header).encode()
    return _LENGTH.pack(len(head)) + head + body


def unpacked(message: bytes) -> tuple[Message, bytes]:
    """Return header and body of a message."""
    (length,) = _LENGTH.unpack_from(message)
    end = _LENGTH.size + length
    return json.loads(message[_LENGTH.size : end]), message[end:]


def failed(error: FFMError) -> Message:
    """Return the message that carries an error across."""
    return {
        "kind": "failed", "error": type(error).__name__, "problem": error.problem,
        "fix": error.fix,
    }  # fmt: skip


def failure(message: Mapping[str, Any]) -> FFMError:
    """Return the error that a message carries."""
    kind = getattr(errors, message["error"])
    found: FFMError = kind(message["problem"], fix=message["fix"])
    return found
