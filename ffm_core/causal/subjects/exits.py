"""Try to prove that an exit policy knows how trades end before they do.

A fill may read the bars up to its exit bar. So bars after it are removed and
changed, and the fill must stay; a trade that is still open at the last bar must
say so. Every order must be answered, because a policy that leaves out the
losers makes winners of the rest, and no answer may depend on the other orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame
from ffm_core.causal.cutting.cuts import detection_bound, edges
from ffm_core.causal.cutting.series import (
    MUTATIONS,
    edited,
    fingerprint,
    mirrored,
    part,
    with_future,
)
from ffm_core.causal.subjects.fills import (
    COMPARED,
    LEAD_BARS,
    PURITY_FIX,
    Asked,
    Trial,
    complete,
    sound,
    take,
)
from ffm_core.causal.trial.findings import Call, first_later, stamp_at, unlike
from ffm_core.labels.step import DATA_END
from ffm_core.records import REASONS, Certificate, ExitPolicy, Fills, Orders, Params
from ffm_core.types import Bool, Int64

MAX_CUTS = 300
_PLACED = 60  # cuts at entries, sessions and rolls, on top of the drawn ones
_MUTATED = 90
_MIRRORED = 24
_FUTURE_BARS = 512  # changed bars after a cut
_ENOUGH = 5

_READS_ON = (
    "decide at every bar from that bar and earlier ones; leave the loop at the exit and give "
    "reason 'data_end' when the data end first"
)
_ALONE_FIX = "answer each order from its own entry, stop and bars, and from no other order"


def falsify_exit_policy(
    policy: ExitPolicy,
    bars: Bars,
    orders: Orders,
    params: Params,
    *,
    seed: int,
    max_cuts: int = MAX_CUTS,
    call: Call | None = None,
) -> Certificate:
    """Look for look-ahead, and for orders left out, in the fills of one stream.

    Parameters
    ----------
    policy : ExitPolicy
        Any kind; past bars may be read, later ones than the exit bar may not.
    bars : Bars
        The stream, ``T`` bars.
    orders : Orders
        Entries of the run, ``N`` of them, all to be filled.
    params : mapping
        Settings of the policy.
    seed : int
        Seed of the run; the same seed makes the same cuts.
    max_cuts : int
        Most orders whose later bars are withheld, drawn at random. Entries,
        sessions and rolls come on top.
    call : callable, optional
        ``call(function, *args)`` runs plug-in code; default: what it raises
        becomes a :class:`StrategyError` that names the policy.

    Returns
    -------
    Certificate
        Failures of ``completeness`` (an order without an answer), ``values``
        (arithmetic that no bar allows), ``rows`` (an order's answer depends on
        other orders), ``horizon`` (later bars matter) and ``purity``.

    Raises
    ------
    StrategyError
        When the policy raises or returns something else than fills.
    """
    trial = Trial(policy, bars, orders, params, seed, call)
    if len(trial) == 0:
        return trial.notes.certificate(1.0)
    drawn = 0
    if _pure(trial) and complete(trial):
        _alone(trial)
        if not trial.notes.found("rows"):  # later bars bring other orders
            drawn = _withhold(trial, max_cuts)
            if not trial.notes.found("horizon"):
                _change(trial)
                _remember(trial)
        sound(trial)
        _later(trial)
    bound = detection_bound(drawn)
    return trial.notes.certificate(min(bound, 1.0 / drawn) if drawn == len(trial) else bound)


# --- one call on everything ---------------------------------------------------------------


def _pure(trial: Trial) -> bool:
    """Ask twice for everything; return whether the answers can be built on."""
    bars, notes = trial.bars, trial.notes
    before = fingerprint(bars)
    answers = []
    for _ in range(2):
        given = part(bars, 0, len(bars))
        answer = trial.ask(given, trial.orders)
        column = edited(given, before) or edited(bars, before)
        if column is not None:
            message = "it edits the bars it is given"
            notes.add("purity", message, column=column, fix=PURITY_FIX, line=trial.read)
        if answer is None:
            return False
        answers.append(answer)
    trial.full = answers[0]
    for name in COMPARED:
        if _apart(answers[0], answers[1], name).any():
            message = "two calls on the same orders disagree"
            notes.add("purity", message, column=name, fix=PURITY_FIX, line=trial.read)
    return not notes.found()


def _later(trial: Trial) -> None:
    """Ask once more after all other calls; state kept meanwhile would show."""
    again = trial.ask(part(trial.bars, 0, len(trial.bars)), trial.orders)
    for name in COMPARED:
        if again is not None and _apart(trial.full, again, name).any():
            trial.notes.keep(("completeness", "values", "purity"))
            message = "a later call on the same orders disagrees"
            trial.notes.add("purity", message, column=name, fix=PURITY_FIX, line=trial.read)


def _apart(a: Fills, b: Fills, name: str) -> Bool:
    return unlike(getattr(a, name), getattr(b, name))


# --- other orders, later bars -------------------------------------------------------------


def _alone(trial: Trial) -> None:
    """Ask for some orders, and in another order; each answer must stay."""
    n, rng = len(trial), trial.rng("alone")
    picks = [rng.permutation(n), np.sort(rng.choice(n, size=(n + 1) // 2, replace=False))]
    picks += [rng.integers(0, n, size=1) for _ in range(min(n, 8))]
    bars = part(trial.bars, 0, len(trial.bars))
    for rows in picks:
        answer = trial.ask(bars, take(trial.orders, rows))
        if answer is None:
            return
        moved = [(n, unlike(getattr(trial.full, n)[rows], getattr(answer, n))) for n in COMPARED]
        for name, wrong in moved:
            if wrong.any():
                row = int(rows[np.argmax(wrong)])
                text = f"its {name} changes when other orders are left out or reordered"
                _note(
                    trial,
                    "rows",
                    _Moved(name, row, text, partial(_crowd, trial, rows, row)),
                    fix=_ALONE_FIX,
                )
                trial.whole = True
                break


def _withhold(trial: Trial, max_cuts: int) -> int:
    """Withhold every bar after an exit; return how many orders were drawn for it."""
    n, total, rng = len(trial), len(trial.bars), trial.rng("cuts")
    drawn = np.arange(n) if n <= max_cuts else rng.choice(n, size=max_cuts, replace=False)
    cuts = [(int(trial.full.exit_bar[row]) + 1, int(row)) for row in drawn.tolist()]
    cuts += [(cut, -1) for cut in _places(trial, rng)]
    failing = 0
    for cut, row in sorted(cuts):
        if cut < total and failing < _ENOUGH:
            failing += _cut(trial, cut, trial.near(cut, row if row >= 0 else None))
    return len(drawn)


def _places(trial: Trial, rng: np.random.Generator) -> list[int]:
    """Cuts while trades are open, and where sessions and contracts change."""
    found = edges(trial.bars)
    entry, ends = trial.orders.entry_bar, trial.full.exit_bar
    inside = entry + 1 + ((ends - entry) * rng.random(len(trial))).astype(np.int64)
    groups = (entry + 1, ends, inside, found["session"], found["roll"])
    chosen: set[int] = set()
    for places in groups:
        size = min(len(places), _PLACED // len(groups))
        chosen.update(rng.choice(places, size=size, replace=False).tolist())
    return sorted(cut for cut in chosen if 0 < cut < len(trial.bars))


class _Moved(NamedTuple):
    """The first fill that later bars or other orders move."""

    column: str
    row: int
    text: str
    line: Callable[[], Blame | None]


def _cut(trial: Trial, cut: int, rows: Int64) -> bool:
    """Withhold bars from ``cut`` on; note and return whether a fill moves."""
    moved = _shown_enough(trial, rows, lambda start: _withheld(trial, cut, rows, start))
    if moved is None:
        return False
    _note(trial, "horizon", moved, future=_matters(trial, cut, moved.row), fix=_READS_ON)
    return True


def _shown_enough(
    trial: Trial, rows: Int64, moved: Callable[[int], _Moved | None]
) -> _Moved | None:
    """Ask with some bars before the entries; with all of them when that is not enough."""
    if len(rows) == 0:
        return None
    trial.notes.cuts += 1
    trial.notes.rows += len(rows)
    first = 0 if trial.whole else max(int(trial.orders.entry_bar[rows].min()) - LEAD_BARS, 0)
    found = moved(first)
    if found is not None and first > 0:
        found = moved(0)
        trial.whole = found is None  # it needs its past: from now on it is shown all of it
    return found


def _withheld(trial: Trial, cut: int, rows: Int64, start: int) -> _Moved | None:
    """Return the first fill that is another one when bars from ``cut`` on are unknown."""
    answer = trial.ask(part(trial.bars, start, cut), trial.of_window(rows, start, cut))
    if answer is None:
        return None
    known = f"when bar {cut - 1} is the last one known"
    over = trial.full.exit_bar[rows] < cut
    for name in COMPARED:
        old, new = getattr(trial.full, name)[rows], _shifted(answer, name, start)
        bad = np.flatnonzero(over & unlike(old, new))
        if len(bad):
            words = _word(name, new[bad[0]]), _word(name, old[bad[0]])
            text = f"its {name} is {words[0]} {known} and {words[1]} in the full series"
            row = int(rows[bad[0]])
            if answer.reason[bad[0]] == DATA_END:  # it is over later than it says
                return _Moved(name, row, text, partial(trial.made, row, "exit_bar"))
            return _Moved(name, row, text, partial(_parting, trial, cut, row))
    ends = answer.exit_bar + start
    closed = np.flatnonzero(~over & ~((ends == cut - 1) & (answer.reason == DATA_END)))
    if len(closed):
        i = int(closed[0])
        text = (
            f"it ends at bar {ends[i]} ({_word('reason', answer.reason[i])}) {known} and is open "
            f"until bar {trial.full.exit_bar[rows[i]]} in the full series"
        )
        row = int(rows[i])
        return _Moved("exit_bar", row, text, partial(_parting, trial, cut, row))
    return None


def _parting(trial: Trial, cut: int, row: int) -> Blame | None:
    """Return the line where an order's fill parts from the one that knows later bars."""
    rows, stop = np.array([row]), min(len(trial.bars), cut + _FUTURE_BARS)
    one, other = (
        Asked(part(trial.bars, 0, end), trial.of_window(rows, 0, end)) for end in (stop, cut)
    )
    return trial.parted(one, other, int(trial.orders.entry_bar[row]))


