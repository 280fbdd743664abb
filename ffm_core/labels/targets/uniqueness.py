"""How much of a label is its own: weights for labels that overlap in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ffm_core.errors import ConfigError
from ffm_core.types import Float64, Int64


def uniqueness(
    start: Int64,
    end: Int64,
    stream: npt.NDArray[np.integer] | None = None,
    *,
    normalise: bool = True,
) -> Float64:
    """Return the average uniqueness of each label.

    At a moment that ``c`` labels of one stream share, each owns ``1 / c`` of it; a
    label's weight is the mean of that over its span.

    Parameters
    ----------
    start, end : int64 (N,)
        First and last bar of each span, both of them in it; for the label of bar
        ``b`` that is ``b + 1`` and its ``end_bar``. Any whole unit of time will do.
    stream : integer (N,), optional
        Labels of different streams do not share anything; default one stream.
    normalise : bool
        Whether the weights are scaled to a mean of 1.

    Returns
    -------
    float64 (N,)
        In (0, 1] when not normalised; 1 for a label that overlaps no other. The
        weights look at spans alone, and may be used on training rows only.

    Raises
    ------
    ConfigError
        When the arrays differ in length or a span ends before it starts.

    References
    ----------
    López de Prado (2018), *Advances in Financial Machine Learning*, chapter 4.
    """
    start, end = np.asarray(start, dtype=np.int64), np.asarray(end, dtype=np.int64)
    codes = np.zeros(len(start), dtype=np.int64) if stream is None else np.asarray(stream)
    _check(start, end, codes)
    weight = np.empty(len(start))
    order = np.argsort(codes, kind="stable")
    edges = np.flatnonzero(np.diff(codes[order])) + 1
    for rows in np.split(order, edges) if len(order) else []:
        weight[rows] = _of_one_stream(start[rows], end[rows] + 1)
    return weight / weight.mean() if normalise and len(weight) else weight


def _of_one_stream(start: Int64, stop: Int64) -> Float64:
    """Count on the pieces between all starts and stops, so that length costs nothing."""
    cuts = np.unique(np.concatenate((start, stop)))
    first, last = np.searchsorted(cuts, start), np.searchsorted(cuts, stop)
    pieces = len(cuts)
    opened = np.bincount(first, minlength=pieces) - np.bincount(last, minlength=pieces)
    shared = np.cumsum(opened)[:-1]
    owned = np.where(shared > 0, np.diff(cuts) / np.maximum(shared, 1), 0.0)
    total = np.concatenate(([0.0], np.cumsum(owned)))
    return np.asarray((total[last] - total[first]) / (stop - start), dtype=np.float64)


def _check(start: Int64, end: Int64, codes: npt.NDArray[np.integer]) -> None:
    if not start.shape == end.shape == codes.shape or start.ndim != 1:
        raise ConfigError(
            f"uniqueness: start {start.shape}, end {end.shape} and stream {codes.shape} differ",
            fix="give one start, one end and one stream per label",
        )
    bad = np.flatnonzero(end < start)
    if len(bad):
        row = int(bad[0])
        raise ConfigError(
            f"uniqueness: label {row} starts at {start[row]} and ends at {end[row]}",
            fix="leave out undefined labels, whose end_bar is -1",
        )
