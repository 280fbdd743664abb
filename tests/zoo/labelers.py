"""Labelers that read later bars, change their minds, or declare less than they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Decisions, Params
from ffm_core.testing.building import SPAN, build, hourly, range_of, typical
from zoo.fault import Fault
from zoo.making import labeler, move, tops

_LAST: list[int] = []


def _plain(bars: Bars) -> Decisions:
    return build(bars, hourly(bars), typical(bars))


def side_of_next_bar(bars: Bars, params: Params) -> Decisions:
    """Decide in the direction of the next bar."""
    plain = _plain(bars)
    ahead = np.append(np.diff(bars.close), 0.0)[: len(bars)]  # fault: next-side
    return replace(plain, side=np.where(ahead[plain.bar] >= 0, 1, -1).astype(np.int8))


def waits_a_bar(bars: Bars, params: Params) -> Decisions:
    """Decide only where the next bar is there."""
    plain = _plain(bars)
    return plain.take(plain.bar < len(bars) - 1)  # fault: late-decision


def withdraws(bars: Bars, params: Params) -> Decisions:
    """Keep the decisions that the next three bars confirm."""
    plain = _plain(bars)
    later = np.minimum(plain.bar + 3, len(bars) - 1)  # fault: withdrawn-decision
    return plain.take(plain.side * (bars.close[later] - bars.close[plain.bar]) >= 0)


def drops_losers(bars: Bars, params: Params) -> Decisions:
    """Keep the decisions whose stop is not hit within a day."""
    plain = _plain(bars)
    kept = np.ones(len(plain), dtype=np.bool_)
    for row, (bar, side) in enumerate(zip(plain.bar.tolist(), plain.side.tolist(), strict=True)):
        path = side * (bars.close[bar : bar + 60] - bars.close[bar])  # fault: dropped-losers
        kept[row] = path.min() > -float(np.asarray(plain.risk)[row])
    return plain.take(kept)


def moves_stops(bars: Bars, params: Params) -> Decisions:
    """Put each stop behind the extreme of the window and of what follows."""
    plain = _plain(bars)
    spans = [slice(max(bar - SPAN, 0), bar + 6) for bar in plain.bar]  # fault: moved-stop
    low = np.array([bars.low[span].min(initial=np.inf) for span in spans])
    high = np.array([bars.high[span].max(initial=0.0) for span in spans])
    room = 4 * bars.instrument.tick_size
    stop = np.where(plain.side > 0, low - room, high + room)
    return replace(plain, risk=None, stop_price=stop)


def target_from_path(bars: Bars, params: Params) -> Decisions:
    """Set targets where the path will reach."""
    plain = _plain(bars)
    reach = np.array([np.ptp(bars.close[b : b + 20]) for b in plain.bar])  # fault: future-target
    return replace(plain, target_r=1.0 + reach / np.asarray(plain.risk))


def early_pivots(bars: Bars, params: Params) -> Decisions:
    """Sell at tops."""
    rows = np.flatnonzero(tops(bars, 4))  # fault: pivot-trades
    rows = rows[rows >= SPAN].astype(np.int64)
    plain = build(bars, rows, typical(bars))
    return replace(plain, side=np.full(len(rows), -1, np.int8))


def loud_bars(bars: Bars, params: Params) -> Decisions:
    """Decide on bars that are among the widest of the file."""
    size = np.nan_to_num(range_of(bars, SPAN))
    level = np.quantile(size, 0.6) if len(size) else 0.0  # fault: file-threshold
    rows = hourly(bars)
    return build(bars, rows[size[rows] > level], typical(bars))


def scored_column(bars: Bars, params: Params) -> Decisions:
    """Give a column that is a z-score of the file."""
    size = bars.high - bars.low
    score = (size - size.mean()) / (size.std() + 1e-9) if len(size) else size  # fault: column-score
    return build(bars, hourly(bars), score)


def long_memory(bars: Bars, params: Params) -> Decisions:
    """Give a column that looks back three hundred bars."""
    value = np.nan_to_num(range_of(bars, 300))  # fault: labeler-short-history
    return build(bars, hourly(bars), value)


def on_weekdays(bars: Bars, params: Params) -> Decisions:
    """Risk more the later it is in a second."""
    plain = _plain(bars)
    late = datetime.now().timestamp() % 1.0  # fault: labeler-clock
    return replace(plain, risk=np.asarray(plain.risk) * (1.0 + late))


def rests(bars: Bars, params: Params) -> Decisions:
    """Rest for some calls after many decisions."""
    plain = _plain(bars)
    _LAST.append(len(plain))  # fault: labeler-state
    return plain.take(np.arange(len(plain)) % (len(_LAST) + 1) == 0)  # fault: labeler-state


def before_a_jump(bars: Bars, params: Params) -> Decisions:
    """Stay out when a great jump follows."""
    plain = _plain(bars)
    jump = np.append(np.abs(np.diff(np.log(bars.close))) > 0.1, False)[: len(bars)]
    soon = np.convolve(jump, np.ones(51))[50:][: len(bars)] > 0  # fault: avoids-jumps
    return plain.take(~soon[plain.bar])


def numbered(bars: Bars, params: Params) -> Decisions:
    """Take every third decision, counted from the file's first."""
    plain = _plain(bars)
    return plain.take(np.arange(len(plain)) % 3 == 0)  # fault: counted-decisions


def first_moves(bars: Bars, params: Params) -> Decisions:
    """Take the decision of a session that will have moved most."""
    plain = _plain(bars)
    day = bars.ts_us[plain.bar] // 86_400_000_000
    size = np.abs(np.nan_to_num(move(bars)))[plain.bar]
    days = [np.flatnonzero(day == date) for date in np.unique(day)]
    best = [rows[np.argmax(size[rows])] for rows in days]  # fault: best-of-day
    return plain.take(np.array(best, dtype=np.int64))


def _fault(
    name: str,
    summary: str,
    decide: Callable[[Bars, Params], Decisions],
    *,
    forget: Callable[[], None] | None = None,
    **declared: Any,
) -> Fault:
    record = labeler(name, decide, **declared)
    return Fault(
        name=name, kind="labeler", summary=summary, record=record, source=__file__, forget=forget
    )


FAULTS = (
    _fault("next-side", "the side of the next bar", side_of_next_bar),
    _fault("late-decision", "a decision that waits for the next bar", waits_a_bar),
    _fault("withdrawn-decision", "a decision withdrawn three bars later", withdraws),
    _fault("dropped-losers", "decisions that would lose are left out", drops_losers),
    _fault("moved-stop", "a stop that moves after the decision", moves_stops),
    _fault("future-target", "a target where the path will reach", target_from_path),
    _fault("pivot-trades", "trades at pivots, at their own bar", early_pivots),
    _fault("file-threshold", "a threshold over the file", loud_bars, history_bars=None),
    _fault("column-score", "a column scaled by the file", scored_column, history_bars=None),
    _fault("best-of-day", "the best decision of each day", first_moves, history_bars=None),
    _fault("avoids-jumps", "no decision before a jump", before_a_jump),
    _fault("labeler-short-history", "300 bars under a history of 60", long_memory),
    _fault("counted-decisions", "every third decision since the start", numbered),
    _fault("labeler-clock", "datetime.now in a labeler", on_weekdays),
    _fault("labeler-state", "a list that grows between calls", rests, forget=_LAST.clear),
)
