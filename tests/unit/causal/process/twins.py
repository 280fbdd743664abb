"""Plug-ins with one fault each that only a fresh, watched process can see; and clean ones."""

from __future__ import annotations

import datetime
import os
import socket
import time
from pathlib import Path

import numpy as np
import polars as pl

from ffm_core.bars.sessions import trading_days
from ffm_core.records import Column, FeatureSet
from ffm_core.testing import peeks
from ffm_core.testing.building import windows

_LONGEST: dict[str, np.ndarray] = {}


def mean(bars):
    return windows(bars.close, 20).mean(axis=1)


def feature_set(column, *, name="set", **declared):
    """A set of one column; ``column`` maps bars to (T,)."""

    def batch(bars):
        return column(bars).astype(np.float32)[:, None]

    settings = {"warmup_bars": 20, "history_bars": None} | declared
    return FeatureSet(
        name=name, columns=(Column(name="value", unit="ratio"),), batch=batch, **settings
    )


# --- memory -------------------------------------------------------------------------------


def remembers_in_its_module(bars):
    if len(bars) > len(_LONGEST.get("said", ())):
        _LONGEST["said"] = peeks.next_bar(bars)
    return _LONGEST["said"][: len(bars)].copy()


def remembers_in_a_file(bars):
    place = Path(os.environ["FFM_HOME"]) / "memo.npy"
    place.parent.mkdir(parents=True, exist_ok=True)
    known = np.load(place) if place.is_file() else np.empty(0)
    if len(bars) > len(known):
        known = peeks.next_bar(bars)
        np.save(place, known)
    return known[: len(bars)]


def remembering_closure():
    kept = {}

    def column(bars):
        if len(bars) > len(kept.get("said", ())):
            kept["said"] = peeks.next_bar(bars)
        return kept["said"][: len(bars)].copy()

    return column


# --- surroundings -------------------------------------------------------------------------


def hashes(bars):
    return mean(bars) + hash("value") % 1_000


def counts_threads(bars):
    return mean(bars) + pl.thread_pool_size()


def local_zone(bars):
    return mean(bars) + time.localtime(0).tm_gmtoff


def reads_the_calendar(bars):
    return mean(bars) + datetime.date.today().toordinal() + int(time.time() // 86_400)


def calls_home(bars):
    with socket.socket() as wire:
        wire.connect_ex(("localhost", 9))  # nobody listens there
    return mean(bars)


def reads_a_table(bars):
    pl.read_csv(b"a\n1\n")  # from memory, which is no file
    if (place := Path(os.environ["FFM_HOME"]) / "table.csv").parent.is_dir():
        place.write_text("a\n1\n", encoding="utf-8")
        pl.read_csv(place)
    return mean(bars)


def sleeps_when_short(bars):
    if len(bars) < 400:
        time.sleep(60)
    return mean(bars)


def hoards_when_short(bars):
    held = [np.empty(2**27) for _ in range(40 if len(bars) < 400 else 0)]
    return mean(bars) + len(held) * 0


# --- clock and history --------------------------------------------------------------------


def leaks_at_the_clock_change(bars):
    local = bars.frame["ts"].dt.convert_time_zone("America/New_York")
    offset = local.dt.base_utc_offset() + local.dt.dst_offset()
    change = np.append(np.diff(offset.dt.total_seconds().to_numpy()) != 0, False)[: len(bars)]
    return mean(bars) + np.where(change, peeks.next_bar(bars), 0.0)


def high_of_the_day(bars):
    days = trading_days(bars)
    first = np.append(True, np.diff(days) != 0)[: len(bars)]
    group = np.cumsum(first)
    out = np.empty(len(bars))
    for place in np.unique(group):
        rows = group == place
        out[rows] = np.maximum.accumulate(bars.high[rows])
    return out


# --- streams ------------------------------------------------------------------------------


class RunningSum:
    """Sum of volume since the first bar, as float64, bar by bar."""

    def __init__(self, *, slip_at=-1, forgets=False):
        self.total, self.seen = 0.0, 0
        self._slip_at, self._forgets = slip_at, forgets

    def update(self, ts_us, open, high, low, close, volume):
        self.total += volume
        self.seen += 1
        slip = 1.0 if self.seen - 1 == self._slip_at else 0.0
        return np.array([self.total + slip], dtype=np.float32)

    def snapshot(self):
        return np.array([0.0 if self._forgets else self.total, self.seen]).tobytes()

    def restore(self, state):
        total, seen = np.frombuffer(state)
        self.total, self.seen = float(total), int(seen)


def streamed(name, *, peek=False, **twisted):
    """The running sum with its stream; the batch may peek on one bar in a thousand."""

    def batch(bars):
        total = np.cumsum(bars.volume)
        if peek:
            ahead = np.append(bars.close[1:], 0.0)[: len(bars)]
            total = total + np.where(np.arange(len(bars)) % 1_000 == 77, ahead, 0.0)
        return total.astype(np.float32)[:, None]

    return FeatureSet(
        name=name,
        columns=(Column(name="value", unit="contracts"),),
        batch=batch,
        warmup_bars=1,
        history_bars=None,
        memory="event",
        stream=lambda instrument, timeframe: RunningSum(**twisted),
    )
