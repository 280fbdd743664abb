"""Model folders: weights in ONNX, and a card that says what they are and what they saw.

A folder holds ``card.json``, ``encoder.onnx`` and, where the model forecasts,
``decoder.onnx``. The card carries the SHA-256 of every file; a file that does not match
is never run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ffm_core.errors import ModelError
from ffm_core.paths import kind_of
from ffm_core.runs.cache import key
from ffm_core.runs.reading import small_text

SCHEMA = "ffm-backbone-1"
CARD = "card.json"
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a backbone is.

    Parameters
    ----------
    name : str
        What the user types.
    architecture : str
        ``chronos-bolt`` or ``chronos-2``.
    d_model, patch, context_length, horizon : int
        Width of a token, bars of a patch, longest context and steps of one forecast.
    quantiles : tuple of float
        Levels of the forecast; empty for a model that only embeds.
    fit_cutoff : str, optional
        ISO date of the newest market bar the weights were fitted to; "" for none at
        all, None for unknown.
    released : str
        ISO date of publication; stands in for an unknown cut-off.
    trained_on : str
        The training data in one sentence.
    base : str
        Identity of the backbone it was fine-tuned from, or "".
    files : mapping of str to str
        SHA-256 of every file beside the card.
    checks : mapping of str to float
        Largest differences from the reference when it was converted.
    facts : mapping
        Anything else worth knowing: parameters, licence, seed, tables.
    """

    name: str
    architecture: str
    d_model: int
    patch: int
    context_length: int
    horizon: int
    quantiles: tuple[float, ...]
    fit_cutoff: str | None
    released: str
    trained_on: str
    source: str
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights_sha256(self) -> str:
        """Hash over the model files, what an identity starts from."""
        return key("weights-1", {name: self.files[name] for name in sorted(self.files)})

    def to_json(self) -> bytes:
        """Return the card as it is stored."""
        stored = {"schema": SCHEMA, **asdict(self)}
        return (json.dumps(stored, indent=2, sort_keys=True) + "\n").encode()


def read_card(folder: Path) -> Card:
    """Read the card of a model folder; the model files are not read.

    Raises
    ------
    ModelError
        When there is no card, or it cannot be understood.
    """
    path = folder / CARD
    try:
        stored = json.loads(small_text(path))
        if stored.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        unknown = sorted(set(stored) - {item.name for item in fields(Card)})
        if unknown:
            raise ValueError(f"it contains the unknown field {unknown[0]!r}")
        card = Card(**(stored | {"quantiles": tuple(stored["quantiles"])}))
        if strange := [name for name in card.files if Path(name).name != name]:
            raise ValueError(f"{strange[0]!r} is no file of its folder")
        missing = [name for name in card.files if kind_of(folder / name) != "file"]
        if ENCODER not in card.files or missing:
            raise ValueError(f"{(missing or [ENCODER])[0]} is missing")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} is not a model card: {error}",
            fix=f"add the model again with 'ffm backbone add', or remove {folder}",
        ) from error
    return card


def verified(folder: Path, card: Card, name: str) -> bytes:
    """Return a model file whose bytes match the card.

    Raises
    ------
    ModelError
        When it cannot be read, is shorter than it was, or has been changed.
    """
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror or error}",
            fix=f"add the model again with 'ffm backbone add {card.name}'",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.files.get(name):
        raise ModelError(
            f"{path} is not the file the card describes: its SHA-256 begins with "
            f"{found[:12]}, the card says {card.files.get(name, '')[:12]} (truncated or modified)",
            fix=f"add the model again with 'ffm backbone add {card.name}', or reinstall ffm-core "
            "if it is the built-in one",
        )
    return data


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
