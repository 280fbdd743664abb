"""Plug-ins as the falsifier sees them: something that answers for every bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.causal.process.access import roots_of
from ffm_core.causal.trial.findings import caller
from ffm_core.causal.trial.rows import Rows
from ffm_core.records import (
    Column,
    Decisions,
    FeatureSet,
    FeatureStream,
    Labeler,
    Memory,
    Params,
    SubjectKind,
    answers,
)
from ffm_core.records.forms import first_infinite
from ffm_core.types import Float32, Int64

Call: TypeAlias = Callable[..., Any]
LOOKBACK = 64  # rows compared before each cut
_FIELDS = ("risk", "stop_price", "target_r", "horizon_bars")


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How much of the past some columns say they need.

    Parameters
    ----------
    bars, days : int, optional
        Bars, and whole trading dates, that reproduce a row, its own among them;
        both None: the whole series.
    columns : frozenset of str, optional
        Columns that say so; None means all.
    """

    bars: int | None
    days: int | None
    columns: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """Whether only the whole series will do."""
        return self.bars is None and self.days is None


class Subject(Protocol):
    """A plug-in under test."""

    name: str  # its kind and its own name, for messages and draws
    kind: SubjectKind
    own_name: str
    private: bool
    warmup_bars: int
    histories: tuple[History, ...]  # longest last
    recursive: frozenset[str] | None  # columns that may drift a little; None: all
    streams: bool
    sees_bars: bool  # False: nothing it answers can depend on them
    stores: bool  # whether its code could hold a stored answer
    function: Callable[..., Any]  # what the plug-in's author wrote
    call: Call | None  # who words its errors in this process

    def roots(self) -> tuple[str, ...]:
        """Return the folders and files of its code; see :func:`..process.access.roots_of`."""
        ...

    def stream(self, instrument: Instrument, timeframe: Timeframe) -> FeatureStream:
        """Return a stream before its first bar; only when ``streams`` is set."""
        ...

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
    return caller(what, None, "it must accept any bars, including the few that precede its warm-up")


