"""Made-up rows for tests of a learner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Design, Outcomes, View
from ffm_core.types import Bool, Float64, Int8, Int16, Int64

HOUR_US = 3_600_000_000


def make_view(
    x: np.ndarray,
    won: Bool | Int8 | None = None,
    *,
    r: Float64 | None = None,
    peak_r: Float64 | None = None,
    names: Sequence[str] = (),
    side: Int8 | None = None,
    stream: Int16 | None = None,
    bar: Int64 | None = None,
    group: Int64 | None = None,
    t_us: Int64 | None = None,
    t_end: Int64 | None = None,
    bars: tuple[Bars, ...] | None = None,
) -> View:
    """Return a view of made-up decisions, as a learner is given it.

    Parameters
    ----------
    x : array (N, F)
        Design columns; stored as float32.
    won : bool (N,), optional
        Whether the row won; without it (and without ``r``) the view holds no outcomes,
        like one that asks for a plan.
    r : float64 (N,), optional
        Net R of the rows, without costs; default 2 where won, else -1.
    peak_r : float64 (N,), optional
        Best excursion; default 3 where the row won, else 0.
    names : sequence of str
        Names of the columns; default ``made/0``, ``made/1``, …
    side, stream, bar, group, t_us, t_end, bars
        As in :class:`~ffm_core.records.View` and its outcomes; default long, one stream,
        a decision an hour, no groups, known one minute later, no bars.

    Returns
    -------
    View
        With ``N`` rows.
    """
    n = len(x)
    t_us = np.arange(n, dtype=np.int64) * HOUR_US if t_us is None else t_us
    outcomes = None
    if r is None and won is not None:
        r = np.where(np.asarray(won, dtype=np.bool_), 2.0, -1.0)
    if r is not None:
        peak = np.where(r > 0, 3.0, 0.0) if peak_r is None else peak_r
        known = t_us + 60_000_000 if t_end is None else t_end
        outcomes = _outcomes(np.asarray(r, dtype=np.float64), peak, t_us, known)
    columns = tuple(names) or tuple(f"made/{i}" for i in range(np.shape(x)[1]))
    return View(
        design=Design(x=np.asarray(x, dtype=np.float32), names=columns),
        side=np.ones(n, dtype=np.int8) if side is None else side,
        stream=np.zeros(n, dtype=np.int16) if stream is None else stream,
        bar=np.arange(n, dtype=np.int64) if bar is None else bar,
        group=np.full(n, -1, dtype=np.int64) if group is None else group,
        t_us=t_us,
        outcomes=outcomes,
        bars=bars,
    )


def _outcomes(r: Float64, peak_r: Float64, t_entry: Int64, t_end: Int64) -> Outcomes:
    n, points = len(r), np.ones(len(r))
    return Outcomes(
        entry_bar=np.arange(n), entry_price=100 * points, risk=points, target_r=2 * points,
        exit_bar=np.arange(n), exit_price=100 + r, r_gross=r, cost_points=0 * points,
        tick_size=points, slippage_ticks=0 * points, peak_r=np.asarray(peak_r, dtype=np.float64),
        mfe_r=np.maximum(r, 0), mae_r=np.maximum(-r, 0), t_entry=t_entry, t_exit=t_end, t_end=t_end,
        t_end_max=t_end, reason=np.ones(n, dtype=np.int8), void_reason=np.zeros(n, dtype=np.int8),
    )  # fmt: skip


__all__ = ["make_view"]