def _crowd(trial: Trial, rows: Int64, row: int) -> Blame | None:
    """Return the line where an order's fill parts from the one among all orders."""
    one, other = (
        Asked(trial.bars, orders) for orders in (trial.orders, take(trial.orders, np.sort(rows)))
    )
    return trial.parted(one, other, int(trial.orders.entry_bar[row]))


def _shifted(answer: Fills, name: str, start: int) -> Any:
    return answer.exit_bar + start if name == "exit_bar" else getattr(answer, name)


def _word(name: str, value: Any) -> str:
    if name == "reason":
        return repr(REASONS[int(value)]) if 0 <= value < len(REASONS) else str(value)
    return str(int(value)) if name == "exit_bar" else f"{value:.6g}"


def _note(trial: Trial, check: str, moved: _Moved, *, fix: str, future: int | None = None) -> None:
    bar = int(trial.orders.entry_bar[moved.row])
    text = f"the order entered at bar {bar}: {moved.text}"
    if future is not None:
        stamp = stamp_at(trial.bars, future)
        text += f"; the first later bar that matters is {future} ({stamp})"
    trial.notes.add(
        check,
        text,
        column=moved.column,
        bar=bar,
        stamp=stamp_at(trial.bars, bar),
        first_future_bar=future,
        fix=fix,
        line=moved.line,
    )


