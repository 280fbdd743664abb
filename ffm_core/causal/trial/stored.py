"""Tell what is computed from bars, clock and inputs from an answer that was stored.

Moved by 28 years, after which dates fall on their weekdays again, the same bars get the same
answer from prices, the time of week and calendars. What does not is asked at many more times:
a calendar varies there, a stored answer says the same nothing everywhere. Answers stored by
row are tied to the file instead: a simulated walk gets them row for row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ffm_core.bars.calendar import DAY_US
from ffm_core.causal.trial.findings import stamp_at
from ffm_core.causal.trial.rows import Rows
from ffm_core.causal.trial.session import Session
from ffm_core.causal.trial.stages import nowhere
from ffm_core.errors import StrategyError
from ffm_core.records import Reason, because
from ffm_core.types import Bool, Float64, Int64

YEARS_28 = 1461  # weeks; dates fall on their weekdays again
N_TIMES = 13  # further times on either side, four weeks apart: together a whole year
FEWEST = 20  # changes of a column, below which its row numbers prove nothing
_NEAR = (574, 313, 261, -574)  # weeks: 11, 6 and 5 years, after which most dates do so, too
_MOST_EXTRA = 20_000  # rows asked for behind the end
_ALIKE = 1e-3  # of a column's range; less is no other answer
_LOOKUPS = ("KeyError", "IndexError")
_DECISION = "decision"
_NONE = np.empty(0, np.int64)


def stored_answers(session: Session) -> None:
    """Look for answers that belong to the dates or to the rows of this one series."""
    _by_date(session)
    if not any(finding.check == "stored" for finding in session.findings):
        _by_row(session)


# --- tied to dates ------------------------------------------------------------------------


def _together(
    session: Session, answers: Sequence[Rows]
) -> tuple[Int64, tuple[str, ...], list[Float64]]:
    """Return keys, names and one table for each answer; a decision missing there is NaN."""
    names = answers[0].names
    if session.subject.kind != "labeler":
        tables = [np.asarray(rows.values, np.float64) for rows in answers]
        return answers[0].key, names, tables
    key = np.unique(np.concatenate([rows.key for rows in answers]))
    tables = []
    for rows in answers:
        table = np.full((len(key), 1 + len(names)), np.nan)
        at = np.searchsorted(key, rows.key)
        table[:, 0] = 0.0
        table[at, 0], table[at, 1:] = 1.0, rows.values
        tables.append(table)
    return key, (_DECISION, *names), tables


def _apart(a: Float64, b: Float64, room: float) -> Bool:
    """Return where two columns differ; nowhere when one is the other, raised as a whole.

    Days since a date are, and the year: they are functions of time like the hour. Of a
    decision, whose ``room`` is below 0, there is no more and less.
    """
    with np.errstate(invalid="ignore"):  # of two infinities
        raised = a - b
    other = np.abs(raised) > max(room, 0.0)
    known = raised[np.isfinite(raised)]
    if room >= 0 and other.any() and len(known):
        other &= bool((np.abs(known - np.median(known)) > room).any())
    return np.asarray(other | (np.isnan(a) != np.isnan(b)))


def _room(name: str, *columns: Float64) -> float:
    """Return by how much answers in a column may differ and count as the same."""
    finite = [c[np.isfinite(c)] for c in columns]
    home = finite[0]
    if name == _DECISION:
        return -1e-9
    if not len(home):
        return 0.0
    largest = max(float(np.abs(c).max()) for c in finite if len(c))
    return _ALIKE * float(home.max() - home.min()) + 4e-7 * largest


class _Times:
    """Asks one subject for its answer to the same bars at other times."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.names: Collection[str] | None = None  # of the columns asked for; None: all
        self.error = ""
        self.asked = 0

    def rows(self, weeks: int) -> Rows | None:
        """Return the answer ``weeks`` later; None where the plug-in fails there."""
        try:
            found = self._session.link.elsewhere(self._session.index, weeks, self.names)
        except StrategyError as error:
            self.error = error.problem
            return None
        self.asked += 1
        return found


def _by_date(session: Session) -> None:
    times, home = _Times(session), session.whole
    later = times.rows(YEARS_28)
    if later is not None:
        if not (suspects := _special(session, [home, later])):
            return
        if session.subject.kind != "labeler":
            times.names = frozenset(suspects)
            home, later = home.only(times.names), later.only(times.names)
    earlier = times.rows(-YEARS_28)
    sides = {w: rows for w, rows in ((YEARS_28, later), (-YEARS_28, earlier)) if rows is not None}
    if not sides:
        if any(name in times.error for name in _LOOKUPS):
            hidden = {} if session.subject.private else {"error": times.error}
            _note(session, "", 0, because("stored_fails", weeks=YEARS_28, **hidden))
        return
    if not (suspects := _special(session, [home, *sides.values()])):
        return
    found = _tied(session, times, home, sides, set(suspects))
    for column, bars in found.items():
        if column != _DECISION and _DECISION in found:
            continue  # what a decision says is stored with it
        reason = because("stored_dates", days=_dates(session, bars),
                         first=stamp_at(session.bars, int(bars[0])), times=times.asked)  # fmt: skip
        _note(session, column, int(bars[0]), reason)


