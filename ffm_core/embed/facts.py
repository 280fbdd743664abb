"""What there is to say of backbones, as ``ffm backbone`` and run records say it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ffm_core.embed.adding import RELEASED
from ffm_core.embed.cards import Card, read_card, verified
from ffm_core.embed.catalogue import BOX, HUB, folder_of, folders
from ffm_core.embed.recipe import EmbeddingRecipe
from ffm_core.errors import ModelError

_NOTHING = {
    "identity": "", "bytes": 0, "architecture": "", "d_model": 0, "fit_cutoff": None,
    "made_from": "", "trained_on": "", "folder": "", "problem": "",
}  # fmt: skip


def backbone_facts() -> list[dict[str, Any]]:
    """Return one mapping per backbone: the box, what was added, what could be.

    A backbone whose card is broken is listed with the ``problem``, and hides no other.
    """
    found: list[dict[str, Any]] = []
    cards = _cards()
    for name, folder in folders().items():
        card = cards.get(name)
        if card is not None:
            found.append(_short(name, folder, card, cards))
            continue
        try:
            read_card(folder)
        except ModelError as error:
            broken = {"state": "broken", "folder": folder, "problem": error.problem}
            found.append({"name": name, "released": "", **_NOTHING, **broken})
    absent = [name for name in HUB if name not in {facts["name"] for facts in found}]
    found += [
        {"name": name, "state": "not added", "released": RELEASED[name], **_NOTHING,
         "add": f"ffm backbone add {name}"}
        for name in absent
    ]  # fmt: skip
    return found


def card_facts(name: str) -> dict[str, Any]:
    """Return everything the card of a backbone says, and where it lies.

    Raises
    ------
    UnavailableError, UnknownNameError
        When it is not on this machine, or nothing is known by that name.
    ModelError
        When its card is broken.
    """
    folder = folder_of(name)
    card = read_card(folder)
    return asdict(card) | _short(name, folder, card, _cards())


def _short(name: str, folder: Path, card: Card, cards: dict[str, Card]) -> dict[str, Any]:
    problem = _damage(folder, card)
    return {
        "name": name,
        "state": "damaged" if problem else "built in" if folder == BOX else "added",
        "identity": _identity(card),
        "bytes": sum((folder / file).stat().st_size for file in card.files),
        "architecture": card.architecture,
        "d_model": card.d_model,
        "fit_cutoff": card.fit_cutoff,
        "released": card.released,
        "made_from": _named(card.base, cards),
        "trained_on": card.trained_on,
        "folder": folder,
        "problem": problem,
    }


def _damage(folder: Path, card: Card) -> str:
    """Return which file is not the one the card describes, or ""."""
    try:
        for file in card.files:
            verified(folder, card, file)
    except ModelError as error:
        return error.problem
    return ""


def _cards() -> dict[str, Card]:
    cards = {}
    for name, folder in folders().items():
        try:
            cards[name] = read_card(folder)
        except ModelError:
            continue
    return cards


def _identity(card: Card) -> str:
    return EmbeddingRecipe().identity(card.weights_sha256)


def _named(base: str, cards: dict[str, Card]) -> str:
    """Return the name of the backbone with an identity, or the identity's first digits."""
    for name, card in cards.items():
        if base in (name, card.weights_sha256, _identity(card)):
            return name
    return base[:12] if len(base) == 64 else base
