"""Step kernels: one definition of a feature, driven over an array or bar by bar.

A program is a compiled ``step`` that takes one bar, changes its state arrays and
writes its columns. Batch calls it in a compiled loop, streaming bar by bar; nothing
else computes a value, so both give the same bits. State is two flat arrays, so a
snapshot is a copy of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.primitives import frozen
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.errors import ConfigError
from ffm_core.jit import looped
from ffm_core.records import Column, FeatureSet, FeatureStream, Memory
from ffm_core.types import Float32, Float64, Int64

step: Callable[..., None]  # in :func:`_run`, the step of the program it is made for


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a program stands; ``f`` and ``i`` change with every bar.

    Parameters
    ----------
    f : float64
        Ring buffers, sums, levels.
    i : int64
        Counters, positions, dates.
    k : float64, read-only
        Constants of instrument and timeframe.
    n : int64, read-only
        Integer constants and tables, such as a zone table.
    """

    f: Float64
    i: Int64
    k: Float64
    n: Int64

    def __post_init__(self) -> None:
        self.k.setflags(write=False)
        self.n.setflags(write=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Columns that are computed together.

    Parameters
    ----------
    columns : tuple of Column
        In the order they are written.
    start : callable
        ``(instrument, timeframe) -> State`` before the first bar.
    step : kernel
        ``step(ts, o, h, l, c, v, f, i, k, n, out, at)``: one bar; ``ts`` is the
        bar's open in microseconds UTC; writes ``out[at : at + len(columns)]``, its own
        part of a float32 array; NaN where a value is undefined.
    """

    columns: tuple[Column, ...]
    start: Callable[[Instrument, Timeframe], State]
    step: Callable[..., Any]


def step_set(
    name: str,
    programs: Sequence[Program],
    *,
    memory: Memory,
    warmup_bars: int,
    history_bars: int | None,
    history_days: int | None = None,
    summary: str = "",
    version: str = "1",
) -> FeatureSet:
    """Make a feature set of step programs, with batch and streaming drivers."""
    chosen = tuple(programs)
    columns = tuple(column for program in chosen for column in program.columns)
    key = f"{name} {version} {' '.join(column.name for column in columns)}"

    def batch(bars: Bars) -> Float32:
        return run_programs(chosen, bars)

    def stream(instrument: Instrument, timeframe: Timeframe) -> FeatureStream:
        return StepStream(chosen, instrument, timeframe, key)

    return FeatureSet(
        name=name,
        columns=columns,
        batch=batch,
        warmup_bars=warmup_bars,
        history_bars=history_bars,
        history_days=history_days,
        memory=memory,
        summary=summary,
        stream=stream,
        version=version,
    )


def run_programs(programs: Sequence[Program], bars: Bars, *, out: Float32 | None = None) -> Float32:
    """Return the columns of every bar, float32 (T, F), from a fresh state.

    They are written into ``out`` when it is given.
    """
    if out is None:
        width = sum(len(program.columns) for program in programs)
        out = np.empty((len(bars), width), dtype=np.float32)
    series = [frozen(values) for values in (bars.open, bars.high, bars.low, bars.close)]
    stamps = np.ascontiguousarray(bars.ts_us)
    at = 0
    for program in programs:
        state = program.start(bars.instrument, bars.timeframe)
        run = _driver(program.step)
        run(stamps, *series, frozen(bars.volume), state.f, state.i, state.k, state.n, out, at)
        at += len(program.columns)
    return out


@lru_cache(maxsize=64)
def _driver(step: Callable[..., Any]) -> Callable[..., None]:
    return looped(_run, step)


def _run(
    ts: Int64, o: Float64, h: Float64, l: Float64, c: Float64, v: Float64,  # noqa: E741
    f: Float64, i: Int64, k: Float64, n: Int64, out: Float32, at: int,
) -> None:  # fmt: skip
    width = out.shape[1]
    flat = out.reshape(out.size)  # one view for all rows: a view of each row costs time
    for t in range(len(ts)):
        row = t * width + at
        step(ts[t], o[t], h[t], l[t], c[t], v[t], f, i, k, n, flat, row)  # noqa: F821


class StepStream:
    """Step programs fed bar by bar; see :class:`~ffm_core.records.FeatureStream`."""

    def __init__(
        self, programs: Sequence[Program], instrument: Instrument, timeframe: Timeframe, key: str
    ) -> None:
        self._states = [program.start(instrument, timeframe) for program in programs]
        self._width = sum(len(program.columns) for program in programs)
        self._steps = []
        at = 0
        for program, state in zip(programs, self._states, strict=True):
            self._steps.append((program.step, state.f, state.i, state.k, state.n, at))
            at += len(program.columns)
        whose = f"{key} {instrument.symbol} {timeframe.name} {self._sizes()}"
        self._mark = hashlib.sha256(whose.encode()).digest()[:16]

    def update(
        self, ts_us: int, open: float, high: float, low: float, close: float, volume: float
    ) -> Float32:
        """Take the next closed bar and return its row, float32 (F,)."""
        out = np.empty(self._width, dtype=np.float32)
        # A whole number as price would be another type, and compile every step anew.
        bar = (int(ts_us), float(open), float(high), float(low), float(close), float(volume))
        for step, f, i, k, n, at in self._steps:
            step(*bar, f, i, k, n, out, at)
        return out

    def snapshot(self) -> bytes:
        """Return the whole state."""
        parts = [self._mark]
        for state in self._states:
            parts += [state.f.tobytes(), state.i.tobytes()]
        return b"".join(parts)

    def restore(self, state: bytes) -> None:
        """Go back to a snapshot of the same set, instrument and timeframe.

        Raises
        ------
        ConfigError
            When the snapshot is of another set, version, instrument or timeframe.
        """
        size = len(self._mark) + sum(8 * (len(s.f) + len(s.i)) for s in self._states)
        if len(state) != size or state[: len(self._mark)] != self._mark:
            raise ConfigError(
                "the snapshot belongs to another feature set, version, instrument or timeframe",
                fix="warm the stream up again from history",
            )
        at = len(self._mark)
        for own in self._states:
            for array in (own.f, own.i):
                stop = at + array.nbytes
                array[:] = np.frombuffer(state[at:stop], dtype=array.dtype)
                at = stop

    def _sizes(self) -> list[tuple[int, int]]:
        return [(len(state.f), len(state.i)) for state in self._states]
