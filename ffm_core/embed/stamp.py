"""The loud stamp: which model is loaded, what it is made of, and which one is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ffm_core.embed.cards import Card, read_card
from ffm_core.embed.catalogue import folders
from ffm_core.embed.embedding import columns_of
from ffm_core.embed.recipe import CENTRING, parse_variant
from ffm_core.errors import ModelError
from ffm_core.records import Embedder


def stamp_of(embedder: Embedder) -> dict[str, Any]:
    """Return what is loaded, as JSON types without any path of this machine.

    Returns
    -------
    dict
        name, identity, backend, recipe, weights_sha256 ("" where a model has no
        files of ours), state (``frozen`` or ``fine-tuned``), base, fit_cutoff, released,
        source, columns.
    """
    card = _card_of(embedder)
    recipe: dict[str, Any] = {"context_bars": embedder.context_bars, "centring": CENTRING}
    if card is not None:
        recipe = asdict(parse_variant(embedder.name.partition(":")[2]))
    recipe["extras"] = list(embedder.extras)
    return {
        "name": embedder.name,
        "identity": embedder.identity,
        "backend": embedder.backend,
        "recipe": recipe,
        "weights_sha256": "" if card is None else card.weights_sha256,
        "state": "fine-tuned" if card is not None and card.base else "frozen",
        "base": "" if card is None else card.base,
        "fit_cutoff": embedder.fit_cutoff,
        "released": embedder.released,
        "source": base_name(embedder.source),
        "columns": len(columns_of(embedder)),
    }


def _card_of(embedder: Embedder) -> Card | None:
    """Return the card of one of our backbones; statistics and plug-ins' models have none."""
    folder = folders().get(embedder.name.partition(":")[0])
    if folder is None:
        return None
    card = read_card(folder)
    recipe = parse_variant(embedder.name.partition(":")[2])
    # A plug-in may call its model as one of ours is called elsewhere.
    return card if recipe.identity(card.weights_sha256) == embedder.identity else None


def base_name(source: str) -> str:
    """Return a source without the folders of this machine; hub names stay whole."""
    plain = source.removeprefix("file:").removeprefix("//")
    windows = PureWindowsPath(plain)
    if plain != source or plain.startswith(("/", "~", ".")) or windows.drive or "\\" in plain:
        return windows.name if "\\" in plain else PurePosixPath(plain).name
    return source


def line_of(stamp: dict[str, Any]) -> str:
    """Return one line for the terminal."""
    words = [stamp["state"].upper()]
    if stamp["base"]:
        words.append(f"from {stamp['base'][:12]}")
    if stamp["weights_sha256"]:
        words.append(f"weights {stamp['weights_sha256'][:12]}")
    words += [
        f"{stamp['recipe'].get('pool', 'own')} pool" if stamp["weights_sha256"] else "",
        f"{stamp['columns']} columns of {stamp['recipe']['context_bars']} bars",
        stamp["backend"],
        cut_off_words(stamp),
    ]
    return f"embedder {stamp['name']}: {', '.join(word for word in words if word)}"


def cut_off_words(stamp: dict[str, Any]) -> str:
    """Say what a model has seen of any market."""
    if stamp["fit_cutoff"] == "":
        return "has seen no market"
    if stamp["fit_cutoff"]:
        return f"cut-off {stamp['fit_cutoff']}"
    return f"cut-off unknown, released {stamp['released'] or 'at an unknown date'}"


def unused_checkpoints(used: Iterable[Embedder], features: Sequence[str]) -> list[str]:
    """Return a line for every fine-tuned checkpoint on this machine that is not used.

    Parameters
    ----------
    used : iterable of Embedder
        Those of the run.
    features : sequence of str
        Blocks of the run, for the command that selects the checkpoint.
    """
    names = {embedder.name.partition(":")[0] for embedder in used}
    lines = []
    for name, folder in folders().items():
        if name in names:
            continue
        try:
            card = read_card(folder)
        except ModelError as error:
            lines.append(f"warning: {error.problem}")
            continue
        if card.base:
            chosen = ",".join([*(f for f in features if f.partition(":")[0] not in names), name])
            lines.append(f"not used: the fine-tuned {name}; --features {chosen} selects it")
    return lines


__all__ = ["base_name", "cut_off_words", "line_of", "stamp_of", "unused_checkpoints"]
