"""The records one evaluation uses; they are opened once in every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ffm_core.embed.blocks import windows_as_features
from ffm_core.records import Embedder, ExitPolicy, FeatureSet, Labeler

Call = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The records one evaluation uses, with the boundary that calls them."""

    labeler: Labeler
    label_policy: ExitPolicy
    run_policy: ExitPolicy
    feature_sets: tuple[FeatureSet, ...]
    call: Call
    embedders: tuple[Embedder, ...] = ()
    order: tuple[str, ...] = ()  # of the blocks of columns; default sets, then embedders

    @property
    def blocks(self) -> tuple[FeatureSet | Embedder, ...]:
        """Feature sets and embedders in the order of their columns."""
        given: tuple[FeatureSet | Embedder, ...] = (*self.feature_sets, *self.embedders)
        found = {block.name: block for block in given}
        return tuple(found[name] for name in self.order or found)

    @property
    def windows(self) -> tuple[FeatureSet, ...]:
        """What the embedders are shown, as feature sets; one per length of window."""
        lengths = dict.fromkeys(embedder.context_bars for embedder in self.embedders)
        return tuple(windows_as_features(bars) for bars in lengths)


class Source(Protocol):
    """Where the parts come from; it travels to workers, and opens them anew there."""

    @property
    def parts(self) -> Parts:
        """The records of the evaluation, opened when first asked for in a process."""
        ...


__all__ = ["Call", "Parts", "Source"]
