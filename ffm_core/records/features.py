"""What sees conditions: feature sets, bar by bar or in one go, and embedders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ffm_core.records.strategy import Column, Input, Memory
from ffm_core.types import Float32

if TYPE_CHECKING:
    from ffm_core.bars.instrument import Instrument
    from ffm_core.bars.table import Bars
    from ffm_core.bars.timeframe import Timeframe


class FeatureStream(Protocol):
    """Features bar by bar; bit for bit what ``FeatureSet.batch`` gives."""

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Take the next closed bar; return its row, float32 (F,), a new array.

        ``ts_us`` is the bar's open in microseconds UTC, prices are in points.
        """
        ...

    def snapshot(self) -> bytes:
        """Return the whole state; :meth:`restore` in another process continues from it."""
        ...

    def restore(self, state: bytes) -> None:
        """Go back to a snapshot of the same feature set, instrument and timeframe."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Causal columns of bars.

    Parameters
    ----------
    batch : callable
        ``bars -> float32 (T, F)``; row ``t`` uses bars up to and including
        ``t``; NaN during warm-up, never infinite.
    history_bars, history_days : int, optional
        Bars and whole trading dates, the row's own among them, that suffice to
        reproduce a row; both None means all. A column may declare its own.
    stream : callable, optional
        ``(instrument, timeframe) -> FeatureStream`` with the same values bar by
        bar. Without it a set is streamed by calling ``batch`` on its history.
    version : str
        Raised when a formula changes; part of every cache key.
    fit_cutoff : str, optional
        ISO date of the newest bar its numbers were fitted to; "" where nothing is
        fitted, None when nobody knows.
    inputs : tuple of Input
        Outside tables that ``batch`` reads; a set that reads some has no ``stream``.
    """

    name: str
    columns: tuple[Column, ...]
    batch: Callable[[Bars], Float32]
    warmup_bars: int
    history_bars: int | None
    memory: Memory = "finite"
    summary: str = ""
    history_days: int | None = None
    stream: Callable[[Instrument, Timeframe], FeatureStream] | None = None
    version: str = "1"
    fit_cutoff: str | None = ""
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A frozen model that turns the last bars into a vector.

    Parameters
    ----------
    context_bars : int
        Bars of a window; the last one is the decision bar.
    columns : tuple of Column
        One per number of the vector, in order, without the host's extras.
    identity : str
        SHA-256, 64 hex digits, of the weights and the recipe (context, centring,
        pooling, backend). Equal identities give equal vectors; part of every cache key.
    embed : callable
        ``windows -> vectors``: float32 (N, context_bars) of instance-normalised log
        closes, mean 0 and standard deviation 1 a row, all finite, to finite float32
        (N, len(columns)). A row depends on its window alone.
    extras : tuple of str
        What the host appends to every vector from the same window before it was
        normalised: ``return_shape`` (7 columns) and ``log_scale`` (1 column).
    fit_cutoff : str, optional
        ISO date of the newest bar the weights were fitted to; "" when no bar of any
        market was seen; None when nobody knows, and then ``released`` counts.
    released : str
        ISO date on which the weights were published, "" for those made here.
    private : bool
        Names and paths are redacted in every artefact.
    """

    name: str
    context_bars: int
    columns: tuple[Column, ...]
    identity: str
    embed: Callable[[Float32], Float32]
    extras: tuple[str, ...] = ()
    fit_cutoff: str | None = None
    released: str = ""
    backend: str = ""
    source: str = ""
    summary: str = ""
    private: bool = False

    @property
    def dim(self) -> int:
        """Numbers in a vector, without the host's extras."""
        return len(self.columns)


__all__ = ["Embedder", "FeatureSet", "FeatureStream"]