def _matters(trial: Trial, cut: int, row: int) -> int | None:
    """Return the first later bar whose arrival moves an order's fill."""
    rows = np.flatnonzero(trial.orders.entry_bar < cut) if trial.whole else np.array([row])
    place = int(np.searchsorted(rows, row))
    total = len(trial.bars)

    def said(stop: int) -> tuple[Any, ...] | None:
        answer = trial.ask(part(trial.bars, 0, stop), trial.of_window(rows, 0, stop))
        return None if answer is None else tuple(getattr(answer, n)[place] for n in COMPARED)

    before = said(cut)
    if before is None:
        return None

    def moved(stop: int) -> bool:
        now = said(stop)
        if now is None or before[_REASON] == DATA_END == now[_REASON]:
            return False
        return repr(now) != repr(before)

    return first_later(moved, cut, total)


_REASON = COMPARED.index("reason")


def _change(trial: Trial) -> None:
    """Change the bars after a cut instead of removing them."""
    total, rng = len(trial.bars), trial.rng("mutation")
    ends = np.unique(trial.full.exit_bar[trial.full.exit_bar + 1 < total] + 1)
    cuts = ends if len(ends) <= _MUTATED else np.sort(rng.choice(ends, _MUTATED, replace=False))
    for turn, cut in enumerate(cuts.tolist()):
        kind, rows = MUTATIONS[turn % len(MUTATIONS)], trial.near(cut)

        def changed(start: int, c: int = cut, k: Any = kind, r: Int64 = rows) -> _Moved | None:
            return _swayed(trial, c, r, start, k)

        moved = _shown_enough(trial, rows, changed)
        if moved is not None:
            _note(trial, "horizon", moved, fix=_READS_ON)
            return


