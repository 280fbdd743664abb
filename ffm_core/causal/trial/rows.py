"""What a plug-in said about a range of bars, in one form for every kind of plug-in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ffm_core.types import Bool, Float32, Float64, Int64

Change: TypeAlias = Literal["late", "vanishes", "side", "value"]
Matrix: TypeAlias = Float64 | Float32
_FLOAT32_STEP = 2.0**-23
_FLOAT64_STEPS = 2.0**-48  # sixteen: a recursion rounds at every bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Answers for bars ``lo`` to ``hi`` of a stream.

    Parameters
    ----------
    key : int64 (n,)
        ``2 · bar + (side > 0)``, ascending; features have one row a bar.
    values : float64 or float32 (n, C)
        One column per name in ``names``; NaN where there is none.
    group : int64 (n,), optional
        Rows that exclude one another; compared as a partition, because numbers
        given in order of appearance depend on where the series starts.
    """

    key: Int64
    names: tuple[str, ...]
    values: Matrix
    group: Int64 | None = None

    def __len__(self) -> int:
        return len(self.key)

    def copy(self) -> Rows:
        """Return rows that hold on to no larger answer."""
        group = None if self.group is None else self.group.copy()
        return Rows(key=self.key, names=self.names, values=self.values.copy(), group=group)

    def only(self, names: Collection[str] | None) -> Rows:
        """Return some columns of the rows, all of them for None."""
        if names is None:
            return self
        places = [place for place, name in enumerate(self.names) if name in names]
        chosen = tuple(self.names[place] for place in places)
        return Rows(key=self.key, names=chosen, values=self.values[:, places], group=self.group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place where a column of two answers disagrees, and how far back it goes."""

    column: str
    bar: int
    side: int
    kind: Change
    full: float
    part: float
    earliest: int  # first bar of this column that differs
    relative: float = np.nan  # size of the difference, relative to the value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How equal two answers must be.

    Answers that begin where the series begins, and columns of finite and event memory:
    the same bytes, NaN equal to NaN. Recursive memory on a shorter history: within
    ``1e-9`` of the column's own spread, or within a few rounding steps of its value
    (float32 columns: one), because the recursion may fall on either side of one.
    """

    exact: bool
    scale: Float64  # (C,) spread of each column
    drifting: Bool | None = None  # (C,) columns of recursive memory; None: all unless exact

    def same(self, a: Matrix, b: Matrix) -> Bool:
        """Return where ``a`` and ``b`` (n, C) count as equal."""
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        if self.exact or equal.all():
            return np.asarray(equal)
        size = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
        steps = _FLOAT32_STEP if a.dtype == np.float32 else _FLOAT64_STEPS
        room = np.maximum(1e-9 * self.scale, size * steps)
        with np.errstate(invalid="ignore"):
            close = np.abs(a.astype(np.float64) - b) <= room
        if self.drifting is not None:
            close &= self.drifting
        return np.asarray(equal | (close & np.isfinite(size)))


EXACT = Tolerance(exact=True, scale=np.zeros(0))


def spread(values: Matrix) -> Float64:
    """Return how far the finite values of each column lie apart, 0 where they do not.

    The middle half of them, or their standard deviation where that half is one value.
    """
    sizes = np.zeros(values.shape[1])
    for j in range(values.shape[1]):
        column = values[:, j].astype(np.float64)
        finite = column[np.isfinite(column)]
        if len(finite):
            low, high = np.quantile(finite, (0.25, 0.75))
            sizes[j] = high - low if high > low else float(np.std(finite))
    return sizes


def differences(full: Rows, part: Rows, tolerance: Tolerance) -> list[Difference]:
    """Compare two answers for the same bars.

    Parameters
    ----------
    full, part : Rows
        With everything known, and with the later bars withheld or changed.
    tolerance : Tolerance
        How equal values must be; presence and side of a decision are exact.

    Returns
    -------
    list of Difference
        At most one per column, empty when nothing differs. ``bar`` is the last
        bar that differs, nearest to the cut; ``earliest`` the first.
    """
    found: list[Difference] = []
    if len(full) == len(part) and (full.key == part.key).all():
        a, b, keys = full.values, part.values, full.key
        groups = (full.group, part.group)
    else:
        found += _presence(full.key, part.key)
        keys, rows_a, rows_b = np.intersect1d(
            full.key, part.key, assume_unique=True, return_indices=True
        )
        a, b = full.values[rows_a], part.values[rows_b]
        groups = (
            None if full.group is None else full.group[rows_a],
            None if part.group is None else part.group[rows_b],
        )
    if len(keys):
        found += _values(full.names, keys, a, b, tolerance)
        if not _same_partition(*groups):
            found.append(_at(keys[-1:], "group", "value"))
    return found


def _presence(full: Int64, part: Int64) -> list[Difference]:
    # A late decision is look-ahead, one that vanishes is repainting; both may occur.
    late = np.setdiff1d(full, part, assume_unique=True)
    gone = np.setdiff1d(part, full, assume_unique=True)
    turned = late[np.isin(late ^ 1, gone)]  # same bar, other side
    if len(turned):
        return [_at(turned, "side", "side")]
    found = [_at(late, "decision", "late")] if len(late) else []
    if len(gone):
        found.append(_at(gone, "decision", "vanishes"))
    return found


def _at(keys: Int64, column: str, kind: Change) -> Difference:
    last, side = int(keys[-1]) // 2, 1 if int(keys[-1]) % 2 else -1
    nan = float("nan")
    return Difference(
        column=column, bar=last, side=side, kind=kind, full=nan, part=nan,
        earliest=int(keys[0]) // 2,
    )  # fmt: skip


def _values(
    names: tuple[str, ...], keys: Int64, a: Matrix, b: Matrix, tolerance: Tolerance
) -> list[Difference]:
    same = tolerance.same(a, b)
    if same.all():
        return []
    found = []
    for j in np.flatnonzero(~same.all(axis=0)):
        rows = np.flatnonzero(~same[:, j])
        row = int(rows[-1])
        x, y = float(a[row, j]), float(b[row, j])
        size = max(abs(x), abs(y))
        found.append(
            Difference(
                column=names[j],
                bar=int(keys[row]) // 2,
                side=1 if int(keys[row]) % 2 else -1,
                kind="value",
                full=x,
                part=y,
                earliest=int(keys[rows[0]]) // 2,
                relative=abs(x - y) / size if size > 0 else float("nan"),
            )
        )
    return found


def _same_partition(a: Int64 | None, b: Int64 | None) -> bool:
    if a is None or b is None:
        return a is None and b is None
    return bool((_ranks(a) == _ranks(b)).all())


def _ranks(group: Int64) -> Int64:
    # Groups are numbered in order of first appearance.
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first)))[inverse]