class Asked:
    """A subject that is called by whoever words its errors in this process."""

    name: str
    private = False
    streams = False
    sees_bars = True
    stores = True

    def called_by(self, call: Call | None) -> None:
        """Set who calls the plug-in; by default errors name the subject."""
        self.call = call
        self._call: Call = call or direct(self.name)

    def __getstate__(self) -> dict[str, Any]:
        # Whoever words the errors stays behind: it may hold on to the whole series.
        return vars(self) | {"_call": None, "call": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.called_by(None)

    def stream(self, instrument: Instrument, timeframe: Timeframe) -> FeatureStream:
        """Refuse: it has no stream; see :class:`Subject`."""
        raise NotImplementedError


class BarByBar(Asked):
    """A subject that answers with one row of numbers a bar."""

    _names: tuple[str, ...]
    _shown: int  # columns that come from bars and may not be infinite

    def rows(self, answer: Any, lo: int, hi: int, start: int = 0) -> Rows:
        """Return the rows of bars ``lo`` to ``hi``; see :class:`Subject`."""
        key: Int64 = 2 * np.arange(lo, hi, dtype=np.int64) + 1
        return Rows(key=key, names=self._names, values=answer[lo - start : hi - start])

    def reach(self, answer: Any, cut: int) -> int:
        """Reach back a fixed number of bars; see :class:`Subject`."""
        return max(cut - LOOKBACK, 0)

    def infinite(self, answer: Any) -> tuple[str, int] | None:
        """Return column and bar of the first infinity; see :class:`Subject`."""
        return first_infinite(self._names, answer[:, : self._shown])


_WHOLE = History(bars=None, days=None)


def _recursive(
    memory: Memory, columns: tuple[Column, ...], fields: tuple[str, ...] = ()
) -> frozenset[str] | None:
    """Return the names whose values may drift, None when all may."""
    drifting = {c.name for c in columns if (c.memory or memory) == "recursive"}
    if memory == "recursive":
        drifting |= set(fields)
    return None if len(drifting) == len(columns) + len(fields) else frozenset(drifting)


def _histories(feature_set: FeatureSet) -> tuple[History, ...]:
    """Group the columns of a set by the history they need, the longest last."""
    groups: dict[tuple[int | None, int | None], set[str]] = {}
    for column in feature_set.columns:
        own = column if column.memory is not None else feature_set
        bars = None if own.history_bars is None else max(own.history_bars, 1)
        groups.setdefault((bars, own.history_days), set()).add(column.name)
    far = float("inf")

    def reach(key: tuple[int | None, int | None]) -> tuple[float, float]:
        whole = key == (None, None)
        return (far if whole else key[1] or 0.0), (far if whole else key[0] or 0.0)

    if len(groups) < 2:
        return tuple(History(bars=bars, days=days) for bars, days in groups) or (_WHOLE,)
    return tuple(
        History(bars=key[0], days=key[1], columns=frozenset(groups[key]))
        for key in sorted(groups, key=reach)
    )


class LabelerSubject(Asked):
    """A labeler with its parameters."""

    def __init__(self, labeler: Labeler, params: Params, call: Call | None) -> None:
        self.name = f"labeler {labeler.name}"
        self.kind: SubjectKind = "labeler"
        self.own_name = labeler.name
        self.private = labeler.private
        self.warmup_bars = labeler.warmup_bars
        # "Bars before a decision": the decision's own bar comes on top.
        history = labeler.history_bars
        bars = None if history is None else max(history, labeler.warmup_bars) + 1
        self.histories: tuple[History, ...] = (History(bars=bars, days=None),)
        self.recursive = _recursive(labeler.memory, labeler.columns, _FIELDS)
        self.function = labeler.decide
        self._labeler = labeler
        self._params = dict(params)
        self.called_by(call)
        self._columns = tuple(column.name for column in labeler.columns)
        self._names = (*_FIELDS, *self._columns)

    def roots(self) -> tuple[str, ...]:
        """Return the labeler's own code; see :class:`Subject`."""
        return roots_of([self._labeler.decide])

    def run(self, bars: Bars) -> Decisions:
        """Return the decisions of ``bars``; see :class:`Subject`."""
        answer = self._call(self._labeler.decide, bars, dict(self._params))
        return answers.decisions(self._labeler, answer, bars, tradable=False)

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


class FeatureSubject(BarByBar):
    """A feature set; one row a bar."""

    def __init__(self, feature_set: FeatureSet, call: Call | None) -> None:
        self.name = f"features {feature_set.name}"
        self.kind: SubjectKind = "features"
        self.own_name = feature_set.name
        self.warmup_bars = feature_set.warmup_bars
        self.histories = _histories(feature_set)
        self.recursive = _recursive(feature_set.memory, feature_set.columns)
        self.streams = feature_set.stream is not None
        self.function = feature_set.batch
        self._set = feature_set
        self.called_by(call)
        self._names = tuple(column.name for column in feature_set.columns)
        self._shown = len(self._names)

    @property
    def record(self) -> FeatureSet:
        """The set as its plug-in made it."""
        return self._set

    def roots(self) -> tuple[str, ...]:
        """Return the set's own code; see :class:`Subject`."""
        return roots_of(f for f in (self._set.batch, self._set.stream) if f is not None)

    def stream(self, instrument: Instrument, timeframe: Timeframe) -> FeatureStream:
        """Return a new stream of the set; see :class:`Subject`."""
        if self._set.stream is None:
            raise NotImplementedError
        made: FeatureStream = self._call(self._set.stream, instrument, timeframe)
        return made

    def run(self, bars: Bars) -> Float32:
        """Return the float32 matrix (T, F) of ``bars``; see :class:`Subject`."""
        return answers.features(self._set, self._call(self._set.batch, bars), bars)
