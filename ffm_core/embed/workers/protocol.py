"""How a torch process and its host speak, and how it ends with its host.

Used on both sides, so nothing here imports torch. A worker with one job prints a JSON
object a line. A worker that serves exchanges frames: the lengths of header and body as
two little-endian uint64, a JSON header, and a body of raw bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias

from ffm_core import errors
from ffm_core.errors import FFMError

Message: TypeAlias = dict[str, Any]

PROTOCOL = 1
_LENGTHS = struct.Struct("<QQ")
_MOST = 1 << 31  # bytes of a frame; more means that something else is on the wire


def send(stream: BinaryIO, header: Mapping[str, Any], body: bytes = b"") -> None:
    """Write one frame."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(body)) + head + body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, bytes]:
    """Read one frame.

    Raises
    ------
    EOFError
        When the other side is gone, or what arrives is no frame.
    """
    head, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if head > _MOST or body > _MOST:
        raise EOFError("what arrived is no frame")
    header = json.loads(_exactly(stream, head))
    return header, _exactly(stream, body)


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


def _exactly(stream: BinaryIO, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = stream.read(missing)
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
