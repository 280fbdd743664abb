"""``fill-rules.md``: how orders are filled, as ten small trades."""

from __future__ import annotations

import math

from _pages import markdown as md
from ffm_core.testing.fill_cases import FILL_CASES, FillCase

_INTRO = """# Fill rules

One compiled step moves every trade: in labels, evaluations, trades in lock-step, and bar by bar.
A decision is made at the close of a bar, from what is known then; the entry is the open of the
next bar. On every bar from the entry bar on, in this order:

1. an open at or beyond the stop (then the target) fills there, whatever was ordered;
2. an ordered exit fills at the open;
3. stop, then target, inside the bar; when one bar touches both, the stop counts;
4. the scheduled end of the session, then the horizon, at the close.

Orders given at a close hold from the next open; a moved stop never loosens. Costs are charged
once, outside the step. The order of events inside a bar is not known from its four prices, so
every rule that needs it is decided against the trader.

Other engines answer some of these trades differently, and some differ from one of their own
interfaces to the next: check yours against the table before comparing results.

"""
_HOW = """
## The ten trades

Bars are open, high, low, close; the first is the entry bar, and unless something else is said
the trade is a long entered at 100 with its stop at 98 and its target at 104.

"""
_TESTS = """
The same table is a test of every driver:

```python
from ffm_core.testing.fill_cases import FILL_CASES

for case in FILL_CASES:
    print(case.name, case.exit_bar, case.exit_price, case.reason, round(case.r, 3))
```

Two settings of a policy change a rule for those who want to see what hangs on it:
`--set exit.tie=target_first` (or `skip`, which leaves such trades out), and
`--set exit.target_gap=target` (a bar that opens beyond the target fills at the target).
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRO, _HOW]
    for number, case in enumerate(FILL_CASES, start=1):
        parts += [f"### {number}. {case.name.capitalize()}\n\n{case.rule}\n\n", _case(case)]
    return md.join([*parts, _TESTS])


def _case(case: FillCase) -> str:
    notes = []
    if case.side < 0:
        notes.append("a short")
    if (case.stop, case.target) != (98.0, 104.0):
        notes.append(f"stop {case.stop:g}, target {case.target:g}")
    if case.horizon_bars != 10:
        notes.append(f"horizon {case.horizon_bars} bars")
    rows = [(str(at), *(f"{p:g}" for p in bar), _ordered(case, at), _answer(case, at))
            for at, bar in enumerate(case.bars)]  # fmt: skip
    table = md.table(
        ("bar", "open", "high", "low", "close", "ordered at the close", "answer"), rows
    )
    return (f"{', '.join(notes).capitalize()}.\n\n" if notes else "") + table + "\n"


def _ordered(case: FillCase, at: int) -> str:
    stop, target, leave = case.orders.get(at, (math.nan, math.nan, False))
    words = [] if math.isnan(stop) else [f"stop {stop:g}"]
    words += [] if math.isnan(target) else [f"target {target:g}"]
    words += ["leave"] if leave else []
    if case.session_end == at:
        words.append("(the session ends)")
    return ", ".join(words)


def _answer(case: FillCase, at: int) -> str:
    if at != case.exit_bar:
        return ""
    return f"`{case.reason}` at {case.exit_price:g}, {case.r:+.3g} R"
