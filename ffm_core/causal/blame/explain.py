"""Turn what was found into failures that lead an author to the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.locate import line_of
from ffm_core.causal.process.client import Halted
from ffm_core.causal.subjects.base import LOOKBACK
from ffm_core.causal.trial.findings import first_later, later_bar, stamp_at
from ffm_core.causal.trial.rows import EXACT, Rows, differences
from ffm_core.causal.trial.session import Discrepancy, Session
from ffm_core.errors import StrategyError
from ffm_core.records import Failure, Reason, because
from ffm_core.records.proofs import number, of_line

MAX_FAILURES = 12
_NAMELESS = ("reads_variable", "reads_environment", "imports_module")
_TELLING = 200  # bars before a row at which its line is looked for
_EXPLAINED = 3  # failures whose first later bar is searched for
_HIGHER = {"1h": 3_600_000_000, "4h": 14_400_000_000, "1d": 86_400_000_000}

Answer = TypeVar("Answer")
_PEEKS = ("prefix", "repaint", "mutation")
Told: TypeAlias = tuple[Reason, Reason]  # what was found, and its repair


def failures_of(session: Session) -> tuple[Failure, ...]:
    """Return the earliest finding of every check and column, explained."""
    first: dict[tuple[str, str | Reason | None], Discrepancy] = {}
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


def _telling(session: Session, finding: Discrepancy) -> Discrepancy:
    """Return a finding like this one with enough bars before it to compare two runs."""
    like = [
        other
        for other in session.findings
        if (other.check, other.difference.column, other.difference.kind)
        == (finding.check, finding.difference.column, finding.difference.kind)
        and finding.cut <= other.cut
    ]
    enough = [other for other in like if other.difference.bar >= _TELLING]
    return min(enough, key=lambda f: f.cut) if enough else max(like, key=lambda f: f.cut)


_RANK = {
    check: place
    for place, check in enumerate(
        ("purity", "budget", "access", "determinism", "prefix", "repaint", "mutation", "stored",
         "stream",
         "history", "values")
    )
}  # fmt: skip


def _failure(session: Session, finding: Discrepancy, *, search: bool) -> Failure:
    future = None
    if search and not finding.mirrored and finding.check in _PEEKS:
        future = _if_alive(session, lambda: _first_later_bar(session, finding))
    if finding.check == "history":
        reason, repair = _history(session, finding)
    elif finding.check in _PEEKS:
        reason, repair = _peek(session, finding, future)
    else:
        reason, repair = _plain(session, finding)
    line, why = finding.line, ""
    if search:
        seen = _telling(session, finding) if finding.check in _PEEKS else finding
        later = future
        if seen is not finding and not seen.mirrored:
            later = _if_alive(session, lambda: _first_later_bar(session, seen))
        line, why = line_of(session, seen, later)
    if session.subject.private:
        line = ""
    return Failure(
        subject=session.examined,
        check=finding.check,
        column=finding.difference.column,
        bar=finding.difference.bar,
        stamp=stamp_at(session.bars, finding.difference.bar),
        first_future_bar=future,
        reason=reason,
        repair=of_line(repair, why),
        line=line,
    )


def _plain(session: Session, finding: Discrepancy) -> Told:
    """Return what is said of a whole answer, or of a value and no later bar."""
    found, reason = finding.difference, finding.problem
    fix = f"fix_{finding.check}"
    if reason is not None and reason.kind in _NAMELESS:
        fix = "fix_named"
    if finding.check == "access" and session.subject.private:
        reason = because("opens_something")
    if reason is None:
        full, part = number(found.full), number(found.part)
        reason = because("stream_disagrees", full=full, part=part)
    return reason, because(fix)


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
            return _differs(session.row(stop, bar), before, column)

        return first_later(moved, finding.cut, total)
    truth = session.changed(change, bar, bar + 1, change.cut)  # nothing changed

    def moved_by(until: int) -> bool:
        rows = session.changed(change, bar, bar + 1, until)
        return _differs(rows, truth, column)

    return first_later(moved_by, change.cut, change.stop)


def _differs(a: Rows, b: Rows, column: str) -> bool:
    return any(d.column == column for d in differences(a, b, EXACT))


def _peek(session: Session, finding: Discrepancy, future: int | None) -> Told:
    found, kind = finding.difference, str(finding.difference.kind)
    seen: dict[str, float | str] = {}
    if found.kind == "value":
        seen.update(full=number(found.full), part=number(found.part))
    if finding.check == "mutation":
        kind = f"changed_{kind}"
        seen["cut"] = finding.cut
        if finding.change is not None:
            seen["change"] = finding.change.kind
    else:
        kind = f"mirrored_{kind}" if finding.mirrored else kind
        seen["last"] = finding.cut - 1
    return because(kind, **seen, **later_bar(session.bars, future)), _repair(session, finding)


def _repair(session: Session, finding: Discrepancy) -> Reason:
    """Guess the fault from how far back rows change, over all cuts that failed."""
    found = finding.difference
    if found.kind == "vanishes":
        return because("fix_withdrawn")
    if finding.check == "mutation":
        return because("fix_mutation")
    spans = [
        (other.difference.earliest, other.cut - 1)
        for other in session.findings
        if other.check == finding.check and other.difference.column == found.column
    ]
    reach = max(last - first + 1 for first, last in spans)
    if reach == 1:
        return because("fix_waits" if found.kind == "late" else "fix_next_bar")
    for name, size in _HIGHER.items():
        half = size // session.bars.timeframe.us // 2
        if half >= 1 and reach >= min(half, LOOKBACK - 1) and _within(session.bars, spans, size):
            return because("fix_open_bar", longer=name)
    if reach < LOOKBACK // 2:
        return because("fix_few_bars", reach=reach)
    return because("fix_whole_series")


def _within(bars: Bars, spans: list[tuple[int, int]], size: int) -> bool:
    """Whether every span lies in one higher-timeframe bar, and one begins with it."""
    stamps = bars.ts_us
    if any(stamps[first] // size != stamps[last] // size for first, last in spans):
        return False
    return any(
        first == 0 or stamps[first - 1] // size != stamps[first] // size for first, _ in spans
    )


def _history(session: Session, finding: Discrepancy) -> Told:
    found = finding.difference
    declared = session.declared(found.column)
    drifts = session.subject.recursive is None or found.column in session.subject.recursive
    both = {"bars": declared.bars, "days": declared.days}
    said = {unit: count for unit, count in both.items() if count is not None}
    if not drifts and found.relative < 1e-6:
        reason = because("history_drifts", **said, relative=found.relative)
        return reason, because("fix_running_sum")
    reason = because("history_short", **said)
    if declared.bars is None:
        return reason, because("fix_more_days")
    bars = declared.bars
    enough = _if_alive(session, lambda: _sufficient(session, bars))
    if enough is None:
        return reason, because("fix_whole_history")
    return reason, because("fix_history", bars=enough)


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
