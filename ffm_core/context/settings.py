"""How context heads are probed, trained and certified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ffm_core.context.rows import HEADS, STRIDE
from ffm_core.context.scoring import BLOCK_DAYS, RESAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """How rows are chosen, split, fitted and scored; each command reads what it needs.

    Parameters
    ----------
    stride : int
        Bars between two decision bars.
    targets : tuple of str
        Which heads.
    features : tuple of str
        Feature sets that heads read beside the vector.
    rounds : int, optional
        Most trees of a head; default the learner's own.
    keep : float
        Share of every stream's span, the newest, that training leaves untouched.
    until_us : int, optional
        End of the data that training uses, microseconds UTC, instead of ``keep``.
    from_us : int, optional
        Begin of the test rows, microseconds UTC; a probe takes the last 30 % of every
        span by default, a certificate everything after the cut-off of the heads.
    min_train, min_later : int
        A head with fewer rows to train on, or to validate, calibrate or test on, is
        left out.
    resamples, block_days
        Of the intervals.
    shuffles : int
        Draws of shuffled labels of a probe.
    jobs : int
        Fits at once; the answer does not depend on it.
    seed : int
        Of everything random.
    """

    stride: int = STRIDE
    targets: tuple[str, ...] = HEADS
    features: tuple[str, ...] = ("ffm68",)
    rounds: int | None = None
    keep: float = 0.3
    until_us: int | None = None
    from_us: int | None = None
    min_train: int = 500
    min_later: int = 100
    resamples: int = RESAMPLES
    block_days: float = BLOCK_DAYS
    shuffles: int = 5
    jobs: int = 1
    seed: int = 0

    def record(self, *names: str) -> dict[str, Any]:
        """Return some of the settings for a JSON document."""
        return {name: getattr(self, name) for name in names}
