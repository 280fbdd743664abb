"""Plug-ins as the falsifier sees them: something that answers for every bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.rows import Rows
from ffm_core.errors import FFMError, StrategyError
from ffm_core.records import Decisions, FeatureSet, Labeler, Memory, Params
from ffm_core.types import Float32, Int64

Call: TypeAlias = Callable[..., Any]
LOOKBACK = 64  # rows compared before each cut
_FIELDS = ("risk", "stop_price", "target_r", "horizon_bars")


class Subject(Protocol):
    """A plug-in under test."""

    name: str
    memory: Memory
    warmup_bars: int
    history_bars: int | None  # bars in a window that gives its last row, or None

    def run(self, bars: Bars) -> Any:
        """Call the plug-in on ``bars`` and check the form of its answer."""
        ...

    def rows(self, answer: Any, lo: int, hi: int, start: int = 0) -> Rows:
        """Return the answer for bars ``lo`` to ``hi``; the bars began at ``start``."""
        ...

    def reach(self, answer: Any, cut: int) -> int:
        """Return the first bar worth comparing in a full prefix that ends at ``cut``."""
        ...

    def infinite(self, answer: Any) -> tuple[str, int] | None:
        """Return column and bar of the first infinity, or None."""
        ...


def direct(what: str) -> Call:
    """Return a caller that wraps what a plug-in raises as :class:`StrategyError`."""

    def call(function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except FFMError:
            raise
        except Exception as error:
            raise StrategyError(
                f"{what} raised {type(error).__name__}: {error}",
                fix="it must accept any bars, including the few that precede its warm-up",
            ) from error

    return call


class LabelerSubject:
    """A labeler with its parameters."""

    def __init__(self, labeler: Labeler, params: Params, call: Call | None) -> None:
        self.name = f"labeler {labeler.name}"
        self.memory = labeler.memory
        self.warmup_bars = labeler.warmup_bars
        # "Bars before a decision": the decision's own bar comes on top.
        history = labeler.history_bars
        self.history_bars = None if history is None else max(history, labeler.warmup_bars) + 1
        self._labeler = labeler
        self._params = dict(params)
        self._call = call or direct(self.name)
        self._columns = tuple(column.name for column in labeler.columns)
        self._names = (*_FIELDS, *self._columns)

    def run(self, bars: Bars) -> Decisions:
        """Return the decisions of ``bars``; see :class:`Subject`."""
        answer = self._call(self._labeler.decide, bars, dict(self._params))
        if not isinstance(answer, Decisions):
            raise StrategyError(
                f"{self.name} returned {type(answer).__name__}, expected Decisions",
                fix="return ffm_core.records.Decisions, empty when there is no decision",
            )
        if set(answer.columns) != set(self._columns):
            odd = sorted(set(answer.columns) ^ set(self._columns))
            raise StrategyError(
                f"{self.name} declares other columns than it returns: {', '.join(odd)}",
                fix="list every column in Labeler.columns and return all of them every time",
            )
        if len(answer) and not 0 <= answer.bar[0] <= answer.bar[-1] < len(bars):
            raise StrategyError(
                f"{self.name} decides at bars {answer.bar[0]} to {answer.bar[-1]} of "
                f"{len(bars)} bars",
                fix="'bar' is the index of the last bar known, from 0 to len(bars) - 1",
            )
        return answer

    def rows(self, answer: Decisions, lo: int, hi: int, start: int = 0) -> Rows:
        """Return decisions at bars ``lo`` to ``hi``; see :class:`Subject`."""
        i, j = np.searchsorted(answer.bar, (lo - start, hi - start))
        side, n = answer.side[i:j], int(j - i)
        key = 2 * (answer.bar[i:j] + start) + (side > 0)
        values = np.full((n, len(self._names)), np.nan)
        for k, name in enumerate(_FIELDS):
            field = getattr(answer, name)
            if field is not None:
                values[:, k] = field[i:j]
        for k, name in enumerate(self._columns, start=len(_FIELDS)):
            values[:, k] = answer.columns[name][i:j]
        order = np.argsort(key, kind="stable")
        group = None if answer.group is None else answer.group[i:j][order]
        return Rows(key=key[order], names=self._names, values=values[order], group=group)

    def reach(self, answer: Decisions, cut: int) -> int:
        """Reach back over as many decisions as bars; see :class:`Subject`."""
        row = int(np.searchsorted(answer.bar, cut)) - LOOKBACK
        oldest = int(answer.bar[max(row, 0)]) if len(answer) else cut
        return max(min(cut - LOOKBACK, oldest), 0)

    def infinite(self, answer: Decisions) -> tuple[str, int] | None:
        """Return column and bar of the first infinity; see :class:`Subject`."""
        fields = {name: getattr(answer, name) for name in _FIELDS}
        for name, values in {**fields, **answer.columns}.items():
            if values is not None and (bad := np.isinf(values)).any():
                return name, int(answer.bar[int(np.argmax(bad))])
        return None


class FeatureSubject:
    """A feature set; one row a bar."""

    def __init__(self, feature_set: FeatureSet, call: Call | None) -> None:
        self.name = f"features {feature_set.name}"
        self.memory = feature_set.memory
        self.warmup_bars = feature_set.warmup_bars
        history = feature_set.history_bars
        self.history_bars = None if history is None else max(history, 1)
        self._set = feature_set
        self._call = call or direct(self.name)
        self._names = tuple(column.name for column in feature_set.columns)

    def run(self, bars: Bars) -> Float32:
        """Return the float32 matrix (T, F) of ``bars``; see :class:`Subject`."""
        answer = self._call(self._set.batch, bars)
        expected = (len(bars), len(self._names))
        if not isinstance(answer, np.ndarray) or answer.dtype != np.float32:
            kind = answer.dtype if isinstance(answer, np.ndarray) else type(answer).__name__
            raise StrategyError(
                f"{self.name} returned {kind}, expected a float32 array",
                fix="end batch() with .astype(np.float32)",
            )
        if answer.shape != expected:
            raise StrategyError(
                f"{self.name} returned shape {answer.shape}, expected {expected}: "
                "one row per bar, one column per declared name",
                fix="return NaN rows during warm-up instead of dropping them",
            )
        return answer

    def rows(self, answer: Float32, lo: int, hi: int, start: int = 0) -> Rows:
        """Return the rows of bars ``lo`` to ``hi``; see :class:`Subject`."""
        key: Int64 = 2 * np.arange(lo, hi, dtype=np.int64) + 1
        return Rows(key=key, names=self._names, values=answer[lo - start : hi - start])

    def reach(self, answer: Float32, cut: int) -> int:
        """Reach back a fixed number of bars; see :class:`Subject`."""
        return max(cut - LOOKBACK, 0)

    def infinite(self, answer: Float32) -> tuple[str, int] | None:
        """Return column and bar of the first infinity; see :class:`Subject`."""
        bad = np.isinf(answer)
        if not bad.any():
            return None
        row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
        return self._names[int(column)], int(row)