def _swayed(trial: Trial, cut: int, rows: Int64, start: int, kind: Any) -> _Moved | None:
    """Return the first fill that changed bars from ``cut`` on move."""
    stop = min(len(trial.bars), cut + _FUTURE_BARS)
    rng = trial.rng(f"future {cut}")
    bars = with_future(trial.bars, start, cut, stop, kind=kind, rng=rng)
    orders = replace(trial.of_window(rows, start, stop), flat=_flat_of(trial, start, bars))
    answer = trial.ask(bars, orders)
    if answer is None:
        return None
    over = trial.full.exit_bar[rows] < cut
    for name in COMPARED:
        old, new = getattr(trial.full, name)[rows], _shifted(answer, name, start)
        wrong = over & unlike(old, new)
        if name == "exit_bar":
            wrong |= ~over & (new < cut)
        if wrong.any():
            i = int(np.argmax(wrong))
            text = (
                f"its {name} moves from {_word(name, old[i])} to {_word(name, new[i])} when bars "
                f"from {cut} on are changed ({kind})"
            )
            bar = int(orders.entry_bar[i])
            one, other = Asked(bars, orders), Asked(part(trial.bars, start, stop), orders)
            return _Moved(name, int(rows[i]), text, partial(trial.parted, one, other, bar))
    return None


def _flat_of(trial: Trial, start: int, bars: Bars) -> Bool | None:
    """Session ends of changed bars: as they were, and none in what was added."""
    flat = trial.orders.flat
    if flat is None:
        return None
    known = flat[start : start + len(bars)]
    return np.append(known, np.zeros(len(bars) - len(known), dtype=np.bool_))


def _remember(trial: Trial) -> None:
    """On a mirrored series ask early parts first: answers kept from longer ones would show."""
    twin = mirrored(trial.bars)
    rng = trial.rng("mirrored")
    n, total = len(trial), len(trial.bars)
    rows = np.sort(rng.choice(n, size=min(n, 256), replace=False))
    orders = replace(
        take(trial.orders, rows), side=-trial.orders.side[rows], flat=_flat_of(trial, 0, twin)
    )
    cuts = np.sort(rng.choice(np.arange(1, total), size=min(_MIRRORED, total - 1), replace=False))
    early = []
    for cut in cuts.tolist():
        flat = None if orders.flat is None else orders.flat[:cut]
        some = np.flatnonzero(orders.entry_bar < cut)
        if len(some):
            answer = trial.ask(part(twin, 0, cut), replace(take(orders, some), flat=flat))
            early.append((cut, some, answer))
    whole = trial.ask(twin, orders)
    for cut, some, answer in early:
        if whole is None or answer is None:
            return
        over = whole.exit_bar[some] < cut
        wrong = np.zeros(len(some), dtype=np.bool_)
        for name in COMPARED:
            wrong |= over & unlike(getattr(whole, name)[some], getattr(answer, name))
        wrong |= ~over & (answer.exit_bar < cut - 1)
        if wrong.any():
            bar = int(orders.entry_bar[some[np.argmax(wrong)]])
            trial.notes.add(
                "purity",
                f"on the mirrored series the order entered at bar {bar} ends otherwise when bar "
                f"{cut - 1} is the last one known: it remembers bars from earlier calls",
                bar=bar,
                fix=PURITY_FIX,
                line=trial.read,
            )
            return


__all__ = ["MAX_CUTS", "falsify_exit_policy"]
