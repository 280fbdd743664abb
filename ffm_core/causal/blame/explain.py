"""Turn what was found into failures that lead an author to the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.locate import line_of
from ffm_core.causal.process.budget import BUDGET_FIX
from ffm_core.causal.process.client import Halted
from ffm_core.causal.subjects.base import LOOKBACK
from ffm_core.causal.trial.findings import stamp_at
from ffm_core.causal.trial.rows import Rows, differences
from ffm_core.causal.trial.session import Discrepancy, Session
from ffm_core.errors import StrategyError
from ffm_core.records import Failure

MAX_FAILURES = 12
_EXPLAINED = 3  # failures whose first later bar is searched for
_HIGHER = {"1h": 3_600_000_000, "4h": 14_400_000_000, "1d": 86_400_000_000}

Answer = TypeVar("Answer")
_PEEKS = ("prefix", "repaint", "mutation")
_FIXES = {
    "purity": "return new arrays, draw from a generator seeded inside the call, and keep nothing "
    "between calls",
    "determinism": "use no hash(), set order, clock, time zone of the machine, number of cores or "
    "order of threads",
    "access": "compute from the bars and parameters alone; ship constants in the code",
    "budget": BUDGET_FIX,
    "stream": "compute batch and stream with the same kernel, and put the whole state into "
    "snapshots",
    "values": "return NaN where a value is undefined",
}


def failures_of(session: Session) -> tuple[Failure, ...]:
    """Return the earliest finding of every check and column, explained."""
    first: dict[tuple[str, str], Discrepancy] = {}
    for finding in session.findings:
        apart = finding.problem if finding.check == "access" else finding.difference.column
        key = (finding.check, apart)
        known = first.get(key)
        if known is None or finding.difference.bar < known.difference.bar:
            first[key] = finding
    chosen = sorted(first.values(), key=lambda f: (_RANK[f.check], f.difference.bar))
    return tuple(
        _failure(session, finding, search=i < _EXPLAINED)
        for i, finding in enumerate(chosen[:MAX_FAILURES])
    )


_RANK = {
    check: place
    for place, check in enumerate(
        ("purity", "budget", "access", "determinism", "prefix", "repaint", "mutation", "stream",
         "history", "values")
    )
}  # fmt: skip


def _failure(session: Session, finding: Discrepancy, *, search: bool) -> Failure:
    future = None
    if search and not finding.problem and finding.check in _PEEKS:
        future = _if_alive(session, lambda: _first_later_bar(session, finding))
    if finding.check == "history":
        message, fix = _history(session, finding)
    elif finding.check in _PEEKS:
        message, fix = _peek(session, finding, future)
    else:
        message, fix = _plain(session, finding)
    line, why = line_of(session, finding, future) if search else (finding.line, "")
    if session.subject.private:
        line = ""
    if why:
        fix = f"this line: {why}; {fix}"
    return Failure(
        subject=session.examined,
        check=finding.check,
        column=finding.difference.column,
        bar=finding.difference.bar,
        stamp=stamp_at(session.bars, finding.difference.bar),
        first_future_bar=future,
        message=message,
        fix=fix,
        line=line,
    )


def _plain(session: Session, finding: Discrepancy) -> tuple[str, str]:
    """Word what is said of a whole answer, or of a value and no later bar."""
    found, message = finding.difference, finding.problem
    if finding.check == "access" and session.subject.private:
        message = "it opens a file, a connection or a process while it is called"
    if not message:
        message = f"the stream says {found.part:.9g} where the batch says {found.full:.9g}"
    return message, _FIXES[finding.check]


def _if_alive(session: Session, search: Callable[[], Answer]) -> Answer | None:
    """Search further, unless the worker is gone or the plug-in goes over its budget."""
    if not session.link.alive:
        return None
    try:
        return search()
    except (Halted, StrategyError):
        return None


def _first_later_bar(session: Session, finding: Discrepancy) -> int | None:
    """Find the first later bar whose arrival, or change, moves the row."""
    bar, column, change = finding.difference.bar, finding.difference.column, finding.change
    total = len(session.bars)
    if change is None:
        before = session.row(finding.cut, bar)

        def moved(stop: int) -> bool:
            return _differs(session, session.row(stop, bar), before, column)

        return _search(moved, finding.cut, total)
    truth = session.row(total, bar)

    def moved_by(until: int) -> bool:
        rows = session.changed(change, bar, bar + 1, until)
        return _differs(session, rows, truth, column)

    return _search(moved_by, change.cut, change.stop)


def _search(moved: Callable[[int], bool], low: int, total: int) -> int | None:
    # Steps double until the row has moved, then the last step is bisected: a leak
    # of a few bars is found in a few calls, and short ones.
    step = 1
    while (high := min(low + step, total)) < total and not moved(high):
        low, step = high, step * 2
    if not moved(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if moved(middle):
            high = middle
        else:
            low = middle
    return high - 1


def _differs(session: Session, a: Rows, b: Rows, column: str) -> bool:
    return any(d.column == column for d in differences(a, b, session.tolerance))


def _peek(session: Session, finding: Discrepancy, future: int | None) -> tuple[str, str]:
    found, last = finding.difference, finding.cut - 1
    what = {
        "late": f"the decision is missing when bar {last} is the last one known",
        "side": f"the decision has the other side when bar {last} is the last one known",
        "vanishes": f"a decision made when bar {last} was the last one known vanishes later",
        "value": f"the value is {found.part:.6g} when bar {last} is the last one known "
        f"and {found.full:.6g} in the full series",
    }[found.kind]
    if finding.check == "mutation":
        what = {
            "late": "the decision disappears",
            "vanishes": "a decision appears",
            "side": "the side of the decision turns",
            "value": f"the value moves from {found.full:.6g} to {found.part:.6g}",
        }[found.kind] + f" when bars from {finding.cut} on are changed"
        what += f" ({finding.change.kind})" if finding.change else ""
    elif finding.problem:
        what = f"{finding.problem}: {what}"
    if future is not None:
        what += f"; the first later bar that matters is {future} ({stamp_at(session.bars, future)})"
    return what, _repair(session, finding)


def _repair(session: Session, finding: Discrepancy) -> str:
    """Guess the fault from how far back rows change, over all cuts that failed."""
    found = finding.difference
    if found.kind == "vanishes":
        return (
            "a decision once made must stay: a condition on later bars removes it here; decide "
            "on closed bars only and never withdraw"
        )
    if finding.check == "mutation":
        return "a condition on later bars, not met in these data: drop it or test closed bars only"
    spans = [
        (other.difference.earliest, other.cut - 1)
        for other in session.findings
        if other.check == finding.check and other.difference.column == found.column
    ]
    reach = max(last - first + 1 for first, last in spans)
    if reach == 1 and found.kind == "late":
        return (
            "decide at the last bar given, too; a decision that waits for a later bar is made "
            "at that later bar"
        )
    if reach == 1:
        return (
            "the row reads the next bar: look for shift(-1), a next-bar price or a flag set one "
            "bar early, and stamp the row at the bar that completes it"
        )
    for name, size in _HIGHER.items():
        half = size // session.bars.timeframe.us // 2
        if half >= 1 and reach >= min(half, LOOKBACK - 1) and _within(session.bars, spans, size):
            return f"a {name} bar is used before it has closed: release it after its last bar"
    if reach < LOOKBACK // 2:
        return (
            f"rows up to {reach} bars back change: a centred window, a back-fill, or a pivot "
            "stamped at its own bar; stamp the row at the bar that completes it"
        )
    return (
        "many earlier rows change: a statistic of the whole file or session (mean, rank, total, "
        "back-fill, adjustment); use rolling or expanding values"
    )


def _within(bars: Bars, spans: list[tuple[int, int]], size: int) -> bool:
    """Whether every span lies in one higher-timeframe bar, and one begins with it."""
    stamps = bars.ts_us
    if any(stamps[first] // size != stamps[last] // size for first, last in spans):
        return False
    return any(
        first == 0 or stamps[first - 1] // size != stamps[first] // size for first, _ in spans
    )


def _history(session: Session, finding: Discrepancy) -> tuple[str, str]:
    found = finding.difference
    declared = session.declared(found.column)
    drifts = session.subject.recursive is None or found.column in session.subject.recursive
    said = " and ".join(
        f"{count} {unit}"
        for count, unit in ((declared.bars, "bars"), (declared.days, "trading dates"))
        if count is not None
    )
    if not drifts and found.relative < 1e-6:
        message = (
            f"on {said} of history the value differs in its last digits "
            f"({found.relative:.1g} of itself), as a running sum does"
        )
        return message, "declare memory='recursive', or compute every window anew"
    message = f"{said} of history do not reproduce it"
    if declared.bars is None:
        return message, "declare more days, or history_days=None"
    bars = declared.bars
    enough = _if_alive(session, lambda: _sufficient(session, bars))
    if enough is None:
        return message, "declare history_bars=None: it depends on where the series starts"
    return message, f"declare history_bars={enough}, which would do here, or None"


def _sufficient(session: Session, declared: int) -> int | None:
    # Doubled at the end of the series, where there is most room; at a decision if there is any.
    decided, history = session.decided, max(declared, 1)
    cut = int(decided[-1]) + 1 if len(decided) else len(session.bars)
    while (history := history * 2) + LOOKBACK <= cut:
        start = cut - history - LOOKBACK + 1
        if not session.differ(session.ask(cut, start), cut, start):
            return history
    return None


__all__ = ["MAX_FAILURES", "failures_of"]
