"""Signed heads: a small file that shows, anywhere, that a ledger was not written anew.

The chain alone shows an edited row; whoever owns the file can compute the whole chain
again. A head signed with Ed25519 and kept elsewhere, in a git repository say, fixes every
row up to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffm_core.errors import LedgerError, RecordError, UsageError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import atomic_write
from ffm_core.runs.canonical import canonical_json
from ffm_core.runs.chain import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = "ffm-head/1"
KEY_FILE = "anchor.key"
_SIGNED = ("schema", "ledger", "rows", "head", "time", "public_key")
_LARGEST = 65_536  # bytes of a head file


def sign_head(events: Sequence[Event], home: Path) -> dict[str, Any]:
    """Return the newest head of a ledger, signed.

    Parameters
    ----------
    events : sequence of Event
        All rows of the ledger, which is whole.
    home : pathlib.Path
        ``FFM_HOME``; ``anchor.key`` in it is made when it is absent.

    Raises
    ------
    UsageError
        When the ledger has no rows.
    LedgerError
        When the key cannot be used.
    OutputError
        When it cannot be written.
    """
    if not events:
        raise UsageError(
            "there is no ledger yet, so it has no head", fix="evaluate a strategy first"
        )
    key = _key(home / KEY_FILE)
    head = {
        "schema": SCHEMA, "ledger": events[0].hash, "rows": len(events), "head": events[-1].hash,
        "time": events[-1].time, "public_key": key.public_key().public_bytes_raw().hex(),
    }  # fmt: skip
    return {**head, "signature": key.sign(canonical_json(head)).hex()}


def read_head(path: Path) -> dict[str, Any]:
    """Read a signed head and check its signature.

    Raises
    ------
    RecordError
        When the file cannot be read, is no head, or does not match its signature.
    """
    fix = "give a file that `ffm runs anchor` wrote"
    try:
        if kind_of(path) == "other":
            raise OSError(0, "it is no file")
        with path.open("rb") as file:
            head = json.loads(file.read(_LARGEST))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}", fix=fix) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not valid JSON", fix=fix) from error
    kinds = {name: int if name == "rows" else str for name in (*_SIGNED, "signature")}
    shaped = isinstance(head, dict) and all(type(head.get(n)) is kind for n, kind in kinds.items())
    if not shaped or head["schema"] != SCHEMA:
        raise RecordError(f"{path} is not a signed head of schema {SCHEMA}", fix=fix)
    if not _is_signed(head):
        raise RecordError(
            f"{path} does not match its signature: it was edited", fix="take it from its history"
        )
    return dict(head)


def broken_promise(events: Sequence[Event], head: Mapping[str, Any]) -> str:
    """Return how a ledger differs from a signed head of it, or "" when it does not.

    Parameters
    ----------
    events : sequence of Event
        All rows of the ledger, which is whole: each follows from the one before it.
    head : dict
        From :func:`read_head`.
    """
    if not events or events[0].hash != head["ledger"]:
        return "it is another ledger than the one the head was taken of"
    if len(events) < head["rows"]:
        missing = head["rows"] - len(events)
        return f"it has {missing:,} rows fewer than when the head was taken"
    if events[head["rows"] - 1].hash != head["head"]:
        return f"the rows up to {head['rows']:,} were written anew after the head was taken"
    return ""


def public_key(home: Path) -> str:
    """Return the public key of this ``FFM_HOME``, or "" when it has none."""
    path = home / KEY_FILE
    return _key(path).public_key().public_bytes_raw().hex() if kind_of(path) == "file" else ""


def _is_signed(head: dict[str, Any]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signed = canonical_json({name: head[name] for name in _SIGNED})
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head["public_key"]))
        key.verify(bytes.fromhex(head["signature"]), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not kind_of(path):
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        atomic_write(path, text, moved_by="FFM_HOME", mode=0o600)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise LedgerError(
            f"cannot read the key {path}: {error}",
            fix="restore it, or remove it: heads signed with it can still be verified",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError(f"{path} is no Ed25519 key", fix="restore it, or remove it")
    return key
