"""``checks.md``: the check sets with their constants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from _pages import markdown as md
from ffm_core.records import VerdictCheck
from ffm_core.report.questions import check_words
from ffm_core.ruler.checks import STRICT

_INTRO = """# Checks

A verdict is made of checks whose constants are fixed, and hashed, before any result is
seen. [Read a verdict](../how-to/read-a-verdict.md) explains them one by one.

Common to the checks with an interval: the statistic is mean net R per trade, or the difference
of two of them paired by day, and the unit is the trading day. The interval, two-sided at
`level`, has the **outer ends** of two: a t interval whose error adds up the dependence of days
up to a lag of `lag` times the root of their number (Bartlett weights, fixed-b critical values),
and a studentised bootstrap of `resamples` resamples in stationary blocks of `block_days` on
average, a tenth of the days at most.
[How often either end misses](validation.md#how-often-an-interval-misses) is measured. There is
no interval with fewer than `min_interval_days` days with trades, or where too few days differ.
A check **passes** when the low
end clears the threshold, **fails** when the high end lies below the effect asked for, and
is **inconclusive** in between. `delta` is the smallest edge worth having, R per trade;
where REAL is compared with a mixture that holds its own trades, the effect asked for is
`delta` times the share of decisions left out.

The verdict: REFUSED when the certificate is broken, FAIL when any check fails, PASS when
all pass, else INCONCLUSIVE. Checks offered by plug-ins can turn a PASS into FAIL or
INCONCLUSIVE and do nothing else. Where random entries with the same exits earn more than zero
beyond their interval, after costs, the verdict says so first, and `entry` judges every claim.

"""
_OTHERS = """## Other sets

`--checks NAME` judges by the set of that name in place of `strict`. A package offers it through
[`ffm_check_sets`](hooks.md#ffm_check_sets), and a PASS under it is a qualified one (exit code 5).
`classic`, six older checks with fixed margins and no interval, comes with `ffm-legacy`.
"""


def page() -> str:
    """Return the page."""
    return md.join([_INTRO, "## strict\n", _table(STRICT), _details(STRICT), _OTHERS])


def _table(checks: Sequence[VerdictCheck]) -> str:
    rows = []
    for check in checks:
        constants = ", ".join(f"`{key}` {value:g}" for key, value in check.constants.items())
        rows.append((md.code(check.name), check.summary, ", ".join(check.claims), constants or "–"))
    return md.table(("check", "passes when", "claims", "constants"), rows)


def _details(checks: Sequence[VerdictCheck]) -> str:
    rows = []
    for check in checks:
        words = check_words(check.name)
        judge = check.judge.func if isinstance(check.judge, partial) else check.judge
        rows.append((md.code(check.name), words.title, words.question, md.summary(judge)))
    return md.table(("check", "called in reports", "the question", "how it judges"), rows)
