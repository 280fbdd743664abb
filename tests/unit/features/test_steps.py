"""The two drivers of step programs, on programs small enough to see through."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba.core.errors import TypingError

from ffm_core.bars import Timeframe
from ffm_core.bars.instruments import lookup
from ffm_core.errors import ConfigError
from ffm_core.features.borrowed import borrowed
from ffm_core.features.steps import Program, State, step_set
from ffm_core.jit import kernel
from ffm_core.records import Column
from ffm_core.testing import make_bars


@kernel
def _sum_step(ts, o, h, l, c, v, f, i, k, n, out, at):  # noqa: E741
    f[0] += c * k[0]
    i[0] += 1
    out[at] = f[0]
    out[at + 1] = i[0] + n[0]


@kernel
def _last_step(ts, o, h, l, c, v, f, i, k, n, out, at):  # noqa: E741
    out[at] = f[0]
    f[0] = v


@kernel
def _add_to(values, times):
    values = borrowed(values)
    for _ in range(times):
        values[0] += _first_two(values)


@kernel
def _first_two(values):
    values = borrowed(values)
    return values[0] + values[1]


def _sum_start(instrument, timeframe):
    return State(
        f=np.zeros(1),
        i=np.zeros(1, np.int64),
        k=np.array([1.0 / instrument.tick_size]),
        n=np.array([timeframe.seconds]),
    )


def _last_start(instrument, timeframe):
    none = np.zeros(0, np.int64)
    return State(f=np.full(1, np.nan), i=none, k=np.zeros(0), n=none.copy())


def _program(names, start, step):
    columns = tuple(Column(name=name, unit="points") for name in names)
    return Program(columns=columns, start=start, step=step)


def made(version="1"):
    programs = [
        _program(("total", "count"), _sum_start, _sum_step),
        _program(("last_volume",), _last_start, _last_step),
    ]
    return step_set(
        "toy", programs, memory="event", warmup_bars=1, history_bars=None, version=version
    )


def rows_of(bars):
    columns = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(zip(*(values.tolist() for values in columns), strict=True))


@pytest.fixture(scope="module")
def bars():
    return make_bars("random", 200)


def test_programs_write_their_columns_side_by_side(bars):
    found = made().batch(bars)
    assert [column.name for column in made().columns] == ["total", "count", "last_volume"]
    assert found.dtype == np.float32
    expected = np.cumsum(bars.close / bars.instrument.tick_size)
    np.testing.assert_array_equal(found[:, 0], expected.astype(np.float32))
    np.testing.assert_array_equal(found[:, 1], np.arange(1, 201) + 300)
    np.testing.assert_array_equal(found[1:, 2], bars.volume[:-1].astype(np.float32))
    assert np.isnan(found[0, 2])


def test_a_stream_gives_the_rows_of_the_batch_and_owns_none_of_them(bars):
    stream = made().stream(bars.instrument, bars.timeframe)
    rows = [stream.update(*row) for row in rows_of(bars)]
    assert np.array(rows).tobytes() == made().batch(bars).tobytes()
    rows[0][:] = 9.0
    assert stream.update(*rows_of(bars)[0])[1] == 201 + 300


def test_every_batch_and_stream_starts_anew(bars):
    toy = made()
    assert toy.batch(bars).tobytes() == toy.batch(bars).tobytes()
    streams = [toy.stream(bars.instrument, bars.timeframe) for _ in range(2)]
    first = rows_of(bars)[0]
    streams[0].update(*first)
    np.testing.assert_array_equal(streams[1].update(*first), toy.batch(bars[:1])[0])


def test_whole_numbers_and_numpy_numbers_are_taken_as_prices(bars):
    stream = made().stream(bars.instrument, bars.timeframe)
    before = len(_sum_step.signatures)
    stream.update(np.int64(0), 1, 2, np.float32(1), np.float64(1.5), 7)
    assert len(_sum_step.signatures) <= max(before, 1)


def test_a_snapshot_holds_the_whole_state(bars):
    rows, stream = rows_of(bars), made().stream(bars.instrument, bars.timeframe)
    for row in rows[:120]:
        stream.update(*row)
    state = stream.snapshot()
    onward = [stream.update(*row) for row in rows[120:]]
    for fresh in (stream, made().stream(bars.instrument, bars.timeframe)):
        fresh.restore(state)
        again = [fresh.update(*row) for row in rows[120:]]
        assert np.array(again).tobytes() == np.array(onward).tobytes()
    assert np.array(onward).tobytes() == made().batch(bars)[120:].tobytes()


@pytest.mark.parametrize("spoil", [lambda s: s[:-1], lambda s: s + b"\0", lambda s: b""])
def test_a_snapshot_of_another_length_is_refused(bars, spoil):
    stream = made().stream(bars.instrument, bars.timeframe)
    with pytest.raises(ConfigError, match="belongs to another feature set"):
        stream.restore(spoil(stream.snapshot()))


def test_a_snapshot_of_another_version_instrument_or_timeframe_is_refused(bars):
    state = made().stream(bars.instrument, bars.timeframe).snapshot()
    others = [
        made("2").stream(bars.instrument, bars.timeframe),
        made().stream(lookup("NQ"), bars.timeframe),
        made().stream(bars.instrument, Timeframe(60)),
    ]
    for other in others:
        with pytest.raises(ConfigError, match="belongs to another feature set"):
            other.restore(state)


def test_constants_of_a_state_cannot_be_changed(bars):
    state = _sum_start(bars.instrument, bars.timeframe)
    for constants in (state.k, state.n):
        with pytest.raises(ValueError, match="read-only"):
            constants[0] = 1


def test_a_kernel_works_on_borrowed_arrays_in_place_and_keeps_hold_of_none():
    values = np.ones(2)
    holders = sys.getrefcount(values)
    for _ in range(3):
        _add_to(values, 2)
        assert sys.getrefcount(values) == holders
    assert values.tolist() == [127.0, 1.0]
    assert borrowed(values) is values


def test_a_kernel_borrows_read_only_arrays_as_read_only():
    values = np.array([1.0, 2.0])
    values.setflags(write=False)
    assert _first_two(values) == 3.0
    with pytest.raises(TypingError, match="Cannot modify readonly array"):
        _add_to(values, 1)


def test_only_arrays_can_be_borrowed():
    with pytest.raises(TypingError, match="borrowed"):
        _add_to(1.0, 1)
