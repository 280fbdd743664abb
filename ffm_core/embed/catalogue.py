"""Which embedders there are: the model in the box, the statistics, and what was added."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Protocol

from ffm_core.embed.cards import Card, read_card
from ffm_core.embed.chronos2 import opened
from ffm_core.embed.openvino_session import OpenvinoModel
from ffm_core.embed.recipe import BACKENDS, POOLS, Backend, EmbeddingRecipe, parse_variant
from ffm_core.embed.session import Advance, OnnxModel, pooled
from ffm_core.embed.worker import TorchModel
from ffm_core.errors import FFMWarning, ModelError, UnavailableError, UnknownNameError
from ffm_core.paths import ffm_home, kind_of
from ffm_core.records import Column, Embedder
from ffm_core.types import Float32
from ffm_core.wording import suggest

BOX = Path(__file__).parent / "box"
BOXED = "ffm-bolt-synth"
# Published models that 'ffm backbone add NAME' knows where to find.
HUB = {
    "chronos-bolt-tiny": "amazon/chronos-bolt-tiny",
    "chronos-bolt-mini": "amazon/chronos-bolt-mini",
    "chronos-bolt-small": "amazon/chronos-bolt-small",
    "chronos-bolt-base": "amazon/chronos-bolt-base",
    "chronos-2": "amazon/chronos-2",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def backbones_home() -> Path:
    """Return the folder in which added backbones lie, under ``FFM_HOME``."""
    return ffm_home() / "backbones"


def folders() -> dict[str, Path]:
    """Return the folder of every backbone on this machine, by name; the box first."""
    found = {BOXED: BOX} if kind_of(BOX / "card.json") else {}
    home = backbones_home()
    if kind_of(home) == "folder":
        for folder in sorted(home.iterdir()):
            if _NAME.fullmatch(folder.name) and kind_of(folder / "card.json") == "file":
                found.setdefault(folder.name, folder)
    return found


def folder_of(name: str) -> Path:
    """Return the folder of a backbone.

    Raises
    ------
    UnavailableError
        When it is a published model that was not added yet.
    UnknownNameError
        When nothing is known by that name.
    """
    found = folders()
    if name in found:
        return found[name]
    if name in HUB or name == BOXED:
        fix = f"ffm backbone add {name}" if name in HUB else "reinstall ffm-core"
        raise UnavailableError(f"backbone {name!r} is not on this machine", fix=fix)
    raise UnknownNameError(
        f"there is no backbone named {name!r}",
        fix=suggest(name, [*found, *HUB], noun="backbones"),
    )


class Backbone(Protocol):
    """What every backend gives: tokens and forecasts for normalised windows."""

    card: Card

    def tokens(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return tokens, float32 (N, context / patch + 1, d_model)."""
        ...

    def quantiles(self, values: Float32, advance: Advance | None = None) -> Float32:
        """Return forecasts in the units of the windows, float32 (N, levels, horizon)."""
        ...


@lru_cache(maxsize=8)
def _model(folder: Path, weights: str, backend: Backend) -> Backbone:
    card = read_card(folder)
    if card.weights_sha256 != weights:
        raise ModelError(f"{folder} was replaced while it was in use", fix="start again")
    if backend == "torch":
        return TorchModel(card)
    if backend == "onnx":
        return opened(folder, card)
    if card.architecture != "chronos-bolt":
        raise UnavailableError(
            f"backend {backend} runs Chronos-Bolt models, and {card.name} is {card.architecture}",
            fix="use the onnx backend",
        )
    return OpenvinoModel(folder, card)


def model_of(name: str) -> Backbone:
    """Return the model of ``name`` or ``name:backend``; read on first use, once a process.

    Raises
    ------
    UnavailableError, UnknownNameError, ConfigError, ModelError
        When there is no such backbone or backend, or its card is broken.
    """
    base, _, variant = name.partition(":")
    folder = folder_of(base)
    return _model(folder, read_card(folder).weights_sha256, parse_variant(variant).backend)


def embedder_of(name: str) -> Embedder:
    """Return the embedder called ``name`` or ``name:variant``; see :func:`.parse_variant`.

    Raises
    ------
    UnavailableError, UnknownNameError, ConfigError, ModelError
        When there is no such backbone, no such variant, or its card is broken.
    """
    if name == "stats":  # its kernels take longer to import than a model to start
        from ffm_core.embed.stats import STATS

        return STATS
    base, _, variant = name.partition(":")
    folder = folder_of(base)
    return _embedder(name, folder, read_card(folder), parse_variant(variant))


def embedders() -> Iterator[Embedder]:
    """Yield every embedder on this machine, variants of pooling and backend included.

    A backbone whose card is broken is left out with a warning, so that it stops no other.
    """
    from ffm_core.embed.stats import STATS

    yield STATS
    pools = ["", *(f"{pool}{bare}" for pool in POOLS for bare in ("", "-bare"))]
    for name, folder in folders().items():
        try:
            card = read_card(folder)
        except ModelError as error:
            warnings.warn(
                f"backbone {name!r} is left out: {error.problem}", FFMWarning, stacklevel=2
            )
            continue
        for parts in product(pools, ("", *BACKENDS[1:])):
            variant = "-".join(filter(None, parts))
            full = f"{name}:{variant}" if variant else name
            yield _embedder(full, folder, card, parse_variant(variant))


def _embedder(name: str, folder: Path, card: Card, recipe: EmbeddingRecipe) -> Embedder:
    width = recipe.width(card.d_model)
    return Embedder(
        name=name,
        context_bars=recipe.context_bars,
        columns=_columns(width),
        identity=recipe.identity(card.weights_sha256),
        embed=partial(_embed, folder, card.weights_sha256, recipe),
        extras=recipe.extras,
        fit_cutoff=card.fit_cutoff,
        released=card.released,
        backend=recipe.backend,
        source=card.source,
        summary=f"{card.architecture}, {recipe.pool} of tokens, {width} columns; {card.trained_on}",
    )


@lru_cache
def _columns(width: int) -> tuple[Column, ...]:
    return tuple(
        Column(name=f"e{k:03d}", unit="1", description="one coordinate of the embedding")
        for k in range(width)
    )


def _embed(folder: Path, weights: str, recipe: EmbeddingRecipe, windows: Float32) -> Float32:
    model = _model(folder, weights, recipe.backend)
    if isinstance(model, OnnxModel):
        return model.vectors(windows, recipe.pool)
    return pooled(model.tokens(windows), recipe.pool)
