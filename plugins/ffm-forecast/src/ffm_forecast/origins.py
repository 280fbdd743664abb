"""Where forecasts are tried: origins, the values before them and what came after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ffm_core.bars.sessions import lost_sessions, session_length_us
from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError, SampleError
from ffm_core.types import Float64, Int64
from ffm_forecast.distribution import Space
from ffm_forecast.forecasters import contexts_at, log_closes

TEST_SHARE = 0.3
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """``N`` origins of one series or of many.

    Parameters
    ----------
    name : str
        A stream, or what the series are.
    space : {"log_price", "value"}
        What the values are.
    actual : float64 (N, H)
        What came.
    contexts : callable
        ``bars -> float64 (N, bars)``, the values up to each origin.
    longest : int
        Bars every origin has before it.
    step : int
        Bars between neighbouring origins; at least H when targets do not meet.
    season : int or None
        Bars of a session, None where no season is known.
    stamps : int64 (N,)
        Close of each origin's bar, microseconds since 1970 UTC; empty for series
        outside of time.
    dropped : mapping of str to int
        Origins left out, by reason.
    """

    name: str
    space: Space
    actual: Float64
    contexts: Callable[[int], Float64]
    longest: int
    step: int
    season: int | None
    stamps: Int64
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.actual)

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return int(self.actual.shape[1])

    @property
    def overlap(self) -> int:
        """How many later origins share a target bar with one."""
        return -(-self.horizon // self.step) - 1

    @property
    def separate(self) -> int:
        """How many origins there are whose targets do not meet."""
        return -(-len(self) // (self.overlap + 1))


def season_of(bars: Bars) -> int:
    """Return the bars of a regular session, at least 1."""
    return max(session_length_us(bars.instrument) // bars.timeframe.us, 1)


def rolling_origins(
    bars: Bars,
    horizon: int,
    *,
    contexts: Sequence[int],
    step: int | None = None,
    share: float = TEST_SHARE,
) -> Origins:
    """Return origins in the last part of a stream.

    An origin is left out when a price is missing, when a hole of a session or a change
    of contract lies between its first bar of context and its last target, or when the
    shortest context is constant.

    Parameters
    ----------
    horizon : int
        Steps ahead.
    contexts : sequence of int
        Bars the forecasters look at; every origin has the longest of them.
    step : int, optional
        Bars between origins, default the horizon.
    share : float
        Part of the bars, at the end, whose bars are forecast.

    Raises
    ------
    ConfigError
        When a number is out of range.
    SampleError
        When no origin is left.
    """
    step = horizon if step is None else step
    if horizon < 1 or step < 1 or not 0.0 < share <= 1.0:
        raise ConfigError(
            f"horizon {horizon}, step {step} or share {share:g} is out of range",
            fix="give a horizon and a step of 1 or more and a share above 0, at most 1",
        )
    longest, count = max(contexts), len(bars)
    first = max(int(count * (1.0 - share)) - 1, longest - 1)
    at = np.arange(first, count - horizon, step, dtype=np.int64)
    values = log_closes(bars)
    dropped: dict[str, int] = {}
    unknown = np.concatenate([[0], np.cumsum(np.isnan(values))])
    for reason, before, after in (
        ("price", unknown[:-1], unknown[1:]),  # the first bar of a context counts as well
        ("hole", lost_sessions(bars), lost_sessions(bars)),
        ("roll", bars.rolls, bars.rolls),
    ):
        keep = before[at - longest + 1] == after[at + horizon]
        if not keep.all():
            dropped[reason] = int(np.sum(~keep))
        at = at[keep]
    near = contexts_at(values, at, min(contexts)) if len(at) else np.empty((0, 1))
    keep = np.ptp(near, axis=1) > _CONSTANT
    if not keep.all():
        dropped["constant"] = int(np.sum(~keep))
    at = at[keep]
    if len(at) == 0:
        raise SampleError(
            f"{bars.stream}: no origin has {longest} bars before it and {horizon} after it"
            + (f" (left out: {dropped})" if dropped else ""),
            fix="give more bars, a shorter horizon or a shorter context",
        )
    return Origins(
        name=bars.stream,
        space="log_price",
        actual=contexts_at(values, at + horizon, horizon),
        contexts=lambda length: contexts_at(values, at, length),
        longest=longest,
        step=step,
        season=season_of(bars),
        stamps=bars.ts_us[at] + bars.timeframe.us,
        dropped=dropped,
    )
