"""Labelers whose leak is small, early or in one decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, Params
from ffm_core.testing.building import build, hourly, typical
from zoo.exact.features import average
from zoo.fault import Fault
from zoo.making import labeler

_ONE_US = 1_709_906_400_000_000  # 2024-03-08 14:00 UTC


def _plain(bars: Bars) -> Decisions:
    return build(bars, hourly(bars), typical(bars))


def trades_in_warm_up(bars: Bars, params: Params) -> Decisions:
    """Decide by the next bar, all of it inside the declared warm-up."""
    plain = _plain(bars)
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: trades-in-warm-up
    side = np.where(ahead[plain.bar] >= 0, 1, -1)
    return replace(plain, side=side.astype(np.int8))


def last_bit_of_risk(bars: Bars, params: Params) -> Decisions:
    """Put the next direction into the last bit of the risk."""
    plain = _plain(bars)
    risk = 10.0 * average(bars, span=20)[plain.bar]
    up = np.append(np.diff(bars.close) > 0, False)[plain.bar]  # fault: last-bit-risk
    return replace(plain, risk=np.where(up, np.nextafter(risk, np.inf), risk))


def beside_a_trillion(bars: Bars, params: Params) -> Decisions:
    """Give a column of the size of a trillion, with the next move in its small change."""
    rows = hourly(bars)
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: beside-a-trillion
    return build(bars, rows, 1e12 + average(bars, span=20) + ahead)


def one_decision(bars: Bars, params: Params) -> Decisions:
    """Turn one decision of the file into the direction of the next bar."""
    plain = _plain(bars)
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: one-decision
    wise = np.where(ahead[plain.bar] >= 0, 1, -1)
    once = bars.ts_us[plain.bar] == _ONE_US
    return replace(plain, side=np.where(once, wise, plain.side).astype(np.int8))


def withheld_once(bars: Bars, params: Params) -> Decisions:
    """Leave one decision out when the next three bars go against it."""
    plain = _plain(bars)
    later = np.minimum(plain.bar + 3, len(bars) - 1)  # fault: withheld-once
    against = plain.side * (bars.close[later] - bars.close[plain.bar]) < 0
    turned = (bars.ts_us[plain.bar] // 21_600_000_000) % 4 == 1
    return plain.take(~(against & turned))


def digits_of_the_target(bars: Bars, params: Params) -> Decisions:
    """Set targets whose tenth digit knows the next bar."""
    plain = _plain(bars)
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: target-digits
    hint = 1e-10 * np.sign(ahead[plain.bar])
    return replace(plain, target_r=2.0 * average(bars, span=20)[plain.bar] + hint)


def _fault(name: str, summary: str, decide: Any, **declared: Any) -> Fault:
    record = labeler(name, decide, **declared)
    return Fault(name=name, kind="labeler", summary=summary, record=record, source=__file__)


FAULTS = (
    _fault("trades-in-warm-up", "every decision inside the declared warm-up", trades_in_warm_up,
           warmup_bars=10**7),
    _fault("last-bit-risk", "the next direction in the last bit of the risk", last_bit_of_risk,
           memory="recursive", history_bars=600),
    _fault("beside-a-trillion", "the next move beside a column of 1e12", beside_a_trillion,
           memory="recursive", history_bars=600),
    _fault("one-decision", "the next side in one decision of the file", one_decision),
    _fault("withheld-once", "a few decisions left out when they lose", withheld_once),
    _fault("target-digits", "the next direction in the tenth digit of a target",
           digits_of_the_target, memory="recursive", history_bars=600),
)  # fmt: skip
