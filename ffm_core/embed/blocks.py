"""Embedders among the blocks of a design matrix: found by name, and their windows as features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.embed.catalogue import HUB, embedder_of, folders
from ffm_core.embed.embedding import EXTRA_COLUMNS
from ffm_core.embed.recipe import CENTRING, EXTRAS
from ffm_core.embed.stats import STATS
from ffm_core.embed.windows import Windows, windows_at
from ffm_core.errors import UnknownNameError
from ffm_core.host.absent import require_fitted, require_installed
from ffm_core.host.discovery import listed
from ffm_core.host.loading import Host, Offered
from ffm_core.records import Column, Embedder, FeatureSet
from ffm_core.records.forms import refused, require_unique
from ffm_core.types import Float32, Int64
from ffm_core.wording import suggest

_HEX = frozenset("0123456789abcdef")
_IDENTITY_CHARS = 64


class Build(Protocol):
    """How windows are made of bars; :func:`.windows_at` in earnest."""

    def __call__(self, bars: Bars, at: Int64, *, context_bars: int) -> Windows:
        """Return the windows that end at some bars."""
        ...


def find_embedder(name: str, host: Host | None = None) -> Embedder | Offered[Embedder]:
    """Return an embedder by name: one of ours, or a plug-in's with its origin.

    Parameters
    ----------
    name : str
        ``name`` or ``name:variant``.
    host : Host, optional
        Plug-ins that are loaded; without one only ours are known.

    Raises
    ------
    UnknownNameError
        When nobody offers it.
    UnavailableError
        When it is a published model that is not on this machine, or a set not fitted yet.
    PluginConflictError
        When two offer one name.
    StrategyError
        When a plug-in's record breaks its contract.
    """
    require_fitted(name)
    if host is not None and any(
        "ffm_embedders" in plugin.hooks and not plugin.origin.is_core for plugin in host.loaded
    ):
        for offer in host.embedders():
            if offer.record.name == name and not offer.origin.is_core:
                require_sound(offer.record)
                return offer
    return embedder_of(name)


def known_names(host: Host | None = None) -> list[str]:
    """Return what embedders can be called, without their variants; ours and plug-ins'."""
    theirs = []
    if host is not None:
        theirs = [offer.record.name for offer in host.embedders() if ":" not in offer.record.name]
    return list(dict.fromkeys([STATS.name, *folders(), *HUB, *theirs]))


def unknown_block(name: str, sets: list[str], host: Host | None = None) -> UnknownNameError:
    """Return the error for a name that is neither a feature set nor an embedder.

    Raises
    ------
    UnavailableError
        When a package of this project brings it and is not installed.
    """
    hooks = ("ffm_feature_sets", "ffm_embedders")
    require_installed(name, *hooks, what="feature set")
    known = [*sets, *known_names(host), *(other for hook in hooks for other in listed(hook))]
    return UnknownNameError(
        f"there is no feature set or embedder named {name!r}",
        fix=suggest(name, known, noun="feature sets and embedders"),
    )


def require_sound(embedder: Embedder) -> None:
    """Check what a record says of itself, before it is asked for anything.

    Raises
    ------
    StrategyError
        When identity, columns, context or extras cannot be what they must be.
    """
    who, identity = f"embedder {embedder.name!r}", embedder.identity
    if not isinstance(identity, str) or len(identity) != _IDENTITY_CHARS or set(identity) - _HEX:
        raise refused(
            who,
            f"the identity is {str(identity)[:_IDENTITY_CHARS]!r}, expected the 64 hex digits of "
            "a SHA-256",
            "hash weights and recipe: hashlib.sha256(weights + recipe).hexdigest()",
        )
    if not embedder.columns:
        raise refused(who, "it declares no columns", "declare one column per element of the vector")
    require_unique(who, "column", [column.name for column in embedder.columns])
    odd = sorted(set(embedder.extras) - set(EXTRAS))
    if odd:
        raise refused(who, f"it requests the extra {odd[0]!r}", f"extras are {', '.join(EXTRAS)}")
    if embedder.context_bars < 2:
        problem = f"it has a context of {embedder.context_bars} bars"
        raise refused(who, problem, "a window has 2 bars or more")


@dataclass(frozen=True, slots=True)
class WindowRows:
    """Lays windows out as rows of features, one a bar.

    Parameters
    ----------
    context_bars : int
        Bars of a window.
    build : Build
        What makes them.
    """

    context_bars: int
    build: Build

    def __call__(self, bars: Bars) -> Float32:
        """Return a row for every bar, float32 (T, F)."""
        return self.at(bars, np.arange(len(bars), dtype=np.int64))

    def at(self, bars: Bars, at: Int64) -> Float32:
        """Return rows for some bars (N,), float32 (N, F)."""
        found = self.build(bars, at, context_bars=self.context_bars)
        with np.errstate(invalid="ignore"):
            scale = np.log(found.scale)[:, None]
        out = np.empty((len(at), len(_columns(self.context_bars))), dtype=np.float32)
        out[:, : self.context_bars] = found.values
        out[:, self.context_bars : -1] = np.hstack([found.shape, scale])
        out[:, -1] = found.flaw
        return out


def _columns(context_bars: int) -> tuple[Column, ...]:
    places = tuple(
        Column(name=f"w{k:03d}", unit="standard deviations") for k in range(context_bars)
    )
    extras = tuple(column for name in EXTRAS for column in EXTRA_COLUMNS[name])
    return (*places, *extras, Column(name="flaw", unit="code"))


def windows_as_features(context_bars: int, build: Build = windows_at) -> FeatureSet:
    """Return what embedders of a context are shown, as a feature set that can be falsified.

    Parameters
    ----------
    context_bars : int
        Bars of a window; a row is reproduced from as many.
    build : callable
        What makes the windows.

    Returns
    -------
    FeatureSet
        Columns ``w000`` … (the normalised window), the extras and ``flaw``.
    """
    return FeatureSet(
        name=f"windows of {context_bars} bars",
        columns=_columns(context_bars),
        batch=WindowRows(context_bars, build),
        warmup_bars=context_bars - 1,
        history_bars=context_bars,
        memory="finite",
        summary="what embedders are shown",
        version=CENTRING,
    )


__all__ = [
    "Build", "WindowRows", "find_embedder", "known_names", "require_sound", "unknown_block",
    "windows_as_features",
]  # fmt: skip