def _tied(
    session: Session, times: _Times, home: Rows, sides: dict[int, Rows], suspects: set[str]
) -> dict[str, Int64]:
    """Return the columns that are tied to dates, and the bars at which they are.

    A column that is one and the same at all other times has nothing to say there. One
    that varies is a calendar, and may hold a list besides: then it differs from itself here
    on far more dates than between other times at which the calendar is the same.
    """
    farther = {2 * w: rows for w in sides if (rows := times.rows(2 * w)) is not None}
    same_calendar = [home, *sides.values(), *farther.values()]
    varied = set(_differing(session, sides, farther))
    for step in range(1, N_TIMES + 1):
        if varied >= suspects:
            break
        moved = {w: times.rows(w + (4 if w > 0 else -4) * step) for w in sides}
        varied |= set(_differing(session, sides, {2 * w: r for w, r in moved.items() if r}))
    near = [rows for w in _NEAR if suspects - varied and (rows := times.rows(w)) is not None]
    found = _special(session, [*same_calendar, *near])
    for name in suspects & varied & set(found):
        if not _far_more(session, name, same_calendar):
            del found[name]
    return {name: bars for name, bars in found.items() if name in suspects}


def _far_more(session: Session, name: str, answers: Sequence[Rows]) -> bool:
    """Whether the first answer differs from every other on far more dates than those do."""
    apart = {
        (i, k): _dates(session, _special(session, [answers[i], answers[k]]).get(name, _NONE))
        for k in range(len(answers))
        for i in range(k)
    }
    own = min(days for (i, _), days in apart.items() if i == 0)
    others = max((days for (i, _), days in apart.items() if i), default=0)
    return own >= 2 * others + 4


def _special(session: Session, answers: Sequence[Rows]) -> dict[str, Int64]:
    """Return the columns whose first answer is none of the others, and at which bars."""
    (key, names, tables), found = _together(session, answers), {}
    for j, name in enumerate(names):
        first, *others = (table[:, j] for table in tables)
        room = _room(name, first, *others)
        apart = np.logical_and.reduce([_apart(first, other, room) for other in others])
        if apart.any():
            found[name] = key[apart] // 2
    return found


def _differing(session: Session, sides: dict[int, Rows], farther: dict[int, Rows]) -> list[str]:
    """Return the columns whose answer on a side is not that of a farther time."""
    pairs = [(rows, farther[2 * w]) for w, rows in sides.items() if 2 * w in farther]
    return [name for pair in pairs for name in _special(session, pair)]


def _dates(session: Session, bars: Int64) -> int:
    return len(np.unique(session.bars.ts_us[bars] // DAY_US))


# --- tied to rows -------------------------------------------------------------------------


def _by_row(session: Session) -> None:
    total = len(session.bars)
    extra, skip = min(total // 2, _MOST_EXTRA), max(total // 7, 1)
    try:
        rows = session.link.walked(session.index, skip, extra)
    except StrategyError as error:
        if "IndexError" not in error.problem:
            return  # other stretches of time have been asked for already
        hidden = {} if session.subject.private else {"error": error.problem}
        _note(session, "", 0, because("stored_ends", rows=total, **hidden))
        return
    home = session.whole
    inside = rows.key < 2 * total
    same = Rows(key=rows.key[inside], names=rows.names, values=rows.values[inside])
    key, names, tables = _together(session, [home, same])
    for j, name in enumerate(names):
        a, b = (table[:, j] for table in tables)
        if not np.array_equal(a, b, equal_nan=True):
            continue
        if session.subject.kind == "labeler":
            if name != _DECISION:
                continue
            changes, behind = len(home), len(rows) - len(same)
        else:
            changes = 2 * _changes(a[len(a) // 2 :])  # a warm-up is over by then
            behind = _changes(np.asarray(rows.values[~inside, j], np.float64))
        if changes >= FEWEST and changes * extra >= 8 * total and not behind:
            reason = because("stored_rows", skip=skip, rows=changes, behind=extra)
            _note(session, name, int(key[0]) // 2, reason)


def _changes(values: Float64) -> int:
    finite = np.nan_to_num(values, nan=-1.25e300)
    return int(np.count_nonzero(finite[1:] != finite[:-1]))


def _note(session: Session, column: str, bar: int, reason: Reason) -> None:
    session.note("stored", len(session.bars), [nowhere(column, bar)], reason)


__all__ = ["stored_answers"]
